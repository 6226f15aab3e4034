import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { type DaemonKind, missing } from "@ha/lab/namespaces";
import { Pair, type PairOptions } from "./pair.ts";

/** Which daemons run on lb1 and lb2. */
export interface Pairing {
  readonly lb1: DaemonKind;
  readonly lb2: DaemonKind;
}

const MIXED: readonly Pairing[] = [
  { lb1: "vrrpd", lb2: "keepalived" },
  { lb1: "keepalived", lb2: "vrrpd" },
];
const OWN: readonly Pairing[] = [{ lb1: "vrrpd", lb2: "vrrpd" }];

/**
 * The pairings that the tests run: ours beside the real keepalived both ways round, and against itself. With
 * `PAIRING=keepalived+keepalived` it is that one alone: so the tests themselves are tried on what they must agree with.
 */
export function pairings(): readonly Pairing[] {
  const chosen = process.env["PAIRING"];
  if (chosen === undefined) return [...MIXED, ...OWN];
  const [lb1, lb2] = chosen.split("+").map(readKind);
  if (lb1 === undefined || lb2 === undefined)
    throw new Error(`PAIRING=${chosen}: write it as vrrpd+keepalived`);
  return [{ lb1, lb2 }];
}

function readKind(text: string): DaemonKind {
  if (text === "keepalived" || text === "vrrpd") return text;
  throw new Error(`PAIRING knows keepalived and vrrpd, not '${text}'`);
}

/**
 * One test a pairing, each on a pair of hosts of its own, whose daemons `body` starts. A failure shows both logs.
 *
 * @param claim What is tested, as a sentence that can be false.
 */
export function scenario(
  claim: string,
  body: (pair: Pair, kinds: Pairing) => Promise<void>,
  {
    only = pairings(),
    timeoutMs = 90_000,
    programs = [],
    ...options
  }: PairOptions & {
    only?: readonly Pairing[];
    timeoutMs?: number;
    programs?: readonly string[];
  } = {},
): void {
  for (const kinds of only) {
    const needed = kinds.lb1 === "keepalived" || kinds.lb2 === "keepalived" ? ["keepalived"] : [];
    const skip = missing(...needed, ...programs);
    test(`${kinds.lb1} and ${kinds.lb2}: ${claim}`, { skip, timeout: timeoutMs }, async () => {
      const pair = await Pair.open(options);
      try {
        await body(pair, kinds);
      } catch (error) {
        const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
        throw new Error(`${text}\n--- logs, with seconds since each start\n${pair.logs()}`);
      } finally {
        await pair.close();
      }
    });
  }
}

/** Fails unless `low` ≤ `value` ≤ `high`, and says which value it was. */
export function assertBetween(what: string, value: number, low: number, high: number): void {
  assert.ok(
    value >= low && value <= high,
    `${what}: ${value.toFixed(1)} is not from ${low} to ${high}`,
  );
}

/**
 * Master_Down_Interval in milliseconds: RFC 3768 §6.1, RFC 9568 §6.1. Skew does not depend on the interval in version 2.
 */
export function masterDown({ version, interval, priority }: Timers): number {
  return 3 * interval * 1000 + skew({ version, interval, priority });
}

/** Skew_Time in milliseconds: how long a backup waits after a priority-0 advert. */
export function skew({ version, interval, priority }: Timers): number {
  const unit = version === 2 ? 1000 : interval * 1000;
  return ((256 - priority) / 256) * unit;
}

export interface Timers {
  readonly version: 2 | 3;
  /** Seconds. */
  readonly interval: number;
  /** Of the backup. */
  readonly priority: number;
}
