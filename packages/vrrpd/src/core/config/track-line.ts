import { type Diagnostics, parseInteger, type Statement } from "@ha/base";

/** One line of a `track_*` block as written: `weight` is absent where the tracker's own counts. */
export interface TrackLine {
  readonly name: string;
  readonly weight?: number;
  readonly reverse?: boolean;
  readonly at: Statement["words"][0]["at"];
}

/**
 * `NAME [weight N [reverse|noreverse]]`. With an option that is wrong the name is tracked by its own weight, as in
 * keepalived, but for a word in the place of weight, which costs the whole line. observed: keepalived 2.2.7
 */
export function readTrackLine(
  { words: [name, option, number, direction] }: Statement,
  limits: { readonly limit: 253 | 254; readonly noreverse: boolean },
  diagnostics: Diagnostics,
): TrackLine {
  const line = { name: name.text, at: name.at };
  if (option === undefined) return line;
  const syntax = `write: ${name.text} [weight <-${limits.limit}..${limits.limit}> [reverse${
    limits.noreverse ? "|noreverse" : ""
  }]]`;
  if (option.text !== "weight") {
    diagnostics.error(
      "config/unknown-word",
      option.at,
      `'${option.text}' is not understood here`,
      syntax,
    );
    return line;
  }
  const value = parseInteger(number?.text ?? "");
  const limit = limits.limit;
  if (value === undefined || Math.abs(value) > 254) {
    diagnostics.error(
      "config/bad-value",
      (number ?? option).at,
      `weight must be a whole number from -${limit} to ${limit}`,
      syntax,
    );
    return line;
  }
  let weight = value;
  if (Math.abs(value) > limit) {
    weight = Math.sign(value) * limit;
    diagnostics.warning(
      "config/corrected",
      (number ?? option).at,
      `weight must be a whole number from -${limit} to ${limit}; goes on with ${weight}`,
    );
  }
  if (direction === undefined) return { ...line, weight };
  if (direction.text === "reverse") return { ...line, weight, reverse: true };
  if (direction.text === "noreverse" && limits.noreverse)
    return { ...line, weight, reverse: false };
  diagnostics.error(
    "config/unknown-word",
    direction.at,
    `'${direction.text}' is not understood here`,
    syntax,
  );
  return { ...line, weight };
}
