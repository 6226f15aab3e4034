import type { Clock, Micros, Timer } from "@ha/base";

/** A clock whose callbacks wait while the process stands still. */
export class HostClock implements Clock {
  readonly #clock: Clock;
  #paused = false;
  #waiting: Waiting[] = [];

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  now(): Micros {
    return this.#clock.now();
  }

  after(delay: Micros, callback: () => void): Timer {
    const waiting: Waiting = { callback, cancelled: false };
    const timer = this.#clock.after(delay, () => {
      if (this.#paused) this.#waiting.push(waiting);
      else callback();
    });
    return {
      cancel: () => {
        waiting.cancelled = true;
        timer.cancel();
      },
    };
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { callback, cancelled } of waiting) if (!cancelled) callback();
  }

  resumeWithout(): void {
    this.#paused = false;
    this.#waiting = [];
  }
}

interface Waiting {
  readonly callback: () => void;
  cancelled: boolean;
}
