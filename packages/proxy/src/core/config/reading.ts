import type { Position } from "@ha/base";
import { type AddressRules, type ParsedAddress, parseSocketAddress } from "./address.ts";
import type { ConfigDraft, ProxyDraft } from "./draft.ts";
import type { Findings } from "./findings.ts";
import type { ConfigHost, NameToResolve } from "./host.ts";
import type { SocketAddress } from "./model.ts";

/** What a keyword reader works with: the draft it fills, and what it needs of the world. */
export interface Reading {
  readonly findings: Findings;
  readonly host: ConfigHost;
  /** Seen by `"${NAME}"` of the lines below, by `.if`, and by `env()`. */
  readonly environment: Map<string, string>;
  /** As it was at start, for `resetenv`. */
  readonly startEnvironment: ReadonlyMap<string, string>;
  readonly draft: ConfigDraft;
  /** Host names to resolve between reading and checking. */
  readonly names: NameToResolve[];
  /** `-n` on the command line: the file's global maxconn does not count. */
  readonly commandLine: {
    readonly maxconn: number | undefined;
    /** `-dr`: a server whose name cannot be resolved starts all the same. */
    readonly ignoreUnresolved: boolean;
  };
  /** Names of the files, in the order they are read. */
  readonly files: readonly string[];
  /** What HAProxy says only after all is read, and not in the order of lines. */
  readonly afterParsing: (() => void)[];
  /** The section that lines now belong to; undefined outside proxies. */
  proxy: ProxyDraft | undefined;
}

/** The path as `default-path` says, for a file named on a line at `at`. */
export function resolvePath(reading: Reading, path: string, at: Position): string {
  const { mode, origin } = reading.draft.global.defaultPath;
  if (path.startsWith("/") || path.startsWith("@") || path === "") return path;
  switch (mode) {
    case "current":
      return path;
    case "config":
      return join(folderOf(at.file), path);
    case "parent":
      return join(folderOf(at.file), `../${path}`);
    case "origin":
      return join(origin ?? ".", path);
  }
}

/** The folder part of a path, "." when it has none. */
export function folderOf(path: string): string {
  const slash = path.lastIndexOf("/");
  if (slash === -1) return ".";
  return slash === 0 ? "/" : path.slice(0, slash);
}

export function join(folder: string, path: string): string {
  if (folder === "." || path.startsWith("/")) return path;
  return folder.endsWith("/") ? folder + path : `${folder}/${path}`;
}

/**
 * Reads an address, and puts a name in it on the list of those to resolve; `apply` gets the address when it is
 * known, `missing` is called when the name has none. HAProxy's message is returned when the text is no address.
 */
export function readAddress(
  reading: Reading,
  text: string,
  rules: AddressRules,
  apply: (address: SocketAddress) => void,
  missing: (host: string) => void,
): ParsedAddress | string {
  const result = parseSocketAddress(text, rules);
  if (!result.ok) return result.message;
  const { address, unresolved } = result.value;
  apply(address);
  if (unresolved !== undefined) {
    reading.names.push({
      ...unresolved,
      resolved: (found) => {
        if (found === undefined) missing(unresolved.host);
        else if (address.kind === "inet") apply({ ...address, address: found });
      },
    });
  }
  return result.value;
}
