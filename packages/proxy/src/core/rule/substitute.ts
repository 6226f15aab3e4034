import type { Token } from "../config/token.ts";
import { compileLogFormat, PLAIN_TEXT } from "../log/log-format.ts";
import type { CompileContext } from "../sample/compile-context.ts";
import { latin1 } from "../sample/sample.ts";
import type { Transaction } from "../transaction.ts";
import { expand, parseReplacement } from "./replacement.ts";
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
