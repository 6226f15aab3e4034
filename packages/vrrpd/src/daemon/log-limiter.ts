import { type Clock, type Micros, seconds, type Timer } from "@ha/base";

/**
 * Lets the first lines of each kind through, counts the rest and says the count once a minute: what a peer can cause
 * must not fill a disk. (keepalived 2.2.7 wrote 25 MB in 10 s of a flood.)
 */
export class LogLimiter {
  readonly #clock: Clock;
  readonly #write: (message: string) => void;
  readonly #burst: number;
  readonly #window: Micros;
  readonly #kinds = new Map<string, Kind>();

  /**
   * @param options.burst Lines of one kind that pass in each window; default 3.
   * @param options.window Default 60 s.
   */
  constructor(
    clock: Clock,
    write: (message: string) => void,
    options: { readonly burst?: number; readonly window?: Micros } = {},
  ) {
    this.#clock = clock;
    this.#write = write;
    this.#burst = options.burst ?? 3;
    this.#window = options.window ?? seconds(60);
  }

  /**
   * @param kind What counts together: instance, peer and reason.
   * @param message The line, or how to make it: under a flood most lines are never needed.
   */
  write(kind: string, message: string | (() => string)): void {
    let entry = this.#kinds.get(kind);
    if (entry === undefined) {
      // Peers choose the kinds (by their source addresses), so their number has a limit too.
      const key = this.#kinds.size >= MAX_KINDS ? OTHERS : kind;
      entry = this.#kinds.get(key) ?? this.#start(key);
    }
    entry.seen++;
    if (entry.seen <= this.#burst) this.#write(textOf(message));
    else entry.last = message;
  }

  /** Forgets all; nothing more is written. */
  close(): void {
    for (const entry of this.#kinds.values()) entry.timer.cancel();
    this.#kinds.clear();
  }

  #start(key: string): Kind {
    const entry: Kind = {
      seen: 0,
      last: "",
      timer: this.#clock.after(this.#window, () => this.#end(key)),
    };
    this.#kinds.set(key, entry);
    return entry;
  }

  #end(key: string): void {
    const entry = this.#kinds.get(key);
    this.#kinds.delete(key);
    if (entry === undefined || entry.seen <= this.#burst) return;
    const more = entry.seen - this.#burst;
    this.#write(`${textOf(entry.last)} (${more} more in the last minute)`);
    // A kind that goes on is told once a minute from here, without a new burst.
    this.#start(key).seen = this.#burst;
  }
}

interface Kind {
  seen: number;
  last: string | (() => string);
  timer: Timer;
}

function textOf(message: string | (() => string)): string {
  return typeof message === "string" ? message : message();
}

/** Kinds that are told apart; beyond them lines share one budget. */
export const MAX_KINDS = 1_000;
const OTHERS = "others";
