import type { Position } from "./diagnostic.ts";

/** One word of a configuration file and where it stands. */
export interface Token {
  readonly text: string;
  readonly at: Position;
}

/** One keyword with its words, and the block that follows it, if one does. */
export interface Statement {
  /** The first is the keyword (or, in a block of plain lines, the line's first word). Never empty. */
  readonly words: readonly [Token, ...Token[]];
  readonly body?: readonly Statement[];
  /** Where the block's closing brace stands, if it has one. */
  readonly end?: Position;
  /** The line's text from the keyword on, for values with a lexical rule of their own (scripts). */
  readonly text: string;
}
