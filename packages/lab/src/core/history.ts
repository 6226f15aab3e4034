import type { Micros } from "@ha/base";

/** One request of a probe and what became of it. */
export interface AnswerEvent {
  readonly kind: "answer";
  /** When the request was sent. */
  readonly at: Micros;
  /** When its answer was complete, or it was given up. */
  readonly until: Micros;
  readonly probe: string;
  /** The balancer that answered, by its own word (X-Served-By). */
  readonly by?: string | undefined;
  /** The web server behind it (X-Web). */
  readonly server?: string | undefined;
  /** Why it counts as failed: `refused`, `reset`, `closed`, `timeout`, `status 503`. Absent: answered well. */
  readonly failure?: string | undefined;
}

/**
 * What was seen and done in a drill, in the order of `at`. Times are microseconds since 1970 by the clock of the machine
 * that runs the drill; what was stamped elsewhere has been converted.
 */
export type HistoryEvent =
  | AnswerEvent
  /** A host holds the virtual address from now on, or does not any more. */
  | { readonly kind: "holder"; readonly at: Micros; readonly host: string; readonly held: boolean }
  /** A daemon said what it is now: MASTER, BACKUP, FAULT; or it has ended: `STOPPED`. */
  | { readonly kind: "state"; readonly at: Micros; readonly host: string; readonly state: string }
  | {
      readonly kind: "log";
      readonly at: Micros;
      readonly host: string;
      readonly program: string;
      readonly text: string;
    }
  /** The probing host itself stood still: what it did not see in that time says nothing. */
  | { readonly kind: "stall"; readonly at: Micros; readonly until: Micros; readonly host: string }
  | { readonly kind: "baseline"; readonly at: Micros; readonly until: Micros }
  /** A fault is in force. */
  | { readonly kind: "fault"; readonly at: Micros; readonly what: string }
  | { readonly kind: "heal"; readonly at: Micros; readonly what: string }
  /** An expectation, by the index of its step: met at `until`, or not at all. */
  | {
      readonly kind: "expect";
      readonly at: Micros;
      readonly step: number;
      readonly until?: Micros | undefined;
    }
  /** What did not hold although everything had been undone. */
  | { readonly kind: "unsettled"; readonly at: Micros; readonly what: string }
  /** Nothing is watched after it. */
  | { readonly kind: "end"; readonly at: Micros };

/** What drivers report of their own accord. */
export type Observation = Extract<
  HistoryEvent,
  { readonly kind: "answer" | "holder" | "state" | "log" | "stall" }
>;

/** The state of a host on which no daemon runs. */
export const STOPPED = "STOPPED";

/** `Entering MASTER STATE` of both daemons' logs. */
export function stateInLog(text: string): string | undefined {
  return /\([^)\s]+\) Entering (\w+) STATE/.exec(text)?.[1];
}

/** The events of one kind, in the order of time. */
export function eventsOf<K extends HistoryEvent["kind"]>(
  history: readonly HistoryEvent[],
  kind: K,
): Extract<HistoryEvent, { readonly kind: K }>[] {
  return history
    .filter((event): event is Extract<HistoryEvent, { readonly kind: K }> => event.kind === kind)
    .sort((a, b) => a.at - b.at);
}
