import { compileRegex } from "../condition/regex.ts";
import type { Token } from "../config/token.ts";
import { compileLogFormat, PLAIN_TEXT } from "../log/log-format.ts";
import { castChecked } from "../sample/cast.ts";
import { type CompileContext, refuse } from "../sample/compile-context.ts";
import { parseExpression } from "../sample/expression.ts";
import { createSample, latin1, SINT } from "../sample/sample.ts";
import type { CheckText } from "./check-plan.ts";

/** A log-format of a step. */
export function compileText(
  token: Token,
  context: CompileContext,
  options = PLAIN_TEXT,
): CheckText {
  const template = compileLogFormat(token, context, options);
  if (template === undefined) return "";
  const { constant } = template;
  if (constant !== undefined) return latin1(constant, 0, constant.length);
  const { work } = context.world;
  return (scope) => latin1(work, 0, template.write(scope.transaction(), work, 0, work.length));
}

/** An expression that gives a number, as text. */
export function compileSample(token: Token, context: CompileContext): CheckText {
  const expression = parseExpression([token], 0, context)?.expression;
  if (expression === undefined) return "";
  const sample = createSample();
  return (scope) => {
    const transaction = scope.transaction();
    const found =
      expression.evaluate(transaction, sample) && castChecked(sample, SINT, transaction);
    return found ? String(sample.int) : "";
  };
}

/** Bytes (as Latin-1) of hexadecimal digits. */
export function textOfHex(text: string): string {
  return (text.match(/[0-9a-fA-F]{2}/g) ?? [])
    .map((pair) => String.fromCharCode(Number.parseInt(pair, 16)))
    .join("");
}

/** A regular expression of a step, compiled once. */
export function compilePattern(token: Token, context: CompileContext) {
  const regex = compileRegex(token.text, false);
  return typeof regex === "string"
    ? refuse(context, token, `regex '${token.text}' is invalid (error=${regex})`)
    : regex;
}
