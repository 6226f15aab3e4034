import { NO_BUFFER } from "@ha/linux/ring";
import { ChunkedDecoder } from "../core/http/chunked.ts";
import { frameRequest } from "../core/http/framing.ts";
import { parseRequestHead } from "../core/http/h1.ts";
import {
  clearHead,
  HEAD_CHUNKED,
  HEAD_CLOSE,
  HEAD_KEEP_ALIVE,
  INCOMPLETE,
  TOO_MANY_FIELDS,
  URI_TOO_LONG,
} from "../core/http/head.ts";
import { PREFACE } from "../core/http2/frame.ts";
import {
  CAUSE_CLIENT_ABORT,
  CAUSE_CLIENT_TIMEOUT,
  CAUSE_KILLED,
  CAUSE_PROXY,
  type Session,
  TIME_ACCEPT,
  TIME_FIRST_BYTE,
  TIME_HANDSHAKE,
  TIME_REQUEST,
  type Transaction,
} from "../core/transaction.ts";
import { type BadRequest, logBadRequest, refuseRequest } from "./bad-request.ts";
import { type Connection, type ConnectionOwner, OUTPUT_LOW } from "./connection.ts";
import type { ClientEnd, DataPlane, SessionHost } from "./data-plane.ts";
import type { Exchange } from "./exchange.ts";
import type { ExchangeClient } from "./exchange-client.ts";
import { HeadGatherer } from "./head-gatherer.ts";
import type { FrontendRuntime, ProxyRuntime } from "./proxy-runtime.ts";
import { queueResponse } from "./response-writer.ts";
import type { TimerOwner } from "./timer-wheel.ts";

/** Where the connection is. */
const WAITING = 0; // for the first byte of a request
const HEAD = 1; // for the rest of a head
const ACTIVE = 2; // a request is under way
const LINGERING = 3; // answered and ended; what still comes is thrown away
const GONE = 4;

/** How long a client may still send after its last answer, before it is cut. Milliseconds. */
const LINGER = 1_000;
/** How long an answer may take before a client that is not read is read again, to see whether it leaves. Milliseconds. */
const WATCH = 100;
/** Body bytes read large when so many are left. */
const LARGE_BODY = 65_536;

/**
 * A client's HTTP/1 connection: takes requests one after the other (and keeps those that come early), gives each
 * to an exchange, and sends the answers in order. An idle one holds neither buffer nor transaction.
 */
export class HttpClient implements ConnectionOwner, ExchangeClient, TimerOwner, ClientEnd {
  readonly plane: DataPlane;
  readonly connection: Connection;
  readonly session: Session;
  place = -1;
  ownServer: Connection | undefined = undefined;
  keepsAlive = false;
  readonly #frontend: ProxyRuntime;
  readonly #host: SessionHost;
  readonly #timer: number;
  #state = WAITING;
  readonly #head: HeadGatherer;
  #firstByte = 0;
  #acceptedAt: number;
  #handshakeAt: number;
  #exchange: Exchange | undefined = undefined;
  #left = 0;
  #isChunked = false;
  #decoder: ChunkedDecoder | undefined = undefined;
  #advancing = false;

  constructor(
    plane: DataPlane,
    connection: Connection,
    session: Session,
    frontend: ProxyRuntime,
    host: SessionHost,
  ) {
    this.plane = plane;
    this.connection = connection;
    this.session = session;
    this.#frontend = frontend;
    this.#host = host;
    this.#head = new HeadGatherer(plane.slab);
    this.#timer = plane.wheel.create(this);
    this.#acceptedAt = this.#handshakeAt = plane.now;
    connection.owner = this;
    plane.clients.add(this);
  }

  /** Begins to wait for a request. `acceptedAt`: when the connection was accepted. */
  start(acceptedAt: number): void {
    this.#acceptedAt = acceptedAt;
    this.#handshakeAt = this.plane.now;
    this.#setTimer(this.#requestTimeout());
    this.connection.resumeOnce();
    if (this.connection.hasInput) this.#advance();
  }

  get transaction(): Transaction | undefined {
    return this.#exchange?.transaction;
  }

  get unsent(): number {
    return this.connection.unsent;
  }

  received(): void {
    const { connection } = this;
    switch (this.#state) {
      case WAITING:
      case HEAD:
        this.#advance();
        return;
      case ACTIVE:
        if (this.#exchange?.wantsBody) this.#pumpBody();
        if (connection.isEnded && !connection.hasInput) this.#exchange?.clientEnded();
        return;
      case LINGERING:
        this.#discard();
    }
  }

  drained(): void {
    if (this.#state === ACTIVE) {
      this.#setClientTimer();
      if (this.connection.unsent < OUTPUT_LOW) this.#exchange?.clientDrained();
    } else if (this.#state === LINGERING) this.#lingerOn();
  }

  failed(): void {
    if (this.#exchange !== undefined) this.#exchange.clientGone(CAUSE_CLIENT_ABORT);
    else this.#leave(CAUSE_CLIENT_ABORT);
  }

  connected(): void {}

  timedOut(): void {
    switch (this.#state) {
      case WAITING:
        this.#leave(CAUSE_CLIENT_TIMEOUT);
        return;
      case HEAD:
        this.#refuse(408, CAUSE_CLIENT_TIMEOUT);
        return;
      case ACTIVE: {
        const exchange = this.#exchange;
        if (exchange === undefined) return;
        if (this.#isWatch) {
          this.#isWatch = false;
          this.connection.resume();
          return;
        }
        // Only what the client owes counts: bytes of its request, or taking the answer.
        if (!exchange.requestDone || this.connection.unsent > 0) {
          exchange.clientGone(CAUSE_CLIENT_TIMEOUT);
        }
        return;
      }
      case LINGERING:
        this.#close(false);
    }
  }

  /**
   * The process stops: every connection ends with its next answer, which says so. An idle one is not cut, since its
   * client's next request may be under way; its timeout bounds the wait, and without one it closes now.
   * Differs from HAProxy, which needs `option idle-close-on-response` for that.
   */
  stopSoon(): void {
    if (this.#state !== WAITING) return;
    const { client, httpKeepAlive, httpRequest } = this.#frontend.timeouts;
    const bound = Math.min(client, httpKeepAlive, httpRequest);
    const idles = this.#frontend.frontend?.config.options.on.has("idle-close-on-response");
    if (bound === Number.POSITIVE_INFINITY && !idles) this.#close(false);
  }

  closeIdle(): boolean {
    if (this.#state !== WAITING) return false;
    this.#close(false);
    return true;
  }

  kill(): void {
    if (this.#exchange !== undefined) this.#exchange.kill(CAUSE_KILLED);
    else this.#close(true);
  }

  // ---- requests ----

  /** Takes requests as long as there are whole heads and nothing is under way. */
  #advance(): void {
    if (this.#advancing) return;
    this.#advancing = true;
    while (this.#state === WAITING || this.#state === HEAD) if (!this.#takeHead()) break;
    this.#advancing = false;
    if (this.#state === WAITING || this.#state === HEAD) this.connection.resume();
  }

  /** True when a request was taken and another may follow at once. */
  #takeHead(): boolean {
    const { connection } = this;
    const buffer = connection.takeInput();
    if (buffer === NO_BUFFER) {
      if (connection.isEnded) this.#leave(CAUSE_CLIENT_ABORT);
      return false;
    }
    if (this.#state === WAITING) this.#begin();
    let fits = true;
    const isFresh = this.#head.buffer === NO_BUFFER;
    if (isFresh) this.#head.begin(buffer);
    else fits = this.#head.append(connection, buffer);
    if (!isFresh && fits && !this.#head.mayBeWhole()) return true;
    return this.#parse(fits);
  }

  /** The first byte of a request. */
  #begin(): void {
    this.#state = HEAD;
    this.#firstByte = this.plane.now;
    const { httpRequest } = this.#frontend.timeouts;
    // The first request's time has been running since the accept.
    if (this.session.transactions > 0 && httpRequest !== Number.POSITIVE_INFINITY) {
      this.#setTimer(httpRequest);
    }
  }

  #parse(fits: boolean): boolean {
    const { plane } = this;
    if (this.session.transactions === 0) {
      const prefaced = this.#head.beginOf(PREFACE);
      const { options } = (this.#frontend.frontend as FrontendRuntime).config;
      if (prefaced > 3 && !options.on.has("disable-h2-upgrade")) {
        if (prefaced === PREFACE.length) this.#upgrade();
        else if (!this.connection.isEnded) return this.connection.hasInput;
        if (this.#state === GONE) return false;
      }
    }
    const { slab } = plane;
    const frontend = this.#frontend.frontend as FrontendRuntime;
    const exchange = this.plane.takeExchange(this.#frontend);
    const { transaction } = exchange;
    const { request } = transaction;
    const { head } = request;
    clearHead(head);
    const offset = parseRequestHead(
      slab.bytes,
      this.#head.start,
      this.#head.end,
      head,
      plane.maxFields,
      frontend.relaxed,
    );
    if (offset === INCOMPLETE && fits) {
      plane.giveExchange(exchange);
      if (this.connection.isEnded && !this.connection.hasInput) {
        this.#leave(CAUSE_CLIENT_ABORT);
        return false;
      }
      return this.connection.hasInput;
    }
    // One that fills the buffer and is not whole is too long, in its first line or after it.
    let status = offset;
    if (offset === INCOMPLETE) status = head.next === 0 ? URI_TOO_LONG : TOO_MANY_FIELDS;
    else if (offset > 0) {
      head.end = offset;
      // Room that HAProxy keeps for what rules add.
      const rest = frameRequest(slab.bytes, head, frontend.relaxed);
      if (rest < 0) status = rest;
    }
    if (status < 0) {
      plane.giveExchange(exchange);
      this.#refuse(-status, CAUSE_PROXY);
      return false;
    }
    this.#startExchange(exchange, offset);
    return true;
  }

  /** The client speaks HTTP/2 without having said so before. HAProxy configuration manual §4.2, option disable-h2-upgrade */
  #upgrade(): void {
    const { plane, connection, session } = this;
    const { end } = this.#head;
    const after = this.#head.start + PREFACE.length;
    const held = this.#head.take();
    if (after < end) connection.returnInput(held, after, end);
    else plane.slab.release(held);
    this.#state = GONE;
    plane.wheel.destroy(this.#timer);
    plane.clients.delete(this);
    this.#host.beginHttp2(connection, session, this.#acceptedAt, PREFACE.length);
  }

  #startExchange(exchange: Exchange, offset: number): void {
    const { plane, session, connection } = this;
    const { slab } = plane;
    const { transaction } = exchange;
    const { head } = transaction.request;
    const held = this.#head.take();
    if (offset < this.#head.end) {
      slab.retain(held);
      connection.returnInput(held, offset, this.#head.end);
    }
    exchange.requestBuffer = held;
    session.transactions++;
    transaction.session = session;
    transaction.lineStart = head.start;
    transaction.lineEnd = lineEnd(slab.bytes, head.start, head.end);
    const { times } = transaction;
    times[TIME_ACCEPT] = session.transactions === 1 ? this.#acceptedAt : this.#idleSince;
    times[TIME_HANDSHAKE] = session.transactions === 1 ? this.#handshakeAt : this.#idleSince;
    times[TIME_FIRST_BYTE] = this.#firstByte;
    times[TIME_REQUEST] = plane.now;
    transaction.bytesIn = head.end - head.start;
    this.#asksClose = asksClose(head.version, head.flags);
    this.keepsAlive =
      !this.#asksClose && (this.#frontend.frontend as FrontendRuntime).mode !== "httpclose";
    this.#isChunked = (head.flags & HEAD_CHUNKED) !== 0;
    this.#left = this.#isChunked ? 0 : head.contentLength;
    if (this.#isChunked) {
      this.#decoder ??= new ChunkedDecoder();
      this.#decoder.reset();
    }
    this.#state = ACTIVE;
    this.#exchange = exchange;
    if (connection.isReading) plane.wheel.clear(this.#timer);
    else {
      plane.wheel.set(this.#timer, plane.now + WATCH);
      this.#isWatch = true;
    }
    exchange.start(this, this.#frontend);
  }

  #idleSince = 0;
  /** Its last request said that it was the last. */
  #asksClose = false;
  /** The timer is not for a limit: the client is not being read, and must be when the answer takes its time. */
  #isWatch = false;

  // ---- the request's body ----

  readBody(exchange: Exchange): void {
    if (exchange !== this.#exchange || this.#pumping) return;
    this.#pumpBody();
    this.#checkEnded();
  }

  /** The client's stream ended, and all of it was taken: the exchange must know, from a clean stack. */
  #checkEnded(): void {
    const { connection } = this;
    const exchange = this.#exchange;
    if (exchange === undefined || !connection.isEnded || connection.hasInput) return;
    this.plane.afterTurn(() => {
      if (this.#exchange === exchange && !exchange.requestDone) exchange.clientEnded();
    });
  }

  returnBody(buffer: number, start: number, end: number): void {
    this.#kept = buffer;
    this.#keptStart = start;
    this.#keptEnd = end;
  }

  /** Body bytes that were read (and decoded) already, and had no room: they come first when there is some. */
  #kept = NO_BUFFER;
  #keptStart = 0;
  #keptEnd = 0;
  /** Nothing of the body is behind the kept bytes. */
  #endsWithKept = false;
  #pumping = false;

  #pumpBody(): void {
    const exchange = this.#exchange;
    if (exchange === undefined) return;
    const { connection, plane } = this;
    const { slab } = plane;
    this.#pumping = true;
    while (exchange.wantsBody) {
      if (this.#kept !== NO_BUFFER) {
        if (this.#passKept(exchange)) continue;
        this.#pumping = false;
        return;
      }
      const buffer = connection.takeInput();
      if (buffer === NO_BUFFER) break;
      if (
        !this.#passBody(
          exchange,
          buffer,
          slab.inStart[buffer] as number,
          slab.inEnd[buffer] as number,
        )
      ) {
        this.#pumping = false;
        return;
      }
    }
    this.#pumping = false;
    if (this.#exchange !== exchange || exchange.requestDone) {
      if (this.#exchange === exchange) connection.resume();
      return;
    }
    if (!exchange.wantsBody) {
      connection.pause();
      return;
    }
    if (this.plane.outputLimit === 0) connection.resumeOnce();
    else if (this.#left > LARGE_BODY && !exchange.isBufferingBody)
      connection.resumeLarge(this.#left);
    else connection.resume();
    this.#setClientTimer();
  }

  /** Passes on what was kept. False when the exchange is over because of it. */
  #passKept(exchange: Exchange): boolean {
    const buffer = this.#kept;
    this.#kept = NO_BUFFER;
    exchange.requestBody(buffer, this.#keptStart, this.#keptEnd);
    if (this.#kept === NO_BUFFER && this.#endsWithKept) {
      this.#endsWithKept = false;
      exchange.requestEnd();
    }
    return this.#exchange === exchange;
  }

  /** The body was read to its end. */
  #endBody(exchange: Exchange): void {
    if (this.#kept !== NO_BUFFER) this.#endsWithKept = true;
    else exchange.requestEnd();
  }

  /** Passes on one range. False when the exchange is over because of it. */
  #passBody(exchange: Exchange, buffer: number, start: number, end: number): boolean {
    const { plane, connection } = this;
    const { slab } = plane;
    const { transaction } = exchange;
    if (!this.#isChunked) {
      const size = Math.min(end - start, this.#left);
      this.#left -= size;
      if (start + size < end) {
        slab.retain(buffer);
        connection.returnInput(buffer, start + size, end);
      }
      transaction.bytesIn += size;
      exchange.requestBody(buffer, start, start + size);
      if (this.#left === 0) this.#endBody(exchange);
      return this.#exchange === exchange;
    }
    const decoder = this.#decoder as ChunkedDecoder;
    decoder.dropsTrailers = exchange.dropsRequestTrailers;
    const stop = decoder.decode(slab.bytes, start, end, false);
    if (stop < 0) {
      slab.release(buffer);
      this.keepsAlive = false;
      exchange.badBody();
      return false;
    }
    const next = start + decoder.consumed;
    if (next < end) {
      slab.retain(buffer);
      connection.returnInput(buffer, next, end);
    }
    transaction.bytesIn += decoder.consumed;
    exchange.requestBody(buffer, start, stop);
    if (decoder.isDone) this.#endBody(exchange);
    return this.#exchange === exchange;
  }

  // ---- answers ----

  respondHead(exchange: Exchange, buffer: number, closing: boolean): void {
    const { plane, connection } = this;
    if (!queueResponse(plane, exchange.transaction, buffer, connection, closing)) {
      this.#cutShort = true;
    }
  }

  /** A head that could not be written (longer than a buffer, or no buffer left): nothing sensible can follow. */
  #cutShort = false;

  respondBody(exchange: Exchange, buffer: number, start: number, end: number): void {
    if (this.#cutShort) {
      this.plane.slab.release(buffer);
      return;
    }
    exchange.transaction.bytesOut += end - start;
    this.connection.queue(buffer, start, end);
  }

  flush(): void {
    this.connection.flush();
    if (this.connection.unsent > 0 && !this.#isTimed) this.#setClientTimer();
  }

  respondEnd(exchange: Exchange, closing: boolean): void {
    const { plane, connection } = this;
    const isSending = !exchange.requestDone || connection.hasInput;
    // An answer that came before the body was passed on: what was kept of it goes nowhere.
    this.#dropHeld();
    this.#exchange = undefined;
    plane.giveExchange(exchange);
    this.#idleSince = plane.now;
    if (this.#cutShort || !connection.isOpen) {
      this.#close(true);
      return;
    }
    if (closing || plane.isStopping) {
      // One that did not ask for the end may have sent its next request already.
      this.#linger(isSending || !this.#asksClose);
      return;
    }
    connection.flush();
    this.#state = WAITING;
    this.#setTimer(this.#keepAliveTimeout());
    if (connection.hasInput) {
      plane.afterTurn(() => this.#advance());
    } else if (connection.isEnded) this.#leave(CAUSE_CLIENT_ABORT);
    else connection.resume();
  }

  abort(exchange: Exchange, reset: boolean): void {
    this.#exchange = undefined;
    this.plane.giveExchange(exchange);
    this.#close(reset || this.connection.unsent > 0);
  }

  tunnelEnded(exchange: Exchange): void {
    this.#exchange = undefined;
    this.plane.giveExchange(exchange);
    this.#close(false);
  }

  takeConnection(exchange: Exchange): Connection | undefined {
    this.plane.wheel.clear(this.#timer);
    if (exchange !== this.#exchange) return undefined;
    return this.connection;
  }

  /**
   * Ends the connection once the answer went out. A client that may still be sending is let finish first: closing
   * with bytes unread makes the kernel reset, which would eat the answer.
   */
  #linger(isSending: boolean): void {
    this.#state = LINGERING;
    this.#mustDiscard = isSending;
    this.ownServer?.close();
    this.ownServer = undefined;
    const { connection } = this;
    if (isSending) connection.shutdown();
    else connection.flushLast();
    this.#lingerOn();
  }

  #mustDiscard = false;

  #lingerOn(): void {
    const { connection } = this;
    if (connection.unsent > 0) {
      if (!this.#isTimed) this.#setTimer(this.#frontend.timeouts.client);
      return;
    }
    if (!this.#mustDiscard || (connection.isEnded && !connection.hasInput)) {
      this.#close(false);
      return;
    }
    this.#discard();
  }

  #discard(): void {
    const { connection, plane } = this;
    for (
      let buffer = connection.takeInput();
      buffer !== NO_BUFFER;
      buffer = connection.takeInput()
    ) {
      plane.slab.release(buffer);
    }
    if (connection.unsent > 0) return;
    if (connection.isEnded) {
      this.#close(false);
      return;
    }
    connection.resume();
    if (!this.#isLingerTimed) {
      this.#isLingerTimed = true;
      this.#setTimer(LINGER);
    }
  }

  #isLingerTimed = false;

  /** Answers what is no request, and logs it as one. */
  #refuse(status: number, cause: number): void {
    const { plane, connection } = this;
    const size = this.#head.end - this.#head.start;
    const answer = refuseRequest(plane, this.#bad(cause), status, this.#firstByte, size);
    this.#dropHeld();
    connection.queueBytes(answer);
    this.#linger(true);
  }

  #bad(cause: number): BadRequest {
    const { session } = this;
    const since = session.transactions === 0 ? this.#acceptedAt : this.#idleSince;
    return { session, frontend: this.#frontend, cause, since };
  }

  /** The client left between requests, or with half a head. */
  #leave(cause: number): void {
    const { plane, session } = this;
    const front = this.#frontend.frontend as FrontendRuntime;
    const isProbe =
      session.transactions === 0 &&
      this.#head.buffer === NO_BUFFER &&
      this.connection.bytesIn === 0;
    const isIdle = session.transactions > 0 && this.#state === WAITING;
    if (!isIdle && !(isProbe && front.ignoreProbes)) {
      if (cause === CAUSE_CLIENT_TIMEOUT && !isProbe && this.#state === HEAD) {
        this.#refuse(408, cause);
        return;
      }
      if (cause === CAUSE_CLIENT_TIMEOUT && isProbe && !front.ignoreProbes) {
        this.#firstByte = plane.now;
        this.#refuse(408, cause);
        return;
      }
      if (!(isProbe && front.dontLogNull)) logBadRequest(plane, this.#bad(cause));
    }
    this.#close(false);
  }

  #dropHeld(): void {
    this.#head.drop();
    if (this.#kept !== NO_BUFFER) this.plane.slab.release(this.#kept);
    this.#kept = NO_BUFFER;
    this.#endsWithKept = false;
  }

  #close(reset: boolean): void {
    if (this.#state === GONE) return;
    this.#state = GONE;
    this.#dropHeld();
    this.ownServer?.close();
    this.ownServer = undefined;
    this.plane.wheel.destroy(this.#timer);
    this.connection.close(reset);
    this.plane.clients.delete(this);
    this.#host.ended(this.session);
  }

  // ---- time ----

  #requestTimeout(): number {
    const { httpRequest, client } = this.#frontend.timeouts;
    return httpRequest !== Number.POSITIVE_INFINITY ? httpRequest : client;
  }

  #keepAliveTimeout(): number {
    const { httpKeepAlive } = this.#frontend.timeouts;
    return httpKeepAlive !== Number.POSITIVE_INFINITY ? httpKeepAlive : this.#requestTimeout();
  }

  #setClientTimer(): void {
    const own = this.#exchange?.transaction.timeoutClient ?? 0;
    this.#setTimer(own !== 0 ? own : this.#frontend.timeouts.client);
  }

  /** Whether a limit is running. */
  get #isTimed(): boolean {
    return !this.#isWatch && this.plane.wheel.isSet(this.#timer);
  }

  #setTimer(limit: number): void {
    this.#isWatch = false;
    if (limit === Number.POSITIVE_INFINITY) this.plane.wheel.clear(this.#timer);
    else this.plane.wheel.set(this.#timer, this.plane.now + limit);
  }
}

function asksClose(version: number, flags: number): boolean {
  return (flags & HEAD_CLOSE) !== 0 || (version < 11 && (flags & HEAD_KEEP_ALIVE) === 0);
}

/** End of the start line, without its line end. */
function lineEnd(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) {
    const byte = bytes[at];
    if (byte === 0x0d || byte === 0x0a) return at;
  }
  return end;
}
