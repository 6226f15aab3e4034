import { addToRate, RATE_WORDS, readRate } from "./rate.ts";
import { TLS_ACTIVITY_WORDS, TlsActivity } from "./tls-activity.ts";

const CONNECTION_LIMIT = 0;
const SESSION_LIMIT = 1;
const CONNECTIONS = 2;
const SESSIONS = CONNECTIONS + RATE_WORDS;
const TLS = SESSIONS + RATE_WORDS;
const WORDS = TLS + TLS_ACTIVITY_WORDS;
const SECOND = 1000;

/**
 * New connections and sessions of the whole process by second, and their limits: `maxconnrate`, `maxsessrate`, which
 * `set rate-limit` changes. Shared by all threads. HAProxy configuration manual §3.2.
 */
export class ProcessRates {
  readonly buffer: SharedArrayBuffer;
  /** The same of TLS. */
  readonly tls: TlsActivity;
  readonly #words: Int32Array;

  constructor(shared?: SharedArrayBuffer) {
    this.buffer = shared ?? new SharedArrayBuffer(WORDS * 4);
    this.#words = new Int32Array(this.buffer);
    this.tls = new TlsActivity(this.#words.subarray(TLS));
  }

  /** A second; 0 is no limit. */
  get connectionLimit(): number {
    return Atomics.load(this.#words, CONNECTION_LIMIT);
  }

  set connectionLimit(limit: number) {
    Atomics.store(this.#words, CONNECTION_LIMIT, limit);
  }

  get sessionLimit(): number {
    return Atomics.load(this.#words, SESSION_LIMIT);
  }

  set sessionLimit(limit: number) {
    Atomics.store(this.#words, SESSION_LIMIT, limit);
  }

  /** Whether one more may begin. `now` in milliseconds. */
  hasRoom(now: number): boolean {
    const { connectionLimit, sessionLimit } = this;
    if (connectionLimit === 0 && sessionLimit === 0) return true;
    const words = this.#words;
    if (connectionLimit > 0 && readRate(words, CONNECTIONS, SECOND, now) >= connectionLimit)
      return false;
    return sessionLimit === 0 || readRate(words, SESSIONS, SECOND, now) < sessionLimit;
  }

  /** Counts only while a limit stands. */
  countConnection(now: number): void {
    if (this.connectionLimit > 0) addToRate(this.#words, CONNECTIONS, SECOND, now, 1);
  }

  countSession(now: number): void {
    if (this.sessionLimit > 0) addToRate(this.#words, SESSIONS, SECOND, now, 1);
  }
}
