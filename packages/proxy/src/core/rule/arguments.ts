import type { Token } from "../config/token.ts";
import { type FieldName, fieldName } from "../http/head.ts";
import { compileLogFormat, HTTP_TEXT } from "../log/log-format.ts";
import type { Template } from "../log/template.ts";
import { type CompileContext, refuse } from "../sample/compile-context.ts";
import { checkPlace, type Expression, parseExpression } from "../sample/expression.ts";
import type { Transaction } from "../transaction.ts";
import { type ActionKeyword, CONTINUE, INTERNAL_ERROR, type Verdict } from "./rule.ts";

/** Reports that words are missing or too many. */
export function misused(keyword: ActionKeyword, context: CompileContext, head: Token): undefined {
  return refuse(
    context,
    head,
    `'${head.text}' has the wrong number of arguments`,
    `write: ${keyword.syntax}`,
  );
}

/** A header's name. Reports one that is none. */
export function headerName(token: Token, context: CompileContext): FieldName | undefined {
  if (/^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(token.text)) return fieldName(token.text);
  return refuse(context, token, `'${token.text}' is not a header's name`);
}

/** A log-format text for a part of a message. */
export function httpTemplate(token: Token, context: CompileContext): Template | undefined {
  return compileLogFormat(token, context, HTTP_TEXT);
}

/** All words as one expression whose data is there. */
export function wholeExpression(
  words: readonly Token[],
  context: CompileContext,
  keyword: ActionKeyword,
  head: Token,
): Expression | undefined {
  const parsed = parseExpression(words, 0, context);
  if (parsed === undefined) return undefined;
  const extra = words[parsed.next];
  if (extra !== undefined) {
    return refuse(
      context,
      extra,
      `unexpected '${extra.text}' after the expression of '${head.text}'`,
      `write: ${keyword.syntax}`,
    );
  }
  return checkPlace(parsed.expression, words[0], context) ? parsed.expression : undefined;
}

/** What a rewriting that had no room leads to: 500 under `strict-mode on`, else nothing. */
export function onFailure(context: CompileContext): Verdict {
  return context.ruleset?.strict === false ? CONTINUE : INTERNAL_ERROR;
}

/** Counts a rewriting that had no room: `wrew`. Gives the verdict. */
export function failed(transaction: Transaction, verdict: Verdict): Verdict {
  transaction.failedRewrites++;
  return verdict;
}

/** Named options of a line, `status 200 content-type text/plain`, in any order. */
export function readOptions<Name extends string>(
  words: readonly Token[],
  names: Readonly<Record<Name, number>>,
  context: CompileContext,
  syntax: string,
): { readonly name: Name; readonly word: Token; readonly values: readonly Token[] }[] | undefined {
  const found: { name: Name; word: Token; values: readonly Token[] }[] = [];
  for (let at = 0; at < words.length; ) {
    const word = words[at] as Token;
    if (!Object.hasOwn(names, word.text)) {
      return refuse(context, word, `unexpected '${word.text}'`, `write: ${syntax}`);
    }
    const name = word.text as Name;
    const values = words.slice(at + 1, at + 1 + names[name]);
    if (values.length < names[name])
      return refuse(context, word, `'${name}' needs a value`, `write: ${syntax}`);
    found.push({ name, word, values });
    at += 1 + names[name];
  }
  return found;
}

/** Milliseconds of a time such as 10s, 500 or 2m. Undefined after reporting what is none. */
export function duration(token: Token, context: CompileContext): number | undefined {
  const match = /^(\d+)(us|ms|s|m|h|d)?$/.exec(token.text);
  if (match === null)
    return refuse(
      context,
      token,
      `'${token.text}' is not a time`,
      "write a number with us, ms, s, m, h or d",
    );
  const scale =
    { us: 0.001, ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[match[2] ?? "ms"] ?? 1;
  return Math.ceil(Number(match[1]) * scale);
}
