import { reader, type Schema } from "./keyword.ts";

/** A whole number in decimal; a leading `+` and zeros are fine. */
export function integer({ min, max }: { min: number; max: number }): Schema<number> {
  return reader(([word = ""], problem) => {
    const value = parseInteger(word);
    return value === undefined || value < min || value > max
      ? problem(`must be a whole number from ${min} to ${max}`)
      : value;
  });
}

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

/** One of some words. */
export function choice<const T extends string>(...words: readonly T[]): Schema<T> {
  return reader(([word = ""], problem) => {
    const found = words.find((candidate) => candidate === word);
    return found ?? problem(`must be ${words.slice(0, -1).join(", ")} or ${words.at(-1)}`);
  });
}

/** The first word, whatever it is. */
export const text: Schema<string> = reader(
  ([word], problem) => word ?? problem("must have a value"),
);
