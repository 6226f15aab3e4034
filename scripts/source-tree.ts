import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { extname } from "node:path";

/** A text file of the repository. */
export interface SourceFile {
  /** From the repository's root, with slashes. */
  readonly path: string;
  readonly text: string;
}

/** Something that breaks a rule of the repository. */
export interface Finding {
  readonly path: string;
  /** Counts from 1; 0 is the file as a whole. */
  readonly line: number;
  readonly message: string;
}

/** Every file that git knows or would add: what is ignored is not looked at. */
export function listFiles(): string[] {
  const options = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
  const listed = execFileSync("git", options, { encoding: "utf8", maxBuffer: 1 << 26 });
  return [...new Set(listed.split("\0"))].filter((path) => path !== "").sort();
}

/** Text files alone. One that was deleted but not yet committed is left out. */
export function readFiles(paths: readonly string[]): SourceFile[] {
  return paths.flatMap((path) => {
    if (BINARY.has(extname(path))) return [];
    try {
      return [{ path, text: readFileSync(path, "utf8") }];
    } catch {
      return [];
    }
  });
}

const BINARY = new Set([".pcap", ".png", ".node", ".gz", ".der", ".ico"]);

/** Where in a text an index stands: lines count from 1. */
export function lineAt(text: string, index: number): number {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < index; at = text.indexOf("\n", at + 1))
    line++;
  return line;
}

/** Program text with comments and the insides of strings blanked, line breaks kept: what is left is code. */
export function codeOnly(text: string): string {
  const blank = (piece: string): string => piece.replace(/[^\n]/g, " ");
  return text.replace(
    /\/\*[\s\S]*?\*\/|\/\/[^\n]*|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`(?:[^`\\]|\\[\s\S])*`/g,
    (piece) => (piece.startsWith("`") ? keepExpressions(piece, blank) : blank(piece)),
  );
}

/** Of a template the expressions are code. Nested templates do not occur in them often enough to matter. */
function keepExpressions(template: string, blank: (piece: string) => string): string {
  return template
    .split(/(\$\{[^}]*\})/)
    .map((piece) => (piece.startsWith("${") ? piece : blank(piece)))
    .join("");
}
