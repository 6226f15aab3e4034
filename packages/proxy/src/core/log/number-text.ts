/** Writes decimal digits; never at or past `limit`. */
export function putNumber(out: Uint8Array, at: number, limit: number, value: number): number {
  let rest = Math.trunc(value);
  let to = at;
  if (rest < 0) {
    if (to < limit) out[to++] = 0x2d;
    rest = -rest;
  }
  let digits = 1;
  for (let power = 10; power <= rest; power *= 10) digits++;
  if (to + digits > limit) return to;
  for (let place = to + digits - 1; place >= to; place--) {
    out[place] = 0x30 + (rest % 10);
    rest = Math.trunc(rest / 10);
  }
  return to + digits;
}

/** Writes at least `digits` digits, upper-case hexadecimal. */
export function putHex(
  out: Uint8Array,
  at: number,
  limit: number,
  value: number,
  digits: number,
): number {
  const text = (value >>> 0).toString(16).toUpperCase().padStart(digits, "0");
  return putText(out, at, limit, text);
}

/** Writes the characters of an ASCII text. */
export function putText(out: Uint8Array, at: number, limit: number, text: string): number {
  const size = Math.min(text.length, limit - at);
  for (let i = 0; i < size; i++) out[at + i] = text.charCodeAt(i);
  return at + size;
}
