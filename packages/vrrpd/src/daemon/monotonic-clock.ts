import { type Clock, type Micros, micros, milliseconds, type Timer, TimerQueue } from "@ha/base";
import { type Alarm, openAlarm } from "@ha/linux";

/** How late timers were, since the start. */
export interface Lateness {
  /** Timers that fired. */
  readonly fired: number;
  /** Those that were late by more than `STALL`. */
  readonly stalls: number;
  readonly worst: Micros;
  /** Of the last one that fired. */
  readonly last: Micros;
}

/**
 * A timer that fires later than this means that the process or the host stood still; it is counted and told. (What
 * arrived meanwhile is heard before a master is believed dead: `Ports.drain`.)
 */
export const STALL = milliseconds(2);

/**
 * The daemon's time: CLOCK_MONOTONIC in microseconds, timers to an absolute deadline. One alarm of the kernel serves
 * them all, since a Node timer is exact to a millisecond only, which a takeover would feel three times over.
 */
export class MonotonicClock implements Clock {
  readonly #timers = new TimerQueue();
  readonly #onStall: (lateness: Micros) => void;
  #alarm: Alarm | undefined;
  /** What the alarm is set to. */
  #alarmAt: Micros | undefined;
  /** The alarm's descriptor does not keep the process alive; this does, while a timer is set. */
  #alive: NodeJS.Timeout | undefined;
  #fired = 0;
  #stalls = 0;
  #worst = micros(0);
  #last = micros(0);

  /** @param onStall Told of each timer that was late by more than `STALL`, before it runs. */
  constructor(onStall: (lateness: Micros) => void = () => {}) {
    this.#onStall = onStall;
  }

  get lateness(): Lateness {
    return {
      fired: this.#fired,
      stalls: this.#stalls,
      worst: this.#worst,
      last: this.#last,
    };
  }

  now(): Micros {
    return micros(performance.now() * 1_000);
  }

  after(delay: Micros, callback: () => void): Timer {
    const timer = this.#timers.add(micros(this.now() + Math.max(0, delay)), callback);
    this.#arm();
    return timer;
  }

  #arm(): void {
    const next = this.#timers.next;
    if (next === undefined) {
      // A cancelled last timer: the alarm rings for nothing once, which is cheaper than clearing it each time.
      clearInterval(this.#alive);
      this.#alive = undefined;
      return;
    }
    this.#alive ??= setInterval(() => {}, LONG);
    if (this.#alarmAt !== undefined && this.#alarmAt <= next) return;
    this.#alarm ??= openAlarm(() => this.#ring());
    this.#alarmAt = next;
    this.#alarm.set(micros(next - this.now()));
  }

  #ring(): void {
    this.#alarmAt = undefined;
    // What callbacks set for "at once" is for the next turn, so that sockets have theirs.
    const now = this.now();
    for (;;) {
      const due = this.#timers.take(now);
      if (due === undefined) break;
      const lateness = micros(this.now() - due.at);
      this.#fired++;
      this.#last = lateness;
      if (lateness > this.#worst) this.#worst = lateness;
      if (lateness > STALL) {
        this.#stalls++;
        this.#onStall(lateness);
      }
      due.callback();
    }
    this.#arm();
  }
}

/** Of Node's timers the longest but some: 24 days, in milliseconds. */
const LONG = 2_000_000_000;
