/**
 * What a peer may do that costs us more than it costs the peer. Each has a budget on its connection that fills again
 * with time; one that is used up ends the connection with ENHANCE_YOUR_CALM. The names are those of the counters.
 */
export const ABUSES = [
  "rapid-reset",
  "continuation",
  "settings",
  "ping",
  "empty-frame",
  "window-update",
  "priority",
  "unknown-frame",
  "closed-stream",
  "malformed",
  "header-list",
  "slow-read",
  "goaway",
] as const;

export type Abuse = (typeof ABUSES)[number];

export const ABUSE_RAPID_RESET = 0;
export const ABUSE_CONTINUATION = 1;
export const ABUSE_SETTINGS = 2;
export const ABUSE_PING = 3;
export const ABUSE_EMPTY_FRAME = 4;
export const ABUSE_WINDOW_UPDATE = 5;
export const ABUSE_PRIORITY = 6;
export const ABUSE_UNKNOWN_FRAME = 7;
export const ABUSE_CLOSED_STREAM = 8;
export const ABUSE_MALFORMED = 9;
export const ABUSE_HEADER_LIST = 10;
export const ABUSE_SLOW_READ = 11;
export const ABUSE_GOAWAY = 12;

/**
 * How many at once, and how many more a second. Honest peers stay far below: a browser that leaves a page resets a
 * hundred streams at once; gRPC pings with each burst of data; window updates are paid for by the DATA frames sent.
 */
const BUDGETS: readonly (readonly [burst: number, perSecond: number])[] = [
  [500, 100], // rapid-reset
  [128, 16], // continuation
  [64, 8], // settings
  [500, 64], // ping
  [100, 16], // empty-frame
  [1_000, 200], // window-update
  [2_000, 200], // priority
  [200, 20], // unknown-frame
  [1_000, 100], // closed-stream
  [50, 5], // malformed
  [50, 5], // header-list
  [50, 5], // slow-read
  [4, 1], // goaway
];

/** The budgets of one connection: a column that is made with the first frame that costs one. */
export class AbuseMeter {
  readonly #left = Float64Array.from(BUDGETS, ([burst]) => burst);
  #filledAt: number;

  /** @param now Milliseconds. */
  constructor(now: number) {
    this.#filledAt = now;
  }

  /** Takes one from the budget. False when it is used up. */
  spend(abuse: number, now: number): boolean {
    const left = this.#left;
    if ((left[abuse] as number) < 1) this.#fill(now);
    if ((left[abuse] as number) < 1) return false;
    left[abuse] = (left[abuse] as number) - 1;
    return true;
  }

  /** Something was done that entitles the peer to more. */
  credit(abuse: number, count: number): void {
    const burst = BUDGETS[abuse]?.[0] ?? 0;
    this.#left[abuse] = Math.min(burst, (this.#left[abuse] as number) + count);
  }

  #fill(now: number): void {
    const seconds = (now - this.#filledAt) / 1000;
    if (seconds < 0.05) return;
    this.#filledAt = now;
    for (let i = 0; i < BUDGETS.length; i++) {
      const [burst, perSecond] = BUDGETS[i] as readonly [number, number];
      this.#left[i] = Math.min(burst, (this.#left[i] as number) + perSecond * seconds);
    }
  }
}
