/** Keeps reports about peers to a rate: some at once, then so many a second. */
export class ReportLimit {
  readonly #burst: number;
  readonly #perSecond: number;
  #left: number;
  #filledAt = 0;

  constructor(burst: number, perSecond: number) {
    this.#burst = this.#left = burst;
    this.#perSecond = perSecond;
  }

  /** Whether one more may be written. @param now Milliseconds. */
  allows(now: number): boolean {
    const filled = this.#left + ((now - this.#filledAt) / 1000) * this.#perSecond;
    this.#left = Math.min(this.#burst, filled);
    this.#filledAt = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
