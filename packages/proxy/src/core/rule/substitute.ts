import type { Token } from "../config/token.ts";
import { compileLogFormat, PLAIN_TEXT } from "../log/log-format.ts";
import type { CompileContext } from "../sample/compile-context.ts";
import { latin1 } from "../sample/sample.ts";
import type { Transaction } from "../transaction.ts";
import { writeToBytes } from "./template-room.ts";

/** Gives the text that replaces a match. */
export type Substitution = (match: RegExpExecArray, transaction: Transaction) => string;

/**
 * A replacement in which `\1` to `\9` stand for groups and `\0` for the match, and which is a log-format string
 * first. HAProxy configuration manual §4.2, http-request replace-header.
 */
export function substituteFormat(token: Token, context: CompileContext): Substitution | undefined {
  const template = compileLogFormat(token, context, PLAIN_TEXT);
  if (template === undefined) return undefined;
  if (template.constant !== undefined) {
    const fixed = parseReplacement(latin1(template.constant, 0, template.constant.length));
    return (match) => expand(fixed, match);
  }
  return (match, transaction) => {
    const bytes = writeToBytes(template, transaction, context.world);
    return expand(parseReplacement(latin1(bytes, 0, bytes.length)), match);
  };
}

/** Texts, and numbers of groups. */
export type Replacement = readonly (string | number)[];

export function parseReplacement(text: string): Replacement {
  const parts: (string | number)[] = [];
  let plain = "";
  for (let at = 0; at < text.length; at++) {
    const next = text[at + 1];
    if (text[at] !== "\\" || next === undefined) {
      plain += text[at];
      continue;
    }
    at++;
    if (next >= "0" && next <= "9") {
      if (plain !== "") parts.push(plain);
      plain = "";
      parts.push(Number(next));
    } else if (next === "x" && /^[0-9A-Fa-f]{2}/.test(text.slice(at + 1))) {
      plain += String.fromCharCode(Number.parseInt(text.slice(at + 1, at + 3), 16));
      at += 2;
    } else plain += next;
  }
  if (plain !== "") parts.push(plain);
  return parts;
}

export function expand(parts: Replacement, match: RegExpExecArray): string {
  let text = "";
  for (const part of parts) text += typeof part === "string" ? part : (match[part] ?? "");
  return text;
}
