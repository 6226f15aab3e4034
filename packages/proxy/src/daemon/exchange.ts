import { NO_BUFFER } from "@ha/linux/ring";
import {
  clearHead,
  HEAD_CHANGED,
  HEAD_CHUNKED,
  HEAD_LENGTH,
  isIdempotent,
  METHOD_CONNECT,
} from "../core/http/head.ts";
import { closesConnection } from "../core/http/replies.ts";
import { stripHopByHop } from "../core/http/serialise.ts";
import type { Verdict } from "../core/rule/rule.ts";
import { countEvent } from "../core/server/counters.ts";
import { isFull } from "../core/server/servers.ts";
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
  TIME_RESPONSE,
  type Transaction,
} from "../core/transaction.ts";
import type { Connection } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";
import type { ExchangeClient } from "./exchange-client.ts";
import type { ExchangeServer, ExchangeServerOwner } from "./exchange-server.ts";
import { countClientAbort, statisticsOfEnd } from "./exchange-statistics.ts";
import { openExchangeTunnel } from "./exchange-tunnel.ts";
import { Http1Server } from "./http1-server.ts";
import {
  ANSWER_BROKEN,
  ANSWER_NO_ROOM,
  ownAnswer,
  readOwnAnswer,
  sendOwnAnswer,
  tellsItsEnd,
} from "./own-answer.ts";
import type { FrontendRuntime, ProxyRuntime } from "./proxy-runtime.ts";
import { RequestPath, type RequestPathOwner } from "./request-path.ts";
import { runAfterResponse, runResponseRules } from "./response-rules.ts";
import { openServer, takeServer } from "./server-choice.ts";
import {
  SERVER_BROKEN,
  SERVER_CLOSED,
  SERVER_SILENT,
  type ServerFailure,
} from "./server-failure.ts";
import { LEASE_NONE, LEASE_QUEUED, type LeaseOwner, ServerLease } from "./server-lease.ts";
import type { TimerOwner } from "./timer-wheel.ts";
import type { Tunnel } from "./tunnel.ts";

/** Where an exchange is. */
const IDLE = 0;
/** Rules look at the request: see the path. */
const REQUESTING = 1;
/** For a server, and a connection to it: see the lease. */
const SEEKING = 4;
const AWAITING = 6;
const RESPONDING = 7;
const TUNNELLING = 8;
const OVER = 9;

/**
 * One request and its response, from the finished request head to the last byte: rules, the way to a server, its
 * answer or our own, and the end. The client's side is behind `ExchangeClient`, the server's behind `ExchangeServer`,
 * whichever HTTP either speaks. Pooled; nothing is allocated for one beyond the slot.
 */
export class Exchange implements ExchangeServerOwner, LeaseOwner, RequestPathOwner, TimerOwner {
  readonly plane: DataPlane;
  transaction: Transaction;
  client: ExchangeClient | undefined = undefined;
  frontend: ProxyRuntime;
  backend: ProxyRuntime;
  /** The request's head, and with `bodyStart`–`bodyEnd` what was kept of its body. */
  requestBuffer = NO_BUFFER;
  /** The request's body has come whole (or there is none). */
  requestDone = false;
  #state = IDLE;
  readonly #path: RequestPath;
  readonly #timer: number;
  readonly #lease: ServerLease;
  #server: ExchangeServer | undefined = undefined;
  readonly #http1: Http1Server;
  #sentRequest = false;
  #bodySent = 0;
  #closing = false;
  /** `option logasap` wrote the line already. */
  #isLogged = false;
  #tunnel: Tunnel | undefined = undefined;

  constructor(plane: DataPlane, frontend: ProxyRuntime) {
    this.plane = plane;
    this.frontend = this.backend = frontend;
    this.transaction = plane.takeTransaction();
    this.#path = new RequestPath(plane, this);
    this.#lease = new ServerLease(plane, this);
    this.#http1 = new Http1Server(plane, this);
    this.#timer = plane.wheel.create(this);
  }

  get isBufferingBody(): boolean {
    return this.#path.isBuffering;
  }

  /** `option http-drop-request-trailers` of the backend; before it is chosen nothing of a body goes out. */
  get dropsRequestTrailers(): boolean {
    return this.backend.backend?.dropsTrailers ?? false;
  }

  /** Whether body bytes may be given: there is somebody to send them to, and room. */
  get wantsBody(): boolean {
    if (this.requestDone) return false;
    if (this.#path.isBuffering) return true;
    const server = this.#server;
    return this.#sentRequest && server !== undefined && server.unsent <= this.plane.outputLimit;
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
    this.#state = REQUESTING;
    this.#sentRequest = false;
    this.#closing = this.#isLogged = false;
    this.#bodySent = 0;
    this.#server = undefined;
    frontend.state.counters.countRequest(this.plane.now);
    this.plane.statistics.add(frontend.frontendRow, stat.STAT_REQ_TOT, 1);
    this.plane.statistics.add(frontend.frontendRow, stat.STAT_SCUR, 1);
    countEvent(transaction, "request");
    (frontend.frontend as FrontendRuntime).captureRequest?.(transaction);
    this.#path.start();
  }

  /** Bytes of the request's body, as they came (coded). The reference passes. */
  requestBody(buffer: number, start: number, end: number): void {
    const server = this.#server;
    if (this.#path.isBuffering) {
      this.#path.keepBody(buffer, start, end);
      return;
    }
    if (server === undefined || !this.#sentRequest) {
      this.plane.slab.release(buffer);
      return;
    }
    this.#bodySent += end - start;
    server.sendBody(buffer, start, end);
  }

  /** The request's body is whole. */
  requestEnd(): void {
    this.requestDone = true;
    if (this.#path.isBuffering) {
      this.#path.bufferedEnough();
      return;
    }
    if (this.#sentRequest) this.#server?.endBody();
    if (this.#state === AWAITING) this.#setServerTimer();
  }

  /** The request's body broke its coding: 400 where nothing was answered yet. */
  badBody(): void {
    this.plane.statistics.add(this.frontend.frontendRow, stat.STAT_EREQ, 1);
    if (this.#state === RESPONDING || this.#state === TUNNELLING)
      this.#end(CAUSE_CLIENT_ABORT, PHASE_DATA);
    else this.reply(400, CAUSE_PROXY, PHASE_DATA);
  }

  /** The server was marked down, and its sessions are to end. */
  leaveServer(proxy: number, server: number): void {
    if (this.#state === OVER || this.#state === IDLE || this.#lease.state === LEASE_NONE) return;
    if (this.backend.index === proxy && this.transaction.server === server) this.kill(CAUSE_DOWN);
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
    const unanswered = this.#state === SEEKING || this.#state === AWAITING;
    if (!this.requestDone && !this.#path.isTarpit) this.clientGone(CAUSE_CLIENT_ABORT);
    else if (abort && unanswered) this.clientGone(CAUSE_CLIENT_ABORT);
  }

  /** The client's side has room again. */
  clientDrained(): void {
    if (this.#state === RESPONDING) this.#server?.readBody(this.#decodes());
  }

  // ---- a server ----

  refuse(silent: boolean): void {
    this.#end(CAUSE_PROXY, PHASE_REQUEST, silent);
  }

  readBody(): void {
    this.client?.readBody(this);
  }

  returnBody(buffer: number, start: number, end: number): void {
    (this.client as ExchangeClient).returnBody(buffer, start, end);
  }

  requestAllowed(): void {
    const { backend } = this;
    const runtime = backend.backend;
    if (runtime === undefined) return;
    const { transaction } = this;
    const front = this.frontend.frontend as FrontendRuntime;
    if (
      front.addFields?.(transaction) === false ||
      (this.frontend !== this.backend && runtime.addFields?.(transaction) === false) ||
      runtime.persist?.(transaction) === false
    ) {
      this.reply(500, CAUSE_PROXY, PHASE_REQUEST);
      return;
    }
    if (runtime.preferLastServer && transaction.wantedServer === NONE) {
      const { lastBackend, lastServer } = transaction.session;
      const isSame = lastBackend === this.backend.index && lastServer !== NONE;
      if (isSame && mayQueue(this.backend, lastServer)) transaction.wantedServer = lastServer;
    }
    this.#state = SEEKING;
    this.#lease.seek();
  }

  takeIdle(server: number): boolean {
    const taken = takeServer(this, server, this.#http1);
    this.#server = taken;
    return taken !== undefined;
  }

  reused(): void {
    this.#send(this.#server as ExchangeServer);
  }

  leased(connection: Connection): void {
    this.#server = openServer(this, connection, this.#http1);
    this.#send(this.#server);
  }

  leaseFailed(cause: number, phase: number): void {
    this.reply(503, cause, phase);
  }

  /** There is a way to the server: the request goes out. */
  #send(server: ExchangeServer): void {
    const { plane, transaction } = this;
    const { request } = transaction;
    const runtime = this.backend.backend;
    plane.wheel.clear(this.#timer);
    if (transaction.times[TIME_CONNECTED] === -1) transaction.times[TIME_CONNECTED] = plane.now;
    this.#state = AWAITING;
    this.#bodySent = request.bodyEnd - request.bodyStart;
    const closes = this.#closesAfter() && !runtime?.pretendKeepalive;
    if (runtime?.nameServer?.(transaction) === false || !server.send(closes)) {
      this.reply(500, CAUSE_PROXY, PHASE_REQUEST);
      return;
    }
    this.#sentRequest = true;
    if (this.requestDone) this.#setServerTimer();
    else (this.client as ExchangeClient).readBody(this);
  }

  /** Whether the connection to the server ends with this exchange. */
  #closesAfter(): boolean {
    const front = this.frontend.frontend as FrontendRuntime;
    const mode = this.backend.backend?.mode ?? "http-keep-alive";
    return mode !== "http-keep-alive" || front.mode !== "http-keep-alive";
  }

  // ---- the response ----

  serverDrained(): void {
    if (!this.requestDone && this.wantsBody) (this.client as ExchangeClient).readBody(this);
  }

  serverGone(): void {
    const { plane, backend, transaction } = this;
    if (this.#state === RESPONDING) {
      this.client?.flush();
      plane.statistics.add(backend.backendRow + 1 + transaction.server, stat.STAT_SRV_ABRT, 1);
      plane.statistics.add(backend.backendRow, stat.STAT_SRV_ABRT, 1);
      this.#end(CAUSE_SERVER_ABORT, PHASE_DATA);
      return;
    }
    // Nobody has seen the request then: an idle connection may be closed just when it is taken.
    const { method } = this.transaction.request.head;
    const server = this.#server;
    const unseen = (server?.isUnseen ?? false) && isIdempotent(method);
    this.#serverFailed(SERVER_CLOSED, unseen || server?.isRefused === true);
  }

  responseBroken(): void {
    if (this.#state === RESPONDING) this.#end(CAUSE_SERVER_ABORT, PHASE_DATA);
    else this.#serverFailed(SERVER_BROKEN, false);
  }

  /** Asks once more where that may be, else answers. `unseen`: the request did no harm and will do no more. */
  #serverFailed(failure: ServerFailure, unseen: boolean): void {
    const { plane, backend, transaction } = this;
    if (!unseen) plane.traffic?.failed(backend.index, transaction.server, failure.told);
    this.#dropServer();
    const repeats =
      (unseen || backend.backend?.retryOn[failure.retriedOn]) === true && this.#canRepeat();
    if (!repeats || failure.alwaysCounts) {
      plane.statistics.add(backend.backendRow + 1 + transaction.server, stat.STAT_ERESP, 1);
      plane.statistics.add(backend.backendRow, stat.STAT_ERESP, 1);
    }
    if (repeats) this.#again();
    else this.reply(failure.status, failure.cause, PHASE_HEADERS);
  }

  /** Whether the request can be sent once more: all of it is still here. */
  #canRepeat(): boolean {
    const { request } = this.transaction;
    return (
      this.#lease.retries > 0 &&
      !this.transaction.retryDisabled &&
      this.requestDone &&
      this.#bodySent === request.bodyEnd - request.bodyStart
    );
  }

  /** Tries the whole exchange once more. */
  #again(): void {
    this.#state = SEEKING;
    this.#sentRequest = false;
    this.#lease.retry(true);
  }

  responseHead(buffer: number): void {
    const { head } = this.transaction.response;
    if (head.status < 200 && head.status !== 101) this.#informational(buffer);
    else this.#respond(this.#server as ExchangeServer, buffer);
  }

  /** 100 and 103 pass through as they are; the answer itself follows. */
  #informational(buffer: number): void {
    const client = this.client as ExchangeClient;
    if (this.transaction.request.head.version >= 11) {
      client.respondHead(this, buffer, false);
      client.flush();
    } else this.plane.slab.release(buffer);
  }

  #respond(server: ExchangeServer, buffer: number): void {
    const { plane, transaction, backend } = this;
    const { head } = transaction.response;
    plane.wheel.clear(this.#timer);
    const { traffic } = plane;
    if (traffic?.watchesSuccess) traffic.answered(backend.index, transaction.server, head.status);
    if (backend.backend?.retryOn.statuses.has(head.status) && this.#canRepeat()) {
      plane.slab.release(buffer);
      this.#dropServer();
      this.#again();
      return;
    }
    transaction.hasResponse = true;
    transaction.times[TIME_RESPONSE] = transaction.now = plane.now;
    transaction.status = head.status;
    const upgrades =
      head.status === 101 ||
      (head.method === METHOD_CONNECT && head.status < 300 && head.status >= 200);
    if (head.version === 10) {
      head.version = 11;
      head.flags |= HEAD_CHANGED;
    }
    stripHopByHop(plane.slab.bytes, head, upgrades);
    const verdict = runResponseRules(this);
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
    server.beginBody(front.dropsTrailers);
    const client = this.client as ExchangeClient;
    this.#state = RESPONDING;
    this.#closing = !client.keepsAlive || server.endsWithConnection || this.#stopsKeepAlive();
    client.respondHead(this, buffer, this.#closing);
    if (server.isDone) this.#finish();
    else server.readBody(this.#decodes());
  }

  #stopsKeepAlive(): boolean {
    return (
      this.plane.isStopping || (this.frontend.frontend as FrontendRuntime).mode === "httpclose"
    );
  }

  #answerResponseRule(verdict: Verdict): void {
    const { plane, backend } = this;
    if (verdict.type === "respond") {
      plane.statistics.add(backend.backendRow, stat.STAT_DRESP, 1);
      this.reply(verdict.status, verdict.by === "deny" ? CAUSE_PROXY : CAUSE_LOCAL, PHASE_HEADERS);
    } else if (verdict.type === "close") this.#end(CAUSE_PROXY, PHASE_HEADERS, verdict.silent);
    else this.reply(500, CAUSE_INTERNAL, PHASE_HEADERS);
  }

  responseBody(buffer: number, start: number, end: number): void {
    (this.client as ExchangeClient).respondBody(this, buffer, start, end);
  }

  responseMoved(): boolean {
    const client = this.client as ExchangeClient;
    client.flush();
    if (client.unsent > this.plane.outputLimit) {
      this.plane.wheel.clear(this.#timer);
      return false;
    }
    this.#setServerTimer();
    return true;
  }

  responseEnd(): void {
    const trailers = this.#server?.trailers;
    if (trailers !== undefined) this.client?.respondTrailers?.(trailers);
    this.#finish();
  }

  /** Whether the client cannot take the chunked coding. */
  #decodes(): boolean {
    return this.transaction.request.head.version !== 11;
  }

  #upgrade(server: ExchangeServer, buffer: number): void {
    const client = this.client as ExchangeClient;
    client.respondHead(this, buffer, false);
    client.flush();
    const connection = client.takeConnection(this);
    const toServer = connection === undefined ? undefined : server.takeConnection();
    if (connection === undefined || toServer === undefined) {
      this.#end(CAUSE_INTERNAL, PHASE_DATA);
      return;
    }
    this.#state = TUNNELLING;
    this.#server = undefined;
    this.#tunnel = openExchangeTunnel(this, connection, toServer, (cause) => {
      this.#tunnel = undefined;
      this.#end(cause, cause === CAUSE_NONE ? PHASE_NONE : PHASE_DATA);
    });
    this.#tunnel.start();
  }

  // ---- ends ----

  timedOut(): void {
    const { plane } = this;
    switch (this.#state) {
      case AWAITING:
        this.#serverFailed(SERVER_SILENT, false);
        return;
      case RESPONDING:
        plane.statistics.add(this.backend.backendRow, stat.STAT_SRV_ABRT, 1);
        this.#end(CAUSE_SERVER_TIMEOUT, PHASE_DATA);
    }
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
  reply(status: number, cause: number, phase: number): void {
    this.#setEnd(cause, phase);
    this.#path.stop();
    this.plane.wheel.clear(this.#timer);
    const { transaction } = this;
    const message = ownAnswer(transaction, this.backend, this.frontend, status);
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
    const client = this.client as ExchangeClient;
    this.#state = RESPONDING;
    const buffer = readOwnAnswer(plane, transaction, message);
    if (buffer === ANSWER_NO_ROOM || buffer === ANSWER_BROKEN) {
      this.#end(buffer === ANSWER_BROKEN ? CAUSE_INTERNAL : CAUSE_RESOURCE, PHASE_HEADERS);
      return;
    }
    const hasEnd = tellsItsEnd(transaction);
    runAfterResponse(this);
    this.#closing =
      !client.keepsAlive ||
      !hasEnd ||
      !this.requestDone ||
      closesConnection(status) ||
      this.#stopsKeepAlive();
    if (sendOwnAnswer(this, buffer, message, this.#closing)) this.#finish();
    else this.#end(CAUSE_RESOURCE, PHASE_DATA);
  }

  /** The response is whole. What of the request is still to come ends the connection. */
  #finish(): void {
    const { plane } = this;
    const client = this.client as ExchangeClient;
    this.#server?.finish(this.#closesAfter());
    this.#server = undefined;
    const closing = this.#closing || !this.requestDone;
    plane.wheel.clear(this.#timer);
    this.#complete();
    client.respondEnd(this, closing);
  }

  /** Breaks off: the client is cut unless it is gone. */
  #end(cause: number, phase: number, reset = false): void {
    if (this.#state === OVER) return;
    const wasTunnel = this.#state === TUNNELLING;
    this.#setEnd(cause, phase);
    this.#path.stop();
    this.#lease.release();
    this.plane.wheel.clear(this.#timer);
    this.#dropServer();
    const client = this.client as ExchangeClient;
    if (cause === CAUSE_CLIENT_ABORT) {
      countClientAbort(this.plane, this.transaction, this.frontend, this.backend);
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
      case SEEKING:
        return this.#lease.state === LEASE_QUEUED ? PHASE_QUEUE : PHASE_CONNECT;
      case AWAITING:
        return this.requestDone ? PHASE_HEADERS : PHASE_DATA;
      case RESPONDING:
      case TUNNELLING:
        return PHASE_DATA;
      default:
        return this.#path.isTarpit ? PHASE_TARPIT : PHASE_REQUEST;
    }
  }

  /** Counts and logs; everything held is given back. */
  #complete(): void {
    const { plane, transaction, frontend, backend } = this;
    this.#state = OVER;
    transaction.now = plane.now;
    transaction.times[TIME_END] = plane.now;
    plane.statistics.add(frontend.frontendRow, stat.STAT_SCUR, -1);
    statisticsOfEnd(plane, transaction, frontend, backend);
    // The line counts the others, not the one that is over.
    this.#lease.release();
    if (transaction.backend !== NONE && backend.backend !== undefined) {
      backend.state.counters.addBackend(-1);
    }
    if (!this.#isLogged) {
      (frontend.frontend as FrontendRuntime).log?.write(transaction, plane.ring.wallTime);
    }
    if (this.requestBuffer !== NO_BUFFER) plane.slab.release(this.requestBuffer);
    this.requestBuffer = NO_BUFFER;
  }

  /** Makes the slot new for the next request. */
  clear(): void {
    this.transaction.clear();
    clearHead(this.transaction.request.head);
    this.client = undefined;
    this.#state = IDLE;
  }

  #dropServer(): void {
    this.#server?.drop();
    this.#server = undefined;
  }

  /** Ends at once: the process stops. */
  kill(cause: number): void {
    if (this.#tunnel !== undefined) this.#tunnel.kill(cause);
    else this.clientGone(cause);
  }
}

/** Whether so few wait for the server that one may wait more. HAProxy configuration manual §4.2, max-keep-alive-queue */
function mayQueue({ backend, state: { servers } }: ProxyRuntime, server: number): boolean {
  const limit = backend?.config.maxKeepAliveQueue ?? -1;
  return limit < 0 || !isFull(servers, server) || Atomics.load(servers.queued, server) < limit;
}
