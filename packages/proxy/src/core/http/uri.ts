import { ASTERISK, COLON, HOST, NINE, QUESTION, SLASH, ZERO } from "./bytes.ts";
import { type Head, METHOD_CONNECT, METHOD_OPTIONS } from "./head.ts";

/**
 * Reads the request target's form into `pathStart` and `queryStart`: origin (`/a?b`), absolute
 * (`http://host/a`), authority (CONNECT only) or asterisk (OPTIONS only). False when it is none. RFC 9112 §3.2.
 */
export function parseTarget(bytes: Uint8Array, head: Head): boolean {
  const { targetStart: start, targetEnd: end } = head;
  const first = bytes[start] as number;
  head.queryStart = end;
  if (head.method === METHOD_CONNECT) {
    head.pathStart = end;
    return isAuthority(bytes, start, end) && hasPort(bytes, start, end);
  }
  if (first === SLASH) {
    head.pathStart = start;
  } else if (first === ASTERISK && end - start === 1) {
    head.pathStart = start;
    return head.method === METHOD_OPTIONS;
  } else {
    const authority = skipScheme(bytes, start, end);
    if (authority < 0) return false;
    let at = authority;
    while (at < end && bytes[at] !== SLASH && bytes[at] !== QUESTION) at++;
    if (!isAuthority(bytes, authority, at)) return false;
    head.pathStart = at;
  }
  for (let at = head.pathStart; at < end; at++) {
    if (bytes[at] !== QUESTION) continue;
    head.queryStart = at;
    break;
  }
  return true;
}

/** Start of the authority in an absolute or authority form; -1 when the target has none. */
export function authorityStart(bytes: Uint8Array, head: Head): number {
  const { targetStart: start, targetEnd: end } = head;
  if (head.method === METHOD_CONNECT) return start;
  const first = bytes[start] as number;
  if (first === SLASH || first === ASTERISK) return -1;
  return skipScheme(bytes, start, end);
}

/** Whether the range is a host with an optional port, and not empty. RFC 3986 §3.2; userinfo is refused. */
export function isAuthority(bytes: Uint8Array, start: number, end: number): boolean {
  if (start >= end || bytes[start] === COLON) return false;
  const bracket = bytes[start] === 0x5b;
  let at = start;
  if (bracket) {
    while (at < end && bytes[at] !== 0x5d) {
      if (HOST[bytes[at] as number] === 0) return false;
      at++;
    }
    if (at === end) return false;
    at++;
  } else {
    while (at < end && bytes[at] !== COLON) {
      const byte = bytes[at] as number;
      if (HOST[byte] === 0 || byte === 0x5b || byte === 0x5d) return false;
      at++;
    }
  }
  if (at === end) return true;
  if (bytes[at] !== COLON || end - at > 6) return false;
  for (at++; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte < ZERO || byte > NINE) return false;
  }
  return true;
}

function hasPort(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = end - 1; at > start; at--) {
    if (bytes[at] === COLON) return at < end - 1;
    if (bytes[at] === 0x5d) return false;
  }
  return false;
}

/** Offset after `scheme://`, or -1. RFC 3986 §3.1. */
function skipScheme(bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  for (; at < end; at++) {
    const byte = bytes[at] as number;
    const letter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7a;
    const other = (byte >= ZERO && byte <= NINE) || byte === 0x2b || byte === 0x2d || byte === 0x2e;
    if (!letter && (at === start || !other)) break;
  }
  if (at === start || at + 3 > end) return -1;
  return bytes[at] === COLON && bytes[at + 1] === SLASH && bytes[at + 2] === SLASH ? at + 3 : -1;
}
