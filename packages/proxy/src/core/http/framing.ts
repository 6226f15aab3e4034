import { asciiBytes, COLON, COMMA, equalsIgnoringCase, NINE, SPACE, TAB, ZERO } from "./bytes.ts";
import {
  BAD_REQUEST,
  type FieldName,
  fieldName,
  HEAD_CHUNKED,
  HEAD_CLOSE,
  HEAD_EXPECT,
  HEAD_HOP_BY_HOP,
  HEAD_KEEP_ALIVE,
  HEAD_LENGTH,
  HEAD_UPGRADE,
  type Head,
  METHOD_CONNECT,
  METHOD_HEAD,
  UNPROCESSABLE,
} from "./head.ts";
import { authorityStart, isAuthority } from "./uri.ts";

/** Names that framing depends on. */
export const CONTENT_LENGTH: FieldName = fieldName("content-length");
export const TRANSFER_ENCODING: FieldName = fieldName("transfer-encoding");
export const CONNECTION: FieldName = fieldName("connection");
export const HOST_FIELD: FieldName = fieldName("host");
export const UPGRADE: FieldName = fieldName("upgrade");
export const EXPECT: FieldName = fieldName("expect");
export const KEEP_ALIVE: FieldName = fieldName("keep-alive");
export const PROXY_CONNECTION: FieldName = fieldName("proxy-connection");
export const HTTP2_SETTINGS: FieldName = fieldName("http2-settings");

const CHUNKED_VALUE = asciiBytes("chunked");
const CLOSE_VALUE = asciiBytes("close");
const KEEP_ALIVE_VALUE = asciiBytes("keep-alive");
const UPGRADE_VALUE = asciiBytes("upgrade");
const CONTINUE_VALUE = asciiBytes("100-continue");
const H2C_VALUE = asciiBytes("h2c");

/**
 * What a finished request head says about its message: sets `flags`, `contentLength` and `host`. 0, or a
 * negated status for what could be read in two ways. RFC 9112 §3.2, §6.
 *
 * Refused without mercy: Content-Length beside Transfer-Encoding, either twice, any coding but `chunked`,
 * HTTP/1.0 with a coding, HTTP/1.1 without Host, Host twice, Host against an absolute target.
 *
 * @param relaxed Lets a missing Host pass (`accept-unsafe-violations-in-http-request`).
 */
export function frameRequest(bytes: Uint8Array, head: Head, relaxed = false): number {
  const framing = readFraming(bytes, head);
  if (framing < 0) return framing;
  const { host } = head;
  if (host < 0) return head.version >= 11 && !relaxed ? BAD_REQUEST : 0;
  const start = head.valueStart[host] as number;
  const end = head.valueEnd[host] as number;
  const authority = authorityStart(bytes, head);
  if (authority >= 0) {
    const authorityEnd = head.method === METHOD_CONNECT ? head.targetEnd : head.pathStart;
    return sameHost(bytes, start, end, authority, authorityEnd) ? 0 : BAD_REQUEST;
  }
  // An empty Host is legal where the target has no authority. RFC 9110 §7.2
  return start === end || relaxed || isAuthority(bytes, start, end) ? 0 : BAD_REQUEST;
}

/**
 * The same of a response; `method` is its request's. A status or method that has no body clears the framing
 * flags. RFC 9112 §6.3.
 */
export function frameResponse(bytes: Uint8Array, head: Head, method: number): number {
  const framing = readFraming(bytes, head);
  if (framing < 0) return framing;
  head.method = method;
  return 0;
}

/** Whether a response has no body, whatever its fields say. RFC 9112 §6.3, items 1 and 2. */
export function isBodiless(head: Head): boolean {
  const { status } = head;
  return head.method === METHOD_HEAD || status === 204 || status === 304 || status < 200;
}

function readFraming(bytes: Uint8Array, head: Head): number {
  const { nameHash, fields } = head;
  let lengths = 0;
  let codings = 0;
  let upgrade = false;
  for (let field = 0; field < fields; field++) {
    switch (nameHash[field]) {
      case CONTENT_LENGTH.hash:
        if (!isNamed(bytes, head, field, CONTENT_LENGTH)) break;
        if (++lengths > 1) return BAD_REQUEST;
        head.contentLength = readLength(bytes, head, field);
        if (head.contentLength < 0) return BAD_REQUEST;
        head.flags |= HEAD_LENGTH;
        break;
      case TRANSFER_ENCODING.hash:
        if (!isNamed(bytes, head, field, TRANSFER_ENCODING)) break;
        if (++codings > 1 || head.version < 11) return BAD_REQUEST;
        if (!hasValue(bytes, head, field, CHUNKED_VALUE)) return UNPROCESSABLE;
        head.flags |= HEAD_CHUNKED;
        break;
      case CONNECTION.hash:
        if (!isNamed(bytes, head, field, CONNECTION)) break;
        readConnection(bytes, head, field);
        break;
      case HOST_FIELD.hash:
        if (!isNamed(bytes, head, field, HOST_FIELD)) break;
        if (head.host >= 0) return BAD_REQUEST;
        head.host = field;
        break;
      case UPGRADE.hash:
        if (!isNamed(bytes, head, field, UPGRADE)) break;
        head.flags |= HEAD_HOP_BY_HOP;
        // An upgrade to HTTP/2 would take the connection out of our sight.
        if (!startsWith(bytes, head, field, H2C_VALUE)) upgrade = true;
        break;
      case KEEP_ALIVE.hash:
        if (isNamed(bytes, head, field, KEEP_ALIVE)) head.flags |= HEAD_HOP_BY_HOP;
        break;
      case PROXY_CONNECTION.hash:
        if (isNamed(bytes, head, field, PROXY_CONNECTION)) head.flags |= HEAD_HOP_BY_HOP;
        break;
      case HTTP2_SETTINGS.hash:
        if (isNamed(bytes, head, field, HTTP2_SETTINGS)) head.flags |= HEAD_HOP_BY_HOP;
        break;
      case EXPECT.hash:
        if (!isNamed(bytes, head, field, EXPECT)) break;
        if (hasValue(bytes, head, field, CONTINUE_VALUE)) head.flags |= HEAD_EXPECT;
        break;
    }
  }
  if (lengths > 0 && codings > 0) return BAD_REQUEST;
  if (!upgrade || head.version < 11) head.flags &= ~HEAD_UPGRADE;
  return 0;
}

/** Whether the name's bytes are those: the hash alone can be forged. */
export function isNamed(bytes: Uint8Array, head: Head, field: number, name: FieldName): boolean {
  return equalsIgnoringCase(
    bytes,
    head.nameStart[field] as number,
    head.nameEnd[field] as number,
    name.bytes,
  );
}

/** Whether a field's value is that word, whatever its case. */
export function hasValue(bytes: Uint8Array, head: Head, field: number, lower: Uint8Array): boolean {
  return equalsIgnoringCase(
    bytes,
    head.valueStart[field] as number,
    head.valueEnd[field] as number,
    lower,
  );
}

function startsWith(bytes: Uint8Array, head: Head, field: number, lower: Uint8Array): boolean {
  const start = head.valueStart[field] as number;
  if ((head.valueEnd[field] as number) - start < lower.length) return false;
  return equalsIgnoringCase(bytes, start, start + lower.length, lower);
}

/** Digits alone, at most 2^53-1; -1 for anything else. RFC 9112 §6.2. */
export function readLength(bytes: Uint8Array, head: Head, field: number): number {
  const start = head.valueStart[field] as number;
  const end = head.valueEnd[field] as number;
  if (start === end || end - start > 16) return -1;
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = bytes[at] as number;
    if (digit < ZERO || digit > NINE) return -1;
    value = value * 10 + (digit - ZERO);
  }
  return value <= Number.MAX_SAFE_INTEGER ? value : -1;
}

function readConnection(bytes: Uint8Array, head: Head, field: number): void {
  head.flags |= HEAD_HOP_BY_HOP;
  const end = head.valueEnd[field] as number;
  let at = head.valueStart[field] as number;
  while (at < end) {
    while (at < end && isSeparator(bytes[at] as number)) at++;
    const start = at;
    while (at < end && !isSeparator(bytes[at] as number)) at++;
    if (equalsIgnoringCase(bytes, start, at, CLOSE_VALUE)) head.flags |= HEAD_CLOSE;
    else if (equalsIgnoringCase(bytes, start, at, KEEP_ALIVE_VALUE)) head.flags |= HEAD_KEEP_ALIVE;
    else if (equalsIgnoringCase(bytes, start, at, UPGRADE_VALUE)) head.flags |= HEAD_UPGRADE;
  }
}

export function isSeparator(byte: number): boolean {
  return byte === COMMA || byte === SPACE || byte === TAB;
}

/** Hosts are the same when they are so without case and without the port that goes without saying. */
export function sameHost(
  bytes: Uint8Array,
  start: number,
  end: number,
  otherStart: number,
  otherEnd: number,
  otherBytes: Uint8Array = bytes,
): boolean {
  const size = withoutDefaultPort(bytes, start, end) - start;
  if (size !== withoutDefaultPort(otherBytes, otherStart, otherEnd) - otherStart) return false;
  for (let i = 0; i < size; i++) {
    let a = bytes[start + i] as number;
    let b = otherBytes[otherStart + i] as number;
    if (a >= 0x41 && a <= 0x5a) a |= 0x20;
    if (b >= 0x41 && b <= 0x5a) b |= 0x20;
    if (a !== b) return false;
  }
  return true;
}

function withoutDefaultPort(bytes: Uint8Array, start: number, end: number): number {
  let colon = end - 1;
  while (colon > start && bytes[colon] !== COLON) colon--;
  if (colon === start) return end;
  const size = end - colon - 1;
  if (size === 0) return colon;
  const at = colon + 1;
  if (size === 2 && bytes[at] === 0x38 && bytes[at + 1] === 0x30) return colon; // 80
  if (size === 3 && bytes[at] === 0x34 && bytes[at + 1] === 0x34 && bytes[at + 2] === 0x33) {
    return colon; // 443
  }
  return end;
}
