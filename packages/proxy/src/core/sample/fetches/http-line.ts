import { fullAvalanche } from "../../hash/avalanche.ts";
import { sdbmStep } from "../../hash/key-hash.ts";
import { type FieldName, fieldName } from "../../http/head.ts";
import { authorityStart } from "../../http/uri.ts";
import { uniqueIdOf } from "../../log/unique-id.ts";
import type { Transaction } from "../../transaction.ts";
import { castChecked, readInteger } from "../cast.ts";
import { refuse } from "../compile-context.ts";
import type { Fetch, FetchKeyword } from "../fetch-keyword.ts";
import {
  ADDR,
  BIN,
  encodeText,
  METH,
  room,
  type Sample,
  SINT,
  STR,
  setBytes,
  setInt,
  setRange,
} from "../sample.ts";
import { type Family, flag, number, plain } from "./declare.ts";
import { queryParameter } from "./query-parameter.ts";

const SOURCE = "HAProxy configuration manual §7.3.6";
const HEAD: Family = { layer: "request head", source: SOURCE };
const KEPT: Family = { layer: "request kept", source: SOURCE };
const RESPONSE: Family = { layer: "response kept", source: SOURCE };

/** The request line and what is derived from it, and the status line. */
export const LINE_FETCHES: readonly FetchKeyword[] = [
  plain(KEPT, "method", METH, "The method.", () => (t, sample) => {
    if (!t.http) return false;
    const { head, bytes } = t.request;
    return setRange(sample, METH, bytes, head.methodStart, head.methodEnd);
  }),
  plain(HEAD, "url", STR, "The request target as it stands.", () => (t, sample) => {
    if (!t.http) return false;
    const { head, bytes } = t.request;
    return setRange(sample, STR, bytes, head.targetStart, head.targetEnd);
  }),
  plain(HEAD, "path", STR, "The path, without query.", () => (t, sample) => {
    if (!t.http) return false;
    const { head, bytes } = t.request;
    return (
      head.queryStart > head.pathStart &&
      setRange(sample, STR, bytes, head.pathStart, head.queryStart)
    );
  }),
  plain(HEAD, "pathq", STR, "The path with its query.", () => (t, sample) => {
    if (!t.http) return false;
    const { head, bytes } = t.request;
    return (
      head.targetEnd > head.pathStart &&
      setRange(sample, STR, bytes, head.pathStart, head.targetEnd)
    );
  }),
  plain(
    HEAD,
    "query",
    STR,
    "The query, without its question mark; empty without one.",
    () => (t, sample) => {
      if (!t.http) return false;
      const { head, bytes } = t.request;
      return setRange(
        sample,
        STR,
        bytes,
        Math.min(head.queryStart + 1, head.targetEnd),
        head.targetEnd,
      );
    },
  ),
  plain(
    HEAD,
    "base",
    STR,
    "Host field and path.",
    () => (t, sample) => hostAndPath(t, sample, false),
  ),
  plain(
    HEAD,
    "baseq",
    STR,
    "Host field, path and query.",
    () => (t, sample) => hostAndPath(t, sample, true),
  ),
  plain(
    HEAD,
    "base32",
    SINT,
    "32-bit hash of the base.",
    () => (t, sample) => hashHostAnd(t, sample, "base"),
  ),
  plain(
    HEAD,
    "base32+src",
    BIN,
    "base32 and the client's address, binary.",
    () => (t, sample) => hashHostAnd(t, sample, "base") && withSource(t, sample),
  ),
  plain(
    HEAD,
    "url32",
    SINT,
    "32-bit hash of Host field, path and query.",
    () => (t, sample) => hashHostAnd(t, sample, "url"),
  ),
  plain(
    HEAD,
    "url32+src",
    BIN,
    "url32 and the client's address, binary.",
    () => (t, sample) => hashHostAnd(t, sample, "url") && withSource(t, sample),
  ),
  plain(HEAD, "url_ip", ADDR, "The address in an absolute target.", () => (t, sample) => {
    const at = authority(t);
    if (at === undefined) return false;
    setRange(sample, STR, t.bytes, at.start, at.colon === -1 ? at.end : at.colon);
    return castChecked(sample, ADDR, t);
  }),
  plain(
    HEAD,
    "url_port",
    SINT,
    "The port in an absolute target; 80 without one.",
    () => (t, sample) => {
      const at = authority(t);
      if (at === undefined) return false;
      if (at.colon === -1) return setInt(sample, 80);
      setRange(sample, STR, t.bytes, at.colon + 1, at.end);
      readInteger(sample);
      return true;
    },
  ),
  parameter("url_param", ["urlp"], "url_param([<name>[,<delim>]])", STR),
  parameter("urlp_val", [], "urlp_val([<name>[,<delim>]])", SINT),
  plain(
    KEPT,
    "req.ver",
    STR,
    "The request's HTTP version: 1.0, 1.1, 2.0.",
    () => (t, sample) => t.http && setBytes(sample, STR, versionText(t.requestHead.version)),
    ["req_ver"],
  ),
  plain(
    RESPONSE,
    "res.ver",
    STR,
    "The response's HTTP version.",
    () => (t, sample) =>
      t.hasResponse && setBytes(sample, STR, versionText(t.responseHead.version)),
    ["resp_ver"],
  ),
  number(RESPONSE, "status", "The response's status.", (t) =>
    t.hasResponse ? t.responseHead.status : undefined,
  ),
  flag(
    KEPT,
    "http_first_req",
    "Whether it is the connection's first request.",
    (t) => t.session.transactions === 0,
  ),
  plain(
    { ...KEPT, layer: "client" },
    "unique-id",
    STR,
    "The unique id, by unique-id-format.",
    ({ world }) =>
      (t, sample) => {
        const id = uniqueIdOf(t, world);
        return id !== undefined && setBytes(sample, STR, id);
      },
  ),
  plain(
    KEPT,
    "capture.req.method",
    STR,
    "The method as it came, before rules changed it.",
    () => (t, sample) => linePart(t, sample, 0),
  ),
  plain(
    KEPT,
    "capture.req.uri",
    STR,
    "Path and query as they came.",
    () => (t, sample) => linePart(t, sample, 1),
  ),
  plain(
    KEPT,
    "capture.req.ver",
    STR,
    "The request's version: HTTP/1.0 or HTTP/1.1.",
    () => (t, sample) =>
      t.http && setBytes(sample, STR, t.requestHead.version === 10 ? HTTP10 : HTTP11),
  ),
  plain(
    RESPONSE,
    "capture.res.ver",
    STR,
    "The response's version: HTTP/1.0 or HTTP/1.1.",
    () => (t, sample) =>
      t.hasResponse && setBytes(sample, STR, t.responseHead.version === 10 ? HTTP10 : HTTP11),
  ),
  captured("capture.req.hdr", KEPT, "Capture slot <idx> of the request.", (t) => t.requestCaptures),
  captured(
    "capture.res.hdr",
    RESPONSE,
    "Capture slot <idx> of the response.",
    (t) => t.responseCaptures,
  ),
  plain(
    { ...KEPT, layer: "internal" },
    "last_rule_file",
    STR,
    "File of the rule that ended a ruleset last.",
    () => (t, sample) =>
      t.lastRule !== undefined && setBytes(sample, STR, encodeText(t.lastRule.file)),
  ),
  number(
    { ...KEPT, layer: "internal" },
    "last_rule_line",
    "Line of the rule that ended a ruleset last.",
    (t) => t.lastRule?.line,
  ),
];

const HTTP10 = encodeText("HTTP/1.0");
const HTTP11 = encodeText("HTTP/1.1");
const VERSIONS: Readonly<Record<number, Uint8Array>> = {
  10: encodeText("1.0"),
  11: encodeText("1.1"),
  20: encodeText("2.0"),
};
const HOST: FieldName = fieldName("host");

function versionText(version: number): Uint8Array {
  return VERSIONS[version] ?? (VERSIONS[11] as Uint8Array);
}

function hostAndPath(t: Transaction, sample: Sample, withQuery: boolean): boolean {
  if (!t.http) return false;
  const { head, bytes } = t.request;
  const pathEnd = withQuery ? head.targetEnd : head.queryStart;
  const host = t.request.find(HOST);
  const hostStart = host === -1 ? 0 : (head.valueStart[host] as number);
  const hostEnd = host === -1 ? 0 : (head.valueEnd[host] as number);
  const start = room(t.scratch, hostEnd - hostStart + pathEnd - head.pathStart);
  if (start < 0) return false;
  let at = start;
  for (let from = hostStart; from < hostEnd; from++) bytes[at++] = bytes[from] as number;
  for (let from = head.pathStart; from < pathEnd; from++) bytes[at++] = bytes[from] as number;
  return setRange(sample, STR, bytes, start, at);
}

/** Hash of the Host field and the path (or path and query), spread. Observed: haproxy 2.6. */
function hashHostAnd(t: Transaction, sample: Sample, what: "base" | "url"): boolean {
  if (!t.http) return false;
  const { head, bytes } = t.request;
  let hash = 0;
  const host = t.request.find(HOST);
  if (host !== -1) {
    const end = head.valueEnd[host] as number;
    for (let at = head.valueStart[host] as number; at < end; at++)
      hash = sdbmStep(hash, bytes[at] as number);
  }
  const end = what === "base" ? head.queryStart : head.targetEnd;
  for (let at = head.pathStart; at < end; at++) hash = sdbmStep(hash, bytes[at] as number);
  return setInt(sample, fullAvalanche(hash));
}

function withSource(t: Transaction, sample: Sample): boolean {
  const { source } = t.session;
  const size = source.family === 4 ? 4 : source.family === 6 ? 16 : 0;
  const start = room(t.scratch, 4 + size);
  if (start < 0) return false;
  const { bytes } = t;
  const hash = sample.int;
  for (let i = 0; i < 4; i++) bytes[start + i] = (hash >>> (24 - 8 * i)) & 0xff;
  for (let i = 0; i < size; i++) bytes[start + 4 + i] = source.address[i] as number;
  return setRange(sample, BIN, bytes, start, start + 4 + size);
}

function authority(t: Transaction): { start: number; end: number; colon: number } | undefined {
  if (!t.http) return undefined;
  const { head, bytes } = t.request;
  const start = authorityStart(bytes, head);
  if (start < 0) return undefined;
  const end = head.pathStart > start ? head.pathStart : head.targetEnd;
  let colon = -1;
  for (let at = end - 1; at > start && bytes[at] !== 0x5d; at--) {
    if (bytes[at] !== 0x3a) continue;
    colon = at;
    break;
  }
  return { start, end, colon };
}

function parameter(
  name: string,
  aliases: readonly string[],
  syntax: string,
  type: typeof STR | typeof SINT,
): FetchKeyword {
  return {
    name,
    aliases,
    syntax,
    doc: `The value of the query's parameter <name> (the first one without a name)${type === SINT ? ", as an integer" : ""}; <delim> is the character before the query, "?" by default.`,
    ...HEAD,
    type,
    arity: [0, 2],
    compile: ([wanted, delimiter], context, token) => {
      if (delimiter !== undefined && delimiter.text.length !== 1) {
        return refuse(
          context,
          token,
          `the delimiter must be one character, not '${delimiter.text}'`,
        );
      }
      const mark = (delimiter?.text ?? "?").charCodeAt(0);
      const key = wanted === undefined || wanted.text === "" ? undefined : encodeText(wanted.text);
      const { iterates } = context;
      const fetch: Fetch = (t, sample) => {
        if (!t.http) return false;
        const { head, bytes } = t.request;
        let from = sample.cursor;
        if (from === 0) {
          from = head.pathStart;
          while (from < head.targetEnd && bytes[from] !== mark) from++;
          from++;
        }
        return queryParameter(bytes, from, head.targetEnd, key, sample, iterates);
      };
      if (type === STR) return fetch;
      return (t, sample) => {
        if (!fetch(t, sample)) return false;
        readInteger(sample);
        return true;
      };
    },
  };
}

/** Part 0 (method) or 1 (target) of the request line as it came. */
function linePart(t: Transaction, sample: Sample, part: 0 | 1): boolean {
  if (t.lineEnd === 0) return false;
  const { bytes, lineStart, lineEnd } = t;
  let first = lineStart;
  while (first < lineEnd && bytes[first] !== 0x20) first++;
  if (part === 0) return setRange(sample, STR, bytes, lineStart, first);
  let last = lineEnd;
  while (last > first && bytes[last - 1] !== 0x20) last--;
  // Path and query alone, whatever form the target has. Observed: haproxy 2.6.
  const end = Math.max(first + 1, last - 1);
  const start = pathStart(bytes, first + 1, end);
  return start < end && setRange(sample, STR, bytes, start, end);
}

/** After `scheme://authority`, where the target begins with one; the end for `*` and the like. */
function pathStart(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  while (at < end && bytes[at] !== 0x2f && bytes[at] !== 0x3a) at++;
  if (at === end || bytes[at] === 0x2f) return at;
  if (bytes[at + 1] !== 0x2f || bytes[at + 2] !== 0x2f) return end;
  at += 3;
  while (at < end && bytes[at] !== 0x2f && bytes[at] !== 0x3f) at++;
  return at;
}

function captured(
  name: string,
  family: Family,
  doc: string,
  slots: (t: Transaction) => readonly (Uint8Array | undefined)[],
): FetchKeyword {
  return {
    name,
    syntax: `${name}(<idx>)`,
    doc,
    ...family,
    type: STR,
    arity: [1, 1],
    compile: ([index], context, token) => {
      const slot = Number(index?.text);
      if (!Number.isInteger(slot) || slot < 0)
        return refuse(context, token, `'${index?.text}' is not a slot's number`);
      return (t, sample) => {
        const value = slots(t)[slot];
        return value !== undefined && setBytes(sample, STR, value);
      };
    },
  };
}
