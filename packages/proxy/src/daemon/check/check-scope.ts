import type { CheckScope } from "../../core/check/check-plan.ts";
import { parseResponseHead } from "../../core/http/h1.ts";
import { clearHead } from "../../core/http/head.ts";
import { type BufferPool, Transaction } from "../../core/transaction.ts";

/** Buffers of checks alone: their expressions must not take from the data plane. */
const SIZE = 16_384;
const COUNT = 64;
const MAX_FIELDS = 101;

/** A pool for the transactions of all checks of a process, made when the first one needs it. */
export function createCheckBuffers(): BufferPool {
  const bytes = new Uint8Array(SIZE * COUNT);
  const free = Array.from({ length: COUNT }, (_, i) => i * SIZE);
  return { bytes, size: SIZE, take: () => free.pop() ?? -1, give: (offset) => free.push(offset) };
}

/** What the expressions of one check see: the server, the variables, and the answer so far. Call `end` after it. */
export class TransactionScope implements CheckScope {
  answer = "";
  readonly #pool: () => BufferPool;
  readonly #place: { readonly proxy: number; readonly server: number };
  readonly #state: () => string;
  readonly #now: () => number;
  readonly #isHttp: boolean;
  #transaction: Transaction | undefined = undefined;
  #buffer = -1;
  #shown = "";

  constructor(
    pool: () => BufferPool,
    place: { readonly proxy: number; readonly server: number },
    facts: {
      readonly isHttp: boolean;
      /** `X-Haproxy-Server-State`. */
      readonly state: () => string;
      /** Milliseconds of the ring's clock. */
      readonly now: () => number;
    },
  ) {
    this.#pool = pool;
    this.#place = place;
    this.#state = facts.state;
    this.#now = facts.now;
    this.#isHttp = facts.isHttp;
  }

  stateHeader(): string {
    return this.#state();
  }

  transaction(): Transaction {
    const pool = this.#pool();
    let transaction = this.#transaction;
    if (transaction === undefined) {
      transaction = this.#transaction = new Transaction(pool, MAX_FIELDS);
      transaction.backend = transaction.frontend = this.#place.proxy;
      transaction.server = this.#place.server;
      this.#buffer = pool.take();
    }
    transaction.now = this.#now();
    if (this.#shown !== this.answer && this.#buffer >= 0) this.#show(transaction, pool);
    return transaction;
  }

  /** Gives all buffers back. */
  end(): void {
    this.#transaction?.clear();
    this.#transaction = undefined;
    if (this.#buffer >= 0) this.#pool().give(this.#buffer);
    this.#buffer = -1;
  }

  #show(transaction: Transaction, pool: BufferPool): void {
    this.#shown = this.answer;
    const start = this.#buffer;
    const end = start + Math.min(pool.size, this.answer.length);
    for (let at = start; at < end; at++) pool.bytes[at] = this.answer.charCodeAt(at - start) & 0xff;
    transaction.responsePayloadStart = start;
    transaction.responsePayloadEnd = end;
    transaction.responsePayloadComplete = true;
    if (!this.#isHttp) return;
    const { response } = transaction;
    clearHead(response.head);
    const bodyStart = parseResponseHead(pool.bytes, start, end, response.head, MAX_FIELDS, true);
    transaction.http = transaction.hasResponse = bodyStart >= 0;
    if (bodyStart < 0) return;
    transaction.status = response.head.status;
    response.head.end = bodyStart;
    response.bodyStart = bodyStart;
    response.bodyEnd = end;
    response.bodyComplete = true;
  }
}
