import { fail, type Micros, micros, milliseconds, ok, type Result, seconds } from "@ha/base";

/** What the limits of VRRP follow from. */
export interface PairTimes {
  readonly version: 2 | 3;
  readonly advert: Micros;
  /** Priority of the host that takes over. */
  readonly priority: number;
}

/** A duration as drills write it: a sum of times and of the protocol's own intervals. */
export type Limit = readonly LimitTerm[];

interface LimitTerm {
  readonly factor: number;
  readonly unit: LimitUnit;
}

type LimitUnit = "ms" | "s" | "min" | ProtocolTime;
type ProtocolTime = "advert" | "skew" | "master-down";

/** How a limit is written, for messages. */
export const LIMIT_SYNTAX =
  "250ms, 4s, advert, skew, master-down, 2 advert, or a sum: skew + 100ms";

/** Reads `master-down + 500ms`. The error says what a limit looks like. */
export function parseLimit(text: string): Result<Limit, string> {
  const terms: LimitTerm[] = [];
  for (const part of text.split("+")) {
    const match = /^\s*(?:(\d+(?:\.\d+)?)\s*)?(ms|s|min|advert|skew|master-down)\s*$/.exec(part);
    const [, number, unit] = match ?? [];
    if (!isUnit(unit)) return fail(`'${text}' is no duration: write ${LIMIT_SYNTAX}`);
    if (number === undefined && (unit === "ms" || unit === "s" || unit === "min"))
      return fail(`'${text}' lacks a number: write ${LIMIT_SYNTAX}`);
    terms.push({ factor: Number(number ?? 1), unit });
  }
  return ok(terms);
}

/** The duration that a limit is for a pair. */
export function durationOf(limit: Limit, times: PairTimes): Micros {
  return micros(limit.reduce((sum, { factor, unit }) => sum + factor * unitOf(unit, times), 0));
}

/** A duration that has nothing to do with the pair's own intervals, which count as nothing. */
export function fixedDuration(limit: Limit): Micros {
  return durationOf(limit, { version: 3, advert: micros(0), priority: 256 });
}

function unitOf(unit: LimitUnit, times: PairTimes): number {
  switch (unit) {
    case "ms":
      return milliseconds(1);
    case "s":
      return seconds(1);
    case "min":
      return seconds(60);
    case "advert":
      return times.advert;
    case "skew":
      return skewTime(times);
    case "master-down":
      return 3 * times.advert + skewTime(times);
  }
}

/** RFC 3768 §6.1: of version 2 it does not depend on the interval. RFC 9568 §6.1: of version 3 it does. */
function skewTime({ version, advert, priority }: PairTimes): number {
  return ((256 - priority) / 256) * (version === 2 ? seconds(1) : advert);
}

function isUnit(text: string | undefined): text is LimitUnit {
  return text !== undefined && UNITS.has(text);
}

const UNITS: ReadonlySet<string> = new Set(["ms", "s", "min", "advert", "skew", "master-down"]);
