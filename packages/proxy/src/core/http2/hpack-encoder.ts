import { TOKEN } from "../http/bytes.ts";
import type { Head } from "../http/head.ts";
import { staticBytes, staticIndexOf, staticNameEnd, staticNameStart } from "./static-table.ts";

/*
 * Header blocks without a table of our own: what the static table knows is an index, all else a literal that is not
 * kept, in plain bytes. As HAProxy does it: a proxy's answers repeat too little to pay for a table on each connection.
 */

/** Most bytes that a field's lengths and kind take beside its name and value. */
export const FIELD_OVERHEAD = 1 + 4 + 4;

/** Says that no table is used, which a peer that made its table smaller has a right to hear. RFC 7541 §4.2 */
export function writeTableSizeZero(out: Uint8Array, at: number): number {
  out[at] = 0x20;
  return at + 1;
}

/** `:status`. @param status 100–999. */
export function writeStatus(out: Uint8Array, at: number, status: number): number {
  for (let i = 0; i < STATUSES.length; i++) {
    if (STATUSES[i] !== status) continue;
    out[at] = 0x80 | (FIRST_STATUS + i);
    return at + 1;
  }
  const hundreds = Math.floor(status / 100);
  const tens = Math.floor(status / 10) - hundreds * 10;
  out[at] = FIRST_STATUS;
  out[at + 1] = 3;
  out[at + 2] = 0x30 + hundreds;
  out[at + 3] = 0x30 + tens;
  out[at + 4] = 0x30 + status - hundreds * 100 - tens * 10;
  return at + 5;
}

const FIRST_STATUS = 8;
const STATUSES = [200, 204, 206, 304, 400, 404, 500];

/** A field that stands whole in the static table. */
export function writeIndexed(out: Uint8Array, at: number, index: number): number {
  out[at] = 0x80 | index;
  return at + 1;
}

/** A field whose name stands in the static table. */
export function writeNamed(
  out: Uint8Array,
  at: number,
  index: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  return writeString(out, writeInteger(out, at, 0x0f, 0, index), bytes, start, end);
}

/**
 * A field, its name in lower case whatever it was: `hash` is its name's. The caller has made sure of the room:
 * `FIELD_OVERHEAD` and the bytes of both.
 */
export function writeField(
  out: Uint8Array,
  at: number,
  bytes: Uint8Array,
  nameStart: number,
  nameEnd: number,
  hash: number,
  valueStart: number,
  valueEnd: number,
): number {
  const index = staticIndexOf(hash);
  if (index !== 0 && isStaticName(index, bytes, nameStart, nameEnd)) {
    return writeNamed(out, at, index, bytes, valueStart, valueEnd);
  }
  out[at] = 0;
  let to = writeInteger(out, at + 1, 0x7f, 0, nameEnd - nameStart);
  for (let from = nameStart; from < nameEnd; from++)
    out[to++] = TOKEN[bytes[from] as number] as number;
  return writeString(out, to, bytes, valueStart, valueEnd);
}

/** Whether a field may go over HTTP/2 at all. RFC 9113 §8.2.2. */
export function isConnectionField(
  hash: number,
  bytes: Uint8Array,
  head: Head,
  field: number,
): boolean {
  for (let i = 0; i < CONNECTION_FIELDS.length; i++) {
    const known = CONNECTION_FIELDS[i] as { hash: number; bytes: Uint8Array };
    if (known.hash !== hash) continue;
    const start = head.nameStart[field] as number;
    if ((head.nameEnd[field] as number) - start !== known.bytes.length) return false;
    for (let at = 0; at < known.bytes.length; at++) {
      if (TOKEN[bytes[start + at] as number] !== known.bytes[at]) return false;
    }
    return true;
  }
  return false;
}

const CONNECTION_FIELDS = [
  "connection",
  "transfer-encoding",
  "keep-alive",
  "proxy-connection",
  "upgrade",
].map((name) => {
  const bytes = Uint8Array.from(name, (char) => char.charCodeAt(0));
  let hash = 0;
  for (const byte of bytes) hash = (Math.imul(hash, 31) + byte) | 0;
  return { bytes, hash };
});

function isStaticName(index: number, bytes: Uint8Array, start: number, end: number): boolean {
  const name = staticNameStart[index] as number;
  if ((staticNameEnd[index] as number) - name !== end - start) return false;
  for (let i = 0; i < end - start; i++) {
    if (TOKEN[bytes[start + i] as number] !== staticBytes[name + i]) return false;
  }
  return true;
}

function writeString(
  out: Uint8Array,
  at: number,
  bytes: Uint8Array,
  start: number,
  end: number,
): number {
  let to = writeInteger(out, at, 0x7f, 0, end - start);
  if (end - start > 64 && bytes === out) {
    out.copyWithin(to, start, end);
    return to + (end - start);
  }
  for (let from = start; from < end; from++) out[to++] = bytes[from] as number;
  return to;
}

/** RFC 7541 §5.1. @param mask Of the prefix; `first` holds the bits above it. */
export function writeInteger(
  out: Uint8Array,
  at: number,
  mask: number,
  first: number,
  value: number,
): number {
  if (value < mask) {
    out[at] = first | value;
    return at + 1;
  }
  out[at] = first | mask;
  let to = at + 1;
  let rest = value - mask;
  for (; rest >= 0x80; rest >>>= 7) out[to++] = (rest & 0x7f) | 0x80;
  out[to++] = rest;
  return to;
}
