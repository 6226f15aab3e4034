import type { Keyword } from "@ha/base/keyword";

/** One keyword of `keepalived.conf`: what every configuration table says, and what is peculiar to this language. */
export interface Entry<T = unknown> extends Keyword<T> {
  /** How many words must follow. keepalived stops reading at once when there are fewer (exit 2 of `-t`). */
  readonly needs?: number;
  /** A value to go on with where keepalived corrects a wrong one instead of ignoring it. */
  readonly repair?: (words: readonly string[]) => T | undefined;
  /** What the braces hold: keywords of another table, plain lines, or what we do not read (LVS). */
  readonly body?: Table | "lines" | "ignored";
  /** The block has a name: `vrrp_instance VI_1 {`. */
  readonly named?: boolean;
  /** A second block of a name is dropped, with a complaint. */
  readonly unique?: boolean;
  /** Which one counts when the keyword is repeated. Default: the last. */
  readonly repeated?: "first" | "last" | "all";
  /** Absent: it works. */
  readonly status?: Status;
  /** What to write instead of a deprecated keyword. */
  readonly instead?: string;
  /** Not a keyword of keepalived. */
  readonly ours?: true;
  /** The value is a command line, which has quotes and escapes of its own. */
  readonly command?: true;
  /** The keepalived version that brought it, when 2.2.7 does not know it. */
  readonly since?: string;
}

/** `not served`: what vrrpd is not there for (LVS). `not supported`: keepalived does it, we do not. */
export type Status = "deprecated" | "not served" | "not supported" | "no effect";

export type Table = Readonly<Record<string, Entry>>;

/** Lets the compiler infer the type of the value; the table checks the rest. */
export function entry<T>(fields: Entry<T>): Entry<T> {
  return fields;
}

/** The entry of a word that came from a file; never one of Object's own names. */
export function lookUp(table: Table, word: string): Entry | undefined {
  return Object.hasOwn(table, word) ? table[word] : undefined;
}
