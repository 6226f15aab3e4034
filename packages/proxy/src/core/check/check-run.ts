import type {
  CheckPlan,
  CheckScope,
  CheckStep,
  CheckText,
  ConnectStep,
  ExpectStep,
  SendHttpStep,
} from "./check-plan.ts";
import type { CheckResult, CheckStatus } from "./check-status.ts";
import { type ExpectVerdict, evaluateExpect } from "./expect.ts";

/** What the daemon does next. After `send` it calls `next`; after `connect`, `connected` or `failed`. */
export type CheckCommand =
  | { readonly type: "connect"; readonly step: ConnectStep }
  /** Latin-1. */
  | { readonly type: "send"; readonly text: string }
  /** More of the answer is needed: `received`, `failed` or `timedOut` follows. */
  | { readonly type: "wait" }
  | { readonly type: "done"; readonly result: Finding };

/** A result without its duration, which is the daemon's to measure. */
export type Finding = Pick<CheckResult, "status" | "code" | "info">;

/** How far a connection had come when it failed. */
export type CheckPhase = "connect" | "handshake" | "talk";

/** One check of one server: a machine over the plan's steps. Never throws on what a server sends. */
export class CheckRun {
  readonly #plan: CheckPlan;
  readonly #scope: CheckScope;
  readonly #isUp: boolean;
  readonly #limit: number;
  #at = -1;
  #ended = false;
  #usedTls = false;
  #last: ExpectVerdict | undefined = undefined;

  /**
   * @param isUp Whether the server is up now: a 404 lets only such a one stop gently.
   * @param limit Bytes of an answer that are kept; default HAProxy's buffer.
   */
  constructor(plan: CheckPlan, scope: CheckScope, isUp: boolean, limit = 16_384) {
    this.#plan = plan;
    this.#scope = scope;
    this.#isUp = isUp;
    this.#limit = limit;
  }

  /** Goes on to the next step that needs the daemon. */
  next(): CheckCommand {
    for (;;) {
      const step = this.#plan.steps[++this.#at];
      if (step === undefined) return { type: "done", result: this.#passed() };
      switch (step.type) {
        case "connect":
          this.#forget();
          return { type: "connect", step };
        case "send":
          this.#forget();
          return { type: "send", text: textOf(step.text, this.#scope) };
        case "send-http":
          this.#forget();
          return { type: "send", text: requestText(step, this.#scope) };
        case "variable":
          step.run(this.#scope);
          break;
        default: {
          const command = this.#evaluate(step);
          if (command !== undefined) return command;
        }
      }
    }
  }

  /** The connection stands, with TLS where the step wanted it. */
  connected(withTls: boolean): CheckCommand {
    this.#usedTls = withTls;
    return this.next();
  }

  /** Bytes came (Latin-1), or the server will send no more. */
  received(text: string, isLast: boolean): CheckCommand {
    const { answer } = this.#scope;
    this.#scope.answer = (answer + text).slice(0, this.#limit);
    this.#ended = isLast || this.#scope.answer.length >= this.#limit;
    const step = this.#plan.steps[this.#at];
    if (step?.type !== "expect") return { type: "wait" };
    return this.#evaluate(step) ?? this.next();
  }

  /** The connection failed; `reason` in the system's words: "Connection refused". */
  failed(phase: CheckPhase, reason: string): Finding {
    const status: CheckStatus =
      phase === "connect" ? "L4CON" : phase === "handshake" ? "L6RSP" : "SOCKERR";
    return { status, code: 0, info: reason + this.#place() };
  }

  timedOut(phase: CheckPhase): Finding {
    const step = this.#plan.steps[this.#at];
    const status: CheckStatus =
      phase === "connect"
        ? "L4TOUT"
        : phase === "handshake"
          ? "L6TOUT"
          : step?.type === "expect"
            ? (step.timeoutStatus ?? "L7TOUT")
            : "L7TOUT";
    return { status, code: 0, info: this.#place() };
  }

  #forget(): void {
    this.#scope.answer = "";
    this.#ended = false;
  }

  /** Undefined: it holds, on to the next step. */
  #evaluate(step: ExpectStep): CheckCommand | undefined {
    const verdict = evaluateExpect(step, {
      plan: this.#plan,
      scope: this.#scope,
      isLast: this.#ended,
      isUp: this.#isUp,
    });
    switch (verdict.type) {
      case "wait":
        return { type: "wait" };
      case "fail":
      case "stop":
        return { type: "done", result: verdict.result };
      default:
        this.#last = verdict;
        return undefined;
    }
  }

  #passed(): Finding {
    const step = this.#plan.steps.at(-1);
    if (step?.type === "connect") {
      return { status: this.#usedTls ? "L6OK" : "L4OK", code: 0, info: "" };
    }
    if (step?.type === "expect" && this.#last?.type === "pass") return this.#last.result;
    return { ...this.#plan.passed, code: 0 };
  }

  /** Where a tcp-check stood: ` at step 3 of tcp-check (expect string '+PONG') comment: 'x'`. */
  #place(): string {
    if (!this.#plan.namesSteps) return "";
    const step = this.#plan.steps[Math.max(0, this.#at)];
    if (step === undefined || step.number === 0) return " at initial connection step of tcp-check";
    const comment = step.comment === undefined ? "" : ` comment: '${step.comment}'`;
    return ` at step ${step.number} of tcp-check${describe(step)}${comment}`;
  }
}

function describe(step: CheckStep): string {
  switch (step.type) {
    case "connect":
      return typeof step.port === "number" ? ` (connect port ${step.port})` : " (connect)";
    case "send":
    case "send-http":
      return " (send)";
    case "variable":
      return "";
    default:
      return describeMatch(step);
  }
}

function describeMatch({ match }: ExpectStep): string {
  switch (match.type) {
    case "string":
      return match.format || typeof match.text !== "string"
        ? " (expect log-format string)"
        : ` (expect string '${match.text}')`;
    case "binary":
      return match.format ? " (expect log-format binary)" : " (expect binary)";
    case "regex":
      return " (expect regex)";
    case "binary-regex":
      return " (expect binary regex)";
    case "status":
    case "status-regex":
      return " (expect HTTP status)";
    case "header":
      return " (expect HTTP header pattern)";
    default:
      return " (expect custom function)";
  }
}

/** A text of a step, with its expressions evaluated. */
export function textOf(text: CheckText, scope: CheckScope): string {
  return typeof text === "string" ? text : text(scope);
}

/**
 * The request: what the configuration names, then the state, then framing. Names in lower case, and framing is ours
 * alone, as HAProxy has both. Observed: haproxy 2.6.12.
 */
function requestText(step: SendHttpStep, scope: CheckScope): string {
  let head = `${step.method} ${textOf(step.uri, scope)} ${step.version}\r\n`;
  for (const { name, value } of step.headers) {
    const lower = name.toLowerCase();
    if (lower === "connection" || lower === "content-length" || lower === "transfer-encoding") {
      continue;
    }
    head += `${lower}: ${textOf(value, scope)}\r\n`;
  }
  if (step.sendsState) head += `x-haproxy-server-state: ${scope.stateHeader()}\r\n`;
  const body = step.body === undefined ? "" : textOf(step.body, scope);
  if (body !== "") head += `content-length: ${body.length}\r\n`;
  if (step.version !== "HTTP/1.0") head += "connection: close\r\n";
  return `${head}\r\n${body}`;
}
