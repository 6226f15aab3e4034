import { COLON, CR, DEL, LF, NINE, SPACE, TAB, TARGET, TOKEN, ZERO } from "./bytes.ts";
import {
  BAD_REQUEST,
  HEAD_CHANGED,
  type Head,
  INCOMPLETE,
  METHOD_CONNECT,
  METHOD_DELETE,
  METHOD_GET,
  METHOD_HEAD,
  METHOD_NAMES,
  METHOD_OPTIONS,
  METHOD_OTHER,
  METHOD_PATCH,
  METHOD_POST,
  METHOD_PUT,
  METHOD_TRACE,
  TOO_MANY_FIELDS,
} from "./head.ts";
import { parseTarget } from "./uri.ts";

/**
 * How strict a parser is: `false` is RFC 9112 without mercy, `true` what `option
 * accept-unsafe-violations-in-http-request` (or `-response`) lets pass: lines that end in a bare LF, and any
 * byte but NUL, CR and LF in values and targets. What passed so is never forwarded as it came.
 */
export type Relaxed = boolean;

/**
 * Takes the head of a request from `start`; bytes are there up to `end`. Gives the body's offset, INCOMPLETE,
 * or a negated status. Call again with the same `start` when more bytes are there: it goes on where it was.
 * RFC 9112 §2, §3, §5.
 *
 * @param maxFields At most this many fields; more is 431.
 */
export function parseRequestHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: Head,
  maxFields: number,
  relaxed: Relaxed = false,
): number {
  if (head.next === 0) {
    let at = start;
    // Empty lines before a request are left over from the body of the one before. RFC 9112 §2.2
    while (at + 1 < end && bytes[at] === CR && bytes[at + 1] === LF) at += 2;
    if (at >= end || (bytes[at] === CR && at + 1 === end)) return INCOMPLETE;
    const line = parseRequestLine(bytes, at, end, head, relaxed);
    if (line < 0) return line;
    head.next = line;
  }
  return parseFields(bytes, head.next, end, head, maxFields, relaxed);
}

/** As `parseRequestHead`, of a response: `HTTP/1.1 200 OK`. RFC 9112 §4. */
export function parseResponseHead(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: Head,
  maxFields: number,
  relaxed: Relaxed = false,
): number {
  if (head.next === 0) {
    const line = parseStatusLine(bytes, start, end, head, relaxed);
    if (line < 0) return line;
    head.next = line;
  }
  return parseFields(bytes, head.next, end, head, maxFields, relaxed);
}

function parseRequestLine(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: Head,
  relaxed: Relaxed,
): number {
  let at = start;
  head.start = head.methodStart = at;
  while (at < end && TOKEN[bytes[at] as number] !== 0) at++;
  if (at === end) return INCOMPLETE;
  if (bytes[at] !== SPACE || at === start) return BAD_REQUEST;
  head.methodEnd = at;
  head.method = methodCode(bytes, start, at);
  head.targetStart = ++at;
  if (relaxed) while (at < end && (bytes[at] as number) > SPACE && bytes[at] !== DEL) at++;
  else while (at < end && TARGET[bytes[at] as number] === 1) at++;
  if (at === end) return INCOMPLETE;
  if (bytes[at] !== SPACE || at === head.targetStart) return BAD_REQUEST;
  head.targetEnd = at++;
  if (at + 8 >= end) return couldBeVersion(bytes, at, end) ? INCOMPLETE : BAD_REQUEST;
  const version = parseVersion(bytes, at);
  if (version < 0) return version;
  head.version = version;
  const line = endOfLine(bytes, at + 8, end, head, relaxed);
  if (line < 0) return line;
  return parseTarget(bytes, head) ? line : BAD_REQUEST;
}

function parseStatusLine(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: Head,
  relaxed: Relaxed,
): number {
  head.start = start;
  if (start + 13 > end) {
    return couldBeVersion(bytes, start, Math.min(end, start + 8)) ? INCOMPLETE : BAD_REQUEST;
  }
  const version = parseVersion(bytes, start);
  if (version < 0) return version;
  head.version = version;
  let at = start + 8;
  if (bytes[at++] !== SPACE) return BAD_REQUEST;
  let status = 0;
  for (let i = 0; i < 3; i++) {
    const digit = bytes[at++] as number;
    if (digit < ZERO || digit > NINE) return BAD_REQUEST;
    status = status * 10 + (digit - ZERO);
  }
  if (status < 100) return BAD_REQUEST;
  head.status = status;
  // The reason may be missing, and then so may the space before it.
  if (bytes[at] === SPACE) at++;
  else if (bytes[at] !== CR && bytes[at] !== LF) return BAD_REQUEST;
  head.reasonStart = at;
  while (at < end) {
    const byte = bytes[at] as number;
    if (byte === DEL || (byte < SPACE && byte !== TAB)) break;
    at++;
  }
  head.reasonEnd = at;
  if (at === end) return INCOMPLETE;
  return endOfLine(bytes, at, end, head, relaxed);
}

/** 10 or 11, or a negated status. Only `HTTP/1.0` and `HTTP/1.1`, in capitals. */
function parseVersion(bytes: Uint8Array, at: number): number {
  for (let i = 0; i < 5; i++) if (bytes[at + i] !== VERSION_PREFIX[i]) return BAD_REQUEST;
  const major = bytes[at + 5] as number;
  const minor = bytes[at + 7] as number;
  if (major < ZERO || major > NINE || bytes[at + 6] !== DOT || minor < ZERO || minor > NINE) {
    return BAD_REQUEST;
  }
  if (major !== ZERO + 1 || minor > ZERO + 1) return BAD_REQUEST;
  return 10 + (minor - ZERO);
}

function couldBeVersion(bytes: Uint8Array, start: number, end: number): boolean {
  for (let i = 0; i < 5 && start + i < end; i++) {
    if (bytes[start + i] !== VERSION_PREFIX[i]) return false;
  }
  return true;
}

const VERSION_PREFIX = [0x48, 0x54, 0x54, 0x50, 0x2f];
const DOT = 0x2e;

function endOfLine(
  bytes: Uint8Array,
  at: number,
  end: number,
  head: Head,
  relaxed: Relaxed,
): number {
  if (at >= end) return INCOMPLETE;
  if (bytes[at] === CR) {
    if (at + 1 === end) return INCOMPLETE;
    return bytes[at + 1] === LF ? at + 2 : BAD_REQUEST;
  }
  if (relaxed && bytes[at] === LF) {
    head.flags |= HEAD_CHANGED;
    return at + 1;
  }
  return BAD_REQUEST;
}

/**
 * Takes header lines from `start`, which is `head.next`; `end` is at most `bytes.length`. Gives the body's
 * offset. Also reads trailers. RFC 9112 §5.
 */
export function parseFields(
  bytes: Uint8Array,
  start: number,
  end: number,
  head: Head,
  maxFields: number,
  relaxed: Relaxed = false,
): number {
  for (let at = start; ; head.next = at) {
    if (at + 1 >= end) {
      if (at === end || bytes[at] !== LF) return INCOMPLETE;
      if (!relaxed) return BAD_REQUEST;
      head.flags |= HEAD_CHANGED;
      return at + 1;
    }
    if (bytes[at] === CR) return bytes[at + 1] === LF ? at + 2 : BAD_REQUEST;
    if (relaxed && bytes[at] === LF) {
      head.flags |= HEAD_CHANGED;
      return at + 1;
    }
    const field = head.fields;
    if (field === maxFields) return TOO_MANY_FIELDS;

    const nameStart = at;
    let hash = 0;
    let byte = 0;
    for (let lower = 0; at < end; at++, hash = (Math.imul(hash, 31) + lower) | 0) {
      byte = bytes[at] as number;
      lower = TOKEN[byte] as number;
      if (lower === 0) break;
    }
    if (at === end) return INCOMPLETE;
    // Refuses an empty name, a folded line and a blank before the colon: each has hidden a header.
    if (byte !== COLON || at === nameStart) return BAD_REQUEST;
    head.nameStart[field] = nameStart;
    head.nameHash[field] = hash;
    head.nameEnd[field] = at++;

    while (at < end && (bytes[at] === SPACE || bytes[at] === TAB)) at++;
    let valueEnd = at;
    head.valueStart[field] = at;
    for (; at < end; at++) {
      byte = bytes[at] as number;
      if (byte === SPACE || byte === TAB) continue;
      if (byte < SPACE || byte === DEL) {
        if (!relaxed || byte === CR || byte === LF || byte === 0) break;
      }
      valueEnd = at + 1;
    }
    head.valueEnd[field] = valueEnd;
    if (at >= end) return INCOMPLETE;
    if (relaxed && byte === LF) {
      head.flags |= HEAD_CHANGED;
      at += 1;
    } else {
      if (byte !== CR) return BAD_REQUEST; // also NUL and bare LF
      if (at + 1 === end) return INCOMPLETE;
      if (bytes[at + 1] !== LF) return BAD_REQUEST; // a bare CR
      at += 2;
    }
    head.fields = field + 1;
  }
}

/** The code of a method, by its bytes: case matters. RFC 9110 §9.1. */
export function methodCode(bytes: Uint8Array, start: number, end: number): number {
  const candidate = candidateFor(bytes[start] as number, bytes[start + 1] as number);
  const name = METHOD_NAMES[candidate] as string;
  if (end - start !== name.length) return METHOD_OTHER;
  for (let i = 0; i < name.length; i++) {
    if (bytes[start + i] !== name.charCodeAt(i)) return METHOD_OTHER;
  }
  return candidate;
}

function candidateFor(first: number, second: number): number {
  switch (first) {
    case 0x47:
      return METHOD_GET;
    case 0x48:
      return METHOD_HEAD;
    case 0x50:
      return second === 0x4f ? METHOD_POST : second === 0x55 ? METHOD_PUT : METHOD_PATCH;
    case 0x44:
      return METHOD_DELETE;
    case 0x4f:
      return METHOD_OPTIONS;
    case 0x43:
      return METHOD_CONNECT;
    case 0x54:
      return METHOD_TRACE;
    default:
      return METHOD_OTHER;
  }
}
