import type { Position } from "@ha/base";
import { MAX_WORDS } from "./limits.ts";
import type { Token } from "./token.ts";

/** What stopped a line from becoming words. `index` is that of the offending character in the line, from 0. */
export interface LexError {
  readonly message: string;
  readonly index: number;
  /** Whether HAProxy shows the line and a caret below. */
  readonly caret: boolean;
}

export interface LexedLine {
  readonly words: readonly Token[];
  readonly error: LexError | undefined;
}

/**
 * Splits one line into words. HAProxy configuration manual §2.2 and §2.3.
 *
 * Blanks separate; `#` outside quotes starts a comment, also inside a word; `'…'` is literal; `"…"` takes
 * escapes and `$NAME`, `${NAME}`, `${NAME-default}`, `${NAME[*]}` (which splits the value into words); outside
 * single quotes a backslash escapes a blank, `#`, itself, quotes, and spells `\n \r \t \xHH`. Other backslashes stay.
 *
 * @param text The line without its end of line.
 * @param environment Values of variables; unset ones are empty.
 */
export function lexLine(
  text: string,
  file: string,
  line: number,
  environment: ReadonlyMap<string, string>,
): LexedLine {
  const words: Token[] = [];
  let word = "";
  let start = -1;
  let quote = "";
  let quoteIndex = -1;
  let i = 0;
  const begin = (at: number): void => {
    if (start === -1) start = at;
  };
  const end = (): void => {
    if (start === -1) return;
    words.push({ text: word, at: position(file, line, start) });
    word = "";
    start = -1;
  };
  const failed = (message: string, index: number): LexedLine => ({
    words,
    error: { message, index, caret: true },
  });

  while (i < text.length) {
    const c = text[i] as string;
    if (c === '"' && quote !== "'") {
      begin(i);
      quoteIndex = i++;
      quote = quote === "" ? '"' : "";
    } else if (c === "'" && quote !== '"') {
      begin(i);
      quoteIndex = i++;
      quote = quote === "" ? "'" : "";
    } else if (c === "\\" && quote !== "'") {
      begin(i);
      const escaped = readEscape(text, i, quote);
      if (escaped === undefined) return failed("truncated or invalid hexadecimal sequence", i);
      word += escaped.text;
      i = escaped.next;
    } else if (c === "#" && quote === "") {
      break;
    } else if (quote === "" && isBlank(c)) {
      end();
      i++;
    } else if (c === "$" && quote === '"') {
      begin(i);
      const variable = readVariable(text, i, environment);
      if ("message" in variable) return failed(variable.message, variable.index);
      if (variable.split) {
        const parts = variable.value.split(/[ \t]+/).filter((part) => part !== "");
        for (const [k, part] of parts.entries()) {
          if (k > 0) {
            end();
            begin(i);
          }
          word += part;
        }
      } else {
        word += variable.value;
      }
      i = variable.next;
    } else {
      begin(i);
      word += c;
      i++;
    }
  }
  if (quote !== "") return failed("unmatched quote", quoteIndex);
  end();
  if (words.length <= MAX_WORDS) return { words, error: undefined };
  const last = words[MAX_WORDS - 1] as Token;
  const indent = text.length - text.trimStart().length;
  const index = last.at.column - 1 - indent;
  return {
    words: words.slice(0, MAX_WORDS),
    error: {
      message: `too many words, truncating after word ${MAX_WORDS}, position ${index + 1}: <${last.text}>.`,
      index,
      caret: false,
    },
  };
}

function position(file: string, line: number, index: number): Position {
  return { file, line, column: index + 1 };
}

export function isBlank(c: string): boolean {
  return c === " " || c === "\t" || c === "\r" || c === "\n" || c === "\v" || c === "\f";
}

function readEscape(
  text: string,
  at: number,
  quote: string,
): { readonly text: string; readonly next: number } | undefined {
  const c = text[at + 1];
  switch (c) {
    case " ":
    case "\\":
    case "#":
    case '"':
    case "'":
      return { text: c, next: at + 2 };
    case "n":
      return { text: "\n", next: at + 2 };
    case "r":
      return { text: "\r", next: at + 2 };
    case "t":
      return { text: "\t", next: at + 2 };
    case "$":
      // Outside double quotes a dollar is an ordinary character, so there is nothing to escape.
      return quote === '"' ? { text: "$", next: at + 2 } : { text: "\\", next: at + 1 };
    case "x": {
      const digits = text.slice(at + 2, at + 4);
      if (!/^[0-9a-fA-F]{2}$/.test(digits)) return undefined;
      return { text: String.fromCharCode(Number.parseInt(digits, 16)), next: at + 4 };
    }
    default:
      return { text: "\\", next: at + 1 };
  }
}

type Variable =
  | { readonly value: string; readonly split: boolean; readonly next: number }
  | { readonly message: string; readonly index: number };

/** `$NAME`, or `${NAME}` with `-default` or `[*]` before the closing brace. */
function readVariable(
  text: string,
  at: number,
  environment: ReadonlyMap<string, string>,
): Variable {
  const brace = text[at + 1] === "{";
  const from = at + (brace ? 2 : 1);
  // A name that starts with a dot is HAProxy's own (`.FILE`, `.LINE`, `.SECTION`).
  const first = text[from];
  if (first === undefined || !/[A-Za-z_.]/.test(first)) {
    return { message: "forbidden first char in environment variable name", index: from };
  }
  let i = from + 1;
  while (i < text.length && /[A-Za-z0-9_]/.test(text[i] as string)) i++;
  const name = text.slice(from, i);
  const value = environment.get(name);
  if (!brace) return { value: value ?? "", split: false, next: i };

  let split = false;
  if (text[i] === "[") {
    if (text.slice(i, i + 3) !== "[*]") {
      return { message: "truncated or invalid word expansion sequence", index: i };
    }
    split = true;
    i += 3;
  }
  if (text[i] === "-") {
    const close = text.indexOf("}", i);
    if (close === -1)
      return { message: "unmatched brace in environment variable name", index: at + 1 };
    return { value: value ?? text.slice(i + 1, close), split, next: close + 1 };
  }
  if (text[i] !== "}") {
    return { message: "unmatched brace in environment variable name", index: at + 1 };
  }
  return { value: value ?? "", split, next: i + 1 };
}
