import { type Micros, micros } from "@ha/base";
import type { Condition } from "./drill.ts";
import { eventsOf, type HistoryEvent } from "./history.ts";
import { durationOf, type PairTimes } from "./limit.ts";
import { answersOf } from "./spell.ts";

export interface Circumstances {
  readonly history: readonly HistoryEvent[];
  readonly times: PairTimes;
  /** Where `answered_by` and the like look when no probe is named. */
  readonly firstProbe: string;
  /** What was before does not count for answers and logs. */
  readonly since: Micros;
  readonly now: Micros;
}

/**
 * Since when a condition has held without a break, as the history shows it; undefined: it does not hold now. Never before
 * `since`.
 */
export function holdsSince(condition: Condition, seen: Circumstances): Micros | undefined {
  let latest: number = seen.since;
  for (const part of parts(condition, seen)) {
    if (part === undefined) return undefined;
    latest = Math.max(latest, part);
  }
  return micros(latest);
}

function parts(condition: Condition, seen: Circumstances): (Micros | undefined)[] {
  const { vip_owner, answered_by, probe_ok, state, served_by, log } = condition;
  return [
    ...(vip_owner === undefined ? [] : [ownedSince(vip_owner, seen)]),
    ...(answered_by === undefined ? [] : [answeredSince(answered_by, seen)]),
    ...(probe_ok === undefined
      ? []
      : [goodSince(probe_ok.probe ?? seen.firstProbe, durationOf(probe_ok.for, seen.times), seen)]),
    ...Object.entries(state ?? {}).map(([host, name]) => stateSince(host, name, seen)),
    ...(served_by === undefined ? [] : [servedSince(served_by, seen)]),
    ...(log === undefined ? [] : [loggedAt(log.on, log.matches, seen)]),
  ];
}

function ownedSince(
  wanted: NonNullable<Condition["vip_owner"]>,
  { history }: Circumstances,
): Micros | undefined {
  const owners = new Set<string>();
  const holds = (): boolean =>
    "count" in wanted ? owners.size === wanted.count : owners.size === 1 && owners.has(wanted.host);
  let since: Micros | undefined = holds() ? micros(0) : undefined;
  for (const { at, host, held } of eventsOf(history, "holder")) {
    if (held) owners.add(host);
    else owners.delete(host);
    since = holds() ? (since ?? at) : undefined;
  }
  return since;
}

function answeredSince(
  wanted: string,
  { history, firstProbe, since }: Circumstances,
): Micros | undefined {
  let first: Micros | undefined;
  for (const { at, until, by, failure } of answersOf(history, firstProbe)) {
    if (failure !== undefined || at < since) continue;
    first = by === wanted ? (first ?? until) : undefined;
  }
  return first;
}

function goodSince(
  probe: string,
  duration: Micros,
  { history, since, now }: Circumstances,
): Micros | undefined {
  let bad: number = since;
  let answered = 0;
  for (const { until, failure } of answersOf(history, probe)) {
    if (failure !== undefined) bad = Math.max(bad, until);
    else answered = Math.max(answered, until);
  }
  const good = bad + duration;
  return now >= good && answered > bad ? micros(good) : undefined;
}

function stateSince(host: string, name: string, { history }: Circumstances): Micros | undefined {
  let since: Micros | undefined;
  for (const event of eventsOf(history, "state")) {
    if (event.host === host) since = event.state === name ? (since ?? event.at) : undefined;
  }
  return since;
}

/** So long nobody else may have served: servers take turns, so that a moment proves nothing. */
const TURNS = micros(500_000);

function servedSince(wanted: readonly string[], seen: Circumstances): Micros | undefined {
  const { history, firstProbe, since, now } = seen;
  let other: number = since;
  const first = new Map<string, Micros>();
  for (const { at, until, server, failure } of answersOf(history, firstProbe)) {
    if (at < since) continue;
    if (failure !== undefined || server === undefined || !wanted.includes(server)) {
      other = Math.max(other, until);
      first.clear();
    } else if (!first.has(server)) {
      first.set(server, until);
    }
  }
  if (now - other < TURNS || first.size < wanted.length) return undefined;
  return micros(Math.max(other, ...first.values()));
}

function loggedAt(
  host: string,
  matches: string,
  { history, since }: Circumstances,
): Micros | undefined {
  const pattern = new RegExp(matches);
  return eventsOf(history, "log").find(
    (line) => line.host === host && line.at >= since && pattern.test(line.text),
  )?.at;
}

/** A condition for people: `lb2 holds the address, lb2 answers`. */
export function describeCondition(condition: Condition): string {
  const { vip_owner, answered_by, probe_ok, state, served_by, log } = condition;
  const words: string[] = [];
  if (vip_owner !== undefined)
    words.push(
      "host" in vip_owner
        ? `${vip_owner.host} alone holds the address`
        : `${vip_owner.count} hold${vip_owner.count === 1 ? "s" : ""} the address`,
    );
  if (answered_by !== undefined) words.push(`${answered_by} answers`);
  if (probe_ok !== undefined) words.push("every request is answered");
  for (const [host, name] of Object.entries(state ?? {})) words.push(`${host} is ${name}`);
  if (served_by !== undefined) words.push(`served by ${served_by.join(" and ")}`);
  if (log !== undefined) words.push(`${log.on} logs /${log.matches}/`);
  return words.join(", ");
}
