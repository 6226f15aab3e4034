import { NO_BUFFER, type Slab } from "@ha/linux/ring";
import {
  FLAG_END_STREAM,
  FRAME_DATA,
  FRAME_HEADER,
  writeFrameHeader,
} from "../../core/http2/frame.ts";
import type { DataPlane } from "../data-plane.ts";
import type { FrameOutput } from "./frame-output.ts";
import { RangeQueue } from "./range-queue.ts";
import type { StreamSide } from "./stream-side.ts";

/** What a stream needs of the connection that it is on. */
export interface StreamLink {
  readonly plane: DataPlane;
  readonly output: FrameOutput;
  /** Of the whole connection: what the peer takes. */
  sendWindow: number;
  /** Whether a stream has more to send than the windows let it. */
  hasQueued: boolean;
  framesSent: number;
  /** Payload of the longest frame that the peer takes. */
  readonly frameSize: number;
  /** Bytes of a stream were taken: the windows open again. */
  consumed(stream: Http2Stream, flow: number): void;
  /** Writes fields that follow a body, and the end of the stream with them. False when there is none. */
  writeTrailers(stream: Http2Stream, lines: Uint8Array): boolean;
  /** The slab is empty, or another fault of ours: the connection ends. */
  broken(): void;
}

/** What `writeBlock` gives where END_STREAM cannot be set on the head's frame any more. */
export const NO_FRAME = Number.MAX_SAFE_INTEGER;
/** A payload less than this is not worth a frame of its own. */
const SMALL_FRAME = 1_024;
/** Bytes that a blocked peer must take for its time limit to begin anew: one byte now and then does not. */
const PROGRESS = 1_024;

/**
 * One stream of an HTTP/2 connection: what it sends, as the windows let it, and what came and nobody took yet. What it
 * carries is for who extends it to say. Pooled.
 */
export abstract class Http2Stream {
  id = 0;
  /** The next one in its bucket of the connection's table, and its place among the open ones. */
  next: Http2Stream | undefined = undefined;
  place = 0;
  /** In its connection's table. */
  isOpen = false;
  /** Bytes that the peer takes, and that it may send. */
  sendWindow = 0;
  receiveWindow = 0;
  /** Bytes taken that the peer's window was not opened for again yet. */
  credit = 0;
  /** The peer sent END_STREAM. */
  isRemoteDone = false;
  /** Somebody waits for it still: it is recycled by whoever ends that. */
  abstract get isCarrying(): boolean;
  /** We sent END_STREAM or RST_STREAM. */
  isLocalDone = false;
  /** A tunnel has it. */
  side: StreamSide | undefined = undefined;
  /** Bytes that came and nobody took yet; and how much of the windows they hold. */
  protected readonly waiting: RangeQueue;
  protected owed = 0;
  /** Bytes that the windows have no room for. */
  protected readonly queued: RangeQueue;
  protected isEnding = false;
  /** Fields to be sent after the body, as lines of HTTP/1. */
  protected outTrailers: Uint8Array | undefined = undefined;
  /** Its last frame, to set END_STREAM on. */
  #frameAt = -1;
  #frameGeneration = -1;
  #taken = 0;

  constructor(slab: Slab) {
    this.waiting = new RangeQueue(slab);
    this.queued = new RangeQueue(slab);
  }

  abstract get link(): StreamLink;

  /** There is room for more to send. */
  protected abstract roomAgain(): void;
  /** The peer reset it: whether what came before still holds. */
  outlives(_code: number): boolean {
    return false;
  }

  /** The tunnel that had it is over. */
  abstract sideClosed(): void;
  /** END_STREAM went out. */
  protected abstract sentEnd(): void;
  /** What is queued waits for the peer: its time runs. `begins` anew, after progress. */
  protected abstract blocked(begins: boolean): void;
  /** Nothing is queued any more. */
  protected abstract unblocked(): void;

  /** Makes a pooled one new. */
  protected begin(id: number): void {
    this.id = id;
    this.isOpen = true;
    this.credit = this.owed = this.#taken = 0;
    this.isRemoteDone = this.isLocalDone = this.isEnding = false;
    this.outTrailers = undefined;
    this.#frameAt = this.#frameGeneration = -1;
  }

  /** Gives back all that it holds: it is in no table any more. */
  close(): void {
    this.isOpen = false;
    this.isLocalDone = true;
    this.unblocked();
    this.waiting.clear();
    this.queued.clear();
    this.giveOwed();
    const { side } = this;
    this.side = undefined;
    side?.gone();
  }

  /** Opens the windows for all that waited. */
  protected giveOwed(): void {
    const { owed } = this;
    this.owed = 0;
    if (owed > 0) this.link.consumed(this, owed);
  }

  get hasQueued(): boolean {
    return !this.queued.isEmpty;
  }

  get queuedBytes(): number {
    return this.queued.bytes;
  }

  get hasWaiting(): boolean {
    return !this.waiting.isEmpty;
  }

  /** For a tunnel: the next bytes of the peer, which pass with their reference; NO_BUFFER when there are none. */
  takeWaiting(): number {
    const { waiting } = this;
    if (waiting.isEmpty) return NO_BUFFER;
    const { buffer, start, end } = waiting;
    const { slab } = this.link.plane;
    waiting.shift();
    slab.inStart[buffer] = start;
    slab.inEnd[buffer] = end;
    if (waiting.isEmpty) this.giveOwed();
    return buffer;
  }

  /** A head was written: its frame begins at `at`. */
  protected wroteHead(at: number): void {
    this.#frameAt = at;
    this.#frameGeneration = at === NO_FRAME ? -1 : this.link.output.generation;
  }

  /** Sends bytes as far as the windows let them, and keeps the rest. The reference passes. */
  sendData(buffer: number, start: number, end: number): void {
    const { link } = this;
    const { slab } = link.plane;
    let from = start;
    if (this.isLocalDone || this.isEnding) from = end;
    else if (this.queued.isEmpty) from = this.#write(start, end);
    if (from === end) {
      slab.release(buffer);
      return;
    }
    const begins = this.queued.isEmpty;
    if (begins) this.#taken = 0;
    this.queued.push(buffer, from, end);
    link.hasQueued = true;
    this.blocked(begins);
  }

  /** Writes DATA frames of a range; gives how far the windows let it come. */
  #write(start: number, end: number): number {
    const { link } = this;
    const { output, plane } = link;
    const { bytes } = plane.slab;
    let from = start;
    while (from < end) {
      let size = Math.min(end - from, this.sendWindow, link.sendWindow, link.frameSize);
      if (size <= 0) break;
      // A frame that fills the buffer is better than two, a header without a payload worse than none.
      const room = output.room - FRAME_HEADER;
      const most = size > room && room < SMALL_FRAME ? plane.slab.smallSize - FRAME_HEADER : room;
      size = Math.min(size, most);
      const at = output.reserve(FRAME_HEADER + size);
      if (at < 0) {
        plane.afterTurn(() => link.broken());
        return end;
      }
      const to = writeFrameHeader(bytes, at, size, FRAME_DATA, 0, this.id);
      if (size > 64) bytes.copyWithin(to, from, from + size);
      else for (let i = 0; i < size; i++) bytes[to + i] = bytes[from + i] as number;
      output.wrote(to + size);
      this.#frameAt = at;
      this.#frameGeneration = output.generation;
      this.sendWindow -= size;
      link.sendWindow -= size;
      link.framesSent++;
      from += size;
    }
    return from;
  }

  /** The windows have room again: writes what waits, at most `most` bytes. */
  pump(most: number): void {
    const { queued } = this;
    let left = most;
    while (!queued.isEmpty && left > 0) {
      const { start } = queued;
      const end = Math.min(queued.end, start + left);
      const stop = this.#write(start, end);
      this.#taken += stop - start;
      left -= stop - start;
      if (stop > start) queued.consume(stop - start);
      if (stop < end) break;
    }
    if (!queued.isEmpty) {
      if (this.#taken < PROGRESS) return;
      this.#taken = 0;
      this.blocked(true);
      return;
    }
    this.unblocked();
    if (this.isEnding) this.#end();
    else this.roomAgain();
  }

  /** The connection has room again. */
  drained(): void {
    if (this.queued.isEmpty) this.roomAgain();
  }

  /** Nothing follows what was sent: END_STREAM goes out, after what is queued. */
  endStream(): void {
    if (this.isEnding || this.isLocalDone) return;
    this.isEnding = true;
    if (this.queued.isEmpty) this.#end();
  }

  #end(): void {
    const { link, outTrailers: trailers } = this;
    const { output } = link;
    this.isLocalDone = true;
    if (trailers !== undefined && link.writeTrailers(this, trailers)) this.outTrailers = undefined;
    else if (this.#frameAt >= 0 && this.#frameGeneration === output.generation) {
      output.endStreamAt(this.#frameAt);
    } else {
      const at = output.reserve(FRAME_HEADER);
      if (at < 0) {
        link.plane.afterTurn(() => link.broken());
        return;
      }
      const { bytes } = link.plane.slab;
      output.wrote(writeFrameHeader(bytes, at, 0, FRAME_DATA, FLAG_END_STREAM, this.id));
    }
    this.sentEnd();
  }
}
