import type { Micros, Position } from "@ha/base";
import type { SocketAddress } from "./address-model.ts";
import type { Bind } from "./bind-model.ts";
import type { Server } from "./server-model.ts";
import type { Token } from "./token.ts";

/** `userlist`. HAProxy configuration manual §3.4 (newest: §12.2). */
export interface Userlist {
  readonly at: Position;
  readonly name: string;
  readonly users: ReadonlyMap<
    string,
    {
      readonly password: string | undefined;
      /** `password`: crypt(3) text. `insecure-password`: as it is. */
      readonly encrypted: boolean;
      readonly groups: readonly string[];
    }
  >;
  readonly groups: ReadonlyMap<string, readonly string[]>;
}

/** `peers`. §3.5. */
export interface PeersSection {
  readonly at: Position;
  readonly name: string;
  readonly disabled: boolean;
  readonly peers: readonly {
    readonly at: Position;
    readonly name: string;
    readonly address: SocketAddress | undefined;
  }[];
  readonly binds: readonly Bind[];
  readonly servers: readonly Server[];
  readonly shards: number;
  readonly tables: readonly StickTable[];
}

/** `resolvers`. §5.3.2. */
export interface Resolvers {
  readonly at: Position;
  readonly name: string;
  readonly nameservers: readonly {
    readonly at: Position;
    readonly name: string;
    readonly address: SocketAddress;
  }[];
  readonly parseResolvConf: boolean;
  readonly resolveRetries: number;
  readonly timeoutResolve: Micros;
  readonly timeoutRetry: Micros;
  readonly acceptedPayloadSize: number;
  readonly hold: Readonly<
    Record<"valid" | "nx" | "obsolete" | "other" | "refused" | "timeout", Micros>
  >;
}

/** `mailers`. §3.6. */
export interface Mailers {
  readonly at: Position;
  readonly name: string;
  readonly timeout: Micros;
  readonly mailers: readonly {
    readonly at: Position;
    readonly name: string;
    readonly address: SocketAddress;
  }[];
}

/** `cache`. §6.2. */
export interface CacheSection {
  readonly at: Position;
  readonly name: string;
  readonly totalMaxSizeMegabytes: number;
  readonly maxObjectSizeBytes: number;
  readonly maxAge: Micros;
  readonly processVary: boolean;
  readonly maxSecondaryEntries: number;
}

/** `ring`. §3.9. */
export interface RingSection {
  readonly at: Position;
  readonly name: string;
  readonly description: string | undefined;
  readonly format: LogFormatName;
  /** Longest message kept. */
  readonly maxlen: number;
  readonly sizeBytes: number;
  readonly backingFile: string | undefined;
  readonly servers: readonly Server[];
  readonly timeoutConnect: Micros | undefined;
  readonly timeoutServer: Micros | undefined;
}

export type LogFormatName =
  | "rfc3164"
  | "rfc5424"
  | "local"
  | "priority"
  | "short"
  | "timed"
  | "iso"
  | "raw"
  | "unspecified";

/** One `log` line. §4.2, log. */
export interface LogTarget {
  readonly at: Position;
  readonly destination:
    | SocketAddress
    | { readonly kind: "stdout" | "stderr" }
    | { readonly kind: "ring"; readonly name: string }
    | { readonly kind: "backend"; readonly name: string };
  readonly format: LogFormatName;
  /** Bytes of one line; default 1024. */
  readonly length: number;
  /** 0–23, `local0` is 16. */
  readonly facility: number;
  /** Most verbose level sent, 0 (emerg) – 7 (debug); default 7. */
  readonly level: number;
  /** More important levels are raised to it; default 0. */
  readonly minLevel: number;
  readonly sample:
    | {
        readonly ranges: readonly { readonly low: number; readonly high: number }[];
        readonly size: number;
      }
    | undefined;
  readonly profile: string | undefined;
}

/** `stick-table`, or a `table` of peers. §4.2 and §11. */
export interface StickTable {
  readonly at: Position;
  /** Name of the proxy, or `peers/table`. */
  readonly name: string;
  readonly type: "ip" | "ipv6" | "integer" | "string" | "binary";
  /** Bytes of a key: 4, 16, 4, or the `len` of a string (default 32) or binary. */
  readonly keySize: number;
  readonly size: number;
  readonly expire: Micros | undefined;
  readonly nopurge: boolean;
  readonly peers: string | undefined;
  readonly writeTo: string | undefined;
  readonly serverKey: "name" | "addr";
  readonly recvOnly: boolean;
  readonly bratesFactor: number;
  readonly store: readonly StoredData[];
}

export interface StoredData {
  readonly name: string;
  /** Of a rate. */
  readonly period: Micros | undefined;
  /** Of an array (gpc, gpt, gpc_rate); 1 otherwise. */
  readonly elements: number;
}

/** `http-errors`. §3.8. */
export interface HttpErrors {
  readonly at: Position;
  readonly name: string;
  readonly pages: ReadonlyMap<number, ErrorPage>;
}

/** What is sent for one status that the proxy itself answers. */
export type ErrorPage =
  /** Nothing of its own: the built-in page (`http-error status N default-errorfiles`). */
  | { readonly kind: "default"; readonly at: Position }
  /** A whole HTTP answer, head and body, as read from `path`; empty for /dev/null: close without a word. */
  | {
      readonly kind: "file";
      readonly at: Position;
      readonly path: string;
      readonly bytes: Uint8Array;
    }
  | {
      readonly kind: "redirect";
      readonly at: Position;
      readonly status: 302 | 303;
      readonly location: string;
    }
  /** `http-error … errorfiles NAME`: that section's page. */
  | { readonly kind: "section"; readonly at: Position; readonly name: string }
  /** `http-error` with a payload or headers of its own. `arguments` are its words after `status N`. */
  | {
      readonly kind: "reply";
      readonly at: Position;
      readonly status: number;
      readonly arguments: readonly Token[];
    };

/** `crt-store`. Newest manual §12.7. */
export interface CrtStore {
  readonly at: Position;
  readonly name: string;
  readonly crtBase: string | undefined;
  readonly keyBase: string | undefined;
  readonly loads: readonly {
    readonly at: Position;
    readonly crt: string;
    readonly alias: string | undefined;
    readonly key: string | undefined;
    readonly ocsp: string | undefined;
    readonly issuer: string | undefined;
    readonly sctl: string | undefined;
    readonly ocspUpdate: boolean;
  }[];
}
