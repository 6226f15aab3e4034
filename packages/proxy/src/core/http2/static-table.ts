import { asciiBytes } from "../http/bytes.ts";

/** Names and values of the static table, from 1. RFC 7541 Appendix A. */
const ENTRIES: readonly (readonly [name: string, value: string])[] = [
  [":authority", ""],
  [":method", "GET"],
  [":method", "POST"],
  [":path", "/"],
  [":path", "/index.html"],
  [":scheme", "http"],
  [":scheme", "https"],
  [":status", "200"],
  [":status", "204"],
  [":status", "206"],
  [":status", "304"],
  [":status", "400"],
  [":status", "404"],
  [":status", "500"],
  ["accept-charset", ""],
  ["accept-encoding", "gzip, deflate"],
  ["accept-language", ""],
  ["accept-ranges", ""],
  ["accept", ""],
  ["access-control-allow-origin", ""],
  ["age", ""],
  ["allow", ""],
  ["authorization", ""],
  ["cache-control", ""],
  ["content-disposition", ""],
  ["content-encoding", ""],
  ["content-language", ""],
  ["content-length", ""],
  ["content-location", ""],
  ["content-range", ""],
  ["content-type", ""],
  ["cookie", ""],
  ["date", ""],
  ["etag", ""],
  ["expect", ""],
  ["expires", ""],
  ["from", ""],
  ["host", ""],
  ["if-match", ""],
  ["if-modified-since", ""],
  ["if-none-match", ""],
  ["if-range", ""],
  ["if-unmodified-since", ""],
  ["last-modified", ""],
  ["link", ""],
  ["location", ""],
  ["max-forwards", ""],
  ["proxy-authenticate", ""],
  ["proxy-authorization", ""],
  ["range", ""],
  ["referer", ""],
  ["refresh", ""],
  ["retry-after", ""],
  ["server", ""],
  ["set-cookie", ""],
  ["strict-transport-security", ""],
  ["transfer-encoding", ""],
  ["user-agent", ""],
  ["vary", ""],
  ["via", ""],
  ["www-authenticate", ""],
];

/** Entries of the static table: indexes above it are the dynamic table's. */
export const STATIC_ENTRIES = ENTRIES.length;

/** Indexes that the encoder writes. */
export const STATIC_AUTHORITY = 1;
export const STATIC_METHOD_GET = 2;
export const STATIC_METHOD_POST = 3;
export const STATIC_PATH = 4;
export const STATIC_SCHEME_HTTP = 6;
export const STATIC_SCHEME_HTTPS = 7;

/** All bytes in one array; entry `n` has its name at `staticNameStart[n]` and its value after it. */
export const staticBytes: Uint8Array = asciiBytes(ENTRIES.flat().join(""));
export const staticNameStart = new Uint16Array(STATIC_ENTRIES + 1);
export const staticNameEnd = new Uint16Array(STATIC_ENTRIES + 1);
export const staticValueEnd = new Uint16Array(STATIC_ENTRIES + 1);
/** Of each name, as `fieldName` makes it. */
export const staticHash = new Int32Array(STATIC_ENTRIES + 1);

let place = 0;
for (const [at, [name, value]] of ENTRIES.entries()) {
  staticNameStart[at + 1] = place;
  staticNameEnd[at + 1] = place + name.length;
  staticValueEnd[at + 1] = place + name.length + value.length;
  place += name.length + value.length;
  let hash = 0;
  for (let i = 0; i < name.length; i++) hash = (Math.imul(hash, 31) + name.charCodeAt(i)) | 0;
  staticHash[at + 1] = hash;
}

/** First index of a name by its hash (which the bytes must confirm), 0 when no name has it. */
export function staticIndexOf(hash: number): number {
  let slot = hash & SLOT_MASK;
  for (let index = slots[slot] as number; index !== 0; index = slots[slot] as number) {
    if (staticHash[index] === hash) return index;
    slot = (slot + 1) & SLOT_MASK;
  }
  return 0;
}

const SLOT_MASK = 255;
/** Open addressing: names by hash. */
const slots = new Uint8Array(SLOT_MASK + 1);
for (let index = 1; index <= STATIC_ENTRIES; index++) {
  if (staticHash[index] === staticHash[index - 1]) continue;
  let slot = (staticHash[index] as number) & SLOT_MASK;
  while (slots[slot] !== 0) slot = (slot + 1) & SLOT_MASK;
  slots[slot] = index;
}
