import {
  asciiBytes,
  copyBytes,
  copyRange,
  equalsIgnoringCase,
  TOKEN,
  writeDecimal,
} from "./bytes.ts";
import {
  CONNECTION,
  HTTP2_SETTINGS,
  isNamed,
  isSeparator,
  KEEP_ALIVE,
  PROXY_CONNECTION,
  UPGRADE,
} from "./framing.ts";
import { type FieldName, fieldName, HEAD_CHANGED, HEAD_HOP_BY_HOP, type Head } from "./head.ts";

/** What the head says of the connection it goes out on. RFC 9110 §7.6.1. */
export const CONNECTION_SILENT = 0;
export const CONNECTION_CLOSE = 1;
export const CONNECTION_KEEP_ALIVE = 2;
export const CONNECTION_UPGRADE = 3;

/**
 * Deletes what is meant for one connection only: Connection and all it names, Keep-Alive, Proxy-Connection,
 * HTTP2-Settings, and Upgrade unless `keepUpgrade`. What Connection may not name stays: framing and routing
 * are not the client's to take out. RFC 9110 §7.6.1.
 */
export function stripHopByHop(bytes: Uint8Array, head: Head, keepUpgrade: boolean): void {
  if ((head.flags & HEAD_HOP_BY_HOP) === 0) return;
  head.flags |= HEAD_CHANGED;
  const { nameHash, fields } = head;
  for (let field = 0; field < fields; field++) {
    switch (nameHash[field]) {
      case CONNECTION.hash:
        if (!isNamed(bytes, head, field, CONNECTION)) break;
        deleteNamed(bytes, head, field, keepUpgrade);
        remove(head, field);
        break;
      case UPGRADE.hash:
        if (!keepUpgrade && isNamed(bytes, head, field, UPGRADE)) remove(head, field);
        break;
      case KEEP_ALIVE.hash:
        if (isNamed(bytes, head, field, KEEP_ALIVE)) remove(head, field);
        break;
      case PROXY_CONNECTION.hash:
        if (isNamed(bytes, head, field, PROXY_CONNECTION)) remove(head, field);
        break;
      case HTTP2_SETTINGS.hash:
        if (isNamed(bytes, head, field, HTTP2_SETTINGS)) remove(head, field);
        break;
    }
  }
}

/** Fields that a Connection header cannot take away. */
const KEPT: readonly FieldName[] = [
  "host",
  "content-length",
  "transfer-encoding",
  "cookie",
  "authorization",
  "content-type",
  "content-encoding",
  "set-cookie",
  "cache-control",
].map(fieldName);

function deleteNamed(
  bytes: Uint8Array,
  head: Head,
  connection: number,
  keepUpgrade: boolean,
): void {
  const end = head.valueEnd[connection] as number;
  let at = head.valueStart[connection] as number;
  while (at < end) {
    while (at < end && isSeparator(bytes[at] as number)) at++;
    const start = at;
    while (at < end && !isSeparator(bytes[at] as number)) at++;
    if (start === at) break;
    if (equalsIgnoringCase(bytes, start, at, KEEP_ALIVE.bytes)) continue;
    if (equalsIgnoringCase(bytes, start, at, CLOSE)) continue;
    if (keepUpgrade && equalsIgnoringCase(bytes, start, at, UPGRADE.bytes)) continue;
    if (KEPT.some((kept) => equalsIgnoringCase(bytes, start, at, kept.bytes))) continue;
    for (let field = 0; field < head.fields; field++) {
      if (field === connection) continue;
      if (sameName(bytes, head, field, start, at)) remove(head, field);
    }
  }
}

const CLOSE = asciiBytes("close");

/** Whether a field has the name that stands at `start`–`end`. */
function sameName(
  bytes: Uint8Array,
  head: Head,
  field: number,
  start: number,
  end: number,
): boolean {
  const name = head.nameStart[field] as number;
  const size = end - start;
  if ((head.nameEnd[field] as number) - name !== size) return false;
  for (let i = 0; i < size; i++) {
    if (TOKEN[bytes[name + i] as number] !== TOKEN[bytes[start + i] as number]) return false;
  }
  return true;
}

function remove(head: Head, field: number): void {
  head.nameEnd[field] = head.nameStart[field] as number;
}

/**
 * Writes a request head to `at` in the slab, not past `limit`: the end, or -1 when there is no room.
 * The head's own bytes must not overlap the place.
 */
export function writeRequestHead(
  bytes: Uint8Array,
  head: Head,
  at: number,
  limit: number,
  connection: number,
): number {
  const method = head.methodEnd - head.methodStart;
  // What came over HTTP/2 has an absolute target, which servers of HTTP/1 get by its path alone.
  const isPath = head.version === 20 && head.pathStart < head.targetEnd;
  const from = isPath ? head.pathStart : head.targetStart;
  const target = head.targetEnd - from;
  if (at + method + target + 12 > limit) return -1;
  let out = copyRange(bytes, head.methodStart, head.methodEnd, at);
  bytes[out++] = 0x20;
  out = copyRange(bytes, from, head.targetEnd, out);
  bytes[out++] = 0x20;
  out = copyBytes(head.version === 10 ? HTTP_10 : HTTP_11, bytes, out);
  out = copyBytes(CRLF, bytes, out);
  return writeFields(bytes, head, out, limit, connection);
}

/** The same for a response. `head.version` is what the client is told. */
export function writeResponseHead(
  bytes: Uint8Array,
  head: Head,
  at: number,
  limit: number,
  connection: number,
): number {
  if (at + (head.reasonEnd - head.reasonStart) + 24 > limit) return -1;
  let out = copyBytes(head.version === 10 ? HTTP_10 : HTTP_11, bytes, at);
  bytes[out++] = 0x20;
  out = writeDecimal(bytes, out, head.status);
  bytes[out++] = 0x20;
  out = copyRange(bytes, head.reasonStart, head.reasonEnd, out);
  out = copyBytes(CRLF, bytes, out);
  return writeFields(bytes, head, out, limit, connection);
}

function writeFields(
  bytes: Uint8Array,
  head: Head,
  at: number,
  limit: number,
  connection: number,
): number {
  let out = at;
  const { nameStart, nameEnd, valueStart, valueEnd } = head;
  for (let field = 0; field < head.fields; field++) {
    const name = nameStart[field] as number;
    const nameStop = nameEnd[field] as number;
    if (name === nameStop) continue;
    const value = valueStart[field] as number;
    const valueStop = valueEnd[field] as number;
    if (out + (nameStop - name) + (valueStop - value) + 4 > limit) return -1;
    out = copyRange(bytes, name, nameStop, out);
    bytes[out++] = 0x3a;
    bytes[out++] = 0x20;
    out = copyRange(bytes, value, valueStop, out);
    bytes[out++] = 0x0d;
    bytes[out++] = 0x0a;
  }
  if (out + 26 > limit) return -1;
  if (connection !== CONNECTION_SILENT) {
    out = copyBytes(CONNECTION_LINES[connection] as Uint8Array, bytes, out);
  }
  return copyBytes(CRLF, bytes, out);
}

const CRLF = asciiBytes("\r\n");
const HTTP_10 = asciiBytes("HTTP/1.0");
const HTTP_11 = asciiBytes("HTTP/1.1");
const CONNECTION_LINES = [
  asciiBytes(""),
  asciiBytes("connection: close\r\n"),
  asciiBytes("connection: keep-alive\r\n"),
  asciiBytes("connection: Upgrade\r\n"),
];
