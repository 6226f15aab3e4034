import { type Micros, micros } from "@ha/base";
import { loadNative } from "./socket-door.ts";
import { type SystemError, systemError } from "./system-error.ts";

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
  /** Tells the guard of each advert sent (`Guard.fd`, `GuardedRouter.id`), which is a beat too, while the lease holds. */
  readonly guard?: { readonly fd: number; readonly id: number } | undefined;
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
  replace(adverts: readonly PreparedAdvert[], repeat?: boolean): SystemError | undefined;
  setInterval(interval: Micros, lease: Micros): void;
  /** The loop lives: extends the lease from now. False when it had run out: it does not come back by itself, see `resume`. */
  renew(): boolean;
  /** After an expired lease, when the loop has looked at what it missed and is still master. */
  resume(): void;
  figures(): BeaconFigures;
  /** Stops the thread; when this returns, nothing more is sent. */
  stop(): void;
}

interface NativeBeacon {
  add(
    adverts: Uint8Array,
    interval: number,
    lease: number,
    firstAfter: number,
    repeat: number,
    guardFd: number,
    guardId: number,
  ): number;
  replace(id: number, adverts: Uint8Array, repeat: number): number;
  setInterval(id: number, interval: number, lease: number): number;
  renew(id: number, resume: number): number;
  figures(id: number, into: Float64Array): void;
  remove(id: number): void;
  setPriority(priority: number): number;
}

let loaded: NativeBeacon | undefined;
function native(): NativeBeacon {
  loaded ??= loadNative<NativeBeacon>("beacon.node");
  return loaded;
}

/** Begins to send. The thread is one for all beacons. Throws `SystemError` (`EPERM`; `ENOSPC` beyond 1,024 beacons). */
export function startBeacon(options: BeaconOptions): Beacon {
  const id = native().add(
    encodeAdverts(options.adverts),
    options.interval,
    options.lease,
    options.firstAfter ?? options.interval,
    options.repeat === false ? 0 : 1,
    options.guard?.fd ?? -1,
    options.guard?.id ?? 0,
  );
  if (id < 0) throw systemError("start a beacon", id);
  return new ThreadBeacon(id, options.repeat !== false);
}

/** SCHED_RR for the thread of all beacons, 1–99. */
export function setBeaconPriority(priority: number): SystemError | undefined {
  const result = native().setPriority(priority);
  return result < 0
    ? systemError(`give beacons real-time priority ${priority}`, result)
    : undefined;
}

class ThreadBeacon implements Beacon {
  readonly #id: number;
  #repeat: boolean;
  #closed = false;
  #last: BeaconFigures = NOTHING;

  constructor(id: number, repeat: boolean) {
    this.#id = id;
    this.#repeat = repeat;
  }

  get closed(): boolean {
    return this.#closed;
  }

  replace(adverts: readonly PreparedAdvert[], repeat = this.#repeat): SystemError | undefined {
    if (this.#closed) return undefined;
    this.#repeat = repeat;
    const result = native().replace(this.#id, encodeAdverts(adverts), repeat ? 1 : 0);
    return result < 0 ? systemError("replace adverts", result) : undefined;
  }

  setInterval(interval: Micros, lease: Micros): void {
    if (!this.#closed) native().setInterval(this.#id, interval, lease);
  }

  renew(): boolean {
    return !this.#closed && native().renew(this.#id, 0) === 0;
  }

  resume(): void {
    if (!this.#closed) native().renew(this.#id, 1);
  }

  figures(): BeaconFigures {
    if (this.#closed) return this.#last;
    const numbers = new Float64Array(8);
    native().figures(this.#id, numbers);
    const at = (index: number): number => numbers[index] as number;
    return {
      sent: at(0),
      failed: at(1),
      errno: at(2),
      lastSent: micros(at(3)),
      maxLateness: micros(at(4)),
      totalLateness: micros(at(5)),
      leaseExpired: at(6),
      silent: at(7) !== 0,
    };
  }

  stop(): void {
    if (this.#closed) return;
    this.#last = { ...this.figures(), silent: true };
    this.#closed = true;
    native().remove(this.#id);
  }
}

const NOTHING: BeaconFigures = {
  sent: 0,
  failed: 0,
  errno: 0,
  lastSent: micros(0),
  maxLateness: micros(0),
  totalLateness: micros(0),
  leaseExpired: 0,
  silent: true,
};

/** The bytes that `native/beacon.c` describes. */
function encodeAdverts(adverts: readonly PreparedAdvert[]): Uint8Array {
  const sizes = adverts.map((advert) =>
    advert.reduce((sum, { packet }) => sum + 8 + packet.length, 0),
  );
  const bytes = new Uint8Array(sizes.reduce((sum, size) => sum + 4 + size, 0));
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [i, advert] of adverts.entries()) {
    view.setUint32(at, sizes[i] as number, true);
    at += 4;
    for (const { ifindex, packet } of advert) {
      view.setUint32(at, ifindex, true);
      view.setUint32(at + 4, packet.length, true);
      bytes.set(packet, at + 8);
      at += 8 + packet.length;
    }
  }
  return bytes;
}
