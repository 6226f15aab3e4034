import { NO_BUFFER } from "@ha/linux/ring";
import * as abuse from "../../core/http2/abuse.ts";
import { HEAD_BROKEN, readTrailers } from "../../core/http2/field-text.ts";
import {
  COMPRESSION_ERROR,
  DEFAULT_WINDOW,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  FRAME_SETTINGS,
  MAX_WINDOW,
  NO_ERROR,
  PROTOCOL_ERROR,
  STREAM_CLOSED,
} from "../../core/http2/frame.ts";
import * as event from "../../core/http2/frame-reader.ts";
import { HpackDecoder } from "../../core/http2/hpack-decoder.ts";
import { CONNECTION_WINDOW, MAX_TRAILERS, MAX_UNSENT } from "../../core/http2/limits.ts";
import { PeerSettings } from "../../core/http2/settings.ts";
import * as stat from "../../core/statistics.ts";
import { type Connection, type ConnectionOwner, OUTPUT_LOW } from "../connection.ts";
import type { DataPlane } from "../data-plane.ts";
import { BlockWriter } from "./block-writer.ts";
import { FrameOutput } from "./frame-output.ts";
import type { Http2Side } from "./http2-shared.ts";
import type { Http2Stream, StreamLink } from "./http2-stream.ts";
import { StreamTable } from "./stream-table.ts";

/** Where a connection is. */
export const PREFACING = 0; // for the client's preface
export const OPEN = 1;
/** A last GOAWAY went out or came in: ends with its last stream. */
export const LEAVING = 2;
/** All was said; what still comes is thrown away. */
export const LINGERING = 3;
export const GONE = 4;

/** Bytes that one stream may send before the next one's turn. */
const TURN = 16_384;

/**
 * What both ends of HTTP/2 have in common: frames that concern the connection, windows both ways, the table of streams,
 * and the budgets of what a peer may waste. What streams carry is for who extends it to say. RFC 9113.
 */
export abstract class Http2Connection<S extends Http2Stream>
  implements ConnectionOwner, StreamLink
{
  readonly plane: DataPlane;
  readonly connection: Connection;
  readonly settings = new PeerSettings();
  readonly output: FrameOutput;
  readonly streams = new StreamTable<S>();
  sendWindow = DEFAULT_WINDOW;
  hasQueued = false;
  /** DATA frames since the last window update, which they pay for. */
  framesSent = 0;
  protected readonly side: Http2Side;
  protected readonly reader: event.FrameReader;
  protected readonly decoder: HpackDecoder;
  readonly blocks: BlockWriter;
  protected state = PREFACING;
  protected isFeeding = false;
  /** The highest stream that was opened. */
  protected lastStream = 0;
  /** The peer's first SETTINGS came. */
  protected hasSettings = false;
  #receiveWindow = CONNECTION_WINDOW;
  /** Bytes taken that the window was not opened for again yet. */
  #credit = 0;
  #meter: abuse.AbuseMeter | undefined = undefined;
  #isChoked = false;
  #isPaused = false;
  #turn = 0;

  constructor(plane: DataPlane, connection: Connection, side: Http2Side) {
    this.plane = plane;
    this.connection = connection;
    this.side = side;
    const { http2 } = plane;
    this.reader = new event.FrameReader(side.limits);
    this.decoder = new HpackDecoder(http2.tableSize, http2.work);
    this.output = new FrameOutput(plane, connection);
    this.blocks = new BlockWriter(plane, this.output, this.settings);
    connection.owner = this;
  }

  /** Bytes before the first frame: gives how far they were taken. */
  protected abstract preface(bytes: Uint8Array, start: number, end: number): number;
  /** A header block for a stream that is not open; it must be read to its end. */
  protected abstract headersOfNew(id: number): void;
  /** A header block for an open stream; it must be read to its end. */
  protected abstract headersOf(stream: S): void;
  /** Bytes of a body; `ends` with the last ones. The buffer stays the caller's. */
  protected abstract dataOf(
    stream: S,
    buffer: number,
    start: number,
    end: number,
    flow: number,
    ends: boolean,
  ): void;
  /** The peer broke a stream off, or broke its rules: it is out of the table, and what it carried must end. */
  protected abstract streamLost(stream: S, code: number): void;
  protected abstract goAwayCame(lastStream: number, code: number): void;
  protected abstract pingAnswered(): void;
  /** Nothing can go on: what streams carry must end, and the connection be closed. */
  protected abstract lost(reset: boolean): void;
  /** All streams must end, with the connection soon after: GOAWAY was written. */
  protected abstract broke(): void;
  protected abstract peerEnded(): void;
  protected abstract lingers(): void;
  /** The last stream is out of the table. */
  protected abstract lastStreamEnded(): void;
  protected abstract updateTimer(): void;
  /** A stream that nobody has any more. */
  abstract recycle(stream: S): void;
  protected abstract count(field: number, by?: number): void;
  protected abstract reportAbuse(kind: number): void;

  get frameSize(): number {
    return this.settings.frameSize;
  }

  /** The last stream of the peer's that we looked at, which GOAWAY tells. */
  protected get lastTaken(): number {
    return this.lastStream;
  }

  /** Our first words. */
  protected greet(): void {
    this.output.settings(this.side.settings);
    this.output.windowUpdate(0, CONNECTION_WINDOW - DEFAULT_WINDOW);
  }

  /** Bytes on their way to the peer, as one stream is told. */
  unsentBy(): number {
    const { unsent } = this;
    if (unsent > OUTPUT_LOW) this.#isChoked = true;
    return unsent;
  }

  protected get unsent(): number {
    return this.connection.unsent + this.output.pending;
  }

  // ---- the connection ----

  received(): void {
    if (this.isFeeding) return;
    const { connection, plane } = this;
    this.isFeeding = true;
    while (!this.#isPaused) {
      const buffer = connection.takeInput();
      if (buffer === NO_BUFFER) break;
      if (this.state <= LEAVING) this.#feed(buffer);
      plane.slab.release(buffer);
    }
    this.isFeeding = false;
    if (this.state === GONE) return;
    if (this.output.isBroken) this.broken();
    else if (connection.isEnded && !connection.hasInput) this.peerEnded();
    else if (this.state <= LEAVING) {
      if (this.unsent > MAX_UNSENT) {
        this.#isPaused = true;
        connection.pause();
      }
      this.updateTimer();
    } else this.lingers();
  }

  drained(): void {
    const { connection } = this;
    if (this.state === GONE) return;
    if (this.state === LINGERING) {
      this.lingers();
      return;
    }
    this.updateTimer();
    if (connection.unsent >= OUTPUT_LOW) return;
    if (this.#isChoked) {
      this.#isChoked = false;
      this.streams.each((stream) => stream.drained());
    }
    if (this.hasQueued) this.#pump();
    if (!this.#isPaused || this.state > LEAVING) return;
    this.#isPaused = false;
    connection.resume();
    this.received();
  }

  failed(): void {
    this.lost(true);
  }

  connected(): void {}

  broken(): void {
    this.lost(true);
  }

  /** Reads on, whatever is unsent: nothing is answered any more. */
  protected readOn(): void {
    this.#isPaused = false;
    this.connection.resume();
  }

  // ---- frames ----

  #feed(buffer: number): void {
    const { slab } = this.plane;
    const { bytes } = slab;
    const { reader } = this;
    let at = slab.inStart[buffer] as number;
    const end = slab.inEnd[buffer] as number;
    if (this.state === PREFACING) at = this.preface(bytes, at, end);
    while (at < end && this.state <= LEAVING) {
      at = reader.take(bytes, at, end);
      if (reader.event === event.EVENT_NONE) break;
      this.#take(buffer);
    }
    reader.letGo();
  }

  /** What the reader found. */
  #take(buffer: number): void {
    const { reader } = this;
    if (!this.hasSettings && !this.#isFirstSettings()) return;
    switch (reader.event) {
      case event.EVENT_DATA:
        this.#data(buffer);
        return;
      case event.EVENT_HEADERS:
        this.#headers();
        return;
      case event.EVENT_CONTINUATION:
        this.spend(abuse.ABUSE_CONTINUATION);
        return;
      case event.EVENT_PRIORITY:
        // Taken and not followed, as RFC 9113 §5.3 lets it be: answers are sent in turn.
        this.spend(abuse.ABUSE_PRIORITY);
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
        this.count(stat.STAT_H2_GOAWAY);
        if (this.spend(abuse.ABUSE_GOAWAY)) this.goAwayCame(reader.lastStream, reader.code);
        return;
      case event.EVENT_WINDOW:
        this.#windowUpdate();
        return;
      case event.EVENT_UNKNOWN:
        this.spend(abuse.ABUSE_UNKNOWN_FRAME);
        return;
      case event.EVENT_STREAM_BROKEN:
        this.streamBroken(reader.stream, reader.code);
        return;
      default:
        this.#brokenFrame();
    }
  }

  /** SETTINGS must come first of all. RFC 9113 §3.4. */
  #isFirstSettings(): boolean {
    const { reader } = this;
    if (reader.event === event.EVENT_SETTINGS && !reader.isAck) {
      this.hasSettings = true;
      return true;
    }
    if (reader.event === event.EVENT_BROKEN && reader.type === FRAME_SETTINGS) this.#brokenFrame();
    else this.break(PROTOCOL_ERROR);
    return false;
  }

  #brokenFrame(): void {
    const { code, type } = this.reader;
    if (code !== ENHANCE_YOUR_CALM) this.break(code);
    else this.#calm(type === FRAME_SETTINGS ? abuse.ABUSE_SETTINGS : abuse.ABUSE_CONTINUATION);
  }

  #data(buffer: number): void {
    const { reader } = this;
    const { stream: id, flow, start, end, isLast } = reader;
    const ends = isLast && reader.endStream;
    if (isLast) this.count(stat.STAT_H2_DATA);
    this.#receiveWindow -= flow;
    if (this.#receiveWindow < 0) {
      this.break(FLOW_CONTROL_ERROR);
      return;
    }
    if (isLast && end === start && !ends && !this.spend(abuse.ABUSE_EMPTY_FRAME)) return;
    const stream = this.streams.find(id);
    if (stream === undefined) {
      this.#creditConnection(flow);
      if (isLast) this.onClosed(id, STREAM_CLOSED);
    } else if (stream.isRemoteDone) {
      this.#creditConnection(flow);
      if (isLast) this.streamBroken(id, STREAM_CLOSED);
    } else {
      stream.receiveWindow -= flow;
      // Before it heard of a smaller window the peer goes by the default one. RFC 9113 §6.9.3
      const least = Math.min(0, this.side.window - DEFAULT_WINDOW);
      if (stream.receiveWindow < least) this.streamBroken(id, FLOW_CONTROL_ERROR);
      else this.dataOf(stream, buffer, start, end, flow, ends);
    }
  }

  #headers(): void {
    const { reader } = this;
    this.count(stat.STAT_H2_HEADERS);
    this.decoder.begin(reader.source, reader.start, reader.end);
    const stream = this.streams.find(reader.stream);
    if (stream === undefined) this.headersOfNew(reader.stream);
    else this.headersOf(stream);
  }

  /**
   * Fields after a body, as lines of HTTP/1. Undefined when they end the stream with an error, or the connection: all is
   * done then.
   */
  protected takeTrailers(stream: S): Uint8Array | undefined {
    const { blocks } = this.plane.http2;
    const end = readTrailers(this.decoder, blocks, 0, MAX_TRAILERS);
    if (end === HEAD_BROKEN) this.break(COMPRESSION_ERROR);
    else if (stream.isRemoteDone) this.streamBroken(stream.id, STREAM_CLOSED);
    else if (end < 0 || !this.reader.endStream) this.streamBroken(stream.id, PROTOCOL_ERROR);
    else return blocks.subarray(0, end);
    return undefined;
  }

  #reset(): void {
    const { stream: id, code } = this.reader;
    this.count(stat.STAT_H2_RESETS);
    const stream = this.streams.find(id);
    if (stream === undefined && id > this.lastStream) {
      this.break(PROTOCOL_ERROR);
      return;
    }
    if (stream !== undefined && !stream.outlives(code)) {
      this.remove(stream);
      this.streamLost(stream, code);
    }
    this.spend(abuse.ABUSE_RAPID_RESET);
  }

  #applySettings(): void {
    const { reader, settings } = this;
    if (reader.isAck) return;
    this.count(stat.STAT_H2_SETTINGS);
    if (!this.spend(abuse.ABUSE_SETTINGS)) return;
    const error = settings.apply(reader.source, reader.start, reader.end);
    if (error !== NO_ERROR) {
      this.break(error);
      return;
    }
    const { windowChange } = settings;
    if (windowChange !== 0) {
      let isTooMuch = false;
      this.streams.each((stream) => {
        stream.sendWindow += windowChange;
        if (stream.sendWindow > MAX_WINDOW) isTooMuch = true;
      });
      if (isTooMuch) {
        this.break(FLOW_CONTROL_ERROR);
        return;
      }
    }
    this.output.settingsAck();
    if (windowChange > 0) this.#pump();
  }

  #ping(): void {
    const { reader } = this;
    if (!this.spend(abuse.ABUSE_PING)) return;
    if (reader.isAck) this.pingAnswered();
    else this.output.ping(reader.source, reader.start, true);
  }

  #windowUpdate(): void {
    const { stream: id, increment } = this.reader;
    if (this.framesSent > 0) {
      this.#meter?.credit(abuse.ABUSE_WINDOW_UPDATE, this.framesSent * 2);
      this.framesSent = 0;
    }
    if (!this.spend(abuse.ABUSE_WINDOW_UPDATE)) return;
    if (id === 0) {
      this.sendWindow += increment;
      if (this.sendWindow > MAX_WINDOW) this.break(FLOW_CONTROL_ERROR);
      else if (this.hasQueued) this.#pump();
      return;
    }
    const stream = this.streams.find(id);
    if (stream === undefined) {
      if (id > this.lastStream) this.break(PROTOCOL_ERROR);
      return;
    }
    stream.sendWindow += increment;
    if (stream.sendWindow > MAX_WINDOW) this.streamBroken(id, FLOW_CONTROL_ERROR);
    else if (stream.hasQueued) this.#pump();
  }

  /** Something came for a stream that is not open. */
  protected onClosed(id: number, code: number): void {
    if (id > this.lastStream) {
      this.break(PROTOCOL_ERROR);
      return;
    }
    this.sendReset(id, code);
    this.spend(abuse.ABUSE_CLOSED_STREAM);
  }

  /** The peer broke the rules of a stream: it is reset, and counts as malformed. */
  protected streamBroken(id: number, code: number): void {
    const stream = this.streams.find(id);
    this.count(stat.STAT_H2_STREAM_ERRORS);
    if (stream === undefined) {
      if (id > this.lastStream) {
        this.break(code);
        return;
      }
      this.sendReset(id, code);
    } else {
      this.resetStream(stream, code);
      this.streamLost(stream, code);
    }
    this.spend(abuse.ABUSE_MALFORMED);
  }

  // ---- windows ----

  consumed(stream: Http2Stream, flow: number): void {
    this.#creditConnection(flow);
    if (!stream.isOpen || stream.isRemoteDone) return;
    stream.credit += flow;
    if (stream.credit * 2 < this.side.window || stream.credit === 0) return;
    this.output.windowUpdate(stream.id, stream.credit);
    stream.receiveWindow += stream.credit;
    stream.credit = 0;
  }

  #creditConnection(flow: number): void {
    this.#credit += flow;
    if (this.#credit * 2 < CONNECTION_WINDOW || this.state > LEAVING) return;
    this.output.windowUpdate(0, this.#credit);
    this.#receiveWindow += this.#credit;
    this.#credit = 0;
  }

  /** Sends what waited for windows, each stream in turn. */
  #pump(): void {
    const { streams } = this;
    for (let isMoving = true; isMoving && this.sendWindow > 0 && this.unsent < MAX_UNSENT; ) {
      isMoving = false;
      for (let i = streams.size; i > 0 && streams.size > 0; i--) {
        this.#turn = (this.#turn + 1) % streams.size;
        const stream = streams.at(this.#turn);
        if (!stream.hasQueued) continue;
        const before = this.sendWindow;
        stream.pump(TURN);
        if (this.sendWindow < before) isMoving = true;
      }
    }
    this.hasQueued = streams.some((stream) => stream.hasQueued);
  }

  // ---- streams ----

  /** Enters a stream that was opened, by whichever end. */
  protected enter(stream: S): void {
    stream.sendWindow = this.settings.initialWindow;
    stream.receiveWindow = this.side.window;
    this.streams.add(stream);
    this.count(stat.STAT_H2_STREAMS, 1);
    this.count(stat.STAT_H2_STREAMS_TOTAL, 1);
  }

  /** Takes a stream out: it is over. What it carries, if anything, must be told by whoever calls. */
  remove(stream: S): void {
    if (!stream.isOpen) return;
    this.streams.remove(stream);
    this.count(stat.STAT_H2_STREAMS, -1);
    const carried = stream.isCarrying;
    stream.close();
    if (!carried) this.recycle(stream);
    if (this.streams.size === 0 && this.state !== GONE) this.lastStreamEnded();
  }

  /** Ends a stream with an error of its own. What it carries must be told after. */
  resetStream(stream: S, code: number): void {
    if (!stream.isOpen) return;
    this.sendReset(stream.id, code);
    this.remove(stream);
  }

  protected sendReset(id: number, code: number): void {
    this.count(stat.STAT_H2_RESETS_SENT);
    this.output.reset(id, code);
  }

  /** A peer let its time for taking what it asked for pass. */
  countSlowRead(): void {
    this.plane.http2.count(abuse.ABUSE_SLOW_READ);
    this.spend(abuse.ABUSE_SLOW_READ);
  }

  writeTrailers(stream: Http2Stream, lines: Uint8Array): boolean {
    return this.blocks.writeTrailers(stream.id, lines);
  }

  // ---- ends ----

  /** Takes one from a budget. False when that ended the connection. */
  protected spend(kind: number): boolean {
    const { now } = this.plane;
    this.#meter ??= new abuse.AbuseMeter(now);
    if (this.#meter.spend(kind, now)) return true;
    this.#calm(kind);
    return false;
  }

  /** Too much of something: ends the connection, counts and reports it. */
  #calm(kind: number): void {
    if (this.state > LEAVING) return;
    this.plane.http2.count(kind);
    this.reportAbuse(kind);
    this.break(ENHANCE_YOUR_CALM);
  }

  /** The peer broke the protocol: ends the connection, and all that is under way. */
  protected break(code: number): void {
    if (this.state > LEAVING) return;
    this.count(stat.STAT_H2_CONNECTION_ERRORS);
    this.count(stat.STAT_H2_GOAWAY_SENT);
    this.output.goAway(this.lastTaken, code);
    this.broke();
  }
}
