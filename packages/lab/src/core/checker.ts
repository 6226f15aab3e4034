import { type Micros, micros, seconds, toMilliseconds } from "@ha/base";
import { describeCondition } from "./condition.ts";
import type { Check, Drill } from "./drill.ts";
import { eventsOf, type HistoryEvent, STOPPED } from "./history.ts";
import type { Inventory } from "./inventory.ts";
import { durationOf, type Limit, type PairTimes } from "./limit.ts";
import type { ProgramCount, ProgramLimit } from "./limit-schema.ts";
import { type Programs, valuesFor } from "./programs.ts";
import {
  answerRuns,
  answersOf,
  longestFlips,
  longestGap,
  longestHeld,
  type Spell,
} from "./spell.ts";

export type Verdict = "PASS" | "FAIL" | "SKIPPED" | "INCONCLUSIVE";

/** One thing that was claimed, and what was found. */
export interface Finding {
  readonly claim: string;
  /** What was found: `612 ms`, `lb1 lb2 lb1`. */
  readonly found: string;
  /** What is allowed; absent where the claim says it all. */
  readonly limit?: string;
  readonly good: boolean;
}

export interface Judgement {
  readonly verdict: Verdict;
  /** Why it is SKIPPED or INCONCLUSIVE, or what is known about a FAIL. */
  readonly reason?: string;
  readonly findings: readonly Finding[];
}

/** Everything that a judgement rests on. The drill's plan is the one that was in force. */
export interface Evidence {
  readonly drill: Drill;
  readonly times: PairTimes;
  readonly slack: Inventory["slack"];
  readonly programs: Programs;
  readonly history: readonly HistoryEvent[];
}

/** Judges a drill that has run to its end. */
export function judge(evidence: Evidence): Judgement {
  const disturbed = disturbance(evidence);
  const findings = [...judgeExpectations(evidence), ...judgeChecks(evidence)];
  if (disturbed !== undefined) return { verdict: "INCONCLUSIVE", reason: disturbed, findings };
  const known = knownFailure(evidence);
  if (findings.every(({ good }) => good)) {
    return {
      verdict: "PASS",
      findings,
      ...(known === undefined ? {} : { reason: `passed, although known to fail: ${known}` }),
    };
  }
  const stall = stalledFor(evidence);
  if (stall > floorOf(evidence)) {
    const reason = `the machine itself stood still for ${inMs(stall)}`;
    return { verdict: "INCONCLUSIVE", reason, findings };
  }
  return {
    verdict: "FAIL",
    findings,
    ...(known === undefined ? {} : { reason: `as known: ${known}` }),
  };
}

function knownFailure({ drill, programs }: Evidence): string | undefined {
  const { keepalived, haproxy } = drill.known_to_fail;
  if (programs.daemon === "keepalived" && keepalived !== undefined) return keepalived;
  return programs.proxy === "haproxy" ? haproxy : undefined;
}

/** What was wrong before anything was done. */
function disturbance(evidence: Evidence): string | undefined {
  const { drill, history } = evidence;
  const [baseline] = eventsOf(history, "baseline");
  if (baseline === undefined) return "no baseline was recorded";
  const window = { from: baseline.at, to: baseline.until };
  for (const { id } of drill.probes) {
    const answers = answersOf(history, id);
    const failed = answers.filter(
      ({ at, until, failure }) => failure !== undefined && isIn(at, window) && isIn(until, window),
    ).length;
    if (failed > 0) return `${failed} requests of probe '${id}' failed before anything was done`;
    const gap = longestGap(answers, window);
    if (gap.to - gap.from > floorOf(evidence))
      return `probe '${id}' waited ${inMs(gap.to - gap.from)} before anything was done`;
  }
  return undefined;
}

function judgeExpectations({ drill, ...evidence }: Evidence): Finding[] {
  const { history } = evidence;
  return eventsOf(history, "expect").flatMap(({ at, until, step }): Finding[] => {
    const one = drill.steps[step];
    if (one === undefined || !("expect" in one)) return [];
    const allowed = allowance(one.expect.within, evidence);
    const took = until === undefined ? undefined : until - at;
    return [
      {
        claim: `${step + 1}. ${describeCondition(one.expect)}`,
        found: took === undefined ? "never" : inMs(took),
        limit: allowed === undefined ? "not judged" : inMs(allowed),
        good: allowed === undefined || (took !== undefined && took <= allowed),
      },
    ];
  });
}

function judgeChecks(evidence: Evidence): Finding[] {
  const { drill, history } = evidence;
  const first = eventsOf(history, "fault")[0];
  const end = eventsOf(history, "end")[0];
  if (first === undefined || end === undefined)
    return [{ claim: "the drill ran to its end", found: "it did not", good: false }];
  const window = { from: first.at, to: end.at };
  const settled = eventsOf(history, "unsettled")[0];
  return [
    ...drill.check.flatMap((check) => judgeCheck(check, window, evidence)),
    {
      claim: "steady in the end",
      found: settled === undefined ? "yes" : `not ${settled.what}`,
      good: settled === undefined,
    },
  ];
}

function judgeCheck(check: Check, window: Spell, evidence: Evidence): Finding[] {
  const { history } = evidence;
  if ("two_owners" in check) {
    const found = longestHeld(history, window, (count) => count > 1);
    return [timed("two hold the address at once", found, check.two_owners, evidence)];
  }
  if ("no_owner" in check) {
    const found = longestHeld(history, window, (count) => count === 0);
    return [timed("nobody holds the address", found, check.no_owner, evidence)];
  }
  if ("vrrp_transitions" in check)
    return Object.entries(check.vrrp_transitions).map(([host, wanted]) =>
      judgeTransitions(host, wanted, window, evidence),
    );
  const answers = answersOf(history, check.probe);
  // What was under way when the fault came may be its victim; what hangs since before the baseline is not.
  const since = eventsOf(history, "baseline")[0]?.at ?? window.from;
  const asked = answers.filter(({ at, until }) => at >= since && isIn(until, window));
  if ("longest_gap" in check) {
    const before = answers.filter(({ until }) => until < window.from).at(-1);
    const gap = longestGap(answers, { from: before?.until ?? window.from, to: window.to });
    return [timed("the client waits", gap.to - gap.from, check.longest_gap, evidence)];
  }
  if ("slowest" in check) {
    const slowest = Math.max(
      0,
      ...asked.filter(({ failure }) => failure === undefined).map(({ at, until }) => until - at),
    );
    return [timed("slowest answer", slowest, check.slowest, evidence)];
  }
  if ("two_answerers" in check) {
    const flips = longestFlips(answerRuns(asked));
    return [timed("two hosts answer by turns", flips, check.two_answerers, evidence)];
  }
  if ("failed" in check) {
    const failed = asked.filter(({ failure }) => failure !== undefined);
    return [counted("requests failed", failed.length, check.failed, evidence, kindsOf(failed))];
  }
  const known = answers.filter(({ until }) => until < window.from);
  const names = answerRuns([...known.slice(-1), ...asked]).map(({ by }) => by);
  const wanted = check.answered_by.join(" ");
  return [
    {
      claim: "answered by",
      found: names.join(" ") || "nobody",
      limit: wanted,
      good: names.join(" ") === wanted,
    },
  ];
}

function judgeTransitions(
  host: string,
  wanted: ProgramCount,
  window: Spell,
  evidence: Evidence,
): Finding {
  let state: string | undefined;
  let count = 0;
  for (const event of eventsOf(evidence.history, "state")) {
    if (event.host !== host || event.at > window.to) continue;
    // That a daemon ended is no transition of it, nor is what it begins with.
    const isChange = event.state !== STOPPED && state !== STOPPED && event.state !== state;
    if (event.at > window.from && isChange) count++;
    state = event.state;
  }
  const values = countsOf(wanted, evidence.programs);
  return {
    claim: `state changes of ${host}`,
    found: String(count),
    limit: values === "any" ? "not judged" : values.join(" or "),
    good: values === "any" || values.includes(count),
  };
}

function timed(claim: string, found: number, limit: ProgramLimit, evidence: Evidence): Finding {
  const allowed = allowance(limit, evidence);
  return {
    claim,
    found: inMs(found),
    limit: allowed === undefined ? "not judged" : inMs(allowed),
    good: allowed === undefined || found <= allowed,
  };
}

function counted(
  claim: string,
  found: number,
  wanted: ProgramCount,
  evidence: Evidence,
  kinds: string,
): Finding {
  const values = countsOf(wanted, evidence.programs);
  const most = values === "any" ? undefined : Math.max(...values);
  return {
    claim,
    found: kinds === "" ? String(found) : `${found} (${kinds})`,
    limit: most === undefined ? "not judged" : String(most),
    good: most === undefined || found <= most,
  };
}

/** How long something may take in this run, slack included; undefined: it is not judged. */
export function allowance(
  limit: ProgramLimit,
  { times, slack, programs }: Pick<Evidence, "times" | "slack" | "programs">,
): Micros | undefined {
  const limits = isLimit(limit) ? [limit] : valuesFor(limit, programs);
  if (limits === "any") return undefined;
  const longest = Math.max(...limits.map((one) => durationOf(one, times)));
  return micros(longest * slack.time_factor + seconds(slack.floor_s));
}

function isLimit(limit: ProgramLimit): limit is Limit {
  return Array.isArray(limit);
}

function countsOf(wanted: ProgramCount, programs: Programs): readonly number[] | "any" {
  return typeof wanted === "number" ? [wanted] : valuesFor(wanted, programs);
}

function kindsOf(failed: readonly { readonly failure?: string | undefined }[]): string {
  const kinds = new Map<string, number>();
  for (const { failure = "" } of failed) kinds.set(failure, (kinds.get(failure) ?? 0) + 1);
  return [...kinds].map(([kind, count]) => `${kind} ${count}`).join(", ");
}

/** How long the prober was held up in all: what it did not see then says nothing. */
function stalledFor({ history }: Evidence): number {
  return eventsOf(history, "stall").reduce((sum, { at, until }) => sum + until - at, 0);
}

const floorOf = ({ slack }: Evidence): Micros => seconds(slack.floor_s);

const isIn = (time: Micros, { from, to }: Spell): boolean => time >= from && time <= to;

/** `612 ms`, `3.61 s`. */
export function inMs(duration: number): string {
  const ms = toMilliseconds(micros(duration));
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
