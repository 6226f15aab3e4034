import type { Position, Token } from "@ha/base";

/** A piece of a line that still knows where each of its characters came from. */
export interface SourceLine {
  readonly text: string;
  readonly file: string;
  readonly line: number;
  /** Column of the first character, or of each one where definitions have been replaced. Columns count from 1. */
  readonly columns: number | readonly number[];
}

/** A line of words, or a brace. keepalived reads each brace outside of quotes as a line of its own. */
export type Piece =
  | { readonly kind: "words"; readonly words: readonly [Token, ...Token[]]; readonly text: string }
  | { readonly kind: "open"; readonly at: Position }
  | { readonly kind: "close"; readonly at: Position };

export function positionIn({ file, line, columns }: SourceLine, index: number): Position {
  const column =
    typeof columns === "number" ? columns + index : (columns[index] ?? columns.at(-1) ?? 1);
  return { file, line, column };
}

export function sliceLine(line: SourceLine, start: number, end = line.text.length): SourceLine {
  const { columns } = line;
  return {
    text: line.text.slice(start, end),
    file: line.file,
    line: line.line,
    columns: typeof columns === "number" ? columns + start : columns.slice(start, end),
  };
}

/** Replaces a part of the line by a text, all of which then stands where the part began. */
export function replaceIn(line: SourceLine, start: number, end: number, by: string): SourceLine {
  const origin = positionIn(line, start).column;
  const columns: number[] = [];
  for (let i = 0; i < start; i++) columns.push(positionIn(line, i).column);
  for (let i = 0; i < by.length; i++) columns.push(origin);
  for (let i = end; i < line.text.length; i++) columns.push(positionIn(line, i).column);
  const text = line.text.slice(0, start) + by + line.text.slice(end);
  return { text, file: line.file, line: line.line, columns };
}

/** Without blanks at both ends. */
export function trimLine(line: SourceLine): SourceLine {
  const { text } = line;
  let start = 0;
  let end = text.length;
  while (start < end && isBlank(text.charCodeAt(start))) start++;
  while (end > start && isBlank(text.charCodeAt(end - 1))) end--;
  return start === 0 && end === text.length ? line : sliceLine(line, start, end);
}

/** Without the comment: from the first `#` or `!` outside of double quotes. observed: keepalived 2.2.7 */
export function uncomment(line: SourceLine): SourceLine {
  const { text } = line;
  let quoted = false;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code === QUOTE) quoted = !quoted;
    else if (!quoted && (code === HASH || code === BANG)) return sliceLine(line, 0, i);
  }
  return line;
}

/** Splits at braces outside of double quotes, and the rest into words. */
export function toPieces(
  line: SourceLine,
  unmatchedQuote: (at: Position, text: string) => void,
  emit: (piece: Piece) => void,
): void {
  const { text } = line;
  let start = 0;
  let quoted = false;
  for (let i = 0; i <= text.length; i++) {
    const code = i < text.length ? text.charCodeAt(i) : OPEN;
    if (code === QUOTE) quoted = !quoted;
    if (i < text.length && (quoted || (code !== OPEN && code !== CLOSE))) continue;
    const words = splitWords(sliceLine(line, start, i), unmatchedQuote);
    const [first, ...rest] = words;
    if (first !== undefined) {
      emit({ kind: "words", words: [first, ...rest], text: text.slice(start, i).trim() });
    }
    if (i < text.length) {
      emit({ kind: code === OPEN ? "open" : "close", at: positionIn(line, i) });
    }
    start = i + 1;
  }
}

/**
 * Words between blanks; `"` begins a word that ends at the next `"`. There are no escapes here, and `'` is an ordinary
 * character: both have a meaning in script commands only. observed: keepalived 2.2.7
 */
export function splitWords(
  line: SourceLine,
  unmatchedQuote: (at: Position, text: string) => void,
): Token[] {
  const { text } = line;
  const words: Token[] = [];
  let i = 0;
  while (i < text.length) {
    const code = text.charCodeAt(i);
    if (isBlank(code)) {
      i++;
      continue;
    }
    const at = positionIn(line, i);
    if (code === QUOTE) {
      const end = text.indexOf('"', i + 1);
      if (end === -1) {
        unmatchedQuote(at, text.slice(i));
        return words;
      }
      words.push({ text: text.slice(i + 1, end), at });
      i = end + 1;
      continue;
    }
    const start = i;
    while (i < text.length && !isBlank(text.charCodeAt(i)) && text.charCodeAt(i) !== QUOTE) i++;
    words.push({ text: text.slice(start, i), at });
  }
  return words;
}

export function isBlank(code: number): boolean {
  return code === 0x20 || (code >= 0x09 && code <= 0x0d);
}

const QUOTE = 0x22;
const HASH = 0x23;
const BANG = 0x21;
const OPEN = 0x7b;
const CLOSE = 0x7d;
