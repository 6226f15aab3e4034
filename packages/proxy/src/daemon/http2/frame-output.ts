import { NO_BUFFER, type Slab } from "@ha/linux/ring";
import {
  FLAG_ACK,
  FLAG_END_STREAM,
  FRAME_GOAWAY,
  FRAME_HEADER,
  FRAME_PING,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  FRAME_WINDOW_UPDATE,
  writeFrameHeader,
  writeWord,
} from "../../core/http2/frame.ts";
import type { Connection } from "../connection.ts";
import type { DataPlane } from "../data-plane.ts";

/**
 * The frames that go out on one connection: gathered in buffers as they are made, and sent together at the end of the
 * turn. Between turns it holds nothing.
 */
export class FrameOutput {
  /** Grows when what was gathered is handed on: frames written before can be changed no more. */
  generation = 0;
  /** The slab had no buffer left: something is missing, and the connection must end. */
  isBroken = false;
  readonly #plane: DataPlane;
  readonly #slab: Slab;
  readonly #connection: Connection;
  #buffer = NO_BUFFER;
  #start = 0;
  #at = 0;
  #limit = 0;
  #isScheduled = false;
  readonly #flush = (): void => {
    this.#isScheduled = false;
    this.flush();
  };

  constructor(plane: DataPlane, connection: Connection) {
    this.#plane = plane;
    this.#slab = plane.slab;
    this.#connection = connection;
  }

  /** Bytes that are not the connection's yet. */
  get pending(): number {
    return this.#at - this.#start;
  }

  /** Room left in the buffer that is being filled: `reserve` of no more takes no new one. */
  get room(): number {
    return this.#limit - this.#at;
  }

  /** End of the room that `reserve` gave. */
  get limit(): number {
    return this.#limit;
  }

  /** Offset of `size` bytes of room in one piece, at most a buffer; -1 when there is none. `wrote` follows. */
  reserve(size: number): number {
    if (this.#limit - this.#at >= size) return this.#at;
    this.#handOn();
    const buffer = this.#slab.take();
    if (buffer === NO_BUFFER) {
      this.isBroken = true;
      return -1;
    }
    this.#buffer = buffer;
    this.#start = this.#at = this.#slab.offsetOf(buffer);
    this.#limit = this.#start + this.#slab.smallSize;
    return this.#at;
  }

  /** What was reserved is filled up to `end`. */
  wrote(end: number): void {
    this.#at = end;
    if (this.#isScheduled) return;
    this.#isScheduled = true;
    this.#plane.afterTurn(this.#flush);
  }

  /** Hands all to the connection and sends. */
  flush(): void {
    this.#handOn();
    this.#connection.flush();
  }

  /** Forgets what was not handed on. */
  drop(): void {
    if (this.#buffer !== NO_BUFFER) this.#slab.release(this.#buffer);
    this.#buffer = NO_BUFFER;
    this.#start = this.#at = this.#limit = 0;
    this.generation++;
  }

  /** Sets END_STREAM on a frame whose header stands at `at`, written in this generation. */
  endStreamAt(at: number): void {
    this.#slab.bytes[at + 4] = (this.#slab.bytes[at + 4] as number) | FLAG_END_STREAM;
  }

  #handOn(): void {
    const buffer = this.#buffer;
    if (buffer === NO_BUFFER) return;
    this.#buffer = NO_BUFFER;
    this.generation++;
    this.#connection.queue(buffer, this.#start, this.#at);
    this.#start = this.#at = this.#limit = 0;
  }

  // ---- frames without a body ----

  settings(payload: Uint8Array): void {
    const at = this.reserve(FRAME_HEADER + payload.length);
    if (at < 0) return;
    const to = writeFrameHeader(this.#slab.bytes, at, payload.length, FRAME_SETTINGS, 0, 0);
    this.#slab.bytes.set(payload, to);
    this.wrote(to + payload.length);
  }

  settingsAck(): void {
    const at = this.reserve(FRAME_HEADER);
    if (at >= 0) this.wrote(writeFrameHeader(this.#slab.bytes, at, 0, FRAME_SETTINGS, FLAG_ACK, 0));
  }

  /** Eight bytes from `start` of `source`. */
  ping(source: Uint8Array, start: number, isAck: boolean): void {
    const at = this.reserve(FRAME_HEADER + 8);
    if (at < 0) return;
    const { bytes } = this.#slab;
    const to = writeFrameHeader(bytes, at, 8, FRAME_PING, isAck ? FLAG_ACK : 0, 0);
    for (let i = 0; i < 8; i++) bytes[to + i] = source[start + i] as number;
    this.wrote(to + 8);
  }

  reset(stream: number, code: number): void {
    this.#word(FRAME_RST_STREAM, stream, code);
  }

  windowUpdate(stream: number, increment: number): void {
    this.#word(FRAME_WINDOW_UPDATE, stream, increment);
  }

  goAway(lastStream: number, code: number): void {
    const at = this.reserve(FRAME_HEADER + 8);
    if (at < 0) return;
    const { bytes } = this.#slab;
    const to = writeFrameHeader(bytes, at, 8, FRAME_GOAWAY, 0, 0);
    this.wrote(writeWord(bytes, writeWord(bytes, to, lastStream), code));
  }

  #word(type: number, stream: number, value: number): void {
    const at = this.reserve(FRAME_HEADER + 4);
    if (at < 0) return;
    const { bytes } = this.#slab;
    this.wrote(writeWord(bytes, writeFrameHeader(bytes, at, 4, type, 0, stream), value));
  }
}
