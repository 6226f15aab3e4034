import { COLON, CR, TOKEN } from "../http/bytes.ts";
import { FIELD_OVERHEAD, writeField } from "./hpack-encoder.ts";

/**
 * Writes lines of HTTP/1 (`name: value`, each with its line end; checked before) as a header block: the end, or -1 when
 * there is no room. RFC 9113 §8.1.
 */
export function writeTrailerBlock(
  lines: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
  limit: number,
): number {
  let to = at;
  for (let from = start; from < end; ) {
    let hash = 0;
    let colon = from;
    while (colon < end && lines[colon] !== COLON) {
      hash = (Math.imul(hash, 31) + (TOKEN[lines[colon++] as number] as number)) | 0;
    }
    let stop = colon;
    while (stop < end && lines[stop] !== CR) stop++;
    let value = colon + 1;
    let valueEnd = stop;
    while (value < valueEnd && isBlank(lines[value] as number)) value++;
    while (valueEnd > value && isBlank(lines[valueEnd - 1] as number)) valueEnd--;
    if (to + (colon - from) + (valueEnd - value) + FIELD_OVERHEAD > limit) return -1;
    if (colon > from && colon < stop) {
      to = writeField(out, to, lines, from, colon, hash, value, valueEnd);
    }
    from = stop + 2;
  }
  return to;
}

function isBlank(byte: number): boolean {
  return byte === 0x20 || byte === 0x09;
}
