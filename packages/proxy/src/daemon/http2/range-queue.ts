import { NO_BUFFER, type Slab } from "@ha/linux/ring";

/** Ranges of slab buffers that wait, in order; each holds a reference. Costs nothing while it is empty. */
export class RangeQueue {
  /** Bytes in all. */
  bytes = 0;
  readonly #slab: Slab;
  /** Buffer, start and end of each, from `#first` on. */
  readonly #ranges: number[] = [];
  #first = 0;
  /** The last buffer is our own, with room behind. */
  #isOwn = false;

  constructor(slab: Slab) {
    this.#slab = slab;
  }

  get isEmpty(): boolean {
    return this.#first === this.#ranges.length;
  }

  /** The first range: `buffer` with `start` and `end`. */
  get buffer(): number {
    return this.#ranges[this.#first] as number;
  }

  get start(): number {
    return this.#ranges[this.#first + 1] as number;
  }

  get end(): number {
    return this.#ranges[this.#first + 2] as number;
  }

  /** Puts a range at the end; the reference passes. */
  push(buffer: number, start: number, end: number): void {
    this.#ranges.push(buffer, start, end);
    this.bytes += end - start;
    this.#isOwn = false;
  }

  /** Puts a range in front; the reference passes. */
  unshift(buffer: number, start: number, end: number): void {
    this.bytes += end - start;
    if (this.#first >= 3) {
      this.#first -= 3;
      this.#ranges[this.#first] = buffer;
      this.#ranges[this.#first + 1] = start;
      this.#ranges[this.#first + 2] = end;
    } else this.#ranges.unshift(buffer, start, end);
  }

  /** Copies bytes to the end, into buffers of its own, so that many small ranges take no buffer each. False without room. */
  copy(source: Uint8Array, start: number, end: number): boolean {
    const slab = this.#slab;
    const ranges = this.#ranges;
    for (let at = start; at < end; ) {
      const last = ranges.length - 3;
      const buffer = this.#isOwn && !this.isEmpty ? (ranges[last] as number) : NO_BUFFER;
      const to = buffer === NO_BUFFER ? 0 : (ranges[last + 2] as number);
      const room = buffer === NO_BUFFER ? 0 : slab.offsetOf(buffer) + slab.smallSize - to;
      if (room === 0) {
        const fresh = slab.take();
        if (fresh === NO_BUFFER) return false;
        ranges.push(fresh, slab.offsetOf(fresh), slab.offsetOf(fresh));
        this.#isOwn = true;
        continue;
      }
      const size = Math.min(room, end - at);
      if (source === slab.bytes) slab.bytes.copyWithin(to, at, at + size);
      else slab.bytes.set(source.subarray(at, at + size), to);
      ranges[last + 2] = to + size;
      this.bytes += size;
      at += size;
    }
    return true;
  }

  /** The first `size` bytes of the first range are gone; the range as well, with its reference, when it is empty. */
  consume(size: number): void {
    const ranges = this.#ranges;
    this.bytes -= size;
    const start = (ranges[this.#first + 1] as number) + size;
    ranges[this.#first + 1] = start;
    if (start < (ranges[this.#first + 2] as number)) return;
    this.#slab.release(ranges[this.#first] as number);
    this.#skip();
  }

  /** Takes the first range out; its reference is the caller's. Read `buffer`, `start` and `end` before. */
  shift(): void {
    this.bytes -= this.end - this.start;
    this.#skip();
  }

  clear(): void {
    while (!this.isEmpty) {
      this.#slab.release(this.buffer);
      this.#skip();
    }
    this.bytes = 0;
  }

  #skip(): void {
    this.#first += 3;
    if (this.#first < this.#ranges.length) return;
    this.#ranges.length = this.#first = 0;
    this.#isOwn = false;
  }
}
