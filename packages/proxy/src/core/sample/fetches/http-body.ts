import { type FieldName, fieldName } from "../../http/head.ts";
import type { Message } from "../../http/message.ts";
import type { Transaction } from "../../transaction.ts";
import { refuse } from "../compile-context.ts";
import { decodeBase64 } from "../converters/base64.ts";
import type { FetchKeyword, Layer } from "../fetch-keyword.ts";
import {
  BIN,
  BOOL,
  encodeBytes,
  encodeText,
  latin1,
  type Sample,
  STR,
  setBool,
  setRange,
} from "../sample.ts";
import { createUserCheck } from "../user-check.ts";
import { number, plain } from "./declare.ts";
import { queryParameter } from "./query-parameter.ts";

const SOURCE = "HAProxy configuration manual §7.3.6";
const AUTHORIZATION = fieldName("authorization");
const PROXY_AUTHORIZATION = fieldName("proxy-authorization");

/** Bodies and credentials. */
export const BODY_FETCHES: readonly FetchKeyword[] = [
  ...bodyFetches("req", "request body", (t) => (t.http ? t.request : undefined)),
  ...bodyFetches("res", "response body", (t) => (t.hasResponse ? t.response : undefined)),
  {
    name: "req.body_param",
    syntax: "req.body_param([<name>])",
    doc: "The value of a parameter of a form body; the first one without a name.",
    source: SOURCE,
    layer: "request body",
    type: STR,
    arity: [0, 1],
    compile: ([name], { iterates }) => {
      const key = name === undefined ? undefined : encodeText(name.text);
      return (t, sample) => {
        if (!t.http) return false;
        const { bytes, bodyStart, bodyEnd } = t.request;
        const from = sample.cursor === 0 ? bodyStart : sample.cursor;
        return queryParameter(bytes, from, bodyEnd, key, sample, iterates);
      };
    },
  },
  {
    name: "http_auth",
    syntax: "http_auth(<userlist>)",
    doc: "Whether the request's user and password are in the list.",
    source: SOURCE,
    layer: "request head",
    type: BOOL,
    arity: [1, 1],
    compile: ([name], context, token) => {
      const list = context.world.userlists.get(name?.text ?? "");
      if (list === undefined)
        return refuse(context, token, `unable to find userlist '${name?.text}'`);
      const check = createUserCheck(list, context.world.ports.digests);
      return (t, sample) => {
        const given = basicCredentials(t);
        return setBool(
          sample,
          given !== undefined && check(given.user, given.password) !== undefined,
        );
      };
    },
  },
  {
    name: "http_auth_group",
    syntax: "http_auth_group(<userlist>)",
    doc: "The user's name when the password is right; in an ACL it is compared with the list's groups.",
    source: SOURCE,
    layer: "request head",
    type: STR,
    arity: [1, 1],
    compile: ([name], context, token) => {
      const list = context.world.userlists.get(name?.text ?? "");
      if (list === undefined)
        return refuse(context, token, `unable to find userlist '${name?.text}'`);
      const check = createUserCheck(list, context.world.ports.digests);
      return (t, sample) => {
        const given = basicCredentials(t);
        const groups = given === undefined ? undefined : check(given.user, given.password);
        const group = groups?.[sample.cursor];
        if (groups === undefined || group === undefined) return false;
        sample.cursor++;
        sample.more = context.iterates && sample.cursor < groups.length;
        const bytes = encodeText(group);
        return setRange(sample, STR, bytes, 0, bytes.length);
      };
    },
  },
  plain(
    { layer: "request head", source: SOURCE },
    "http_auth_user",
    STR,
    "The user of Basic credentials.",
    () => (t, sample) => textOf(sample, basicCredentials(t)?.user),
  ),
  plain(
    { layer: "request head", source: SOURCE },
    "http_auth_pass",
    STR,
    "The password of Basic credentials.",
    () => (t, sample) => textOf(sample, basicCredentials(t)?.password),
  ),
  plain(
    { layer: "request head", source: SOURCE },
    "http_auth_type",
    STR,
    "The scheme of the credentials: Basic, Bearer.",
    () => (t, sample) => textOf(sample, authorization(t)?.scheme),
  ),
  {
    name: "http_auth_bearer",
    syntax: "http_auth_bearer([<header>])",
    doc: "The token of Bearer credentials, of the Authorization field or the one named.",
    source: SOURCE,
    layer: "request head",
    type: STR,
    arity: [0, 1],
    compile: ([header]) => {
      const field = header === undefined ? undefined : fieldName(header.text);
      return (t, sample) => {
        const given = authorization(t, field);
        return given?.scheme.toLowerCase() === "bearer" && textOf(sample, given.rest);
      };
    },
  },
];

function bodyFetches(
  side: "req" | "res",
  layer: Layer,
  messageOf: (t: Transaction) => Message | undefined,
): FetchKeyword[] {
  const family = { layer, source: SOURCE };
  return [
    plain(
      family,
      `${side}.body`,
      BIN,
      "The body's bytes that are here (see option http-buffer-request and wait-for-body).",
      () => (t, sample) => {
        const message = messageOf(t);
        return (
          message !== undefined &&
          setRange(sample, BIN, message.bytes, message.bodyStart, message.bodyEnd)
        );
      },
    ),
    number(family, `${side}.body_len`, "Length of the body's bytes that are here.", (t) => {
      const message = messageOf(t);
      return message === undefined ? undefined : message.bodyEnd - message.bodyStart;
    }),
    number(
      family,
      `${side}.body_size`,
      "The body's length: that of Content-Length, or of what is here when chunked.",
      (t) => {
        const message = messageOf(t);
        if (message === undefined) return undefined;
        const { head } = message;
        return head.contentLength > 0 ? head.contentLength : message.bodyEnd - message.bodyStart;
      },
    ),
  ];
}

function textOf(sample: Sample, text: string | undefined): boolean {
  if (text === undefined) return false;
  const bytes = encodeBytes(text);
  return setRange(sample, STR, bytes, 0, bytes.length);
}

interface Authorization {
  readonly scheme: string;
  readonly rest: string;
}

/** Requests to a proxy carry their credentials in a field of their own. RFC 9110 §11.7. */
function authorization(t: Transaction, field?: FieldName): Authorization | undefined {
  if (!t.http) return undefined;
  const { request } = t;
  const { head, bytes } = request;
  const isProxied = bytes[head.targetStart] !== 0x2f && head.version !== 20;
  const at = request.find(field ?? (isProxied ? PROXY_AUTHORIZATION : AUTHORIZATION));
  if (at === -1) return undefined;
  const text = latin1(bytes, head.valueStart[at] as number, head.valueEnd[at] as number);
  const match = /^(\S+)[ \t]+(\S.*)$/.exec(text);
  return match === null ? undefined : { scheme: match[1] as string, rest: match[2] as string };
}

/** User and password of Basic credentials; undefined when there are none. RFC 7617 */
export function basicCredentials(t: Transaction): { user: string; password: string } | undefined {
  const given = authorization(t);
  if (given === undefined || given.scheme.toLowerCase() !== "basic") return undefined;
  const decoded = decodeBase64(encodeBytes(given.rest), 0, given.rest.length, false);
  if (decoded === undefined) return undefined;
  const text = latin1(decoded, 0, decoded.length);
  const colon = text.indexOf(":");
  if (colon === -1) return undefined;
  return { user: text.slice(0, colon), password: text.slice(colon + 1) };
}
