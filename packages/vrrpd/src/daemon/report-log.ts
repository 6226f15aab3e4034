import { formatAddress, formatMac, type IpAddress, toMilliseconds, toSeconds } from "@ha/base";
import type { Report, SplitEvidence, TransitionReason } from "../core/report.ts";
import type { FaultReason } from "../core/state.ts";
import type { LogFields, LogLevel } from "./log.ts";

/** One log line. */
export interface ReportLine {
  readonly level: Extract<LogLevel, "info" | "notice" | "warning" | "error"> | "detail";
  readonly message: string;
  readonly fields: LogFields;
  /** Lines of one kind and peer that a peer can cause at will: they are limited together. */
  readonly limited?: string;
}

/** What is known of the instance when it reports. */
export interface ReportContext {
  /** The instance or group. */
  readonly name: string;
  /** Our effective priority. */
  readonly priority: number;
  /** The master that is followed now, with its priority. */
  readonly master: { readonly address: IpAddress; readonly priority: number } | undefined;
}

/** The lines that an operator greps for, in keepalived's words where it has any. observed: keepalived 2.2.7 */
export function reportLines(report: Report, context: ReportContext): readonly ReportLine[] {
  const { name } = context;
  const line = (
    level: ReportLine["level"],
    text: string,
    fields: LogFields = {},
    limited?: string,
  ): ReportLine => ({
    level,
    message: `(${name}) ${text}`,
    fields: { instance: name, event: report.type, ...fields },
    ...(limited === undefined ? {} : { limited: `${name} ${limited}` }),
  });
  switch (report.type) {
    case "state":
      return stateLines(report, context, line);
    case "leaving": {
      const wait = toMilliseconds(report.waitAtMost);
      return [
        report.cause === "resign"
          ? line("detail", `another master is heard: letting go in ${wait} ms`)
          : line(
              "info",
              `sent 0 priority, keeping the addresses until another master is heard (at most ${wait} ms)`,
              { cause: report.cause },
            ),
      ];
    }
    // `left` says it, once the addresses are gone.
    case "winner-heard":
      return [];
    case "left":
      return [
        report.winner === undefined
          ? line("notice", "nobody took over", { cause: report.cause })
          : line("info", `${formatAddress(report.winner)} has taken over`, {
              cause: report.cause,
              winner: formatAddress(report.winner),
            }),
      ];
    case "took-back":
      return [
        line(
          report.cause === "switchover" ? "warning" : "notice",
          report.cause === "switchover"
            ? "nobody took over: master as before"
            : "the fault has passed: master as before",
          { cause: report.cause },
        ),
      ];
    case "effective-priority":
      return [
        line("info", `Changing effective priority from ${report.from} to ${report.to}`, {
          from: report.from,
          to: report.to,
        }),
      ];
    case "resigned":
      return [
        line(
          "info",
          `sent 0 priority and then ${report.priority}, so that a better router takes over at once`,
          { priority: report.priority },
        ),
      ];
    case "fault":
      return report.reasons.length === 0
        ? []
        : [line("notice", `fault: ${report.reasons.map(faultText).join("; ")}`)];
    case "refused": {
      const from = formatAddress(report.from);
      return [
        line(
          "warning",
          report.reason === "own-echo"
            ? `our own adverts (${from}) come back to us, refused: own-echo: the network has a loop, or another host our address`
            : `advert from ${from} refused: ${report.reason}`,
          { peer: from, reason: report.reason },
          `refused ${from} ${report.reason}`,
        ),
      ];
    }
    case "addresses-differ": {
      const from = formatAddress(report.from);
      return [
        line(
          "warning",
          `the addresses advertised by ${from} are not ours: accepted; a keepalived before 2.3 refuses ours`,
          { peer: from },
          `addresses ${from}`,
        ),
      ];
    }
    case "interval-adopted": {
      const from = formatAddress(report.from);
      return [
        line(
          "notice",
          `advert interval of ${from} is ${toSeconds(report.interval)} s, not ours: adopted`,
          { peer: from, interval: toSeconds(report.interval) },
          `interval ${from}`,
        ),
      ];
    }
    case "lower-priority-advert": {
      const from = formatAddress(report.from);
      return [
        line(
          "info",
          `Received advert from ${from} with lower priority ${report.priority}, ours ${context.priority}, forcing new election`,
          { peer: from, priority: report.priority },
          `lower ${from}`,
        ),
      ];
    }
    case "two-owners":
      return [
        line(
          "error",
          `${formatAddress(report.from)} claims to own the addresses as well (priority 255)${report.yielded ? ": 254 counts for us until it stops" : ""}`,
          { peer: formatAddress(report.from) },
          "two-owners",
        ),
      ];
    case "master-changed":
      return [
        line("info", `master is ${formatAddress(report.master)} with priority ${report.priority}`, {
          master: formatAddress(report.master),
          priority: report.priority,
        }),
      ];
    case "split-brain":
      return [
        line("error", `split brain: ${evidenceText(report.evidence)}`, {
          evidence: report.evidence.type,
        }),
      ];
    case "split-brain-over":
      return [line("notice", "split brain is over")];
    case "late":
      return [
        line(
          "warning",
          `thread timer expired ${toMilliseconds(report.by)} ms late${report.listens ? ": longer than the down timer, listening before speaking" : ""}`,
          { late_ms: toMilliseconds(report.by) },
          "late",
        ),
      ];
    case "address-restored":
      return [
        line(
          "warning",
          `${report.address === undefined ? "addresses were" : `${formatAddress(report.address)} was`} removed by somebody else: put back`,
          report.address === undefined ? {} : { address: formatAddress(report.address) },
        ),
      ];
    case "address-flapping":
      return [
        line(
          "error",
          `addresses were removed ${report.restored} times in ${toSeconds(report.window)} s: not put back until that is over`,
        ),
      ];
    case "witness-unreachable":
      return [line("warning", "no witness can be reached: not taking over", {}, "witness")];
    case "held-by-group":
      return [line("info", "its sync group is not ready: staying backup", {}, "held-by-group")];
  }
}

type MakeLine = (level: ReportLine["level"], text: string, fields?: LogFields) => ReportLine;

function stateLines(
  report: Report & { type: "state" },
  { priority, master }: ReportContext,
  line: MakeLine,
): ReportLine[] {
  const fields = { from: report.from, to: report.to, reason: report.why };
  switch (report.to) {
    case "master":
      return [
        ...(report.why === "master-down" || report.why === "master-left"
          ? [line("info", "Receive advertisement timeout")]
          : []),
        line("info", `Entering MASTER STATE${note(report.why)}`, fields),
        line("detail", "setting VIPs."),
      ];
    case "backup":
      return [
        ...(report.why === "higher-priority" && report.from === "master" && master !== undefined
          ? [
              line(
                "info",
                `Master received advert from ${formatAddress(master.address)} with higher priority ${master.priority}, ours ${priority}`,
              ),
            ]
          : []),
        line("info", `Entering BACKUP STATE${note(report.why)}`, fields),
        ...(report.from === "master" ? [line("detail", "removing VIPs.")] : []),
      ];
    case "fault":
      return [
        line(
          "info",
          `Entering FAULT STATE${report.from === "initialize" ? " (init)" : ""}`,
          fields,
        ),
        ...(report.from === "master" ? [line("detail", "removing VIPs.")] : []),
      ];
    case "initialize":
      return report.from === "master" ? [line("detail", "removing VIPs.")] : [];
  }
}

/** Said behind the state where keepalived has no line of its own for the cause. */
function note(why: TransitionReason): string {
  switch (why) {
    case "startup":
    case "owner":
      return " (init)";
    case "resumed":
      return " (resumed after a restart)";
    case "switchover":
      return " (switchover)";
    case "pause":
      return " (woke up too late)";
    case "address-removed":
      return " (address removed)";
    case "sync-group":
      return " (sync group)";
    default:
      return "";
  }
}

/** A reason for FAULT in words. */
export function faultText(reason: FaultReason): string {
  switch (reason.type) {
    case "interface-missing":
      return `interface ${reason.interface} does not exist`;
    case "interface-down":
      return `interface ${reason.interface} is down or has no carrier`;
    case "no-source-address":
      return `${reason.interface} has no address to send from`;
    case "no-unicast-peer":
      return "no unicast peer";
    case "tracker":
      return `${reason.tracker} is down`;
    case "not-checked-yet":
      return `${reason.tracker} has no result yet`;
    case "sync-group":
      return `${reason.member} of its sync group is in fault`;
    case "maintenance":
      return "maintenance";
  }
}

function evidenceText(evidence: SplitEvidence): string {
  switch (evidence.type) {
    case "advert":
      return `${formatAddress(evidence.from)} is master too, with priority ${evidence.priority}`;
    case "refused":
      return `${formatAddress(evidence.from)} sends adverts that must be refused (${evidence.reason})`;
    case "address":
      return `${formatMac(evidence.mac)} answers for ${formatAddress(evidence.address)}`;
  }
}
