import { NO_BUFFER, type Slab } from "@ha/linux/ring";

/**
 * Buffers with bytes to be sent, in order, linked through the slab's columns for output: a buffer is in one such queue
 * at most.
 */
export class OutputQueue {
  head = NO_BUFFER;
  tail = NO_BUFFER;
  readonly #slab: Slab;

  constructor(slab: Slab) {
    this.#slab = slab;
  }

  /** Puts a range of a buffer behind the others; the reference passes. */
  push(buffer: number, start: number, end: number): void {
    const slab = this.#slab;
    slab.outQueued[buffer] = 1;
    slab.outStart[buffer] = start;
    slab.outEnd[buffer] = end;
    slab.outNext[buffer] = NO_BUFFER;
    if (this.tail === NO_BUFFER) this.head = buffer;
    else slab.outNext[this.tail] = buffer;
    this.tail = buffer;
  }

  /** Gives the first buffer back. */
  pop(): void {
    const slab = this.#slab;
    const buffer = this.head;
    this.head = slab.outNext[buffer] as number;
    if (this.head === NO_BUFFER) this.tail = NO_BUFFER;
    slab.outQueued[buffer] = 0;
    slab.outNext[buffer] = NO_BUFFER;
    slab.release(buffer);
  }

  clear(): void {
    while (this.head !== NO_BUFFER) this.pop();
  }

  /** Buffers in it, counted. */
  get length(): number {
    let count = 0;
    for (let at = this.head; at !== NO_BUFFER; at = this.#slab.outNext[at] as number) count++;
    return count;
  }
}
