import { type Clock, type Micros, micros, milliseconds, type Timer } from "@ha/base";

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
 * A timer that fires later than this means the process or the host stood still. What arrived meanwhile is then read
 * before the timer is judged: a backup that slept past its down timer would else take over from a living master.
 */
export const STALL = milliseconds(2);

/**
 * The daemon's time: CLOCK_MONOTONIC in microseconds, timers to an absolute deadline. A Node timer is exact to a
 * millisecond only and drifts when armed anew from "now" (+1 ms a second, measured), so the last stretch is waited for
 * anew and callers that re-arm should do so from `deadline` arithmetic over `now()`.
 */
export class MonotonicClock implements Clock {
  readonly #onStall: (lateness: Micros) => void;
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
    const deadline = this.now() + Math.max(0, delay);
    let node: NodeJS.Timeout | undefined;
    let immediate: NodeJS.Immediate | undefined;

    const run = (): void => {
      immediate = undefined;
      callback();
    };
    const fire = (): void => {
      const early = deadline - this.now();
      if (early > EARLY_ENOUGH) {
        arm(early);
        return;
      }
      node = undefined;
      const lateness = micros(Math.max(0, -early));
      this.#fired++;
      this.#last = lateness;
      if (lateness > this.#worst) this.#worst = lateness;
      if (lateness <= STALL) {
        callback();
        return;
      }
      this.#stalls++;
      this.#onStall(lateness);
      // One pass of the loop polls every socket; its callbacks run before this one.
      immediate = setImmediate(run);
    };
    const arm = (remaining: number): void => {
      // Node rounds 0 up to 1 ms, so a rest below half a millisecond goes round the loop instead.
      if (remaining < 500) immediate = setImmediate(fire);
      else node = setTimeout(fire, Math.round(remaining / 1_000));
    };
    arm(deadline - this.now());
    return {
      cancel: () => {
        clearTimeout(node);
        clearImmediate(immediate);
      },
    };
  }
}

/** Firing this little early is truer to the deadline than another turn of the loop. */
const EARLY_ENOUGH = 50;
