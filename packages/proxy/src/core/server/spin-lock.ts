/**
 * A lock between threads over one word of shared memory: spins a little, then sleeps. Held for the few hundred
 * nanoseconds of a table operation, never across a call that may wait.
 */
export function lock(words: Int32Array, at: number): void {
  if (Atomics.compareExchange(words, at, FREE, HELD) === FREE) return;
  for (let i = 0; i < SPINS; i++) {
    if (Atomics.compareExchange(words, at, FREE, HELD) === FREE) return;
  }
  // Somebody may have to wake us: from here on it is marked as waited for.
  while (Atomics.exchange(words, at, WAITED) !== FREE) Atomics.wait(words, at, WAITED, 1);
}

export function unlock(words: Int32Array, at: number): void {
  if (Atomics.exchange(words, at, FREE) === WAITED) Atomics.notify(words, at, 1);
}

const FREE = 0;
const HELD = 1;
const WAITED = 2;
const SPINS = 200;
