import { alpnWire } from "./tls-context.ts";
import { type TlsDoor, tlsDoor } from "./tls-door.ts";

/** Bits of what `TlsSession.receive` gives back. */
/** The handshake is over: plaintext may flow. Stays set. */
export const TLS_SECURED = 1;
/** Bytes for the peer wait: `drain` them. */
export const TLS_HAS_OUTPUT = 2;
/** The room for plaintext was too small: call again, with no new bytes. */
export const TLS_MORE_PLAIN = 4;
/** The peer said that it sends no more (close_notify). */
export const TLS_ENDED = 8;
/** The session is broken, see `error`; an alert may wait in the output. */
export const TLS_FAILED = 16;

/** Parts of plaintext of one `seal`. */
export const TLS_MAX_PARTS = 32;

/** What a session may add to a piece of plaintext at most: a record holds 16,384 bytes. RFC 8446 §5.2, RFC 5246 §6.2.3 */
export const TLS_RECORD_OVERHEAD = 128;

/** Words that calls give back beside their result. */
const WORD_PLAIN = 0;
const WORD_TAKEN = 1;
const WORDS = 8;

const NUMBER_VERSION = 0;
const NUMBER_CIPHER_BITS = 1;
const NUMBER_CIPHER_BITS_USED = 2;
const NUMBER_VERIFY = 3;
const NUMBER_CA_ERROR = 4;
const NUMBER_CA_ERROR_DEPTH = 5;
const NUMBER_CERTIFICATE_ERROR = 6;
const NUMBER_RESUMED = 7;
const NUMBER_ERROR = 8;
const NUMBER_CONTEXT = 9;
const NUMBER_HELLO_VERSION = 10;
const NUMBER_CIPHER_ID = 11;

const TEXT_VERSION = 0;
const TEXT_CIPHER = 1;
const TEXT_SNI = 2;
const TEXT_ALPN = 3;
const TEXT_ERROR = 4;
const TEXT_HELLO_CIPHERS = 5;

const BYTES_SESSION_ID = 0;
const BYTES_SESSION_KEY = 1;
const BYTES_CLIENT_RANDOM = 2;
const BYTES_SERVER_RANDOM = 3;
const BYTES_PEER_CERTIFICATE = 4;
const BYTES_OWN_CERTIFICATE = 5;
const BYTES_PEER_CHAIN = 6;
const BYTES_FINISHED = 7;
const BYTES_PEER_FINISHED = 8;
const BYTES_HELLO_CIPHERS = 9;
const BYTES_HELLO_EXTENSIONS = 10;
const BYTES_HELLO_CURVES = 11;
const BYTES_HELLO_FORMATS = 12;

/** How to be a client. */
export interface TlsConnectOptions {
  /** The name to ask for; undefined asks for none. */
  readonly sni?: string | undefined;
  /** A name or address that the server's certificate must be for, where the context verifies. */
  readonly verifyHost?: string | undefined;
  /** In place of the context's protocols. */
  readonly alpn?: readonly string[] | undefined;
  /** Resume a session that any thread had with the same context and name. Default true. */
  readonly reuse?: boolean;
}

/**
 * TLS over the slab of one thread: ciphertext and plaintext are ranges of it. Makes sessions; contexts are the process's,
 * see `tls-context.ts`.
 */
export class TlsEngine {
  readonly #door: TlsDoor;
  readonly #engine: number;
  readonly #words = new Int32Array(WORDS);
  /** Of `TlsSession.seal`: where the parts of the plaintext begin and end. */
  readonly starts = new Int32Array(TLS_MAX_PARTS);
  readonly ends = new Int32Array(TLS_MAX_PARTS);

  /** @param slab All bytes of the ring; it must live as long as the engine's sessions. */
  constructor(slab: Uint8Array) {
    this.#door = tlsDoor();
    // A ring's memory is always a plain ArrayBuffer of its own.
    this.#engine = this.#door.attach(
      slab.buffer as ArrayBuffer,
      this.#words,
      this.starts,
      this.ends,
    );
  }

  /** A session with a client that connected. Undefined when memory is short. `set` is `TlsContextSet.id`. */
  accept(set: number): TlsSession | undefined {
    return this.#session(this.#door.accept(this.#engine, set));
  }

  /** A session with a server, whose client hello waits in the output at once. `context` from `createTlsClientContext`. */
  connect(context: number, options: TlsConnectOptions): TlsSession | undefined {
    return this.#session(
      this.#door.connect(this.#engine, context, {
        sni: options.sni,
        verifyHost: options.verifyHost,
        alpn: alpnWire(options.alpn),
        reuse: options.reuse ?? true,
      }),
    );
  }

  #session(handle: number): TlsSession | undefined {
    return handle < 0 ? undefined : new TlsSession(this.#door, handle, this.#words);
  }
}

/**
 * One TLS connection's state. Never throws for what the peer sends: `receive` says what came of it. What it tells of itself
 * (`version` …) is asked of OpenSSL when read, and is gone after `free`.
 */
export class TlsSession {
  readonly #door: TlsDoor;
  readonly #words: Int32Array;
  #handle: number;

  constructor(door: TlsDoor, handle: number, words: Int32Array) {
    this.#door = door;
    this.#handle = handle;
    this.#words = words;
  }

  /**
   * Takes all ciphertext of a slab range, and puts plaintext in another (they must not overlap): `plain` says how many
   * bytes. Bits `TLS_…`. After TLS_MORE_PLAIN the range must stay as it is: what is left of it comes with the next call,
   * whose own range is empty.
   */
  receive(start: number, end: number, out: number, outEnd: number): number {
    if (this.#handle < 0) return TLS_FAILED;
    return this.#door.receive(this.#handle, start, end, out, outEnd);
  }

  /** Bytes of plaintext of the last `receive`. */
  get plain(): number {
    return this.#words[WORD_PLAIN] as number;
  }

  /**
   * Makes records of the plaintext in `parts` ranges of the engine's `starts` and `ends`, small ones put together, as far as the room goes:
   * how many bytes were written. `taken` says how many of plaintext they stand for. Negative after a failure.
   * Room below 16,384 + TLS_RECORD_OVERHEAD gives shorter records. Only when secured.
   */
  seal(parts: number, out: number, outEnd: number): number {
    if (this.#handle < 0) return -1;
    return this.#door.seal(this.#handle, parts, out, outEnd);
  }

  /** Bytes of plaintext that the last `seal` took. */
  get taken(): number {
    return this.#words[WORD_TAKEN] as number;
  }

  /** Moves waiting output (handshake, tickets, alerts) to the slab: how many bytes. Call until it is less than the room. */
  drain(out: number, outEnd: number): number {
    if (this.#handle < 0) return 0;
    return this.#door.drain(this.#handle, out, outEnd);
  }

  /** Tells the peer that we send no more; goes to the output, behind what was sealed. True when there is something to drain. */
  shutdown(): boolean {
    return this.#handle >= 0 && this.#door.shutdown(this.#handle) > 0;
  }

  /** Ends it. Every later call does nothing. */
  free(): void {
    if (this.#handle < 0) return;
    this.#door.free(this.#handle);
    this.#handle = -1;
  }

  get isFreed(): boolean {
    return this.#handle < 0;
  }

  /** `TLSv1.3`. */
  get version(): string {
    return this.#text(TEXT_VERSION);
  }

  /** 0x0304 for TLS 1.3. */
  get versionNumber(): number {
    return this.#number(NUMBER_VERSION);
  }

  /** `TLS_AES_256_GCM_SHA384`. */
  get cipher(): string {
    return this.#text(TEXT_CIPHER);
  }

  /** Its number in the registry, as on the wire. */
  get cipherId(): number {
    return this.#number(NUMBER_CIPHER_ID);
  }

  /** Bits of the algorithm's key, and those that really count. */
  get cipherBits(): number {
    return this.#number(NUMBER_CIPHER_BITS);
  }

  get cipherBitsUsed(): number {
    return this.#number(NUMBER_CIPHER_BITS_USED);
  }

  /** The name that the client asked for; "" for none. */
  get sni(): string {
    return this.#text(TEXT_SNI);
  }

  /** The protocol agreed on: `h2`; "" for none. */
  get alpn(): string {
    return this.#text(TEXT_ALPN);
  }

  get isResumed(): boolean {
    return this.#number(NUMBER_RESUMED) !== 0;
  }

  /** OpenSSL's number for the peer certificate's check; 0 is good. */
  get verifyResult(): number {
    return this.#number(NUMBER_VERIFY);
  }

  /** First error above depth 0, whether ignored or not, and its depth; 0 for none. */
  get caError(): number {
    return this.#number(NUMBER_CA_ERROR);
  }

  get caErrorDepth(): number {
    return this.#number(NUMBER_CA_ERROR_DEPTH);
  }

  /** First error at depth 0. */
  get certificateError(): number {
    return this.#number(NUMBER_CERTIFICATE_ERROR);
  }

  /** OpenSSL's number of what broke the session; 0 without. */
  get error(): number {
    return this.#number(NUMBER_ERROR);
  }

  /** `error:0A000412:SSL routines::sslv3 alert bad certificate`; "" without. */
  get errorText(): string {
    return this.#text(TEXT_ERROR);
  }

  /** The context in use: a server's after the choice by name. */
  get context(): number {
    return this.#number(NUMBER_CONTEXT);
  }

  get sessionId(): Uint8Array {
    return this.#bytes(BYTES_SESSION_ID) ?? NONE;
  }

  /** The master secret. For `ssl_fc_session_key`; never in a dump. */
  get sessionKey(): Uint8Array {
    return this.#bytes(BYTES_SESSION_KEY) ?? NONE;
  }

  get clientRandom(): Uint8Array {
    return this.#bytes(BYTES_CLIENT_RANDOM) ?? NONE;
  }

  get serverRandom(): Uint8Array {
    return this.#bytes(BYTES_SERVER_RANDOM) ?? NONE;
  }

  /** DER of the peer's certificate. */
  get peerCertificate(): Uint8Array | undefined {
    return this.#bytes(BYTES_PEER_CERTIFICATE);
  }

  /** DER of the certificate that was shown to the peer. */
  get ownCertificate(): Uint8Array | undefined {
    return this.#bytes(BYTES_OWN_CERTIFICATE);
  }

  /** The peer's chain as it sent it, DER one after the other. */
  get peerChain(): Uint8Array | undefined {
    return this.#bytes(BYTES_PEER_CHAIN);
  }

  /** Our Finished message, and the peer's, up to TLS 1.2 the base of `ssl_fc_unique_id`. RFC 5929 §3 */
  get finished(): Uint8Array {
    return this.#bytes(BYTES_FINISHED) ?? NONE;
  }

  get peerFinished(): Uint8Array {
    return this.#bytes(BYTES_PEER_FINISHED) ?? NONE;
  }

  /** Of the client hello, as far as the context's `captureHello` keeps it. */
  get hello(): TlsHello {
    return {
      version: this.#number(NUMBER_HELLO_VERSION),
      ciphers: this.#bytes(BYTES_HELLO_CIPHERS) ?? NONE,
      cipherNames: this.#text(TEXT_HELLO_CIPHERS),
      extensions: this.#bytes(BYTES_HELLO_EXTENSIONS) ?? NONE,
      curves: this.#bytes(BYTES_HELLO_CURVES) ?? NONE,
      formats: this.#bytes(BYTES_HELLO_FORMATS) ?? NONE,
    };
  }

  #number(what: number): number {
    return this.#handle < 0 ? 0 : this.#door.number(this.#handle, what);
  }

  #text(what: number): string {
    return this.#handle < 0 ? "" : this.#door.text(this.#handle, what);
  }

  #bytes(what: number): Uint8Array | undefined {
    return this.#handle < 0 ? undefined : this.#door.bytes(this.#handle, what);
  }
}

/** What a client hello offered: numbers of two bytes each, in network order. */
export interface TlsHello {
  /** The legacy version field. */
  readonly version: number;
  readonly ciphers: Uint8Array;
  /** Names of the ciphers, with commas. */
  readonly cipherNames: string;
  readonly extensions: Uint8Array;
  readonly curves: Uint8Array;
  /** One byte each. */
  readonly formats: Uint8Array;
}

const NONE = new Uint8Array(0);
