import { fail, ok, type Result } from "@ha/base";
import { type TlsDoor, tlsDoor } from "./tls-door.ts";

/** What OpenSSL refused: the step (`read the key`), its number, and its words. */
export interface TlsFault {
  readonly operation: string;
  /** As `ERR_get_error` gives it; 0 when it said nothing. */
  readonly code: number;
  readonly text: string;
}

export type TlsVersionName = "TLSv1.0" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

interface TlsCommonOptions {
  /** Default: OpenSSL's, of which the least we take is TLSv1.2. */
  readonly minVersion?: TlsVersionName | undefined;
  readonly maxVersion?: TlsVersionName | undefined;
  /** Up to TLS 1.2, in OpenSSL's syntax. */
  readonly ciphers?: string | undefined;
  /** Of TLS 1.3. */
  readonly ciphersuites?: string | undefined;
  readonly curves?: string | undefined;
  readonly sigalgs?: string | undefined;
  /** PEM certificates to trust. */
  readonly ca?: Uint8Array | undefined;
  /** PEM revocation lists; checked for every certificate of a chain when given. */
  readonly crl?: Uint8Array | undefined;
  /** Protocols in order of preference, at most 255 bytes each. A client offers, a server chooses. */
  readonly alpn?: readonly string[] | undefined;
  /** Default true. */
  readonly tickets?: boolean;
  /** Bytes of plaintext in a record, 512–16,384. Default 16,384. `tune.ssl.maxrecord` */
  readonly maxRecord?: number | undefined;
}

/** One certificate towards clients, with the rules of its `bind` line. */
export interface TlsServerOptions extends TlsCommonOptions {
  /** Certificate, its chain, and (unless `key` has it) the key, in PEM, in any order; the first certificate is the own one. */
  readonly pem: Uint8Array;
  readonly key?: Uint8Array | undefined;
  /** More of the chain, in PEM. */
  readonly chain?: Uint8Array | undefined;
  /** An OCSP response in DER, given to clients that ask. */
  readonly ocsp?: Uint8Array | undefined;
  readonly clientSigalgs?: string | undefined;
  /** Whether clients are asked for a certificate. Default none. */
  readonly verify?: "none" | "optional" | "required";
  /** PEM certificates whose names are sent to clients; default those of `ca`. Empty: none (`no-ca-names`). */
  readonly caNames?: Uint8Array | undefined;
  /** X509 error numbers above depth 0, and at it, that do not end the handshake. */
  readonly ignoreCaErrors?: "all" | readonly number[];
  readonly ignoreCertificateErrors?: "all" | readonly number[];
  /** Take the first cipher of the client's list instead of ours. Default false. */
  readonly preferClientCiphers?: boolean;
  /** Keys of tickets, 48 or 80 bytes each, the same length all: the last but one makes new tickets, all open them. Default: the process's own secret. */
  readonly ticketKeys?: readonly Uint8Array[] | undefined;
  /** Whether sessions without ticket are kept by the process. Default true. */
  readonly cache?: boolean;
  /** At most 32 bytes: a session is resumed only where these are the same. Say here what the certificate check depends on. */
  readonly sessionContext: Uint8Array;
  /** Seconds that a ticket is good for. Default 7,200, OpenSSL's own and HAProxy's; the cache has its own limit. */
  readonly lifetimeSeconds?: number;
  /** PEM of Diffie-Hellman parameters, or `auto` for OpenSSL's own by the key's size. Default: no DHE ciphers. */
  readonly dhParams?: Uint8Array | "auto" | undefined;
  /** Bytes of each client hello's lists to keep for `ssl_fc_cipherlist_*`; default 0. `tune.ssl.capture-buffer-size` */
  readonly captureHello?: number;
}

/** Towards servers. */
export interface TlsClientOptions extends TlsCommonOptions {
  /** Certificate, chain and key to show, in PEM. */
  readonly pem?: Uint8Array | undefined;
  readonly key?: Uint8Array | undefined;
  /** Whether the server's chain must lead to `ca`. */
  readonly verify: "none" | "required";
}

/**
 * A context for one certificate towards clients: a number, the same in every thread of the process. It lives until
 * `releaseTlsContext`, sets it is in, and sessions it began.
 */
export function createTlsServerContext(options: TlsServerOptions): Result<number, TlsFault> {
  const { verify = "none" } = options;
  return create({
    ...commonOf(options),
    client: false,
    pem: options.pem,
    key: options.key,
    chain: options.chain,
    ocsp: options.ocsp,
    clientSigalgs: options.clientSigalgs,
    verify: verify === "none" ? 0 : verify === "optional" ? 1 : 3,
    caNames: options.caNames ?? options.ca,
    ignoreCa: bitsOf(options.ignoreCaErrors),
    ignoreCertificate: bitsOf(options.ignoreCertificateErrors),
    serverPreference: options.preferClientCiphers !== true,
    ticketKeys: joined(options.ticketKeys),
    cache: options.cache ?? true,
    sessionContext: options.sessionContext,
    lifetime: options.lifetimeSeconds ?? 7_200,
    dhParams: options.dhParams === "auto" ? AUTO : options.dhParams,
    captureHello: options.captureHello ?? 0,
  });
}

/** A context towards a server. As `createTlsServerContext` otherwise. */
export function createTlsClientContext(options: TlsClientOptions): Result<number, TlsFault> {
  return create({
    ...commonOf(options),
    client: true,
    pem: options.pem,
    key: options.key,
    chain: undefined,
    ocsp: undefined,
    clientSigalgs: undefined,
    verify: options.verify === "none" ? 0 : 1,
    caNames: undefined,
    ignoreCa: undefined,
    ignoreCertificate: undefined,
    serverPreference: false,
    ticketKeys: undefined,
    cache: true,
    sessionContext: undefined,
    lifetime: 300,
    dhParams: undefined,
    captureHello: 0,
  });
}

/** The number is not used any more: what still runs with it goes on. */
export function releaseTlsContext(context: number): void {
  tlsDoor().releaseContext(context);
}

/** One line of a certificate list, or one certificate of a folder. */
export interface TlsCertificate {
  /** From `createTlsServerContext`. */
  readonly context: number;
  /** Lower case: `www.example.com`, `*.example.com` for any one label in front. */
  readonly names: readonly string[];
  /** Names that a wildcard of this line does not stand for: `!secret.example.com`. Without the `!`. */
  readonly excluded: readonly string[];
}

/** What a `bind` line answers with. */
export interface TlsContextSetOptions {
  readonly certificates: readonly TlsCertificate[];
  /** Contexts for clients that ask for no name, or one that nobody has: the first whose key the client can use. */
  readonly defaults: readonly number[];
  /** `strict-sni`: such clients are refused instead. Default false. */
  readonly strictSni?: boolean;
}

/**
 * The certificates of one `bind` line. The choice by name (exact before wildcard) and by what the client can use (ECDSA
 * before RSA) is made natively, at the client hello. The number is the same in every thread; `replace` holds for all of them
 * from the next client hello on.
 */
export class TlsContextSet {
  /** To be given to `TlsEngine.accept` in any thread. */
  readonly id: number;
  readonly #door: TlsDoor;

  constructor() {
    this.#door = tlsDoor();
    this.id = this.#door.createSet();
  }

  /** Throws when a context is none: that is our own mistake. */
  replace({ certificates, defaults, strictSni = false }: TlsContextSetOptions): void {
    const result = this.#door.fillSet(
      this.id,
      Int32Array.from(certificates, ({ context }) => context),
      certificates.map(({ names }) => names),
      certificates.map(({ excluded }) => excluded),
      Int32Array.from(defaults),
      strictSni,
    );
    if (result < 0) throw new Error("a set names a TLS context that was released");
  }

  release(): void {
    this.#door.releaseSet(this.id);
  }
}

/**
 * Sessions without ticket that the process keeps for all its threads. `tune.ssl.cachesize`, default 20,000 (0: none) and
 * `tune.ssl.lifetime`, default 300 s. Before the first context.
 */
export function configureTlsSessionCache(entries: number, lifetimeSeconds: number): void {
  tlsDoor().setSessionCache(entries, lifetimeSeconds);
}

/** Bytes of `setTlsTicketSecret`. */
export const TICKET_SECRET_BYTES = 80;

/**
 * What tickets of contexts without own keys are made with: to be the same in a process that takes over, so that clients
 * resume. Before the first context; without it each process draws its own. False when there was one already.
 */
export function setTlsTicketSecret(secret: Uint8Array): boolean {
  return tlsDoor().setTicketSecret(secret);
}

export interface TlsCacheCounters {
  readonly lookups: number;
  readonly misses: number;
  readonly stores: number;
  /** Sessions in it now. */
  readonly entries: number;
}

export function tlsCacheCounters(): TlsCacheCounters {
  const out = new Float64Array(4);
  tlsDoor().cacheCounters(out);
  const [lookups = 0, misses = 0, stores = 0, entries = 0] = out;
  return { lookups, misses, stores, entries };
}

/** What lives in the process. Leak counters. */
export interface TlsHeld {
  readonly contexts: number;
  readonly sets: number;
  readonly sessions: number;
}

export function tlsHeld(): TlsHeld {
  const out = new Int32Array(3);
  tlsDoor().held(out);
  const [contexts = 0, sets = 0, sessions = 0] = out;
  return { contexts, sets, sessions };
}

/** `OpenSSL 3.0.19 3 Feb 2026`. Throws `SystemError` when this node has none to share. */
export function tlsLibraryVersion(): string {
  return tlsDoor().version();
}

/** ALPN's wire format: a length and a name each. RFC 7301 §3.1 */
export function alpnWire(names: readonly string[] | undefined): Uint8Array | undefined {
  if (names === undefined || names.length === 0) return undefined;
  const encoder = new TextEncoder();
  return Uint8Array.from(
    names.flatMap((name) => {
      const bytes = encoder.encode(name);
      return [bytes.length, ...bytes];
    }),
  );
}

/** In place of PEM: see `native/tls-context.c`. */
const AUTO = new TextEncoder().encode("auto");

const VERSIONS: Record<TlsVersionName, number> = {
  "TLSv1.0": 0x0301,
  "TLSv1.1": 0x0302,
  "TLSv1.2": 0x0303,
  "TLSv1.3": 0x0304,
};

function create(options: Parameters<TlsDoor["createContext"]>[0]): Result<number, TlsFault> {
  const result = tlsDoor().createContext(options);
  if (typeof result === "number") return ok(result);
  const [operation, code, text] = result;
  return fail({ operation, code, text });
}

function commonOf(options: TlsCommonOptions) {
  const { minVersion, maxVersion } = options;
  return {
    minVersion: minVersion === undefined ? 0 : VERSIONS[minVersion],
    maxVersion: maxVersion === undefined ? 0 : VERSIONS[maxVersion],
    ciphers: options.ciphers,
    ciphersuites: options.ciphersuites,
    curves: options.curves,
    sigalgs: options.sigalgs,
    alpn: alpnWire(options.alpn),
    ca: options.ca,
    crl: options.crl,
    tickets: options.tickets ?? true,
    maxRecord: options.maxRecord ?? 0,
  };
}

function bitsOf(errors: "all" | readonly number[] | undefined): Uint8Array | undefined {
  if (errors === undefined) return undefined;
  const bits = new Uint8Array(32);
  if (errors === "all") return bits.fill(0xff);
  for (const error of errors) {
    const at = error >> 3;
    if (at < bits.length) bits[at] = (bits[at] ?? 0) | (1 << (error & 7));
  }
  return bits;
}

function joined(keys: readonly Uint8Array[] | undefined): Uint8Array | undefined {
  const size = keys?.[0]?.length ?? 0;
  if (keys === undefined || size === 0) return undefined;
  const all = new Uint8Array(size * keys.length);
  keys.forEach((key, i) => {
    all.set(key, i * size);
  });
  return all;
}
