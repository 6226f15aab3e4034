import { castChecked } from "../../sample/cast.ts";
import { refuse, warn } from "../../sample/compile-context.ts";
import { createSample, SINT } from "../../sample/sample.ts";
import { duration, misused, readOptions, wholeExpression } from "../arguments.ts";
import { compileRedirect } from "../redirect.ts";
import { compileReply, fixedReply, unauthorized } from "../reply.ts";
import {
  type ActionKeyword,
  type ActionRuleset,
  CONTINUE,
  FINAL,
  REJECT,
  SILENT_DROP,
  type Verdict,
} from "../rule.ts";

const HTTP: readonly ActionRuleset[] = ["http-request", "http-response"];
const TCP: readonly ActionRuleset[] = [
  "tcp-request connection",
  "tcp-request session",
  "tcp-request content",
  "tcp-response content",
];

/** Actions that end a ruleset, or a transaction. */
export const VERDICT_ACTIONS: readonly ActionKeyword[] = [
  always(
    "allow",
    [...HTTP, "http-after-response"],
    "Stops the ruleset and lets the message pass.",
    FINAL,
  ),
  always("accept", TCP, "Stops the ruleset and lets the connection pass.", FINAL),
  always("reject", ["http-request", ...TCP], "Closes the connection without an answer.", REJECT),
  {
    name: "silent-drop",
    rulesets: [...HTTP, ...TCP],
    syntax: "silent-drop [rst-ttl <ttl>]",
    doc: "Forgets the connection without telling the client.",
    source: "HAProxy configuration manual §4.2, http-request silent-drop",
    compile: (args, context, head) => {
      if (args.length > 0 && args[0]?.text !== "rst-ttl")
        return misused(byName("silent-drop"), context, head);
      if (args.length > 0)
        warn(context, args[0], "'rst-ttl' is not supported: the connection is dropped in silence");
      return () => SILENT_DROP;
    },
  },
  always("close", ["tcp-response content"], "Closes the connection to the server.", {
    type: "close-server",
  }),
  {
    name: "expect-proxy",
    rulesets: ["tcp-request connection"],
    syntax: "expect-proxy layer4",
    doc: "The connection must begin with a PROXY protocol header.",
    source: "HAProxy configuration manual §4.2, tcp-request connection expect-proxy",
    compile: (args, context, head) => {
      if (args.length !== 1 || args[0]?.text !== "layer4")
        return misused(byName("expect-proxy"), context, head);
      const verdict: Verdict = { type: "expect", header: "proxy" };
      return () => verdict;
    },
  },
  {
    name: "expect-netscaler-cip",
    rulesets: ["tcp-request connection"],
    syntax: "expect-netscaler-cip layer4",
    doc: "The connection must begin with a NetScaler client address header.",
    source: "HAProxy configuration manual §4.2, tcp-request connection expect-netscaler-cip",
    compile: (args, context, head) => {
      if (args.length !== 1 || args[0]?.text !== "layer4")
        return misused(byName("expect-netscaler-cip"), context, head);
      const verdict: Verdict = { type: "expect", header: "netscaler-cip" };
      return () => verdict;
    },
  },
  {
    name: "switch-mode",
    rulesets: ["tcp-request content"],
    syntax: "switch-mode http [proto <name>]",
    doc: "Goes on in HTTP; <name> h1 or h2 says which.",
    source: "HAProxy configuration manual §4.2, tcp-request content switch-mode",
    compile: (args, context, head) => {
      const [mode, proto, name, extra] = args;
      const isWhole =
        mode?.text === "http" &&
        extra === undefined &&
        (proto === undefined || (proto.text === "proto" && name !== undefined));
      if (!isWhole) return misused(byName("switch-mode"), context, head);
      const verdict: Verdict = { type: "switch-http", proto: name?.text };
      return () => verdict;
    },
  },
  {
    name: "deny",
    rulesets: HTTP,
    syntax:
      "deny [deny_status <status>] [content-type <type>] [errorfile|errorfiles|file|lf-file|string|lf-string <arg>] [hdr <name> <fmt>]*",
    doc: "Ends the request with an error answer: 403 for requests, 502 for responses, or as the words say.",
    source: "HAProxy configuration manual §4.2, http-request deny",
    compile: (args, context) => {
      const status = context.place === "http-request" ? 403 : 502;
      const reply = compileReply(args, status, "deny", context);
      if (reply === undefined) return undefined;
      const verdict: Verdict = { type: "respond", status: reply.status, by: "deny" };
      return (transaction) => {
        transaction.reply = reply.make(transaction);
        return verdict;
      };
    },
  },
  {
    name: "tarpit",
    rulesets: ["http-request"],
    syntax:
      "tarpit [deny_status <status>] [content-type <type>] [errorfile|errorfiles|file|lf-file|string|lf-string <arg>] [hdr <name> <fmt>]*",
    doc: "Keeps the client waiting for `timeout tarpit`, then answers with an error: 500, or as the words say.",
    source: "HAProxy configuration manual §4.2, http-request tarpit",
    compile: (args, context) => {
      const reply = compileReply(args, 500, "tarpit", context);
      if (reply === undefined) return undefined;
      const verdict: Verdict = { type: "tarpit", status: reply.status };
      return (transaction) => {
        transaction.reply = reply.make(transaction);
        return verdict;
      };
    },
  },
  {
    name: "return",
    rulesets: HTTP,
    syntax:
      "return [status <code>] [content-type <type>] [default-errorfiles|errorfile|errorfiles|file|lf-file|string|lf-string <arg>] [hdr <name> <fmt>]*",
    doc: "Answers by itself: 200 and no content, or as the words say.",
    source: "HAProxy configuration manual §4.2, http-request return",
    compile: (args, context) => {
      const reply = compileReply(args, 200, "return", context);
      if (reply === undefined) return undefined;
      const verdict: Verdict = { type: "respond", status: reply.status, by: "return" };
      return (transaction) => {
        transaction.reply = reply.make(transaction);
        return verdict;
      };
    },
  },
  {
    name: "redirect",
    rulesets: HTTP,
    syntax:
      "redirect location|prefix|scheme <fmt> [code <code>] [drop-query] [append-slash] [ignore-empty] [set-cookie|clear-cookie <name>[=<value>]]",
    doc: "Sends the client elsewhere: 302, or the given one of 301, 302, 303, 307, 308.",
    source: "HAProxy configuration manual §4.2, redirect",
    compile: (args, context, head) => compileRedirect(args, context, head),
  },
  {
    name: "auth",
    rulesets: ["http-request"],
    syntax: "auth [realm <realm>]",
    doc: "Asks the client for user and password: 401, or 407 for proxy requests.",
    source: "HAProxy configuration manual §4.2, http-request auth",
    compile: (args, context, head) => {
      const options = readOptions(args, { realm: 1 }, context, byName("auth").syntax);
      if (options === undefined) return undefined;
      const realm = options[0]?.values[0]?.text ?? context.proxy?.name ?? head.text;
      const own = fixedReply(401, unauthorized(401, realm));
      const proxied = fixedReply(407, unauthorized(407, realm));
      const verdicts: readonly Verdict[] = [
        { type: "respond", status: 401, by: "auth" },
        { type: "respond", status: 407, by: "auth" },
      ];
      return (transaction) => {
        // An absolute-form target or CONNECT is a request to a proxy. RFC 9110 §11.7.
        const { head: line, bytes } = transaction.request;
        const isProxied = line.version !== 20 && bytes[line.targetStart] !== SLASH;
        transaction.reply = isProxied ? proxied : own;
        return verdicts[isProxied ? 1 : 0] as Verdict;
      };
    },
  },
  {
    name: "wait-for-body",
    rulesets: HTTP,
    syntax: "wait-for-body time <time> [at-least <bytes>]",
    doc: "Waits for the body, or its first <bytes>, for at most <time>.",
    source: "HAProxy configuration manual §4.2, http-request wait-for-body",
    compile: (args, context, head) => {
      const options = readOptions(
        args,
        { time: 1, "at-least": 1 },
        context,
        byName("wait-for-body").syntax,
      );
      if (options === undefined) return undefined;
      const time = options.find(({ name }) => name === "time")?.values[0];
      if (time === undefined) return misused(byName("wait-for-body"), context, head);
      const milliseconds = duration(time, context);
      const least = options.find(({ name }) => name === "at-least")?.values[0];
      const atLeast = least === undefined ? 0 : sizeOf(least.text);
      if (atLeast === undefined)
        return refuse(context, least, `'${least?.text}' is not a number of bytes`);
      if (milliseconds === undefined) return undefined;
      const verdict: Verdict = { type: "wait-body", milliseconds, atLeast };
      const request = context.place === "http-request";
      return (transaction) => {
        const message = request ? transaction.request : transaction.response;
        const enough =
          message.bodyComplete || (atLeast > 0 && message.bodyEnd - message.bodyStart >= atLeast);
        return enough ? CONTINUE : verdict;
      };
    },
  },
  always(
    "wait-for-handshake",
    ["http-request"],
    "Waits for the end of the TLS handshake (early data).",
    { type: "wait-handshake" },
  ),
  {
    name: "pause",
    rulesets: HTTP,
    syntax: "pause { <timeout> | <expr> }",
    doc: "Waits for that long (milliseconds when an expression says) before the next rule.",
    source: "HAProxy configuration manual §4.3 (3.5), pause",
    compile: (args, context, head) => {
      const [time] = args;
      if (time === undefined) return misused(byName("pause"), context, head);
      if (/^\d/.test(time.text)) {
        const milliseconds = duration(time, context);
        if (milliseconds === undefined) return undefined;
        const verdict: Verdict = { type: "pause", milliseconds };
        return () => verdict;
      }
      const expression = wholeExpression(args, context, byName("pause"), head);
      if (expression === undefined) return undefined;
      const sample = createSample();
      return (transaction) =>
        expression.evaluate(transaction, sample) &&
        castChecked(sample, SINT, transaction) &&
        sample.int > 0
          ? { type: "pause", milliseconds: sample.int }
          : CONTINUE;
    },
  },
  {
    name: "use-service",
    rulesets: ["http-request", "tcp-request content"],
    syntax: "use-service <name>",
    doc: "The named service answers: prometheus-exporter.",
    source: "HAProxy configuration manual §4.2, http-request use-service",
    compile: (args, context, head) => {
      const [name, extra] = args;
      if (name === undefined || extra !== undefined)
        return misused(byName("use-service"), context, head);
      if (name.text !== "prometheus-exporter") {
        return refuse(
          context,
          name,
          `unknown service '${name.text}'`,
          "there is prometheus-exporter; Lua services are not supported",
        );
      }
      const verdict: Verdict = { type: "service", name: name.text };
      return () => verdict;
    },
  },
];

const SLASH = 0x2f;

function byName(name: string): ActionKeyword {
  const found = VERDICT_ACTIONS.find((keyword) => keyword.name === name);
  if (found === undefined) throw new Error(`no action ${name}`);
  return found;
}

/** An action without arguments. */
function always(
  name: string,
  rulesets: readonly ActionRuleset[],
  doc: string,
  verdict: Verdict,
): ActionKeyword {
  const keyword: ActionKeyword = {
    name,
    rulesets,
    syntax: name,
    doc,
    source: `HAProxy configuration manual §4.2, ${rulesets[0]} ${name}`,
    compile: (args, context, head) =>
      args.length > 0 ? misused(keyword, context, head) : () => verdict,
  };
  return keyword;
}

/** Bytes of a size such as 4k or 100. */
export function sizeOf(text: string): number | undefined {
  const match = /^(\d+)([kmg])?$/i.exec(text);
  if (match === null) return undefined;
  return (
    Number(match[1]) *
    ({ k: 1024, m: 1024 ** 2, g: 1024 ** 3 }[(match[2] ?? "").toLowerCase()] ?? 1)
  );
}
