import type { Position } from "@ha/base";

/** One word of a configuration line, after quotes, escapes and `${ENV}` have been resolved. */
export interface Token {
  readonly text: string;
  readonly at: Position;
}

/** The texts alone, for what needs no position. */
export function textsOf(words: readonly Token[]): string[] {
  return words.map(({ text }) => text);
}
