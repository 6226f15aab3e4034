import { NO_BUFFER } from "@ha/linux/ring";
import type { Connection } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";

/** Gathers a request's head that comes in pieces, in one buffer. One for each connection. */
export class HeadGatherer {
  /** The one that holds what came so far, from `start` to `end`; NO_BUFFER between heads. */
  buffer = NO_BUFFER;
  start = 0;
  end = 0;
  readonly #slab: DataPlane["slab"];
  /** How far the held bytes were searched for the end of a head. */
  #scanned = 0;

  constructor(slab: DataPlane["slab"]) {
    this.#slab = slab;
  }

  /** The first piece; its reference passes. */
  begin(buffer: number): void {
    this.buffer = buffer;
    this.start = this.#slab.inStart[buffer] as number;
    this.end = this.#slab.inEnd[buffer] as number;
    this.#scanned = 0;
  }

  /** The buffer, whose reference passes to the caller; `start` and `end` still tell what it holds. */
  take(): number {
    const { buffer } = this;
    this.buffer = NO_BUFFER;
    return buffer;
  }

  drop(): void {
    if (this.buffer !== NO_BUFFER) this.#slab.release(this.buffer);
    this.buffer = NO_BUFFER;
  }

  /** How much of `words` is what is held, or its begin; 0 when it is something else. */
  beginOf(words: Uint8Array): number {
    const { bytes } = this.#slab;
    const most = Math.min(this.end - this.start, words.length);
    for (let i = 0; i < most; i++) if (bytes[this.start + i] !== words[i]) return 0;
    return most;
  }

  /** Another piece. False when not all of it had room: the rest is back with the connection. */
  append(connection: Connection, buffer: number): boolean {
    const slab = this.#slab;
    const start = slab.inStart[buffer] as number;
    const size = (slab.inEnd[buffer] as number) - start;
    const room = slab.offsetOf(this.buffer) + slab.sizeOf(this.buffer);
    if (this.end + size > room) this.#move();
    const limit = slab.offsetOf(this.buffer) + slab.sizeOf(this.buffer);
    const taken = Math.min(size, limit - this.end);
    slab.bytes.copyWithin(this.end, start, start + taken);
    this.end += taken;
    if (taken === size) {
      slab.release(buffer);
      return true;
    }
    connection.returnInput(buffer, start + taken, start + size);
    return false;
  }

  /** A head that began late in its buffer is moved to the front of another. */
  #move(): void {
    const slab = this.#slab;
    const held = this.buffer;
    if (this.start === slab.offsetOf(held) && held < slab.smallCount) return;
    const fresh = slab.take();
    if (fresh === NO_BUFFER) return;
    const to = slab.offsetOf(fresh);
    const size = Math.min(this.end - this.start, slab.smallSize);
    slab.bytes.copyWithin(to, this.start, this.start + size);
    slab.release(held);
    this.buffer = fresh;
    this.start = to;
    this.end = to + size;
    this.#scanned = 0;
  }

  /** Looks for the empty line in what came since, so that a head in a thousand pieces is parsed once. */
  mayBeWhole(): boolean {
    const { bytes } = this.#slab;
    let at = Math.max(this.start + 1, this.#scanned - 3);
    for (; at < this.end; at++) {
      if (bytes[at] !== 0x0a) continue;
      if (bytes[at - 1] === 0x0a || (bytes[at - 1] === 0x0d && bytes[at - 2] === 0x0a)) return true;
    }
    this.#scanned = this.end;
    return false;
  }
}
