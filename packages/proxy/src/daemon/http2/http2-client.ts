import { createHash } from "node:crypto";
import { NO_BUFFER } from "@ha/linux/ring";
import {
  clearHead,
  fieldName,
  HEAD_CHUNKED,
  HEAD_LENGTH,
  type Head,
  METHOD_CONNECT,
} from "../../core/http/head.ts";
import * as abuse from "../../core/http2/abuse.ts";
import {
  HEAD_BROKEN,
  HEAD_TOO_LARGE,
  readTrailers,
  skipBlock,
} from "../../core/http2/field-text.ts";
import {
  COMPRESSION_ERROR,
  DEFAULT_WINDOW,
  ENHANCE_YOUR_CALM,
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FLOW_CONTROL_ERROR,
  FRAME_CONTINUATION,
  FRAME_HEADER,
  FRAME_HEADERS,
  FRAME_SETTINGS,
  MAX_STREAM,
  MAX_WINDOW,
  NO_ERROR,
  PREFACE,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
  writeFrameHeader,
} from "../../core/http2/frame.ts";
import * as event from "../../core/http2/frame-reader.ts";
import { HpackDecoder } from "../../core/http2/hpack-decoder.ts";
import { writeTableSizeZero } from "../../core/http2/hpack-encoder.ts";
import { CONNECTION_WINDOW, MAX_TRAILERS, MAX_UNSENT } from "../../core/http2/limits.ts";
import type { RequestReading } from "../../core/http2/request-head.ts";
import { writeResponseBlock } from "../../core/http2/response-block.ts";
import { PeerSettings } from "../../core/http2/settings.ts";
import { writeTrailerBlock } from "../../core/http2/trailer-block.ts";
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
import { type Connection, type ConnectionOwner, OUTPUT_LOW } from "../connection.ts";
import type { ClientEnd, DataPlane, SessionHost } from "../data-plane.ts";
import type { FrontendRuntime, ProxyRuntime } from "../proxy-runtime.ts";
import type { TimerOwner } from "../timer-wheel.ts";
import {
  BODY_CHUNKED,
  BODY_LENGTH,
  BODY_NONE,
  BODY_TUNNEL,
  ClientStream,
  NO_FRAME,
} from "./client-stream.ts";
import { FrameOutput } from "./frame-output.ts";
import { type Http2Side, webSocketKey } from "./http2-shared.ts";

/** Where the connection is. */
const PREFACING = 0; // for the client's preface
const OPEN = 1;
/** A last GOAWAY went out: ends with its last stream. */
const LEAVING = 2;
/** All was said; what still comes is thrown away. */
const LINGERING = 3;
const GONE = 4;

/** How long a client may still send after the last word, before it is cut. Milliseconds. */
const LINGER = 1_000;
/** How long the first, harmless GOAWAY of a drain takes to be heard, where no PING tells. Milliseconds. */
const GOAWAY_TIME = 1_000;
/** Buckets of the table of streams, a power of two. */
const BUCKETS = 64;
/** Bytes of an answer that one stream may send before the next one's turn. */
const TURN = 16_384;
const ACCEPT_FIELD = fieldName("sec-websocket-accept");

/**
 * A client's HTTP/2 connection: takes its frames, gives each request to an exchange, and sends the answers as the
 * client's windows let them, the frames of a turn together. RFC 9113.
 */
export class Http2Client implements ConnectionOwner, TimerOwner, ClientEnd {
  readonly plane: DataPlane;
  readonly connection: Connection;
  readonly session: Session;
  readonly frontend: ProxyRuntime;
  readonly settings = new PeerSettings();
  readonly output: FrameOutput;
  ownServer: Connection | undefined = undefined;
  /** Of the whole connection: what the client takes. */
  sendWindow = DEFAULT_WINDOW;
  /** Whether a stream has more to send than the windows let it. */
  hasQueued = false;
  /** DATA frames since the last window update, which they pay for. */
  framesSent = 0;
  readonly #host: SessionHost;
  readonly #reading: RequestReading;
  /** The key that the last request for a websocket was given. */
  #key: Uint8Array | undefined = undefined;
  readonly #side: Http2Side;
  readonly #reader: event.FrameReader;
  readonly #decoder: HpackDecoder;
  readonly #row: number;
  readonly #timer: number;
  readonly #buckets: (ClientStream | undefined)[] = new Array(BUCKETS).fill(undefined);
  readonly #streams: ClientStream[] = [];
  #state = PREFACING;
  #prefaced = 0;
  #hasSettings = false;
  #receiveWindow = DEFAULT_WINDOW;
  #credit = CONNECTION_WINDOW - DEFAULT_WINDOW;
  #lastStream = 0;
  #opened = 0;
  #meter: abuse.AbuseMeter | undefined = undefined;
  #isChoked = false;
  #isPaused = false;
  /** A GOAWAY of a drain was sent: an answered PING, or time, lets the last one follow. */
  #isDraining = false;
  #acceptedAt: number;
  #isFeeding = false;
  #turn = 0;

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
    this.frontend = frontend;
    this.#host = host;
    const { http2 } = plane;
    this.#side = http2.client;
    this.#reader = new event.FrameReader(this.#side.limits);
    this.#decoder = new HpackDecoder(http2.tableSize, http2.work);
    this.output = new FrameOutput(plane, connection);
    this.#row = frontend.frontendRow;
    this.#reading = {
      maxFields: plane.maxFields,
      relaxed: (frontend.frontend as FrontendRuntime).relaxed,
      webSocketKey: () => {
        this.#key = webSocketKey();
        return this.#key;
      },
    };
    this.#timer = plane.wheel.create(this);
    this.#acceptedAt = plane.now;
    connection.owner = this;
    plane.clients.add(this);
    plane.statistics.add(this.#row, stat.STAT_H2_OPEN, 1);
    plane.statistics.add(this.#row, stat.STAT_H2_TOTAL, 1);
  }

  /**
   * Begins to speak. `acceptedAt`: when the connection was accepted. `prefaced`: bytes of the preface that were
   * taken already.
   */
  start(acceptedAt: number, prefaced = 0): void {
    this.#acceptedAt = acceptedAt;
    this.#prefaced = prefaced;
    if (prefaced === PREFACE.length) this.#state = OPEN;
    this.output.settings(this.#side.settings);
    this.#setTimer(this.#requestTimeout());
    this.connection.resume();
    if (this.connection.hasInput || this.connection.isEnded) this.received();
  }

  get transaction(): Transaction | undefined {
    return this.#streams.find(({ exchange }) => exchange !== undefined)?.exchange?.transaction;
  }

  /** Bytes on their way to the client, as one stream is told. */
  unsentBy(): number {
    const unsent = this.connection.unsent + this.output.pending;
    if (unsent > OUTPUT_LOW) this.#isChoked = true;
    return unsent;
  }

  // ---- the connection ----

  received(): void {
    if (this.#isFeeding) return;
    const { connection, plane } = this;
    this.#isFeeding = true;
    while (!this.#isPaused) {
      const buffer = connection.takeInput();
      if (buffer === NO_BUFFER) break;
      if (this.#state <= LEAVING) this.#feed(buffer);
      plane.slab.release(buffer);
    }
    this.#isFeeding = false;
    if (this.#state === GONE) return;
    if (this.output.isBroken) {
      this.broken();
      return;
    }
    if (connection.isEnded && !connection.hasInput) {
      this.#clientEnded();
      return;
    }
    if (this.#state <= LEAVING && connection.unsent + this.output.pending > MAX_UNSENT) {
      this.#isPaused = true;
      connection.pause();
    }
    this.#updateTimer();
  }

  drained(): void {
    const { connection } = this;
    if (this.#state === GONE) return;
    if (this.#state === LINGERING) {
      this.#lingerOn();
      return;
    }
    this.plane.wheel.clear(this.#timer);
    this.#updateTimer();
    if (connection.unsent >= OUTPUT_LOW) return;
    if (this.#isChoked) {
      this.#isChoked = false;
      for (let i = this.#streams.length - 1; i >= 0; i--) this.#streams[i]?.drained();
    }
    if (this.hasQueued) this.#pump();
    if (this.#isPaused) {
      this.#isPaused = false;
      connection.resume();
      this.received();
    }
  }

  failed(): void {
    this.#close(CAUSE_CLIENT_ABORT, true);
  }

  connected(): void {}

  timedOut(): void {
    const { connection } = this;
    if (this.#state === LINGERING) {
      this.#close(CAUSE_CLIENT_TIMEOUT, connection.unsent > 0);
    } else if (this.#isDraining && this.#state === OPEN) {
      this.#goAway(NO_ERROR);
    } else if (connection.unsent > 0) {
      this.#close(CAUSE_CLIENT_TIMEOUT, true);
    } else if (this.#streams.length === 0) {
      if (this.#lastStream === 0 && !this.#ignoresProbe()) this.#logBad(CAUSE_CLIENT_TIMEOUT);
      this.#goAway(NO_ERROR);
    }
  }

  /** The slab is empty, or another fault of ours: nothing sensible can follow. */
  broken(): void {
    this.#close(CAUSE_PROXY, true);
  }

  #clientEnded(): void {
    const isLost = this.#state === PREFACING && !this.#ignoresProbe();
    if (isLost) this.#logBad(CAUSE_PROXY);
    // What was asked for before may still be wanted: a client that half-closes is rare, one that left is not.
    this.#close(CAUSE_CLIENT_ABORT, this.connection.unsent > 0);
  }

  #ignoresProbe(): boolean {
    const { ignoreProbes } = this.frontend.frontend as FrontendRuntime;
    return this.connection.bytesIn === 0 && ignoreProbes;
  }

  /**
   * The process stops: the client is told to ask elsewhere, at first without a limit, so that what is under way to us is
   * still served. RFC 9113 §6.8.
   */
  stopSoon(): void {
    if (this.#state > OPEN || this.#isDraining) return;
    this.#isDraining = true;
    this.output.goAway(MAX_STREAM, NO_ERROR);
    this.output.ping(DRAIN_PING, 0, false);
    this.#setTimer(GOAWAY_TIME);
  }

  closeIdle(): boolean {
    if (this.#streams.length > 0 || this.#state > OPEN) return false;
    this.#goAway(NO_ERROR);
    return true;
  }

  kill(): void {
    this.#close(CAUSE_KILLED, true);
  }

  // ---- frames ----

  #feed(buffer: number): void {
    const { slab } = this.plane;
    const { bytes } = slab;
    const reader = this.#reader;
    let at = slab.inStart[buffer] as number;
    const end = slab.inEnd[buffer] as number;
    if (this.#state === PREFACING) at = this.#preface(bytes, at, end);
    while (at < end && this.#state <= LEAVING) {
      at = reader.take(bytes, at, end);
      if (reader.event === event.EVENT_NONE) break;
      this.#take(buffer);
    }
    reader.letGo();
  }

  #preface(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && this.#prefaced < PREFACE.length) {
      if (bytes[at] !== PREFACE[this.#prefaced]) {
        this.#logBad(CAUSE_PROXY);
        this.#break(PROTOCOL_ERROR);
        return end;
      }
      at++;
      this.#prefaced++;
    }
    if (this.#prefaced === PREFACE.length) this.#state = OPEN;
    return at;
  }

  /** What the reader found. */
  #take(buffer: number): void {
    const reader = this.#reader;
    if (!this.#hasSettings) {
      const isFirst = reader.event === event.EVENT_SETTINGS && !reader.isAck;
      if (!isFirst) {
        if (reader.type === FRAME_SETTINGS && reader.event === event.EVENT_BROKEN)
          this.#break(reader.code);
        else this.#break(PROTOCOL_ERROR);
        this.#logBad(CAUSE_PROXY);
        return;
      }
      this.#hasSettings = true;
    }
    switch (reader.event) {
      case event.EVENT_DATA:
        this.#data(buffer);
        return;
      case event.EVENT_HEADERS:
        this.#headers();
        return;
      case event.EVENT_CONTINUATION:
        this.#spend(abuse.ABUSE_CONTINUATION);
        return;
      case event.EVENT_PRIORITY:
        // Taken and not followed, as RFC 9113 §5.3 lets it be: answers are sent in turn.
        this.#spend(abuse.ABUSE_PRIORITY);
        return;
      case event.EVENT_RESET:
        this.#reset();
        return;
      case event.EVENT_SETTINGS:
        this.#applySettings();
        return;
      case event.EVENT_PING:
        this.#ping();
        return;
      case event.EVENT_GOAWAY:
        this.#count(stat.STAT_H2_GOAWAY);
        this.#spend(abuse.ABUSE_GOAWAY);
        return;
      case event.EVENT_WINDOW:
        this.#windowUpdate();
        return;
      case event.EVENT_UNKNOWN:
        this.#spend(abuse.ABUSE_UNKNOWN_FRAME);
        return;
      case event.EVENT_STREAM_BROKEN:
        this.#streamBroken(reader.stream, reader.code);
        return;
      default:
        if (reader.code === ENHANCE_YOUR_CALM) {
          const kind =
            reader.type === FRAME_SETTINGS ? abuse.ABUSE_SETTINGS : abuse.ABUSE_CONTINUATION;
          this.#calm(kind);
        } else this.#break(reader.code);
    }
  }

  #data(buffer: number): void {
    const reader = this.#reader;
    const { stream: id, flow, start, end, isLast } = reader;
    if (isLast) this.#count(stat.STAT_H2_DATA);
    this.#receiveWindow -= flow;
    if (this.#receiveWindow < 0) {
      this.#break(FLOW_CONTROL_ERROR);
      return;
    }
    if (flow === 0 && !reader.endStream && !this.#spend(abuse.ABUSE_EMPTY_FRAME)) return;
    const stream = this.find(id);
    if (stream === undefined) {
      this.#creditConnection(flow);
      if (isLast) this.#onClosed(id, STREAM_CLOSED);
      return;
    }
    if (stream.isRemoteDone) {
      this.#creditConnection(flow);
      if (isLast) this.#streamBroken(id, STREAM_CLOSED);
      return;
    }
    stream.receiveWindow -= flow;
    if (stream.receiveWindow < 0) {
      this.#streamBroken(id, FLOW_CONTROL_ERROR);
      return;
    }
    const ends = isLast && reader.endStream;
    if (stream.body === BODY_LENGTH || stream.body === BODY_NONE) {
      stream.bodyLeft -= end - start;
      // More or less than its Content-Length says. RFC 9113 §8.1.1
      if (stream.bodyLeft < 0 || (ends && stream.bodyLeft > 0)) {
        this.#malformed();
        stream.broken();
        return;
      }
    }
    if (flow > 0) stream.received(buffer, start, end, flow);
    if (ends && stream.isOpen) stream.ended(undefined);
  }

  #headers(): void {
    const { stream: id } = this.#reader;
    this.#count(stat.STAT_H2_HEADERS);
    this.#decoder.begin(this.#reader.source, this.#reader.start, this.#reader.end);
    const stream = this.find(id);
    if (stream !== undefined) {
      this.#trailers(stream);
      return;
    }
    if (id <= this.#lastStream) {
      if (skipBlock(this.#decoder)) this.#onClosed(id, STREAM_CLOSED);
      else this.#break(COMPRESSION_ERROR);
      return;
    }
    if ((id & 1) === 0) {
      this.#break(PROTOCOL_ERROR);
      return;
    }
    this.#lastStream = id;
    const isRefused = this.#streams.length >= this.#side.streams || this.#state === LEAVING;
    if (isRefused) {
      if (!skipBlock(this.#decoder)) {
        this.#break(COMPRESSION_ERROR);
        return;
      }
      this.output.reset(id, REFUSED_STREAM);
      this.#spend(abuse.ABUSE_CLOSED_STREAM);
      return;
    }
    this.#request(id);
    if (++this.#opened >= this.#side.totalStreams && this.#state === OPEN) this.#goAway(NO_ERROR);
  }

  /** A request's head: gives it to an exchange. */
  #request(id: number): void {
    const { plane, session, frontend } = this;
    const { slab, http2 } = plane;
    const { endStream } = this.#reader;
    this.#key = undefined;
    const buffer = slab.take();
    if (buffer === NO_BUFFER) {
      if (skipBlock(this.#decoder)) this.output.reset(id, REFUSED_STREAM);
      else this.#break(COMPRESSION_ERROR);
      return;
    }
    const exchange = plane.takeExchange(frontend);
    const { transaction } = exchange;
    const { head } = transaction.request;
    clearHead(head);
    const at = slab.offsetOf(buffer);
    const result = http2.heads.read(
      this.#decoder,
      slab.bytes,
      at,
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
    const { heads } = http2;
    exchange.requestBuffer = buffer;
    session.transactions++;
    transaction.session = session;
    transaction.lineStart = heads.lineStart;
    transaction.lineEnd = heads.lineEnd;
    const { times } = transaction;
    const isFirst = session.transactions === 1;
    times[TIME_ACCEPT] = isFirst ? this.#acceptedAt : plane.now;
    times[TIME_HANDSHAKE] = times[TIME_FIRST_BYTE] = times[TIME_REQUEST] = plane.now;
    transaction.bytesIn = head.end - head.start;

    const stream = this.#open(id);
    stream.isRemoteDone = endStream;
    stream.isUpgrade = heads.isUpgrade;
    stream.webSocketKey = this.#key;
    stream.bodyLeft = head.contentLength;
    if (heads.isUpgrade || head.method === METHOD_CONNECT) stream.body = BODY_TUNNEL;
    else if ((head.flags & HEAD_CHUNKED) !== 0) stream.body = BODY_CHUNKED;
    else stream.body = (head.flags & HEAD_LENGTH) !== 0 ? BODY_LENGTH : BODY_NONE;
    stream.exchange = exchange;
    if (this.#streams.length === 1) plane.wheel.clear(this.#timer);
    exchange.start(stream, frontend);
  }

  /** A block that is no request. */
  #refuse(id: number, fault: number): void {
    if (fault === HEAD_BROKEN) {
      this.#break(COMPRESSION_ERROR);
      return;
    }
    this.#logBad(CAUSE_PROXY);
    this.#count(stat.STAT_H2_STREAM_ERRORS);
    if (fault === HEAD_TOO_LARGE) {
      this.#writeTooLarge(id);
      this.#spend(abuse.ABUSE_HEADER_LIST);
    } else {
      this.#sendReset(id, PROTOCOL_ERROR);
      this.#spend(abuse.ABUSE_MALFORMED);
    }
  }

  /** 431 without a body, and no more of the request. RFC 6585 §5. */
  #writeTooLarge(id: number): void {
    const { output, plane } = this;
    const at = output.reserve(FRAME_HEADER + 5);
    if (at < 0) return;
    const { bytes } = plane.slab;
    const flags = FLAG_END_HEADERS | FLAG_END_STREAM;
    const to = writeFrameHeader(bytes, at, 5, FRAME_HEADERS, flags, id);
    bytes.set(STATUS_431, to);
    output.wrote(to + 5);
    if (!this.#reader.endStream) output.reset(id, NO_ERROR);
  }

  #trailers(stream: ClientStream): void {
    const { blocks } = this.plane.http2;
    const end = readTrailers(this.#decoder, blocks, 0, MAX_TRAILERS);
    if (end === HEAD_BROKEN) {
      this.#break(COMPRESSION_ERROR);
      return;
    }
    if (stream.isRemoteDone) {
      this.#streamBroken(stream.id, STREAM_CLOSED);
      return;
    }
    const isShort = stream.body === BODY_LENGTH && stream.bodyLeft > 0;
    if (end < 0 || !this.#reader.endStream || isShort) {
      this.#malformed();
      stream.broken();
      return;
    }
    stream.ended(end > 0 ? blocks.subarray(0, end) : undefined);
  }

  #malformed(): void {
    this.#count(stat.STAT_H2_STREAM_ERRORS);
    this.#spend(abuse.ABUSE_MALFORMED);
  }

  #reset(): void {
    const { stream: id } = this.#reader;
    this.#count(stat.STAT_H2_RESETS);
    const stream = this.find(id);
    if (stream === undefined) {
      if (id > this.#lastStream) this.#break(PROTOCOL_ERROR);
      else this.#spend(abuse.ABUSE_RAPID_RESET);
      return;
    }
    const { exchange } = stream;
    this.remove(stream);
    exchange?.clientGone(CAUSE_CLIENT_ABORT);
    this.#spend(abuse.ABUSE_RAPID_RESET);
  }

  #applySettings(): void {
    const reader = this.#reader;
    if (reader.isAck) return;
    this.#count(stat.STAT_H2_SETTINGS);
    if (!this.#spend(abuse.ABUSE_SETTINGS)) return;
    const error = this.settings.apply(reader.source, reader.start, reader.end);
    if (error !== NO_ERROR) {
      this.#break(error);
      return;
    }
    const change = this.settings.windowChange;
    if (change !== 0) {
      for (const stream of this.#streams) {
        stream.sendWindow += change;
        if (stream.sendWindow > MAX_WINDOW) {
          this.#break(FLOW_CONTROL_ERROR);
          return;
        }
      }
    }
    this.output.settingsAck();
    if (change > 0) this.#pump();
  }

  #ping(): void {
    const reader = this.#reader;
    if (reader.isAck) {
      if (this.#isDraining && this.#state === OPEN) this.#goAway(NO_ERROR);
      else this.#spend(abuse.ABUSE_PING);
      return;
    }
    if (this.#spend(abuse.ABUSE_PING)) this.output.ping(reader.source, reader.start, true);
  }

  #windowUpdate(): void {
    const { stream: id, increment } = this.#reader;
    if (this.framesSent > 0) {
      this.#meter?.credit(abuse.ABUSE_WINDOW_UPDATE, this.framesSent * 2);
      this.framesSent = 0;
    }
    if (!this.#spend(abuse.ABUSE_WINDOW_UPDATE)) return;
    if (id === 0) {
      this.sendWindow += increment;
      if (this.sendWindow > MAX_WINDOW) this.#break(FLOW_CONTROL_ERROR);
      else this.#pump();
      return;
    }
    const stream = this.find(id);
    if (stream === undefined) {
      if (id > this.#lastStream) this.#break(PROTOCOL_ERROR);
      return;
    }
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_WINDOW) this.#streamBroken(id, FLOW_CONTROL_ERROR);
    else if (stream.hasQueued) this.#pump();
  }

  /** Something for a stream that is not open. */
  #onClosed(id: number, code: number): void {
    if (id > this.#lastStream) {
      this.#break(PROTOCOL_ERROR);
      return;
    }
    this.#sendReset(id, code);
    this.#spend(abuse.ABUSE_CLOSED_STREAM);
  }

  #streamBroken(id: number, code: number): void {
    const stream = this.find(id);
    this.#count(stat.STAT_H2_STREAM_ERRORS);
    if (stream === undefined) {
      if (id > this.#lastStream) {
        this.#break(code);
        return;
      }
      this.#sendReset(id, code);
    } else {
      const { exchange } = stream;
      this.resetStream(stream, code);
      exchange?.clientGone(CAUSE_CLIENT_ABORT);
    }
    this.#spend(abuse.ABUSE_MALFORMED);
  }

  // ---- windows ----

  /** Bytes of a stream were taken: the windows open again, when half of them is used. */
  consumed(stream: ClientStream, flow: number): void {
    this.#creditConnection(flow);
    if (!stream.isOpen || stream.isRemoteDone || stream.isLocalDone) return;
    stream.credit += flow;
    if (stream.credit * 2 < this.#side.window) return;
    this.output.windowUpdate(stream.id, stream.credit);
    stream.receiveWindow += stream.credit;
    stream.credit = 0;
  }

  #creditConnection(flow: number): void {
    this.#credit += flow;
    if (this.#credit * 2 < CONNECTION_WINDOW || this.#state > LEAVING) return;
    this.output.windowUpdate(0, this.#credit);
    this.#receiveWindow += this.#credit;
    this.#credit = 0;
  }

  /** Sends what waited for windows, each stream in turn. */
  #pump(): void {
    const streams = this.#streams;
    let isMoving = this.hasQueued;
    while (isMoving && this.sendWindow > 0 && this.#hasRoom) {
      isMoving = false;
      this.hasQueued = false;
      const count = streams.length;
      for (let i = 0; i < count && streams.length > 0; i++) {
        this.#turn = (this.#turn + 1) % streams.length;
        const stream = streams[this.#turn] as ClientStream;
        if (!stream.hasQueued) continue;
        const before = this.sendWindow;
        stream.pump(TURN);
        if (this.sendWindow < before) isMoving = true;
        if (stream.isOpen && stream.hasQueued) this.hasQueued = true;
      }
    }
    for (let i = 0; i < streams.length; i++) if (streams[i]?.hasQueued) this.hasQueued = true;
  }

  get #hasRoom(): boolean {
    return this.connection.unsent + this.output.pending < MAX_UNSENT;
  }

  // ---- streams ----

  find(id: number): ClientStream | undefined {
    let stream = this.#buckets[(id >>> 1) & (BUCKETS - 1)];
    while (stream !== undefined && stream.id !== id) stream = stream.next;
    return stream;
  }

  #open(id: number): ClientStream {
    const { plane } = this;
    const stream = plane.http2.streams.pop() ?? new ClientStream(this);
    stream.open(this, id);
    stream.sendWindow = this.settings.initialWindow;
    stream.receiveWindow = this.#side.window;
    const bucket = (id >>> 1) & (BUCKETS - 1);
    stream.next = this.#buckets[bucket];
    this.#buckets[bucket] = stream;
    stream.place = this.#streams.length;
    this.#streams.push(stream);
    plane.statistics.add(this.#row, stat.STAT_H2_STREAMS, 1);
    plane.statistics.add(this.#row, stat.STAT_H2_STREAMS_TOTAL, 1);
    return stream;
  }

  /** Takes a stream out: it is over. Its exchange, if it has one, must be told by whoever calls. */
  remove(stream: ClientStream): void {
    if (!stream.isOpen) return;
    const bucket = (stream.id >>> 1) & (BUCKETS - 1);
    let before = this.#buckets[bucket];
    if (before === stream) this.#buckets[bucket] = stream.next;
    else {
      while (before !== undefined && before.next !== stream) before = before.next;
      if (before !== undefined) before.next = stream.next;
    }
    stream.next = undefined;
    const last = this.#streams.pop() as ClientStream;
    if (last !== stream) {
      this.#streams[stream.place] = last;
      last.place = stream.place;
    }
    this.plane.statistics.add(this.#row, stat.STAT_H2_STREAMS, -1);
    const hadExchange = stream.exchange !== undefined;
    stream.close();
    if (!hadExchange) this.recycle(stream);
    if (this.#streams.length > 0 || this.#state === GONE) return;
    if (this.#state === LEAVING) this.#linger();
    else if (!this.#isFeeding) this.#updateTimer();
  }

  /** A stream that nobody has any more. */
  recycle(stream: ClientStream): void {
    this.plane.http2.streams.push(stream);
  }

  /** Ends a stream with an error of its own. Its exchange must be told after. */
  resetStream(stream: ClientStream, code: number): void {
    if (!stream.isOpen) return;
    this.#sendReset(stream.id, code);
    this.remove(stream);
  }

  #sendReset(id: number, code: number): void {
    this.#count(stat.STAT_H2_RESETS_SENT);
    this.output.reset(id, code);
  }

  countSlowRead(): void {
    this.plane.http2.count(abuse.ABUSE_SLOW_READ);
    this.#spend(abuse.ABUSE_SLOW_READ);
  }

  // ---- answers ----

  /** Writes a response's head; gives where its frame begins, for END_STREAM. */
  writeHead(stream: ClientStream, head: Head, status: number, isUpgrade: boolean): number {
    const { output, plane } = this;
    const { bytes } = plane.slab;
    const given = head.status;
    head.status = status;
    let at = output.reserve(Math.max(FRAME_HEADER + 64, Math.min(output.room, 1_024)));
    let end = -1;
    const shrinks = this.settings.mustShrinkTable;
    for (let tries = 0; at >= 0 && end < 0 && tries < 2; tries++) {
      if (tries === 1) at = output.reserve(plane.slab.smallSize);
      if (at < 0) break;
      this.settings.mustShrinkTable = shrinks;
      const start = this.#beginBlock(bytes, at + FRAME_HEADER);
      end = writeResponseBlock(bytes, head, bytes, start, output.limit, isUpgrade);
    }
    if (end >= 0) {
      const size = end - at - FRAME_HEADER;
      writeFrameHeader(bytes, at, size, FRAME_HEADERS, FLAG_END_HEADERS, stream.id);
      output.wrote(end);
    } else if (at >= 0) {
      this.settings.mustShrinkTable = shrinks;
      at = this.#writeLongHead(stream, head, isUpgrade);
    }
    head.status = given;
    if (at < 0) this.plane.afterTurn(() => this.broken());
    return at;
  }

  #beginBlock(out: Uint8Array, at: number): number {
    if (!this.settings.mustShrinkTable) return at;
    this.settings.mustShrinkTable = false;
    return writeTableSizeZero(out, at);
  }

  /** A block that no buffer holds: in pieces. */
  #writeLongHead(stream: ClientStream, head: Head, isUpgrade: boolean): number {
    const { output, plane } = this;
    const { bytes } = plane.slab;
    const { blocks } = plane.http2;
    const size = writeResponseBlock(
      bytes,
      head,
      blocks,
      this.#beginBlock(blocks, 0),
      blocks.length,
      isUpgrade,
    );
    if (size < 0) return -1;
    const most = plane.slab.smallSize - FRAME_HEADER;
    let first = -1;
    for (let from = 0; from < size; ) {
      const piece = Math.min(most, size - from);
      const at = output.reserve(FRAME_HEADER + piece);
      if (at < 0) return -1;
      const flags = from + piece === size ? FLAG_END_HEADERS : 0;
      const type = from === 0 ? FRAME_HEADERS : FRAME_CONTINUATION;
      const to = writeFrameHeader(bytes, at, piece, type, flags, stream.id);
      bytes.set(blocks.subarray(from, from + piece), to);
      output.wrote(to + piece);
      // END_STREAM can be set only while the first piece has not gone: else an empty DATA frame ends the stream.
      first = from === 0 ? at : NO_FRAME;
      from += piece;
    }
    return first;
  }

  /** Writes fields that follow a body, and the end of the stream with them. False when there is none. */
  writeTrailers(stream: ClientStream, lines: Uint8Array): boolean {
    const { output, plane } = this;
    const { blocks } = plane.http2;
    const start = this.#beginBlock(blocks, 0);
    const size = writeTrailerBlock(lines, 0, lines.length, blocks, start, blocks.length);
    if (size <= start) return false;
    if (size > plane.slab.smallSize - FRAME_HEADER) return false;
    const at = output.reserve(FRAME_HEADER + size);
    if (at < 0) return false;
    const { bytes } = plane.slab;
    const flags = FLAG_END_HEADERS | FLAG_END_STREAM;
    const to = writeFrameHeader(bytes, at, size, FRAME_HEADERS, flags, stream.id);
    bytes.set(blocks.subarray(0, size), to);
    output.wrote(to + size);
    return true;
  }

  /** Whether a server's 101 answers the key that went out with the request. RFC 6455 §4.1. */
  acceptsKey({ webSocketKey: key }: ClientStream, head: Head): boolean {
    if (key === undefined) return true;
    const { bytes } = this.plane.slab;
    const expected = createHash("sha1").update(key).update(WEBSOCKET_GUID).digest("base64");
    for (let field = 0; field < head.fields; field++) {
      if (head.nameHash[field] !== ACCEPT_FIELD.hash) continue;
      const start = head.valueStart[field] as number;
      const end = head.valueEnd[field] as number;
      if (end - start !== expected.length) return false;
      for (let i = 0; i < expected.length; i++) {
        if (bytes[start + i] !== expected.charCodeAt(i)) return false;
      }
      return true;
    }
    return false;
  }

  // ---- ends ----

  /** Takes one from a budget. False when that ended the connection. */
  #spend(kind: number): boolean {
    this.#meter ??= new abuse.AbuseMeter(this.plane.now);
    if (this.#meter.spend(kind, this.plane.now)) return true;
    if (this.#state <= LEAVING) this.#calm(kind);
    return false;
  }

  /** Too much of something: ends the connection, counts and reports it. */
  #calm(kind: number): void {
    const { http2 } = this.plane;
    http2.count(kind);
    this.#report(http2.nameOf(kind));
    this.#break(ENHANCE_YOUR_CALM);
  }

  /** The connection broke the protocol: ends it, and all that is under way. */
  #break(code: number): void {
    if (this.#state > LEAVING) return;
    this.#count(stat.STAT_H2_CONNECTION_ERRORS);
    this.#count(stat.STAT_H2_GOAWAY_SENT);
    this.output.goAway(this.#lastStream, code);
    this.#state = LINGERING;
    this.#endStreams(CAUSE_CLIENT_ABORT);
    this.#linger();
  }

  #report(reason: string): void {
    const { plane, frontend } = this;
    if (!plane.http2.mayReport(plane.now)) return;
    const { log } = frontend.frontend as FrontendRuntime;
    log?.notice(
      `HTTP/2 connection on frontend ${frontend.name} ended for its client's abuse: ${reason}`,
      this.session,
      plane.ring.wallTime,
    );
  }

  /** No new streams: ends with the last one that is open. */
  #goAway(code: number): void {
    if (this.#state > OPEN) return;
    this.output.goAway(this.#lastStream, code);
    this.#state = LEAVING;
    this.#isDraining = false;
    if (this.#streams.length === 0) this.#linger();
  }

  #endStreams(cause: number): void {
    for (let i = this.#streams.length - 1; i >= 0; i = this.#streams.length - 1) {
      const stream = this.#streams[i] as ClientStream;
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
    this.#state = LINGERING;
    this.ownServer?.close();
    this.ownServer = undefined;
    this.output.flush();
    this.connection.shutdown();
    this.#setTimer(LINGER);
    this.#isPaused = false;
    this.connection.resume();
    this.#lingerOn();
  }

  #lingerOn(): void {
    const { connection } = this;
    if (connection.unsent === 0 && connection.isEnded && !connection.hasInput && !this.#isFeeding) {
      this.#close(CAUSE_PROXY, false);
    }
  }

  #close(cause: number, reset: boolean): void {
    if (this.#state === GONE) return;
    this.#state = GONE;
    this.#endStreams(cause);
    this.output.drop();
    this.ownServer?.close();
    this.ownServer = undefined;
    this.plane.wheel.destroy(this.#timer);
    this.plane.statistics.add(this.#row, stat.STAT_H2_OPEN, -1);
    this.connection.close(reset);
    this.plane.clients.delete(this);
    this.#host.ended(this.session);
  }

  /** One that never became a request leaves a line. Observed: haproxy 2.6.12, whose status there is 0. */
  #logBad(cause: number): void {
    const { plane, session, frontend } = this;
    if (!plane.http2.mayReport(plane.now)) return;
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

  #count(field: number): void {
    this.plane.statistics.add(this.#row, field, 1);
  }

  // ---- time ----

  /** The client's time runs while bytes are on their way to it, or while it asks for nothing. */
  #updateTimer(): void {
    if (this.#state > LEAVING || this.#isDraining) return;
    const { wheel } = this.plane;
    if (this.connection.unsent + this.output.pending > 0) {
      if (!wheel.isSet(this.#timer)) this.#setTimer(this.frontend.timeouts.client);
    } else if (this.#streams.length > 0) wheel.clear(this.#timer);
    else if (this.#lastStream === 0) {
      if (!wheel.isSet(this.#timer)) this.#setTimer(this.#requestTimeout());
    } else this.#setTimer(this.#keepAliveTimeout());
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

const DRAIN_PING = new TextEncoder().encode("draining");
const STATUS_431 = Uint8Array.of(0x08, 0x03, 0x34, 0x33, 0x31);
const WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
