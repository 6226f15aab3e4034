/** No buffer. */
export const NO_BUFFER = -1;

/**
 * The buffers of one ring, all in one stretch of memory. A buffer is a number: small ones first (0 to
 * `smallCount` - 1), then large ones. Who holds a buffer holds a reference; the last `release` gives it back.
 * The columns `next`, `start`, `end` are for the holder's queues: a buffer is in at most one of each kind.
 */
export class Slab {
  readonly bytes: Uint8Array;
  readonly smallSize: number;
  readonly smallCount: number;
  readonly largeSize: number;
  readonly largeCount: number;
  /** First offset past the buffers: room for addresses and message headers. */
  readonly spareOffset: number;
  /** Of a queue of received bytes: the next buffer, and the bytes of this one that are still to be taken. */
  readonly inNext: Int32Array;
  readonly inStart: Int32Array;
  readonly inEnd: Int32Array;
  /** Of a queue of bytes to send. */
  readonly outNext: Int32Array;
  readonly outStart: Int32Array;
  readonly outEnd: Int32Array;
  /** 1 while the buffer is in a queue of bytes to send. */
  readonly outQueued: Uint8Array;
  readonly #references: Uint8Array;
  readonly #freeSmall: Int32Array;
  #freeSmallCount: number;
  readonly #freeLarge: Int32Array;
  #freeLargeCount: number;
  #held = 0;

  /** @param memory At least `slabBytes(layout)` long. */
  constructor(memory: Uint8Array, layout: SlabLayout) {
    this.bytes = memory;
    this.smallSize = layout.smallSize;
    this.smallCount = layout.smallCount;
    this.largeSize = layout.largeSize;
    this.largeCount = layout.largeCount;
    this.spareOffset = layout.smallSize * layout.smallCount + layout.largeSize * layout.largeCount;
    const count = layout.smallCount + layout.largeCount;
    this.inNext = new Int32Array(count).fill(NO_BUFFER);
    this.inStart = new Int32Array(count);
    this.inEnd = new Int32Array(count);
    this.outNext = new Int32Array(count).fill(NO_BUFFER);
    this.outStart = new Int32Array(count);
    this.outEnd = new Int32Array(count);
    this.outQueued = new Uint8Array(count);
    this.#references = new Uint8Array(count);
    this.#freeSmall = new Int32Array(layout.smallCount);
    this.#freeLarge = new Int32Array(layout.largeCount);
    // Last in, first out, from the lowest number: what was used last is in the cache, the rest stays untouched.
    for (let i = 0; i < layout.smallCount; i++) this.#freeSmall[i] = layout.smallCount - 1 - i;
    for (let i = 0; i < layout.largeCount; i++) this.#freeLarge[i] = count - 1 - i;
    this.#freeSmallCount = layout.smallCount;
    this.#freeLargeCount = layout.largeCount;
  }

  /** Offset of a buffer's first byte. */
  offsetOf(buffer: number): number {
    return buffer < this.smallCount
      ? buffer * this.smallSize
      : this.smallCount * this.smallSize + (buffer - this.smallCount) * this.largeSize;
  }

  sizeOf(buffer: number): number {
    return buffer < this.smallCount ? this.smallSize : this.largeSize;
  }

  /** The buffer that an offset lies in. */
  bufferAt(offset: number): number {
    const large = this.smallCount * this.smallSize;
    return offset < large
      ? Math.floor(offset / this.smallSize)
      : this.smallCount + Math.floor((offset - large) / this.largeSize);
  }

  /** A small buffer with one reference, or NO_BUFFER. */
  take(): number {
    if (this.#freeSmallCount === 0) return NO_BUFFER;
    const buffer = this.#freeSmall[--this.#freeSmallCount] as number;
    this.#references[buffer] = 1;
    this.#held++;
    return buffer;
  }

  /** A large buffer with one reference, or NO_BUFFER. */
  takeLarge(): number {
    if (this.#freeLargeCount === 0) return NO_BUFFER;
    const buffer = this.#freeLarge[--this.#freeLargeCount] as number;
    this.#references[buffer] = 1;
    this.#held++;
    return buffer;
  }

  retain(buffer: number): void {
    this.#references[buffer] = (this.#references[buffer] as number) + 1;
  }

  /** Throws when nobody held it: a buffer given back twice would end up with two owners. */
  release(buffer: number): void {
    const references = this.#references[buffer] as number;
    if (references === 0) throw new Error(`buffer ${buffer} was released twice`);
    this.#references[buffer] = references - 1;
    if (references > 1) return;
    this.#held--;
    if (buffer < this.smallCount) this.#freeSmall[this.#freeSmallCount++] = buffer;
    else this.#freeLarge[this.#freeLargeCount++] = buffer;
  }

  references(buffer: number): number {
    return this.#references[buffer] as number;
  }

  /** Buffers that somebody holds, those lent to the kernel among them. A leak counter. */
  get held(): number {
    return this.#held;
  }

  get freeSmall(): number {
    return this.#freeSmallCount;
  }

  get freeLarge(): number {
    return this.#freeLargeCount;
  }
}

export interface SlabLayout {
  /** Bytes of a small buffer; default 16,384 (HAProxy's `tune.bufsize`). */
  readonly smallSize: number;
  /** 1–65,535. Memory is taken when a buffer is first used. */
  readonly smallCount: number;
  /** Bytes of a large buffer, for long bodies and tunnels. */
  readonly largeSize: number;
  /** 0–65,535. */
  readonly largeCount: number;
  /** Bytes past the buffers, for addresses and message headers. */
  readonly spareSize: number;
}

export function slabBytes(layout: SlabLayout): number {
  return (
    layout.smallSize * layout.smallCount + layout.largeSize * layout.largeCount + layout.spareSize
  );
}
