import { closestWord } from "@ha/base";
import { compileCondition, splitCondition } from "../condition/compile-condition.ts";
import type { RuleLine } from "../config/proxy-model.ts";
import type { Token } from "../config/token.ts";
import {
  AT_CONNECTION,
  AT_REQUEST,
  AT_REQUEST_CONTENT,
  AT_RESPONSE,
  AT_RESPONSE_CONTENT,
  AT_SESSION,
  type CompileContext,
  refuse,
} from "../sample/compile-context.ts";
import { FURTHER_COUNTER } from "../server/tracked.ts";
import { ACTIONS } from "./actions/table.ts";
import { compileRedirect } from "./redirect.ts";
import type { Action, ActionKeyword, ActionRuleset, Rule } from "./rule.ts";

/** Where each ruleset runs. */
export const RULESET_PLACES: Readonly<Record<ActionRuleset, number>> = {
  "tcp-request connection": AT_CONNECTION,
  "tcp-request session": AT_SESSION,
  "tcp-request content": AT_REQUEST_CONTENT,
  "tcp-response content": AT_RESPONSE_CONTENT,
  "http-request": AT_REQUEST,
  "http-response": AT_RESPONSE,
  "http-after-response": AT_RESPONSE,
};

/** The context of one place of a section. */
export function placed(context: CompileContext, at: number, place: string): CompileContext {
  return { ...context, at, place, iterates: false, ruleset: { strict: true } };
}

/** Compiles the lines of one ruleset; lines with errors are left out after reporting. */
export function compileRules(
  ruleset: ActionRuleset,
  lines: readonly RuleLine[],
  section: CompileContext,
): Rule[] {
  const context = placed(section, RULESET_PLACES[ruleset], ruleset);
  const rules: Rule[] = [];
  for (const line of lines) {
    const { before, condition } = splitCondition(line.words);
    const action = compileAction(ruleset, before, line, context);
    const compiled = compileCondition(condition, context);
    if (action === undefined || compiled === undefined) continue;
    rules.push({ condition: compiled, action, at: line.at });
  }
  return rules;
}

/** Compiles `redirect` lines, which run after the http-request rules. */
export function compileRedirects(lines: readonly RuleLine[], section: CompileContext): Rule[] {
  const context = placed(section, AT_REQUEST, "redirect");
  const rules: Rule[] = [];
  for (const line of lines) {
    const { before, condition } = splitRedirect(line.words);
    const head = line.words[0] ?? { text: "redirect", at: line.at };
    const action = compileRedirect(before, context, head);
    const compiled = compileCondition(condition, context);
    if (action !== undefined && compiled !== undefined) {
      rules.push({ condition: compiled, action, at: line.at });
    }
  }
  return rules;
}

/** As `splitCondition`, where the line may begin with the condition. */
function splitRedirect(words: readonly Token[]): ReturnType<typeof splitCondition> {
  const first = words[0]?.text;
  return first === "if" || first === "unless"
    ? { before: [], condition: words }
    : splitCondition(words);
}

function compileAction(
  ruleset: ActionRuleset,
  words: readonly Token[],
  line: RuleLine,
  context: CompileContext,
): Action | undefined {
  const [head, ...args] = words;
  if (head === undefined) {
    context.diagnostics.error("config/rule", line.at, `'${ruleset}' needs an action`);
    return undefined;
  }
  const open = head.text.indexOf("(");
  const name = open === -1 ? head.text : head.text.slice(0, open);
  const keyword = ACTIONS.get(name);
  if (keyword === undefined || !keyword.rulesets.includes(ruleset))
    return unknownAction(name, head, ruleset, context);
  if (keyword.parenthesis !== true) {
    return open === -1
      ? keyword.compile(args, context, head)
      : unknownAction(head.text, head, ruleset, context);
  }
  if (open === -1) return keyword.compile([{ text: "", at: head.at }, ...args], context, head);
  if (!head.text.endsWith(")")) return refuse(context, head, `missing ')' in '${head.text}'`);
  const inside: Token = { text: head.text.slice(open + 1, -1), at: head.at };
  return keyword.compile([inside, ...args], context, head);
}

function unknownAction(
  name: string,
  head: Token,
  ruleset: ActionRuleset,
  context: CompileContext,
): undefined {
  if (/^lua\./.test(name)) return refuse(context, head, `'${name}': Lua is not supported`);
  const known = [...ACTIONS.values()].filter((keyword: ActionKeyword) =>
    keyword.rulesets.includes(ruleset),
  );
  const closest = closestWord(
    name,
    known.map((keyword) => keyword.name),
  );
  return refuse(
    context,
    head,
    `'${ruleset}' expects an action, not '${name}'`,
    closest === undefined
      ? `there are: ${known
          .map((keyword) => keyword.name)
          .filter((known) => !FURTHER_COUNTER.test(known))
          .join(", ")}`
      : `did you mean '${closest}'?`,
  );
}
