import { NO_BUFFER } from "@ha/linux/ring";
import { METHOD_CONNECT } from "../../core/http/head.ts";
import { CANCEL, ENHANCE_YOUR_CALM, INTERNAL_ERROR, NO_ERROR } from "../../core/http2/frame.ts";
import { CAUSE_CLIENT_TIMEOUT, CAUSE_PROXY, CAUSE_RESOURCE } from "../../core/transaction.ts";
import type { Connection } from "../connection.ts";
import type { Exchange } from "../exchange.ts";
import type { ExchangeClient } from "../exchange-client.ts";
import type { TimerOwner } from "../timer-wheel.ts";
import type { TunnelSide } from "../tunnel.ts";
import { asChunk, chunkFrame, LAST_CHUNK, withTrailers } from "./chunk.ts";
import type { Http2Client } from "./http2-client.ts";
import { Http2Stream } from "./http2-stream.ts";
import { StreamSide } from "./stream-side.ts";
import { answersKey } from "./websocket-key.ts";

/** How the body of a request goes on to its exchange. */
export const BODY_NONE = 0;
/** With the length that the head names. */
export const BODY_LENGTH = 1;
export const BODY_CHUNKED = 2;
/** As it is: the stream is to become a tunnel. */
export const BODY_TUNNEL = 3;

/** What `unsent` says of a stream whose window is used up: enough for any exchange to wait. */
const BLOCKED = 0x4000_0000;

/** One request of a client on its HTTP/2 connection, and its answer. */
export class ClientStream extends Http2Stream implements ExchangeClient, TimerOwner {
  readonly keepsAlive = true;
  exchange: Exchange | undefined = undefined;
  /** Extended CONNECT: what the server's 101 must become. */
  isUpgrade = false;
  body = BODY_NONE;
  /** Bytes of a body with a length that are still to come. */
  bodyLeft = 0;
  /** The value that went out as `sec-websocket-key`. */
  webSocketKey: Uint8Array | undefined = undefined;
  #link: Http2Client;
  /** The end of the body was put behind what waits. */
  #waitsForEnd = false;
  #hasHead = false;
  #isPumping = false;
  readonly #timer: number;

  constructor(link: Http2Client) {
    super(link.plane.slab);
    this.#link = link;
    this.#timer = link.plane.wheel.create(this);
  }

  override get isCarrying(): boolean {
    return this.exchange !== undefined;
  }

  /** Makes a pooled one a stream of that connection. */
  open(link: Http2Client, id: number): void {
    this.#link = link;
    this.begin(id);
    this.isUpgrade = this.#waitsForEnd = this.#hasHead = false;
    this.webSocketKey = undefined;
  }

  override get link(): Http2Client {
    return this.#link;
  }

  get ownServer(): Connection | undefined {
    return this.#link.ownServer;
  }

  set ownServer(connection: Connection | undefined) {
    this.#link.ownServer = connection;
  }

  // ---- the request's body ----

  /** Bytes of a DATA frame (a piece of one) in `buffer`, which stays the caller's. `flow` of the windows are used. */
  received(buffer: number, start: number, end: number, flow: number): void {
    const { link, exchange } = this;
    if (exchange !== undefined) exchange.transaction.bytesIn += end - start;
    if (exchange === undefined || start === end) {
      link.consumed(this, flow);
      return;
    }
    if (this.waiting.isEmpty && exchange.wantsBody && this.#pass(exchange, buffer, start, end)) {
      if (this.waiting.isEmpty) link.consumed(this, flow);
      else this.owed += flow;
      if (!this.isRemoteDone && this.isOpen) this.#setTimer();
      return;
    }
    this.owed += flow;
    if (!this.#keep(start, end)) {
      this.#fail(CAUSE_RESOURCE);
      return;
    }
    this.side?.received();
  }

  /** Passes bytes on at once. False when they must be kept. */
  #pass(exchange: Exchange, buffer: number, start: number, end: number): boolean {
    const { slab } = this.link.plane;
    if (this.body === BODY_LENGTH) {
      slab.retain(buffer);
      exchange.requestBody(buffer, start, end);
      return true;
    }
    // A chunk of its own, with room for its size.
    if (this.body !== BODY_CHUNKED || end - start > slab.smallSize - 16) return false;
    const fresh = slab.take();
    if (fresh === NO_BUFFER) return false;
    const to = slab.offsetOf(fresh);
    exchange.requestBody(fresh, to, asChunk(slab.bytes, start, end, to));
    return true;
  }

  /** Copies bytes behind what waits, in the exchange's coding. */
  #keep(start: number, end: number): boolean {
    const { bytes } = this.link.plane.slab;
    const { waiting } = this;
    if (this.body !== BODY_CHUNKED) {
      if (!waiting.copy(bytes, start, end)) return false;
    } else {
      const frame = chunkFrame(end - start);
      const size = frame.length;
      if (!waiting.copy(frame, 0, size - 2) || !waiting.copy(bytes, start, end)) return false;
      if (!waiting.copy(frame, size - 2, size)) return false;
    }
    const { exchange } = this;
    if (exchange?.wantsBody) this.readBody(exchange);
    return true;
  }

  /** The request is whole. `trailers` are lines of HTTP/1, which only a chunked body can carry on. */
  ended(trailers: Uint8Array | undefined): void {
    const { exchange } = this;
    this.isRemoteDone = true;
    if (this.side !== undefined) {
      this.side.received();
      return;
    }
    if (exchange === undefined || this.body === BODY_NONE || this.body === BODY_TUNNEL) return;
    if (exchange.requestDone) return;
    if (this.body === BODY_CHUNKED) {
      const isPlain = trailers === undefined || exchange.dropsRequestTrailers;
      const end = isPlain ? LAST_CHUNK : withTrailers(trailers);
      if (!this.waiting.copy(end, 0, end.length)) {
        this.#fail(CAUSE_RESOURCE);
        return;
      }
    }
    this.#waitsForEnd = true;
    if (!this.hasQueued) this.unblocked();
    this.readBody(exchange);
  }

  readBody(exchange: Exchange): void {
    if (exchange !== this.exchange || this.#isPumping) return;
    const { waiting } = this;
    this.#isPumping = true;
    while (!waiting.isEmpty && exchange.wantsBody) {
      const { buffer, start, end } = waiting;
      waiting.shift();
      exchange.requestBody(buffer, start, end);
      if (this.exchange !== exchange) break;
    }
    this.#isPumping = false;
    if (this.exchange !== exchange || !waiting.isEmpty) return;
    this.giveOwed();
    if (this.#waitsForEnd) {
      this.#waitsForEnd = false;
      if (!exchange.requestDone) exchange.requestEnd();
    } else if (!exchange.requestDone) this.#setTimer();
  }

  returnBody(buffer: number, start: number, end: number): void {
    this.waiting.unshift(buffer, start, end);
  }

  // ---- the answer ----

  respondHead(exchange: Exchange, buffer: number): void {
    const { transaction } = exchange;
    const { head } = transaction.response;
    const isUpgrade = head.status === 101;
    transaction.bytesOut += head.end - head.start;
    if (head.status >= 200 || isUpgrade) this.#hasHead = true;
    this.wroteHead(this.link.writeHead(this, head, isUpgrade ? 200 : head.status, isUpgrade));
    this.link.plane.slab.release(buffer);
  }

  respondBody(exchange: Exchange, buffer: number, start: number, end: number): void {
    exchange.transaction.bytesOut += end - start;
    this.sendData(buffer, start, end);
  }

  respondTrailers(lines: Uint8Array): void {
    // They stand in a buffer that the next body uses.
    this.outTrailers = lines.slice();
  }

  respondEnd(exchange: Exchange): void {
    this.exchange = undefined;
    this.link.plane.giveExchange(exchange);
    this.waiting.clear();
    this.giveOwed();
    this.endStream();
  }

  protected override sentEnd(): void {
    const { link } = this;
    if (this.side !== undefined) {
      this.side.drained();
      return;
    }
    // The rest of its body is not wanted. RFC 9113 §8.1
    if (!this.isRemoteDone) link.output.reset(this.id, NO_ERROR);
    link.remove(this);
  }

  abort(exchange: Exchange, reset: boolean): void {
    const { link } = this;
    // A rule wants nothing more of this client. Observed: haproxy 2.6.12.
    const isRejected = !this.#hasHead && exchange.transaction.cause === CAUSE_PROXY;
    this.exchange = undefined;
    link.plane.giveExchange(exchange);
    if (!this.isOpen) {
      link.recycle(this);
      return;
    }
    const code = isRejected ? ENHANCE_YOUR_CALM : this.#hasHead ? INTERNAL_ERROR : CANCEL;
    if (!this.isLocalDone && !reset) link.output.reset(this.id, code);
    link.remove(this);
    if (reset) link.kill();
    else if (isRejected) link.reject();
  }

  flush(): void {}

  get unsent(): number {
    return this.hasQueued ? BLOCKED : this.link.unsentBy();
  }

  protected override roomAgain(): void {
    this.exchange?.clientDrained();
    this.side?.drained();
  }

  // ---- a tunnel ----

  takeConnection(exchange: Exchange): TunnelSide | undefined {
    if (exchange !== this.exchange) return undefined;
    const { head } = exchange.transaction.response;
    if (head.method !== METHOD_CONNECT) {
      const { bytes } = this.link.plane.slab;
      if (!this.isUpgrade || !answersKey(bytes, head, this.webSocketKey)) return undefined;
    }
    this.unblocked();
    this.side = new StreamSide(this);
    return this.side;
  }

  override sideClosed(): void {
    // `tunnelEnded` follows.
  }

  tunnelEnded(exchange: Exchange): void {
    const { link } = this;
    this.exchange = undefined;
    this.side = undefined;
    link.plane.giveExchange(exchange);
    if (!this.isOpen) {
      link.recycle(this);
      return;
    }
    if (!this.isLocalDone || !this.isRemoteDone) link.output.reset(this.id, CANCEL);
    link.remove(this);
  }

  // ---- time ----

  timedOut(): void {
    const { exchange, link } = this;
    if (this.side !== undefined) return;
    if (this.hasQueued) link.countSlowRead();
    if (!this.isOpen) return;
    if (exchange === undefined) {
      link.resetStream(this, CANCEL);
    } else if (this.hasQueued || (!exchange.requestDone && exchange.wantsBody)) {
      exchange.clientGone(CAUSE_CLIENT_TIMEOUT);
    }
  }

  protected override blocked(begins: boolean): void {
    if (begins) this.#setTimer();
  }

  protected override unblocked(): void {
    this.link.plane.wheel.clear(this.#timer);
  }

  /** The client owes something: bytes of its request, or taking the answer. */
  #setTimer(): void {
    const { plane, frontend } = this.link;
    const own = this.exchange?.transaction.timeoutClient ?? 0;
    const limit = own !== 0 ? own : frontend.timeouts.client;
    if (limit !== Number.POSITIVE_INFINITY) plane.wheel.set(this.#timer, plane.now + limit);
  }

  #fail(cause: number): void {
    const { exchange } = this;
    this.link.resetStream(this, INTERNAL_ERROR);
    exchange?.clientGone(cause);
  }
}
