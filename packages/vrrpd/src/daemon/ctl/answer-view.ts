import type { MaintenanceAnswer, WhyAnswer } from "../control-plane.ts";
import type { JournalEntry } from "../journal.ts";
import type { Finding, InstanceCheck } from "../peer-check.ts";
import type { PlannedOutcome } from "../planned-move.ts";
import type { ReloadPreview } from "../reload-preview.ts";
import { STATE_WORD } from "../status.ts";
import { type Paint, textTable } from "./text-table.ts";

/** `vrrpctl why` for people. */
export function whyView({ transition, before, since }: WhyAnswer, paint: Paint): string {
  if (transition === undefined) {
    return `no change of state that fits; the journal begins at ${moment(since)}\n`;
  }
  const { at, instance, from, to, because, why } = transition;
  const rows = before.map((entry) => [
    moment(entry.at),
    entry.kind,
    entry.text + repetition(entry),
  ]);
  return [
    `${moment(at)}  ${paint.strong(instance)}  ${STATE_WORD[from]} → ${STATE_WORD[to]} (${why})`,
    `because: ${paint.strong(because)}`,
    "",
    textTable(rows),
    "",
  ].join("\n");
}

function repetition({ count, until, at }: JournalEntry): string {
  return count === 1
    ? ""
    : `, ${count} times, the last ${((until - at) / 1_000).toFixed(3)} s after the first`;
}

export function handoverView(outcomes: readonly PlannedOutcome[], paint: Paint): string {
  return outcomes
    .map(({ instance, result, detail, took, drain }) => {
      const good = result === "handed-over" || result === "taken-back";
      return `${instance}: ${good ? paint.good(result) : paint.bad(result)} after ${took} ms: ${detail}${drainText(drain, paint)}\n`;
    })
    .join("");
}

function drainText(drain: PlannedOutcome["drain"], paint: Paint): string {
  if (drain === undefined) return "";
  const { took, cut } = drain;
  const rest =
    cut === 0 ? "every connection was served to its end" : paint.bad(`${cut} connections were cut`);
  return `\n  drained before in ${took} ms: ${rest}`;
}

export function maintenanceView(answer: MaintenanceAnswer, asked: boolean, paint: Paint): string {
  const { on, outcomes, record, warning } = answer;
  const state = on
    ? `maintenance is on${record?.until === undefined ? "" : ` until ${moment(record.until)}`}`
    : asked
      ? paint.bad("nobody takes over: not in maintenance, master as before (--force: all the same)")
      : "maintenance is off";
  return `${handoverView(outcomes, paint)}${state}\n${warning === undefined ? "" : `${paint.bad(warning)}\n`}`;
}

export function peersView(checks: readonly InstanceCheck[], paint: Paint): string {
  const finding = ({ good, text }: Finding): string => (good ? text : paint.bad(text));
  return checks
    .map(({ instance, settings, peers, findings }) => {
      const lines = [
        ...peers.flatMap(({ address, findings: own }) =>
          own.map((it) => `${address} ${finding(it)}`),
        ),
        ...findings.map(finding),
      ];
      return `${paint.strong(instance)}: ${settings}\n${lines.map((line) => `  ${line}\n`).join("")}`;
    })
    .join("");
}

export function peersAgree(checks: readonly InstanceCheck[]): boolean {
  return checks.every(({ peers, findings }) =>
    [...peers.flatMap((peer) => peer.findings), ...findings].every(({ good }) => good),
  );
}

export function planView(plan: ReloadPreview, paint: Paint): string {
  const lines = [
    ...plan.findings,
    ...(plan.refused === undefined
      ? []
      : [paint.bad(`a reload of ${plan.file} would be refused: ${plan.refused}`)]),
    ...(plan.empty ? ["nothing would change"] : plan.changes),
    ...plan.heldAddressesLost.map((address) =>
      paint.bad(`! ${address} is held by this host, and its sessions would be cut`),
    ),
  ];
  return `${lines.join("\n")}\n`;
}

/** Local time, to the millisecond. */
function moment(at: number): string {
  const date = new Date(at);
  const pad = (value: number, width = 2): string => String(value).padStart(width, "0");
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;
  const time = `${pad(date.getHours())}:${pad(date.getMinutes())}:${pad(date.getSeconds())}`;
  return `${day} ${time}.${pad(date.getMilliseconds(), 3)}`;
}
