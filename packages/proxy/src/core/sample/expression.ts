import { closestWord } from "@ha/base";
import type { Token } from "../config/token.ts";
import type { Transaction } from "../transaction.ts";
import { type Call, splitCalls } from "./call.ts";
import { castChecked, castsTo } from "./cast.ts";
import { type CompileContext, refuse } from "./compile-context.ts";
import { CONVERTERS } from "./converters/table.ts";
import { type Convert, type ConverterKeyword, type FetchKeyword, LAYERS } from "./fetch-keyword.ts";
import { FETCHES } from "./fetches/table.ts";
import { ANY, type DeclaredType, type Sample, type SampleType, TYPE_NAMES } from "./sample.ts";

/** A compiled `fetch(args),converter(args),…`. */
export interface Expression {
  /** As written. */
  readonly text: string;
  readonly fetch: FetchKeyword;
  /** What it gives; ANY or ADDR when only the running tells. */
  readonly type: DeclaredType;
  /** `AT_` bits of where its data is there. */
  readonly at: number;
  /** The first (or only) value. False: no sample. */
  evaluate(transaction: Transaction, sample: Sample): boolean;
  /** The next occurrence, after a value with `sample.more`. */
  next(transaction: Transaction, sample: Sample): boolean;
}

/** An expression and where it ended. */
export interface ParsedExpression {
  readonly expression: Expression;
  /** Index of the first word after it. */
  readonly next: number;
}

/**
 * Compiles the expression that begins at `words[at]`: converters follow after commas, or as words of their own.
 * Reports what is wrong and gives undefined then. Whether its data is there (`context.at`) is the caller's
 * question: see `checkPlace`.
 */
export function parseExpression(
  words: readonly Token[],
  at: number,
  context: CompileContext,
): ParsedExpression | undefined {
  const token = words[at];
  if (token === undefined) return refuse(context, words.at(-1), "a sample expression is missing");
  const calls = splitCalls(token, context);
  if (calls === undefined) return undefined;
  const [first, ...rest] = calls;
  if (first === undefined) return refuse(context, token, "a sample expression is missing");
  let next = at + 1;
  for (;;) {
    const word = words[next];
    if (word === undefined || !CONVERTERS.has(/^[^(,]*/.exec(word.text)?.[0] ?? "")) break;
    const more = splitCalls(word, context);
    if (more === undefined) return undefined;
    rest.push(...more);
    next++;
  }
  const expression = assemble(first, rest, token, context);
  return expression === undefined ? undefined : { expression, next };
}

/** The whole of one word: `sni ssl_fc_sni,lower`. */
export function compileExpression(token: Token, context: CompileContext): Expression | undefined {
  return parseExpression([token], 0, context)?.expression;
}

/** Reports when the expression's data is never there at `context.at`. False then. */
export function checkPlace(
  expression: Expression,
  token: Token | undefined,
  context: CompileContext,
): boolean {
  if ((expression.at & context.at) !== 0) return true;
  refuse(
    context,
    token,
    `fetch method '${expression.fetch.name}' extracts information from '${LAYERS[expression.fetch.layer].name}', which is not available in ${context.place}`,
  );
  return false;
}

function assemble(
  first: Call,
  rest: readonly Call[],
  token: Token,
  context: CompileContext,
): Expression | undefined {
  const keyword = FETCHES.get(first.name);
  if (keyword === undefined) {
    return refuse(
      context,
      token,
      `unknown fetch method '${first.name}'`,
      didYouMean(first.name, FETCHES.keys()),
    );
  }
  if (!hasArity(keyword, first, token, context)) return undefined;
  const fetch = keyword.compile(first.args, context, token);
  if (fetch === undefined) return undefined;

  let type: DeclaredType = keyword.type;
  const steps: Convert[] = [];
  for (const call of rest) {
    const converter = CONVERTERS.get(call.name);
    if (converter === undefined) {
      return refuse(
        context,
        token,
        `unknown converter '${call.name}'`,
        didYouMean(call.name, CONVERTERS.keys()),
      );
    }
    if (!hasArity(converter, call, token, context)) return undefined;
    if (!castsTo(type, converter.input)) {
      return refuse(
        context,
        token,
        `converter '${call.name}' cannot be applied to type ${TYPE_NAMES[type]}: it takes ${TYPE_NAMES[converter.input]}`,
      );
    }
    const convert = converter.compile(call.args, context, token);
    if (convert === undefined) return undefined;
    if (converter.input !== ANY && converter.input !== type) {
      const wanted = converter.input as SampleType;
      steps.push((sample, transaction) => castChecked(sample, wanted, transaction));
    }
    steps.push(convert);
    if (converter.output !== ANY) type = converter.output;
    else if (converter.input !== ANY) type = converter.input;
  }
  const convertAll = chain(steps);
  return {
    text: token.text,
    fetch: keyword,
    type,
    at: LAYERS[keyword.layer].at,
    evaluate: (transaction, sample) => {
      sample.cursor = 0;
      sample.more = false;
      sample.mayChange = false;
      return fetch(transaction, sample) && convertAll(sample, transaction);
    },
    next: (transaction, sample) => {
      sample.more = false;
      return fetch(transaction, sample) && convertAll(sample, transaction);
    },
  };
}

/** One call for the common short chains, a loop for others. */
function chain(steps: readonly Convert[]): Convert {
  const [a, b] = steps;
  if (a === undefined) return () => true;
  if (b === undefined) return a;
  if (steps.length === 2)
    return (sample, transaction) => a(sample, transaction) && b(sample, transaction);
  return (sample, transaction) => {
    for (let i = 0; i < steps.length; i++) {
      if (!(steps[i] as Convert)(sample, transaction)) return false;
    }
    return true;
  };
}

function hasArity(
  keyword: FetchKeyword | ConverterKeyword,
  call: Call,
  token: Token,
  context: CompileContext,
): boolean {
  const [least, most] = keyword.arity ?? [0, 0];
  const count = call.args.length;
  if (count >= least && count <= most) return true;
  const problem =
    count < least
      ? `needs ${least === most ? "" : "at least "}${least} argument${least === 1 ? "" : "s"}`
      : most === 0
        ? "takes no arguments"
        : `takes at most ${most} argument${most === 1 ? "" : "s"}`;
  refuse(context, token, `'${call.name}' ${problem}`, `write: ${keyword.syntax}`);
  return false;
}

function didYouMean(name: string, known: Iterable<string>): string | undefined {
  const closest = closestWord(name, [...known]);
  return closest === undefined ? undefined : `did you mean '${closest}'?`;
}
