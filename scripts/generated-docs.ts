import { readFileSync } from "node:fs";
import { haproxyReferencePage } from "@ha/proxy/core";
import { ownKeywordsTable, referencePage } from "@ha/vrrpd/core";

/** A file, or a file with a marked stretch in it, that is made from keyword tables. */
export interface GeneratedPage {
  /** From the repository's root. */
  readonly path: string;
  /** The whole file as it should be. */
  readonly wanted: string;
}

export async function generatedPages(): Promise<GeneratedPage[]> {
  return [
    { path: "docs/keepalived-conf.md", wanted: referencePage() },
    { path: "docs/haproxy-cfg.md", wanted: haproxyReferencePage() },
    withStretch("README.md", "own-keywords", ownKeywordsTable()),
  ];
}

/** The file with what stands between `<!-- NAME -->` and `<!-- /NAME -->` replaced. */
export function withStretch(path: string, name: string, content: string): GeneratedPage {
  const text = readFileSync(path, "utf8");
  const [open, close] = [`<!-- ${name} -->`, `<!-- /${name} -->`];
  const [start, end] = [text.indexOf(open), text.indexOf(close)];
  if (start === -1 || end < start) throw new Error(`${path} has no stretch '${open} … ${close}'`);
  return {
    path,
    wanted: `${text.slice(0, start + open.length)}\n${content.trim()}\n${text.slice(end)}`,
  };
}
