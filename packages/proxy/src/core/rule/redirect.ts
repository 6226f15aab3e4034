import type { Token } from "../config/token.ts";
import { fieldName } from "../http/head.ts";
import { reasonPhrase } from "../http/replies.ts";
import type { Template } from "../log/template.ts";
import { type CompileContext, refuse } from "../sample/compile-context.ts";
import { encodeBytes, latin1 } from "../sample/sample.ts";
import type { Transaction } from "../transaction.ts";
import { httpTemplate } from "./arguments.ts";
import { type Action, CONTINUE, type Verdict } from "./rule.ts";
import { writeToBytes } from "./template-room.ts";

interface RedirectDraft {
  type: "location" | "prefix" | "scheme" | undefined;
  format: Template | undefined;
  code: number;
  dropQuery: boolean;
  appendSlash: boolean;
  ignoreEmpty: boolean;
  cookie: string | undefined;
}

/** Compiles a redirect rule, from its first option on. HAProxy configuration manual §4.2, redirect. */
export function compileRedirect(
  words: readonly Token[],
  context: CompileContext,
  head: Token,
): Action | undefined {
  const draft: RedirectDraft = {
    type: undefined,
    format: undefined,
    code: 302,
    dropQuery: false,
    appendSlash: false,
    ignoreEmpty: false,
    cookie: undefined,
  };
  for (let at = 0; at < words.length; ) {
    const used = readOption(words, at, draft, context);
    if (used === undefined) return undefined;
    at += used;
  }
  const { type, format, code } = draft;
  if (type === undefined || format === undefined) {
    return refuse(context, head, "a redirect needs 'location', 'prefix' or 'scheme'");
  }
  const verdict: Verdict = { type: "respond", status: code, by: "redirect" };
  const { world } = context;
  const before = `HTTP/1.1 ${code} ${reasonPhrase(code)}\r\ncontent-length: 0\r\nlocation: `;
  const after = `${code === 301 || code === 308 ? "" : "\r\ncache-control: no-cache"}${
    draft.cookie === undefined ? "" : `\r\nset-cookie: ${draft.cookie}`
  }\r\n\r\n`;
  return (transaction) => {
    const bytes = writeToBytes(format, transaction, world);
    const text = latin1(bytes, 0, bytes.length);
    if (text === "" && draft.ignoreEmpty) return CONTINUE;
    const location = type === "location" ? text : withPath(type, text, draft, transaction);
    transaction.reply = { status: code, message: encodeBytes(before + location + after) };
    return verdict;
  };
}

const HOST = fieldName("host");

/** `prefix` and `scheme` keep the path of the request, and its query unless told otherwise. */
function withPath(
  type: "prefix" | "scheme",
  text: string,
  { dropQuery, appendSlash }: RedirectDraft,
  { request }: Transaction,
): string {
  const { bytes, head } = request;
  let path = latin1(bytes, head.pathStart, head.queryStart);
  if (path === "" && head.queryStart === head.pathStart) path = "/";
  let query = latin1(bytes, head.queryStart, head.targetEnd);
  if (dropQuery) {
    query = "";
    if (appendSlash && !path.endsWith("/")) path += "/";
  }
  if (type === "prefix") return (text === "/" ? "" : text) + path + query;
  const field = request.find(HOST);
  const host =
    field === -1
      ? ""
      : latin1(bytes, head.valueStart[field] as number, head.valueEnd[field] as number);
  return `${text}://${host}${path}${query}`;
}

function readOption(
  words: readonly Token[],
  at: number,
  draft: RedirectDraft,
  context: CompileContext,
): number | undefined {
  const word = words[at] as Token;
  switch (word.text) {
    case "drop-query":
      draft.dropQuery = true;
      return 1;
    case "append-slash":
      draft.appendSlash = true;
      return 1;
    case "ignore-empty":
      draft.ignoreEmpty = true;
      return 1;
  }
  const value = words[at + 1];
  if (!/^(?:location|prefix|scheme|code|set-cookie(?:-fmt)?|clear-cookie)$/.test(word.text)) {
    return refuse(
      context,
      word,
      `unexpected '${word.text}' in a redirect`,
      "write location, prefix or scheme, then code, drop-query, append-slash, ignore-empty, set-cookie or clear-cookie",
    );
  }
  if (value === undefined) return refuse(context, word, `'${word.text}' needs a value`);
  switch (word.text) {
    case "code":
      if (!/^30[12378]$/.test(value.text)) {
        return refuse(
          context,
          value,
          `redirect code '${value.text}' must be 301, 302, 303, 307 or 308`,
        );
      }
      draft.code = Number(value.text);
      return 2;
    case "set-cookie":
      draft.cookie = `${value.text}; path=/;`;
      return 2;
    case "clear-cookie":
      draft.cookie = `${value.text}; path=/; Max-Age=0;`;
      return 2;
    case "location":
    case "prefix":
    case "scheme":
      draft.type = word.text;
      draft.format = httpTemplate(value, context);
      return draft.format === undefined ? undefined : 2;
    default:
      return refuse(context, word, `'${word.text}' is not supported`);
  }
}
