import type { Http2Stream } from "./http2-stream.ts";

/** Buckets, a power of two: a peer may have a hundred streams open. */
const BUCKETS = 64;

/** The open streams of one connection, by their number and one after the other. */
export class StreamTable<S extends Http2Stream> {
  readonly #buckets: (S | undefined)[] = new Array<S | undefined>(BUCKETS).fill(undefined);
  readonly #all: S[] = [];

  get size(): number {
    return this.#all.length;
  }

  at(place: number): S {
    return this.#all[place] as S;
  }

  find(id: number): S | undefined {
    let stream = this.#buckets[(id >>> 1) & (BUCKETS - 1)];
    while (stream !== undefined && stream.id !== id) stream = stream.next as S | undefined;
    return stream;
  }

  add(stream: S): void {
    const bucket = (stream.id >>> 1) & (BUCKETS - 1);
    stream.next = this.#buckets[bucket];
    this.#buckets[bucket] = stream;
    stream.place = this.#all.length;
    this.#all.push(stream);
  }

  remove(stream: S): void {
    const bucket = (stream.id >>> 1) & (BUCKETS - 1);
    let before = this.#buckets[bucket];
    if (before === stream) this.#buckets[bucket] = stream.next as S | undefined;
    else {
      while (before !== undefined && before.next !== stream) before = before.next as S | undefined;
      if (before !== undefined) before.next = stream.next;
    }
    stream.next = undefined;
    const last = this.#all.pop() as S;
    if (last === stream) return;
    this.#all[stream.place] = last;
    last.place = stream.place;
  }

  /** Calls for each, the newest first: those called may end. */
  each(call: (stream: S) => void): void {
    for (let i = this.#all.length - 1; i >= 0; i--) {
      const stream = this.#all[i];
      if (stream !== undefined) call(stream);
    }
  }

  some(holds: (stream: S) => boolean): boolean {
    return this.#all.some(holds);
  }
}
