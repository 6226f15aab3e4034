import { type Clock, type Micros, micros, milliseconds } from "@ha/base";
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

  /** From the protocol's clock to CLOCK_MONOTONIC, which the thread has. */
  readonly #clockOffset: number;

  constructor(log: Log, clock: Clock) {
    this.#log = log;
    this.#clockOffset = Number(process.hrtime.bigint() / 1_000n) - clock.now();
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
    if (beacon.figures().silent) {
      // The router has looked at what it missed and is still master.
      beacon.resume();
      return false;
    }
    return true;
  }

  /**
   * Before a router judges how late it is, it must know what the thread has sent meanwhile: a loop that stood still is
   * no pause for the peers as long as the thread spoke.
   */
  sync(instance: InstanceRuntime): void {
    if (this.#beacons.size === 0) return;
    const known = this.#beacons.get(instance.name);
    if (known === undefined) return;
    const { sent, lastSent } = known.beacon.figures();
    const count = sent - known.sent;
    if (count <= 0) return;
    known.sent = sent;
    instance.router.sentElsewhere(count, micros(lastSent - this.#clockOffset));
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
