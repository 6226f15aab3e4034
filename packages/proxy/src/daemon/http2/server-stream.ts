import { NO_BUFFER } from "@ha/linux/ring";
import { ChunkedDecoder } from "../../core/http/chunked.ts";
import { isBodiless, isNamed, UPGRADE } from "../../core/http/framing.ts";
import {
  clearHead,
  fieldName,
  HEAD_CHUNKED,
  HEAD_LENGTH,
  HEAD_UPGRADE,
  type Head,
  METHOD_CONNECT,
} from "../../core/http/head.ts";
import { HEAD_BROKEN } from "../../core/http2/field-text.ts";
import { CANCEL, NO_ERROR } from "../../core/http2/frame.ts";
import type { HpackDecoder } from "../../core/http2/hpack-decoder.ts";
import { writeRequestBlock } from "../../core/http2/request-block.ts";
import { readResponseHead } from "../../core/http2/response-head.ts";
import type { ExchangeServer, ExchangeServerOwner } from "../exchange-server.ts";
import type { TunnelSide } from "../tunnel.ts";
import type { BlockMaker } from "./block-writer.ts";
import { asChunk, LAST_CHUNK, withTrailers } from "./chunk.ts";
import type { Http2Server } from "./http2-server.ts";
import { Http2Stream } from "./http2-stream.ts";
import { StreamSide } from "./stream-side.ts";
import { webSocketAccept } from "./websocket-key.ts";

const KEY = fieldName("sec-websocket-key");
/** What `unsent` says of a stream whose window is used up: enough for any exchange to wait. */
const BLOCKED = 0x4000_0000;

/** One request to a server on its HTTP/2 connection, and the answer. */
export class ServerStream extends Http2Stream implements ExchangeServer, BlockMaker {
  readonly endsWithConnection = false;
  /** The server said that it did not look at the request: it may be sent again, whatever it asks for. */
  isRefused = false;
  /** Of an answer with a length: bytes still to come. */
  bodyLeft = Number.POSITIVE_INFINITY;
  trailers: Uint8Array | undefined = undefined;
  #link: Http2Server;
  #owner: ExchangeServerOwner | undefined = undefined;
  #bytesBefore = 0;
  #isFirst = false;
  /** The request's body comes in HTTP/1's chunks. */
  #chunks: ChunkedDecoder | undefined = undefined;
  #isChunked = false;
  #isUpgrade = false;
  #protocol: Uint8Array | undefined = undefined;
  #accept: Uint8Array | undefined = undefined;
  #hasHead = false;
  /** The owner takes the body as it comes. */
  #isReading = false;
  #isPumping = false;
  #dataOnly = false;
  #isBodiless = false;
  #dropsTrailers = false;
  #endsBody = false;

  constructor(link: Http2Server) {
    super(link.plane.slab);
    this.#link = link;
  }

  override get link(): Http2Server {
    return this.#link;
  }

  override get isCarrying(): boolean {
    return this.#owner !== undefined || this.side !== undefined;
  }

  /** Makes a pooled one a stream of that connection, for an exchange. */
  open(link: Http2Server, id: number, owner: ExchangeServerOwner): this {
    this.#link = link;
    this.begin(id);
    this.#owner = owner;
    this.#isFirst = id === 1;
    this.#bytesBefore = link.connection.bytesIn;
    this.isRefused = this.#isUpgrade = this.#hasHead = this.#isReading = false;
    this.#isPumping = this.#dataOnly = this.#isBodiless = this.#dropsTrailers = false;
    this.#endsBody = false;
    this.#protocol = this.#accept = this.trailers = undefined;
    this.bodyLeft = Number.POSITIVE_INFINITY;
    return this;
  }

  // ---- the request ----

  send(closes: boolean): boolean {
    const owner = this.#owner as ExchangeServerOwner;
    const { link } = this;
    const { transaction, requestBuffer } = owner;
    const { request, response } = transaction;
    const { head } = request;
    const { slab } = link.plane;
    clearHead(response.head);
    if (closes) link.retire();
    this.#isUpgrade = (head.flags & HEAD_UPGRADE) !== 0;
    if (this.#isUpgrade && !this.#takeUpgrade(head)) return false;
    const at = link.blocks.write(this.id, 0, this);
    if (at < 0) return false;
    this.wroteHead(at);
    this.#isChunked = (head.flags & HEAD_CHUNKED) !== 0;
    if (this.#isChunked) {
      this.#chunks ??= new ChunkedDecoder();
      this.#chunks.reset();
      this.#chunks.dropsTrailers = owner.backend.backend?.dropsTrailers ?? false;
    }
    if (request.bodyEnd > request.bodyStart) {
      slab.retain(requestBuffer);
      this.#sendKept(requestBuffer, request.bodyStart, request.bodyEnd);
    }
    if (owner.requestDone && !this.#isUpgrade && head.method !== METHOD_CONNECT) this.endBody();
    link.connection.resume();
    return true;
  }

  makeBlock(out: Uint8Array, at: number, limit: number): number {
    const { transaction } = this.#owner as ExchangeServerOwner;
    const { bytes } = this.link.plane.slab;
    const { head } = transaction.request;
    const isSecure = this.link.connection.tls !== undefined;
    return writeRequestBlock(bytes, head, out, at, limit, isSecure, this.#isUpgrade);
  }

  /** Whether the upgrade can be asked for: what it is for, and what the answer to HTTP/1 must be. RFC 8441 §5 */
  #takeUpgrade(head: Head): boolean {
    if (!this.link.takesUpgrades) return false;
    const { bytes } = this.link.plane.slab;
    for (let field = 0; field < head.fields; field++) {
      const start = head.valueStart[field] as number;
      const end = head.valueEnd[field] as number;
      if (isNamed(bytes, head, field, UPGRADE)) this.#protocol = bytes.slice(start, end);
      if (isNamed(bytes, head, field, KEY)) {
        this.#accept = new TextEncoder().encode(webSocketAccept(bytes.slice(start, end)));
      }
    }
    return this.#protocol !== undefined;
  }

  /** Sends what was kept of the body, which may be needed again: chunks are taken apart in a copy. */
  #sendKept(buffer: number, start: number, end: number): void {
    if (!this.#isChunked) {
      this.sendData(buffer, start, end);
      return;
    }
    const { slab } = this.link.plane;
    slab.release(buffer);
    for (let from = start; from < end; from += slab.smallSize) {
      const copy = slab.take();
      if (copy === NO_BUFFER) {
        this.link.plane.afterTurn(() => this.link.broken());
        return;
      }
      const to = slab.offsetOf(copy);
      const size = Math.min(slab.smallSize, end - from);
      slab.bytes.copyWithin(to, from, from + size);
      this.sendBody(copy, to, to + size);
    }
  }

  sendBody(buffer: number, start: number, end: number): void {
    const chunks = this.#chunks;
    if (!this.#isChunked || chunks === undefined) {
      this.sendData(buffer, start, end);
      return;
    }
    // The client's side has checked the coding already.
    const stop = chunks.decode(this.link.plane.slab.bytes, start, end, true);
    this.sendData(buffer, start, Math.max(start, stop));
  }

  endBody(): void {
    if (this.#isChunked) this.outTrailers = this.#chunks?.trailers?.slice();
    this.endStream();
  }

  get unsent(): number {
    return this.hasQueued ? BLOCKED : this.link.unsentBy();
  }

  protected override roomAgain(): void {
    this.#owner?.serverDrained();
    this.side?.drained();
  }

  protected override sentEnd(): void {
    this.side?.drained();
  }

  /** The server's time is its exchange's to tell. */
  protected override blocked(): void {}

  protected override unblocked(): void {}

  // ---- the answer ----

  /** A header block of this stream, which is read to its end: HEAD_BROKEN, another error, or 0. */
  headCame(decoder: HpackDecoder, endStream: boolean): number {
    const owner = this.#owner as ExchangeServerOwner;
    const { plane } = this.link;
    const { slab } = plane;
    const { transaction } = owner;
    const { head } = transaction.response;
    const buffer = slab.take();
    if (buffer === NO_BUFFER) return HEAD_BROKEN;
    const at = slab.offsetOf(buffer);
    const result = readResponseHead(decoder, slab.bytes, at, at + slab.smallSize, head, {
      maxFields: plane.maxFields,
      method: transaction.request.head.method,
      endStream,
      upgrade: this.#protocol,
      accept: this.#accept,
    });
    if (result < 0) {
      slab.release(buffer);
      return result;
    }
    if (head.status < 200 && head.status !== 101) {
      owner.responseHead(buffer);
      clearHead(head);
      return 0;
    }
    this.#hasHead = true;
    this.isRemoteDone = endStream;
    this.#isBodiless = isBodiless(head);
    if ((head.flags & HEAD_LENGTH) !== 0 && !this.#isBodiless) this.bodyLeft = head.contentLength;
    owner.responseHead(buffer);
    return 0;
  }

  get hasHead(): boolean {
    return this.#hasHead;
  }

  get isDone(): boolean {
    return this.#isBodiless || (this.isRemoteDone && !this.hasWaiting && this.#hasNoEnd);
  }

  /** Nothing of HTTP/1's coding is to follow the body. */
  get #hasNoEnd(): boolean {
    const { head } = (this.#owner as ExchangeServerOwner).transaction.response;
    return (head.flags & HEAD_CHUNKED) === 0;
  }

  beginBody(dropsTrailers: boolean): void {
    this.#dropsTrailers = dropsTrailers;
  }

  /** Bytes of a DATA frame in `buffer`, which stays the caller's. */
  dataCame(buffer: number, start: number, end: number, flow: number): void {
    const { link } = this;
    const { slab } = link.plane;
    if (start === end) {
      link.consumed(this, flow);
      return;
    }
    const owner = this.#owner;
    if (owner !== undefined && this.#isReading && this.waiting.isEmpty && this.#isPlain) {
      slab.retain(buffer);
      owner.responseBody(buffer, start, end);
      link.consumed(this, flow);
      if (this.#owner === owner) this.#isReading = owner.responseMoved();
      return;
    }
    this.owed += flow;
    if (!this.waiting.copy(slab.bytes, start, end)) {
      link.resetStream(this, CANCEL);
      owner?.serverGone();
      return;
    }
    if (this.side !== undefined) this.side.received();
    else if (this.#isReading) this.#pump();
  }

  /** The answer is whole. `lines`: the fields after its body. */
  endCame(lines: Uint8Array | undefined): void {
    this.isRemoteDone = true;
    if (lines !== undefined && !this.#dropsTrailers) this.trailers = lines.slice();
    if (this.side !== undefined) this.side.received();
    else if (this.#isReading) this.#pump();
  }

  /** Bytes go on as they are. */
  get #isPlain(): boolean {
    return this.#dataOnly || this.#hasNoEnd;
  }

  readBody(dataOnly: boolean): void {
    this.#dataOnly = dataOnly;
    this.#isReading = true;
    this.#pump();
  }

  /** Gives what waits, and the end when it has come. */
  #pump(): void {
    const owner = this.#owner;
    if (owner === undefined || this.#isPumping) return;
    const { waiting } = this;
    this.#isPumping = true;
    while (!waiting.isEmpty && this.#owner === owner) {
      const { buffer, start, end } = waiting;
      waiting.shift();
      if (this.#isPlain) owner.responseBody(buffer, start, end);
      else this.#giveChunk(owner, buffer, start, end);
    }
    this.#isPumping = false;
    if (this.#owner !== owner) return;
    this.giveOwed();
    if (!this.isRemoteDone) {
      this.#isReading = owner.responseMoved();
      return;
    }
    if (!this.#isPlain && !this.#endsBody) {
      this.#endsBody = true;
      const end = this.trailers === undefined ? LAST_CHUNK : withTrailers(this.trailers);
      this.#giveBytes(owner, end);
    }
    if (this.#isPlain && !this.#dataOnly) this.trailers = undefined;
    owner.responseEnd();
  }

  #giveChunk(owner: ExchangeServerOwner, buffer: number, start: number, end: number): void {
    const { slab } = this.link.plane;
    // One chunk from a full buffer needs two: its size has no room beside it.
    const most = slab.smallSize - 16;
    for (let from = start; from < end; from += most) {
      const fresh = slab.take();
      if (fresh === NO_BUFFER) {
        this.link.plane.afterTurn(() => this.link.broken());
        break;
      }
      const to = slab.offsetOf(fresh);
      const stop = asChunk(slab.bytes, from, Math.min(end, from + most), to);
      owner.responseBody(fresh, to, stop);
    }
    slab.release(buffer);
  }

  #giveBytes(owner: ExchangeServerOwner, bytes: Uint8Array): void {
    const { slab } = this.link.plane;
    const fresh = slab.take();
    if (fresh === NO_BUFFER) return;
    const to = slab.offsetOf(fresh);
    slab.bytes.set(bytes, to);
    owner.responseBody(fresh, to, to + bytes.length);
  }

  // ---- ends ----

  get isUnseen(): boolean {
    if (this.isRefused) return true;
    return !this.#isFirst && this.link.connection.bytesIn === this.#bytesBefore;
  }

  /** A server that has answered may say that it does not want the rest of the request. RFC 9113 §8.1 */
  override outlives(code: number): boolean {
    if (!this.isRemoteDone || code !== NO_ERROR) return false;
    this.isLocalDone = true;
    this.queued.clear();
    return true;
  }

  /** The stream is lost: it is out of its table. */
  lost(): void {
    this.#owner?.serverGone();
  }

  /** What came is no answer. */
  broken(): void {
    this.#owner?.responseBroken();
  }

  takeConnection(): TunnelSide | undefined {
    this.#owner = undefined;
    this.#isReading = false;
    this.side = new StreamSide(this);
    return this.side;
  }

  override sideClosed(): void {
    this.side = undefined;
    this.#leave();
  }

  drop(): void {
    this.#leave();
  }

  finish(closes: boolean): void {
    if (closes) this.link.retire();
    this.#leave();
  }

  #leave(): void {
    const { link } = this;
    this.#owner = undefined;
    if (!this.isOpen) {
      link.recycle(this);
      return;
    }
    if (!this.isLocalDone || !this.isRemoteDone) link.resetStream(this, CANCEL);
    else link.remove(this);
  }
}
