import { NO_BUFFER } from "@ha/linux/ring";
import { METHOD_CONNECT } from "../../core/http/head.ts";
import {
  CANCEL,
  FLAG_END_STREAM,
  FRAME_DATA,
  FRAME_HEADER,
  INTERNAL_ERROR,
  NO_ERROR,
  PROTOCOL_ERROR,
  writeFrameHeader,
} from "../../core/http2/frame.ts";
import {
  CAUSE_CLIENT_ABORT,
  CAUSE_CLIENT_TIMEOUT,
  CAUSE_RESOURCE,
} from "../../core/transaction.ts";
import type { Connection } from "../connection.ts";
import type { Exchange } from "../exchange.ts";
import type { ExchangeClient } from "../exchange-client.ts";
import type { TimerOwner } from "../timer-wheel.ts";
import type { TunnelSide } from "../tunnel.ts";
import { asChunk, chunkFrame, LAST_CHUNK, withTrailers } from "./chunk.ts";
import type { Http2Client } from "./http2-client.ts";
import { RangeQueue } from "./range-queue.ts";
import { StreamSide } from "./stream-side.ts";

/** How the body of a request goes on to a server of HTTP/1. */
export const BODY_NONE = 0;
/** With the length that the head names. */
export const BODY_LENGTH = 1;
export const BODY_CHUNKED = 2;
/** As it is: the stream is to become a tunnel. */
export const BODY_TUNNEL = 3;

/** What `writeHead` gives where END_STREAM cannot be set on the head's frame any more. */
export const NO_FRAME = Number.MAX_SAFE_INTEGER;

/** Bytes that a blocked client must take for its time limit to begin anew: one byte now and then does not. */
const PROGRESS = 1_024;
/** What `unsent` says of a stream whose window is used up: enough for any exchange to wait. */
const BLOCKED = 0x4000_0000;

/** One request of a client on its HTTP/2 connection, and its answer. Pooled. */
export class ClientStream implements ExchangeClient, TimerOwner {
  readonly keepsAlive = true;
  id = 0;
  /** The next one in its bucket of the connection's table, and its place among the open ones. */
  next: ClientStream | undefined = undefined;
  place = 0;
  link: Http2Client;
  exchange: Exchange | undefined = undefined;
  /** Bytes that the client takes, and that it may send. */
  sendWindow = 0;
  receiveWindow = 0;
  /** Bytes taken that the client's window was not opened for again yet. */
  credit = 0;
  /** In its connection's table. */
  isOpen = false;
  /** The client sent END_STREAM. */
  isRemoteDone = false;
  /** We sent END_STREAM or RST_STREAM. */
  isLocalDone = false;
  /** Extended CONNECT: what the server's 101 must become. */
  isUpgrade = false;
  body = BODY_NONE;
  /** Bytes of a body with a length that are still to come. */
  bodyLeft = 0;
  /** The value that went out as `sec-websocket-key`. */
  webSocketKey: Uint8Array | undefined = undefined;
  /** Request body that nobody took yet, coded for the server; and how much of the windows it holds. */
  readonly #waiting: RangeQueue;
  #owed = 0;
  /** The end of the body was put behind what waits. */
  #waitsForEnd = false;
  /** Answer that the windows have no room for. */
  readonly #queued: RangeQueue;
  #isEnding = false;
  #trailers: Uint8Array | undefined = undefined;
  /** Its last frame, to set END_STREAM on. */
  #frameAt = -1;
  #frameGeneration = -1;
  #hasHead = false;
  #side: StreamSide | undefined = undefined;
  readonly #timer: number;
  #taken = 0;

  constructor(link: Http2Client) {
    this.link = link;
    const { slab, wheel } = link.plane;
    this.#waiting = new RangeQueue(slab);
    this.#queued = new RangeQueue(slab);
    this.#timer = wheel.create(this);
  }

  /** Makes a pooled one a stream of that connection. */
  open(link: Http2Client, id: number): void {
    this.link = link;
    this.id = id;
    this.isOpen = true;
    this.credit = 0;
    this.isRemoteDone = this.isLocalDone = this.isUpgrade = false;
    this.#waitsForEnd = this.#isEnding = this.#hasHead = false;
    this.#frameAt = this.#frameGeneration = -1;
    this.#owed = this.#taken = 0;
    this.webSocketKey = this.#trailers = undefined;
  }

  /** Gives back all that it holds: it is in no table any more. */
  close(): void {
    const { link } = this;
    this.isOpen = false;
    this.isLocalDone = true;
    link.plane.wheel.clear(this.#timer);
    this.#waiting.clear();
    this.#queued.clear();
    this.#giveOwed();
    const side = this.#side;
    this.#side = undefined;
    side?.gone();
  }

  get hasQueued(): boolean {
    return !this.#queued.isEmpty;
  }

  get ownServer(): Connection | undefined {
    return this.link.ownServer;
  }

  set ownServer(connection: Connection | undefined) {
    this.link.ownServer = connection;
  }

  // ---- the request's body ----

  /** Bytes of a DATA frame (a piece of one) in `buffer`, which stays the caller's. `flow` of the windows are used. */
  received(buffer: number, start: number, end: number, flow: number): void {
    const { link, exchange } = this;
    const { slab } = link.plane;
    const size = end - start;
    if (exchange === undefined && this.#side === undefined) {
      link.consumed(this, flow);
      return;
    }
    if (exchange !== undefined) exchange.transaction.bytesIn += size;
    if (size === 0) {
      link.consumed(this, flow);
      return;
    }
    if (this.#waiting.isEmpty && exchange?.wantsBody === true) {
      if (this.body === BODY_LENGTH) {
        slab.retain(buffer);
        exchange.requestBody(buffer, start, end);
        if (this.#waiting.isEmpty) link.consumed(this, flow);
        else this.#owed += flow;
        return;
      }
      if (this.body === BODY_CHUNKED && this.#passChunk(exchange, start, end)) {
        if (this.#waiting.isEmpty) link.consumed(this, flow);
        else this.#owed += flow;
        return;
      }
    }
    this.#owed += flow;
    if (!this.#keep(start, end)) {
      this.#fail(CAUSE_RESOURCE);
      return;
    }
    this.#side?.received();
    this.#setTimer();
  }

  /** Passes bytes on as a chunk of their own. False when there is no room for that. */
  #passChunk(exchange: Exchange, start: number, end: number): boolean {
    const { slab } = this.link.plane;
    if (end - start > slab.smallSize - 16) return false;
    const buffer = slab.take();
    if (buffer === NO_BUFFER) return false;
    const to = slab.offsetOf(buffer);
    exchange.requestBody(buffer, to, asChunk(slab.bytes, start, end, to));
    return true;
  }

  /** Copies bytes behind what waits, in the server's coding. */
  #keep(start: number, end: number): boolean {
    const { bytes } = this.link.plane.slab;
    if (this.body !== BODY_CHUNKED) return this.#waiting.copy(bytes, start, end);
    const frame = chunkFrame(end - start);
    return (
      this.#waiting.copy(frame, 0, frame.length - 2) &&
      this.#waiting.copy(bytes, start, end) &&
      this.#waiting.copy(frame, frame.length - 2, frame.length)
    );
  }

  /** The request is whole. `trailers` are lines of HTTP/1, which only a chunked body can carry on. */
  ended(trailers: Uint8Array | undefined): void {
    const { exchange, link } = this;
    this.isRemoteDone = true;
    if (this.#side !== undefined) {
      this.#side.received();
      return;
    }
    if (exchange === undefined || this.body === BODY_NONE || this.body === BODY_TUNNEL) return;
    if (exchange.requestDone) return;
    if (this.body === BODY_CHUNKED) {
      const dropped = trailers === undefined || exchange.dropsRequestTrailers;
      const end = dropped ? LAST_CHUNK : withTrailers(trailers);
      if (!this.#waiting.copy(end, 0, end.length)) {
        this.#fail(CAUSE_RESOURCE);
        return;
      }
    }
    this.#waitsForEnd = true;
    link.plane.wheel.clear(this.#timer);
    this.readBody(exchange);
  }

  /** The body broke a promise of its head. */
  broken(): void {
    const { exchange } = this;
    this.link.resetStream(this, PROTOCOL_ERROR);
    exchange?.clientGone(CAUSE_CLIENT_ABORT);
  }

  #pumping = false;

  readBody(exchange: Exchange): void {
    if (exchange !== this.exchange || this.#pumping) return;
    const waiting = this.#waiting;
    this.#pumping = true;
    while (!waiting.isEmpty && exchange.wantsBody) {
      const { buffer, start, end } = waiting;
      waiting.shift();
      exchange.requestBody(buffer, start, end);
      if (this.exchange !== exchange) break;
    }
    this.#pumping = false;
    if (this.exchange !== exchange) return;
    if (!waiting.isEmpty) return;
    const owed = this.#owed;
    if (owed > 0) {
      this.#owed = 0;
      this.link.consumed(this, owed);
    }
    if (this.#waitsForEnd) {
      this.#waitsForEnd = false;
      if (!exchange.requestDone) exchange.requestEnd();
    } else if (!exchange.requestDone) this.#setTimer();
  }

  returnBody(buffer: number, start: number, end: number): void {
    this.#waiting.unshift(buffer, start, end);
  }

  // ---- the answer ----

  respondHead(exchange: Exchange, buffer: number): void {
    const { transaction } = exchange;
    const { head } = transaction.response;
    const { link } = this;
    transaction.bytesOut += head.end - head.start;
    const status = head.status === 101 ? 200 : head.status;
    const at = link.writeHead(this, head, status, this.isUpgrade && head.status === 101);
    if (head.status >= 200 || head.status === 101) this.#hasHead = true;
    this.#frameAt = at;
    this.#frameGeneration = at === NO_FRAME ? -1 : link.output.generation;
    link.plane.slab.release(buffer);
  }

  respondBody(exchange: Exchange, buffer: number, start: number, end: number): void {
    exchange.transaction.bytesOut += end - start;
    this.send(buffer, start, end);
  }

  /** Sends bytes as far as the windows let them, and keeps the rest. The reference passes. */
  send(buffer: number, start: number, end: number): void {
    const { slab } = this.link.plane;
    if (this.isLocalDone || start === end) {
      slab.release(buffer);
      return;
    }
    let from = start;
    if (this.#queued.isEmpty) from = this.#write(start, end);
    if (from === end) {
      slab.release(buffer);
      return;
    }
    if (this.#queued.isEmpty) this.#taken = 0;
    this.#queued.push(buffer, from, end);
    this.link.hasQueued = true;
    this.#setTimer();
  }

  /** Writes DATA frames of a range; gives how far the windows let it come. */
  #write(start: number, end: number): number {
    const { link } = this;
    const { output, plane } = link;
    const { bytes } = plane.slab;
    let from = start;
    while (from < end) {
      let size = Math.min(end - from, this.sendWindow, link.sendWindow, link.settings.frameSize);
      if (size <= 0) break;
      // A frame that fills the buffer is better than two, a header without a payload worse than none.
      const room = output.room - FRAME_HEADER;
      if (size > room && room < SMALL_FRAME)
        size = Math.min(size, plane.slab.smallSize - FRAME_HEADER);
      else size = Math.min(size, room);
      const at = output.reserve(FRAME_HEADER + size);
      if (at < 0) {
        link.broken();
        return end;
      }
      const to = writeFrameHeader(bytes, at, size, FRAME_DATA, 0, this.id);
      if (size > 64) bytes.copyWithin(to, from, from + size);
      else for (let i = 0; i < size; i++) bytes[to + i] = bytes[from + i] as number;
      this.#frameAt = at;
      this.#frameGeneration = output.generation;
      output.wrote(to + size);
      this.sendWindow -= size;
      link.sendWindow -= size;
      link.framesSent++;
      from += size;
    }
    return from;
  }

  /** The windows have room again: writes what waits, at most `most` bytes. */
  pump(most: number): void {
    const queued = this.#queued;
    let left = most;
    while (!queued.isEmpty && left > 0) {
      const { start } = queued;
      const end = Math.min(queued.end, start + left);
      const stop = this.#write(start, end);
      if (stop === start) break;
      this.#taken += stop - start;
      left -= stop - start;
      queued.consume(stop - start);
      if (stop < end) break;
    }
    const { wheel } = this.link.plane;
    if (queued.isEmpty) {
      wheel.clear(this.#timer);
      if (this.#isEnding) this.#end();
      else {
        this.exchange?.clientDrained();
        this.#side?.drained();
      }
    } else if (this.#taken >= PROGRESS) {
      this.#taken = 0;
      wheel.clear(this.#timer);
      this.#setTimer();
    }
  }

  respondTrailers(lines: Uint8Array): void {
    // They stand in a buffer that the next body uses.
    this.#trailers = lines.slice();
  }

  respondEnd(exchange: Exchange): void {
    const { link } = this;
    this.exchange = undefined;
    link.plane.giveExchange(exchange);
    this.#waiting.clear();
    this.#giveOwed();
    this.finish();
  }

  /** Nothing follows what was sent. */
  finish(): void {
    this.#isEnding = true;
    if (this.#queued.isEmpty) this.#end();
  }

  #giveOwed(): void {
    const owed = this.#owed;
    this.#owed = 0;
    if (owed > 0) this.link.consumed(this, owed);
  }

  #end(): void {
    const { link } = this;
    const { output } = link;
    this.#isEnding = false;
    if (this.isLocalDone) return;
    this.isLocalDone = true;
    const trailers = this.#trailers;
    if (trailers !== undefined && link.writeTrailers(this, trailers)) {
      this.#trailers = undefined;
    } else if (this.#frameAt >= 0 && this.#frameGeneration === output.generation) {
      output.endStreamAt(this.#frameAt);
    } else {
      const at = output.reserve(FRAME_HEADER);
      if (at < 0) {
        link.broken();
        return;
      }
      output.wrote(
        writeFrameHeader(link.plane.slab.bytes, at, 0, FRAME_DATA, FLAG_END_STREAM, this.id),
      );
    }
    if (this.#side !== undefined) {
      this.#side.drained();
      return;
    }
    // The rest of its body is not wanted. RFC 9113 §8.1
    if (!this.isRemoteDone) output.reset(this.id, NO_ERROR);
    link.remove(this);
  }

  abort(exchange: Exchange, reset: boolean): void {
    const { link } = this;
    this.exchange = undefined;
    link.plane.giveExchange(exchange);
    if (!this.isOpen) {
      link.recycle(this);
      return;
    }
    if (!this.isLocalDone) link.output.reset(this.id, this.#hasHead ? INTERNAL_ERROR : CANCEL);
    link.remove(this);
    if (reset) link.kill();
  }

  flush(): void {}

  get unsent(): number {
    return this.#queued.isEmpty ? this.link.unsentBy() : BLOCKED;
  }

  /** The connection has room again. */
  drained(): void {
    if (!this.#queued.isEmpty) return;
    this.exchange?.clientDrained();
    this.#side?.drained();
  }

  // ---- a tunnel ----

  takeConnection(exchange: Exchange): TunnelSide | undefined {
    if (exchange !== this.exchange) return undefined;
    const { head } = exchange.transaction.response;
    const isConnect = head.method === METHOD_CONNECT;
    if (!isConnect && (!this.isUpgrade || !this.link.acceptsKey(this, head))) return undefined;
    this.link.plane.wheel.clear(this.#timer);
    this.#side = new StreamSide(this);
    return this.#side;
  }

  tunnelEnded(exchange: Exchange): void {
    const { link } = this;
    this.exchange = undefined;
    this.#side = undefined;
    link.plane.giveExchange(exchange);
    if (!this.isOpen) {
      link.recycle(this);
      return;
    }
    if (!this.isLocalDone || !this.isRemoteDone) link.output.reset(this.id, CANCEL);
    link.remove(this);
  }

  /** For the tunnel: the next bytes of the client, which pass with their reference. */
  takeWaiting(): number {
    const waiting = this.#waiting;
    if (waiting.isEmpty) return NO_BUFFER;
    const { buffer, start, end } = waiting;
    const { slab } = this.link.plane;
    waiting.shift();
    slab.inStart[buffer] = start;
    slab.inEnd[buffer] = end;
    if (waiting.isEmpty) {
      const owed = this.#owed;
      this.#owed = 0;
      this.link.consumed(this, owed);
    }
    return buffer;
  }

  get hasWaiting(): boolean {
    return !this.#waiting.isEmpty;
  }

  get queuedBytes(): number {
    return this.#queued.bytes;
  }

  // ---- time ----

  timedOut(): void {
    const { exchange, link } = this;
    if (this.#side !== undefined) return;
    if (exchange !== undefined) {
      const owesBody = !exchange.requestDone && exchange.wantsBody;
      if (owesBody || !this.#queued.isEmpty) {
        if (!this.#queued.isEmpty) link.countSlowRead();
        exchange.clientGone(CAUSE_CLIENT_TIMEOUT);
      }
      return;
    }
    // Answered, and not taken.
    link.countSlowRead();
    link.resetStream(this, CANCEL);
  }

  /** The client owes something: bytes of its request, or taking the answer. */
  #setTimer(): void {
    const { plane, frontend } = this.link;
    if (plane.wheel.isSet(this.#timer) && !this.#queued.isEmpty) return;
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

/** A payload less than this is worth a buffer of its own. */
const SMALL_FRAME = 1_024;
