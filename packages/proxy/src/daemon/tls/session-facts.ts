import type { TlsSession } from "@ha/linux/tls";
import type { TlsFacts } from "../../core/transaction.ts";

/**
 * What a connection's TLS tells to rules and logs: asked of OpenSSL when first read, and kept, since lines are also
 * written when the connection is gone.
 */
export class SessionFacts implements TlsFacts {
  readonly session: TlsSession;
  #known: Map<string, unknown> | undefined = undefined;

  constructor(session: TlsSession) {
    this.session = session;
  }

  get version(): string {
    return this.#keep("version", () => this.session.version);
  }

  get cipher(): string {
    return this.#keep("cipher", () => this.session.cipher);
  }

  get cipherBits(): number {
    return this.#keep("cipherBits", () => this.session.cipherBits);
  }

  get cipherBitsUsed(): number {
    return this.#keep("cipherBitsUsed", () => this.session.cipherBitsUsed);
  }

  get alpn(): string {
    return this.#keep("alpn", () => this.session.alpn);
  }

  get sni(): string {
    return this.#keep("sni", () => this.session.sni);
  }

  get resumed(): boolean {
    return this.#keep("resumed", () => this.session.isResumed);
  }

  get sessionId(): Uint8Array {
    return this.#keep("sessionId", () => this.session.sessionId);
  }

  get sessionKey(): Uint8Array {
    return this.#keep("sessionKey", () => this.session.sessionKey);
  }

  get clientRandom(): Uint8Array {
    return this.#keep("clientRandom", () => this.session.clientRandom);
  }

  get serverRandom(): Uint8Array {
    return this.#keep("serverRandom", () => this.session.serverRandom);
  }

  get finished(): Uint8Array {
    return this.#keep("finished", () => this.session.finished);
  }

  get peerFinished(): Uint8Array {
    return this.#keep("peerFinished", () => this.session.peerFinished);
  }

  get peerCertificate(): Uint8Array | undefined {
    return this.#keep("peerCertificate", () => this.session.peerCertificate);
  }

  get peerChain(): Uint8Array | undefined {
    return this.#keep("peerChain", () => this.session.peerChain);
  }

  get ownCertificate(): Uint8Array | undefined {
    return this.#keep("ownCertificate", () => this.session.ownCertificate);
  }

  get verifyResult(): number {
    return this.#keep("verifyResult", () => this.session.verifyResult);
  }

  get certificateError(): number {
    return this.#keep("certificateError", () => this.session.certificateError);
  }

  get caError(): number {
    return this.#keep("caError", () => this.session.caError);
  }

  get caErrorDepth(): number {
    return this.#keep("caErrorDepth", () => this.session.caErrorDepth);
  }

  get error(): number {
    return this.#keep("error", () => this.session.error);
  }

  get errorText(): string {
    return this.#keep("errorText", () => this.session.errorText);
  }

  get hello(): TlsFacts["hello"] {
    return this.#keep("hello", () => this.session.hello);
  }

  #keep<T>(name: string, read: () => T): T {
    this.#known ??= new Map();
    if (!this.#known.has(name)) this.#known.set(name, read());
    return this.#known.get(name) as T;
  }
}
