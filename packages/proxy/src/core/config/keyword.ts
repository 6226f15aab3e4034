import type { Line } from "./line.ts";

/**
 * What a keyword does here.
 * - `works`: as the manual says.
 * - `tuning`: pure tuning of HAProxy's own machinery: checked, and without effect here.
 * - `ignored`: more than tuning, and not done here: checked, and a warning that names it says that it has no effect.
 * - `later`: checked by `-c`; a start refuses it in plain words until it works (`later.ts`).
 * - `removed`: HAProxy itself has dropped it; the message names the successor.
 * - `not served`: refused in plain words.
 */
export type KeywordStatus = "works" | "tuning" | "ignored" | "later" | "removed" | "not served";

/** What the reference page shows of a keyword. Every table's entries have it. */
export interface KeywordEntry {
  readonly name: string;
  readonly syntax: string;
  readonly doc: string;
  /** `HAProxy configuration manual §…`, shortened to the section: `§4.2`. */
  readonly source: string;
  readonly status: KeywordStatus;
  /** In the file's own spelling. */
  readonly default?: string;
}

/** Warns where the keyword is one of those that do nothing here, in one form for all tables. */
export function warnIgnored(
  { name, status }: KeywordEntry,
  line: Line,
  place: "" | " on a bind line" | " on a server line" | " in 'option'" = "",
): void {
  if (status !== "ignored") return;
  line.warn(
    `'${name}'${place} is not supported by lbproxy: it has no effect.`,
    undefined,
    "config/ignored",
  );
}

/** Finds a table's entry by name; built once a table. */
export function indexByName<E extends { readonly name: string }>(
  entries: readonly E[],
): ReadonlyMap<string, E> {
  return new Map(entries.map((entry) => [entry.name, entry]));
}
