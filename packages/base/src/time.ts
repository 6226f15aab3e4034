declare const microsBrand: unique symbol;

/** Whole microseconds: every time and duration inside the code. Other units live at the edges only. */
export type Micros = number & { readonly [microsBrand]: "Micros" };

/** Brands a number of microseconds; rounds to a whole one. */
export function micros(value: number): Micros {
  return Math.round(value) as Micros;
}

export function milliseconds(value: number): Micros {
  return micros(value * 1_000);
}

/** The unit of the VRRPv3 wire (RFC 9568 §5.2.7). */
export function centiseconds(value: number): Micros {
  return micros(value * 10_000);
}

export function seconds(value: number): Micros {
  return micros(value * 1_000_000);
}

/** For Node timers and people. */
export function toMilliseconds(time: Micros): number {
  return time / 1_000;
}

export function toSeconds(time: Micros): number {
  return time / 1_000_000;
}

/** A timer that has been set. Cancelling one that has fired or was cancelled does nothing. */
export interface Timer {
  cancel(): void;
}

/**
 * Time as a port. The daemon's is monotonic and never jumps with the wall clock;
 * the simulation's is virtual (`SimClock`).
 */
export interface Clock {
  /** Monotonic time since some fixed start. */
  now(): Micros;
  /** Runs `callback` once, `delay` from now (at the next turn if not positive), unless cancelled first. */
  after(delay: Micros, callback: () => void): Timer;
}
