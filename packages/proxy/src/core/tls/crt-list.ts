import { fail, ok, type Result } from "@ha/base";
import type { TlsListener } from "../config/tls-model.ts";
import { parseAlpn, parseTlsVersion } from "../config/tls-words.ts";
import { latin1 } from "../sample/sample.ts";

/** What a line of a crt-list may say in place of its `bind` line. */
export type CertificateSettings = Partial<
  Pick<
    TlsListener,
    | "alpn"
    | "caFile"
    | "caVerifyFile"
    | "ciphers"
    | "ciphersuites"
    | "crlFile"
    | "curves"
    | "ecdhe"
    | "sigalgs"
    | "clientSigalgs"
    | "noCaNames"
    | "verify"
    | "minVersion"
    | "maxVersion"
  >
>;

/** One line: `<file> [<word>…] [!]<name>…`. HAProxy configuration manual §5.1, crt-list. */
export interface CrtListLine {
  /** From 1. */
  readonly line: number;
  /** As written. */
  readonly certificate: string;
  readonly settings: CertificateSettings;
  /** The words between the brackets, as they stand, with one blank between them; undefined without brackets. */
  readonly words: readonly string[] | undefined;
  readonly filters: readonly string[];
}

export interface CrtList {
  readonly lines: readonly CrtListLine[];
  readonly warnings: readonly string[];
}

/** How file names within brackets are read, and whether they can be. */
export interface CrtListPaths {
  /** With `ca-base` in front; a text is what is wrong with the file. */
  readonly authority: (word: "ca-file" | "crl-file", path: string) => Result<string, string>;
}

/** Lines longer than that are refused. Observed: haproxy 2.6.12. */
const MAX_WORDS = 64 + 1;

/** Reads a whole file. Fails with HAProxy's words, without `'crt-list' :` in front. */
export function parseCrtList(
  bytes: Uint8Array,
  name: string,
  paths: CrtListPaths,
): Result<CrtList, string> {
  const rows = latin1(bytes, 0, bytes.length).split("\n");
  const last = rows.pop() ?? "";
  const lines: CrtListLine[] = [];
  const warnings: string[] = [];
  for (const [i, row] of rows.entries()) {
    const read = parseCrtListLine(row, i + 1, name, paths);
    if (!read.ok) return read;
    if (read.value === undefined) continue;
    lines.push(read.value.line);
    warnings.push(...read.value.warnings);
  }
  if (last !== "") {
    return fail(
      `parsing [${name}:${rows.length + 1}]: Missing LF on last line, file might have been truncated at position ${last.length + 1}.`,
    );
  }
  return ok({ lines, warnings });
}

/** One line; undefined for an empty one or a comment. `name` is the file's in messages. */
export function parseCrtListLine(
  row: string,
  number: number,
  name: string,
  paths: CrtListPaths,
): Result<
  { readonly line: CrtListLine; readonly warnings: readonly string[] } | undefined,
  string
> {
  const place = `parsing [${name}:${number}]:`;
  if (row.startsWith("#")) return ok(undefined);
  const words: string[] = [];
  let opened = -1;
  let closed = -1;
  for (const [token] of row.matchAll(/[[\]]|[^\s[\]]+/g)) {
    if (token === "[") {
      if (opened >= 0) return fail(`${place} too many '['`);
      if (words.length === 0) return fail(`${place} file must start with a cert`);
      opened = words.length;
    } else if (token === "]") {
      if (closed >= 0) return fail(`${place} too many ']'`);
      if (opened < 0) return fail(`${place} missing '['`);
      closed = words.length;
    } else words.push(token);
  }
  const [certificate, ...rest] = words;
  if (certificate === undefined) return ok(undefined);
  if (words.length > MAX_WORDS) return fail(`${place} too many args`);
  const warnings =
    opened > 1 ? [`${place} malformated line, filters can't be between filename and options!`] : [];
  if (opened < 0) {
    return ok({
      line: { line: number, certificate, settings: {}, words: undefined, filters: rest },
      warnings,
    });
  }
  // Brackets that nobody closes hold nothing, and what follows them are names. Observed: haproxy 2.6.12.
  const inside = words.slice(opened, Math.max(closed, opened));
  const settings = readSettings(inside, place, paths);
  if (!settings.ok) return settings;
  for (const word of IGNORED) {
    if (inside.includes(word)) {
      warnings.push(`${place} '${word}' is not supported by lbproxy: it has no effect.`);
    }
  }
  return ok({
    line: {
      line: number,
      certificate,
      settings: settings.value,
      words: inside,
      filters: words.slice(Math.max(closed, opened)),
    },
    warnings,
  });
}

function readSettings(
  words: readonly string[],
  place: string,
  paths: CrtListPaths,
): Result<CertificateSettings, string> {
  let settings: CertificateSettings = {};
  for (let at = 0; at < words.length; at++) {
    const word = words[at] as string;
    const flag = FLAGS.get(word);
    if (flag !== undefined) {
      settings = { ...settings, ...flag };
      continue;
    }
    const read = VALUES.get(word);
    if (read === undefined) return fail(`${place} unknown ssl keyword ${word}`);
    const value = words[++at];
    if (value === undefined) return fail(`${place} ssl args out of '[]' for ${word}`);
    const change = read(value, paths);
    if (typeof change === "string") return fail(change);
    settings = { ...settings, ...change };
  }
  return ok(settings);
}

/** Taken, and without effect here: a warning says so. */
const IGNORED = ["allow-0rtt", "npn"];

const FLAGS = new Map<string, CertificateSettings>([
  ["allow-0rtt", {}],
  ["no-ca-names", { noCaNames: true }],
  ["no-alpn", { alpn: [] }],
]);

type ReadValue = (value: string, paths: CrtListPaths) => CertificateSettings | string;

function version(
  value: string,
  give: (version: NonNullable<TlsListener["minVersion"]>) => CertificateSettings,
): CertificateSettings | string {
  const found = parseTlsVersion(value);
  return found === undefined ? `'${value}' : unknown ssl/tls version` : give(found);
}

const VALUES = new Map<string, ReadValue>([
  ["alpn", (value) => ({ alpn: parseAlpn(value) ?? [] })],
  ["npn", () => ({})],
  ["ciphers", (ciphers) => ({ ciphers })],
  ["ciphersuites", (ciphersuites) => ({ ciphersuites })],
  ["curves", (curves) => ({ curves })],
  ["ecdhe", (ecdhe) => ({ ecdhe })],
  ["sigalgs", (sigalgs) => ({ sigalgs })],
  ["client-sigalgs", (clientSigalgs) => ({ clientSigalgs })],
  ["ssl-min-ver", (value) => version(value, (minVersion) => ({ minVersion }))],
  ["ssl-max-ver", (value) => version(value, (maxVersion) => ({ maxVersion }))],
  [
    "verify",
    (value) =>
      value === "none" || value === "optional" || value === "required"
        ? { verify: value }
        : `'verify' : unknown verify method '${value}', only 'none', 'optional', and 'required' are supported`,
  ],
  ["ca-file", (value, paths) => authority("ca-file", value, paths, (caFile) => ({ caFile }))],
  [
    "ca-verify-file",
    (value, paths) => authority("ca-file", value, paths, (caVerifyFile) => ({ caVerifyFile })),
  ],
  ["crl-file", (value, paths) => authority("crl-file", value, paths, (crlFile) => ({ crlFile }))],
]);

function authority(
  word: "ca-file" | "crl-file",
  value: string,
  paths: CrtListPaths,
  give: (path: string) => CertificateSettings,
): CertificateSettings | string {
  const path = paths.authority(word, value);
  return path.ok ? give(path.value) : path.error;
}
