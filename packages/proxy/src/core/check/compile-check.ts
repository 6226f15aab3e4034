import { parseSocketAddress } from "../config/address.ts";
import type { SocketAddress } from "../config/address-model.ts";
import type { Backend, RuleLine } from "../config/proxy-model.ts";
import type { Token } from "../config/token.ts";
import { HTTP_TEXT } from "../log/log-format.ts";
import { type CompileContext, refuse } from "../sample/compile-context.ts";
import { parseExpression } from "../sample/expression.ts";
import { createSample } from "../sample/sample.ts";
import { copyValue } from "../sample/variable.ts";
import type {
  CheckPlan,
  CheckStep,
  CheckText,
  ConnectStep,
  SendHttpStep,
  VariableStep,
} from "./check-plan.ts";
import { compileSample, compileText, textOfHex } from "./check-text.ts";
import { compileExpect } from "./compile-expect.ts";
import { IMPLICIT_CONNECT, protocolPlan } from "./protocol-checks.ts";

/**
 * What a backend's checks do. Lines were read by the configuration already; what remains wrong goes to the context's
 * diagnostics. Undefined for `external-check`, which has no connection.
 */
export function compileCheck(backend: Backend, context: CompileContext): CheckPlan | undefined {
  const { check } = backend;
  switch (check.kind) {
    case "external-check":
      return undefined;
    case "httpchk":
      return httpPlan(backend, context);
    case "tcp-check":
      return tcpPlan(backend, context);
    default:
      return protocolPlan(check) ?? CONNECT_PLAN;
  }
}

/** No `option` at all: the connection is the check. */
const CONNECT_PLAN: CheckPlan = {
  steps: [IMPLICIT_CONNECT],
  namesSteps: false,
  passed: { status: "L4OK", info: "" },
  disableOn404: false,
  http: false,
};

function tcpPlan(backend: Backend, context: CompileContext): CheckPlan {
  const steps = compileLines(backend.tcpCheck, context, (words, step) => {
    const [kind, value] = words;
    if (value === undefined) return undefined;
    switch (kind?.text) {
      case "send":
        return { ...step, type: "send", text: value.text };
      case "send-binary":
        return { ...step, type: "send", text: textOfHex(value.text) };
      case "send-lf":
        return { ...step, type: "send", text: compileText(value, context) };
      case "send-binary-lf": {
        const text = compileText(value, context);
        return {
          ...step,
          type: "send",
          text: typeof text === "string" ? textOfHex(text) : (scope) => textOfHex(text(scope)),
        };
      }
      default:
        return undefined;
    }
  });
  return {
    steps: withConnect(steps),
    namesSteps: true,
    passed: { status: "L7OK", info: "(tcp-check)" },
    disableOn404: false,
    http: false,
  };
}

function httpPlan(backend: Backend, context: CompileContext): CheckPlan {
  const lines = backend.httpCheck.filter(
    ({ words }) => words[0]?.text !== "disable-on-404" && words[0]?.text !== "send-state",
  );
  const has = (name: string) => backend.httpCheck.some(({ words }) => words[0]?.text === name);
  const sendsState = has("send-state");
  const implicit = httpRequestOf(backend.check.args, sendsState);
  // The first request takes what it does not say from `option httpchk`. HAProxy configuration manual §4.2
  let isFirst = true;
  const steps = compileLines(lines, context, (words, step) => {
    if (words[0]?.text !== "send") return undefined;
    const base = isFirst ? implicit : { ...implicit, method: "GET", uri: "/", version: "HTTP/1.0" };
    isFirst = false;
    return { ...base, ...step, ...readSend(words, context) };
  });
  if (isFirst) {
    const connect = steps.findIndex(({ type }) => type === "connect");
    const before = steps.slice(0, connect + 1).every(({ type }) => type !== "expect");
    steps.splice(before ? connect + 1 : 0, 0, implicit);
  }
  if (!steps.some(({ type }) => type === "expect")) steps.push(SUCCESS_EXPECTED);
  return {
    steps: withConnect(steps),
    namesSteps: false,
    passed: { status: "L7OK", info: "" },
    disableOn404: has("disable-on-404"),
    http: true,
  };
}

/** 2xx and 3xx. */
const SUCCESS_EXPECTED: CheckStep = {
  type: "expect",
  number: 0,
  comment: undefined,
  match: { type: "status", ranges: [{ low: 200, high: 399 }] },
  inverse: false,
  minReceive: -1,
  okStatus: undefined,
  errorStatus: undefined,
  timeoutStatus: undefined,
  onSuccess: undefined,
  onError: undefined,
  statusCode: undefined,
};

/** `option httpchk [[<method>] <uri> [<version>]]`: one word is the URI. */
function httpRequestOf(args: readonly string[], sendsState: boolean): SendHttpStep {
  const [first, second, version] = args;
  return {
    type: "send-http",
    number: 0,
    comment: undefined,
    method: second === undefined ? "OPTIONS" : (first ?? "OPTIONS"),
    uri: (second ?? first) || "/",
    version: version ?? "HTTP/1.0",
    headers: [],
    body: undefined,
    sendsState,
  };
}

function withConnect(steps: readonly CheckStep[]): CheckStep[] {
  const first = steps.find(({ type }) => type !== "variable");
  return first?.type === "connect" ? [...steps] : [IMPLICIT_CONNECT, ...steps];
}

type StepBase = Pick<CheckStep, "number" | "comment">;

/** Steps that both kinds have; `own` reads the others. A comment line holds for the steps after it. */
function compileLines(
  lines: readonly RuleLine[],
  context: CompileContext,
  own: (words: readonly Token[], step: StepBase) => CheckStep | undefined,
): CheckStep[] {
  const steps: CheckStep[] = [];
  let standing: string | undefined;
  lines.forEach(({ words }, i) => {
    const head = words[0]?.text ?? "";
    if (head === "comment") {
      standing = words[1]?.text;
      return;
    }
    const base: StepBase = { number: i + 1, comment: commentOf(words) ?? standing };
    let step: CheckStep | undefined;
    if (head === "connect") step = readConnect(words, base, context);
    else if (head === "expect") step = compileExpect(words, base, context);
    else if (/^(set-var|set-var-fmt|unset-var)\(/.test(head))
      step = readVariable(words, base, context);
    else step = own(words, base);
    if (step !== undefined) steps.push(step);
  });
  return steps;
}

function commentOf(words: readonly Token[]): string | undefined {
  const at = words.findIndex(({ text }, i) => i > 0 && text === "comment");
  return at === -1 ? undefined : words[at + 1]?.text;
}

function readConnect(
  words: readonly Token[],
  base: StepBase,
  context: CompileContext,
): ConnectStep {
  const step: { -readonly [Key in keyof ConnectStep]: ConnectStep[Key] } = {
    ...IMPLICIT_CONNECT,
    ...base,
    byServer: false,
  };
  for (let i = 1; i < words.length; i++) {
    const value = words[i + 1];
    switch (words[i]?.text) {
      case "default":
        step.byServer = true;
        break;
      case "send-proxy":
        step.sendProxy = true;
        break;
      case "via-socks4":
        step.viaSocks4 = true;
        break;
      case "ssl":
        step.ssl = true;
        break;
      case "linger":
        break;
      case "port":
        if (value !== undefined) {
          step.port = /^\d+$/.test(value.text) ? Number(value.text) : compileSample(value, context);
        }
        i++;
        break;
      case "addr":
        if (value !== undefined) step.address = readTarget(value, context);
        i++;
        break;
      case "sni":
        step.sni = value?.text;
        i++;
        break;
      case "alpn":
        step.alpn = value?.text.split(",");
        i++;
        break;
      default:
        i++; // `comment` and `proto`, which have a value.
    }
  }
  return step;
}

/** `addr` of a connect: an address, with or without port. */
function readTarget(token: Token, context: CompileContext): SocketAddress | undefined {
  const parsed = parseSocketAddress(token.text, {
    port: "optional",
    portZero: true,
    stream: true,
    datagram: false,
    inherited: false,
    local: true,
    names: false,
  });
  return parsed.ok
    ? parsed.value.address
    : refuse(context, token, parsed.message, "write <ip>[:<port>]: checks resolve no names");
}

function readSend(words: readonly Token[], context: CompileContext): Partial<SendHttpStep> {
  const step: { -readonly [Key in keyof SendHttpStep]?: SendHttpStep[Key] } = {};
  const headers: { name: string; value: CheckText }[] = [];
  for (let i = 1; i < words.length; i += 2) {
    const value = words[i + 1];
    if (value === undefined) break;
    switch (words[i]?.text) {
      case "meth":
        step.method = value.text;
        break;
      case "uri":
        step.uri = value.text;
        break;
      case "uri-lf":
        step.uri = compileText(value, context);
        break;
      case "ver":
        step.version = value.text;
        break;
      case "body":
        step.body = value.text;
        break;
      case "body-lf":
        step.body = compileText(value, context);
        break;
      case "hdr": {
        const text = words[i + 2];
        if (text !== undefined) {
          headers.push({ name: value.text, value: compileText(text, context, HTTP_TEXT) });
        }
        i++;
        break;
      }
    }
  }
  if (headers.length > 0) step.headers = headers;
  return step;
}

function readVariable(
  words: readonly Token[],
  base: StepBase,
  context: CompileContext,
): VariableStep | undefined {
  const [head, ...rest] = words;
  const match = /^(set-var|set-var-fmt|unset-var)\(([^,)]*)/.exec(head?.text ?? "");
  const { variables } = context.world;
  const variable = variables.variable(match?.[2] ?? "");
  if (match === null || variable === undefined) {
    return refuse(context, head, `'${head?.text}' names no variable`, "write check.<name>");
  }
  if (match[1] === "unset-var") {
    return {
      ...base,
      type: "variable",
      run: (scope) => variables.set(variable, scope.transaction(), undefined),
    };
  }
  if (match[1] === "set-var-fmt") {
    const text = rest[0] === undefined ? "" : compileText(rest[0], context);
    return {
      ...base,
      type: "variable",
      run: (scope) => {
        const value = typeof text === "string" ? text : text(scope);
        const bytes = Uint8Array.from(value, (character) => character.charCodeAt(0));
        variables.set(variable, scope.transaction(), { type: "str", bytes });
      },
    };
  }
  const expression = parseExpression(rest, 0, context)?.expression;
  if (expression === undefined) return undefined;
  const sample = createSample();
  return {
    ...base,
    type: "variable",
    run: (scope) => {
      const transaction = scope.transaction();
      if (expression.evaluate(transaction, sample)) {
        variables.set(variable, transaction, copyValue(sample));
      }
    },
  };
}
