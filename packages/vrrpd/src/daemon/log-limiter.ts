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
  /** How many kinds of a family there are. */
  readonly #families = new Map<string, number>();

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
   * @param family Of kinds that whoever sends us packets can invent, by forged source addresses: the first few of a family are
   *   told apart, the others share one budget.
   */
  write(kind: string, message: string | (() => string), family = ""): void {
    let entry = this.#kinds.get(kind);
    if (entry === undefined) {
      const key =
        family !== "" && (this.#families.get(family) ?? 0) >= FAMILY_KINDS
          ? `${family} ${OTHERS}`
          : this.#kinds.size >= MAX_KINDS
            ? OTHERS
            : kind;
      entry = this.#kinds.get(key) ?? this.#start(key, key === kind ? family : "");
    }
    entry.seen++;
    if (entry.seen <= this.#burst) this.#write(textOf(message));
    else entry.last = message;
  }

  /** Forgets all; nothing more is written. */
  close(): void {
    for (const entry of this.#kinds.values()) entry.timer.cancel();
    this.#kinds.clear();
    this.#families.clear();
  }

  #start(key: string, family: string): Kind {
    if (family !== "") this.#families.set(family, (this.#families.get(family) ?? 0) + 1);
    const entry: Kind = {
      family,
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
    if (entry === undefined) return;
    const { family } = entry;
    if (family !== "") this.#families.set(family, (this.#families.get(family) ?? 1) - 1);
    if (entry.seen <= this.#burst) return;
    const more = entry.seen - this.#burst;
    this.#write(`${textOf(entry.last)} (${more} more in the last minute)`);
    // A kind that goes on is told once a minute from here, without a new burst.
    this.#start(key, family).seen = this.#burst;
  }
}

interface Kind {
  readonly family: string;
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
/** Kinds of one family that are told apart. */
export const FAMILY_KINDS = 8;
