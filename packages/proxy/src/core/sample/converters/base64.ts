const STANDARD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL_SAFE = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

function inverse(alphabet: string): Int8Array {
  const table = new Int8Array(256).fill(-1);
  for (let i = 0; i < 64; i++) table[alphabet.charCodeAt(i)] = i;
  return table;
}

const STANDARD_VALUES = inverse(STANDARD);
const URL_SAFE_VALUES = inverse(URL_SAFE);

/** Base64 with padding, or base64url without. RFC 4648 §4, §5. Gives the end in `out`, which must have room. */
export function encodeBase64(
  bytes: Uint8Array,
  start: number,
  end: number,
  urlSafe: boolean,
  out: Uint8Array,
  at: number,
): number {
  const alphabet = urlSafe ? URL_SAFE : STANDARD;
  let to = at;
  for (let from = start; from < end; from += 3) {
    const left = end - from;
    const group =
      ((bytes[from] as number) << 16) |
      (left > 1 ? (bytes[from + 1] as number) << 8 : 0) |
      (left > 2 ? (bytes[from + 2] as number) : 0);
    out[to++] = alphabet.charCodeAt(group >> 18);
    out[to++] = alphabet.charCodeAt((group >> 12) & 63);
    if (left > 1) out[to++] = alphabet.charCodeAt((group >> 6) & 63);
    else if (!urlSafe) out[to++] = PAD;
    if (left > 2) out[to++] = alphabet.charCodeAt(group & 63);
    else if (!urlSafe) out[to++] = PAD;
  }
  return to;
}

/** The bytes, or undefined for what is no base64: a strange character, a wrong length, padding amid it. */
export function decodeBase64(
  bytes: Uint8Array,
  start: number,
  end: number,
  urlSafe: boolean,
): Uint8Array | undefined {
  const values = urlSafe ? URL_SAFE_VALUES : STANDARD_VALUES;
  let last = end;
  while (last > start && end - last < 2 && bytes[last - 1] === PAD) last--;
  const size = last - start;
  if (size % 4 === 1) return undefined;
  if (!urlSafe && (end - start) % 4 !== 0) return undefined;
  const out = new Uint8Array(Math.floor((size * 3) / 4));
  let to = 0;
  let group = 0;
  let bits = 0;
  for (let from = start; from < last; from++) {
    const value = values[bytes[from] as number] as number;
    if (value < 0) return undefined;
    group = ((group << 6) | value) & 0xffffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out[to++] = (group >> bits) & 0xff;
  }
  return out;
}

const PAD = 0x3d;
