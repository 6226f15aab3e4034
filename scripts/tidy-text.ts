import { basename } from "node:path";
import { type Finding, lineAt, type SourceFile } from "./source-tree.ts";

/** Rules about what stands in files and how files are called. */
export function checkText(files: readonly SourceFile[]): Finding[] {
  return files.flatMap((file) => [
    ...checkName(file),
    ...checkPlaces(file),
    ...checkReferences(file),
    ...checkLength(file),
  ]);
}

/** Words that say nothing about what is in a file. */
const EMPTY_NAMES = new Set(["utils", "util", "helpers", "helper", "types", "common", "misc"]);

function checkName({ path }: SourceFile): Finding[] {
  const findings: Finding[] = [];
  if (/\.(ts|c|h|mjs)$/.test(path)) {
    const name = basename(path).replace(/(\.(test|property|contract|fuzz|d))*\.[a-z]+$/, "");
    if (!/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name))
      findings.push({ path, line: 0, message: "file names are kebab-case" });
    if (EMPTY_NAMES.has(name))
      findings.push({
        path,
        line: 0,
        message: `'${name}' says nothing: name the file for its main export`,
      });
  }
  return findings;
}

/** Hosts and folders that exist for whoever wrote this, and for nobody else. Written so that they do not find themselves. */
const PLACES = [
  /registry\.[a-z]+js\.org/,
  /registry\.yarnpkg/,
  /npm\.pkg\.github/,
  /["'` (=]\/work\/[a-z]/,
  /\/(home|Users)\/[a-z]+\//,
  /\/tmp\/brief/,
];

function checkPlaces({ path, text }: SourceFile): Finding[] {
  if (path.startsWith("test/corpus/") || path.endsWith("tidy-text.ts")) return [];
  return PLACES.flatMap((pattern) => {
    const match = pattern.exec(text);
    if (match === null) return [];
    const message = `'${match[0].trim()}' names a place that others do not have`;
    return [{ path, line: lineAt(text, match.index), message }];
  });
}

/** Sources have one form, so that one search finds them. */
const BAD_REFERENCES: readonly { readonly pattern: RegExp; readonly write: string }[] = [
  { pattern: /\bRFC-?\d+/g, write: "RFC 9568, with a space" },
  { pattern: /\bRFC \d+,? (section|sec\.|Section|chapter)\b/g, write: "RFC 9568 §6.4.2" },
  { pattern: /\bRFC \d+ \d+\.\d+/g, write: "RFC 9568 §6.4.2" },
  { pattern: /\bkeepalived\.conf\(\d\) §/g, write: "keepalived.conf(5), vrrp_instance" },
  {
    pattern: /\bHAProxy (configuration )?manual,? (section|sec\.) /gi,
    write: "HAProxy configuration manual §4.2",
  },
  { pattern: /\bobserved: (?:keepalived|haproxy)(?! \d)/g, write: "observed: keepalived 2.2.7" },
];

function checkReferences({ path, text }: SourceFile): Finding[] {
  if (!path.startsWith("packages/") || !path.endsWith(".ts")) return [];
  return BAD_REFERENCES.flatMap(({ pattern, write }) =>
    [...text.matchAll(pattern)].map((match) => ({
      path,
      line: lineAt(text, match.index),
      message: `'${match[0]}': write a source as '${write}'`,
    })),
  );
}

/** Beyond this a file holds two things. Keyword tables hold one, however long; C says less in a line. */
const MOST_LINES = { code: 700, table: 1200, c: 1000 };
function checkLength({ path, text }: SourceFile): Finding[] {
  if (!/^(packages|scripts|test)\/.*\.(ts|c)$/.test(path)) return [];
  const kind = path.endsWith(".c")
    ? "c"
    : /-(table|words|keywords)\.ts$/.test(path)
      ? "table"
      : "code";
  const lines = text.split("\n").length;
  const most = MOST_LINES[kind];
  if (lines <= most) return [];
  const message = `${lines} lines, more than ${most}: a sign of two things in one`;
  return [{ path, line: 0, message }];
}
