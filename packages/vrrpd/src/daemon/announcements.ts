import { type Clock, type Family, type IpAddress, type Micros, micros, type Timer } from "@ha/base";

/** One address that is to be announced on one interface. */
export interface Announcement {
  readonly address: IpAddress;
  readonly ifindex: number;
  readonly device: string;
  /** 6 bytes; what neighbours are told. */
  readonly mac: Uint8Array;
}

/** Pauses between announcements. keepalived.conf(5), vrrp_garp_interval, garp_group. */
export interface Spacing {
  /** The interfaces of one group share a queue. */
  readonly groupOf: (device: string) => string;
  /** 0: none. */
  readonly intervalOf: (device: string, family: Family) => Micros;
}

/**
 * Gratuitous ARP and neighbour advertisements in their order, at once where no interval is set and spaced otherwise.
 * What a loser has queued can be called back.
 */
export class Announcements {
  spacing: Spacing;
  readonly #clock: Clock;
  readonly #send: (announcement: Announcement) => void;
  readonly #queues = new Map<string, Queue>();

  constructor(clock: Clock, spacing: Spacing, send: (announcement: Announcement) => void) {
    this.#clock = clock;
    this.spacing = spacing;
    this.#send = send;
  }

  /** All addresses once, then all again, `repeat` times in all. observed: keepalived 2.2.7 */
  announce(owner: string, announcements: readonly Announcement[], repeat: number): void {
    for (let i = 0; i < repeat; i++) {
      for (const announcement of announcements) this.#add(owner, announcement);
    }
  }

  /** Forgets what `owner` has not sent yet. */
  cancel(owner: string): void {
    for (const queue of this.#queues.values()) {
      queue.waiting = queue.waiting.filter((entry) => entry.owner !== owner);
    }
  }

  close(): void {
    for (const queue of this.#queues.values()) queue.timer?.cancel();
    this.#queues.clear();
  }

  #add(owner: string, announcement: Announcement): void {
    const { family } = announcement.address;
    const interval = this.spacing.intervalOf(announcement.device, family);
    if (interval === 0) {
      this.#send(announcement);
      return;
    }
    const key = `${family} ${this.spacing.groupOf(announcement.device)}`;
    let queue = this.#queues.get(key);
    if (queue === undefined) {
      queue = { waiting: [], timer: undefined, freeAt: this.#clock.now() };
      this.#queues.set(key, queue);
    }
    queue.waiting.push({ owner, announcement, interval });
    this.#pump(queue);
  }

  #pump(queue: Queue): void {
    if (queue.timer !== undefined) return;
    for (;;) {
      const next = queue.waiting[0];
      if (next === undefined) return;
      const wait = micros(queue.freeAt - this.#clock.now());
      if (wait > 0) {
        queue.timer = this.#clock.after(wait, () => {
          queue.timer = undefined;
          this.#pump(queue);
        });
        return;
      }
      queue.waiting.shift();
      queue.freeAt = micros(this.#clock.now() + next.interval);
      this.#send(next.announcement);
    }
  }
}

interface Queue {
  waiting: {
    readonly owner: string;
    readonly announcement: Announcement;
    readonly interval: Micros;
  }[];
  timer: Timer | undefined;
  /** When the next one may go out. */
  freeAt: Micros;
}
