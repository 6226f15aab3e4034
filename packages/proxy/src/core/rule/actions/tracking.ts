import type { Token } from "../../config/token.ts";
import { castChecked } from "../../sample/cast.ts";
import { type CompileContext, refuse } from "../../sample/compile-context.ts";
import { checkPlace, parseExpression } from "../../sample/expression.ts";
import { createSample, SINT } from "../../sample/sample.ts";
import { countTracked } from "../../server/counters.ts";
import { NO_ENTRY, Tracked } from "../../server/stick-table.ts";
import { makeKey } from "../../server/table-key.ts";
import {
  addToCounter,
  findTable,
  MOST_STICK_COUNTERS,
  stickCounters,
  trackedBy,
} from "../../server/tracked.ts";
import type { Transaction } from "../../transaction.ts";
import { misused, wholeExpression } from "../arguments.ts";
import { type Action, type ActionKeyword, type ActionRuleset, CONTINUE } from "../rule.ts";
import { splitValues } from "./parenthesis.ts";

const REQUEST: readonly ActionRuleset[] = [
  "tcp-request connection",
  "tcp-request session",
  "tcp-request content",
  "http-request",
  "http-response",
];
const ALL: readonly ActionRuleset[] = [...REQUEST, "tcp-response content", "http-after-response"];

/** Actions on stick tables' entries. */
export const TRACKING_ACTIONS: readonly ActionKeyword[] = [
  ...Array.from({ length: MOST_STICK_COUNTERS }, (_, counter) => track(counter)),
  increment("sc-inc-gpc", "sc-inc-gpc(<idx>,<sc-id>)", undefined),
  increment("sc-inc-gpc0", "sc-inc-gpc0(<sc-id>)", "gpc0"),
  increment("sc-inc-gpc1", "sc-inc-gpc1(<sc-id>)", "gpc1"),
  setTag("sc-set-gpt", "sc-set-gpt(<idx>,<sc-id>) { <int> | <expr> }", false),
  setTag("sc-set-gpt0", "sc-set-gpt0(<sc-id>) { <int> | <expr> }", true),
  {
    name: "sc-add-gpc",
    rulesets: ALL,
    syntax: "sc-add-gpc(<idx>,<sc-id>) { <int> | <expr> }",
    doc: "Adds the number to general purpose counter <idx> of the tracked entry.",
    source: "HAProxy configuration manual §4.3 (3.5), sc-add-gpc",
    parenthesis: true,
    compile: ([inside, ...words], context, head) => {
      const [index, counter] = numbers(inside, 2, context, head) ?? [];
      if (index === undefined || counter === undefined) return undefined;
      const amount = amountOf(words, context, byName("sc-add-gpc"), head);
      if (amount === undefined) return undefined;
      return (transaction) => {
        const tracked = trackedBy(transaction, counter);
        const value = amount(transaction);
        if (tracked !== undefined && value !== undefined)
          addToCounter(tracked, index, value, transaction.now);
        return CONTINUE;
      };
    },
  },
];

function byName(name: string): ActionKeyword {
  const found = TRACKING_ACTIONS.find((keyword) => keyword.name === name);
  if (found === undefined) throw new Error(`no action ${name}`);
  return found;
}

function track(counter: number): ActionKeyword {
  const keyword: ActionKeyword = {
    name: `track-sc${counter}`,
    rulesets: REQUEST,
    syntax: `track-sc${counter} <key> [table <table>]`,
    doc: "Counts this connection or request in the table's entry of that key, from now until its end.",
    source: "HAProxy configuration manual §4.2, tcp-request connection track-sc0",
    compile: (args, context, head) => compileTrack(counter, args, context, head, keyword),
  };
  return keyword;
}

function compileTrack(
  counter: number,
  args: readonly Token[],
  context: CompileContext,
  head: Token,
  keyword: ActionKeyword,
): Action | undefined {
  if (counter >= stickCounters(context)) {
    return refuse(
      context,
      head,
      `counter ${counter} does not exist: there are 0 to ${stickCounters(context) - 1}`,
      `write 'tune.stick-counters ${counter + 1}' in the global section`,
    );
  }
  const parsed = parseExpression(args, 0, context);
  if (parsed === undefined) return undefined;
  const { expression, next } = parsed;
  if (!checkPlace(expression, args[0], context)) return undefined;
  const [word, name, extra] = args.slice(next);
  if (
    extra !== undefined ||
    (word !== undefined && (word.text !== "table" || name === undefined))
  ) {
    return misused(keyword, context, head);
  }
  const table = findTable(name, context, head);
  if (table === undefined) return undefined;
  const sample = createSample();
  const bySession =
    context.place === "tcp-request connection" || context.place === "tcp-request session";
  return (transaction) => {
    const owner = bySession ? transaction.session : transaction;
    // The first rule that tracks with a counter wins, also over one of the session.
    if (
      transaction.tracked[counter] !== undefined ||
      transaction.session.tracked[counter] !== undefined
    )
      return CONTINUE;
    if (!expression.evaluate(transaction, sample) || !makeKey(sample, table, transaction))
      return CONTINUE;
    const entry = table.obtain(sample.bytes, sample.start, sample.end, transaction.now);
    if (entry === NO_ENTRY) return CONTINUE;
    const tracked = new Tracked(table, entry, () => transaction.now);
    owner.tracked[counter] = tracked;
    countTracked(tracked, bySession ? "connection" : "content", transaction);
    return CONTINUE;
  };
}

/** Numbers between an action's parentheses. */
function numbers(
  inside: Token | undefined,
  count: number,
  context: CompileContext,
  head: Token,
): number[] | undefined {
  const values = splitValues(inside?.text ?? "");
  if (values.length !== count || !values.every((value) => /^\d+$/.test(value))) {
    return refuse(
      context,
      head,
      `'${head.text}' needs ${count === 1 ? "a number" : `${count} numbers`} in its parentheses`,
    );
  }
  const counter = Number(values.at(-1));
  if (counter >= stickCounters(context)) {
    return refuse(
      context,
      head,
      `counter ${counter} does not exist: there are 0 to ${stickCounters(context) - 1}`,
    );
  }
  return values.map(Number);
}

function increment(
  name: string,
  syntax: string,
  field: "gpc0" | "gpc1" | undefined,
): ActionKeyword {
  return {
    name,
    rulesets: ALL,
    syntax,
    doc: "Adds 1 to the general purpose counter of the tracked entry, and counts an event of its rate.",
    source: `HAProxy configuration manual §4.2, http-request ${name}`,
    parenthesis: true,
    compile: ([inside, ...extra], context, head) => {
      if (extra.length > 0) return misused(byName(name), context, head);
      const values = numbers(inside, field === undefined ? 2 : 1, context, head);
      if (values === undefined) return undefined;
      const index = field === undefined ? (values[0] as number) : field === "gpc0" ? 0 : 1;
      const counter = values.at(-1) as number;
      return (transaction) => {
        const tracked = trackedBy(transaction, counter);
        if (tracked !== undefined) addToCounter(tracked, index, 1, transaction.now);
        return CONTINUE;
      };
    },
  };
}

function setTag(name: string, syntax: string, old: boolean): ActionKeyword {
  return {
    name,
    rulesets: ALL,
    syntax,
    doc: "Sets the general purpose tag of the tracked entry.",
    source: `HAProxy configuration manual §4.2, http-request ${name}`,
    parenthesis: true,
    compile: ([inside, ...words], context, head) => {
      const values = numbers(inside, old ? 1 : 2, context, head);
      const amount = amountOf(words, context, byName(name), head);
      if (values === undefined || amount === undefined) return undefined;
      const index = old ? 0 : (values[0] as number);
      const counter = values.at(-1) as number;
      return (transaction) => {
        const tracked = trackedBy(transaction, counter);
        const value = amount(transaction);
        if (tracked === undefined || value === undefined) return CONTINUE;
        const { table, entry } = tracked;
        const array = table.field("gpt");
        const single = index === 0 ? table.field("gpt0") : undefined;
        if (array !== undefined && index < array.elements)
          table.set(entry, array, index, value, transaction.now);
        else if (single !== undefined) table.set(entry, single, 0, value, transaction.now);
        return CONTINUE;
      };
    },
  };
}

/** A number, or an expression that gives one. */
function amountOf(
  words: readonly Token[],
  context: CompileContext,
  keyword: ActionKeyword,
  head: Token,
): ((transaction: Transaction) => number | undefined) | undefined {
  const [word, extra] = words;
  if (word === undefined) return misused(keyword, context, head);
  if (/^\d+$/.test(word.text)) {
    if (extra !== undefined) return misused(keyword, context, head);
    const value = Number(word.text);
    return () => value;
  }
  const expression = wholeExpression(words, context, keyword, head);
  if (expression === undefined) return undefined;
  const sample = createSample();
  return (transaction) =>
    expression.evaluate(transaction, sample) && castChecked(sample, SINT, transaction)
      ? sample.int
      : undefined;
}
