import type { Token } from "../../config/token.ts";
import { METHOD_NAMES, METHOD_OTHER } from "../../http/head.ts";
import { reasonPhrase } from "../../http/replies.ts";
import { type CompileContext, refuse } from "../../sample/compile-context.ts";
import { encodeBytes, encodeText, latin1, room } from "../../sample/sample.ts";
import type { Transaction } from "../../transaction.ts";
import { failed, httpTemplate, misused, onFailure } from "../arguments.ts";
import { compileNormalizer } from "../normalize-uri.ts";
import { type Action, type ActionKeyword, CONTINUE } from "../rule.ts";
import { substituteFormat } from "../substitute.ts";
import { writeToBytes } from "../template-room.ts";
import { regexOf } from "./headers.ts";

/** Parts of a request target. */
interface Target {
  readonly before: string;
  readonly path: string;
  /** With its question mark; empty without one. */
  readonly query: string;
}

/** Actions that rewrite the start line. */
export const LINE_ACTIONS: readonly ActionKeyword[] = [
  rewrite(
    "set-path",
    "<fmt>",
    "Replaces the path, keeping the query.",
    (text, { before, query }) => before + text + query,
  ),
  rewrite(
    "set-pathq",
    "<fmt>",
    "Replaces the path and the query.",
    (text, { before }) => before + text,
  ),
  rewrite(
    "set-query",
    "<fmt>",
    "Replaces the query; without one in the request a question mark is added.",
    (text, { before, path }) => (text === "" ? before + path : `${before}${path}?${text}`),
  ),
  rewrite("set-uri", "<fmt>", "Replaces the whole request target.", (text) => text),
  {
    name: "set-method",
    rulesets: ["http-request"],
    syntax: "set-method <fmt>",
    doc: "Replaces the method.",
    source: "HAProxy configuration manual §4.2, http-request set-method",
    compile: (args, context, head) => {
      const [format, extra] = args;
      if (format === undefined || extra !== undefined)
        return misused(byName("set-method"), context, head);
      const template = httpTemplate(format, context);
      if (template === undefined) return undefined;
      const failure = onFailure(context);
      return (transaction) => {
        const bytes = writeToBytes(template, transaction, context.world);
        const name = latin1(bytes, 0, bytes.length);
        const start = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(name) ? place(transaction, bytes) : -1;
        if (start < 0) return failed(transaction, failure);
        const code = METHOD_NAMES.indexOf(name as (typeof METHOD_NAMES)[number]);
        transaction.request.setMethod(
          code === -1 ? METHOD_OTHER : code,
          start,
          start + bytes.length,
        );
        return CONTINUE;
      };
    },
  },
  replace(
    "replace-path",
    "Where the path matches, puts <replace-fmt> for the match.",
    ({ before, path, query }, change) => before + change(path) + query,
  ),
  replace(
    "replace-pathq",
    "As replace-path, over path and query.",
    ({ before, path, query }, change) => before + change(path + query),
  ),
  replace(
    "replace-uri",
    "As replace-path, over the whole request target.",
    ({ before, path, query }, change) => change(before + path + query),
  ),
  {
    name: "normalize-uri",
    rulesets: ["http-request"],
    syntax: "normalize-uri <normalizer> [full|strict]",
    doc: "Brings the target into a normal form: fragment-encode, fragment-strip, path-merge-slashes, path-strip-dot, path-strip-dotdot [full], percent-decode-unreserved [strict], percent-to-uppercase [strict], query-sort-by-name.",
    source: "HAProxy configuration manual §4.2, http-request normalize-uri",
    compile: (args, context) => {
      const normalizer = compileNormalizer(args, context);
      if (normalizer === undefined) return undefined;
      const failure = onFailure(context);
      return (transaction) => {
        const target = targetOf(transaction);
        const path = normalizer({ path: target.path, query: target.query });
        if (path === undefined) return failed(transaction, failure);
        const changed = target.before + path.path + path.query;
        return changed === target.before + target.path + target.query ||
          setTarget(transaction, target.before, changed)
          ? CONTINUE
          : failed(transaction, failure);
      };
    },
  },
  {
    name: "set-status",
    rulesets: ["http-response", "http-after-response"],
    syntax: "set-status <status> [reason <str>]",
    doc: "Replaces the status, with the reason given or the usual one.",
    source: "HAProxy configuration manual §4.2, http-response set-status",
    compile: (args, context, head) => {
      const [status, word, reason, extra] = args;
      const isWhole =
        status !== undefined &&
        extra === undefined &&
        (word === undefined || (word.text === "reason" && reason !== undefined));
      if (!isWhole) return misused(byName("set-status"), context, head);
      const code = Number(status.text);
      if (!/^\d{3}$/.test(status.text) || code < 100)
        return refuse(context, status, `status '${status.text}' must be a number from 100 to 999`);
      const text = encodeText(reason?.text ?? reasonPhrase(code));
      const failure = onFailure(context);
      return (transaction) => {
        const start = place(transaction, text);
        if (start < 0) return failed(transaction, failure);
        transaction.response.setStatus(code, start, start + text.length);
        return CONTINUE;
      };
    },
  },
];

function byName(name: string): ActionKeyword {
  const found = LINE_ACTIONS.find((keyword) => keyword.name === name);
  if (found === undefined) throw new Error(`no action ${name}`);
  return found;
}

function place(transaction: Transaction, bytes: Uint8Array): number {
  const start = room(transaction.scratch, bytes.length);
  if (start >= 0) transaction.bytes.set(bytes, start);
  return start;
}

function targetOf({ request }: Transaction): Target {
  const { bytes, head } = request;
  return {
    before: latin1(bytes, head.targetStart, head.pathStart),
    path: latin1(bytes, head.pathStart, head.queryStart),
    query: latin1(bytes, head.queryStart, head.targetEnd),
  };
}

/** False without room, or when the new target holds a byte that no target may. RFC 9112 §3.2. */
function setTarget(transaction: Transaction, before: string, target: string): boolean {
  if (!/^[\x21-\x7e\x80-\xff]+$/.test(target)) return false;
  const bytes = encodeBytes(target);
  const start = place(transaction, bytes);
  if (start < 0) return false;
  const pathStart = target.startsWith(before) ? start + before.length : start;
  transaction.request.setTarget(start, start + bytes.length, pathStart);
  return true;
}

function rewrite(
  name: string,
  syntax: string,
  doc: string,
  make: (text: string, target: Target) => string,
): ActionKeyword {
  const keyword: ActionKeyword = {
    name,
    rulesets: ["http-request"],
    syntax: `${name} ${syntax}`,
    doc,
    source: `HAProxy configuration manual §4.2, http-request ${name}`,
    compile: (args, context, head) => {
      const [format, extra] = args;
      if (format === undefined || extra !== undefined) return misused(keyword, context, head);
      const template = httpTemplate(format, context);
      if (template === undefined) return undefined;
      const failure = onFailure(context);
      return (transaction) => {
        const target = targetOf(transaction);
        const bytes = writeToBytes(template, transaction, context.world);
        const changed = make(latin1(bytes, 0, bytes.length), target);
        return setTarget(transaction, target.before, changed)
          ? CONTINUE
          : failed(transaction, failure);
      };
    },
  };
  return keyword;
}

function replace(
  name: string,
  doc: string,
  make: (target: Target, change: (text: string) => string) => string,
): ActionKeyword {
  const keyword: ActionKeyword = {
    name,
    rulesets: ["http-request"],
    syntax: `${name} <match-regex> <replace-fmt>`,
    doc,
    source: `HAProxy configuration manual §4.2, http-request ${name}`,
    compile: (args, context, head) => compileReplace(args, context, head, keyword, make),
  };
  return keyword;
}

function compileReplace(
  args: readonly Token[],
  context: CompileContext,
  head: Token,
  keyword: ActionKeyword,
  make: (target: Target, change: (text: string) => string) => string,
): Action | undefined {
  const [pattern, format, extra] = args;
  if (pattern === undefined || format === undefined || extra !== undefined)
    return misused(keyword, context, head);
  const regex = regexOf(pattern, context);
  const substitution = substituteFormat(format, context);
  if (regex === undefined || substitution === undefined) return undefined;
  const failure = onFailure(context);
  return (transaction) => {
    const target = targetOf(transaction);
    let changed = false;
    const text = make(target, (part) => {
      const match = regex.exec(part, 0);
      if (match === undefined) return part;
      changed = true;
      return substitution(match, transaction);
    });
    if (!changed) return CONTINUE;
    return setTarget(transaction, target.before, text) ? CONTINUE : failed(transaction, failure);
  };
}
