import { NO_BUFFER, type Ring, type Slab } from "@ha/linux/ring";
import type { Statistics } from "../core/statistics.ts";
import { type BufferPool, type Session, Transaction } from "../core/transaction.ts";
import type { TrafficObserver } from "./check/traffic-observer.ts";
import { ClientList } from "./client-list.ts";
import type { Connection } from "./connection.ts";
import { ConnectionShared } from "./connection-shared.ts";
import type { ServerWaiter } from "./dispatcher.ts";
import { Exchange } from "./exchange.ts";
import { Http2Shared } from "./http2/http2-shared.ts";
import type { ProxyRuntime, Service } from "./proxy-runtime.ts";
import { ServerAddresses } from "./server-address.ts";
import { TimerWheel } from "./timer-wheel.ts";
import { NO_TLS, type TlsShare } from "./tls/tls-share.ts";

/** What all connections of one thread share. Built once by `worker.ts`, passed down. */
export class DataPlane {
  readonly ring: Ring;
  readonly slab: Slab;
  readonly connections: ConnectionShared;
  readonly wheel: TimerWheel;
  readonly buffers: BufferPool;
  readonly addresses: ServerAddresses;
  readonly statistics: Statistics;
  readonly http2: Http2Shared;
  /** Contexts of binds and servers; set once, before the configuration is compiled. */
  tls: TlsShare = NO_TLS;
  readonly waiters = new Map<number, ServerWaiter>();
  readonly proxies: ProxyRuntime[] = [];
  /** What `http-request use-service` can name. */
  readonly services = new Map<string, Service>();
  readonly maxFields: number;
  /** The process is stopping: connections end with their next answer. */
  isStopping = false;
  /** Told what servers do; set once, before the start. */
  traffic: TrafficObserver | undefined = undefined;
  /** Sessions of this thread now. */
  sessions = 0;
  /** Every client connection, so that a drain or a shutdown can find them. */
  readonly clients = new ClientList();
  #sessionIds = 0;
  readonly #transactions: Transaction[] = [];
  #transactionCount = 0;
  readonly #exchanges: Exchange[] = [];
  readonly #everyExchange: Exchange[] = [];
  #exchangeCount = 0;
  #afterTurn: (() => void)[] = [];

  constructor(ring: Ring, statistics: Statistics, layout: DataPlaneLayout) {
    this.ring = ring;
    this.slab = ring.slab;
    this.statistics = statistics;
    this.http2 = new Http2Shared(statistics);
    this.maxFields = layout.maxFields;
    this.connections = new ConnectionShared(ring, layout.messagesAt, layout.messages);
    this.wheel = new TimerWheel(ring.now);
    this.addresses = new ServerAddresses(
      ring.bytes,
      layout.addressesAt,
      layout.addressesAt + layout.addressesSize,
    );
    const { slab } = this;
    this.buffers = {
      bytes: slab.bytes,
      size: slab.smallSize,
      take: () => {
        const buffer = slab.take();
        return buffer === NO_BUFFER ? -1 : slab.offsetOf(buffer);
      },
      give: (offset) => slab.release(slab.bufferAt(offset)),
    };
  }

  /** Milliseconds, this turn's. */
  get now(): number {
    return this.ring.now;
  }

  /**
   * Bytes on their way to one side at which the other is not read any more. The fewer buffers are free, the less: those
   * who take their answers slowly must not have all of them. At 0 one buffer goes at a time.
   */
  get outputLimit(): number {
    const { freeSmall, smallCount } = this.slab;
    if (freeSmall > smallCount * 0.75) return OUTPUT_HIGH;
    return freeSmall > smallCount * 0.5 ? OUTPUT_SHORT : 0;
  }

  nextSessionId(): number {
    return ++this.#sessionIds;
  }

  /** A transaction to be filled. Give it back with `giveTransaction`. */
  takeTransaction(): Transaction {
    const transaction = this.#transactions.pop();
    if (transaction !== undefined) return transaction;
    this.#transactionCount++;
    return new Transaction(this.buffers, this.maxFields);
  }

  /** An exchange for a request on that frontend. Give it back with `giveExchange`. */
  takeExchange(frontend: ProxyRuntime): Exchange {
    const exchange = this.#exchanges.pop();
    if (exchange !== undefined) return exchange;
    this.#exchangeCount++;
    const made = new Exchange(this, frontend);
    this.#everyExchange.push(made);
    return made;
  }

  giveExchange(exchange: Exchange): void {
    exchange.clear();
    this.#exchanges.push(exchange);
  }

  /** Exchanges under way. A leak counter. */
  get exchangesHeld(): number {
    return this.#exchangeCount - this.#exchanges.length;
  }

  /** Ends all that is under way with a server that was marked down: `on-marked-down shutdown-sessions`. */
  leaveServer(proxy: number, server: number): void {
    for (const exchange of this.#everyExchange) exchange.leaveServer(proxy, server);
    for (const client of [...this.clients]) client.leaveServer?.(proxy, server);
  }

  giveTransaction(transaction: Transaction): void {
    transaction.clear();
    this.#transactions.push(transaction);
  }

  /** Transactions in use. A leak counter. */
  get transactionsHeld(): number {
    // Each exchange keeps one for life.
    return this.#transactionCount - this.#transactions.length - this.#exchangeCount;
  }

  /** Runs at the end of this turn: to leave a call chain before going on. */
  afterTurn(callback: () => void): void {
    this.#afterTurn.push(callback);
  }

  /**
   * Calls `poll` every few milliseconds as long as it says true: for what other threads change in shared memory
   * without telling.
   */
  pollWhile(poll: () => boolean): void {
    const timer = this.wheel.create({
      timedOut: () => {
        if (poll()) this.wheel.set(timer, this.now + POLL);
        else this.wheel.destroy(timer);
      },
    });
    this.wheel.set(timer, this.now + POLL);
  }

  /** What the ring calls after each turn's completions. */
  endTurn(): void {
    this.wheel.run(this.ring.now);
    while (this.#afterTurn.length > 0) {
      const callbacks = this.#afterTurn;
      this.#afterTurn = [];
      for (const callback of callbacks) callback();
    }
    this.ring.deadline = this.wheel.soonest;
  }
}

/** See `outputLimit`: usually, and with a quarter of the buffers in use. */
const OUTPUT_HIGH = 393_216;
const OUTPUT_SHORT = 65_536;

/** Milliseconds between two looks at what other threads changed. */
const POLL = 8;

/** Where in the slab's spare room things are. */
export interface DataPlaneLayout {
  readonly messagesAt: number;
  readonly messages: number;
  readonly addressesAt: number;
  readonly addressesSize: number;
  /** HAProxy's `tune.http.maxhdr`. */
  readonly maxFields: number;
}

/** Where sessions come from: the listener, which counts them. */
export interface SessionHost {
  /** Called once, when the session is over and its connection closed. */
  ended(session: Session): void;
  /** The connection of a TCP session turned out to be HTTP: it goes on as such. */
  beginHttp(connection: Connection, session: Session, acceptedAt: number): void;
  /** The connection turned out to be HTTP/2: `prefaced` bytes of its preface are taken. */
  beginHttp2(connection: Connection, session: Session, acceptedAt: number, prefaced: number): void;
}

/** A client's connection, as a drain sees it. */
export interface ClientEnd {
  readonly connection: Connection;
  readonly session: Session;
  /** Where it is in the list of them: the list's. */
  place: number;
  /** What is under way; undefined between requests. */
  readonly transaction: Transaction | undefined;
  /** The process stops: end when the request under way is answered, at once when there is none (or later, see `idle-close-on-response`). */
  stopSoon(): void;
  /** Between requests: ends now, and says so. False when one is under way. Absent where `stopSoon` sees to it. */
  closeIdle?(): boolean;
  /** End now. */
  kill(): void;
  /** End when at that server. Absent where an exchange sees to it. */
  leaveServer?(proxy: number, server: number): void;
}
