/** How soon a crashed worker is replaced: the first at once, then ever later while they keep crashing early. */
export interface RestartPace {
  /** Milliseconds to wait, given how long the one that crashed has lived. */
  next(livedMs: number): number;
}

/** A worker that lived that long was a good one: the next crash begins anew. Milliseconds. */
const GOOD_LIFE = 10_000;
const FIRST_DELAY = 100;
const LONGEST_DELAY = 5_000;

export function openRestartPace(): RestartPace {
  let early = 0;
  return {
    next: (livedMs) => {
      if (livedMs >= GOOD_LIFE) early = 0;
      const delay = early === 0 ? 0 : Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** (early - 1));
      early++;
      return delay;
    },
  };
}
