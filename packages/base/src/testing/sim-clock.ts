import { type Clock, type Micros, micros, type Timer } from "../time.ts";
import { TimerQueue } from "../timer-queue.ts";

/** Virtual time: nothing happens until `run`, then everything in order of its moment, ties in order of setting. */
export class SimClock implements Clock {
  readonly #timers = new TimerQueue();
  #now = micros(0);

  now(): Micros {
    return this.#now;
  }

  /** Timers that are set and neither fired nor cancelled: must be 0 after a clean shutdown. */
  get pending(): number {
    return this.#timers.pending;
  }

  after(delay: Micros, callback: () => void): Timer {
    return this.#timers.add(micros(this.#now + Math.max(0, delay)), callback);
  }

  /** Lets `duration` pass and runs all that falls into it, what that sets included. */
  run(duration: Micros): void {
    const end = micros(this.#now + duration);
    for (;;) {
      const due = this.#timers.take(end);
      if (due === undefined) break;
      this.#now = due.at;
      due.callback();
    }
    this.#now = end;
  }
}
