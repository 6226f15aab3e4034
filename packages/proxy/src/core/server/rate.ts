/**
 * A rate over a sliding period, in three shared words: [start of the current period, events in it, events in
 * the one before]. Reads weigh the period before by what of it is still inside the window. As HAProxy does it
 * (two periods), so that thresholds written for it fire alike. Times are milliseconds modulo 2^32.
 */
export const RATE_WORDS = 3;

/** Counts `events` at `now`. Several threads may count at once. */
export function addToRate(
  words: Int32Array,
  at: number,
  period: number,
  now: number,
  events: number,
): void {
  for (;;) {
    const start = Atomics.load(words, at);
    if ((now - start) >>> 0 < period) break;
    const rest = (now - start - period) >>> 0;
    // Whoever moves the start also moves the counts; the others add to the new period.
    const next = rest >= period ? now | 0 : (start + period) | 0;
    if (Atomics.compareExchange(words, at, start, next) !== start) continue;
    const current = Atomics.exchange(words, at + 1, 0);
    Atomics.store(words, at + 2, rest >= period ? 0 : current);
    break;
  }
  Atomics.add(words, at + 1, events);
}

/** Events per `period` (milliseconds) as seen at `now`. */
export function readRate(words: Int32Array, at: number, period: number, now: number): number {
  const start = Atomics.load(words, at);
  let current = Atomics.load(words, at + 1) >>> 0;
  let past = Atomics.load(words, at + 2) >>> 0;
  let remaining = (start + period - now) | 0;
  if (remaining < 0) {
    remaining += period;
    past = remaining < 0 ? 0 : current;
    current = 0;
  }
  // A single event does not fade by rounding before its period is over.
  if (current === 0 && past <= 1) return past;
  return Math.floor((past * Math.max(0, remaining) + current * period) / period);
}
