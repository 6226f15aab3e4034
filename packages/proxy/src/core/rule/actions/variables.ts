import type { Token } from "../../config/token.ts";
import { compileLogFormat, PLAIN_TEXT } from "../../log/log-format.ts";
import { type CompileContext, refuse, warn } from "../../sample/compile-context.ts";
import { badVariable } from "../../sample/fetches/internal.ts";
import { createSample, sampleText } from "../../sample/sample.ts";
import { copyValue, type Variable } from "../../sample/variable.ts";
import type { Transaction } from "../../transaction.ts";
import { misused, wholeExpression } from "../arguments.ts";
import { type ActionKeyword, type ActionRuleset, CONTINUE } from "../rule.ts";
import { writeToBytes } from "../template-room.ts";
import { splitValues } from "./parenthesis.ts";

const ALL: readonly ActionRuleset[] = [
  "tcp-request connection",
  "tcp-request session",
  "tcp-request content",
  "tcp-response content",
  "http-request",
  "http-response",
  "http-after-response",
];

export const setVar: ActionKeyword = {
  name: "set-var",
  rulesets: ALL,
  syntax: "set-var(<name>[,<cond>...]) <expr>",
  doc: "Sets the variable to the expression's value; <cond> ifexists, ifnotexists, ifempty, ifnotempty, ifset, ifnotset, ifgt, iflt.",
  source: "HAProxy configuration manual §4.2, http-request set-var",
  parenthesis: true,
  compile: ([inside, ...words], context, head) => {
    const target = targetOf(inside, head, context);
    const expression = wholeExpression(words, context, setVar, head);
    if (target === undefined || expression === undefined) return undefined;
    const sample = createSample();
    const { variable, mayset } = target;
    const { variables } = context.world;
    return (transaction) => {
      if (expression.evaluate(transaction, sample) && mayset(transaction, sampleText(sample))) {
        variables.set(variable, transaction, copyValue(sample));
      }
      return CONTINUE;
    };
  },
};

export const setVarFormat: ActionKeyword = {
  name: "set-var-fmt",
  rulesets: ALL,
  syntax: "set-var-fmt(<name>[,<cond>...]) <fmt>",
  doc: "Sets the variable to the text of a log-format string; <cond> as for set-var.",
  source: "HAProxy configuration manual §4.2, http-request set-var-fmt",
  parenthesis: true,
  compile: ([inside, format, extra], context, head) => {
    if (format === undefined || extra !== undefined) return misused(setVarFormat, context, head);
    const target = targetOf(inside, head, context);
    const template = compileLogFormat(format, context, PLAIN_TEXT);
    if (target === undefined || template === undefined) return undefined;
    const { world } = context;
    return (transaction) => {
      const bytes = writeToBytes(template, transaction, world);
      if (target.mayset(transaction, undefined, bytes.length)) {
        world.variables.set(target.variable, transaction, { type: "str", bytes });
      }
      return CONTINUE;
    };
  },
};

export const unsetVar: ActionKeyword = {
  name: "unset-var",
  rulesets: ALL,
  syntax: "unset-var(<name>)",
  doc: "Forgets the variable.",
  source: "HAProxy configuration manual §4.2, http-request unset-var",
  parenthesis: true,
  compile: ([inside, ...extra], context, head) => {
    if (extra.length > 0) return misused(unsetVar, context, head);
    const { variables } = context.world;
    const variable = variables.variable(inside?.text ?? "");
    if (variable === undefined) return badVariable(context, head, inside?.text ?? "");
    return (transaction) => {
      variables.set(variable, transaction, undefined);
      return CONTINUE;
    };
  },
};

interface Target {
  readonly variable: Variable;
  /** @param text The new value's, for comparisons. */
  readonly mayset: (transaction: Transaction, text: string | undefined, length?: number) => boolean;
}

const CONDITIONS = [
  "ifexists",
  "ifnotexists",
  "ifempty",
  "ifnotempty",
  "ifset",
  "ifnotset",
  "ifgt",
  "iflt",
];

function targetOf(
  inside: Token | undefined,
  head: Token,
  context: CompileContext,
): Target | undefined {
  const [name, ...conditions] = splitValues(inside?.text ?? "");
  const { variables } = context.world;
  const variable = variables.variable(name ?? "");
  if (variable === undefined) return badVariable(context, head, name ?? "");
  for (const condition of conditions) {
    if (!CONDITIONS.includes(condition)) {
      return refuse(
        context,
        head,
        `unknown condition '${condition}' in '${head.text}'`,
        `write one of: ${CONDITIONS.join(", ")}`,
      );
    }
  }
  if (conditions.length > 1) warn(context, head, "all conditions of set-var must hold");
  return {
    variable,
    mayset: (transaction, text, length) => {
      const old = variables.get(variable, transaction);
      const oldNumber = old !== undefined && "number" in old ? old.number : Number.NaN;
      const size = length ?? text?.length ?? 0;
      return conditions.every((condition) => {
        switch (condition) {
          case "ifexists":
            return old !== undefined;
          case "ifnotexists":
            return old === undefined;
          case "ifempty":
            return old === undefined || ("bytes" in old && old.bytes.length === 0);
          case "ifnotempty":
            return old !== undefined && !("bytes" in old && old.bytes.length === 0);
          case "ifset":
            return size > 0;
          case "ifnotset":
            return size === 0;
          case "ifgt":
            return oldNumber > Number(text);
          default:
            return oldNumber < Number(text);
        }
      });
    },
  };
}
