import type { Token } from "../config/token.ts";
import { asciiBytes } from "../http/bytes.ts";
import type { FieldName } from "../http/head.ts";
import { reasonPhrase, standardReply } from "../http/replies.ts";
import { constantTemplate } from "../log/log-format.ts";
import type { Template } from "../log/template.ts";
import { type CompileContext, refuse } from "../sample/compile-context.ts";
import { encodeBytes, encodeText, latin1 } from "../sample/sample.ts";
import type { World } from "../sample/world.ts";
import type { Reply, Transaction } from "../transaction.ts";
import { headerName, httpTemplate } from "./arguments.ts";
import { writeToBytes } from "./template-room.ts";

/** A reply made ready at load. */
export interface CompiledReply {
  readonly status: number;
  make(transaction: Transaction): Reply;
}

/** Statuses that HAProxy has pages for, which `deny_status` and error files are limited to. */
const PAGE_STATUSES: ReadonlySet<number> = new Set([
  200, 400, 401, 403, 404, 405, 407, 408, 410, 413, 414, 421, 422, 425, 429, 431, 500, 501, 502,
  503, 504,
]);

interface Draft {
  status: number;
  contentType: string | undefined;
  body: Template | undefined;
  /** A whole message: an error file's. */
  whole: Uint8Array | undefined;
  /** The proxy's own page for the status. */
  usesPages: boolean;
  readonly fields: { readonly name: FieldName; readonly value: Template }[];
}

/** Compiles the words after `return`, `deny` or `tarpit`, and those of `http-error`. */
export function compileReply(
  words: readonly Token[],
  status: number,
  by: "return" | "deny" | "tarpit" | "http-error",
  context: CompileContext,
): CompiledReply | undefined {
  const draft: Draft = {
    status,
    contentType: undefined,
    body: undefined,
    whole: undefined,
    usesPages: by === "deny" || by === "tarpit",
    fields: [],
  };
  for (let at = 0; at < words.length; ) {
    const used = readOption(words, at, draft, by, context);
    if (used === undefined) return undefined;
    at += used;
  }
  const { contentType, body, fields, whole } = draft;
  if (whole !== undefined) {
    const reply = fixedReply(draft.status, whole);
    return { status: draft.status, make: () => reply };
  }
  if (body === undefined && fields.length === 0 && draft.usesPages) {
    const reply: Reply = { status: draft.status, message: undefined };
    return { status: draft.status, make: () => reply };
  }
  if (body !== undefined && contentType === undefined && by !== "deny") {
    return refuse(
      context,
      words[0],
      "a content needs a content-type",
      "write: content-type text/plain",
    );
  }
  return composed(
    draft.status,
    fields,
    contentType,
    body ?? (draft.usesPages ? undefined : EMPTY),
    context.world,
  );
}

const EMPTY = constantTemplate("");

/** Takes one option; gives how many words it had, or undefined after reporting. */
function readOption(
  words: readonly Token[],
  at: number,
  draft: Draft,
  by: string,
  context: CompileContext,
): number | undefined {
  const word = words[at] as Token;
  const value = words[at + 1];
  if (word.text === "default-errorfiles") {
    draft.usesPages = true;
    return 1;
  }
  if (value === undefined) return refuse(context, word, `'${word.text}' needs a value in '${by}'`);
  switch (word.text) {
    case "status":
    case "deny_status": {
      const code = Number(value.text);
      const pages = by === "deny" || by === "tarpit";
      if (!/^\d{3}$/.test(value.text) || code < 200 || code > 599) {
        return refuse(context, value, `status '${value.text}' must be a number from 200 to 599`);
      }
      if (pages && !PAGE_STATUSES.has(code) && word.text === "deny_status" && by === "tarpit") {
        return refuse(
          context,
          value,
          `there is no page for status ${code}`,
          `write one of: ${[...PAGE_STATUSES].join(", ")}`,
        );
      }
      draft.status = code;
      // `status` is the newer way to write it: the answer is empty unless more words say what is in it.
      if (word.text === "status") draft.usesPages = false;
      return 2;
    }
    case "content-type":
      draft.contentType = value.text;
      return 2;
    case "string":
      draft.body = constantTemplate(value.text);
      return 2;
    case "lf-string":
      draft.body = httpTemplate(value, context);
      return draft.body === undefined ? undefined : 2;
    case "file":
    case "lf-file": {
      const bytes = fileOf(value, context);
      if (bytes === undefined) return undefined;
      if (word.text === "file") draft.body = bytesTemplate(bytes);
      else
        draft.body = httpTemplate({ text: latin1(bytes, 0, bytes.length), at: value.at }, context);
      return draft.body === undefined ? undefined : 2;
    }
    case "errorfile": {
      const bytes = fileOf(value, context);
      if (bytes === undefined) return undefined;
      draft.whole = bytes;
      return 2;
    }
    case "errorfiles": {
      const page = context.errorPage?.(value.text, draft.status);
      if (page === undefined) {
        return refuse(
          context,
          value,
          `http-errors '${value.text}' has no page for status ${draft.status}`,
        );
      }
      draft.whole = page;
      return 2;
    }
    case "hdr": {
      const format = words[at + 2];
      if (format === undefined) return refuse(context, word, "'hdr' needs a name and a value");
      const name = headerName(value, context);
      const template = httpTemplate(format, context);
      if (name === undefined || template === undefined) return undefined;
      draft.fields.push({ name, value: template });
      return 3;
    }
    default:
      return refuse(context, word, `unexpected '${word.text}' in '${by}'`);
  }
}

function fileOf(token: Token, context: CompileContext): Uint8Array | undefined {
  const path = context.proxy?.files.resolve(token.text) ?? token.text;
  const bytes = context.world.ports.readFile(path);
  return bytes ?? refuse(context, token, `cannot read the file '${token.text}'`);
}

function bytesTemplate(constant: Uint8Array): Template {
  return {
    constant,
    write: (_transaction, out, at, limit) => {
      const size = Math.min(constant.length, limit - at);
      out.set(constant.subarray(0, size), at);
      return at + size;
    },
  };
}

/** Composes a message; `body` undefined is the standard page's. */
export function composed(
  status: number,
  fields: readonly { readonly name: FieldName; readonly value: Template }[],
  contentType: string | undefined,
  body: Template | undefined,
  world: World,
): CompiledReply {
  const make = (transaction: Transaction): Reply => {
    const page = standardReply(status);
    const content = body === undefined ? bodyOf(page) : writeToBytes(body, transaction, world);
    let head = `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n`;
    for (const { name, value } of fields) {
      const bytes = writeToBytes(value, transaction, world);
      head += `${name.text}: ${latin1(bytes, 0, bytes.length)}\r\n`;
    }
    if (status !== 204 && status !== 304) head += `content-length: ${content.length}\r\n`;
    if (content.length > 0) {
      head += `content-type: ${contentType ?? (body === undefined ? "text/html" : "text/plain")}\r\n`;
    }
    return { status, message: joined(encodeBytes(`${head}\r\n`), content) };
  };
  const varies =
    body?.constant === undefined || fields.some(({ value }) => value.constant === undefined);
  if (varies && (body !== undefined || fields.length > 0)) return { status, make };
  let kept: Reply | undefined;
  return {
    status,
    make: (transaction) => {
      kept ??= make(transaction);
      return kept;
    },
  };
}

function bodyOf(message: Uint8Array): Uint8Array {
  const text = latin1(message, 0, message.length);
  return message.slice(text.indexOf("\r\n\r\n") + 4);
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(a.length + b.length);
  bytes.set(a);
  bytes.set(b, a.length);
  return bytes;
}

export function fixedReply(status: number, message: Uint8Array): Reply {
  return { status, message };
}

/** The page for 401 or 407 with its challenge. RFC 9110 §11.6. */
export function unauthorized(status: 401 | 407, realm: string): Uint8Array {
  const page = standardReply(status);
  const text = latin1(page, 0, page.length);
  const field = status === 401 ? "www-authenticate" : "proxy-authenticate";
  const at = text.indexOf("\r\n\r\n");
  const escaped = latin1(encodeText(realm), 0, encodeText(realm).length).replace(/["\\]/g, "\\$&");
  return asciiBytes(`${text.slice(0, at)}\r\n${field}: Basic realm="${escaped}"${text.slice(at)}`);
}
