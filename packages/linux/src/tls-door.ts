import { loadNative } from "./socket-door.ts";
import { SystemError } from "./system-error.ts";

/**
 * What `native/tls*.c` give: TLS by the OpenSSL that the node executable exports. Contexts and sets of them belong to
 * the process and are known by numbers, the same in every thread; sessions belong to the thread that made them.
 */
export interface TlsDoor {
  /** Functions of OpenSSL that this node does not export; empty where TLS can be had. */
  missing(): readonly string[];
  version(): string;
  /** A number, or what OpenSSL said. */
  createContext(options: NativeContextOptions): number | NativeFault;
  releaseContext(context: number): void;
  createSet(): number;
  /** Lines of a certificate list: see `native/tls-names.c`. 0, or -1 for a context that does not exist. */
  fillSet(
    set: number,
    contexts: Int32Array,
    names: readonly (readonly string[])[],
    excluded: readonly (readonly string[])[],
    defaults: Int32Array,
    strict: boolean,
  ): number;
  releaseSet(set: number): void;
  setSessionCache(entries: number, lifetimeSeconds: number): void;
  /** 80 bytes that make tickets; false when there is a secret already. */
  setTicketSecret(secret: Uint8Array): boolean;
  /** Lookups, misses, stores and entries of the session cache, in this order. */
  cacheCounters(out: Float64Array): void;
  /** Of the whole process: contexts, sets and sessions that live. Leak counters. */
  held(out: Int32Array): void;
  /** An engine over a slab; `words` takes the numbers that calls give back beside their result. */
  attach(slab: ArrayBuffer, words: Int32Array, starts: Int32Array, ends: Int32Array): number;
  accept(engine: number, set: number): number;
  connect(engine: number, context: number, options: NativeConnectOptions): number;
  receive(session: number, start: number, end: number, out: number, outEnd: number): number;
  seal(session: number, parts: number, out: number, outEnd: number): number;
  drain(session: number, out: number, outEnd: number): number;
  shutdown(session: number): number;
  free(session: number): void;
  number(session: number, what: number): number;
  text(session: number, what: number): string;
  bytes(session: number, what: number): Uint8Array | undefined;
}

/** Operation, OpenSSL's number, OpenSSL's words. */
export type NativeFault = readonly [operation: string, code: number, text: string];

/** Absent members are undefined. All PEM or DER as bytes. */
export interface NativeContextOptions {
  readonly client: boolean;
  readonly pem: Uint8Array | undefined;
  readonly key: Uint8Array | undefined;
  readonly chain: Uint8Array | undefined;
  readonly ocsp: Uint8Array | undefined;
  /** 0x0301–0x0304, 0 is OpenSSL's own. */
  readonly minVersion: number;
  readonly maxVersion: number;
  readonly ciphers: string | undefined;
  readonly ciphersuites: string | undefined;
  readonly curves: string | undefined;
  readonly sigalgs: string | undefined;
  readonly clientSigalgs: string | undefined;
  /** Wire format: a length and a name each. */
  readonly alpn: Uint8Array | undefined;
  readonly verify: number;
  readonly ca: Uint8Array | undefined;
  readonly caNames: Uint8Array | undefined;
  readonly crl: Uint8Array | undefined;
  /** Bit sets of X509 error numbers, 32 bytes each. */
  readonly ignoreCa: Uint8Array | undefined;
  readonly ignoreCertificate: Uint8Array | undefined;
  readonly serverPreference: boolean;
  readonly tickets: boolean;
  readonly ticketKeys: Uint8Array | undefined;
  readonly cache: boolean;
  readonly sessionContext: Uint8Array | undefined;
  readonly lifetime: number;
  readonly dhParams: Uint8Array | undefined;
  readonly maxRecord: number;
  readonly captureHello: number;
}

export interface NativeConnectOptions {
  readonly sni: string | undefined;
  readonly verifyHost: string | undefined;
  readonly alpn: Uint8Array | undefined;
  readonly reuse: boolean;
}

let loaded: TlsDoor | undefined;

/** Loads `tls.node`, once a thread. Throws `SystemError` when it was not built, or when this node has no OpenSSL to share. */
export function tlsDoor(): TlsDoor {
  if (loaded !== undefined) return loaded;
  const door = loadNative<TlsDoor>("tls.node");
  const missing = door.missing();
  if (missing.length > 0) {
    throw new SystemError("load TLS", "ENOSYS", {
      detail: `this node does not export ${missing.join(", ")}; use a node that is linked with OpenSSL 3.0 or newer`,
    });
  }
  loaded = door;
  return door;
}
