import type { Token } from "../config/token.ts";
import { type CompileContext, refuse } from "./compile-context.ts";
import type { Argument } from "./fetch-keyword.ts";

/** One name with its arguments. */
export interface Call {
  readonly name: string;
  /** Empty without parentheses, and for `()`. */
  readonly args: readonly Argument[];
}

/**
 * Takes a word such as `req.hdr(host,1),lower` apart. Within parentheses, commas part arguments; single quotes
 * keep everything, double quotes and the outside know `\` escapes. HAProxy configuration manual §2.2.
 */
export function splitCalls(token: Token, context: CompileContext): Call[] | undefined {
  const text = token.text;
  const calls: Call[] = [];
  for (let at = 0; ; ) {
    const name = /^[^(,\s]*/.exec(text.slice(at))?.[0] ?? "";
    at += name.length;
    if (name === "") {
      return refuse(context, token, `a name is missing in '${text}' at '${text.slice(at)}'`);
    }
    let args: readonly Argument[] = [];
    if (text[at] === "(") {
      const read = readArguments(token, at + 1);
      if (read === undefined) {
        return refuse(context, token, `missing ')' in '${text}'`);
      }
      args = read.args;
      at = read.next;
    }
    calls.push({ name, args });
    if (at === text.length) return calls;
    if (text[at] !== ",") {
      return refuse(
        context,
        token,
        `'${text.slice(at)}' after '${text.slice(0, at)}': a comma must stand between`,
      );
    }
    at++;
  }
}

/** Where the closing parenthesis that matches an opening one before `at` stands, quotes considered; -1 for none. */
export function closingParenthesis(text: string, at: number): number {
  return readArguments({ text, at: { file: "", line: 0, column: 0 } }, at)?.next ?? -1;
}

/** @param from The first character after the parenthesis; `next` is the one after the closing. */
function readArguments(
  token: Token,
  from: number,
): { readonly args: Argument[]; readonly next: number } | undefined {
  const source = token.text;
  const args: Argument[] = [];
  let text = "";
  let wasQuoted = false;
  let quote = "";
  for (let at = from; at < source.length; at++) {
    const character = source[at] as string;
    if (quote === "'") {
      if (character === "'") quote = "";
      else text += character;
    } else if (character === "\\" && at + 1 < source.length) {
      // The next character, when it is none of these, keeps its meaning (a comma still parts) after the backslash.
      const plain = UNESCAPED[source[at + 1] as string];
      text += plain ?? "\\";
      if (plain !== undefined) at++;
    } else if (quote === '"') {
      if (character === '"') quote = "";
      else text += character;
    } else if (character === "'" || character === '"') {
      quote = character;
      wasQuoted = true;
    } else if (character === "," || character === ")") {
      args.push({ text, token });
      if (character === ")") {
        const none = args.length === 1 && text === "" && !wasQuoted;
        return { args: none ? [] : args, next: at + 1 };
      }
      text = "";
      wasQuoted = false;
    } else {
      text += character;
    }
  }
  return undefined;
}

/** What a backslash makes of the next character; all others stay as they are, with their backslash. Observed: haproxy 2.6. */
const UNESCAPED: Readonly<Record<string, string>> = {
  r: "\r",
  n: "\n",
  t: "\t",
  "\\": "\\",
  '"': '"',
  "'": "'",
  " ": " ",
};
