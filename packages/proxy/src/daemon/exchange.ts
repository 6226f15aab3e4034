import { NO_BUFFER } from "@ha/linux/ring";
import { ChunkedDecoder } from "../core/http/chunked.ts";
import { frameResponse, isBodiless } from "../core/http/framing.ts";
import { parseResponseHead } from "../core/http/h1.ts";
import {
  clearHead,
  HEAD_CHANGED,
  HEAD_CHUNKED,
  HEAD_CLOSE,
  HEAD_KEEP_ALIVE,
  HEAD_LENGTH,
  HEAD_UPGRADE,
  type Head,
  INCOMPLETE,
  METHOD_CONNECT,
  METHOD_HEAD,
  METHOD_OTHER,
  METHOD_PATCH,
  METHOD_POST,
} from "../core/http/head.ts";
import { closesConnection, standardReply } from "../core/http/replies.ts";
import {
  CONNECTION_CLOSE,
  CONNECTION_KEEP_ALIVE,
  CONNECTION_SILENT,
  CONNECTION_UPGRADE,
  stripHopByHop,
  writeRequestHead,
} from "../core/http/serialise.ts";
import { type Rule, type RuleProgress, runRules, type Verdict } from "../core/rule/rule.ts";
import { createTicket, type QueueTicket } from "../core/server/queue.ts";
import * as stat from "../core/statistics.ts";
import {
  CAUSE_CLIENT_ABORT,
  CAUSE_DOWN,
  CAUSE_INTERNAL,
  CAUSE_LOCAL,
  CAUSE_NONE,
  CAUSE_PROXY,
  CAUSE_RESOURCE,
  CAUSE_SERVER_ABORT,
  CAUSE_SERVER_TIMEOUT,
  NONE,
  PHASE_CONNECT,
  PHASE_DATA,
  PHASE_HEADERS,
  PHASE_NONE,
  PHASE_QUEUE,
  PHASE_REQUEST,
  PHASE_TARPIT,
  TIME_CONNECTED,
  TIME_END,
  TIME_QUEUED,
  TIME_REQUEST,
  TIME_RESPONSE,
  type Transaction,
} from "../core/transaction.ts";
import { type Connection, type ConnectionOwner, OUTPUT_LOW } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";
import { QUEUED, type ServerWaiter } from "./dispatcher.ts";
import { statisticsOfEnd } from "./exchange-statistics.ts";
import type { FrontendRuntime, ProxyRuntime, Service } from "./proxy-runtime.ts";
import { connectServer } from "./server-connect.ts";
import type { TimerOwner } from "./timer-wheel.ts";
import { Tunnel } from "./tunnel.ts";

/** What an exchange needs of the side that its request came from: HTTP/1 or HTTP/2. */
export interface ExchangeClient {
  /**
   * Sends the head in `transaction.response`, which lies in `buffer` (its reference passes). `bodyless` heads end
   * the response by themselves. `closing`: the connection ends with this response.
   */
  respondHead(exchange: Exchange, buffer: number, closing: boolean): void;
  /** Sends body bytes, coded as the response says; the reference passes. */
  respondBody(exchange: Exchange, buffer: number, start: number, end: number): void;
  /** The response is whole. The exchange is over as soon as this returns. */
  respondEnd(exchange: Exchange, closing: boolean): void;
  /** The response cannot be finished, or none is wanted: the client must notice. */
  abort(exchange: Exchange, reset: boolean): void;
  /** Sends what was queued. */
  flush(): void;
  /** Bytes on their way to the client. */
  readonly unsent: number;
  /** More of the request's body may come: `requestBody` and `requestEnd` follow. */
  readBody(exchange: Exchange): void;
  /** Takes body bytes back, to be given again. */
  returnBody(buffer: number, start: number, end: number): void;
  /** Hands the connection over to a tunnel. Undefined where that cannot be (HTTP/2). */
  takeConnection(exchange: Exchange): Connection | undefined;
  /** The tunnel that had the connection is over, and the connection closed. */
  tunnelEnded(exchange: Exchange): void;
  /** Whether the connection could carry another request after this one. */
  readonly keepsAlive: boolean;
  /** The connection to a server that only this client's requests may use (`http-reuse never`). */
  ownServer: Connection | undefined;
}

/** Where an exchange is. */
const IDLE = 0;
const RULES = 1;
const PAUSED = 2;
const TARPIT = 3;
const QUEUEING = 4;
const CONNECTING = 5;
const AWAITING = 6;
const RESPONDING = 7;
const TUNNELLING = 8;
const OVER = 9;

/** Steps of a request's way through rules. */
const STEP_BUFFER = 0;
const STEP_FRONT_CONTENT = 1;
const STEP_FRONT_REQUEST = 2;
const STEP_FRONT_REDIRECT = 3;
const STEP_FRONT_STATS = 4;
const STEP_CHOOSE = 5;
const STEP_BACK_BUFFER = 6;
const STEP_BACK_CONTENT = 7;
const STEP_BACK_REQUEST = 8;
const STEP_BACK_REDIRECT = 9;
const STEP_BACK_STATS = 10;

/** A body longer than this is read in large pieces. */
const LARGE_BODY = 65_536;
/** Between two tries on one server. HAProxy configuration manual §4.2, retries. */
const RETRY_DELAY = 1_000;

let tickets = 0;

/**
 * One request and its response, from the finished request head to the last byte: the rules, the server, the
 * connection to it, and the copying of bodies. The client's side is behind `ExchangeClient`; the server's side is
 * HTTP/1. Pooled; nothing is allocated for one beyond the slot.
 */
export class Exchange implements ConnectionOwner, ServerWaiter, TimerOwner {
  readonly plane: DataPlane;
  readonly ticket: QueueTicket;
  transaction: Transaction;
  client: ExchangeClient | undefined = undefined;
  frontend: ProxyRuntime;
  backend: ProxyRuntime;
  /** The request's head, and with `bodyStart`–`bodyEnd` what was kept of its body. */
  requestBuffer = NO_BUFFER;
  /** The request's body has come whole (or there is none). */
  requestDone = false;
  #state = IDLE;
  #step = STEP_BUFFER;
  readonly #progress: RuleProgress = { next: 0 };
  readonly #timer: number;
  #server: Connection | undefined = undefined;
  #hasSlot = false;
  /** Of the server's connection, when this request went out: whether it answered anything since. */
  #bytesBefore = -1;
  #responseBuffer = NO_BUFFER;
  #responseDone = false;
  /** Bytes of a body with a length that are still to come; Infinity until the server closes. */
  #left = 0;
  readonly #chunked = new ChunkedDecoder();
  #retries = 0;
  #avoid = NONE;
  #sentRequest = false;
  #bodySent = 0;
  #isBuffering = false;
  #bufferTarget = 0;
  #service: Service | undefined = undefined;
  #closesServer = false;
  #closing = false;
  /** `option logasap` wrote the line already. */
  #isLogged = false;
  #tarpitStatus = 500;
  #tunnel: Tunnel | undefined = undefined;

  constructor(plane: DataPlane, frontend: ProxyRuntime) {
    this.plane = plane;
    this.frontend = this.backend = frontend;
    this.transaction = plane.takeTransaction();
    this.ticket = createTicket(++tickets);
    this.#timer = plane.wheel.create(this);
  }

  get isBufferingBody(): boolean {
    return this.#isBuffering;
  }

  /** `option http-drop-request-trailers` of the backend; before it is chosen nothing of a body goes out. */
  get dropsRequestTrailers(): boolean {
    return this.backend.backend?.dropsTrailers ?? false;
  }

  /** Whether body bytes may be given: there is somebody to send them to, and room. */
  get wantsBody(): boolean {
    if (this.requestDone) return false;
    if (this.#isBuffering) return true;
    const server = this.#server;
    return this.#sentRequest && server !== undefined && server.unsent < OUTPUT_LOW * 2;
  }

  /** The request's head is complete in `transaction.request`, in `requestBuffer`, whose reference is ours. */
  start(client: ExchangeClient, frontend: ProxyRuntime): void {
    this.client = client;
    this.frontend = this.backend = frontend;
    const { transaction } = this;
    transaction.now = this.plane.now;
    transaction.http = true;
    transaction.frontend = frontend.index;
    const head = transaction.request.head;
    transaction.request.bodyStart = transaction.request.bodyEnd = head.end;
    this.requestDone =
      (head.flags & HEAD_CHUNKED) === 0 &&
      ((head.flags & HEAD_LENGTH) === 0 || head.contentLength === 0);
    this.#state = RULES;
    this.#step = STEP_BUFFER;
    this.#progress.next = 0;
    this.#sentRequest = this.#responseDone = this.#closesServer = this.#isBuffering = false;
    this.#closing = this.#isLogged = false;
    this.#bodySent = 0;
    this.#avoid = NONE;
    this.#server = undefined;
    this.#service = undefined;
    frontend.state.counters.countRequest(this.plane.now);
    this.plane.statistics.add(frontend.frontendRow, stat.STAT_REQ_TOT, 1);
    (frontend.frontend as FrontendRuntime).captureRequest?.(transaction);
    this.#run();
  }

  /** Bytes of the request's body, as they came (coded). The reference passes. */
  requestBody(buffer: number, start: number, end: number): void {
    const server = this.#server;
    if (this.#isBuffering) {
      this.#keepBody(buffer, start, end);
      return;
    }
    if (server === undefined || !this.#sentRequest) {
      this.plane.slab.release(buffer);
      return;
    }
    this.#bodySent += end - start;
    server.queue(buffer, start, end);
    server.flush();
  }

  /** The request's body is whole. */
  requestEnd(): void {
    this.requestDone = true;
    if (this.#isBuffering) this.#bufferedEnough();
    else if (this.#state === AWAITING) this.#setServerTimer();
    else if (this.#state === RESPONDING && this.#responseDone) this.#finish();
  }

  /** The request's body broke its coding: 400 where nothing was answered yet. */
  badBody(): void {
    this.plane.statistics.add(this.frontend.frontendRow, stat.STAT_EREQ, 1);
    if (this.#state === RESPONDING || this.#state === TUNNELLING)
      this.#end(CAUSE_CLIENT_ABORT, PHASE_DATA);
    else this.#reply(400, CAUSE_PROXY, PHASE_DATA);
  }

  /** The server was marked down, and its sessions are to end. */
  leaveServer(proxy: number, server: number): void {
    if (this.#state === OVER || this.#state === IDLE || !this.#hasSlot) return;
    if (this.backend.index === proxy && this.transaction.server === server) this.kill(CAUSE_DOWN);
  }

  /** Every server that it could have waited for is gone. */
  unserved(): void {
    if (this.#state !== QUEUEING) return;
    this.plane.wheel.clear(this.#timer);
    this.transaction.server = NONE;
    this.#reply(503, CAUSE_SERVER_ABORT, PHASE_CONNECT);
  }

  /** The client is gone: nothing can be sent to it any more. `cause` is C or c. */
  clientGone(cause: number): void {
    if (this.#state === OVER || this.#state === IDLE) return;
    this.#end(cause, this.#phase());
  }

  /** The client sent all and will send no more, which `abortonclose` takes for leaving. */
  clientEnded(): void {
    const abort =
      (this.frontend.frontend as FrontendRuntime).abortOnClose ||
      this.backend.backend?.abortOnClose;
    const unanswered =
      this.#state === QUEUEING || this.#state === CONNECTING || this.#state === AWAITING;
    if (!this.requestDone && this.#state !== TARPIT) this.clientGone(CAUSE_CLIENT_ABORT);
    else if (abort && unanswered) this.clientGone(CAUSE_CLIENT_ABORT);
  }

  /** The client's side has room again. */
  clientDrained(): void {
    if (this.#state === RESPONDING) this.#readResponse();
  }

  // ---- rules ----

  /** Goes on through the steps until something must be waited for, or the request is answered or on its way. */
  #run(): void {
    this.#state = RULES;
    while (this.#state === RULES) {
      const verdict = this.#runStep();
      if (this.#state !== RULES) return;
      if (verdict === undefined || verdict.type === "continue" || verdict.type === "final") {
        this.#step++;
        this.#progress.next = 0;
      } else if (!this.#obey(verdict)) return;
    }
  }

  /** Runs one step. Undefined or `continue` is on to the next. */
  #runStep(): Verdict | undefined {
    const { frontend, backend, transaction } = this;
    switch (this.#step) {
      case STEP_BUFFER:
        if ((frontend.frontend as FrontendRuntime).bufferRequest)
          this.#bufferBody(0, Number.POSITIVE_INFINITY);
        return this.#monitor();
      case STEP_FRONT_CONTENT:
        return this.#rules(frontend.rules.content);
      case STEP_FRONT_REQUEST:
        return this.#rules(frontend.rules.request);
      case STEP_FRONT_REDIRECT:
        return this.#rules(frontend.rules.redirect);
      case STEP_FRONT_STATS:
        return this.#stats(frontend);
      case STEP_CHOOSE:
        this.#choose();
        return undefined;
      case STEP_BACK_BUFFER:
        if (backend !== frontend && backend.backend?.bufferRequest) {
          this.#bufferBody(0, Number.POSITIVE_INFINITY);
        }
        return undefined;
      case STEP_BACK_CONTENT:
        return backend === frontend ? undefined : this.#rules(backend.rules.content);
      case STEP_BACK_REQUEST:
        return backend === frontend ? undefined : this.#rules(backend.rules.request);
      case STEP_BACK_REDIRECT:
        return backend === frontend ? undefined : this.#rules(backend.rules.redirect);
      case STEP_BACK_STATS:
        return backend === frontend ? undefined : this.#stats(backend);
      default:
        transaction.now = this.plane.now;
        this.#dispatch();
        return undefined;
    }
  }

  #rules(rules: readonly Rule[]): Verdict | undefined {
    if (rules.length === 0) return undefined;
    this.transaction.now = this.plane.now;
    return runRules(rules, this.transaction, this.#progress);
  }

  /** Does what a verdict says. True: go on with the same step. */
  #obey(verdict: Verdict): boolean {
    const { statistics } = this.plane;
    const row = this.#step < STEP_CHOOSE ? this.frontend.frontendRow : this.backend.backendRow;
    switch (verdict.type) {
      case "respond":
        if (verdict.by === "deny") statistics.add(row, stat.STAT_DREQ, 1);
        else statistics.add(row, stat.STAT_INTERCEPTED, 1);
        this.#reply(
          verdict.status,
          verdict.by === "deny" ? CAUSE_PROXY : CAUSE_LOCAL,
          PHASE_REQUEST,
        );
        return false;
      case "tarpit":
        statistics.add(row, stat.STAT_DREQ, 1);
        this.#state = TARPIT;
        this.#tarpitStatus = verdict.status;
        this.plane.wheel.set(this.#timer, this.plane.now + this.#tarpitTime());
        return false;
      case "close":
        statistics.add(row, stat.STAT_DREQ, 1);
        this.transaction.times[TIME_REQUEST] = -1;
        this.#end(CAUSE_PROXY, PHASE_REQUEST, verdict.silent);
        return false;
      case "wait-body":
        if (this.#bufferBody(verdict.atLeast, this.plane.now + verdict.milliseconds)) return false;
        return true;
      case "pause":
        this.#state = PAUSED;
        this.plane.wheel.set(this.#timer, this.plane.now + verdict.milliseconds);
        return false;
      case "service":
        this.#serve(verdict.name);
        return false;
      case "internal-error":
        this.#reply(500, CAUSE_PROXY, PHASE_REQUEST);
        return false;
      default:
        // What only connections know of (more, expect, switch-http …) has happened when a head is there.
        return true;
    }
  }

  #tarpitTime(): number {
    const { tarpit, connect } = this.frontend.timeouts;
    const time = tarpit !== Number.POSITIVE_INFINITY ? tarpit : connect;
    return time === Number.POSITIVE_INFINITY ? 0 : time;
  }

  #monitor(): Verdict | undefined {
    const uri = this.frontend.monitorUri;
    if (uri === undefined) return undefined;
    const { targetStart, targetEnd } = this.transaction.request.head;
    if (targetEnd - targetStart !== uri.length) return undefined;
    const { bytes } = this.plane.slab;
    for (let i = 0; i < uri.length; i++) if (bytes[targetStart + i] !== uri[i]) return undefined;
    const fails = this.frontend.monitorFails?.(this.transaction) ?? false;
    this.#reply(fails ? 503 : 200, CAUSE_LOCAL, PHASE_REQUEST);
    return undefined;
  }

  #stats(proxy: ProxyRuntime): Verdict | undefined {
    const page = proxy.statsPage;
    if (page?.matches(this.transaction)) this.#serveBy(page);
    return undefined;
  }

  #serve(name: string): void {
    const service = this.plane.services.get(name);
    if (service === undefined) this.#reply(503, CAUSE_LOCAL, PHASE_REQUEST);
    else this.#serveBy(service);
  }

  #serveBy(service: Service): void {
    this.#service = service;
    if (service.needsBody(this.transaction) && this.#bufferBody(0, Number.POSITIVE_INFINITY))
      return;
    this.#answerByService(service);
  }

  #answerByService(service: Service): void {
    this.plane.statistics.add(this.frontend.frontendRow, stat.STAT_INTERCEPTED, 1);
    this.transaction.reply = { status: 200, message: service.answer(this.transaction) };
    this.#reply(200, CAUSE_LOCAL, PHASE_REQUEST);
  }

  #choose(): void {
    const { plane, transaction, frontend } = this;
    const chosen = (frontend.frontend as FrontendRuntime).chooseBackend(transaction);
    const backend = chosen === NONE ? undefined : plane.proxies[chosen];
    if (backend?.backend === undefined) {
      transaction.backend = frontend.index;
      this.#reply(503, CAUSE_SERVER_ABORT, PHASE_CONNECT);
      return;
    }
    this.backend = backend;
    transaction.backend = backend.index;
    backend.state.counters.addBackend(1);
    backend.state.counters.countBackendSession(plane.now);
    plane.statistics.add(backend.backendRow, stat.STAT_STOT, 1);
    plane.statistics.add(backend.backendRow, stat.STAT_REQ_TOT, 1);
    plane.statistics.set(backend.backendRow, stat.STAT_LASTSESS, plane.now);
  }

  // ---- the body, kept until rules have seen it ----

  /** Waits for the body (all of it, or `atLeast` bytes). False when there is nothing to wait for. */
  #bufferBody(atLeast: number, deadline: number): boolean {
    const { plane } = this;
    if (this.requestDone || this.#bodyRoom() === 0) return false;
    this.#isBuffering = true;
    this.#bufferTarget = atLeast;
    this.#state = PAUSED;
    if (deadline !== Number.POSITIVE_INFINITY) plane.wheel.set(this.#timer, deadline);
    const client = this.client as ExchangeClient;
    client.readBody(this);
    return this.#isBuffering;
  }

  #bodyRoom(): number {
    const { slab } = this.plane;
    const end = slab.offsetOf(this.requestBuffer) + slab.sizeOf(this.requestBuffer);
    return end - this.transaction.request.bodyEnd;
  }

  #keepBody(buffer: number, start: number, end: number): void {
    const { slab } = this.plane;
    const { request } = this.transaction;
    const size = Math.min(end - start, this.#bodyRoom());
    slab.bytes.copyWithin(request.bodyEnd, start, start + size);
    request.bodyEnd += size;
    if (size < end - start) {
      // More than a buffer: the rest waits with the client.
      (this.client as ExchangeClient).returnBody(buffer, start + size, end);
      this.#bufferedEnough();
      return;
    }
    slab.release(buffer);
    const kept = request.bodyEnd - request.bodyStart;
    if (this.#bodyRoom() === 0 || (this.#bufferTarget > 0 && kept >= this.#bufferTarget)) {
      this.#bufferedEnough();
    }
  }

  #bufferedEnough(): void {
    if (!this.#isBuffering) return;
    this.#isBuffering = false;
    this.transaction.request.bodyComplete = this.requestDone;
    this.plane.wheel.clear(this.#timer);
    if (this.#state !== PAUSED) return;
    const service = this.#service;
    if (service !== undefined) this.#answerByService(service);
    else this.#resume();
  }

  /** Goes on after a wait, from a clean stack. */
  #resume(): void {
    const { transaction } = this;
    this.plane.afterTurn(() => {
      if (this.#state === PAUSED && this.transaction === transaction) this.#run();
    });
  }

  // ---- a server ----

  #dispatch(): void {
    const { backend } = this;
    const runtime = backend.backend;
    if (runtime === undefined) return;
    this.#retries = runtime.retries;
    const { transaction } = this;
    const front = this.frontend.frontend as FrontendRuntime;
    if (
      front.addFields?.(transaction) === false ||
      (this.frontend !== this.backend && runtime.addFields?.(transaction) === false) ||
      runtime.persist?.(transaction) === false
    ) {
      this.#reply(500, CAUSE_PROXY, PHASE_REQUEST);
      return;
    }
    if (runtime.preferLastServer && transaction.wantedServer === NONE) {
      const { session } = transaction;
      if (session.lastBackend === this.backend.index) transaction.wantedServer = session.lastServer;
    }
    this.#assign();
  }

  #assign(): void {
    const runtime = this.backend.backend;
    if (runtime === undefined) return;
    const { plane } = this;
    const server = runtime.dispatcher.assign(this, this.#avoid, plane.now);
    if (server >= 0) {
      this.assigned(server);
      return;
    }
    if (server === QUEUED) {
      this.#state = QUEUEING;
      const limit = this.backend.timeouts.queue;
      const time = limit !== Number.POSITIVE_INFINITY ? limit : this.backend.timeouts.connect;
      if (time !== Number.POSITIVE_INFINITY) plane.wheel.set(this.#timer, plane.now + time);
      return;
    }
    this.transaction.server = NONE;
    this.#reply(503, CAUSE_SERVER_ABORT, PHASE_CONNECT);
  }

  assigned(server: number): void {
    const { plane, transaction, backend } = this;
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
    plane.statistics.set(row, stat.STAT_LASTSESS, plane.now);
    this.#connect();
  }

  /** Takes an idle connection as far as `http-reuse` allows, else opens one. */
  #connect(): void {
    const runtime = this.backend.backend;
    const client = this.client;
    if (runtime === undefined || client === undefined) return;
    const { plane, transaction } = this;
    const pool = runtime.pools[transaction.server];
    this.#state = CONNECTING;
    let idle: Connection | undefined;
    const isFirst = transaction.session.transactions <= 1;
    const own = client.ownServer;
    if (own !== undefined) {
      client.ownServer = undefined;
      if (
        own.isOpen &&
        !own.isEnded &&
        own.side === transaction.server &&
        own.peer === this.backend.index
      ) {
        own.owner = this;
        idle = own;
      } else own.close();
    }
    if (
      idle === undefined &&
      pool !== undefined &&
      this.#avoid === NONE &&
      transaction.retries === 0
    ) {
      switch (runtime.reuse) {
        case "never":
          break;
        case "safe":
          if (!isFirst) idle = pool.take(this, false);
          break;
        case "aggressive":
          idle = pool.take(this, isFirst);
          break;
        default:
          idle = pool.take(this, false);
      }
    }
    if (idle !== undefined) {
      this.#server = idle;
      plane.statistics.add(this.backend.backendRow + 1 + transaction.server, stat.STAT_REUSE, 1);
      plane.statistics.add(this.backend.backendRow, stat.STAT_REUSE, 1);
      this.#ready();
      return;
    }
    plane.statistics.add(this.backend.backendRow + 1 + transaction.server, stat.STAT_CONNECT, 1);
    plane.statistics.add(this.backend.backendRow, stat.STAT_CONNECT, 1);
    const connection = connectServer(plane, this.backend, transaction, this);
    if (typeof connection === "number") {
      this.#connectFailed(connection, CAUSE_RESOURCE);
      return;
    }
    this.#server = connection;
    const limit = this.backend.timeouts.connect;
    if (limit !== Number.POSITIVE_INFINITY) plane.wheel.set(this.#timer, plane.now + limit);
  }

  connected(_connection: Connection, result: number): void {
    if (this.#state !== CONNECTING) return;
    if (result < 0) {
      this.#connectFailed(result, CAUSE_SERVER_ABORT);
      return;
    }
    const { traffic } = this.plane;
    if (traffic?.watchesSuccess) traffic.connected(this.backend.index, this.transaction.server);
    this.#ready();
  }

  #connectFailed(_error: number, cause: number): void {
    const { plane, transaction, backend } = this;
    const runtime = backend.backend;
    if (runtime === undefined) return;
    if (cause !== CAUSE_RESOURCE) plane.traffic?.refused(backend.index, transaction.server);
    plane.wheel.clear(this.#timer);
    this.#dropServer();
    const row = backend.backendRow + 1 + transaction.server;
    if (!runtime.retryOn.connectionFailure || this.#retries <= 0) {
      plane.statistics.add(row, stat.STAT_ECON, 1);
      plane.statistics.add(backend.backendRow, stat.STAT_ECON, 1);
      this.#reply(503, cause, PHASE_CONNECT);
      return;
    }
    this.#retry(cause === CAUSE_SERVER_TIMEOUT);
  }

  /** Tries again: on the same server after a moment, or on another where `option redispatch` says so. */
  #retry(atOnce: boolean): void {
    const { plane, transaction, backend } = this;
    const runtime = backend.backend;
    if (runtime === undefined) return;
    const server = transaction.server;
    const row = backend.backendRow + 1 + server;
    this.#retries--;
    transaction.retries++;
    this.#sentRequest = false;
    if (redispatches(runtime.redispatch, transaction.retries, runtime.retries)) {
      plane.statistics.add(row, stat.STAT_WREDIS, 1);
      plane.statistics.add(backend.backendRow, stat.STAT_WREDIS, 1);
      transaction.wantedServer = NONE;
      this.#releaseSlot();
      this.#avoid = server;
      this.#assign();
      return;
    }
    plane.statistics.add(row, stat.STAT_WRETR, 1);
    plane.statistics.add(backend.backendRow, stat.STAT_WRETR, 1);
    if (atOnce) {
      this.#connect();
      return;
    }
    this.#state = CONNECTING;
    const limit = backend.timeouts.connect;
    plane.wheel.set(this.#timer, plane.now + Math.min(RETRY_DELAY, limit));
  }

  /** A connection stands: the request goes out. */
  #ready(): void {
    const { plane, transaction } = this;
    const server = this.#server as Connection;
    plane.wheel.clear(this.#timer);
    server.uses++;
    this.#bytesBefore = server.bytesIn;
    if (transaction.times[TIME_CONNECTED] === -1) transaction.times[TIME_CONNECTED] = plane.now;
    this.#state = AWAITING;
    const head = transaction.response.head;
    clearHead(head);
    if (!this.#sendRequest(server)) {
      this.#reply(500, CAUSE_PROXY, PHASE_REQUEST);
      return;
    }
    this.#sentRequest = true;
    server.flush();
    server.resume();
    if (this.requestDone) this.#setServerTimer();
    else (this.client as ExchangeClient).readBody(this);
  }

  /** Queues the head, and what was kept of the body. False when there is no room for a head built anew. */
  #sendRequest(server: Connection): boolean {
    const { slab } = this.plane;
    const { request } = this.transaction;
    const { head } = request;
    if (this.backend.backend?.nameServer?.(this.transaction) === false) return false;
    const closes = this.#closesAfter();
    const upgrades = (head.flags & HEAD_UPGRADE) !== 0;
    stripHopByHop(slab.bytes, head, upgrades);
    const word = upgrades
      ? CONNECTION_UPGRADE
      : closes && !this.backend.backend?.pretendKeepalive
        ? CONNECTION_CLOSE
        : head.version === 10
          ? CONNECTION_KEEP_ALIVE
          : CONNECTION_SILENT;
    if ((head.flags & HEAD_CHANGED) === 0 && word === CONNECTION_SILENT) {
      slab.retain(this.requestBuffer);
      server.queue(this.requestBuffer, head.start, request.bodyEnd);
      this.#bodySent = request.bodyEnd - request.bodyStart;
      return true;
    }
    const buffer = slab.take();
    if (buffer === NO_BUFFER) return false;
    const start = slab.offsetOf(buffer);
    const end = writeRequestHead(slab.bytes, head, start, start + slab.smallSize, word);
    if (end < 0) {
      slab.release(buffer);
      return false;
    }
    server.queue(buffer, start, end);
    if (request.bodyEnd > request.bodyStart) {
      slab.retain(this.requestBuffer);
      server.queue(this.requestBuffer, request.bodyStart, request.bodyEnd);
      this.#bodySent = request.bodyEnd - request.bodyStart;
    }
    return true;
  }

  /** Whether the connection to the server ends with this exchange. */
  #closesAfter(): boolean {
    const front = this.frontend.frontend as FrontendRuntime;
    const mode = this.backend.backend?.mode ?? "http-keep-alive";
    return mode !== "http-keep-alive" || front.mode !== "http-keep-alive";
  }

  // ---- the response ----

  received(server: Connection): void {
    if (this.#state === AWAITING) this.#readHead(server);
    else if (this.#state === RESPONDING) this.#readResponse();
    else if (this.#state === CONNECTING && server.isEnded) this.#serverFailed();
  }

  drained(): void {
    if (!this.requestDone && this.wantsBody) (this.client as ExchangeClient).readBody(this);
  }

  failed(_server: Connection, error: number): void {
    if (this.#state === CONNECTING) this.#connectFailed(error, CAUSE_SERVER_ABORT);
    else this.#serverFailed();
  }

  /** The server ended or broke off before its answer was whole. */
  #serverFailed(): void {
    const { plane, backend, transaction } = this;
    if (this.#state === RESPONDING) {
      plane.statistics.add(backend.backendRow + 1 + transaction.server, stat.STAT_SRV_ABRT, 1);
      plane.statistics.add(backend.backendRow, stat.STAT_SRV_ABRT, 1);
      this.#end(CAUSE_SERVER_ABORT, PHASE_DATA);
      return;
    }
    const server = this.#server;
    // An idle connection may have been closed just when it was taken: nobody has seen the request then.
    const unseen =
      server !== undefined &&
      server.uses > 1 &&
      server.bytesIn === this.#bytesBefore &&
      isIdempotent(this.transaction.request.head.method);
    const retryOn = backend.backend?.retryOn;
    if (!unseen)
      plane.traffic?.failed(backend.index, transaction.server, "Close from server (http)");
    this.#dropServer();
    if ((unseen || retryOn?.emptyResponse) && this.#canRepeat()) {
      this.#retry(true);
      return;
    }
    plane.statistics.add(backend.backendRow + 1 + transaction.server, stat.STAT_ERESP, 1);
    plane.statistics.add(backend.backendRow, stat.STAT_ERESP, 1);
    this.#reply(502, CAUSE_SERVER_ABORT, PHASE_HEADERS);
  }

  /** Whether the request can be sent once more: all of it is still here. */
  #canRepeat(): boolean {
    const { request } = this.transaction;
    return (
      this.#retries > 0 &&
      !this.transaction.retryDisabled &&
      this.requestDone &&
      this.#bodySent === request.bodyEnd - request.bodyStart
    );
  }

  #readHead(server: Connection): void {
    const { plane, transaction } = this;
    const { slab } = plane;
    const { head } = transaction.response;
    for (;;) {
      const buffer = server.takeInput();
      if (buffer === NO_BUFFER) {
        if (server.isEnded) this.#serverFailed();
        return;
      }
      if (!this.#appendResponse(buffer)) {
        this.#badResponse();
        return;
      }
      const held = this.#responseBuffer;
      const relaxed = this.backend.backend?.relaxed ?? false;
      const start = slab.inStart[held] as number;
      const end = slab.inEnd[held] as number;
      const offset = parseResponseHead(slab.bytes, start, end, head, plane.maxFields, relaxed);
      if (offset === INCOMPLETE) continue;
      if (offset < 0 || frameResponse(slab.bytes, head, transaction.request.head.method) < 0) {
        this.#badResponse();
        return;
      }
      head.end = offset;
      this.#responseBuffer = NO_BUFFER;
      if (offset < end) {
        slab.retain(held);
        server.returnInput(held, offset, end);
      }
      if (head.status >= 100 && head.status < 200 && head.status !== 101) {
        this.#informational(held);
        continue;
      }
      this.#respond(server, held);
      return;
    }
  }

  /** A head that comes in pieces is gathered in one buffer. False when it does not fit. */
  #appendResponse(buffer: number): boolean {
    const { slab } = this.plane;
    const held = this.#responseBuffer;
    if (held === NO_BUFFER) {
      this.#responseBuffer = buffer;
      return true;
    }
    const start = slab.inStart[buffer] as number;
    const size = (slab.inEnd[buffer] as number) - start;
    const at = slab.inEnd[held] as number;
    const fits = at + size <= slab.offsetOf(held) + slab.sizeOf(held);
    if (fits) {
      slab.bytes.copyWithin(at, start, start + size);
      slab.inEnd[held] = at + size;
    }
    slab.release(buffer);
    return fits;
  }

  #badResponse(): void {
    const { plane, backend, transaction } = this;
    plane.traffic?.failed(backend.index, transaction.server, "Invalid http response (headers)");
    plane.statistics.add(backend.backendRow + 1 + transaction.server, stat.STAT_ERESP, 1);
    plane.statistics.add(backend.backendRow, stat.STAT_ERESP, 1);
    this.#dropServer();
    if (backend.backend?.retryOn.junkResponse && this.#canRepeat()) this.#retry(true);
    else this.#reply(502, CAUSE_PROXY, PHASE_HEADERS);
  }

  /** 100 and 103 pass through as they are; the answer itself follows. */
  #informational(buffer: number): void {
    const client = this.client as ExchangeClient;
    const { transaction } = this;
    const { head } = transaction.response;
    if (transaction.request.head.version >= 11) {
      client.respondHead(this, buffer, false);
      client.flush();
    } else this.plane.slab.release(buffer);
    clearHead(head);
  }

  #respond(server: Connection, buffer: number): void {
    const { plane, transaction, backend } = this;
    const { head } = transaction.response;
    plane.wheel.clear(this.#timer);
    const { traffic } = plane;
    if (traffic?.watchesSuccess) traffic.answered(backend.index, transaction.server, head.status);
    if (backend.backend?.retryOn.statuses.has(head.status) && this.#canRepeat()) {
      plane.slab.release(buffer);
      this.#dropServer();
      this.#retry(true);
      return;
    }
    transaction.hasResponse = true;
    transaction.times[TIME_RESPONSE] = transaction.now = plane.now;
    transaction.status = head.status;
    const upgrades =
      head.status === 101 ||
      (head.method === METHOD_CONNECT && head.status < 300 && head.status >= 200);
    this.#closesServer =
      this.#closesAfter() ||
      (head.flags & HEAD_CLOSE) !== 0 ||
      (head.version === 10 && (head.flags & HEAD_KEEP_ALIVE) === 0);
    if (head.version === 10) {
      head.version = 11;
      head.flags |= HEAD_CHANGED;
    }
    stripHopByHop(plane.slab.bytes, head, upgrades);
    const verdict = this.#responseRules();
    if (verdict !== undefined) {
      plane.slab.release(buffer);
      this.#dropServer();
      this.#answerResponseRule(verdict);
      return;
    }
    if (upgrades) {
      this.#upgrade(server, buffer);
      return;
    }
    const front = this.frontend.frontend as FrontendRuntime;
    if (front.logAsap) {
      transaction.bytesOut = head.end - head.start;
      front.log?.write(transaction, plane.ring.wallTime);
      transaction.bytesOut = 0;
      this.#isLogged = true;
    }
    this.#frame(head);
    const client = this.client as ExchangeClient;
    this.#state = RESPONDING;
    this.#closing =
      !client.keepsAlive || this.#left === Number.POSITIVE_INFINITY || this.#stopsKeepAlive();
    client.respondHead(this, buffer, this.#closing);
    if (this.#responseDone) this.#finish();
    else this.#readResponse();
  }

  /** Sets what of the body is to come. */
  #frame(head: Head): void {
    this.#left = 0;
    this.#responseDone = false;
    if (isBodiless(head)) this.#responseDone = true;
    else if ((head.flags & HEAD_CHUNKED) !== 0) {
      this.#chunked.reset();
      this.#chunked.dropsTrailers = (this.frontend.frontend as FrontendRuntime).dropsTrailers;
    } else if ((head.flags & HEAD_LENGTH) !== 0) {
      this.#left = head.contentLength;
      this.#responseDone = this.#left === 0;
    } else {
      this.#left = Number.POSITIVE_INFINITY;
      this.#closesServer = true;
    }
  }

  #stopsKeepAlive(): boolean {
    return (
      this.plane.isStopping || (this.frontend.frontend as FrontendRuntime).mode === "httpclose"
    );
  }

  /** Response rules of backend, then frontend, then those after the response. Undefined: go on. */
  #responseRules(): Verdict | undefined {
    const { backend, frontend, transaction } = this;
    if (backend.backend?.persistResponse?.(transaction) === false)
      return { type: "internal-error" };
    (frontend.frontend as FrontendRuntime).captureResponse?.(transaction);
    const verdict =
      this.#runResponse(backend.rules.responseContent) ??
      this.#runResponse(backend.rules.response) ??
      (frontend === backend ? undefined : this.#runResponse(frontend.rules.response));
    if (verdict !== undefined) return verdict;
    this.#afterResponse();
    return undefined;
  }

  #runResponse(rules: readonly Rule[]): Verdict | undefined {
    if (rules.length === 0) return undefined;
    this.#progress.next = 0;
    const verdict = runRules(rules, this.transaction, this.#progress);
    return verdict.type === "continue" || verdict.type === "final" ? undefined : verdict;
  }

  #afterResponse(): void {
    const { backend, frontend } = this;
    this.#runResponse(backend.rules.afterResponse);
    if (frontend !== backend) this.#runResponse(frontend.rules.afterResponse);
  }

  #answerResponseRule(verdict: Verdict): void {
    const { plane, backend } = this;
    if (verdict.type === "respond") {
      plane.statistics.add(backend.backendRow, stat.STAT_DRESP, 1);
      this.#reply(verdict.status, verdict.by === "deny" ? CAUSE_PROXY : CAUSE_LOCAL, PHASE_HEADERS);
    } else if (verdict.type === "close") this.#end(CAUSE_PROXY, PHASE_HEADERS, verdict.silent);
    else this.#reply(500, CAUSE_INTERNAL, PHASE_HEADERS);
  }

  /** Moves what came of the body to the client, and asks for more as long as it keeps up. */
  #readResponse(): void {
    const server = this.#server;
    const client = this.client;
    if (server === undefined || client === undefined) return;
    const { slab } = this.plane;
    let moved = 0;
    while (!this.#responseDone) {
      const buffer = server.takeInput();
      if (buffer === NO_BUFFER) break;
      const start = slab.inStart[buffer] as number;
      const end = slab.inEnd[buffer] as number;
      if (!this.#takeBody(server, buffer, start, end)) return;
      moved += end - start;
    }
    client.flush();
    if (this.#responseDone) {
      this.#finish();
      return;
    }
    if (server.isEnded) {
      if (this.#left === Number.POSITIVE_INFINITY) {
        this.#responseDone = true;
        this.#finish();
      } else this.#serverFailed();
      return;
    }
    if (client.unsent > OUTPUT_LOW * 3) {
      server.pause();
      this.plane.wheel.clear(this.#timer);
      return;
    }
    if (this.#left > LARGE_BODY)
      server.resumeLarge(this.#left === Number.POSITIVE_INFINITY ? 0 : this.#left);
    else if (moved >= LARGE_BODY && this.#left === 0) server.resumeLarge(0);
    else server.resume();
    this.#setServerTimer();
  }

  /** Passes on one range of the body. False when the response turned out broken. */
  #takeBody(server: Connection, buffer: number, start: number, end: number): boolean {
    const { slab } = this.plane;
    const client = this.client as ExchangeClient;
    if ((this.transaction.response.head.flags & HEAD_CHUNKED) !== 0) {
      const stop = this.#chunked.decode(slab.bytes, start, end, this.#decodes());
      if (stop < 0) {
        slab.release(buffer);
        this.#end(CAUSE_SERVER_ABORT, PHASE_DATA);
        return false;
      }
      this.#responseDone = this.#chunked.isDone;
      const next = start + this.#chunked.consumed;
      if (next < end) {
        slab.retain(buffer);
        server.returnInput(buffer, next, end);
      }
      client.respondBody(this, buffer, start, stop);
      return true;
    }
    const size = Math.min(end - start, this.#left);
    this.#left -= size;
    if (this.#left === 0) this.#responseDone = true;
    if (start + size < end) {
      slab.retain(buffer);
      server.returnInput(buffer, start + size, end);
    }
    client.respondBody(this, buffer, start, start + size);
    return true;
  }

  /** Whether the client cannot take the chunked coding. */
  #decodes(): boolean {
    return this.transaction.request.head.version !== 11;
  }

  #upgrade(server: Connection, buffer: number): void {
    const client = this.client as ExchangeClient;
    const { plane, transaction, backend, frontend } = this;
    client.respondHead(this, buffer, false);
    client.flush();
    const connection = client.takeConnection(this);
    if (connection === undefined) {
      this.#end(CAUSE_INTERNAL, PHASE_DATA);
      return;
    }
    this.#state = TUNNELLING;
    this.#server = undefined;
    const override = transaction.timeoutTunnel;
    const before = connection.bytesOut + connection.unsent;
    const beforeIn = connection.bytesIn;
    this.#tunnel = new Tunnel(
      plane,
      connection,
      server,
      {
        client: frontend.timeouts.client,
        server: backend.timeouts.server,
        tunnel: override !== 0 ? override : backend.timeouts.tunnel,
        clientFin: frontend.timeouts.clientFin,
        serverFin: backend.timeouts.serverFin,
      },
      (cause) => {
        transaction.bytesOut += connection.bytesOut - before;
        transaction.bytesIn += connection.bytesIn - beforeIn;
        this.#tunnel = undefined;
        this.#end(cause, cause === CAUSE_NONE ? PHASE_NONE : PHASE_DATA);
      },
    );
    this.#tunnel.start();
  }

  // ---- ends ----

  timedOut(): void {
    const { plane } = this;
    switch (this.#state) {
      case TARPIT:
        // The time counts as waiting, and the request as none. Observed: haproxy 2.6.12.
        this.transaction.times[TIME_REQUEST] = -1;
        this.transaction.times[TIME_QUEUED] = plane.now;
        this.#reply(this.#tarpitStatus, CAUSE_PROXY, PHASE_TARPIT);
        return;
      case PAUSED:
        if (this.#isBuffering) this.#bufferedEnough();
        else this.#run();
        return;
      case QUEUEING:
        this.backend.backend?.dispatcher.cancel(this);
        this.#reply(503, CAUSE_SERVER_TIMEOUT, PHASE_QUEUE);
        return;
      case CONNECTING:
        if (this.#server === undefined) this.#connect();
        else this.#connectFailed(-110, CAUSE_SERVER_TIMEOUT);
        return;
      case AWAITING:
        this.#responseTimeout();
        return;
      case RESPONDING:
        plane.statistics.add(this.backend.backendRow, stat.STAT_SRV_ABRT, 1);
        this.#end(CAUSE_SERVER_TIMEOUT, PHASE_DATA);
    }
  }

  #responseTimeout(): void {
    const { plane, backend, transaction } = this;
    plane.traffic?.failed(backend.index, transaction.server, "Read timeout (http)");
    plane.statistics.add(backend.backendRow + 1 + transaction.server, stat.STAT_ERESP, 1);
    plane.statistics.add(backend.backendRow, stat.STAT_ERESP, 1);
    this.#dropServer();
    if (backend.backend?.retryOn.responseTimeout && this.#canRepeat()) this.#retry(true);
    else this.#reply(504, CAUSE_SERVER_TIMEOUT, PHASE_HEADERS);
  }

  #setServerTimer(): void {
    const own = this.transaction.timeoutServer;
    const limit = own !== 0 ? own : this.backend.timeouts.server;
    if (limit !== Number.POSITIVE_INFINITY) {
      this.plane.wheel.set(this.#timer, this.plane.now + limit);
    }
  }

  /**
   * Answers by ourselves: the rule's own message, the configured page or HAProxy's text. An exchange that has
   * begun its response can only break off.
   */
  #reply(status: number, cause: number, phase: number): void {
    this.#setEnd(cause, phase);
    this.plane.wheel.clear(this.#timer);
    const { transaction } = this;
    const page = this.backend.errorPages.get(status) ?? this.frontend.errorPages.get(status);
    const message = transaction.reply?.message ?? page ?? standardReply(status);
    if (message.length === 0) {
      transaction.status = status;
      this.#end(cause, phase);
      return;
    }
    this.#dropServer();
    this.#answer(status, message);
  }

  #answer(status: number, message: Uint8Array): void {
    const { plane, transaction } = this;
    const { slab } = plane;
    const client = this.client as ExchangeClient;
    const { head } = transaction.response;
    this.#state = RESPONDING;
    const buffer = slab.take();
    if (buffer === NO_BUFFER) {
      this.#end(CAUSE_RESOURCE, PHASE_HEADERS);
      return;
    }
    const start = slab.offsetOf(buffer);
    const size = Math.min(message.length, slab.smallSize);
    slab.bytes.set(message.subarray(0, size), start);
    clearHead(head);
    const offset = parseResponseHead(slab.bytes, start, start + size, head, plane.maxFields, true);
    if (offset < 0 || frameResponse(slab.bytes, head, transaction.request.head.method) < 0) {
      slab.release(buffer);
      this.#end(CAUSE_INTERNAL, PHASE_HEADERS);
      return;
    }
    head.end = offset;
    transaction.hasResponse = true;
    transaction.status = head.status;
    const hasLength = (head.flags & (HEAD_LENGTH | HEAD_CHUNKED)) !== 0 || isBodiless(head);
    stripHopByHop(slab.bytes, head, false);
    this.#afterResponse();
    this.#closing =
      !client.keepsAlive ||
      !hasLength ||
      !this.requestDone ||
      closesConnection(status) ||
      this.#stopsKeepAlive();
    const hasBody = transaction.request.head.method !== METHOD_HEAD;
    if (hasBody) slab.retain(buffer);
    client.respondHead(this, buffer, this.#closing);
    if (hasBody) {
      client.respondBody(this, buffer, offset, start + size);
      for (let at = size; at < message.length; at += slab.smallSize) {
        const next = slab.take();
        if (next === NO_BUFFER) {
          this.#end(CAUSE_RESOURCE, PHASE_DATA);
          return;
        }
        const part = message.subarray(at, at + slab.smallSize);
        slab.bytes.set(part, slab.offsetOf(next));
        client.respondBody(this, next, slab.offsetOf(next), slab.offsetOf(next) + part.length);
      }
    }
    this.#responseDone = true;
    this.#closesServer = true;
    client.flush();
    this.#finish();
  }

  /** The response is whole. What of the request is still to come ends the connection. */
  #finish(): void {
    const { plane } = this;
    const client = this.client as ExchangeClient;
    client.flush();
    const server = this.#server;
    if (server !== undefined) {
      this.#server = undefined;
      if (
        this.#closesServer ||
        !this.requestDone ||
        server.unsent > 0 ||
        server.hasInput ||
        server.isEnded
      ) {
        server.close();
      } else this.#giveBack(server);
    }
    const closing = this.#closing || !this.requestDone;
    plane.wheel.clear(this.#timer);
    this.#complete();
    client.respondEnd(this, closing);
  }

  #giveBack(server: Connection): void {
    const runtime = this.backend.backend;
    const client = this.client as ExchangeClient;
    if (runtime === undefined) {
      server.close();
      return;
    }
    if (runtime.reuse === "never") {
      server.side = this.transaction.server;
      server.peer = this.backend.index;
      server.owner = undefined;
      client.ownServer?.close();
      client.ownServer = server;
      return;
    }
    const pool = runtime.pools[this.transaction.server];
    if (pool === undefined) server.close();
    else pool.give(server);
  }

  /** Breaks off: the client is cut unless it is gone. */
  #end(cause: number, phase: number, reset = false): void {
    if (this.#state === OVER) return;
    const wasTunnel = this.#state === TUNNELLING;
    this.#setEnd(cause, phase);
    this.backend.backend?.dispatcher.cancel(this);
    this.plane.wheel.clear(this.#timer);
    this.#dropServer();
    const client = this.client as ExchangeClient;
    if (cause === CAUSE_CLIENT_ABORT) {
      this.plane.statistics.add(this.frontend.frontendRow, stat.STAT_CLI_ABRT, 1);
      if (this.transaction.backend !== NONE) {
        this.plane.statistics.add(this.backend.backendRow, stat.STAT_CLI_ABRT, 1);
      }
    }
    this.#complete();
    if (wasTunnel) client.tunnelEnded(this);
    else client.abort(this, reset);
  }

  /** The first cause holds: what follows from it is not another. */
  #setEnd(cause: number, phase: number): void {
    const { transaction } = this;
    if (transaction.cause !== CAUSE_NONE) return;
    transaction.cause = cause;
    transaction.phase = phase;
  }

  #phase(): number {
    switch (this.#state) {
      case QUEUEING:
        return PHASE_QUEUE;
      case CONNECTING:
        return PHASE_CONNECT;
      case AWAITING:
        return this.requestDone ? PHASE_HEADERS : PHASE_DATA;
      case RESPONDING:
      case TUNNELLING:
        return PHASE_DATA;
      case TARPIT:
        return PHASE_TARPIT;
      default:
        return PHASE_REQUEST;
    }
  }

  /** Counts and logs; everything held is given back. */
  #complete(): void {
    const { plane, transaction, frontend, backend } = this;
    this.#state = OVER;
    transaction.now = plane.now;
    transaction.times[TIME_END] = plane.now;
    statisticsOfEnd(plane, transaction, frontend, backend);
    // The line counts the others, not the one that is over.
    this.#releaseSlot();
    if (transaction.backend !== NONE && backend.backend !== undefined) {
      backend.state.counters.addBackend(-1);
    }
    if (!this.#isLogged) {
      (frontend.frontend as FrontendRuntime).log?.write(transaction, plane.ring.wallTime);
    }
    if (this.#responseBuffer !== NO_BUFFER) plane.slab.release(this.#responseBuffer);
    this.#responseBuffer = NO_BUFFER;
    if (this.requestBuffer !== NO_BUFFER) plane.slab.release(this.requestBuffer);
    this.requestBuffer = NO_BUFFER;
  }

  /** Makes the slot new for the next request. */
  clear(): void {
    this.transaction.clear();
    clearHead(this.transaction.request.head);
    this.client = undefined;
    this.#state = IDLE;
    this.#isBuffering = false;
  }

  #releaseSlot(): void {
    if (!this.#hasSlot) return;
    this.#hasSlot = false;
    this.backend.backend?.dispatcher.release(this.transaction.server);
  }

  #dropServer(): void {
    this.#server?.close();
    this.#server = undefined;
    if (this.#responseBuffer !== NO_BUFFER) this.plane.slab.release(this.#responseBuffer);
    this.#responseBuffer = NO_BUFFER;
  }

  /** Ends at once: the process stops. */
  kill(cause: number): void {
    if (this.#tunnel !== undefined) this.#tunnel.kill(cause);
    else this.clientGone(cause);
  }
}

/** Whether try number `tries` (from 1) goes to another server. HAProxy configuration manual §4.2, option redispatch. */
function redispatches(option: number | undefined, tries: number, retries: number): boolean {
  if (option === undefined) return false;
  if (option < 0) return tries >= retries + 1 + option;
  return option > 0 && tries % option === 0;
}

/** Whether asking twice is as good as once. RFC 9110 §9.2.2 */
function isIdempotent(method: number): boolean {
  return (
    method !== METHOD_OTHER &&
    method !== METHOD_POST &&
    method !== METHOD_PATCH &&
    method !== METHOD_CONNECT
  );
}
