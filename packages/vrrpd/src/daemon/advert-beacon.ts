import { type Micros, micros, milliseconds } from "@ha/base";
import { type Beacon, type PreparedAdvert, startBeacon } from "@ha/linux";
import type { OutgoingPacket } from "../core/ports.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { Log } from "./log.ts";
import { wholePacket } from "./whole-packet.ts";

/** Below this interval adverts come from the timer thread. */
const THREAD_BELOW = milliseconds(100);
/** How long the thread speaks for a loop that does not answer; then the guard takes over. */
const SHORTEST_LEASE = milliseconds(300);

/**
 * Adverts of short intervals from a thread of their own, which a busy loop or a garbage collection cannot delay. The
 * loop keeps its own timers, and renews the thread's lease at each of them: a loop that hangs falls silent in the end.
 */
export class AdvertBeacons {
  readonly #log: Log;
  readonly #beacons = new Map<string, { readonly beacon: Beacon; sent: number }>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** An advert is about to go out. True when the thread sends it. */
  onSend(instance: InstanceRuntime, packet: OutgoingPacket): boolean {
    const { router } = instance.router;
    if (packet.kind === "farewell") {
      this.stop(instance);
      return false;
    }
    if (packet.kind !== "regular" || router.interval >= THREAD_BELOW) return false;
    // Digests bind these to their moment, and the thread has no key.
    if (router.hmac !== undefined || router.authentication.type === "ah") return false;
    const known = this.#beacons.get(instance.name);
    if (known === undefined) {
      this.#start(instance);
      return false;
    }
    const { beacon } = known;
    beacon.renew();
    const figures = beacon.figures();
    const count = figures.sent - known.sent;
    known.sent = figures.sent;
    if (figures.silent) {
      // The router has looked at what it missed and is still master.
      beacon.resume();
      return false;
    }
    // CLOCK_MONOTONIC of the thread is not the loop's zero: "now" is near enough, since it has just been sent.
    if (count > 0) instance.router.sentElsewhere(count, instance.now());
    return true;
  }

  /** Priority, source or settings are others. */
  refresh(instance: InstanceRuntime): void {
    const known = this.#beacons.get(instance.name);
    if (known === undefined) return;
    const { interval } = instance.router.router;
    if (interval >= THREAD_BELOW) {
      this.stop(instance);
      return;
    }
    known.beacon.replace(advertsOf(instance));
    known.beacon.setInterval(interval, leaseOf(interval));
  }

  stop({ name }: InstanceRuntime): void {
    this.#beacons.get(name)?.beacon.stop();
    this.#beacons.delete(name);
  }

  close(): void {
    for (const { beacon } of this.#beacons.values()) beacon.stop();
    this.#beacons.clear();
  }

  #start(instance: InstanceRuntime): void {
    const { interval } = instance.router.router;
    try {
      const beacon = startBeacon({
        interval,
        lease: leaseOf(interval),
        adverts: advertsOf(instance),
        repeat: true,
      });
      this.#beacons.set(instance.name, { beacon, sent: 0 });
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#log.warning(`(${instance.name}) adverts come from the main loop: ${why}`);
    }
  }
}

function advertsOf(instance: InstanceRuntime): readonly PreparedAdvert[] {
  const ifindex = instance.advertIndex();
  return instance.router
    .prepare(1)
    .adverts.map((packets) => packets.map((packet) => ({ packet: wholePacket(packet), ifindex })));
}

function leaseOf(interval: Micros): Micros {
  return micros(Math.max(3 * interval, SHORTEST_LEASE));
}
