import { type Clock, type Micros, micros, type Timer } from "../time.ts";

interface Entry {
  readonly at: Micros;
  readonly order: number;
  readonly callback: () => void;
  cancelled: boolean;
}

/**
 * Virtual time: nothing happens until `run`, then everything in order of its moment, ties in order of setting. A
 * binary heap, since simulations set millions of timers.
 */
export class SimClock implements Clock {
  readonly #heap: Entry[] = [];
  #now = micros(0);
  #order = 0;
  #live = 0;

  now(): Micros {
    return this.#now;
  }

  /** Timers that are set and neither fired nor cancelled: must be 0 after a clean shutdown. */
  get pending(): number {
    return this.#live;
  }

  after(delay: Micros, callback: () => void): Timer {
    const at = micros(this.#now + Math.max(0, delay));
    const entry: Entry = { at, order: this.#order++, callback, cancelled: false };
    this.#push(entry);
    this.#live++;
    return {
      cancel: () => {
        if (entry.cancelled) return;
        entry.cancelled = true;
        this.#live--;
      },
    };
  }

  /** Lets `duration` pass and runs all that falls into it, what that sets included. */
  run(duration: Micros): void {
    const end = micros(this.#now + duration);
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined || next.at > end) break;
      this.#pop();
      if (next.cancelled) continue;
      next.cancelled = true;
      this.#live--;
      this.#now = next.at;
      next.callback();
    }
    this.#now = end;
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let i = heap.push(entry) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!earlier(entry, heap[parent] as Entry)) break;
      heap[i] = heap[parent] as Entry;
      i = parent;
    }
    heap[i] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1] as Entry, heap[child] as Entry))
        child++;
      if (!earlier(heap[child] as Entry, last)) break;
      heap[i] = heap[child] as Entry;
      i = child;
    }
    heap[i] = last;
  }
}

function earlier(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
