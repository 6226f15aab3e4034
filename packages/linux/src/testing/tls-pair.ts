import {
  TLS_FAILED,
  TLS_HAS_OUTPUT,
  TLS_MORE_PLAIN,
  TLS_SECURED,
  TlsEngine,
  type TlsSession,
} from "../tls-engine.ts";

/** Where each kind of bytes is, in a slab that only this has. */
const IN = 0;
const OUT = 65_536;
const PLAIN = 131_072;
const SIZE = 196_608;

/** One end: the session, and what came of it so far. */
export interface TlsEnd {
  readonly session: TlsSession;
  state: number;
  /** Plaintext that arrived. */
  received: number[];
}

/** Two sessions of one engine that talk to each other by copies: a connection without a kernel. */
export class TlsPair {
  readonly engine: TlsEngine;
  readonly slab = new Uint8Array(SIZE);
  /** Bytes of ciphertext that a delivery carries at most. */
  piece = 65_536;

  constructor() {
    this.engine = new TlsEngine(this.slab);
  }

  end(session: TlsSession | undefined): TlsEnd {
    if (session === undefined) throw new Error("no session");
    return { session, state: 0, received: [] };
  }

  /** Carries output back and forth until neither has any. */
  settle(client: TlsEnd, server: TlsEnd): void {
    for (let turns = 0; turns < 1_000; turns++) {
      const there = this.output(client);
      this.deliver(server, there);
      const back = this.output(server);
      this.deliver(client, back);
      if (there.length === 0 && back.length === 0) return;
    }
    throw new Error("the two never come to rest");
  }

  /** All that waits at an end. */
  output({ session }: TlsEnd): Uint8Array {
    const pieces: number[] = [];
    for (;;) {
      const size = session.drain(OUT, PLAIN);
      pieces.push(...this.slab.subarray(OUT, OUT + size));
      if (size < PLAIN - OUT) return Uint8Array.from(pieces);
    }
  }

  deliver(to: TlsEnd, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += this.piece) {
      const piece = bytes.subarray(at, at + this.piece);
      this.slab.set(piece, IN);
      to.state = to.session.receive(IN, IN + piece.length, PLAIN, SIZE);
      this.#keep(to);
      while ((to.state & TLS_MORE_PLAIN) !== 0) {
        to.state = to.session.receive(IN, IN, PLAIN, SIZE);
        this.#keep(to);
      }
      if ((to.state & TLS_FAILED) !== 0) return;
    }
  }

  /** Seals plaintext parts and gives the ciphertext. */
  seal({ session }: TlsEnd, ...parts: Uint8Array[]): Uint8Array {
    let at = PLAIN;
    parts.forEach((part, i) => {
      this.slab.set(part, at);
      this.engine.starts[i] = at;
      at += part.length;
      this.engine.ends[i] = at;
    });
    const size = session.seal(parts.length, OUT, PLAIN);
    if (size < 0) throw new Error(`seal: ${session.errorText}`);
    return this.slab.slice(OUT, OUT + size);
  }

  static isSecured({ state }: TlsEnd): boolean {
    return (state & TLS_SECURED) !== 0;
  }

  static hasOutput({ state }: TlsEnd): boolean {
    return (state & TLS_HAS_OUTPUT) !== 0;
  }

  #keep(to: TlsEnd): void {
    for (let i = 0; i < to.session.plain; i++) to.received.push(this.slab[PLAIN + i] as number);
  }
}
