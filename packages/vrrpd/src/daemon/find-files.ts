import { readdirSync } from "node:fs";
import { resolve } from "node:path";
import type { FoundFiles } from "../core/config/host.ts";
import { fileStatus } from "./file-status.ts";

/** Files that match a pattern of glob(7), with csh's `{a,b}`; a name without wildcards matches itself. */
export function findFiles(pattern: string, folder: string): FoundFiles {
  const files: string[] = [];
  const unmatched: string[] = [];
  let folderMissing = false;
  for (const alternative of expandBraces(pattern)) {
    const path = resolve(folder === "" ? "." : folder, alternative);
    const found = matches(path).filter(isReadable);
    const fixed = /^(.*?)\/[^/]*[*?[]/.exec(path)?.[1];
    if (fixed !== undefined && !isFolder(fixed === "" ? "/" : fixed)) folderMissing = true;
    if (found.length === 0) unmatched.push(alternative);
    files.push(...found);
  }
  return { files, unmatched, folderMissing };
}

const MOST_ALTERNATIVES = 1000;

/** `{foo/{,cat},bar}` to `foo/`, `foo/cat`, `bar`; text without matching braces stays as it is. */
export function expandBraces(pattern: string): string[] {
  const open = pattern.indexOf("{");
  if (open === -1) return [pattern];
  const parts: string[] = [];
  let depth = 0;
  let start = open + 1;
  for (let i = open; i < pattern.length; i++) {
    const char = pattern.charAt(i);
    if (char === "{") depth++;
    if (char === "," && depth === 1) {
      parts.push(pattern.slice(start, i));
      start = i + 1;
    }
    if (char !== "}" || --depth > 0) continue;
    parts.push(pattern.slice(start, i));
    const head = pattern.slice(0, open);
    const tails = expandBraces(pattern.slice(i + 1));
    const all: string[] = [];
    for (const part of parts.flatMap(expandBraces)) {
      for (const tail of tails) {
        if (all.length < MOST_ALTERNATIVES) all.push(head + part + tail);
      }
    }
    return all;
  }
  return [pattern];
}

function matches(path: string): string[] {
  let found = [""];
  for (const part of path.split("/").slice(1)) {
    if (!/[*?[]/.test(part)) {
      found = found.map((folder) => `${folder}/${part}`);
      continue;
    }
    const wanted = toRegExp(part);
    found = found.flatMap((folder) =>
      list(`${folder}/`)
        .filter((name) => wanted.test(name) && (part.startsWith(".") || !name.startsWith(".")))
        .map((name) => `${folder}/${name}`),
    );
  }
  return found;
}

function toRegExp(part: string): RegExp {
  const source = part.replace(/\[([!^]?)([^\]]+)\]|[*?]|[^*?[]+|\[/g, (token, not, set) => {
    if (token === "*") return "[^/]*";
    if (token === "?") return "[^/]";
    if (set !== undefined)
      return `[${not === "" ? "" : "^"}${String(set).replace(/[\\\]]/g, "\\$&")}]`;
    return token.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  });
  return new RegExp(`^${source}$`, "s");
}

function list(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return [];
  }
}

function isReadable(path: string): boolean {
  return fileStatus(path)?.isFile() === true;
}

function isFolder(path: string): boolean {
  return fileStatus(path)?.isDirectory() === true;
}
