/** Bytes that heads are made of. */
export const TAB = 0x09;
export const LF = 0x0a;
export const CR = 0x0d;
export const SPACE = 0x20;
export const HASH = 0x23;
export const ASTERISK = 0x2a;
export const COMMA = 0x2c;
export const SLASH = 0x2f;
export const ZERO = 0x30;
export const NINE = 0x39;
export const COLON = 0x3a;
export const SEMICOLON = 0x3b;
export const QUESTION = 0x3f;
export const DEL = 0x7f;

/** Lower case of each token byte (RFC 9110 §5.6.2), 0 for all others. */
export const TOKEN: Uint8Array = (() => {
  const table = new Uint8Array(256);
  for (const char of "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz") {
    table[char.charCodeAt(0)] = char.charCodeAt(0);
  }
  for (let byte = 0x41; byte <= 0x5a; byte++) table[byte] = byte | 0x20;
  return table;
})();

/** 1 for bytes that may stand in a request target: visible ASCII but `#`. RFC 9112 §3.2; RFC 3986 has no fragment on the wire. */
export const TARGET: Uint8Array = (() => {
  const table = new Uint8Array(256);
  for (let byte = 0x21; byte < 0x7f; byte++) table[byte] = byte === HASH ? 0 : 1;
  return table;
})();

/** 1 for bytes that may stand in a host with port: names, IPv4, `[IPv6]`. RFC 3986 §3.2.2, without userinfo. */
export const HOST: Uint8Array = (() => {
  const table = new Uint8Array(256);
  const allowed =
    "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-._~!$&'()*+;=:[]%";
  for (const char of allowed) table[char.charCodeAt(0)] = 1;
  return table;
})();

/** Whether the range is the lower-case text, whatever its case. */
export function equalsIgnoringCase(
  bytes: Uint8Array,
  start: number,
  end: number,
  lower: Uint8Array,
): boolean {
  if (end - start !== lower.length) return false;
  for (let i = 0; i < lower.length; i++) {
    let byte = bytes[start + i] as number;
    if (byte >= 0x41 && byte <= 0x5a) byte |= 0x20;
    if (byte !== lower[i]) return false;
  }
  return true;
}

/** ASCII only. */
export function asciiBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i) & 0xff;
  return bytes;
}

/** Copies `source` to `at`; gives the end. */
export function copyBytes(source: Uint8Array, out: Uint8Array, at: number): number {
  const size = source.length;
  for (let i = 0; i < size; i++) out[at + i] = source[i] as number;
  return at + size;
}

/** Copies a range of the same array to a place outside the range; gives the end there. */
export function copyRange(bytes: Uint8Array, start: number, end: number, at: number): number {
  // A call of copyWithin costs more than a short loop.
  if (end - start > 64) bytes.copyWithin(at, start, end);
  else for (let from = start, to = at; from < end; from++, to++) bytes[to] = bytes[from] as number;
  return at + (end - start);
}

/** Writes a whole number, at least 0, in decimal; gives the end. */
export function writeDecimal(out: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let rest = value; rest >= 10; rest = Math.floor(rest / 10)) digits++;
  let rest = value;
  for (let place = at + digits - 1; place >= at; place--) {
    const next = Math.floor(rest / 10);
    out[place] = ZERO + (rest - next * 10);
    rest = next;
  }
  return at + digits;
}
