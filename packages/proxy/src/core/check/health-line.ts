import type { HealthAction, HealthSettings, ServerHealth } from "../server/health-model.ts";
import { CHECK_STATUSES, type CheckResult, reasonText } from "./check-status.ts";

/** A line about a server's life: its text, and how important it is (0 emerg – 7 debug). */
export interface HealthLine {
  readonly level: number;
  readonly text: string;
  /** As it stands on standard error, where that differs. */
  readonly consoleText?: string;
}

/** Levels of syslog. */
const EMERG = 0;
const ALERT = 1;
const NOTICE = 5;

/** Names and counts that lines tell of. */
export interface HealthLineFacts {
  readonly proxy: string;
  readonly server: string;
  readonly backup: boolean;
  /** Of the whole backend, after the change: servers that take new work. */
  readonly active: number;
  readonly backups: number;
  /** Requests at the server now; moved elsewhere; still waiting for it. */
  readonly sessions: number;
  readonly requeued: number;
  readonly queued: number;
}

/** Why a server changed: what stands after the state in its line. */
export type HealthCause =
  /** With `option log-health-checks` the check has a line of its own, and the reason is not said twice. */
  | { readonly type: "check"; readonly result: CheckResult; readonly isLogged: boolean }
  | { readonly type: "track"; readonly proxy: string; readonly server: string }
  /** "changed from CLI". */
  | { readonly type: "told"; readonly text: string }
  | { readonly type: "none" };

type Change = Extract<HealthAction, { type: "log" }>["change"];

/** The line of a change, word for word HAProxy's. Observed: haproxy 2.6.12. */
export function healthLine(
  change: Change,
  before: ServerHealth,
  after: ServerHealth,
  facts: HealthLineFacts,
  cause: HealthCause,
): HealthLine {
  const name = `${facts.backup ? "Backup " : ""}Server ${facts.proxy}/${facts.server}`;
  const down = after.operational === "stopped";
  switch (change) {
    case "DOWN":
    case "going DOWN":
      return { level: ALERT, text: `${name} is DOWN${causeText(cause)}. ${left(facts)}` };
    case "stopping":
      return { level: NOTICE, text: `${name} is stopping${causeText(cause)}. ${online(facts)}` };
    case "DRAIN":
      return before.admin === "maint"
        ? {
            level: NOTICE,
            text: `${name} is ${down ? "DOWN" : "UP"}/DRAIN (leaving forced maintenance).`,
          }
        : { level: NOTICE, text: `${name} enters drain state${via(cause)}. ${online(facts)}` };
    case "MAINT":
      return before.operational === "stopped"
        ? { level: NOTICE, text: `${name} was DOWN and now enters maintenance${via(cause)}.` }
        : {
            level: ALERT,
            text: `${name} is going DOWN for maintenance${via(cause)}. ${left(facts)}`,
          };
    case "READY": {
      const word = down ? "DOWN" : "UP";
      if (before.inheritedMaint && !after.inheritedMaint) {
        return { level: NOTICE, text: `${name} is ${word}/READY (leaving maintenance).` };
      }
      if (before.admin === "maint") {
        return { level: NOTICE, text: `${name} is ${word}/READY (leaving forced maintenance).` };
      }
      const forced = before.admin === "drain" ? "forced drain" : "drain";
      return { level: NOTICE, text: `${name} is ${word} (leaving ${forced}).` };
    }
    default:
      return { level: NOTICE, text: `${name} is UP${causeText(cause)}. ${online(facts)}` };
  }
}

/** A backend lost its last server. */
export function noServerLine(kind: "backend" | "listen" | "frontend", name: string): HealthLine {
  const word = kind === "listen" ? "proxy" : kind;
  return {
    level: EMERG,
    text: `${word} ${name} has no server available!`,
    consoleText: `${word} '${name}' has no server available!`,
  };
}

/** `option log-health-checks`: one check's line. Undefined for what says nothing about the server. */
export function checkLine(
  of: "Health" | "Agent",
  result: CheckResult,
  health: { readonly value: number; readonly rise: number; readonly fall: number },
  facts: Pick<HealthLineFacts, "proxy" | "server" | "backup">,
): HealthLine | undefined {
  const word = WORDS[CHECK_STATUSES[result.status].result];
  if (word === undefined) return undefined;
  const { value, rise, fall } = health;
  const state = value >= rise ? `${value - rise + 1}/${fall} UP` : `${value}/${rise} DOWN`;
  const name = `${facts.backup ? "backup " : ""}server ${facts.proxy}/${facts.server}`;
  return {
    level: NOTICE,
    text: `${of} check for ${name} ${word}${reasonText(result)}, status: ${state}.`,
  };
}

const WORDS: Readonly<Record<string, string | undefined>> = {
  fail: "failed",
  pass: "succeeded",
  condpass: "conditionally succeeded",
};

/** `X-Haproxy-Server-State` of `http-check send-state`. HAProxy configuration manual §4.2; observed: haproxy 2.6.12. */
export function stateHeader(
  state: ServerHealth,
  settings: HealthSettings,
  facts: {
    readonly address: string;
    readonly port: string;
    readonly proxy: string;
    readonly server: string;
    readonly node: string;
    readonly weight: number;
    readonly totalWeight: number;
    readonly sessions: number;
    readonly backendSessions: number;
    readonly queued: number;
    /** Percent of the weight during slowstart. */
    readonly throttle: number | undefined;
  },
): string {
  const { rise, fall } = settings;
  const { health } = state;
  const word =
    state.operational === "stopped"
      ? health > 0
        ? `DOWN ${health}/${rise}`
        : "DOWN"
      : `${state.operational === "stopping" ? "NOLB" : "UP"}${health < rise + fall - 1 ? ` ${health - rise + 1}/${fall}` : ""}`;
  let line = `${word}; address=${facts.address}; port=${facts.port}; name=${facts.proxy}/${facts.server}; node=${facts.node}`;
  line += `; weight=${facts.weight}/${facts.totalWeight}; scur=${facts.sessions}/${facts.backendSessions}; qcur=${facts.queued}`;
  return facts.throttle === undefined ? line : `${line}; throttle=${facts.throttle}%`;
}

function causeText(cause: HealthCause): string {
  switch (cause.type) {
    case "check":
      return cause.isLogged ? "" : reasonText(cause.result);
    case "track":
      return via(cause);
    case "told":
      return `, ${cause.text}`;
    default:
      return "";
  }
}

function via(cause: HealthCause): string {
  return cause.type === "track" ? ` via ${cause.proxy}/${cause.server}` : "";
}

function left(facts: HealthLineFacts): string {
  return `${facts.active} active and ${facts.backups} backup servers left.${onBackup(facts)} ${facts.sessions} sessions active, ${facts.requeued} requeued, ${facts.queued} remaining in queue.`;
}

function online(facts: HealthLineFacts): string {
  return `${facts.active} active and ${facts.backups} backup servers online.${onBackup(facts)} ${facts.requeued} sessions requeued, ${facts.queued} total in queue.`;
}

function onBackup({ active, backups }: HealthLineFacts): string {
  return active === 0 && backups > 0 ? " Running on backup." : "";
}
