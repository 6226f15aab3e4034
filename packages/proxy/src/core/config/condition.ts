import type { Result } from "@ha/base";
import { isBlank } from "./lexer.ts";
import { compareVersions } from "./version.ts";

/** What `.if` and `-cc` may ask about this program. */
export interface ConditionContext {
  readonly environment: ReadonlyMap<string, string>;
  /** The HAProxy version whose language we speak, as `3.5-dev5`. */
  readonly version: string;
  /** Names that `feature()` and `-vv` know. */
  readonly features: ReadonlyMap<string, boolean>;
  /** Names that `enabled()` knows (`-d` switches): POLL, EPOLL, SPLICE, … */
  readonly enabled: ReadonlySet<string>;
  /** `OpenSSL 3.0.17 …`. */
  readonly sslLibrary: string;
}

/** Why an expression cannot be judged. `index` counts from the expression's first character. */
export interface ConditionError {
  readonly message: string;
  readonly index: number;
}

/**
 * Judges the expression of `.if`, `.elif` and `-cc`. HAProxy configuration manual §2.4: numbers, predicates,
 * `!`, `&&`, `||` (weakest) and parentheses. An empty expression is false.
 */
export function evaluateCondition(
  expression: string,
  context: ConditionContext,
): Result<boolean, ConditionError> {
  const parser = new Parser(expression, context);
  parser.skipBlanks();
  if (parser.at === expression.length) return { ok: true, value: false };
  const value = parser.or();
  if (typeof value !== "boolean") return { ok: false, error: value };
  parser.skipBlanks();
  if (parser.at < expression.length) {
    return {
      ok: false,
      error: {
        message: `unexpected character '${expression[parser.at]}' at the end of conditional expression '${expression}'`,
        index: parser.at,
      },
    };
  }
  return { ok: true, value };
}

class Parser {
  at = 0;
  readonly #text: string;
  readonly #context: ConditionContext;
  #depth = 0;

  constructor(text: string, context: ConditionContext) {
    this.#text = text;
    this.#context = context;
  }

  skipBlanks(): void {
    while (this.at < this.#text.length && isBlank(this.#text[this.at] as string)) this.at++;
  }

  or(): boolean | ConditionError {
    let value = this.#and();
    while (typeof value === "boolean" && this.#take("||")) {
      const right = this.#and();
      if (typeof right !== "boolean") return right;
      value ||= right;
    }
    return value;
  }

  #and(): boolean | ConditionError {
    let value = this.#term();
    while (typeof value === "boolean" && this.#take("&&")) {
      const right = this.#term();
      if (typeof right !== "boolean") return right;
      value &&= right;
    }
    return value;
  }

  #take(operator: string): boolean {
    const before = this.at;
    this.skipBlanks();
    if (this.#text.startsWith(operator, this.at)) {
      this.at += operator.length;
      return true;
    }
    this.at = before;
    return false;
  }

  #term(): boolean | ConditionError {
    this.skipBlanks();
    const start = this.at;
    if (++this.#depth > MAX_DEPTH) return { message: "too many nested expressions", index: start };
    const value = this.#primary(start);
    this.#depth--;
    return value;
  }

  #primary(start: number): boolean | ConditionError {
    const text = this.#text;
    if (text[start] === "!") {
      this.at++;
      const value = this.#term();
      return typeof value === "boolean" ? !value : value;
    }
    if (text[start] === "(") {
      this.at++;
      const value = this.or();
      if (typeof value !== "boolean") return value;
      this.skipBlanks();
      if (text[this.at] !== ")") {
        return {
          message: `expected ')' after conditional expression '${text.slice(start)}'`,
          index: start,
        };
      }
      this.at++;
      return value;
    }
    const number = /^[-+]?\d+/.exec(text.slice(start));
    if (number !== null) {
      this.at += number[0].length;
      return Number(number[0]) !== 0;
    }
    const head = /^([a-z_0-9]+)\(/.exec(text.slice(start));
    const predicate = head === null ? undefined : predicates.get(head[1] as string);
    if (head === null || predicate === undefined) {
      return {
        message: `unparsable conditional expression '${text.slice(start)}'`,
        index: start,
      };
    }
    this.at = start + head[0].length;
    const args = this.#arguments(head[1] as string, predicate.arguments);
    return Array.isArray(args) ? predicate.holds(args, this.#context) : (args as ConditionError);
  }

  /** Up to `)`; quotes group, and neither blanks nor commas need them otherwise. */
  #arguments(name: string, count: number): string[] | ConditionError {
    const where = `of predicate '${name}' used in conditional expression`;
    const args: string[] = [];
    const text = this.#text;
    let word = "";
    let quote = "";
    const begin = this.at;
    for (; ; this.at++) {
      const c = text[this.at];
      if (c === undefined) {
        return { message: `expected ')' in argument ${args.length + 1} ${where}`, index: begin };
      }
      if (quote !== "") {
        if (c === quote) quote = "";
        else if (c === "\\" && quote === '"' && this.at + 1 < text.length) {
          word += text[++this.at];
        } else word += c;
      } else if (c === '"' || c === "'") {
        quote = c;
      } else if (c === "\\" && this.at + 1 < text.length) {
        word += text[++this.at];
      } else if (c === "," || c === ")") {
        if (c === "," && args.length + 1 === count) {
          return {
            message: `expected ')' before '${text.slice(this.at)}' in argument ${count} ${where}`,
            index: this.at,
          };
        }
        args.push(word);
        word = "";
        if (c === ")") break;
      } else {
        word += c;
      }
    }
    if (args.length < count) {
      return {
        message: `missing arguments (got ${args.length}/${count}), type 'string' expected in argument ${args.length} ${where}`,
        index: this.at,
      };
    }
    this.at++;
    return args;
  }
}

/** Nested parentheses and `!`: enough for any file, and no stack to exhaust. */
const MAX_DEPTH = 200;

interface Predicate {
  readonly arguments: number;
  readonly holds: (args: readonly string[], context: ConditionContext) => boolean;
}

const text = (args: readonly string[], i: number): string => args[i] ?? "";

const predicates: ReadonlyMap<string, Predicate> = new Map<string, Predicate>([
  ["defined", { arguments: 1, holds: (a, c) => c.environment.has(text(a, 0)) }],
  ["feature", { arguments: 1, holds: (a, c) => c.features.get(text(a, 0)) ?? false }],
  ["enabled", { arguments: 1, holds: (a, c) => c.enabled.has(text(a, 0)) }],
  ["streq", { arguments: 2, holds: (a) => text(a, 0) === text(a, 1) }],
  ["strneq", { arguments: 2, holds: (a) => text(a, 0) !== text(a, 1) }],
  ["strstr", { arguments: 2, holds: (a) => text(a, 0).includes(text(a, 1)) }],
  [
    "version_atleast",
    { arguments: 1, holds: (a, c) => compareVersions(c.version, text(a, 0)) >= 0 },
  ],
  ["version_before", { arguments: 1, holds: (a, c) => compareVersions(c.version, text(a, 0)) < 0 }],
  [
    "openssl_version_atleast",
    { arguments: 1, holds: (a, c) => compareVersions(sslVersion(c), text(a, 0)) >= 0 },
  ],
  [
    "openssl_version_before",
    { arguments: 1, holds: (a, c) => compareVersions(sslVersion(c), text(a, 0)) < 0 },
  ],
  [
    "ssllib_name_startswith",
    { arguments: 1, holds: (a, c) => c.sslLibrary.startsWith(text(a, 0)) },
  ],
  // Those of AWS-LC are known, and never hold: our library is OpenSSL.
  ["awslc_api_atleast", { arguments: 1, holds: () => false }],
  ["awslc_api_before", { arguments: 1, holds: () => false }],
]);

function sslVersion({ sslLibrary }: ConditionContext): string {
  return /\d+\.\d+(\.\d+)?/.exec(sslLibrary)?.[0] ?? "0";
}
