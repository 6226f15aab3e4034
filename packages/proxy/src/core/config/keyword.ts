/**
 * What a keyword does here.
 * - `works`: as the manual says.
 * - `tuning`: pure tuning of HAProxy's own machinery: checked, and without effect here.
 * - `later`: checked by `-c`; a start refuses it in plain words until it works (`later.ts`).
 * - `removed`: HAProxy itself has dropped it; the message names the successor.
 * - `not served`: refused in plain words.
 */
export type KeywordStatus = "works" | "tuning" | "later" | "removed" | "not served";

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

/** Finds a table's entry by name; built once a table. */
export function indexByName<E extends { readonly name: string }>(
  entries: readonly E[],
): ReadonlyMap<string, E> {
  return new Map(entries.map((entry) => [entry.name, entry]));
}
