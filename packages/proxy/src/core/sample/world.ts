import type { Random } from "@ha/base";
import type { Userlist } from "../config/section-model.ts";
import type { Template } from "../log/template.ts";
import type { PatternStore } from "../map/pattern-store.ts";
import type { ProxyState } from "../server/proxy-state.ts";
import type { StickTable } from "../server/stick-table.ts";
import type { VariableNames } from "./variable.ts";

/**
 * What compiled expressions may know beside the transaction: the process's states. One for each thread, made
 * before rules are compiled (`createWorld`); everything shared between threads lies in shared columns below it.
 */
export interface World {
  /** By the numbers in `Transaction.frontend` and `.backend`; a `listen` has one number for both. */
  readonly proxies: readonly ProxyState[];
  readonly tables: ReadonlyMap<string, StickTable>;
  readonly userlists: ReadonlyMap<string, Userlist>;
  /** Pattern files and maps, by file name, as `show map` and `show acl` list them. */
  readonly patterns: PatternStore;
  readonly variables: VariableNames;
  /** `unique-id-format` of each frontend, by its number; filled as frontends are compiled. */
  readonly uniqueIds: (Template | undefined)[];
  /** Lengths of each frontend's capture slots, by its number. */
  readonly captureLengths: (
    | { readonly request: number[]; readonly response: number[] }
    | undefined
  )[];
  /** `tune.stick-counters`; 3 where nothing is said. */
  readonly stickCounters?: number;
  /** Longest request line in a log, in bytes: one less than `tune.http.logurilen`; 1023 where nothing is said. */
  readonly loggedLine?: number;
  /** Room for one template's output on its way to the slab. Of this thread alone. */
  readonly work: Uint8Array;
  readonly ports: WorldPorts;
}

/** What the core needs of the machine for its samples. Implemented by the daemon; tests have a fixed one. */
export interface WorldPorts {
  /** Wall clock, microseconds since 1970. */
  wallMicros(): number;
  readonly random: Random;
  readonly digests: Digests;
  /** `env()`. */
  environment(name: string): string | undefined;
  /** Of an `acl -f`, a map, a `lf-file`, an `errorfile`: at load only. Undefined when it cannot be read. */
  readFile(path: string): Uint8Array | undefined;
  /** Offset of local time from UTC at that moment, seconds east, and the zone's name, for `ltime` and `%tr`. */
  zoneAt(secondsSince1970: number): { readonly offset: number; readonly name: string };
  /** `hostname`. */
  readonly hostname: string;
  /** `%pid`. */
  readonly pid: number;
  /** 1-based thread number: `thread` is this less one. */
  readonly thread: number;
  /** Whether the process is stopping: `stopping`. */
  isStopping(): boolean;
  /** Where `debug` and `do-log` go: a named ring, stdout or stderr. */
  debug(sink: string, line: string): void;
}

/** Cryptography, which the core has none of. Names are OpenSSL's (`sha256`). */
export interface Digests {
  /** Undefined for a name that it does not know. */
  hash(name: string, bytes: Uint8Array): Uint8Array | undefined;
  hmac(name: string, key: Uint8Array, bytes: Uint8Array): Uint8Array | undefined;
  /** Whether a JWT signature holds: `alg` as RS256, ES384, PS512, EdDSA; `key` a PEM public key or certificate. */
  verify(alg: string, key: Uint8Array, data: Uint8Array, signature: Uint8Array): boolean;
  /** `aes_gcm_dec`; undefined when the tag is wrong. */
  decryptGcm(request: {
    readonly bits: 128 | 192 | 256;
    readonly nonce: Uint8Array;
    readonly key: Uint8Array;
    readonly tag: Uint8Array;
    readonly data: Uint8Array;
  }): Uint8Array | undefined;
}
