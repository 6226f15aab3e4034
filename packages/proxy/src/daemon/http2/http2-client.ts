import { NO_BUFFER } from "@ha/linux/ring";
import {
  clearHead,
  HEAD_CHUNKED,
  HEAD_LENGTH,
  type Head,
  METHOD_CONNECT,
} from "../../core/http/head.ts";
import * as abuse from "../../core/http2/abuse.ts";
import { HEAD_BROKEN, HEAD_TOO_LARGE, skipBlock } from "../../core/http2/field-text.ts";
import {
  COMPRESSION_ERROR,
  ENHANCE_YOUR_CALM,
  FLAG_END_STREAM,
  MAX_STREAM,
  NO_ERROR,
  PREFACE,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
} from "../../core/http2/frame.ts";
import { writeStatus } from "../../core/http2/hpack-encoder.ts";
import type { RequestReading } from "../../core/http2/request-head.ts";
import { writeResponseBlock } from "../../core/http2/response-block.ts";
import * as stat from "../../core/statistics.ts";
import {
  CAUSE_CLIENT_ABORT,
  CAUSE_CLIENT_TIMEOUT,
  CAUSE_KILLED,
  CAUSE_PROXY,
  PHASE_REQUEST,
  type Session,
  TIME_ACCEPT,
  TIME_END,
  TIME_FIRST_BYTE,
  TIME_HANDSHAKE,
  TIME_REQUEST,
  type Transaction,
} from "../../core/transaction.ts";
import type { Connection } from "../connection.ts";
import type { ClientEnd, DataPlane, SessionHost } from "../data-plane.ts";
import type { Exchange } from "../exchange.ts";
import type { FrontendRuntime, ProxyRuntime } from "../proxy-runtime.ts";
import type { TimerOwner } from "../timer-wheel.ts";
import type { BlockMaker } from "./block-writer.ts";
import {
  BODY_CHUNKED,
  BODY_LENGTH,
  BODY_NONE,
  BODY_TUNNEL,
  ClientStream,
} from "./client-stream.ts";
import { GONE, Http2Connection, LEAVING, LINGERING, OPEN, PREFACING } from "./http2-connection.ts";
import { webSocketKey } from "./websocket-key.ts";

/** How long a client may still send after the last word, before it is cut. Milliseconds. */
const LINGER = 1_000;
/** How long the first, harmless GOAWAY of a drain takes to be heard, where no PING tells. Milliseconds. */
const GOAWAY_TIME = 1_000;
/** Where heads of requests begin in their buffers: one of so many places, so many bytes apart. */
const HEAD_PLACES = 15;
const HEAD_STEP = 128;

/**
 * A client's HTTP/2 connection: gives each request to an exchange, and sends the answers as the client's windows let
 * them, the frames of a turn together.
 */
export class Http2Client extends Http2Connection<ClientStream> implements TimerOwner, ClientEnd {
  readonly session: Session;
  place = -1;
  readonly frontend: ProxyRuntime;
  ownServer: Connection | undefined = undefined;
  readonly #host: SessionHost;
  readonly #reading: RequestReading;
  readonly #timer: number;
  readonly #response: ResponseBlock;
  /** The timer runs for what the client must take. */
  #isTaking = false;
  #prefaced = 0;
  #opened = 0;
  #acceptedAt: number;
  /** The key that the last request for a websocket was given. */
  #key: Uint8Array | undefined = undefined;
  /** The first GOAWAY of a drain was sent: an answered PING, or time, lets the last one follow. */
  #isDraining = false;

  constructor(
    plane: DataPlane,
    connection: Connection,
    session: Session,
    frontend: ProxyRuntime,
    host: SessionHost,
  ) {
    super(plane, connection, plane.http2.client);
    this.session = session;
    this.frontend = frontend;
    this.#host = host;
    this.#reading = {
      maxFields: plane.maxFields,
      relaxed: (frontend.frontend as FrontendRuntime).relaxed,
      webSocketKey: () => {
        this.#key = webSocketKey();
        return this.#key;
      },
    };
    this.#response = new ResponseBlock(plane.slab.bytes);
    this.#timer = plane.wheel.create(this);
    this.#acceptedAt = plane.now;
    plane.clients.add(this);
    this.count(stat.STAT_H2_OPEN);
    this.count(stat.STAT_H2_TOTAL);
  }

  /**
   * Begins to speak. `acceptedAt`: when the connection was accepted. `prefaced`: bytes of the preface that were
   * taken already.
   */
  start(acceptedAt: number, prefaced: number): void {
    this.#acceptedAt = acceptedAt;
    this.#prefaced = prefaced;
    if (prefaced === PREFACE.length) this.state = OPEN;
    this.greet();
    this.#setTimer(this.#requestTimeout());
    this.connection.resume();
    if (this.connection.hasInput || this.connection.isEnded) this.received();
  }

  get transaction(): Transaction | undefined {
    let found: Transaction | undefined;
    this.streams.each(({ exchange }) => {
      found = exchange?.transaction ?? found;
    });
    return found;
  }

  protected override preface(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && this.#prefaced < PREFACE.length) {
      if (bytes[at++] === PREFACE[this.#prefaced++]) continue;
      this.#logBad(CAUSE_PROXY);
      this.break(PROTOCOL_ERROR);
      return end;
    }
    if (this.#prefaced === PREFACE.length) this.state = OPEN;
    return at;
  }

  // ---- requests ----

  protected override headersOfNew(id: number): void {
    if (id <= this.lastStream) {
      if (this.#skip()) this.onClosed(id, STREAM_CLOSED);
      return;
    }
    if ((id & 1) === 0) {
      this.break(PROTOCOL_ERROR);
      return;
    }
    this.lastStream = id;
    const buffer =
      this.streams.size < this.side.streams && this.state === OPEN
        ? this.plane.slab.take()
        : NO_BUFFER;
    if (buffer === NO_BUFFER) {
      if (!this.#skip()) return;
      this.output.reset(id, REFUSED_STREAM);
      this.spend(abuse.ABUSE_CLOSED_STREAM);
      return;
    }
    this.#request(id, buffer);
    if (++this.#opened >= this.side.totalStreams) this.#goAway();
  }

  /** Reads a block that nobody wants. False when that broke the connection. */
  #skip(): boolean {
    if (skipBlock(this.decoder)) return true;
    this.break(COMPRESSION_ERROR);
    return false;
  }

  /** A request's head, to be read into `buffer`: gives it to an exchange. */
  #request(id: number, buffer: number): void {
    const { plane, frontend } = this;
    const { slab, http2 } = plane;
    const exchange = plane.takeExchange(frontend);
    const { head } = exchange.transaction.request;
    const at = slab.offsetOf(buffer);
    // Not all at the begin of their buffers: those are so far apart that they would share a few lines of the caches.
    const start = at + (buffer & HEAD_PLACES) * HEAD_STEP;
    const { endStream } = this.reader;
    this.#key = undefined;
    clearHead(head);
    const result = http2.heads.read(
      this.decoder,
      slab.bytes,
      start,
      at + slab.smallSize,
      head,
      endStream,
      this.#reading,
    );
    if (result < 0) {
      plane.giveExchange(exchange);
      slab.release(buffer);
      this.#refuse(id, result);
      return;
    }
    this.#fill(exchange, buffer);
    const stream = http2.streams.pop() ?? new ClientStream(this);
    stream.open(this, id);
    this.enter(stream);
    stream.isRemoteDone = endStream;
    stream.isUpgrade = http2.heads.isUpgrade;
    stream.webSocketKey = this.#key;
    stream.bodyLeft = (head.flags & HEAD_LENGTH) !== 0 ? head.contentLength : 0;
    if (stream.isUpgrade || head.method === METHOD_CONNECT) stream.body = BODY_TUNNEL;
    else if ((head.flags & HEAD_CHUNKED) !== 0) stream.body = BODY_CHUNKED;
    else stream.body = (head.flags & HEAD_LENGTH) !== 0 ? BODY_LENGTH : BODY_NONE;
    stream.exchange = exchange;
    exchange.start(stream, frontend);
  }

  /** The facts of a request whose head is read. */
  #fill(exchange: Exchange, buffer: number): void {
    const { plane, session } = this;
    const { heads } = plane.http2;
    const { transaction } = exchange;
    const { head } = transaction.request;
    exchange.requestBuffer = buffer;
    session.transactions++;
    transaction.session = session;
    transaction.lineStart = heads.lineStart;
    transaction.lineEnd = heads.lineEnd;
    const { times } = transaction;
    times[TIME_ACCEPT] = session.transactions === 1 ? this.#acceptedAt : plane.now;
    times[TIME_HANDSHAKE] = times[TIME_FIRST_BYTE] = times[TIME_REQUEST] = plane.now;
    transaction.bytesIn = head.end - head.start;
  }

  /** A block that is no request. */
  #refuse(id: number, fault: number): void {
    if (fault === HEAD_BROKEN) {
      this.break(COMPRESSION_ERROR);
      return;
    }
    this.#logBad(CAUSE_PROXY);
    this.count(stat.STAT_H2_STREAM_ERRORS);
    if (fault !== HEAD_TOO_LARGE) {
      this.sendReset(id, PROTOCOL_ERROR);
      this.spend(abuse.ABUSE_MALFORMED);
      return;
    }
    // Without a body, and no more of the request. RFC 6585 §5
    this.blocks.write(id, FLAG_END_STREAM, TOO_LARGE);
    if (!this.reader.endStream) this.output.reset(id, NO_ERROR);
    this.spend(abuse.ABUSE_HEADER_LIST);
  }

  protected override headersOf(stream: ClientStream): void {
    const lines = this.takeTrailers(stream);
    if (lines === undefined) return;
    if (stream.body === BODY_LENGTH && stream.bodyLeft > 0) {
      this.streamBroken(stream.id, PROTOCOL_ERROR);
    } else stream.ended(lines.length > 0 ? lines : undefined);
  }

  protected override dataOf(
    stream: ClientStream,
    buffer: number,
    start: number,
    end: number,
    flow: number,
    ends: boolean,
  ): void {
    if (stream.body === BODY_LENGTH || stream.body === BODY_NONE) {
      stream.bodyLeft -= end - start;
      // More or less than its Content-Length says. RFC 9113 §8.1.1
      if (stream.bodyLeft < 0 || (ends && stream.bodyLeft > 0)) {
        this.streamBroken(stream.id, PROTOCOL_ERROR);
        return;
      }
    }
    if (flow > 0) stream.received(buffer, start, end, flow);
    if (ends && stream.isOpen) stream.ended(undefined);
  }

  protected override streamLost({ exchange }: ClientStream): void {
    exchange?.clientGone(CAUSE_CLIENT_ABORT);
  }

  override recycle(stream: ClientStream): void {
    this.plane.http2.streams.push(stream);
  }

  /** Writes a response's head with a status that may be another; gives where its frame begins, for END_STREAM. */
  writeHead(stream: ClientStream, head: Head, status: number, isUpgrade: boolean): number {
    const given = head.status;
    head.status = status;
    const block = this.#response;
    block.head = head;
    block.isUpgrade = isUpgrade;
    const at = this.blocks.write(stream.id, 0, block);
    head.status = given;
    if (at < 0) this.plane.afterTurn(() => this.broken());
    return at;
  }

  // ---- ends ----

  protected override goAwayCame(): void {}

  protected override pingAnswered(): void {
    if (this.#isDraining) this.#goAway();
  }

  /**
   * The process stops: the client is told to ask elsewhere, at first without a limit, so that what is under way to us is
   * still served. RFC 9113 §6.8.
   */
  stopSoon(): void {
    if (this.state > OPEN || this.#isDraining) return;
    this.#isDraining = true;
    this.output.goAway(MAX_STREAM, NO_ERROR);
    this.output.ping(DRAIN_PING, 0, false);
    this.#setTimer(GOAWAY_TIME);
  }

  closeIdle(): boolean {
    if (this.streams.size > 0 || this.state > OPEN) return false;
    this.#goAway();
    return true;
  }

  kill(): void {
    this.#close(CAUSE_KILLED, true);
  }

  /** A rule wants nothing more of this client (`http-request reject`): the connection ends. */
  reject(): void {
    if (this.state > LEAVING) return;
    this.output.goAway(this.lastStream, ENHANCE_YOUR_CALM);
    this.broke();
  }

  /** No new streams: ends with the last one that is open. */
  #goAway(): void {
    if (this.state > OPEN) return;
    this.output.goAway(this.lastStream, NO_ERROR);
    this.state = LEAVING;
    this.#isDraining = false;
    this.plane.wheel.clear(this.#timer);
    if (this.streams.size === 0) this.#linger();
  }

  protected override lastStreamEnded(): void {
    if (this.state === LEAVING) this.#linger();
    else if (!this.isFeeding) this.updateTimer();
  }

  protected override peerEnded(): void {
    if (this.state === PREFACING && !this.#ignoresProbe()) this.#logBad(CAUSE_PROXY);
    this.#close(CAUSE_CLIENT_ABORT, this.connection.unsent > 0);
  }

  #ignoresProbe(): boolean {
    const { ignoreProbes } = this.frontend.frontend as FrontendRuntime;
    return this.connection.bytesIn === 0 && ignoreProbes;
  }

  protected override lost(reset: boolean): void {
    this.#close(CAUSE_CLIENT_ABORT, reset);
  }

  protected override broke(): void {
    this.state = LINGERING;
    this.#endStreams(CAUSE_CLIENT_ABORT);
    this.#linger();
  }

  #endStreams(cause: number): void {
    while (this.streams.size > 0) {
      const stream = this.streams.at(this.streams.size - 1);
      const { exchange } = stream;
      this.remove(stream);
      exchange?.clientGone(cause);
    }
  }

  /**
   * Closes once all went out. A client that may still be sending is let finish first: closing with bytes unread makes
   * the kernel reset, which would eat the last words.
   */
  #linger(): void {
    this.state = LINGERING;
    this.ownServer?.close();
    this.ownServer = undefined;
    this.output.flush();
    this.connection.shutdown();
    this.#setTimer(LINGER);
    this.readOn();
    this.lingers();
  }

  protected override lingers(): void {
    const { connection } = this;
    if (this.isFeeding || connection.unsent > 0 || !connection.isEnded) return;
    if (!connection.hasInput) this.#close(CAUSE_PROXY, false);
  }

  #close(cause: number, reset: boolean): void {
    if (this.state === GONE) return;
    this.state = GONE;
    this.#endStreams(cause);
    this.output.drop();
    this.ownServer?.close();
    this.ownServer = undefined;
    this.plane.wheel.destroy(this.#timer);
    this.count(stat.STAT_H2_OPEN, -1);
    this.connection.close(reset);
    this.plane.clients.delete(this);
    this.#host.ended(this.session);
  }

  // ---- what is told ----

  protected override count(field: number, by = 1): void {
    this.plane.statistics.add(this.frontend.frontendRow, field, by);
  }

  protected override reportAbuse(kind: number): void {
    const { plane, frontend } = this;
    if (!plane.http2.reports.allows(plane.now)) return;
    const { log } = frontend.frontend as FrontendRuntime;
    const reason = plane.http2.nameOf(kind);
    log?.notice(
      `HTTP/2 connection on frontend ${frontend.name} ended for its client's abuse: ${reason}`,
      this.session,
      plane.ring.wallTime,
    );
  }

  /** One that never became a request leaves a line. Observed: haproxy 2.6.12, whose status there is 0. */
  #logBad(cause: number): void {
    const { plane, session, frontend } = this;
    if (!plane.http2.badRequests.allows(plane.now)) return;
    const transaction = plane.takeTransaction();
    transaction.session = session;
    transaction.http = true;
    transaction.frontend = frontend.index;
    transaction.status = 0;
    transaction.cause = cause;
    transaction.phase = PHASE_REQUEST;
    transaction.request.head.version = 20;
    transaction.times[TIME_ACCEPT] = session.transactions === 0 ? this.#acceptedAt : plane.now;
    transaction.times[TIME_HANDSHAKE] = transaction.times[TIME_ACCEPT];
    transaction.times[TIME_END] = transaction.now = plane.now;
    (frontend.frontend as FrontendRuntime).log?.write(transaction, plane.ring.wallTime);
    plane.giveTransaction(transaction);
  }

  protected override break(code: number): void {
    // HAProxy leaves a line where a connection breaks before its first request.
    if (this.state === OPEN && this.session.transactions === 0) this.#logBad(CAUSE_PROXY);
    super.break(code);
  }

  // ---- time ----

  override drained(): void {
    this.#isTaking = false;
    super.drained();
  }

  timedOut(): void {
    const { connection } = this;
    if (this.state === LINGERING) this.#close(CAUSE_CLIENT_TIMEOUT, connection.unsent > 0);
    else if (this.#isDraining) this.#goAway();
    else if (connection.unsent > 0) this.#close(CAUSE_CLIENT_TIMEOUT, true);
    else if (this.streams.size === 0) {
      if (this.lastStream === 0 && !this.#ignoresProbe()) this.#logBad(CAUSE_CLIENT_TIMEOUT);
      this.#goAway();
    }
  }

  /** The client's time runs while bytes are on their way to it, or while it asks for nothing. */
  protected override updateTimer(): void {
    if (this.state > LEAVING || this.#isDraining) return;
    const wasTaking = this.#isTaking;
    this.#isTaking = this.unsent > 0;
    if (this.#isTaking) {
      if (!wasTaking) this.#setTimer(this.frontend.timeouts.client);
    } else if (this.streams.size > 0) this.plane.wheel.clear(this.#timer);
    else if (this.lastStream > 0) this.#setTimer(this.#keepAliveTimeout());
  }

  #requestTimeout(): number {
    const { httpRequest, client } = this.frontend.timeouts;
    return httpRequest !== Number.POSITIVE_INFINITY ? httpRequest : client;
  }

  #keepAliveTimeout(): number {
    const { httpKeepAlive } = this.frontend.timeouts;
    return httpKeepAlive !== Number.POSITIVE_INFINITY ? httpKeepAlive : this.#requestTimeout();
  }

  #setTimer(limit: number): void {
    if (limit === Number.POSITIVE_INFINITY) this.plane.wheel.clear(this.#timer);
    else this.plane.wheel.set(this.#timer, this.plane.now + limit);
  }
}

/** The response whose block is written next. */
class ResponseBlock implements BlockMaker {
  head: Head | undefined = undefined;
  isUpgrade = false;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  makeBlock(out: Uint8Array, at: number, limit: number): number {
    const { head } = this;
    if (head === undefined) return -1;
    return writeResponseBlock(this.#bytes, head, out, at, limit, this.isUpgrade);
  }
}

const TOO_LARGE: BlockMaker = { makeBlock: (out, at) => writeStatus(out, at, 431) };
const DRAIN_PING = new TextEncoder().encode("draining");
