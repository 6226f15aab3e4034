import type { Position } from "@ha/base";
import type { PemWants } from "./host.ts";
import { lexLine } from "./lexer.ts";
import type { Line } from "./line.ts";
import { join, type Reading, resolvePath } from "./reading.ts";

/** Extensions of bundles: one name for several keys. HAProxy configuration manual §5.1, crt. */
const BUNDLE = [".rsa", ".ecdsa", ".dsa"];
/** What stands beside a certificate and is none. */
const COMPANIONS = [".issuer", ".ocsp", ".sctl", ".key"];

/** A certificate's path with `crt-base` or `ca-base` in front where it applies. */
export function baseFile(
  reading: Reading,
  base: string | undefined,
  path: string,
  at: Position,
): string {
  if (path.startsWith("/") || path.startsWith("@")) return path;
  return base === undefined ? resolvePath(reading, path, at) : join(base, path);
}

/** What is wrong with a `crt`; undefined when it can be used. `text` is what stood on the line. */
export function checkCertificate(reading: Reading, text: string, path: string): string | undefined {
  const { host } = reading;
  if (text.startsWith("@")) return undefined; // A crt-store's: looked up when all sections are read.
  if (isStored(reading, text)) return undefined;
  switch (host.kindOf(path)) {
    case "file":
      return checkPair(reading, path);
    case "folder": {
      const names = host.listFolder(path).filter((name) => {
        const hidden = name.startsWith(".");
        return !hidden && !COMPANIONS.some((extension) => name.endsWith(extension));
      });
      for (const name of names) {
        const inside = join(path, name);
        if (host.kindOf(inside) !== "file") continue;
        const wrong = checkPair(reading, inside);
        if (wrong !== undefined) return wrong;
      }
      return undefined;
    }
    case undefined: {
      const parts = BUNDLE.map((extension) => path + extension).filter(
        (part) => host.kindOf(part) === "file",
      );
      if (parts.length === 0) {
        return `unable to stat SSL certificate from file '${path}' : No such file or directory.`;
      }
      for (const part of parts) {
        const wrong = checkPair(reading, part);
        if (wrong !== undefined) return wrong;
      }
      return undefined;
    }
  }
}

/** Whether a `crt-store` section loaded a certificate under this very name. */
function isStored({ draft }: Reading, text: string): boolean {
  for (const store of draft.crtStores.values()) {
    if (store.loads.some(({ crt }) => crt === text)) return true;
  }
  return false;
}

function checkPair({ host }: Reading, path: string): string | undefined {
  const file = host.readFile(path);
  if (!file.ok) return `unable to load certificate from file '${path}'.`;
  const alone = host.checkPem(file.value, "pair");
  if (alone === undefined) return undefined;
  const key = host.readFile(`${path}.key`);
  if (key.ok) {
    const both = new Uint8Array(file.value.length + 1 + key.value.length);
    both.set(file.value);
    both[file.value.length] = 0x0a;
    both.set(key.value, file.value.length + 1);
    if (host.checkPem(both, "pair") === undefined) return undefined;
  }
  return `unable to load certificate from file '${path}'${alone === "" ? "" : ` (${alone})`}.`;
}

/** What is wrong with a file of authorities or revocations. */
export function checkPemFile(
  { host }: Reading,
  path: string,
  word: string,
  wants: PemWants,
): string | undefined {
  if (path === "@system-ca") return undefined;
  if (host.kindOf(path) === "folder") return undefined;
  const file = host.readFile(path);
  if (!file.ok) return `'${word}' : unable to load ${path} (${file.error})`;
  const wrong = host.checkPem(file.value, wants);
  return wrong === undefined ? undefined : `'${word}' : unable to load ${path} (${wrong})`;
}

/**
 * What is wrong with a crt-list: `<file> [<word>…]-in-brackets [!]<sni>…` a line. HAProxy configuration manual §5.1, crt-list.
 */
export function checkList(reading: Reading, path: string, line: Line): string | undefined {
  const file = reading.host.readFile(path);
  if (!file.ok) return `'crt-list' : cannot open file '${path}' : ${file.error}`;
  const text = Array.from(file.value, (byte) => String.fromCharCode(byte)).join("");
  for (const [i, row] of text.split("\n").entries()) {
    // Brackets of options stand out as words of their own.
    const spaced = row.replace(/[[\]]/g, " $& ");
    const lexed = lexLine(spaced, path, i + 1, new Map());
    if (lexed.error !== undefined) {
      return `'crt-list' : parsing [${path}:${i + 1}]: ${lexed.error.message}`;
    }
    const name = lexed.words[0]?.text;
    if (name === undefined) continue;
    const opened = lexed.words.filter(({ text }) => text === "[").length;
    const closed = lexed.words.filter(({ text }) => text === "]").length;
    if (opened !== closed) {
      return `'crt-list' : file '${path}' : too many square brackets '[' or ']' line ${i + 1}`;
    }
    const certificate = baseFile(reading, reading.draft.global.crtBase, name, line.at);
    const wrong = checkCertificate(reading, name, certificate);
    if (wrong !== undefined) return `'crt-list' : file '${path}' line ${i + 1}: ${wrong}`;
  }
  return undefined;
}
