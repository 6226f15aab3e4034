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

  get clientCertificate(): Uint8Array | undefined {
    return this.#keep("clientCertificate", () => this.session.peerCertificate);
  }

  get verifyResult(): number {
    return this.#keep("verifyResult", () => this.session.verifyResult);
  }

  #keep<T>(name: string, read: () => T): T {
    this.#known ??= new Map();
    if (!this.#known.has(name)) this.#known.set(name, read());
    return this.#known.get(name) as T;
  }
}
