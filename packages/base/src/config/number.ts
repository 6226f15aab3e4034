/** Undefined when the word is anything but an optional sign and decimal digits. */
export function parseInteger(word: string): number | undefined {
  return /^[+-]?\d{1,15}$/.test(word) ? Number(word) : undefined;
}

/**
 * A decimal fraction without exponent, in units of 10^-`places`, so that no binary fraction is ever rounded by chance;
 * undefined when the word is something else or has more decimals than that.
 */
export function parseDecimal(word: string, places: number): number | undefined {
  const match = /^([+-]?)(\d{0,10})(?:\.(\d*))?$/.exec(word);
  if (match === null) return undefined;
  const [, sign, whole = "", fraction = ""] = match;
  if (whole === "" && fraction === "") return undefined;
  if (/[1-9]/.test(fraction.slice(places))) return undefined;
  const value = Number(whole + fraction.slice(0, places).padEnd(places, "0"));
  return sign === "-" ? -value : value;
}
