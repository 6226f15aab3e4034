import { closestWord, type Diagnostic } from "@ha/base";
import { readYaml, type YamlNode } from "@ha/base/yaml";
import type { z } from "zod";

/** What a YAML file holds, or everything that is wrong with it. */
export type YamlRead<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly findings: readonly Diagnostic[] };

type Path = readonly PropertyKey[];

/**
 * Reads a YAML file by its schema. Findings carry line and column of what they are about.
 *
 * @param check What a schema cannot see; its paths are those of the file.
 * @param words What mistyped keys may have meant.
 */
export function readYamlFile<T>(
  file: string,
  text: string,
  schema: z.ZodType<T>,
  {
    words,
    check = () => [],
  }: {
    readonly words: readonly string[];
    readonly check?: (value: T) => readonly { readonly path: Path; readonly message: string }[];
  },
): YamlRead<T> {
  const document = readYaml(text);
  const error = (offset: number, message: string, hint?: string): Diagnostic => ({
    severity: "error",
    code: "config/lab",
    message,
    at: { file, ...document.placeOf(offset) },
    ...(hint === undefined ? {} : { hint }),
  });
  if (document.errors.length > 0)
    return {
      ok: false,
      findings: document.errors.map(({ offset, message }) => error(offset, message)),
    };
  if (document.root === undefined) return { ok: false, findings: [error(0, "the file is empty")] };

  const places = new Map<string, number>();
  const plain = plainOf(document.root, [], places);
  const read = schema.safeParse(plain);
  if (!read.success) {
    const findings = read.error.issues.flatMap((issue) =>
      issuesOf(issue, []).map(({ path, message, key }) => {
        const near = key === undefined ? undefined : closestWord(key, words);
        return error(
          placeOf(places, key === undefined ? path : [...path, KEY, key]),
          message,
          near === undefined ? undefined : `did you mean '${near}'?`,
        );
      }),
    );
    return { ok: false, findings };
  }
  const problems = check(read.data);
  if (problems.length === 0) return { ok: true, value: read.data };
  return {
    ok: false,
    findings: problems.map(({ path, message }) => error(placeOf(places, path), message)),
  };
}

/** Stands before the name of a key whose own place is meant, and not that of its value. */
const KEY = "\0key";

function plainOf(node: YamlNode | undefined, path: Path, places: Map<string, number>): unknown {
  if (node === undefined) return null;
  places.set(keyOf(path), node.offset);
  if (node.kind === "scalar") return node.value;
  if (node.kind === "list")
    return node.items().map((item, i) => plainOf(item, [...path, i], places));
  const entries: [string, unknown][] = [];
  for (const { key, value } of node.entries()) {
    const name = key?.kind === "scalar" ? key.text : "";
    if (key !== undefined) places.set(keyOf([...path, KEY, name]), key.offset);
    if (value === undefined && key !== undefined) places.set(keyOf([...path, name]), key.offset);
    entries.push([name, plainOf(value, [...path, name], places)]);
  }
  return Object.fromEntries(entries);
}

/** The place of the nearest thing on the way that is there. */
function placeOf(places: ReadonlyMap<string, number>, path: Path): number {
  for (let length = path.length; length >= 0; length--) {
    const place = places.get(keyOf(path.slice(0, length)));
    if (place !== undefined) return place;
  }
  return 0;
}

const keyOf = (path: Path): string => path.map(String).join("\0/");

interface PlainIssue {
  readonly path: Path;
  readonly message: string;
  /** The key that nothing knows. */
  readonly key?: string;
}

function issuesOf(issue: z.core.$ZodIssue, above: Path): readonly PlainIssue[] {
  const path = [...above, ...issue.path];
  const name = path.at(-1);
  const what = typeof name === "string" ? `'${name}' ` : "";
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({ path, key, message: `unknown key '${key}'` }));
    case "invalid_union": {
      // The alternative that came closest: the one that complains deepest in the file, or least.
      const best = issue.errors
        .map((errors) => errors.flatMap((one) => issuesOf(one, path)))
        .sort((a, b) => score(a) - score(b))[0];
      if (best !== undefined && best.length > 0) return best;
      return [{ path, message: `${what}${lowerFirst(issue.message.replaceAll("' | '", "', '"))}` }];
    }
    case "invalid_type":
      if (/received undefined$/.test(issue.message))
        return [{ path, message: `${what}is missing` }];
      return [{ path, message: `${what}must be ${article(issue.expected)}` }];
    case "invalid_value":
      return [{ path, message: `${what}must be one of ${issue.values.map(String).join(", ")}` }];
    default:
      return [{ path, message: `${what}${lowerFirst(issue.message)}` }];
  }
}

/** Fewer unknown keys and missing ones first; of those the one that got deeper. */
function score(issues: readonly PlainIssue[]): number {
  const deepest = Math.max(0, ...issues.map(({ path }) => path.length));
  const foreign = issues.filter(({ key }) => key !== undefined).length;
  return foreign * 100 + issues.length * 10 - deepest;
}

const article = (expected: string): string =>
  expected === "array"
    ? "a list"
    : expected === "object" || expected === "record"
      ? "a map"
      : `a ${expected}`;

const lowerFirst = (text: string): string => text.charAt(0).toLowerCase() + text.slice(1);
