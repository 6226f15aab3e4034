import type { Position } from "@ha/base";
import { createHead, type Head } from "./http/head.ts";
import { Message, type Scratch } from "./http/message.ts";

/** No server, no backend, no frontend: what an index is when there is none. */
export const NONE = -1;

/**
 * Where buffers come from: one slab (`bytes`) in pieces of `size`. Implemented by the daemon over the ring's
 * slab, and in tests by a plain array.
 */
export interface BufferPool {
  readonly bytes: Uint8Array;
  /** Bytes of one buffer: HAProxy's `tune.bufsize`. */
  readonly size: number;
  /** Offset of a buffer that is now the caller's, or -1 when the pool is empty. */
  take(): number;
  give(offset: number): void;
}

/** One end of a connection. The address stands in network order: 4 bytes for IPv4, 16 for IPv6. */
export interface Endpoint {
  /** 0 unknown (a unix socket, or not asked for yet). */
  family: 0 | 4 | 6;
  readonly address: Uint8Array;
  port: number;
}

export function createEndpoint(): Endpoint {
  return { family: 0, address: new Uint8Array(16), port: 0 };
}

/**
 * Index into `Transaction.times`: milliseconds of the ring's monotonic clock; -1 is "not reached".
 * They give HAProxy's timers TR, Tw, Tc, Tr, Ta. HAProxy configuration manual §8.4.
 */
export const TIME_ACCEPT = 0;
/** First byte of the request (after the idle time on a kept connection). */
export const TIME_FIRST_BYTE = 1;
/** The head was complete. */
export const TIME_REQUEST = 2;
/** A server slot was given (end of queueing). */
export const TIME_QUEUED = 3;
/** Connected, or an idle connection taken. */
export const TIME_CONNECTED = 4;
/** The response head was complete. */
export const TIME_RESPONSE = 5;
/** The last byte went out. */
export const TIME_END = 6;
/** The handshake (TLS, PROXY protocol) was done. */
export const TIME_HANDSHAKE = 7;
export const TIMES = 8;

/** First letter of the termination state. HAProxy configuration manual §8.5. The value is the character code. */
export const CAUSE_NONE = 0x2d; // -
export const CAUSE_CLIENT_ABORT = 0x43; // C
export const CAUSE_SERVER_ABORT = 0x53; // S
export const CAUSE_PROXY = 0x50; // P
export const CAUSE_LOCAL = 0x4c; // L
export const CAUSE_RESOURCE = 0x52; // R
export const CAUSE_INTERNAL = 0x49; // I
export const CAUSE_DOWN = 0x44; // D
export const CAUSE_KILLED = 0x4b; // K
export const CAUSE_CLIENT_TIMEOUT = 0x63; // c
export const CAUSE_SERVER_TIMEOUT = 0x73; // s

/** Second letter: the phase in which it ended. */
export const PHASE_NONE = 0x2d; // -
export const PHASE_REQUEST = 0x52; // R
export const PHASE_QUEUE = 0x51; // Q
export const PHASE_CONNECT = 0x43; // C
export const PHASE_HEADERS = 0x48; // H
export const PHASE_DATA = 0x44; // D
export const PHASE_TARPIT = 0x54; // T

/** A value of a variable or of a tracked key, as the sample rules make it. Bytes are copies outside the slab. */
export type VariableValue =
  | { readonly type: "bool" | "sint" | "meth"; readonly number: number }
  | { readonly type: "str" | "bin" | "ipv4" | "ipv6"; readonly bytes: Uint8Array };

/** Variables of one scope, by the index that the name got when the configuration was compiled. */
export type Variables = Map<number, VariableValue>;

/**
 * A client connection, as rules see it: lives as long as the connection, across its transactions.
 * The daemon's connection owns one for each client that is past accept.
 */
export class Session {
  /** Unique in the process, from 1. */
  id = 0;
  frontend = NONE;
  /** Index of the `bind` it came through, within its frontend. */
  listener = 0;
  /** What the frontend's log and rules see: the peer's, or what PROXY protocol or `set-src` put there. */
  readonly source: Endpoint = createEndpoint();
  readonly destination: Endpoint = createEndpoint();
  /** Whether it came over TLS, with what it said. Absent in clear text. */
  tls: TlsFacts | undefined = undefined;
  /** `fc_pp_authority` and the like: TLV type to value, when PROXY protocol brought any. */
  proxyTlvs: Map<number, Uint8Array> | undefined = undefined;
  /** Backend and server of the last request, for `option prefer-last-server`; NONE before. */
  lastBackend = NONE;
  lastServer = NONE;
  /** Transactions so far, from 0. */
  transactions = 0;
  /** `sess` scope. Made when first set. */
  variables: Variables | undefined = undefined;
  /** What `track-sc` in connection and session rules holds: entry handles by counter, see the stick tables. */
  readonly tracked: (TrackedEntry | undefined)[] = [undefined, undefined, undefined];
  /** Wall time of the accept, milliseconds since 1970. */
  acceptedAt = 0;
  #peer: { readonly source: Endpoint; readonly destination: Endpoint } | undefined = undefined;

  /** The connection's own addresses, whatever PROXY protocol and rules did (`fc_src`). */
  get peerSource(): Endpoint {
    return this.#peer?.source ?? this.source;
  }

  get peerDestination(): Endpoint {
    return this.#peer?.destination ?? this.destination;
  }

  /** To be called before `source` or `destination` is written to: keeps the connection's own. Gives the session. */
  changing(): this {
    this.#peer ??= { source: copyOf(this.source), destination: copyOf(this.destination) };
    return this;
  }
}

function copyOf({ family, address, port }: Endpoint): Endpoint {
  return { family, address: address.slice(), port };
}

/** A reference that a session or transaction holds on a stick-table entry; released at its end. */
export interface TrackedEntry {
  /** Called once, when the session (or transaction) that tracks it ends. */
  release(): void;
}

/** What TLS says of a connection, for `ssl_fc_*`, `ssl_bc_*` and the names of certificates. Filled by the TLS layer. */
export interface TlsFacts {
  readonly version: string;
  readonly cipher: string;
  /** Bits of the cipher's keys, and those that count. */
  readonly cipherBits: number;
  readonly cipherBitsUsed: number;
  readonly alpn: string;
  readonly sni: string;
  readonly resumed: boolean;
  readonly sessionId: Uint8Array;
  readonly sessionKey: Uint8Array;
  readonly clientRandom: Uint8Array;
  readonly serverRandom: Uint8Array;
  readonly finished: Uint8Array;
  readonly peerFinished: Uint8Array;
  /** DER of the certificate that the other side showed, and its chain one after the other. */
  readonly peerCertificate: Uint8Array | undefined;
  readonly peerChain: Uint8Array | undefined;
  /** DER of the certificate that we showed. */
  readonly ownCertificate: Uint8Array | undefined;
  /** OpenSSL's number; 0 is good. */
  readonly verifyResult: number;
  /** First errors of the check of certificates, whether they ended the handshake or not; 0 for none. */
  readonly certificateError: number;
  readonly caError: number;
  readonly caErrorDepth: number;
  /** What broke the session; 0 and "" without. */
  readonly error: number;
  readonly errorText: string;
  readonly hello: TlsHelloFacts;
}

/** What is kept of a client hello: numbers of two bytes each, in network order. */
export interface TlsHelloFacts {
  readonly version: number;
  readonly ciphers: Uint8Array;
  /** With commas. */
  readonly cipherNames: string;
  readonly extensions: Uint8Array;
  readonly curves: Uint8Array;
  /** One byte each. */
  readonly formats: Uint8Array;
}

/** What a rule wants said in place of a server's answer. Made at load where it has no variable part. */
export interface Reply {
  /** 100–599. */
  readonly status: number;
  /** Complete message, head and body, ready to be sent; undefined is HAProxy's own text for the status. */
  readonly message: Uint8Array | undefined;
}

/**
 * One request and its response (in TCP mode: the two streams), as rules, samples, balance and logs see them.
 * Pooled: a slot is filled anew for each transaction, and nothing of it may be kept after its end.
 */
export class Transaction {
  /** The slab: every offset in heads, scratch and payload points into it. */
  readonly bytes: Uint8Array;
  readonly request: Message;
  readonly response: Message;
  readonly scratch: PoolScratch;
  /** By `TIME_…`. */
  readonly times = new Float64Array(TIMES).fill(-1);
  session: Session;
  /** Now, milliseconds of the ring's clock: one reading a loop turn. */
  now = 0;
  /** Whether heads exist (`mode http`). */
  http = false;
  /** Whether the response head is there: response samples are undefined before. */
  hasResponse = false;
  /** The request line as received, for logs: slab offsets, valid till the end. */
  lineStart = 0;
  lineEnd = 0;
  /** Bytes of the client that are here before they are forwarded (`req.len`, `req.payload`), in TCP mode. */
  payloadStart = 0;
  payloadEnd = 0;
  /** The client has sent all it will (no more data can come for a rule that waits). */
  payloadComplete = false;
  responsePayloadStart = 0;
  responsePayloadEnd = 0;
  responsePayloadComplete = false;
  frontend = NONE;
  /** Equal to `frontend`'s number in `proxies` for a `listen`; NONE before the choice. */
  backend = NONE;
  /** Index within the backend. */
  server = NONE;
  /** Set by `use-server`, cookie or stick rules before balancing; NONE is free choice. */
  wantedServer = NONE;
  /** `force-persist` held: a server that is down may be used. */
  forcePersist = false;
  ignorePersist = false;
  /** Status sent to the client, or -1. */
  status = -1;
  /** Counted from the client (`%U`) and to the client (`%B`), heads included. */
  bytesIn = 0;
  bytesOut = 0;
  /** What of both `option contstats` has counted already. */
  countedIn = 0;
  countedOut = 0;
  /** Tries after the first; -1 in front of it means redispatched in logs. */
  retries = 0;
  redispatched = false;
  /** Requests ahead of this one when it was queued. */
  serverQueue = 0;
  backendQueue = 0;
  cause = CAUSE_NONE;
  phase = PHASE_NONE;
  /** Third and fourth letters of the termination state: cookie from the client, cookie from the server. */
  cookieRequest = 0x2d;
  cookieResponse = 0x2d;
  /** Overrides by `http-request set-timeout`, milliseconds; 0 is none. */
  timeoutServer = 0;
  timeoutTunnel = 0;
  timeoutClient = 0;
  /** Queue order: class first (-2047 to 2047), then offset in milliseconds. */
  priorityClass = 0;
  priorityOffset = 0;
  /** 0–7, or -1 for silent, or 8 for "as the log line says". */
  logLevel = 8;
  /** `set-retries`: tries after the first, in place of the backend's; -1 is those. */
  retryLimit = -1;
  /** Rules that had no room for what they write: `wrew`. */
  failedRewrites = 0;
  /** `disable-l7-retry` was met. */
  retryDisabled = false;
  /** `txn` and `req`/`res` scopes share one map: the compiler gives each name its own index. */
  variables: Variables | undefined = undefined;
  /** Entries tracked by content and http rules. */
  readonly tracked: (TrackedEntry | undefined)[] = [undefined, undefined, undefined];
  /** Captures by slot: copies, undefined where nothing was captured. */
  readonly requestCaptures: (Uint8Array | undefined)[] = [];
  readonly responseCaptures: (Uint8Array | undefined)[] = [];
  /** `capture cookie`: name and value, cut at its length; undefined when there was none. */
  requestCookieCapture: Uint8Array | undefined = undefined;
  responseCookieCapture: Uint8Array | undefined = undefined;
  /** Set by `runRules`: whether a condition that lacks bytes may still wait (`inspect-delay`). */
  inspecting = false;
  /** The rule that ended a ruleset last, for `last_rule_file` and `last_rule_line`. */
  lastRule: Position | undefined = undefined;
  /** What the last rule that ends the transaction wants said. */
  reply: Reply | undefined = undefined;
  /** `unique-id-format` evaluated, once made. */
  uniqueId: Uint8Array | undefined = undefined;
  /** Where to connect instead of the server's address, by `set-dst`/`set-dst-port`/`do-resolve`. */
  readonly target: Endpoint = createEndpoint();
  /** The address of the connection to the server, once there is one (`bc_src`, `bc_dst`). */
  readonly serverSource: Endpoint = createEndpoint();
  readonly serverDestination: Endpoint = createEndpoint();
  /** TLS of the connection to the server; undefined in clear text, and before there is one. */
  serverTls: TlsFacts | undefined = undefined;

  constructor(pool: BufferPool, maxFields: number) {
    this.bytes = pool.bytes;
    this.scratch = new PoolScratch(pool);
    this.request = new Message(pool.bytes, createHead(maxFields), this.scratch);
    this.response = new Message(pool.bytes, createHead(maxFields), this.scratch);
    this.session = new Session();
  }

  get requestHead(): Head {
    return this.request.head;
  }

  get responseHead(): Head {
    return this.response.head;
  }

  /** Makes a used slot new. Gives scratch back and releases what was tracked. */
  clear(): void {
    this.times.fill(-1);
    this.http = this.hasResponse = this.payloadComplete = this.responsePayloadComplete = false;
    this.lineStart = this.lineEnd = this.payloadStart = this.payloadEnd = 0;
    this.responsePayloadStart = this.responsePayloadEnd = 0;
    this.frontend = this.backend = this.server = this.wantedServer = NONE;
    this.forcePersist = this.ignorePersist = this.redispatched = this.retryDisabled = false;
    this.status = -1;
    this.countedIn = this.countedOut = this.failedRewrites = 0;
    this.retryLimit = -1;
    this.bytesIn = this.bytesOut = this.retries = this.serverQueue = this.backendQueue = 0;
    this.cause = CAUSE_NONE;
    this.phase = PHASE_NONE;
    this.cookieRequest = this.cookieResponse = 0x2d;
    this.timeoutServer = this.timeoutTunnel = this.timeoutClient = 0;
    this.priorityClass = this.priorityOffset = 0;
    this.logLevel = 8;
    this.variables = undefined;
    for (let i = 0; i < this.tracked.length; i++) {
      this.tracked[i]?.release();
      this.tracked[i] = undefined;
    }
    if (this.requestCaptures.length > 0) this.requestCaptures.length = 0;
    if (this.responseCaptures.length > 0) this.responseCaptures.length = 0;
    this.reply = undefined;
    this.requestCookieCapture = this.responseCookieCapture = undefined;
    this.inspecting = false;
    this.lastRule = undefined;
    this.uniqueId = undefined;
    this.serverTls = undefined;
    this.target.family = this.serverSource.family = this.serverDestination.family = 0;
    this.request.bodyStart = this.request.bodyEnd = 0;
    this.response.bodyStart = this.response.bodyEnd = 0;
    this.request.bodyComplete = this.response.bodyComplete = false;
    this.scratch.release();
  }
}

/** Scratch over pool buffers, at most `LIMIT` of them: a transaction cannot make the pool empty. */
export class PoolScratch implements Scratch {
  used = 0;
  end = 0;
  readonly #pool: BufferPool;
  readonly #buffers: number[] = [];

  constructor(pool: BufferPool) {
    this.#pool = pool;
  }

  reserve(size: number): boolean {
    if (this.end - this.used >= size) return true;
    if (size > this.#pool.size || this.#buffers.length === SCRATCH_BUFFERS) return false;
    const offset = this.#pool.take();
    if (offset < 0) return false;
    this.#buffers.push(offset);
    this.used = offset;
    this.end = offset + this.#pool.size;
    return true;
  }

  /** Everything written becomes invalid. */
  release(): void {
    while (this.#buffers.length > 0) this.#pool.give(this.#buffers.pop() as number);
    this.used = this.end = 0;
  }
}

/** Scratch buffers that one transaction may hold at once. */
const SCRATCH_BUFFERS = 4;
