import { answeredBy, longestOutage, now } from "@ha/lab/namespaces";
import type { Pair, Side } from "../support/pair.ts";
import type { Pairing } from "../support/scenario.ts";

/** What a fault did, as the client, the kernels and the switch saw it. Durations in milliseconds. */
export interface FaultFigures {
  /** The longest time in which the client had no answer; see `longestOutage`. */
  readonly outage: number;
  /** How long both hosts held the address, without what the fault itself makes unavoidable. */
  readonly twoHolders: number;
  /** Who answered the client, one after another. */
  readonly answeredBy: readonly string[];
  /** What else the row is about, by name. */
  readonly more: Readonly<Record<string, number>>;
}

/**
 * One row of the table of failures that keepalived leaves open: the same deed for either daemon. The test holds ours to
 * `holds`; the benchmark prints the figures of both.
 */
export interface Fault {
  /** For a test's name: what ours does, as a sentence that can be false. */
  readonly claim: string;
  /** For the table. */
  readonly title: string;
  /** How often the client asks, in milliseconds. Default 5. */
  readonly probeEvery?: number;
  readonly secondNetwork?: boolean;
  /** What the client asks. Default: the pair's IPv4 address. */
  readonly address?: string;
  /** Whether the gain needs a peer of ours; else it is the same beside keepalived. */
  readonly needsOwnPeer?: boolean;
  /** Programs beside those of the lab. */
  readonly programs?: readonly string[];
  readonly run: (pair: Pair, kinds: Pairing) => Promise<FaultFigures>;
  /** Throws when the figures are not what we claim. */
  readonly holds: (figures: FaultFigures, kinds: Pairing) => void;
}

/** Figures of the time from `since` to now, on the pair's own address. */
export function figures(
  pair: Pair,
  since: number,
  more: Readonly<Record<string, number>> = {},
): FaultFigures {
  const end = now();
  const answers = pair.answers(since, end);
  return {
    outage: longestOutage(answers),
    twoHolders: pair.holders.heldBy(2, pair.address, since, end),
    answeredBy: answeredBy(answers),
    more,
  };
}

/** How many adverts of a host were on the wire since then: none of a backup that was not disturbed. */
export function advertsOf(pair: Pair, side: Side, since: number): number {
  return pair.adverts(side, { since }).length;
}

/** The longest time, in milliseconds, between two adverts of a host since then. */
export function longestSilence(pair: Pair, side: Side, since: number): number {
  const times = pair.adverts(side, { since }).map(({ time }) => time);
  return Math.max(
    ...[since, ...times, now()].map((time, i, all) => (time - (all[i - 1] ?? time)) / 1000),
  );
}
