import type { Token } from "../config/token.ts";
import { type CompileContext, refuse } from "../sample/compile-context.ts";

/** Path and query (with its question mark) of a target. */
export interface PathQuery {
  readonly path: string;
  readonly query: string;
}

/** Gives the normal form; undefined when a strict normalizer meets what it cannot take. */
export type Normalizer = (target: PathQuery) => PathQuery | undefined;

/** Compiles the words after `normalize-uri`. HAProxy configuration manual §4.2, http-request normalize-uri. */
export function compileNormalizer(
  words: readonly Token[],
  context: CompileContext,
): Normalizer | undefined {
  const [name, option, extra] = words;
  if (name === undefined) return refuse(context, undefined, "normalize-uri needs a normalizer");
  const entry = NORMALIZERS[name.text];
  if (entry === undefined) {
    return refuse(
      context,
      name,
      `unknown normalizer '${name.text}'`,
      `write one of: ${Object.keys(NORMALIZERS).join(", ")}`,
    );
  }
  if (extra !== undefined || (option !== undefined && option.text !== entry.option)) {
    return refuse(
      context,
      extra ?? option,
      `unexpected '${(extra ?? option)?.text}' after '${name.text}'`,
    );
  }
  return entry.make(option !== undefined);
}

interface NormalizerEntry {
  readonly option?: "full" | "strict";
  readonly make: (isSet: boolean) => Normalizer;
}

const onPath =
  (change: (path: string) => string): Normalizer =>
  ({ path, query }) => ({ path: change(path), query });

const NORMALIZERS: Readonly<Record<string, NormalizerEntry>> = {
  "fragment-encode": {
    make:
      () =>
      ({ path, query }) => ({
        path: path.replaceAll("#", "%23"),
        query: query.replaceAll("#", "%23"),
      }),
  },
  "fragment-strip": {
    make:
      () =>
      ({ path, query }) =>
        path.includes("#")
          ? { path: path.slice(0, path.indexOf("#")), query: "" }
          : { path, query: query.includes("#") ? query.slice(0, query.indexOf("#")) : query },
  },
  "path-merge-slashes": { make: () => onPath((path) => path.replace(/\/{2,}/g, "/")) },
  "path-strip-dot": { make: () => onPath(stripDots) },
  "path-strip-dotdot": {
    option: "full",
    make: (full) => onPath((path) => stripDotDots(path, full)),
  },
  "percent-decode-unreserved": {
    option: "strict",
    make: (strict) =>
      eachEscape(strict, (hex) => {
        const character = String.fromCharCode(Number.parseInt(hex, 16));
        return /[A-Za-z0-9\-._~]/.test(character) ? character : `%${hex}`;
      }),
  },
  "percent-to-uppercase": {
    option: "strict",
    make: (strict) => eachEscape(strict, (hex) => `%${hex.toUpperCase()}`),
  },
  "query-sort-by-name": {
    make:
      () =>
      ({ path, query }) => ({ path, query: query === "" ? "" : `?${sortByName(query.slice(1))}` }),
  },
};

/** `/./a/.` is `/a/`: segments of one dot go. RFC 3986 §5.2.4. */
function stripDots(path: string): string {
  const segments = path.split("/");
  const kept = segments.filter((segment, i) => segment !== "." || i === segments.length - 1);
  if (kept.at(-1) === ".") kept[kept.length - 1] = "";
  return kept.join("/");
}

/** `/a/../b` is `/b`; without `full`, `..` at the very start stay. */
function stripDotDots(path: string, full: boolean): string {
  const kept: string[] = [];
  const segments = path.split("/");
  segments.forEach((segment, i) => {
    if (segment !== "..") {
      kept.push(segment);
      return;
    }
    const before = kept.at(-1);
    // The first piece is the empty one before the leading slash.
    const isLast = i === segments.length - 1;
    if (kept.length > 1 && before !== "..") {
      kept.pop();
      if (isLast) kept.push("");
    } else if (!full) kept.push(segment);
    else if (isLast) kept.push("");
  });
  return kept.join("/");
}

function eachEscape(strict: boolean, change: (hex: string) => string): Normalizer {
  return ({ path, query }) => {
    if (strict && /%(?![0-9A-Fa-f]{2})/.test(path + query)) return undefined;
    const all = (text: string): string =>
      text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => change(hex));
    return { path: all(path), query: all(query) };
  };
}

/** Stable: arguments of one name keep their order. */
function sortByName(query: string): string {
  const nameOf = (argument: string): string => argument.split("=", 1)[0] as string;
  return query
    .split("&")
    .map((argument, i) => ({ argument, i }))
    .sort((a, b) => {
      const [x, y] = [nameOf(a.argument), nameOf(b.argument)];
      return x < y ? -1 : x > y ? 1 : a.i - b.i;
    })
    .map(({ argument }) => argument)
    .join("&");
}
