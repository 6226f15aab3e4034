import type { Micros } from "@ha/base";
import type { HealthPolicy } from "../config/server-model.ts";

/** What an administrator, an agent, or the file's `disabled` wants of a server. */
export type AdminState = "ready" | "drain" | "maint";

/** A server's life as values: the daemon keeps one for each server and feeds it events. */
export interface ServerHealth {
  /** HAProxy's four states: `starting` is slowstart, `stopping` a server that answers 404 to its checks. */
  readonly operational: "stopped" | "starting" | "running" | "stopping";
  readonly admin: AdminState;
  /** The server it tracks is in maintenance (or this one was made so through it). */
  readonly inheritedMaint: boolean;
  readonly inheritedDrain: boolean;
  /** 0 to rise+fall-1; at least `rise` is up. */
  readonly health: number;
  /** The same for the agent; meaningful with `agent-check`. */
  readonly agentHealth: number;
  readonly checksEnabled: boolean;
  readonly agentEnabled: boolean;
  /** Errors in a row seen in traffic by `observe`. */
  readonly errors: number;
  /** The user's weight, 0–256, as the API or the agent last set it. */
  readonly weight: number;
  /** Of the last change of `operational`. */
  readonly changedAt: Micros;
  /** How many checks failed while up, and how often it went down, since start: `chkfail`, `chkdown`. */
  readonly failedChecks: number;
  readonly timesDown: number;
  /** Total time spent down before `changedAt`. */
  readonly downtime: Micros;
}

export type HealthEvent =
  | { readonly type: "check"; readonly result: "pass" | "condpass" | "fail"; readonly at: Micros }
  | { readonly type: "agent"; readonly report: AgentReport; readonly at: Micros }
  /** One transaction, with `observe`. */
  | { readonly type: "observed"; readonly good: boolean; readonly at: Micros }
  | { readonly type: "admin"; readonly state: AdminState; readonly at: Micros }
  /** `set server health up|stopping|down`, `set server agent up|down`. */
  | {
      readonly type: "force";
      readonly of: "check" | "agent";
      readonly to: "up" | "stopping" | "down";
      readonly at: Micros;
    }
  | {
      readonly type: "enable";
      readonly of: "check" | "agent";
      readonly on: boolean;
      readonly at: Micros;
    }
  | { readonly type: "weight"; readonly weight: number; readonly at: Micros }
  /** The tracked server changed. */
  | { readonly type: "tracked"; readonly tracked: ServerHealth; readonly at: Micros }
  /** The end of slowstart, or a step of it. */
  | { readonly type: "tick"; readonly at: Micros };

/** What one answer of an agent said; fields that it left out are undefined. */
export interface AgentReport {
  readonly state: "up" | "down" | "stopped" | "failed" | undefined;
  readonly admin: "ready" | "drain" | "maint" | undefined;
  /** Percent of the file's weight, 0–25600. */
  readonly weightPercent: number | undefined;
  readonly maxconn: number | undefined;
  /** The words after `#` or the state: shown in logs. */
  readonly reason: string;
}

/** What follows from an event, in order. */
export type HealthAction =
  /** The line HAProxy logs and `show stat` counts; `to` is the word after "is". */
  | {
      readonly type: "log";
      readonly change:
        | "UP"
        | "DOWN"
        | "going DOWN"
        | "going UP"
        | "DRAIN"
        | "READY"
        | "MAINT"
        | "stopping";
    }
  /** Columns of `Servers` to set. */
  | { readonly type: "publish" }
  /** `on-marked-down shutdown-sessions` (or a maintenance with it). */
  | { readonly type: "shutdown-sessions" }
  /** `on-marked-up shutdown-backup-sessions`. */
  | { readonly type: "shutdown-backup-sessions" }
  /** Requests in the server's own queue go back to the backend. */
  | { readonly type: "redistribute" }
  /** Requests in the backend's queue may come. */
  | { readonly type: "grab-queue" }
  /** Check again at this interval instead. */
  | { readonly type: "check-soon"; readonly after: Micros }
  | { readonly type: "set-maxconn"; readonly maxconn: number };

export interface HealthStep {
  readonly state: ServerHealth;
  readonly actions: readonly HealthAction[];
}

/** What the machine needs of the server's line. */
export interface HealthSettings
  extends Pick<
    HealthPolicy,
    | "rise"
    | "fall"
    | "inter"
    | "fastinter"
    | "downinter"
    | "observe"
    | "errorLimit"
    | "onError"
    | "onMarkedDown"
    | "onMarkedUp"
    | "initState"
  > {
  readonly slowstart: Micros;
  readonly checked: boolean;
  readonly agent: boolean;
  readonly agentRise: number;
  readonly agentFall: number;
  readonly disabled: boolean;
  readonly initialWeight: number;
}
