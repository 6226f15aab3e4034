import { NO_BUFFER } from "@ha/linux/ring";
import { frameResponse, isBodiless } from "../core/http/framing.ts";
import { parseResponseHead } from "../core/http/h1.ts";
import {
  clearHead,
  HEAD_CHANGED,
  HEAD_CHUNKED,
  HEAD_CLOSE,
  HEAD_KEEP_ALIVE,
  HEAD_LENGTH,
  METHOD_CONNECT,
  METHOD_HEAD,
  METHOD_OTHER,
  METHOD_PATCH,
  METHOD_POST,
} from "../core/http/head.ts";
import { closesConnection, standardReply } from "../core/http/replies.ts";
import { stripHopByHop } from "../core/http/serialise.ts";
import { type Rule, type RuleProgress, runRules, type Verdict } from "../core/rule/rule.ts";
import { countEvent } from "../core/server/counters.ts";
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
import { type Connection, type ConnectionOwner, OUTPUT_LOW } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";
import type { ExchangeClient } from "./exchange-client.ts";
import { statisticsOfEnd } from "./exchange-statistics.ts";
import type { FrontendRuntime, ProxyRuntime } from "./proxy-runtime.ts";
import { RequestPath, type RequestPathOwner } from "./request-path.ts";
import { queueRequest } from "./request-writer.ts";
import { READ_BAD, READ_MORE, ResponseReader } from "./response-reader.ts";
import { LEASE_NONE, LEASE_QUEUED, type LeaseOwner, ServerLease } from "./server-lease.ts";
import type { TimerOwner } from "./timer-wheel.ts";
import { Tunnel } from "./tunnel.ts";

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

/** A body longer than this is read in large pieces. */
const LARGE_BODY = 65_536;
/**
 * One request and its response, from the finished request head to the last byte: the rules, the server, the
 * connection to it, and the copying of bodies. The client's side is behind `ExchangeClient`; the server's side is
 * HTTP/1. Pooled; nothing is allocated for one beyond the slot.
 */
export class Exchange implements ConnectionOwner, LeaseOwner, RequestPathOwner, TimerOwner {
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
  readonly #progress: RuleProgress = { next: 0 };
  readonly #timer: number;
  #server: Connection | undefined = undefined;
  readonly #lease: ServerLease;
  readonly #response: ResponseReader;
  /** Of the server's connection, when this request went out: whether it answered anything since. */
  #bytesBefore = -1;
  #sentRequest = false;
  #bodySent = 0;
  #closesServer = false;
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
    this.#response = new ResponseReader(plane);
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
    this.#state = REQUESTING;
    this.#sentRequest = this.#closesServer = false;
    this.#response.reset();
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
    server.queue(buffer, start, end);
    server.flush();
  }

  /** The request's body is whole. */
  requestEnd(): void {
    this.requestDone = true;
    if (this.#path.isBuffering) this.#path.bufferedEnough();
    else if (this.#state === AWAITING) this.#setServerTimer();
    else if (this.#state === RESPONDING && this.#response.isDone) this.#finish();
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
    if (this.#state === RESPONDING) this.#readResponse();
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
      const { session } = transaction;
      if (session.lastBackend === this.backend.index) transaction.wantedServer = session.lastServer;
    }
    this.#state = SEEKING;
    this.#lease.seek();
  }

  /** An idle connection, as far as `http-reuse` allows. */
  takeIdle(server: number): Connection | undefined {
    const runtime = this.backend.backend;
    const client = this.client;
    if (runtime === undefined || client === undefined) return undefined;
    const own = client.ownServer;
    if (own !== undefined) {
      client.ownServer = undefined;
      if (own.isOpen && !own.isEnded && own.side === server && own.peer === this.backend.index) {
        own.owner = this;
        return own;
      }
      own.close();
    }
    const pool = runtime.pools[server];
    const isFirst = this.transaction.session.transactions <= 1;
    switch (runtime.reuse) {
      case "never":
        return undefined;
      case "safe":
        return isFirst ? undefined : pool?.take(this, false);
      case "aggressive":
        return pool?.take(this, isFirst);
      default:
        return pool?.take(this, false);
    }
  }

  leaseFailed(cause: number, phase: number): void {
    this.reply(503, cause, phase);
  }

  /** A connection stands: the request goes out. */
  leased(server: Connection): void {
    const { plane, transaction } = this;
    server.owner = this;
    this.#server = server;
    plane.wheel.clear(this.#timer);
    server.uses++;
    this.#bytesBefore = server.bytesIn;
    if (transaction.times[TIME_CONNECTED] === -1) transaction.times[TIME_CONNECTED] = plane.now;
    this.#state = AWAITING;
    clearHead(transaction.response.head);
    if (!this.#sendRequest(server)) {
      this.reply(500, CAUSE_PROXY, PHASE_REQUEST);
      return;
    }
    this.#sentRequest = true;
    server.flush();
    server.resume();
    if (this.requestDone) this.#setServerTimer();
    else (this.client as ExchangeClient).readBody(this);
  }

  /** Queues the head and what was kept of the body. False when there is no room. */
  #sendRequest(server: Connection): boolean {
    const { transaction } = this;
    const runtime = this.backend.backend;
    if (runtime?.nameServer?.(transaction) === false) return false;
    const closes = this.#closesAfter() && !runtime?.pretendKeepalive;
    const { request } = transaction;
    this.#bodySent = request.bodyEnd - request.bodyStart;
    return queueRequest(this.plane, transaction, this.requestBuffer, server, closes);
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
  }

  drained(): void {
    if (!this.requestDone && this.wantsBody) (this.client as ExchangeClient).readBody(this);
  }

  failed(): void {
    this.#serverFailed();
  }

  connected(): void {}

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
      this.#again();
      return;
    }
    plane.statistics.add(backend.backendRow + 1 + transaction.server, stat.STAT_ERESP, 1);
    plane.statistics.add(backend.backendRow, stat.STAT_ERESP, 1);
    this.reply(502, CAUSE_SERVER_ABORT, PHASE_HEADERS);
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

  #readHead(server: Connection): void {
    const { transaction } = this;
    const { head } = transaction.response;
    const reading = {
      method: transaction.request.head.method,
      relaxed: this.backend.backend?.relaxed ?? false,
    };
    for (;;) {
      const buffer = this.#response.readHead(server, head, reading);
      if (buffer === READ_BAD) this.#badResponse();
      else if (buffer !== READ_MORE) {
        if (head.status < 200 && head.status !== 101) {
          this.#informational(buffer);
          continue;
        }
        this.#respond(server, buffer);
      } else if (server.isEnded) this.#serverFailed();
      return;
    }
  }

  #badResponse(): void {
    const { plane, backend, transaction } = this;
    plane.traffic?.failed(backend.index, transaction.server, "Invalid http response (headers)");
    plane.statistics.add(backend.backendRow + 1 + transaction.server, stat.STAT_ERESP, 1);
    plane.statistics.add(backend.backendRow, stat.STAT_ERESP, 1);
    this.#dropServer();
    if (backend.backend?.retryOn.junkResponse && this.#canRepeat()) this.#again();
    else this.reply(502, CAUSE_PROXY, PHASE_HEADERS);
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
      this.#again();
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
    this.#response.frame(head, front.dropsTrailers);
    if (this.#response.endsWithConnection()) this.#closesServer = true;
    const client = this.client as ExchangeClient;
    this.#state = RESPONDING;
    this.#closing =
      !client.keepsAlive || this.#response.endsWithConnection() || this.#stopsKeepAlive();
    client.respondHead(this, buffer, this.#closing);
    if (this.#response.isDone) this.#finish();
    else this.#readResponse();
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
      this.reply(verdict.status, verdict.by === "deny" ? CAUSE_PROXY : CAUSE_LOCAL, PHASE_HEADERS);
    } else if (verdict.type === "close") this.#end(CAUSE_PROXY, PHASE_HEADERS, verdict.silent);
    else this.reply(500, CAUSE_INTERNAL, PHASE_HEADERS);
  }

  /** Moves what came of the body to the client, and asks for more as long as it keeps up. */
  #readResponse(): void {
    const server = this.#server;
    const client = this.client;
    if (server === undefined || client === undefined) return;
    const { plane } = this;
    const { slab } = plane;
    const response = this.#response;
    let moved = 0;
    while (!response.isDone) {
      const buffer = server.takeInput();
      if (buffer === NO_BUFFER) break;
      const start = slab.inStart[buffer] as number;
      const end = slab.inEnd[buffer] as number;
      const stop = response.take(server, buffer, start, end, this.#decodes());
      if (stop < 0) {
        slab.release(buffer);
        this.#end(CAUSE_SERVER_ABORT, PHASE_DATA);
        return;
      }
      client.respondBody(this, buffer, start, stop);
      moved += end - start;
    }
    client.flush();
    if (response.isDone) {
      this.#finish();
      return;
    }
    if (server.isEnded) {
      if (response.endsWithConnection()) this.#finish();
      else this.#serverFailed();
      return;
    }
    if (client.unsent > OUTPUT_LOW * 3) {
      server.pause();
      plane.wheel.clear(this.#timer);
      return;
    }
    const { left } = response;
    if (left > LARGE_BODY) server.resumeLarge(left === Number.POSITIVE_INFINITY ? 0 : left);
    else if (moved >= LARGE_BODY && left === 0) server.resumeLarge(0);
    else server.resume();
    this.#setServerTimer();
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
    if (backend.backend?.retryOn.responseTimeout && this.#canRepeat()) this.#again();
    else this.reply(504, CAUSE_SERVER_TIMEOUT, PHASE_HEADERS);
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
    this.#path.stop();
    this.#lease.release();
    this.plane.wheel.clear(this.#timer);
    this.#dropServer();
    const client = this.client as ExchangeClient;
    if (cause === CAUSE_CLIENT_ABORT) {
      this.plane.statistics.add(this.frontend.frontendRow, stat.STAT_CLI_ABRT, 1);
      const { backend, server } = this.transaction;
      if (backend !== NONE) {
        this.plane.statistics.add(this.backend.backendRow, stat.STAT_CLI_ABRT, 1);
        if (server !== NONE) {
          this.plane.statistics.add(this.backend.backendRow + 1 + server, stat.STAT_CLI_ABRT, 1);
        }
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
    this.#response.drop();
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
    this.#server?.close();
    this.#server = undefined;
    this.#response.drop();
  }

  /** Ends at once: the process stops. */
  kill(cause: number): void {
    if (this.#tunnel !== undefined) this.#tunnel.kill(cause);
    else this.clientGone(cause);
  }
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
