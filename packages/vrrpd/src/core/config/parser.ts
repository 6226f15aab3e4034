import { closestWord, type Diagnostics, type Position, type Statement, type Token } from "@ha/base";
import { type Entry, lookUp, type Table } from "./entry.ts";
import type { Piece } from "./source-line.ts";

/**
 * The second stage: lines and braces to a tree. Which words open a block is for the tables to say, so an unknown
 * block leads astray exactly as in keepalived, whose recovery this follows line by line; the messages are better.
 * observed: keepalived 2.2.7
 */
export function parsePieces(
  pieces: readonly Piece[],
  table: Table,
  context: { readonly diagnostics: Diagnostics; readonly blockDepth: number },
): Statement[] {
  const parser = new Parser(pieces, context.diagnostics, context.blockDepth);
  return parser.statements(table, undefined);
}

class Parser {
  readonly #pieces: readonly Piece[];
  readonly #diagnostics: Diagnostics;
  readonly #blockDepth: number;
  #next = 0;
  /** How many braces of the whole are never closed. */
  #balance = 0;
  #tooDeep = false;
  readonly #seen = new Map<string, Position>();

  constructor(pieces: readonly Piece[], diagnostics: Diagnostics, blockDepth: number) {
    this.#pieces = pieces;
    this.#diagnostics = diagnostics;
    this.#blockDepth = blockDepth;
    for (const { kind } of pieces) {
      if (kind === "open") this.#balance++;
      else if (kind === "close") this.#balance--;
    }
  }

  /** Statements up to the `}` of `block`, or for the file itself up to its end. */
  statements(table: Table, block: Token | undefined, depth = 0): Statement[] {
    const found: Statement[] = [];
    for (;;) {
      const piece = this.#pieces[this.#next++];
      if (piece === undefined) {
        if (block !== undefined) this.#unclosed(block);
        return found;
      }
      if (piece.kind === "close") {
        if (block !== undefined) return found;
        this.#diagnostics.error(
          "config/unexpected-brace",
          piece.at,
          "this } closes no block",
          "remove it, or look above for a block whose keyword is unknown",
        );
        continue;
      }
      if (piece.kind === "open") {
        this.#diagnostics.error(
          "config/unexpected-brace",
          piece.at,
          "no block begins here, { is ignored",
        );
        continue;
      }
      const statement = this.#statement(piece.words, piece.text, table, depth);
      if (statement !== undefined) found.push(statement);
    }
  }

  #statement(
    words: readonly [Token, ...Token[]],
    text: string,
    table: Table,
    depth: number,
  ): Statement | undefined {
    const [head] = words;
    const known = lookUp(table, head.text);
    if (known === undefined) {
      const near = closestWord(head.text.slice(0, 64), Object.keys(table));
      this.#diagnostics.error(
        "config/unknown-keyword",
        head.at,
        `unknown keyword '${shorten(head.text)}'`,
        near !== undefined
          ? `did you mean '${near}'?`
          : this.#pieces[this.#next]?.kind === "open"
            ? "its } will close the block around it, so what follows may be told wrongly"
            : undefined,
      );
      return undefined;
    }
    if (known.body === undefined) return { words, text };
    const start = this.#next;
    const statement = this.#block(words, text, known, depth);
    if (depth === 0 && head.text !== "global_defs") this.#tellStray(start, head);
    return statement;
  }

  #block(
    words: readonly [Token, ...Token[]],
    text: string,
    known: Entry,
    depth: number,
  ): Statement | undefined {
    const [head] = words;
    if (!this.#named(words, known, depth)) {
      this.#skipBlock();
      return undefined;
    }
    if (known.body === "lines") {
      // keepalived reads values up to the next } even where their { is missing.
      if (this.#pieces[this.#next]?.kind === "open") this.#next++;
      return this.#closed(words, text, this.#lines(head));
    }
    const opened = this.#opens(head);
    if (depth >= this.#blockDepth) {
      if (!this.#tooDeep) {
        this.#diagnostics.error(
          "config/limit",
          head.at,
          `blocks are nested more than ${this.#blockDepth} deep`,
        );
      }
      this.#tooDeep = true;
      if (opened) this.#next--;
      this.#skipBlock();
      return undefined;
    }
    if (known.body === "ignored" || known.body === undefined) {
      if (opened) this.#next--;
      this.#skipBlock();
      return { words, text, body: [] };
    }
    return this.#closed(words, text, this.statements(known.body, head, depth + 1));
  }

  /**
   * keepalived reads the file once for each of its processes, and those that do not know a block skip it by counting
   * braces. Where that ends earlier than the block did, what lies between is theirs to complain about.
   */
  #tellStray(start: number, head: Token): void {
    let next = start;
    if (this.#pieces[start]?.kind === "open") {
      for (let depth = 0; next < this.#next; next++) {
        const kind = this.#pieces[next]?.kind;
        if (kind === "open") depth++;
        if (kind === "close" && --depth === 0) break;
      }
      next++;
    }
    for (const piece of this.#pieces.slice(next, this.#next)) {
      if (piece.kind === "open") continue;
      const what = piece.kind === "close" ? "}" : shorten(piece.words[0].text);
      this.#diagnostics.error(
        "config/stray",
        piece.kind === "close" ? piece.at : piece.words[0].at,
        `by its braces '${what}' stands outside of the ${head.text} that begins in line ${head.at.line}`,
      );
    }
  }

  #closed(words: readonly [Token, ...Token[]], text: string, body: Statement[]): Statement {
    const last = this.#pieces[this.#next - 1];
    return last?.kind === "close" ? { words, text, body, end: last.at } : { words, text, body };
  }

  /** Whether a block has the name it needs, and that for the first time. */
  #named(words: readonly [Token, ...Token[]], known: Entry, depth: number): boolean {
    const [head, name, extra] = words;
    if (known.named !== true) {
      // Only inner blocks mind; keepalived reads `global_defs anything {` without a word.
      if (name !== undefined && depth > 0) {
        this.#diagnostics.error(
          "config/extra-words",
          name.at,
          `${head.text} takes nothing before its {, '${shorten(name.text)}' is ignored`,
          `write: ${known.syntax}`,
        );
      }
      return true;
    }
    if (name === undefined && known.needs !== undefined) return true;
    if (name === undefined || (extra !== undefined && known.needs === undefined)) {
      this.#diagnostics.error(
        "config/block-name",
        extra?.at ?? head.at,
        name === undefined
          ? `${head.text} must have a name; the block is ignored`
          : `${head.text} must have one name, not several words; the block is ignored`,
        `write: ${known.syntax}`,
      );
      return false;
    }
    if (known.unique !== true) return true;
    const key = `${head.text} ${name.text}`;
    const first = this.#seen.get(key);
    if (first === undefined) {
      this.#seen.set(key, head.at);
      return true;
    }
    this.#diagnostics.error(
      "config/duplicate-block",
      head.at,
      `${key} already stands at ${first.file}:${first.line}; this one is ignored`,
    );
    return false;
  }

  /** Takes the `{`; without one, keepalived complains and goes on as if it were there. */
  #opens(head: Token): boolean {
    const piece = this.#pieces[this.#next];
    if (piece?.kind === "open") {
      this.#next++;
      return true;
    }
    const at =
      piece === undefined ? head.at : piece.kind === "words" ? piece.words[0].at : piece.at;
    this.#diagnostics.error(
      "config/missing-brace",
      at,
      `${head.text} needs { before this`,
      `write: ${head.text} … {`,
    );
    return false;
  }

  #lines(head: Token): Statement[] {
    const lines: Statement[] = [];
    for (;;) {
      const piece = this.#pieces[this.#next++];
      if (piece === undefined) {
        this.#unclosed(head);
        return lines;
      }
      if (piece.kind === "close") return lines;
      // keepalived takes a brace for one more value here, and complains of that.
      if (piece.kind === "open") lines.push({ words: [{ text: "{", at: piece.at }], text: "{" });
      else lines.push({ words: piece.words, text: piece.text });
    }
  }

  /** Past the `}` that matches the next `{`, if one comes next. */
  #skipBlock(): void {
    if (this.#pieces[this.#next]?.kind !== "open") return;
    let depth = 0;
    for (;;) {
      const piece = this.#pieces[this.#next++];
      if (piece === undefined) return;
      if (piece.kind === "open") depth++;
      if (piece.kind === "close" && --depth === 0) return;
    }
  }

  #unclosed(head: Token): void {
    // A block that began without its { may have taken the } of the one around it: keepalived only counts braces.
    if (this.#balance <= 0) return;
    this.#balance--;
    this.#diagnostics.error(
      "config/missing-brace",
      head.at,
      `the block of ${head.text} is never closed`,
      "add a } where it ends",
    );
  }
}

function shorten(text: string): string {
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}
