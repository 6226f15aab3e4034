import type { Regex } from "../condition/regex.ts";
import { encodeBytes } from "../sample/sample.ts";
import type { CheckPlan, CheckScope, ExpectStep, Match, TextMatch } from "./check-plan.ts";
import type { Finding } from "./check-run.ts";
import type { CheckStatus } from "./check-status.ts";
import { type HttpAnswer, readHttpAnswer } from "./http-answer.ts";

/** `wait`: more bytes may change it. `stop` ends the check with a result that is neither good nor bad. */
export type ExpectVerdict =
  | { readonly type: "wait" }
  | { readonly type: "pass" | "fail" | "stop"; readonly result: Finding };

interface ExpectInput {
  readonly plan: CheckPlan;
  readonly scope: CheckScope;
  /** Nothing more can come. */
  readonly isLast: boolean;
  readonly isUp: boolean;
}

/** Compares what has been received with one `expect`. HAProxy configuration manual §4.2, http-check expect, tcp-check expect */
export function evaluateExpect(step: ExpectStep, input: ExpectInput): ExpectVerdict {
  return input.plan.http ? evaluateHttp(step, input) : evaluateBytes(step, input);
}

function evaluateBytes(step: ExpectStep, { scope, isLast, plan }: ExpectInput): ExpectVerdict {
  const { answer } = scope;
  const { match, minReceive } = step;
  if (!isLast && (answer === "" || answer.length < minReceive)) return WAIT;
  const code = step.statusCode?.(scope) ?? 0;
  if (match.type === "custom") {
    const verdict = match.read(answer, isLast);
    if (verdict.type === "wait") return WAIT;
    return {
      type: verdict.type,
      result: verdict.result ?? { ...plan.passed, code: 0 },
    };
  }
  if (answer === "") {
    // An `on-error` text speaks of an answer, and there was none.
    const text = `TCPCHK got an empty response at step ${step.number}`;
    return fail({ ...step, onError: undefined }, scope, "L7RSP", code, text);
  }
  const holds = matchesBytes(match, scope);
  // Without a minimum, bytes still to come may make it match.
  if (!holds && !isLast && minReceive === -1) return WAIT;
  if (holds === step.inverse) {
    const what = holds ? "TCPCHK matched unwanted content" : "TCPCHK did not match content";
    const text = `${what} ${describeContent(match)} at step ${step.number}`;
    return fail(step, scope, "L7RSP", code, text);
  }
  return pass(step, scope, code, plan.passed);
}

function matchesBytes(match: Match, scope: CheckScope): boolean {
  const { answer } = scope;
  switch (match.type) {
    case "string":
    case "binary":
      return answer.includes(typeof match.text === "string" ? match.text : match.text(scope));
    case "regex":
      return testRegex(match.regex, answer);
    case "binary-regex":
      return testRegex(match.regex, hexOf(answer));
    default:
      return false;
  }
}

function describeContent(match: Match): string {
  switch (match.type) {
    case "string":
      return typeof match.text === "string" && !match.format
        ? `'${match.text}'`
        : "(log-format string)";
    case "binary":
      return match.format ? "(log-format binary)" : "(binary)";
    case "regex":
      return "(regex)";
    default:
      return "(binary regex)";
  }
}

function evaluateHttp(step: ExpectStep, input: ExpectInput): ExpectVerdict {
  const { scope, plan } = input;
  const answer = readHttpAnswer(scope.answer);
  if (answer === "invalid" || (answer === "incomplete" && input.isLast)) {
    return { type: "fail", result: { status: "L7RSP", code: 0, info: "" } };
  }
  if (answer === "incomplete" || (!input.isLast && scope.answer.length < step.minReceive))
    return WAIT;
  if (plan.disableOn404 && input.isUp && answer.status === 404) {
    return { type: "stop", result: { status: "L7OKC", code: 404, info: "" } };
  }
  const isLast = input.isLast || answer.isWhole;
  const code = step.statusCode?.(scope) ?? answer.status;
  const { match } = step;
  const looksAtBody = match.type === "string" || match.type === "regex";
  const holds = matchesHttp(match, answer, scope);
  if (looksAtBody && !holds && !isLast && step.minReceive === -1) return WAIT;
  if (holds === step.inverse) {
    if (!looksAtBody) return fail(step, scope, "L7STS", code, answer.reason);
    const text = holds ? "HTTP check matched unwanted content" : "HTTP content check did not match";
    return fail(step, scope, "L7RSP", code, text);
  }
  return pass(step, scope, code, plan.passed);
}

function matchesHttp(match: Match, answer: HttpAnswer, scope: CheckScope): boolean {
  switch (match.type) {
    case "status":
      return match.ranges.some(({ low, high }) => low <= answer.status && answer.status <= high);
    case "status-regex":
      return testRegex(match.regex, String(answer.status));
    case "header":
      return answer.headers.some(
        ({ name, value }) =>
          matchesText(match.name, name, scope, true) &&
          (match.value === undefined || matchesValue(match.value, value, match.full, scope)),
      );
    case "string":
      return answer.body.includes(typeof match.text === "string" ? match.text : match.text(scope));
    case "regex":
      return testRegex(match.regex, answer.body);
    default:
      return false;
  }
}

function matchesValue(wanted: TextMatch, value: string, full: boolean, scope: CheckScope): boolean {
  const values = full ? [value] : value.split(",").map((part) => part.trim());
  return values.some((part) => matchesText(wanted, part, scope, false));
}

function matchesText(
  wanted: TextMatch,
  text: string,
  scope: CheckScope,
  ignoreCase: boolean,
): boolean {
  if (wanted.regex !== undefined) return testRegex(wanted.regex, text);
  const given = typeof wanted.text === "string" ? wanted.text : wanted.text(scope);
  const pattern = ignoreCase ? given.toLowerCase() : given;
  switch (wanted.how) {
    case "beg":
      return text.startsWith(pattern);
    case "end":
      return text.endsWith(pattern);
    case "sub":
      return text.includes(pattern);
    default:
      return text === pattern;
  }
}

const WAIT: ExpectVerdict = { type: "wait" };

function fail(
  step: ExpectStep,
  scope: CheckScope,
  otherwise: CheckStatus,
  code: number,
  text: string,
): ExpectVerdict {
  const own = step.onError?.(scope);
  const message = own ?? text;
  const comment =
    step.comment === undefined ? "" : `${message === "" ? "" : " "}comment: ${step.comment}`;
  return {
    type: "fail",
    result: { status: step.errorStatus ?? otherwise, code, info: message + comment },
  };
}

function pass(
  step: ExpectStep,
  scope: CheckScope,
  code: number,
  passed: CheckPlan["passed"],
): ExpectVerdict {
  return {
    type: "pass",
    result: {
      status: step.okStatus ?? passed.status,
      code,
      info: step.onSuccess?.(scope) ?? passed.info,
    },
  };
}

function testRegex(regex: Regex, text: string): boolean {
  const bytes = encodeBytes(text);
  return regex.test(bytes, 0, bytes.length);
}

function hexOf(text: string): string {
  let hex = "";
  for (let i = 0; i < text.length; i++) hex += text.charCodeAt(i).toString(16).padStart(2, "0");
  return hex.toUpperCase();
}
