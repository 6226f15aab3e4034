import { reader, type Schema } from "./keyword.ts";
import { parseInteger } from "./number.ts";

/** A whole number in decimal; a leading `+` and zeros are fine. */
export function integer({ min, max }: { min: number; max: number }): Schema<number> {
  return reader(([word = ""], problem) => {
    const value = parseInteger(word);
    return value === undefined || value < min || value > max
      ? problem(`must be a whole number from ${min} to ${max}`)
      : value;
  });
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
