import { asciiBytes, copyRange } from "../../core/http/bytes.ts";

/** The end of a chunked body without trailers. RFC 9112 §7.1. */
export const LAST_CHUNK = asciiBytes("0\r\n\r\n");

/** The end of a chunked body with trailers: whole lines. */
export function withTrailers(lines: Uint8Array): Uint8Array {
  const out = new Uint8Array(lines.length + 5);
  out.set(LAST_CHUNK.subarray(0, 3));
  out.set(lines, 3);
  out.set(LAST_CHUNK.subarray(3), 3 + lines.length);
  return out;
}

/** What stands before and (the last two bytes) behind the data of a chunk. */
export function chunkFrame(size: number): Uint8Array {
  return asciiBytes(`${size.toString(16)}\r\n\r\n`);
}

/** Writes `start`–`end` as one chunk to `at`, which needs 16 bytes more; gives the end. */
export function asChunk(bytes: Uint8Array, start: number, end: number, at: number): number {
  const size = end - start;
  let to = at;
  let shift = 28;
  while (shift > 0 && size >>> shift === 0) shift -= 4;
  for (; shift >= 0; shift -= 4) {
    const digit = (size >>> shift) & 0x0f;
    bytes[to++] = digit < 10 ? 0x30 + digit : 0x57 + digit;
  }
  bytes[to++] = 0x0d;
  bytes[to++] = 0x0a;
  to = copyRange(bytes, start, end, to);
  bytes[to++] = 0x0d;
  bytes[to++] = 0x0a;
  return to;
}
