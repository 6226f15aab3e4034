import { closestWord } from "@ha/base";
import type { AclLine } from "../config/proxy-model.ts";
import type { Token } from "../config/token.ts";
import { type CompileContext, refuse, warn } from "../sample/compile-context.ts";
import type { NamedAcl, NamedAcls } from "./acl.ts";
import { ALWAYS, type Condition, FAIL, MISS, PASS } from "./condition.ts";
import { compileCriterion } from "./criterion.ts";
import { PREDEFINED } from "./predefined.ts";

/** Compiles an `acl <name> …` line into the section's `acls`; several lines of one name are alternatives. */
export function defineAcl(line: AclLine, context: CompileContext): void {
  const acls = context.proxy?.acls;
  if (acls === undefined) return;
  if (!/^[A-Za-z0-9_.:-]+$/.test(line.name)) {
    context.diagnostics.error("config/rule", line.at, `'${line.name}' is not a name for an acl`);
    return;
  }
  if (/^(?:or|if|unless)$/.test(line.name)) {
    context.diagnostics.error("config/rule", line.at, `acl name '${line.name}' is a reserved word`);
    return;
  }
  const criterion = compileCriterion(line.words, context);
  const known = acls.get(line.name) ?? { name: line.name, alternatives: [], at: 0 };
  // A line that was refused leaves the name known, so that uses of it are not refused as well.
  known.alternatives.push(criterion?.condition ?? NEVER);
  known.at |= criterion?.at ?? ~0;
  acls.set(line.name, known);
}

const NEVER: Condition = () => FAIL;

/** The words of a rule before its condition, and the condition's (from `if` or `unless`; empty without one). */
export function splitCondition(words: readonly Token[]): {
  readonly before: readonly Token[];
  readonly condition: readonly Token[];
} {
  const at = words.findIndex(({ text }, i) => i > 0 && (text === "if" || text === "unless"));
  if (at === -1) return { before: words, condition: [] };
  return { before: words.slice(0, at), condition: words.slice(at) };
}

/** Compiles `if …` or `unless …`; no words hold always. Undefined after reporting what is wrong. */
export function compileCondition(
  words: readonly Token[],
  context: CompileContext,
): Condition | undefined {
  const [keyword, ...rest] = words;
  if (keyword === undefined) return ALWAYS;
  if (keyword.text !== "if" && keyword.text !== "unless") {
    return refuse(context, keyword, `expected 'if' or 'unless', not '${keyword.text}'`);
  }
  const condition = compileTerms(rest, keyword, context);
  if (condition === undefined) return undefined;
  return keyword.text === "if" ? condition : negate(condition);
}

/** The terms of a condition, without `if`. */
export function compileTerms(
  words: readonly Token[],
  keyword: Token,
  context: CompileContext,
): Condition | undefined {
  const groups: Condition[][] = [[]];
  let isWhole = true;
  for (let at = 0; at < words.length; ) {
    const word = words[at] as Token;
    if (word.text === "or" || word.text === "||") {
      if (groups.at(-1)?.length === 0) {
        refuse(context, word, `'${word.text}' needs a condition before it`);
        isWhole = false;
      }
      groups.push([]);
      at++;
      continue;
    }
    const term = compileTerm(words, at, context);
    at = term.next;
    if (term.condition === undefined) isWhole = false;
    else groups.at(-1)?.push(term.condition);
  }
  if (!isWhole) return undefined;
  if (groups.some((group) => group.length === 0)) {
    return refuse(
      context,
      words.at(-1) ?? keyword,
      "a condition is missing",
      "write an acl's name or { … }",
    );
  }
  return anyOf(groups.map(allOf));
}

function compileTerm(
  words: readonly Token[],
  from: number,
  context: CompileContext,
): { readonly condition: Condition | undefined; readonly next: number } {
  let at = from;
  let negated = false;
  while (words[at]?.text === "!") {
    negated = !negated;
    at++;
  }
  const word = words[at];
  if (word === undefined) {
    return {
      condition: refuse(context, words.at(-1), "a condition is missing after '!'"),
      next: at,
    };
  }
  let name = word.text;
  while (name.startsWith("!")) {
    negated = !negated;
    name = name.slice(1);
  }
  if (name === "{") {
    const close = words.findIndex(({ text }, i) => i > at && text === "}");
    if (close === -1) {
      return {
        condition: refuse(context, word, "missing closing '}' in condition"),
        next: words.length,
      };
    }
    const criterion = compileCriterion(words.slice(at + 1, close), context);
    if (criterion !== undefined && (criterion.at & context.at) === 0) {
      warnUnreachable(context, word, `anonymous acl '${words[at + 1]?.text ?? ""}'`);
    }
    const condition =
      criterion === undefined
        ? undefined
        : (criterion.at & context.at) === 0
          ? NEVER
          : criterion.condition;
    return { condition: signed(condition, negated), next: close + 1 };
  }
  return { condition: signed(named(name, word, context), negated), next: at + 1 };
}

function signed(condition: Condition | undefined, negated: boolean): Condition | undefined {
  return condition === undefined || !negated ? condition : negate(condition);
}

function named(name: string, token: Token, context: CompileContext): Condition | undefined {
  const acl = context.proxy?.acls.get(name) ?? predefined(name, token, context);
  if (acl === undefined) {
    const known = [...(context.proxy?.acls.keys() ?? []), ...Object.keys(PREDEFINED)];
    const closest = closestWord(name, known);
    return refuse(
      context,
      token,
      `no such ACL : '${name}'`,
      closest === undefined ? undefined : `did you mean '${closest}'?`,
    );
  }
  if ((acl.at & context.at) === 0) {
    warnUnreachable(context, token, `acl '${name}'`);
    return NEVER;
  }
  return anyOf(acl.alternatives);
}

function warnUnreachable(context: CompileContext, token: Token, what: string): void {
  warn(
    context,
    token,
    `${what} will never match because it only involves keywords that are incompatible with '${context.place}'`,
  );
}

/** Made when first used, and kept with the section's own. */
function predefined(name: string, token: Token, context: CompileContext): NamedAcl | undefined {
  if (!Object.hasOwn(PREDEFINED, name)) return undefined;
  const words = (PREDEFINED[name] ?? []).map((text) => ({ text, at: token.at }));
  const criterion = compileCriterion(words, context);
  if (criterion === undefined) return undefined;
  const acl: NamedAcl = { name, alternatives: [criterion.condition], at: criterion.at };
  const acls: NamedAcls | undefined = context.proxy?.acls;
  acls?.set(name, acl);
  return acl;
}

function negate(condition: Condition): Condition {
  return (transaction) => {
    const result = condition(transaction);
    return result === MISS ? MISS : result === PASS ? FAIL : PASS;
  };
}

function allOf(terms: readonly Condition[]): Condition {
  const [a, b] = terms;
  if (a === undefined) return ALWAYS;
  if (b === undefined) return a;
  if (terms.length === 2) {
    return (transaction) => {
      const first = a(transaction);
      return first === PASS ? b(transaction) : first;
    };
  }
  return (transaction) => {
    for (let i = 0; i < terms.length; i++) {
      const result = (terms[i] as Condition)(transaction);
      if (result !== PASS) return result;
    }
    return PASS;
  };
}

function anyOf(terms: readonly Condition[]): Condition {
  const [only] = terms;
  if (terms.length === 1 && only !== undefined) return only;
  return (transaction) => {
    let best = FAIL;
    for (let i = 0; i < terms.length; i++) {
      const result = (terms[i] as Condition)(transaction);
      if (result === PASS) return PASS;
      if (result === MISS) best = MISS;
    }
    return best;
  };
}
