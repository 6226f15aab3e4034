import type { Micros } from "@ha/base";
import type { SystemError } from "./system-error.ts";

/** One packet to be sent: from its IP header on, and by which interface (0: as routing says). */
export interface PreparedPacket {
  readonly packet: Uint8Array;
  readonly ifindex: number;
}

/** One interval's worth: an advert to the group, or one to each unicast peer. */
export type PreparedAdvert = readonly PreparedPacket[];

export interface BeaconOptions {
  readonly interval: Micros;
  /**
   * Without `renew` for so long the thread falls silent, since the loop that should hear and decide is stuck.
   * Less than the peers' down timer: two intervals are usual.
   */
  readonly lease: Micros;
  /** Sent one after another, an interval each, over and over; one is enough unless HMAC or AH bind them to time. */
  readonly adverts: readonly PreparedAdvert[];
  /** Whether to start again with the first advert after the last, or to stop there (`exhausted`). True. */
  readonly repeat?: boolean;
  /** The first goes out this much from now; one interval. */
  readonly firstAfter?: Micros;
  /** Beats for the guard from the thread as well, while the lease holds. */
  readonly guard?: { readonly fd: number } | undefined;
}

/** What a beacon has done. Times are from the thread's clock, CLOCK_MONOTONIC. */
export interface BeaconFigures {
  readonly sent: number;
  readonly failed: number;
  /** The last error's number, or 0. */
  readonly errno: number;
  /** Time of the last advert on CLOCK_MONOTONIC, or 0: `process.hrtime` has the same clock. */
  readonly lastSent: Micros;
  /** How late adverts were, against the moment planned. */
  readonly maxLateness: Micros;
  readonly totalLateness: Micros;
  /** How often the lease ran out and adverts stopped. */
  readonly leaseExpired: number;
  /** Whether it is silent at the moment: lease over, or nothing left to send. */
  readonly silent: boolean;
}

/** A thread that sends adverts on time whatever the event loop does. For intervals below 100 ms. */
export interface Beacon {
  readonly closed: boolean;
  /** Replaces what is sent from the next interval on; for new priorities and fresh digests. */
  replace(adverts: readonly PreparedAdvert[]): SystemError | undefined;
  setInterval(interval: Micros, lease: Micros): void;
  /** The loop lives: extends the lease from now. An expired lease does not come back by itself: see `resume`. */
  renew(): void;
  /** After an expired lease, when the loop has looked at what it missed and is still master. */
  resume(): void;
  figures(): BeaconFigures;
  /** Stops the thread; when this returns, nothing more is sent. */
  stop(): void;
}
