/**
 * Microseconds since 1970, comparable with the stamps of the kernel and of `ip monitor`: all times of the harness.
 * `Date.now()` would be a millisecond coarse.
 */
export function now(): number {
  return Math.round((performance.timeOrigin + performance.now()) * 1000);
}

export const milliseconds = (count: number): number => count * 1000;

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Asks every few milliseconds until there is an answer. Rejects, naming `what`, when the time is over. */
export async function until<T>(
  what: string,
  limitMs: number,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = performance.now() + limitMs;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain for ${what}`);
    await sleep(3);
  }
}
