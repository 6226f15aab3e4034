import { compileRegex, type Regex } from "../../condition/regex.ts";
import type { Token } from "../../config/token.ts";
import type { FieldName } from "../../http/head.ts";
import type { Message } from "../../http/message.ts";
import { type CompileContext, refuse } from "../../sample/compile-context.ts";
import { encodeBytes, latin1, room } from "../../sample/sample.ts";
import type { Transaction } from "../../transaction.ts";
import { failed, headerName, httpTemplate, misused, onFailure } from "../arguments.ts";
import { type Action, type ActionKeyword, type ActionRuleset, CONTINUE } from "../rule.ts";
import { substituteFormat } from "../substitute.ts";
import { writeToScratch } from "../template-room.ts";

const RULESETS: readonly ActionRuleset[] = ["http-request", "http-response", "http-after-response"];

/** The message that the ruleset is about. */
export function messageOf(context: CompileContext): (transaction: Transaction) => Message {
  return context.place === "http-request" ? (t) => t.request : (t) => t.response;
}

export const setHeader: ActionKeyword = {
  name: "set-header",
  rulesets: RULESETS,
  syntax: "set-header <name> <fmt>",
  doc: "Replaces every <name> header by one with the value of <fmt>, a log-format string.",
  source: "HAProxy configuration manual §4.2, http-request set-header",
  compile: (args, context, head) => writeHeader(args, context, head, setHeader, "set"),
};

export const addHeader: ActionKeyword = {
  name: "add-header",
  rulesets: RULESETS,
  syntax: "add-header <name> <fmt>",
  doc: "Adds a <name> header with the value of <fmt>, a log-format string, after those that are there.",
  source: "HAProxy configuration manual §4.2, http-request add-header",
  compile: (args, context, head) => writeHeader(args, context, head, addHeader, "add"),
};

function writeHeader(
  args: readonly Token[],
  context: CompileContext,
  head: Token,
  keyword: ActionKeyword,
  how: "set" | "add",
): Action | undefined {
  const [name, format] = args;
  if (name === undefined || format === undefined || args.length > 2)
    return misused(keyword, context, head);
  const field = headerName(name, context);
  const template = httpTemplate(format, context);
  if (field === undefined || template === undefined) return undefined;
  const message = messageOf(context);
  const failure = onFailure(context);
  const { world } = context;
  return (transaction) => {
    const start = writeToScratch(template, transaction, world);
    if (start < 0) return failed(transaction, failure);
    const { used } = transaction.scratch;
    const target = message(transaction);
    const done =
      how === "set" ? target.setField(field, start, used) : target.addField(field, start, used);
    return done ? CONTINUE : failed(transaction, failure);
  };
}

/** Ways to name the headers to delete. HAProxy configuration manual §4.2, http-request del-header. */
const NAME_METHODS = ["str", "beg", "end", "sub", "reg"] as const;

export const delHeader: ActionKeyword = {
  name: "del-header",
  rulesets: RULESETS,
  syntax: "del-header <name> [-m str|beg|end|sub|reg]",
  doc: "Removes every header whose name is <name>, or begins or ends with it, holds it, or matches it.",
  source: "HAProxy configuration manual §4.2, http-request del-header",
  compile: (args, context, head) => {
    const [name, flag, method, extra] = args;
    if (name === undefined || extra !== undefined || (flag !== undefined && method === undefined)) {
      return misused(delHeader, context, head);
    }
    if (flag !== undefined && flag.text !== "-m")
      return refuse(context, flag, `unexpected '${flag.text}'`, `write: ${delHeader.syntax}`);
    const how = NAME_METHODS.find((known) => known === (method?.text ?? "str"));
    if (how === undefined)
      return refuse(
        context,
        method,
        `unknown matching method '${method?.text}'`,
        `write one of: ${NAME_METHODS.join(", ")}`,
      );
    const message = messageOf(context);
    if (how === "str") {
      const field = headerName(name, context);
      if (field === undefined) return undefined;
      return (transaction) => {
        message(transaction).deleteField(field);
        return CONTINUE;
      };
    }
    const matches = nameMatcher(how, name, context);
    if (matches === undefined) return undefined;
    return (transaction) => {
      const target = message(transaction);
      const { head: columns, bytes } = target;
      for (let field = 0; field < columns.fields; field++) {
        if (target.isDeleted(field)) continue;
        const text = latin1(
          bytes,
          columns.nameStart[field] as number,
          columns.nameEnd[field] as number,
        );
        if (matches(text.toLowerCase())) target.deleteAt(field);
      }
      return CONTINUE;
    };
  },
};

function nameMatcher(
  how: "beg" | "end" | "sub" | "reg",
  pattern: Token,
  context: CompileContext,
): ((name: string) => boolean) | undefined {
  const text = pattern.text.toLowerCase();
  switch (how) {
    case "beg":
      return (name) => name.startsWith(text);
    case "end":
      return (name) => name.endsWith(text);
    case "sub":
      return (name) => name.includes(text);
    default: {
      const regex = regexOf(pattern, context);
      return regex === undefined ? undefined : (name) => regex.exec(name, 0) !== undefined;
    }
  }
}

export function regexOf(
  pattern: Token,
  context: CompileContext,
  ignoreCase = false,
): Regex | undefined {
  const regex = compileRegex(pattern.text, ignoreCase);
  if (typeof regex !== "string") return regex;
  return refuse(context, pattern, `regular expression '${pattern.text}': ${regex}`);
}

export const replaceHeader: ActionKeyword = {
  name: "replace-header",
  rulesets: RULESETS,
  syntax: "replace-header <name> <match-regex> <replace-fmt>",
  doc: "In each line of the header whose whole value matches, puts <replace-fmt> for it, with \\1 to \\9 for groups.",
  source: "HAProxy configuration manual §4.2, http-request replace-header",
  compile: (args, context, head) => replaceInHeader(args, context, head, replaceHeader, false),
};

export const replaceValue: ActionKeyword = {
  name: "replace-value",
  rulesets: RULESETS,
  syntax: "replace-value <name> <match-regex> <replace-fmt>",
  doc: "As replace-header, for each comma-separated value by itself.",
  source: "HAProxy configuration manual §4.2, http-request replace-value",
  compile: (args, context, head) => replaceInHeader(args, context, head, replaceValue, true),
};

function replaceInHeader(
  args: readonly Token[],
  context: CompileContext,
  head: Token,
  keyword: ActionKeyword,
  byValue: boolean,
): Action | undefined {
  const [name, pattern, format] = args;
  if (name === undefined || pattern === undefined || format === undefined || args.length > 3) {
    return misused(keyword, context, head);
  }
  const field = headerName(name, context);
  const regex = regexOf(pattern, context);
  const replacement = substituteFormat(format, context);
  if (field === undefined || regex === undefined || replacement === undefined) return undefined;
  const message = messageOf(context);
  const failure = onFailure(context);
  return (transaction) => {
    const target = message(transaction);
    const once = (text: string): string => {
      const match = regex.exec(text, 0);
      return match === undefined ? text : replacement(match, transaction);
    };
    return eachLine(target, field, transaction, byValue ? (text) => eachValue(text, once) : once)
      ? CONTINUE
      : failed(transaction, failure);
  };
}

/** Gives each line of the header a new value; false when one found no room. */
function eachLine(
  message: Message,
  field: FieldName,
  transaction: Transaction,
  change: (text: string) => string,
): boolean {
  const { head, bytes } = message;
  for (let at = message.find(field); at >= 0; at = message.find(field, at + 1)) {
    const before = latin1(bytes, head.valueStart[at] as number, head.valueEnd[at] as number);
    const after = change(before);
    if (after === before) continue;
    const value = encodeBytes(after);
    const start = room(transaction.scratch, value.length);
    if (start < 0) return false;
    bytes.set(value, start);
    message.replaceValue(at, start, start + value.length);
  }
  return true;
}

/** Changes each comma-separated value; blanks around a changed one go, as with HAProxy. */
function eachValue(text: string, change: (value: string) => string): string {
  return text
    .split(",")
    .map((part) => {
      const value = part.trim();
      const changed = change(value);
      return changed === value ? part : changed;
    })
    .join(",");
}
