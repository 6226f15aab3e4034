import type { Token } from "../../config/token.ts";
import { castChecked } from "../../sample/cast.ts";
import { type CompileContext, notYet, refuse, warn } from "../../sample/compile-context.ts";
import { checkPlace, parseExpression } from "../../sample/expression.ts";
import { ADDR, createSample, IPV4, type Sample, SINT, STR } from "../../sample/sample.ts";
import type { Endpoint, Transaction } from "../../transaction.ts";
import { duration, misused, wholeExpression } from "../arguments.ts";
import { type ActionKeyword, type ActionRuleset, CONTINUE } from "../rule.ts";

const TCP_REQUEST: readonly ActionRuleset[] = [
  "tcp-request connection",
  "tcp-request session",
  "tcp-request content",
];
const REQUEST: readonly ActionRuleset[] = [...TCP_REQUEST, "http-request"];
const ALL: readonly ActionRuleset[] = [...REQUEST, "tcp-response content", "http-response"];

/** Syslog levels by name; `silent` writes no line. */
const LOG_LEVELS: Readonly<Record<string, number>> = {
  emerg: 0,
  alert: 1,
  crit: 2,
  err: 3,
  warning: 4,
  notice: 5,
  info: 6,
  debug: 7,
  silent: -1,
};

/** Actions that set how a connection or transaction is treated. */
export const SETTING_ACTIONS: readonly ActionKeyword[] = [
  address(
    "set-src",
    "Takes the expression for the client's address; the port becomes 0.",
    (t) => t.session.changing().source,
  ),
  address(
    "set-dst",
    "Takes the expression for the address that the client connected to, and connects there when the server's address is 0.0.0.0.",
    (t) => t.session.changing().destination,
    true,
  ),
  port(
    "set-src-port",
    "Takes the expression for the client's port.",
    (t) => t.session.changing().source,
  ),
  port(
    "set-dst-port",
    "Takes the expression for the port that the client connected to.",
    (t) => t.session.changing().destination,
    true,
  ),
  {
    name: "set-log-level",
    rulesets: ["tcp-request content", "tcp-response content", "http-request", "http-response"],
    syntax: "set-log-level emerg|alert|crit|err|warning|notice|info|debug|silent",
    doc: "Level of the transaction's log line; silent writes none.",
    source: "HAProxy configuration manual §4.2, http-request set-log-level",
    compile: ([level, extra], context, head) => {
      if (level === undefined || extra !== undefined)
        return misused(byName("set-log-level"), context, head);
      const value = LOG_LEVELS[level.text];
      if (value === undefined)
        return refuse(
          context,
          level,
          `unknown log level '${level.text}'`,
          `write one of: ${Object.keys(LOG_LEVELS).join(", ")}`,
        );
      return (transaction) => {
        transaction.logLevel = value;
        return CONTINUE;
      };
    },
  },
  numberSetting(
    "set-priority-class",
    ["tcp-request content", "http-request"],
    "Class in queues, -2047 to 2047; lower is served first.",
    (transaction, value) => {
      transaction.priorityClass = Math.max(-2047, Math.min(2047, value));
    },
  ),
  numberSetting(
    "set-priority-offset",
    ["tcp-request content", "http-request"],
    "Milliseconds that queues take the request for later, -524287 to 524287.",
    (transaction, value) => {
      transaction.priorityOffset = Math.max(-524287, Math.min(524287, value));
    },
  ),
  {
    name: "set-timeout",
    rulesets: ["http-request", "http-response"],
    syntax: "set-timeout { client | server | tunnel } { <timeout> | <expr> }",
    doc: "That timeout of this transaction; an expression gives milliseconds.",
    source: "HAProxy configuration manual §4.2, http-request set-timeout",
    compile: ([which, ...words], context, head) => {
      const set = which === undefined ? undefined : TIMEOUTS[which.text];
      const [time] = words;
      if (set === undefined || time === undefined)
        return misused(byName("set-timeout"), context, head);
      if (/^\d/.test(time.text)) {
        const milliseconds = duration(time, context);
        if (milliseconds === undefined || words.length > 1) {
          return words.length > 1 ? misused(byName("set-timeout"), context, head) : undefined;
        }
        return (transaction) => {
          set(transaction, milliseconds);
          return CONTINUE;
        };
      }
      const expression = wholeExpression(words, context, byName("set-timeout"), head);
      if (expression === undefined) return undefined;
      const sample = createSample();
      return (transaction) => {
        if (
          expression.evaluate(transaction, sample) &&
          castChecked(sample, SINT, transaction) &&
          sample.int > 0
        ) {
          set(transaction, sample.int);
        }
        return CONTINUE;
      };
    },
  },
  {
    name: "disable-l7-retry",
    rulesets: ["http-request"],
    syntax: "disable-l7-retry",
    doc: "The request is not sent again after the server took it.",
    source: "HAProxy configuration manual §4.2, http-request disable-l7-retry",
    compile: (args, context, head) => {
      if (args.length > 0) return misused(byName("disable-l7-retry"), context, head);
      return (transaction) => {
        transaction.retryDisabled = true;
        return CONTINUE;
      };
    },
  },
  {
    name: "strict-mode",
    rulesets: ["http-request", "http-response", "http-after-response"],
    syntax: "strict-mode on|off",
    doc: "Whether a rewriting that has no room ends the transaction with a 500 (on, the default), in the rules after it.",
    source: "HAProxy configuration manual §4.2, http-request strict-mode",
    compile: ([mode, extra], context, head) => {
      if (extra !== undefined || (mode?.text !== "on" && mode?.text !== "off"))
        return misused(byName("strict-mode"), context, head);
      if (context.ruleset !== undefined) context.ruleset.strict = mode.text === "on";
      return () => CONTINUE;
    },
  },
  {
    ...numberSetting(
      "set-retries",
      ["tcp-request content", "http-request"],
      "Tries after the first to connect, in place of the backend's 'retries'.",
      (transaction, value) => {
        if (value >= 0) transaction.retryLimit = value;
      },
    ),
    source: "HAProxy configuration manual §4.4, set-retries (3.1 and later)",
  },
  ...[
    "set-nice",
    "set-tos",
    "set-mark",
    "set-fc-tos",
    "set-fc-mark",
    "set-bc-tos",
    "set-bc-mark",
  ].map((name) => ignored(name)),
  ...[
    "do-resolve",
    "set-bandwidth-limit",
    "send-spoe-group",
    "cache-use",
    "cache-store",
    "early-hint",
    "attach-srv",
    "do-log",
  ].map((name) => later(name)),
];

const TIMEOUTS: Readonly<Record<string, (transaction: Transaction, milliseconds: number) => void>> =
  {
    client: (transaction, milliseconds) => {
      transaction.timeoutClient = milliseconds;
    },
    server: (transaction, milliseconds) => {
      transaction.timeoutServer = milliseconds;
    },
    tunnel: (transaction, milliseconds) => {
      transaction.timeoutTunnel = milliseconds;
    },
  };

function byName(name: string): ActionKeyword {
  const found = SETTING_ACTIONS.find((keyword) => keyword.name === name);
  if (found === undefined) throw new Error(`no action ${name}`);
  return found;
}

/** The old `silent` of a kept address: a sample's bytes into an endpoint. */
function setEndpoint(endpoint: Endpoint, sample: Sample): void {
  const size = sample.type === IPV4 ? 4 : 16;
  endpoint.family = sample.type === IPV4 ? 4 : 6;
  for (let i = 0; i < size; i++) endpoint.address[i] = sample.bytes[sample.start + i] as number;
}

function address(
  name: string,
  doc: string,
  of: (transaction: Transaction) => Endpoint,
  isTarget = false,
): ActionKeyword {
  const keyword: ActionKeyword = {
    name,
    rulesets: REQUEST,
    syntax: `${name} <expr>`,
    doc,
    source: `HAProxy configuration manual §4.2, http-request ${name}`,
    compile: (args, context, head) => {
      const expression = wholeExpression(args, context, keyword, head);
      if (expression === undefined) return undefined;
      const sample = createSample();
      return (transaction) => {
        if (!expression.evaluate(transaction, sample) || !castChecked(sample, ADDR, transaction))
          return CONTINUE;
        const endpoint = of(transaction);
        setEndpoint(endpoint, sample);
        if (!isTarget) endpoint.port = 0;
        else {
          setEndpoint(transaction.target, sample);
          transaction.target.port = endpoint.port;
        }
        return CONTINUE;
      };
    },
  };
  return keyword;
}

function port(
  name: string,
  doc: string,
  of: (transaction: Transaction) => Endpoint,
  isTarget = false,
): ActionKeyword {
  const keyword: ActionKeyword = {
    name,
    rulesets: REQUEST,
    syntax: `${name} <expr>`,
    doc,
    source: `HAProxy configuration manual §4.2, http-request ${name}`,
    compile: (args, context, head) => {
      const expression = wholeExpression(args, context, keyword, head);
      if (expression === undefined) return undefined;
      const sample = createSample();
      return (transaction) => {
        if (!expression.evaluate(transaction, sample) || !castChecked(sample, SINT, transaction))
          return CONTINUE;
        if (sample.int < 0 || sample.int > 65535) return CONTINUE;
        of(transaction).port = sample.int;
        if (isTarget) transaction.target.port = sample.int;
        return CONTINUE;
      };
    },
  };
  return keyword;
}

function numberSetting(
  name: string,
  rulesets: readonly ActionRuleset[],
  doc: string,
  set: (transaction: Transaction, value: number) => void,
): ActionKeyword {
  const keyword: ActionKeyword = {
    name,
    rulesets,
    syntax: `${name} <expr>`,
    doc,
    source: `HAProxy configuration manual §4.2, http-request ${name}`,
    compile: (args, context, head) => {
      const expression = wholeExpression(args, context, keyword, head);
      if (expression === undefined) return undefined;
      const sample = createSample();
      return (transaction) => {
        if (expression.evaluate(transaction, sample) && castChecked(sample, SINT, transaction))
          set(transaction, sample.int);
        return CONTINUE;
      };
    },
  };
  return keyword;
}

/** Known, and without effect here: said so at load. */
function ignored(name: string): ActionKeyword {
  return {
    name,
    rulesets: ALL,
    syntax: `${name} <value>`,
    doc: "Not supported: a warning says so, and the rule does nothing.",
    source: `HAProxy configuration manual §4.2, http-request ${name}`,
    compile: (args, context, head) => {
      if (args.length === 0) return misused(byName(name), context, head);
      warn(context, head, `'${name}' is not supported: this rule has no effect`);
      return () => CONTINUE;
    },
  };
}

/** Known and checked as far as its name, but a start is refused: see `notYet`. */
function later(name: string): ActionKeyword {
  return {
    name,
    rulesets: [...ALL, "http-after-response"],
    syntax: `${name} …`,
    doc: "Not supported yet.",
    source: `HAProxy configuration manual §4.2, http-request ${name}`,
    parenthesis: true,
    compile: (_args, context, head) => {
      notYet(context, `the action '${name}'`, head);
      return context.later === undefined ? undefined : () => CONTINUE;
    },
  };
}

/** `capture <sample> len <length>` and `capture <sample> id <id>`. */
export const capture: ActionKeyword = {
  name: "capture",
  rulesets: ["tcp-request content", "http-request", "http-response", "http-after-response"],
  syntax: "capture <sample> { len <length> | id <id> }",
  doc: "Keeps the sample's text for logs: in a new slot of that length, or in the declared slot <id>.",
  source: "HAProxy configuration manual §4.2, http-request capture",
  compile: (args, context, head) => compileCapture(args, context, head),
};

function compileCapture(args: readonly Token[], context: CompileContext, head: Token) {
  const parsed = parseExpression(args, 0, context);
  if (parsed === undefined) return undefined;
  const { expression, next } = parsed;
  if (!checkPlace(expression, args[0], context)) return undefined;
  const [word, value, extra] = args.slice(next);
  const number = Number(value?.text);
  if (extra !== undefined || !Number.isInteger(number) || number < 0)
    return misused(capture, context, head);
  const isRequest = context.place === "http-request" || context.place === "tcp-request content";
  const lengths = context.proxy?.captures[isRequest ? "request" : "response"] ?? [];
  let slot = number;
  if (word?.text === "len" && isRequest) {
    if (context.proxy?.isFrontend !== true)
      return refuse(
        context,
        head,
        "'capture … len' belongs in a frontend",
        "write: capture <sample> id <id>, with 'declare capture' in the frontend",
      );
    slot = lengths.push(number) - 1;
  } else if (word?.text !== "id") return misused(capture, context, head);
  if (context.proxy?.isFrontend === true && slot >= lengths.length) {
    return refuse(
      context,
      value,
      `there is no capture slot ${slot}`,
      "write: declare capture request len <length>",
    );
  }
  const sample = createSample();
  return (transaction: Transaction) => {
    if (!expression.evaluate(transaction, sample) || !castChecked(sample, STR, transaction))
      return CONTINUE;
    const limit = isRequest
      ? captureLimit(context, transaction, slot)
      : captureLimit(context, transaction, slot, "response");
    const slots = isRequest ? transaction.requestCaptures : transaction.responseCaptures;
    slots[slot] = sample.bytes.slice(sample.start, Math.min(sample.end, sample.start + limit));
    return CONTINUE;
  };
}

/** Longest value of a slot: the frontend's, which a backend's rule learns at run time only. */
function captureLimit(
  context: CompileContext,
  transaction: Transaction,
  slot: number,
  side: "request" | "response" = "request",
): number {
  if (context.proxy?.isFrontend === true) return context.proxy.captures[side][slot] ?? 0;
  return context.world.captureLengths[transaction.frontend]?.[side][slot] ?? 0;
}
