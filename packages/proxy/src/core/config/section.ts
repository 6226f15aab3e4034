import type { KeywordEntry } from "./keyword.ts";
import type { Line } from "./line.ts";
import type { Reading } from "./reading.ts";

/** A keyword inside a section that is no proxy. */
export interface SectionKeyword<Draft> extends KeywordEntry {
  readonly read: (line: Line, draft: Draft, reading: Reading) => void;
}

/** A section that is neither global nor a proxy. `open` gives what reads its lines; undefined skips them in silence. */
export interface SectionKind {
  readonly name: string;
  readonly doc: string;
  readonly source: string;
  readonly status: KeywordEntry["status"];
  readonly keywords: readonly KeywordEntry[];
  readonly open: (line: Line, reading: Reading) => ((line: Line) => void) | undefined;
  /** When all of the section is read. */
  readonly close?: (reading: Reading) => void;
}

export function entry<Draft>(
  name: string,
  syntax: string,
  doc: string,
  read: SectionKeyword<Draft>["read"],
  source = "§3",
): SectionKeyword<Draft> {
  return { name, syntax, doc, source, status: "works", read };
}

/** Reads a line by a table; `unknown` reports a keyword that is not in it. */
export function byTable<Draft>(
  keywords: readonly SectionKeyword<Draft>[],
  draft: Draft,
  reading: Reading,
  unknown: (line: Line) => void,
): (line: Line) => void {
  const table = new Map(keywords.map((keyword) => [keyword.name, keyword]));
  return (line) => {
    const keyword = table.get(line.name);
    if (keyword === undefined) unknown(line);
    else keyword.read(line, draft, reading);
  };
}

export function unknownIn(section: string): (line: Line) => void {
  return (line) =>
    line.alert(
      `unknown keyword '${line.name}' in '${section}' section`,
      undefined,
      "config/unknown-keyword",
    );
}

/** A section's name, checked: undefined after a message. */
export function sectionName(line: Line, missing: string): string | undefined {
  const name = line.text(1);
  if (name === "") return void line.alert(missing);
  const bad = /[^A-Za-z0-9_:.-]/.exec(name);
  if (bad !== null) {
    return void line.alert(
      `character '${bad[0]}' is not permitted in '${line.name}' name '${name}'.`,
    );
  }
  return line.atMost(1) ? name : undefined;
}
