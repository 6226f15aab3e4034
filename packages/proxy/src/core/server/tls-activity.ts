import { addToRate, RATE_WORDS, readRate } from "./rate.ts";

const CONNECTION_LIMIT = 0;
const RATE_LIMIT = 1;
const OPEN = 2;
const TOTAL = 3;
/** Rates, each with the most that it ever was. */
const HANDSHAKES = 4;
const CLIENT_KEYS = HANDSHAKES + RATE_WORDS + 1;
const SERVER_KEYS = CLIENT_KEYS + RATE_WORDS + 1;

/** Words of shared memory that it takes. */
export const TLS_ACTIVITY_WORDS = SERVER_KEYS + RATE_WORDS + 1;
const SECOND = 1000;

/** A rate and its highest value. */
export interface TlsRate {
  readonly now: number;
  readonly most: number;
}

/**
 * TLS connections of the whole process, on both sides, and handshakes by second, with their limits: `maxsslconn`, `maxsslrate`. Shared by all
 * threads. HAProxy configuration manual §3.2; what counts when: observed, haproxy 2.6.12.
 */
export class TlsActivity {
  readonly #words: Int32Array;

  /** @param words `TLS_ACTIVITY_WORDS` of shared memory, zero at first. */
  constructor(words: Int32Array) {
    this.#words = words;
  }

  /** Connections at a time, and handshakes of clients a second; 0 is no limit. Before the start. */
  limit(connections: number, rate: number): void {
    this.#words[CONNECTION_LIMIT] = connections;
    this.rateLimit = rate;
  }

  get rateLimit(): number {
    return Atomics.load(this.#words, RATE_LIMIT);
  }

  set rateLimit(limit: number) {
    Atomics.store(this.#words, RATE_LIMIT, limit);
  }

  /** Whether another client may be accepted now: the others wait in the backlog. */
  mayShake(now: number): boolean {
    const { rateLimit } = this;
    const limit = this.#words[CONNECTION_LIMIT] as number;
    if (limit > 0 && this.open >= limit) return false;
    return rateLimit === 0 || readRate(this.#words, HANDSHAKES, SECOND, now) < rateLimit;
  }

  /** One more connection, to be given back by `closed`. False beyond `maxsslconn`. */
  opened(): boolean {
    const words = this.#words;
    const open = Atomics.add(words, OPEN, 1) + 1;
    const limit = words[CONNECTION_LIMIT] as number;
    if (limit > 0 && open > limit) {
      this.closed();
      return false;
    }
    Atomics.add(words, TOTAL, 1);
    return true;
  }

  closed(): void {
    Atomics.sub(this.#words, OPEN, 1);
  }

  /** A client came to speak TLS. */
  shook(now: number): void {
    this.#count(HANDSHAKES, now);
  }

  /** A handshake was done in full, without a session to resume. */
  keyed(side: "client" | "server", now: number): void {
    this.#count(side === "client" ? CLIENT_KEYS : SERVER_KEYS, now);
  }

  get open(): number {
    return Atomics.load(this.#words, OPEN);
  }

  /** Modulo 2^32, as all counters of 32 bits. */
  get total(): number {
    return Atomics.load(this.#words, TOTAL) >>> 0;
  }

  handshakes(now: number): TlsRate {
    return this.#rate(HANDSHAKES, now);
  }

  keys(side: "client" | "server", now: number): TlsRate {
    return this.#rate(side === "client" ? CLIENT_KEYS : SERVER_KEYS, now);
  }

  #count(at: number, now: number): void {
    const words = this.#words;
    addToRate(words, at, SECOND, now, 1);
    const rate = readRate(words, at, SECOND, now);
    const most = at + RATE_WORDS;
    if (rate > Atomics.load(words, most)) Atomics.store(words, most, rate);
  }

  #rate(at: number, now: number): TlsRate {
    const words = this.#words;
    return {
      now: readRate(words, at, SECOND, now),
      most: Atomics.load(words, at + RATE_WORDS),
    };
  }
}
