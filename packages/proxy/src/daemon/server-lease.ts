import { createTicket, type QueueTicket } from "../core/server/queue.ts";
import * as stat from "../core/statistics.ts";
import {
  CAUSE_RESOURCE,
  CAUSE_SERVER_ABORT,
  CAUSE_SERVER_TIMEOUT,
  NONE,
  PHASE_CONNECT,
  PHASE_QUEUE,
  TIME_QUEUED,
  type Transaction,
} from "../core/transaction.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";
import { QUEUED, type ServerWaiter } from "./dispatcher.ts";
import type { BackendRuntime, ProxyRuntime } from "./proxy-runtime.ts";
import { connectServer } from "./server-connect.ts";
import type { TimerOwner } from "./timer-wheel.ts";

/** Between two tries on one server, milliseconds. HAProxy configuration manual §4.2, retries. */
const RETRY_DELAY = 1_000;

/** Where a lease is. */
export const LEASE_NONE = 0;
export const LEASE_QUEUED = 1;
export const LEASE_CONNECTING = 2;
/** A slot of the server is held, and the connection is the owner's. */
export const LEASE_HELD = 3;

/** Who needs a server. */
export interface LeaseOwner {
  readonly transaction: Transaction;
  /** The backend that was chosen. */
  readonly backend: ProxyRuntime;
  /** Whether there is an open way to the server already, which the owner has taken; else a connection is opened. */
  takeIdle(server: number): boolean;
  /** The way that `takeIdle` took is leased. */
  reused(): void;
  /** A fresh connection stands, and is the owner's now. */
  leased(connection: Connection): void;
  /** There is no server to be had: why, as `CAUSE_` and `PHASE_` codes. Nothing is held any more. */
  leaseFailed(cause: number, phase: number): void;
}

let tickets = 0;

/**
 * The way of a transaction to a server: the choice, the wait in a queue, the connection, and new tries where they
 * fail, on the same server or (`option redispatch`) on another. Holds the server's slot till `release`.
 */
export class ServerLease implements ServerWaiter, TimerOwner, ConnectionOwner {
  readonly ticket: QueueTicket;
  state = LEASE_NONE;
  /** Tries that are left. */
  retries = 0;
  readonly #plane: DataPlane;
  readonly #owner: LeaseOwner;
  readonly #timer: number;
  #connection: Connection | undefined = undefined;
  #hasSlot = false;
  #avoid = NONE;

  constructor(plane: DataPlane, owner: LeaseOwner) {
    this.#plane = plane;
    this.#owner = owner;
    this.#timer = plane.wheel.create(this);
    this.ticket = createTicket(++tickets);
  }

  get transaction(): Transaction {
    return this.#owner.transaction;
  }

  /** Looks for a server: `leased` or `leaseFailed` follows, at once or later. */
  seek(): void {
    this.retries = this.#allowed;
    this.#avoid = NONE;
    this.#assign();
  }

  /**
   * Tries again after a failure, whose connection the owner has closed: on another server where `option redispatch`
   * says so, else on the same, at once or after a moment. Only while `retries` is above 0.
   */
  retry(atOnce: boolean): void {
    const plane = this.#plane;
    const { transaction, backend } = this.#owner;
    const { redispatch } = this.#backend;
    const retries = this.#allowed;
    this.retries--;
    transaction.retries++;
    const moves = redispatches(redispatch, transaction.retries, retries);
    this.#count(moves ? stat.STAT_WREDIS : stat.STAT_WRETR);
    if (moves) {
      transaction.wantedServer = NONE;
      this.#avoid = transaction.server;
      this.#freeSlot();
      this.#assign();
      return;
    }
    this.state = LEASE_CONNECTING;
    if (atOnce) this.#connect();
    else plane.wheel.set(this.#timer, plane.now + Math.min(RETRY_DELAY, backend.timeouts.connect));
  }

  /** Gives the server's slot back, and whatever was under way up. The next one in the queue has it. */
  release(): void {
    this.state = LEASE_NONE;
    this.#plane.wheel.clear(this.#timer);
    this.#owner.backend.backend?.dispatcher.cancel(this);
    this.#connection?.close();
    this.#connection = undefined;
    this.#freeSlot();
  }

  /** For good. */
  destroy(): void {
    this.release();
    this.#plane.wheel.destroy(this.#timer);
  }

  assigned(server: number): void {
    const plane = this.#plane;
    const { transaction, backend } = this.#owner;
    plane.wheel.clear(this.#timer);
    if (this.#avoid !== NONE && server !== this.#avoid) transaction.redispatched = true;
    transaction.server = server;
    transaction.session.lastBackend = backend.index;
    transaction.session.lastServer = server;
    this.#hasSlot = true;
    if (transaction.times[TIME_QUEUED] === -1) transaction.times[TIME_QUEUED] = plane.now;
    backend.state.counters.countServerSession(server, plane.now);
    const row = backend.backendRow + 1 + server;
    plane.statistics.add(row, stat.STAT_STOT, 1);
    plane.statistics.add(row, stat.STAT_LBTOT, 1);
    plane.statistics.add(backend.backendRow, stat.STAT_LBTOT, 1);
    plane.statistics.set(row, stat.STAT_LASTSESS, plane.now);
    this.#connect();
  }

  /** Every server that it could have waited for is gone. */
  unserved(): void {
    if (this.state !== LEASE_QUEUED) return;
    this.transaction.server = NONE;
    this.#give(CAUSE_SERVER_ABORT, PHASE_CONNECT);
  }

  connected(connection: Connection, result: number): void {
    if (this.state !== LEASE_CONNECTING) return;
    const { tlsFacts } = connection;
    if (tlsFacts !== undefined) {
      if (result === 0) this.#count(stat.STAT_TLS_SESSIONS);
      // A peer that broke off, or was never there, is no failed handshake.
      else if (tlsFacts.session.error !== 0) this.#count(stat.STAT_TLS_FAILED);
      if (result === 0) {
        if (tlsFacts.session.isResumed) this.#count(stat.STAT_TLS_RESUMED);
        else this.#plane.connections.tlsActivity?.keyed("server", this.#plane.now);
      }
    }
    if (result < 0) {
      this.#failed(CAUSE_SERVER_ABORT);
      return;
    }
    const { traffic } = this.#plane;
    if (traffic?.watchesSuccess) {
      traffic.connected(this.#owner.backend.index, this.transaction.server);
    }
    this.#hold(this.#connection as Connection);
  }

  received(connection: Connection): void {
    if (connection.isEnded && this.state === LEASE_CONNECTING) this.#failed(CAUSE_SERVER_ABORT);
  }

  failed(): void {
    if (this.state === LEASE_CONNECTING) this.#failed(CAUSE_SERVER_ABORT);
  }

  drained(): void {}

  timedOut(): void {
    if (this.state === LEASE_QUEUED) this.#give(CAUSE_SERVER_TIMEOUT, PHASE_QUEUE);
    else if (this.state !== LEASE_CONNECTING) return;
    else if (this.#connection === undefined) this.#connect();
    else this.#failed(CAUSE_SERVER_TIMEOUT);
  }

  /** Tries after the first: the backend's, or what a rule has set. */
  get #allowed(): number {
    const { retryLimit } = this.transaction;
    return retryLimit < 0 ? this.#backend.retries : retryLimit;
  }

  get #backend(): BackendRuntime {
    return this.#owner.backend.backend as BackendRuntime;
  }

  #assign(): void {
    const plane = this.#plane;
    const server = this.#backend.dispatcher.assign(this, this.#avoid, plane.now);
    if (server >= 0) {
      this.assigned(server);
      return;
    }
    if (server !== QUEUED) {
      this.transaction.server = NONE;
      this.#give(CAUSE_SERVER_ABORT, PHASE_CONNECT);
      return;
    }
    this.state = LEASE_QUEUED;
    const { queue, connect } = this.#owner.backend.timeouts;
    const limit = queue !== Number.POSITIVE_INFINITY ? queue : connect;
    if (limit !== Number.POSITIVE_INFINITY) plane.wheel.set(this.#timer, plane.now + limit);
  }

  #connect(): void {
    const plane = this.#plane;
    const { transaction, backend } = this.#owner;
    this.state = LEASE_CONNECTING;
    const isFirst = this.#avoid === NONE && transaction.retries === 0;
    if (isFirst && this.#owner.takeIdle(transaction.server)) {
      this.#count(stat.STAT_REUSE);
      this.state = LEASE_HELD;
      plane.wheel.clear(this.#timer);
      this.#owner.reused();
      return;
    }
    this.#count(stat.STAT_CONNECT);
    const connection = connectServer(plane, backend, transaction, this);
    if (typeof connection === "number") {
      this.#failed(CAUSE_RESOURCE);
      return;
    }
    this.#connection = connection;
    const limit = backend.timeouts.connect;
    if (limit !== Number.POSITIVE_INFINITY) plane.wheel.set(this.#timer, plane.now + limit);
  }

  #hold(connection: Connection): void {
    this.state = LEASE_HELD;
    this.#plane.wheel.clear(this.#timer);
    this.#connection = undefined;
    this.#owner.leased(connection);
  }

  #failed(cause: number): void {
    if (cause !== CAUSE_RESOURCE) {
      this.#plane.traffic?.refused(this.#owner.backend.index, this.transaction.server);
    }
    this.#plane.wheel.clear(this.#timer);
    this.#connection?.close();
    this.#connection = undefined;
    if (this.#backend.retryOn.connectionFailure && this.retries > 0) {
      this.retry(cause === CAUSE_SERVER_TIMEOUT);
      return;
    }
    this.#count(stat.STAT_ECON);
    this.#give(cause, PHASE_CONNECT);
  }

  #give(cause: number, phase: number): void {
    this.release();
    this.#owner.leaseFailed(cause, phase);
  }

  #freeSlot(): void {
    if (!this.#hasSlot) return;
    this.#hasSlot = false;
    this.#backend.dispatcher.release(this.transaction.server);
  }

  /** Of the server and of the backend. */
  #count(field: number): void {
    const { statistics } = this.#plane;
    const { backendRow } = this.#owner.backend;
    statistics.add(backendRow, field, 1);
    statistics.add(backendRow + 1 + this.transaction.server, field, 1);
  }
}

/** Whether try number `tries` (from 1) goes to another server. HAProxy configuration manual §4.2, option redispatch. */
function redispatches(option: number | undefined, tries: number, retries: number): boolean {
  if (option === undefined) return false;
  if (option < 0) return tries >= retries + 1 + option;
  return option > 0 && tries % option === 0;
}
