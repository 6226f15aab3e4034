import { formatAddress, type IpAddress, type Micros } from "@ha/base";
import type { AdmissionError } from "./admission.ts";
import type { AdvertError } from "./advert.ts";
import type { AhError } from "./ah.ts";
import type { HmacError } from "./hmac.ts";
import { COUNTED_PEERS } from "./limits.ts";

/** Why a packet was refused. Each name is also the name of its counter. */
export type RefusalReason = AdvertError | AdmissionError | AhError | HmacError;

/** What is counted that is no refusal. */
export type CounterName =
  | "adverts-received"
  | "adverts-sent"
  | "became-master"
  | "released-master"
  | "addresses-differ"
  | "priority-zero-received"
  | "priority-zero-sent";

/** What was seen of one sender. */
export interface PeerStatistics {
  readonly address: IpAddress;
  /** Adverts that were accepted. */
  received: number;
  readonly refused: Map<RefusalReason, number>;
  /** Of the last advert accepted, on the router's clock. */
  lastHeard: Micros | undefined;
  lastPriority: number | undefined;
}

/** Counters of one virtual router, by reason and by peer. */
export class Statistics {
  readonly #counters = new Map<CounterName | RefusalReason, number>();
  readonly #peers = new Map<string, PeerStatistics>();
  #last: PeerStatistics | undefined;

  count(name: CounterName): void {
    this.#counters.set(name, (this.#counters.get(name) ?? 0) + 1);
  }

  heard(from: IpAddress, priority: number, now: Micros): void {
    this.count("adverts-received");
    if (priority === 0) this.count("priority-zero-received");
    const peer = this.#peer(from);
    if (peer === undefined) return;
    peer.received++;
    peer.lastHeard = now;
    peer.lastPriority = priority;
  }

  refused(from: IpAddress, reason: RefusalReason): void {
    this.#counters.set(reason, (this.#counters.get(reason) ?? 0) + 1);
    const refused = this.#peer(from)?.refused;
    refused?.set(reason, (refused.get(reason) ?? 0) + 1);
  }

  get(name: CounterName | RefusalReason): number {
    return this.#counters.get(name) ?? 0;
  }

  /** Every counter that is not zero. */
  entries(): Iterable<readonly [CounterName | RefusalReason, number]> {
    return this.#counters.entries();
  }

  /** Senders in the order in which they were first seen; at most `COUNTED_PEERS`. */
  peers(): Iterable<PeerStatistics> {
    return this.#peers.values();
  }

  /** The sender that was counted last. */
  get latest(): PeerStatistics | undefined {
    return this.#last;
  }

  /** `RTMAX-1`, and the reset of the statistics file. */
  clear(): void {
    this.#counters.clear();
    this.#peers.clear();
    this.#last = undefined;
  }

  #peer(from: IpAddress): PeerStatistics | undefined {
    // Adverts come from one sender as a rule, and its name costs more than all the rest of the counting.
    if (this.#last !== undefined && sameBytes(this.#last.address, from)) return this.#last;
    const name = formatAddress(from);
    let peer = this.#peers.get(name);
    if (peer === undefined) {
      if (this.#peers.size >= COUNTED_PEERS) return undefined;
      peer = {
        address: from,
        received: 0,
        refused: new Map(),
        lastHeard: undefined,
        lastPriority: undefined,
      };
      this.#peers.set(name, peer);
    }
    this.#last = peer;
    return peer;
  }
}

/**
 * Under keepalived's names, as in its statistics file and JSON (observed: keepalived 2.4.3). A name may gather several
 * of our counters; those that keepalived does not count (version, checksum, source …) are in ours alone.
 */
export const KEEPALIVED_COUNTERS: Readonly<
  Record<string, readonly (CounterName | RefusalReason)[]>
> = {
  advert_rcvd: ["adverts-received"],
  advert_sent: ["adverts-sent"],
  become_master: ["became-master"],
  release_master: ["released-master"],
  packet_len_err: ["too-short", "bad-length"],
  advert_interval_err: ["interval-mismatch", "bad-interval"],
  ip_ttl_err: ["bad-ttl"],
  invalid_type_rcvd: ["bad-type"],
  addr_list_err: ["addresses-differ", "addresses-refused"],
  invalid_authtype: ["bad-auth-type"],
  authtype_mismatch: ["auth-type-mismatch"],
  auth_failure: ["auth-failure", "ah-malformed", "ah-mismatch", "ah-replay"],
  // keepalived 2.4 has six of this prefix; which is whose follows from its kinds of refusal.
  auth_ext_missing: ["hmac-missing"],
  auth_ext_malformed: ["hmac-malformed"],
  auth_ext_unknown_key: ["hmac-unknown-key"],
  auth_ext_bad_mac: ["hmac-mismatch"],
  auth_ext_replay: ["hmac-replay"],
  auth_ext_stale: ["hmac-clock"],
  pri_zero_rcvd: ["priority-zero-received"],
  pri_zero_sent: ["priority-zero-sent"],
};

export function keepalivedStatistics(statistics: Statistics): Record<string, number> {
  const result: Record<string, number> = {};
  for (const [name, counters] of Object.entries(KEEPALIVED_COUNTERS)) {
    result[name] = counters.reduce((sum, counter) => sum + statistics.get(counter), 0);
  }
  return result;
}

/**
 * Refusals that a second master with another configuration would cause. The rest is noise that anybody can make from
 * afar, or ourselves.
 */
export const SPLIT_REFUSALS: ReadonlySet<RefusalReason> = new Set<RefusalReason>([
  "bad-version",
  "bad-checksum",
  "bad-auth-type",
  "interval-mismatch",
  "addresses-refused",
  "auth-type-mismatch",
  "auth-failure",
  "ah-mismatch",
  "hmac-missing",
  "hmac-unknown-key",
  "hmac-mismatch",
  "hmac-clock",
]);

function sameBytes(a: IpAddress, b: IpAddress): boolean {
  const { bytes } = a;
  if (bytes.length !== b.bytes.length) return false;
  for (let i = bytes.length - 1; i >= 0; i--) if (bytes[i] !== b.bytes[i]) return false;
  return true;
}
