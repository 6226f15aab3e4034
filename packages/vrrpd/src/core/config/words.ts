import type { Position, Token } from "@ha/base";

/** Reads the words of one line from left to right. */
export class Words {
  readonly #words: readonly Token[];
  #next = 0;

  constructor(words: readonly Token[]) {
    this.#words = words;
  }

  /** The next word without taking it. */
  get peek(): Token | undefined {
    return this.#words[this.#next];
  }

  take(): Token | undefined {
    return this.#words[this.#next++];
  }

  /** Where the next word stands, or the last one when there is none. */
  get at(): Position | undefined {
    return (this.#words[this.#next] ?? this.#words.at(-1))?.at;
  }
}
