import { NO_BUFFER, type Slab } from "./slab.ts";

/**
 * The buffers of one size that the kernel may receive into: a ring of `struct io_uring_buf`, filled from the
 * slab's free list. Only a few are lent at a time, so that the same few are used over and over and stay in the
 * cache. io_uring_register_buf_ring(3)
 */
export class LentBuffers {
  /** Lent, and not yet come back with bytes. */
  count = 0;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #entries: number;
  /** The slab's number of this group's buffer 0. */
  readonly first: number;
  readonly #addressLow: number;
  readonly #addressHigh: number;
  readonly #large: boolean;
  #tail = 0;

  constructor(
    memory: ArrayBuffer,
    entries: number,
    first: number,
    address: { readonly low: number; readonly high: number; readonly large: boolean },
  ) {
    this.#words = new Int32Array(memory);
    this.#halves = new Uint16Array(memory);
    this.#entries = entries;
    this.first = first;
    this.#addressLow = address.low;
    this.#addressHigh = address.high;
    this.#large = address.large;
  }

  /** Lends as many as there is room for and the slab has. */
  fill(slab: Slab): void {
    if (this.count === this.#entries) return;
    const size = this.#large ? slab.largeSize : slab.smallSize;
    while (this.count < this.#entries) {
      const buffer = this.#large ? slab.takeLarge() : slab.take();
      if (buffer === NO_BUFFER) break;
      const at = this.#tail & (this.#entries - 1);
      this.#words[at * 4] = (this.#addressLow + slab.offsetOf(buffer)) | 0;
      this.#words[at * 4 + 1] = this.#addressHigh;
      this.#words[at * 4 + 2] = size;
      this.#halves[at * 8 + 6] = buffer - this.first;
      this.#tail = (this.#tail + 1) & 0xffff;
      this.count++;
    }
    // The ring's tail overlays the reserved half-word of its first entry.
    this.#halves[7] = this.#tail;
  }
}
