import type { IpAddress, Result } from "@ha/base";

/**
 * All that reading a configuration asks of the machine. The daemon answers with files and the user database;
 * tests with tables. Nothing here waits: names are collected first and resolved between reading and checking.
 */
export interface ConfigHost {
  /** The host's name, for `log-send-hostname`, `node` and the local peer. */
  readonly hostname: string;
  /** The bytes of a regular file, or why not, in the system's words (`No such file or directory`). */
  readonly readFile: (path: string) => Result<Uint8Array, string>;
  readonly kindOf: (path: string) => "file" | "folder" | undefined;
  /** Names in a folder, in the order of the C locale. */
  readonly listFolder: (path: string) => readonly string[];
  readonly userId: (name: string) => number | undefined;
  readonly groupId: (name: string) => number | undefined;
  readonly isOpenDescriptor: (fd: number) => boolean;
  /** Whether OpenSSL finds at least one cipher, suite or curve in such a list. */
  readonly takesTlsList: (
    kind: "ciphers" | "ciphersuites" | "curves" | "sigalgs",
    list: string,
  ) => boolean;
  /** Whether OpenSSL knows a digest by that name (`sha256`). */
  readonly isDigest: (name: string) => boolean;
  /** What cannot be used of a certificate and its key, each in PEM; undefined when they fit together. */
  readonly checkKey: (
    certificate: Uint8Array,
    key: Uint8Array,
  ) => "certificate" | "key" | "mismatch" | undefined;
  readonly digest: (name: "sha1", bytes: Uint8Array) => Uint8Array;
  /** Seconds since 1970. */
  readonly now: () => number;
}

/** A host name that a file needs resolved at start, and where its address goes. */
export interface NameToResolve {
  readonly host: string;
  readonly family: 4 | 6 | undefined;
  /** Called once, before the checks; undefined when the name has no address. */
  readonly resolved: (address: IpAddress | undefined) => void;
}
