import type { Token } from "../config/token.ts";
import { type CompileContext, refuse } from "../sample/compile-context.ts";
import type { CheckScope, CheckText, ExpectStep, Match, TextMatch } from "./check-plan.ts";
import { CHECK_STATUSES, type CheckStatus } from "./check-status.ts";
import { compilePattern, compileSample, compileText, textOfHex } from "./check-text.ts";

type Writable<T> = { -readonly [Key in keyof T]: T[Key] };

/** `expect [options] [!]<match> <pattern>` of http-check and tcp-check. Words start at `expect`. */
export function compileExpect(
  words: readonly Token[],
  base: Pick<ExpectStep, "number" | "comment">,
  context: CompileContext,
): ExpectStep | undefined {
  const step: Writable<ExpectStep> = {
    ...base,
    type: "expect",
    match: { type: "status", ranges: [] },
    inverse: false,
    minReceive: -1,
    okStatus: undefined,
    errorStatus: undefined,
    timeoutStatus: undefined,
    onSuccess: undefined,
    onError: undefined,
    statusCode: undefined,
  };
  for (let i = 1; i < words.length; i++) {
    let word = words[i]?.text ?? "";
    if (word === "!") {
      step.inverse = true;
      continue;
    }
    if (word.startsWith("!")) {
      step.inverse = true;
      word = word.slice(1);
    }
    const value = words[i + 1];
    if (value === undefined) return refuse(context, words[i], `'${word}' expects a value`);
    if (takeOption(step, word, value, context)) {
      i++;
      continue;
    }
    if (word === "hdr" || word === "fhdr") {
      const header = readHeader(words, i + 1, word === "fhdr", context);
      step.match = header.match;
      i = header.next - 1;
      continue;
    }
    const match = readMatch(word, value, context);
    if (match === undefined) return undefined;
    step.match = match;
    i++;
  }
  return step;
}

function takeOption(
  step: Writable<ExpectStep>,
  word: string,
  value: Token,
  context: CompileContext,
): boolean {
  switch (word) {
    case "comment":
      return true;
    case "min-recv":
      step.minReceive = Number.parseInt(value.text, 10) || 0;
      return true;
    case "ok-status":
      step.okStatus = statusOf(value.text);
      return true;
    case "error-status":
      step.errorStatus = statusOf(value.text);
      return true;
    case "tout-status":
      step.timeoutStatus = statusOf(value.text);
      return true;
    case "on-success":
      step.onSuccess = asFunction(compileText(value, context));
      return true;
    case "on-error":
      step.onError = asFunction(compileText(value, context));
      return true;
    case "status-code": {
      const text = asFunction(compileSample(value, context));
      step.statusCode = (scope) => Number.parseInt(text(scope), 10) || 0;
      return true;
    }
    default:
      return false;
  }
}

function statusOf(name: string): CheckStatus | undefined {
  return name in CHECK_STATUSES ? (name as CheckStatus) : undefined;
}

function asFunction(text: CheckText): (scope: CheckScope) => string {
  return typeof text === "string" ? () => text : text;
}

function readMatch(word: string, value: Token, context: CompileContext): Match | undefined {
  switch (word) {
    case "status":
      return { type: "status", ranges: readRanges(value.text) };
    case "string":
      return { type: "string", text: value.text, format: false };
    case "string-lf":
      return { type: "string", text: compileText(value, context), format: true };
    case "binary":
      return { type: "binary", text: textOfHex(value.text), format: false };
    case "binary-lf": {
      const text = asFunction(compileText(value, context));
      return { type: "binary", text: (scope) => textOfHex(text(scope)), format: true };
    }
  }
  const regex = compilePattern(value, context);
  if (regex === undefined) return undefined;
  switch (word) {
    case "rstatus":
      return { type: "status-regex", regex };
    case "rbinary":
      return { type: "binary-regex", regex };
    default:
      return { type: "regex", regex };
  }
}

/** `200-299,301`. */
function readRanges(text: string): { low: number; high: number }[] {
  return text
    .split(",")
    .filter((part) => part !== "")
    .map((part) => {
      const [low = "0", high = low] = part.split("-");
      return { low: Number(low), high: Number(high) };
    });
}

/** `name [-m <how>] <name> [full] [value [-m <how>] <value> [full]]`, also with -lf names; gives where it ends. */
function readHeader(
  words: readonly Token[],
  from: number,
  isFull: boolean,
  context: CompileContext,
): { readonly match: Match; readonly next: number } {
  let at = from;
  let full = isFull;
  const take = (): TextMatch => {
    const isFormat = words[at]?.text.endsWith("-lf") === true;
    at++;
    let how: TextMatch["how"] = "str";
    if (words[at]?.text === "-m") {
      how = HOW[words[at + 1]?.text ?? ""] ?? "str";
      at += 2;
    }
    const token = words[at];
    at++;
    if (words[at]?.text === "full") {
      full = true;
      at++;
    }
    if (token === undefined) return { how, text: "", regex: undefined };
    return {
      how,
      text: isFormat ? compileText(token, context) : token.text,
      regex: how === "reg" && !isFormat ? compilePattern(token, context) : undefined,
    };
  };
  const name = take();
  const value = /^value(-lf)?$/.test(words[at]?.text ?? "") ? take() : undefined;
  return { match: { type: "header", name, value, full }, next: at };
}

const HOW: Readonly<Record<string, TextMatch["how"]>> = {
  str: "str",
  beg: "beg",
  end: "end",
  sub: "sub",
  reg: "reg",
};
