import { NO_BUFFER } from "@ha/linux/ring";
import { type RuleProgress, runRules, type Verdict } from "../core/rule/rule.ts";
import { createTicket, type QueueTicket } from "../core/server/queue.ts";
import * as stat from "../core/statistics.ts";
import {
  CAUSE_CLIENT_ABORT,
  CAUSE_DOWN,
  CAUSE_KILLED,
  CAUSE_NONE,
  CAUSE_PROXY,
  CAUSE_RESOURCE,
  CAUSE_SERVER_ABORT,
  CAUSE_SERVER_TIMEOUT,
  NONE,
  PHASE_CONNECT,
  PHASE_DATA,
  PHASE_NONE,
  PHASE_QUEUE,
  PHASE_REQUEST,
  type Session,
  TIME_ACCEPT,
  TIME_CONNECTED,
  TIME_END,
  TIME_QUEUED,
  type Transaction,
} from "../core/transaction.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import type { ClientEnd, DataPlane, SessionHost } from "./data-plane.ts";
import { QUEUED, type ServerWaiter } from "./dispatcher.ts";
import { statisticsOfEnd } from "./exchange-statistics.ts";
import type { BackendRuntime, FrontendRuntime, ProxyRuntime } from "./proxy-runtime.ts";
import { connectServer } from "./server-connect.ts";
import type { TimerOwner } from "./timer-wheel.ts";
import { type ResponseInspection, Tunnel } from "./tunnel.ts";

const INSPECTING = 0;
const QUEUEING = 1;
const CONNECTING = 2;
const TUNNELLING = 3;
const OVER = 4;

/** Between two tries on one server. HAProxy configuration manual §4.2, retries. */
const RETRY_DELAY = 1_000;

let tickets = 0;

/** A connection of a `mode tcp` frontend: content rules, a server, and a tunnel until both sides have ended. */
export class TcpSession implements ConnectionOwner, ServerWaiter, TimerOwner, ClientEnd {
  readonly connection: Connection;
  readonly transaction: Transaction;
  readonly ticket: QueueTicket;
  readonly #plane: DataPlane;
  readonly #frontend: ProxyRuntime;
  readonly #host: SessionHost;
  readonly session: Session;
  readonly #timer: number;
  readonly #progress: RuleProgress = { next: 0 };
  #backend: ProxyRuntime;
  #state = INSPECTING;
  #server: Connection | undefined = undefined;
  #hasSlot = false;
  #isCounted = false;
  #retries = 0;
  #avoid = NONE;
  #inspectUntil = 0;
  #inBackend = false;
  #acceptedAt = 0;
  #tunnel: Tunnel | undefined = undefined;

  constructor(
    plane: DataPlane,
    connection: Connection,
    session: Session,
    frontend: ProxyRuntime,
    host: SessionHost,
  ) {
    this.#plane = plane;
    this.connection = connection;
    this.#frontend = this.#backend = frontend;
    this.#host = host;
    this.session = session;
    this.#timer = plane.wheel.create(this);
    this.ticket = createTicket(--tickets);
    this.transaction = plane.takeTransaction();
    this.transaction.session = session;
    this.transaction.frontend = frontend.index;
    session.transactions++;
    connection.owner = this;
    plane.clients.add(this);
  }

  start(acceptedAt: number): void {
    const { transaction } = this;
    this.#acceptedAt = acceptedAt;
    transaction.times[TIME_ACCEPT] = acceptedAt;
    transaction.now = this.#plane.now;
    this.#inspectUntil = this.#plane.now + this.#frontend.inspectDelay;
    this.connection.resume();
    this.#inspect();
  }

  stopSoon(): void {}

  kill(): void {
    if (this.#tunnel !== undefined) this.#tunnel.kill();
    else this.#end(CAUSE_KILLED, this.#phase());
  }

  /** The server was marked down, and its sessions are to end. */
  leaveServer(proxy: number, server: number): void {
    if (!this.#hasSlot || this.#backend.index !== proxy || this.transaction.server !== server)
      return;
    if (this.#tunnel !== undefined) this.#tunnel.kill(CAUSE_DOWN);
    else this.#end(CAUSE_DOWN, this.#phase());
  }

  /** Every server that it could have waited for is gone. */
  unserved(): void {
    this.transaction.server = NONE;
    this.#end(CAUSE_SERVER_ABORT, PHASE_CONNECT);
  }

  // ---- content rules ----

  /** Runs the rules over what the client has sent; waits for more as long as one asks for it. */
  #inspect(): void {
    const { transaction, connection } = this;
    const proxy = this.#inBackend ? this.#backend : this.#frontend;
    transaction.now = this.#plane.now;
    this.#showPayload();
    const waiting = this.#plane.now < this.#inspectUntil && !connection.isEnded && !this.#isFull();
    const verdict =
      proxy.rules.content.length === 0
        ? undefined
        : runRules(proxy.rules.content, transaction, this.#progress, waiting);
    if (verdict !== undefined && verdict.type !== "continue" && verdict.type !== "final") {
      this.#obey(verdict);
      return;
    }
    this.#progress.next = 0;
    this.#plane.wheel.clear(this.#timer);
    if (this.#inBackend) this.#dispatch();
    else this.#choose();
  }

  #obey(verdict: Verdict): void {
    switch (verdict.type) {
      case "more":
        this.#plane.wheel.set(this.#timer, this.#inspectUntil);
        return;
      case "close":
        this.#plane.statistics.add(this.#frontend.frontendRow, stat.STAT_DREQ, 1);
        this.#end(CAUSE_PROXY, PHASE_REQUEST, verdict.silent);
        return;
      case "switch-http":
        this.#becomeHttp();
        return;
      default:
        this.#end(CAUSE_PROXY, PHASE_REQUEST);
    }
  }

  /** Shows rules the bytes that are here: gathered in one buffer, as far as one takes. */
  #showPayload(): void {
    const { connection, transaction } = this;
    const { slab } = this.#plane;
    transaction.payloadComplete = connection.isEnded;
    let first = connection.takeInput();
    if (first === NO_BUFFER) return;
    if (first >= slab.smallCount) {
      transaction.payloadStart = slab.inStart[first] as number;
      transaction.payloadEnd = slab.inEnd[first] as number;
      connection.returnInput(first, transaction.payloadStart, transaction.payloadEnd);
      return;
    }
    let start = slab.inStart[first] as number;
    let end = slab.inEnd[first] as number;
    for (;;) {
      const next = connection.peekInput();
      if (next === NO_BUFFER) break;
      const size = (slab.inEnd[next] as number) - (slab.inStart[next] as number);
      if (end + size > slab.offsetOf(first) + slab.smallSize) {
        if (start === slab.offsetOf(first)) break;
        const moved = slab.take();
        if (moved === NO_BUFFER) break;
        const to = slab.offsetOf(moved);
        slab.bytes.copyWithin(to, start, end);
        slab.release(first);
        first = moved;
        end = to + (end - start);
        start = to;
        continue;
      }
      connection.takeInput();
      slab.bytes.copyWithin(end, slab.inStart[next] as number, slab.inEnd[next] as number);
      end += size;
      slab.release(next);
    }
    connection.returnInput(first, start, end);
    transaction.payloadStart = start;
    transaction.payloadEnd = end;
  }

  #isFull(): boolean {
    const { payloadStart, payloadEnd } = this.transaction;
    return payloadEnd - payloadStart >= this.#plane.slab.smallSize;
  }

  #becomeHttp(): void {
    this.#leave();
    this.#host.beginHttp(this.connection, this.session, this.#acceptedAt);
  }

  #choose(): void {
    const { transaction } = this;
    const front = this.#frontend.frontend as FrontendRuntime;
    const chosen = front.chooseBackend(transaction);
    const backend = chosen === NONE ? undefined : this.#plane.proxies[chosen];
    if (backend?.backend === undefined) {
      transaction.backend = this.#frontend.index;
      this.#end(CAUSE_SERVER_ABORT, PHASE_CONNECT);
      return;
    }
    if (backend.http) {
      // TCP to HTTP is an upgrade: the head decides anew.
      this.#becomeHttp();
      return;
    }
    this.#backend = backend;
    transaction.backend = backend.index;
    backend.state.counters.addBackend(1);
    this.#isCounted = true;
    backend.state.counters.countBackendSession(this.#plane.now);
    this.#plane.statistics.add(backend.backendRow, stat.STAT_STOT, 1);
    this.#plane.statistics.set(backend.backendRow, stat.STAT_LASTSESS, this.#plane.now);
    if (backend !== this.#frontend && backend.rules.content.length > 0) {
      this.#inBackend = true;
      this.#inspectUntil = this.#plane.now + backend.inspectDelay;
      this.#inspect();
      return;
    }
    this.#dispatch();
  }

  // ---- a server ----

  #dispatch(): void {
    const runtime = this.#backend.backend as BackendRuntime;
    this.#retries = runtime.retries;
    runtime.persist?.(this.transaction);
    this.#assign();
  }

  #assign(): void {
    const plane = this.#plane;
    const runtime = this.#backend.backend as BackendRuntime;
    const server = runtime.dispatcher.assign(this, this.#avoid, plane.now);
    if (server >= 0) {
      this.assigned(server);
      return;
    }
    if (server === QUEUED) {
      this.#state = QUEUEING;
      const { queue, connect } = this.#backend.timeouts;
      const limit = queue !== Number.POSITIVE_INFINITY ? queue : connect;
      if (limit !== Number.POSITIVE_INFINITY) plane.wheel.set(this.#timer, plane.now + limit);
      return;
    }
    this.transaction.server = NONE;
    this.#end(CAUSE_SERVER_ABORT, PHASE_CONNECT);
  }

  assigned(server: number): void {
    const plane = this.#plane;
    const { transaction } = this;
    plane.wheel.clear(this.#timer);
    this.#hasSlot = true;
    if (this.#avoid !== NONE && server !== this.#avoid) transaction.redispatched = true;
    transaction.server = server;
    if (transaction.times[TIME_QUEUED] === -1) transaction.times[TIME_QUEUED] = plane.now;
    this.#backend.state.counters.countServerSession(server, plane.now);
    const row = this.#backend.backendRow + 1 + server;
    plane.statistics.add(row, stat.STAT_STOT, 1);
    plane.statistics.add(row, stat.STAT_LBTOT, 1);
    plane.statistics.set(row, stat.STAT_LASTSESS, plane.now);
    this.#connect();
  }

  #connect(): void {
    const plane = this.#plane;
    this.#state = CONNECTING;
    plane.statistics.add(this.#backend.backendRow, stat.STAT_CONNECT, 1);
    const connection = connectServer(plane, this.#backend, this.transaction, this);
    if (typeof connection === "number") {
      this.#connectFailed(CAUSE_RESOURCE);
      return;
    }
    this.#server = connection;
    const limit = this.#backend.timeouts.connect;
    if (limit !== Number.POSITIVE_INFINITY) plane.wheel.set(this.#timer, plane.now + limit);
  }

  connected(_connection: Connection, result: number): void {
    if (this.#state !== CONNECTING) return;
    if (result < 0) {
      this.#connectFailed(CAUSE_SERVER_ABORT);
      return;
    }
    const plane = this.#plane;
    plane.wheel.clear(this.#timer);
    this.transaction.times[TIME_CONNECTED] = plane.now;
    const { traffic } = plane;
    if (traffic?.watchesSuccess) traffic.connected(this.#backend.index, this.transaction.server);
    this.#openTunnel(this.#server as Connection);
  }

  #connectFailed(cause: number): void {
    const plane = this.#plane;
    const { transaction } = this;
    const backend = this.#backend;
    const runtime = backend.backend as BackendRuntime;
    const row = backend.backendRow + 1 + transaction.server;
    if (cause !== CAUSE_RESOURCE) plane.traffic?.refused(backend.index, transaction.server);
    plane.wheel.clear(this.#timer);
    this.#server?.close();
    this.#server = undefined;
    if (this.#retries <= 0) {
      plane.statistics.add(row, stat.STAT_ECON, 1);
      plane.statistics.add(backend.backendRow, stat.STAT_ECON, 1);
      this.#end(cause, PHASE_CONNECT);
      return;
    }
    this.#retries--;
    transaction.retries++;
    const { redispatch } = runtime;
    const elsewhere =
      redispatch !== undefined &&
      (redispatch < 0
        ? transaction.retries >= runtime.retries + 1 + redispatch
        : redispatch > 0 && transaction.retries % redispatch === 0);
    plane.statistics.add(backend.backendRow, elsewhere ? stat.STAT_WREDIS : stat.STAT_WRETR, 1);
    plane.statistics.add(row, elsewhere ? stat.STAT_WREDIS : stat.STAT_WRETR, 1);
    if (elsewhere) {
      transaction.wantedServer = NONE;
      this.#avoid = transaction.server;
      this.#releaseSlot();
      this.#assign();
    } else if (cause === CAUSE_SERVER_TIMEOUT) this.#connect();
    else {
      const delay = Math.min(RETRY_DELAY, backend.timeouts.connect);
      plane.wheel.set(this.#timer, plane.now + delay);
    }
  }

  #openTunnel(server: Connection): void {
    const plane = this.#plane;
    const { transaction, connection } = this;
    this.#state = TUNNELLING;
    this.#server = undefined;
    const front = this.#frontend.timeouts;
    const back = this.#backend.timeouts;
    this.#tunnel = new Tunnel(
      plane,
      connection,
      server,
      {
        client: transaction.timeoutClient !== 0 ? transaction.timeoutClient : front.client,
        server: transaction.timeoutServer !== 0 ? transaction.timeoutServer : back.server,
        tunnel: transaction.timeoutTunnel !== 0 ? transaction.timeoutTunnel : back.tunnel,
        clientFin: front.clientFin,
        serverFin: back.serverFin,
      },
      (cause) => {
        this.#tunnel = undefined;
        transaction.bytesIn = connection.bytesIn;
        transaction.bytesOut = connection.bytesOut;
        this.#end(cause, cause === CAUSE_NONE ? PHASE_NONE : PHASE_DATA);
      },
      this.#responseInspection(),
    );
    this.#tunnel.start();
  }

  /** `tcp-response content` rules, over what the server says first. */
  #responseInspection(): ResponseInspection | undefined {
    const { responseContent } = this.#backend.rules;
    if (responseContent.length === 0) return undefined;
    const plane = this.#plane;
    const { transaction } = this;
    const { slab } = plane;
    const until = plane.now + this.#backend.responseInspectDelay;
    this.#progress.next = 0;
    return {
      until,
      inspect: (server) => {
        transaction.now = plane.now;
        transaction.responsePayloadComplete = server.isEnded;
        const buffer = server.peekInput();
        if (buffer !== NO_BUFFER) {
          transaction.responsePayloadStart = slab.inStart[buffer] as number;
          transaction.responsePayloadEnd = slab.inEnd[buffer] as number;
        }
        const waiting = plane.now < until && !server.isEnded;
        const verdict = runRules(responseContent, transaction, this.#progress, waiting);
        if (verdict.type === "more") return "wait";
        return verdict.type === "continue" || verdict.type === "final" ? "go" : "close";
      },
    };
  }

  // ---- events before the tunnel ----

  received(connection: Connection): void {
    if (connection !== this.connection) {
      if (connection.isEnded && this.#state === CONNECTING) this.#connectFailed(CAUSE_SERVER_ABORT);
      return;
    }
    if (this.#state === INSPECTING) this.#inspect();
    else if (connection.isEnded && !connection.hasInput && this.#state !== OVER) {
      const abort = (this.#frontend.frontend as FrontendRuntime).abortOnClose;
      if (abort || this.#backend.backend?.abortOnClose)
        this.#end(CAUSE_CLIENT_ABORT, this.#phase());
    }
  }

  drained(): void {}

  failed(connection: Connection): void {
    if (connection === this.connection) this.#end(CAUSE_CLIENT_ABORT, this.#phase());
    else this.#connectFailed(CAUSE_SERVER_ABORT);
  }

  timedOut(): void {
    switch (this.#state) {
      case INSPECTING:
        this.#inspect();
        return;
      case QUEUEING:
        this.#end(CAUSE_SERVER_TIMEOUT, PHASE_QUEUE);
        return;
      case CONNECTING:
        if (this.#server === undefined) this.#connect();
        else this.#connectFailed(CAUSE_SERVER_TIMEOUT);
    }
  }

  #phase(): number {
    return this.#state === QUEUEING
      ? PHASE_QUEUE
      : this.#state === CONNECTING
        ? PHASE_CONNECT
        : this.#state === TUNNELLING
          ? PHASE_DATA
          : PHASE_REQUEST;
  }

  #end(cause: number, phase: number, reset = false): void {
    if (this.#state === OVER) return;
    this.#state = OVER;
    const plane = this.#plane;
    const { transaction } = this;
    const front = this.#frontend.frontend as FrontendRuntime;
    const backend = this.#backend;
    transaction.cause = cause;
    transaction.phase = phase;
    transaction.times[TIME_END] = transaction.now = plane.now;
    if (transaction.bytesIn === 0) transaction.bytesIn = this.connection.bytesIn;
    backend.backend?.dispatcher.cancel(this);
    this.#server?.close();
    this.#server = undefined;
    if (cause === CAUSE_CLIENT_ABORT)
      plane.statistics.add(this.#frontend.frontendRow, stat.STAT_CLI_ABRT, 1);
    if (cause === CAUSE_SERVER_ABORT && phase === PHASE_DATA) {
      plane.statistics.add(backend.backendRow, stat.STAT_SRV_ABRT, 1);
    }
    statisticsOfEnd(plane, transaction, this.#frontend, backend);
    // The line counts the others, not the one that is over.
    this.#releaseSlot();
    this.#leaveBackend();
    const isNull =
      front.dontLogNull && this.connection.bytesIn === 0 && transaction.server === NONE;
    if (!isNull) front.log?.write(transaction, plane.ring.wallTime);
    this.#leave();
    this.connection.close(reset);
    this.#host.ended(this.session);
  }

  /** Gives back all but the connection. */
  #leave(): void {
    const plane = this.#plane;
    this.#state = OVER;
    this.#releaseSlot();
    this.#leaveBackend();
    plane.wheel.destroy(this.#timer);
    plane.giveTransaction(this.transaction);
    plane.clients.delete(this);
  }

  #leaveBackend(): void {
    if (!this.#isCounted) return;
    this.#isCounted = false;
    this.#backend.state.counters.addBackend(-1);
  }

  #releaseSlot(): void {
    if (!this.#hasSlot) return;
    this.#hasSlot = false;
    (this.#backend.backend as BackendRuntime).dispatcher.release(this.transaction.server);
  }
}
