/** Chance as a port, so that a seed repeats a run. */
export interface Random {
  /** At least 0 and below 1. */
  next(): number;
  /** A whole number from `min` to `max`, both included. */
  between(min: number, max: number): number;
}

/**
 * A seeded generator (xorshift over 128 bits, after Marsaglia 2003): small, quick and the same everywhere. Not for
 * secrets.
 */
export function seededRandom(seed: number): Random {
  let x = (seed ^ 0x9e3779b9) | 0;
  let y = 362436069;
  let z = 521288629;
  let w = 88675123 ^ seed;
  const next32 = (): number => {
    const t = x ^ (x << 11);
    x = y;
    y = z;
    z = w;
    w = w ^ (w >>> 19) ^ (t ^ (t >>> 8));
    return w >>> 0;
  };
  // Seeds that differ in few bits start out alike; a few rounds part them.
  for (let i = 0; i < 16; i++) next32();
  const next = (): number => next32() / 0x1_0000_0000;
  return { next, between: (min, max) => min + Math.floor(next() * (max - min + 1)) };
}
