import type { Token } from "../config/token.ts";
import { MATCH_TYPES, type MatchMethod, type PatternIndex } from "../map/pattern-index.ts";
import { castChecked, castsTo } from "../sample/cast.ts";
import { type CompileContext, refuse, warn } from "../sample/compile-context.ts";
import { type Expression, parseExpression } from "../sample/expression.ts";
import { FETCHES } from "../sample/fetches/table.ts";
import {
  ADDR,
  ANY,
  BOOL,
  createSample,
  IPV4,
  IPV6,
  METH,
  type Sample,
  SINT,
  STR,
  TYPE_NAMES,
} from "../sample/sample.ts";
import type { Transaction } from "../transaction.ts";
import { type Condition, FAIL, MISS, PASS } from "./condition.ts";
import { readFlags } from "./flags.ts";
import { patternFile, where } from "./pattern-file.ts";

/** A compiled criterion with its patterns, and where its data is there. */
export interface Criterion {
  readonly condition: Condition;
  /** `AT_` bits. */
  readonly at: number;
}

/** Endings that make a matching method part of a fetch's name: `path_beg`, `hdr_dom(host)`. */
const SUFFIXES = ["beg", "dir", "dom", "end", "len", "reg", "sub"] as const;

/** Compiles `criterion [flags] [operator] pattern…`. Reports what is wrong. */
export function compileCriterion(
  words: readonly Token[],
  context: CompileContext,
): Criterion | undefined {
  const [head] = words;
  if (head === undefined) return refuse(context, undefined, "a criterion is missing");
  const derived = derivedMethod(head);
  const first = derived?.token ?? head;
  // Converters belong to the criterion's own word here: a pattern may well be named like one.
  const parsed = parseExpression([first], 0, { ...context, iterates: true });
  if (parsed === undefined) return undefined;
  const { expression } = parsed;
  const flags = readFlags(words.slice(1), context);
  if (flags === undefined) return undefined;

  const method = flags.method ?? derived?.method ?? defaultMethod(expression);
  if (method === undefined) {
    return refuse(
      context,
      head,
      `'${head.text}' gives type ${TYPE_NAMES[expression.type]}, which has no matching method of its own`,
      "write -m and a method, as in: -m str",
    );
  }
  if (!castsTo(expression.type, MATCH_TYPES[method])) {
    return refuse(
      context,
      head,
      `matching method '${method}' cannot be used with '${head.text}', which gives type ${TYPE_NAMES[expression.type]}`,
    );
  }
  if (method === "found" || method === "bool") {
    return { condition: whenFound(expression, method === "bool"), at: expression.at };
  }
  const patterns =
    method === "int" || method === "len" ? withOperators(flags.patterns, context) : flags.patterns;
  if (patterns === undefined) return undefined;
  if (patterns.length === 0 && flags.files.length === 0 && flags.id === undefined) {
    warn(context, head, `'${head.text}' has no pattern, so it never matches`);
  }
  const indexes = patternIndexes(
    { method, ignoreCase: flags.ignoreCase, isMap: flags.isMap, id: flags.id },
    flags.files,
    isDotted(expression) ? patterns.map(dottedVersion) : patterns,
    context,
    head,
  );
  if (indexes === undefined) return undefined;
  return { condition: whenMatching(expression, method, indexes), at: expression.at };
}

function derivedMethod(head: Token): { token: Token; method: MatchMethod } | undefined {
  const match = /^([^(,]+)_([a-z]{3})((?:\(|,|$)[\s\S]*)$/.exec(head.text);
  if (match === null) return undefined;
  const [, name, suffix, rest] = match as unknown as [string, string, string, string];
  const method = SUFFIXES.find((known) => known === suffix);
  if (method === undefined || FETCHES.has(`${name}_${suffix}`) || !FETCHES.has(name))
    return undefined;
  return { token: { text: `${name}${rest}`, at: head.at }, method };
}

function defaultMethod({ type }: Expression): MatchMethod | undefined {
  switch (type) {
    case BOOL:
      return "bool";
    case SINT:
      return "int";
    case IPV4:
    case IPV6:
    case ADDR:
      return "ip";
    case STR:
    case METH:
      return "str";
    default:
      return undefined;
  }
}

function whenFound(expression: Expression, asBoolean: boolean): Condition {
  const sample = createSample();
  return (transaction) => {
    let found = expression.evaluate(transaction, sample);
    while (found) {
      if (!asBoolean) return PASS;
      if (castChecked(sample, SINT, transaction) && sample.int !== 0) return PASS;
      found = sample.more && expression.next(transaction, sample);
    }
    return sample.mayChange ? MISS : FAIL;
  };
}

function whenMatching(
  expression: Expression,
  method: MatchMethod,
  indexes: readonly PatternIndex[],
): Condition {
  const sample = createSample();
  const wanted = MATCH_TYPES[method];
  const [only] = indexes;
  const matches =
    indexes.length === 1 && only !== undefined
      ? (value: Sample): boolean => only.find(value) !== -1
      : (value: Sample): boolean => indexes.some((index) => index.find(value) !== -1);
  return (transaction) => {
    let found = expression.evaluate(transaction, sample);
    while (found) {
      if (castTo(sample, wanted, transaction) && matches(sample)) return PASS;
      found = sample.more && expression.next(transaction, sample);
    }
    return sample.mayChange ? MISS : FAIL;
  };
}

function castTo(sample: Sample, wanted: typeof MATCH_TYPES.str, transaction: Transaction): boolean {
  return sample.type === wanted || wanted === ANY || castChecked(sample, wanted, transaction);
}

/** `req.ssl_ver 3.1`: versions are numbers, 65536 for each major one. */
function isDotted(expression: Expression): boolean {
  return /ssl_ver$/.test(expression.fetch.name) && !expression.text.includes(",");
}

function dottedVersion(token: Token): Token {
  const text = token.text.replace(/(\d+)\.(\d+)/g, (_, major: string, minor: string) =>
    String(Number(major) * 65536 + Number(minor)),
  );
  return { text, at: token.at };
}

/** `gt 3 le 10`: operators, each for the numbers after it, as ranges. HAProxy configuration manual §7.1.2. */
function withOperators(words: readonly Token[], context: CompileContext): Token[] | undefined {
  let operator = "eq";
  const ranges: Token[] = [];
  for (const word of words) {
    if (/^(?:eq|ge|gt|le|lt)$/.test(word.text)) {
      operator = word.text;
      continue;
    }
    if (operator === "eq") {
      ranges.push(word);
      continue;
    }
    if (!/^-?\d+(?:\.\d+)?$/.test(word.text)) {
      return refuse(context, word, `'${operator}' needs a number, not '${word.text}'`);
    }
    const value = Number(dottedVersion(word).text);
    const text = { ge: `${value}:`, gt: `${value + 1}:`, le: `:${value}`, lt: `:${value - 1}` }[
      operator
    ];
    ranges.push({ text: text ?? word.text, at: word.at });
  }
  return ranges;
}

interface PatternUse {
  readonly method: MatchMethod;
  readonly ignoreCase: boolean;
  readonly isMap: boolean;
  readonly id: number | undefined;
}

function patternIndexes(
  use: PatternUse,
  files: readonly Token[],
  patterns: readonly Token[],
  context: CompileContext,
  head: Token,
): PatternIndex[] | undefined {
  const indexes: PatternIndex[] = [];
  let isWhole = true;
  for (const file of files) {
    const list = patternFile(file, use.isMap, context);
    const index = list?.use(use.method, use.ignoreCase);
    if (index === undefined) isWhole = false;
    else if ("error" in index) {
      refuse(context, file, `in the file '${file.text}': ${index.error}`);
      isWhole = false;
    } else indexes.push(index);
  }
  if (patterns.length > 0 || use.id !== undefined || files.length === 0) {
    const list = context.world.patterns.anonymous(`acl '${head.text}' ${where(head)}`, use.id);
    const index = list.use(use.method, use.ignoreCase);
    if (!("error" in index)) indexes.push(index);
    for (const pattern of patterns) {
      const added = list.add(pattern.text, undefined);
      if (added.ok) continue;
      isWhole = false;
      const problem = typeof added.error === "string" ? added.error : added.error.pattern;
      refuse(context, pattern, problem);
    }
  }
  return isWhole ? indexes : undefined;
}
