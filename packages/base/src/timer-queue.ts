import type { Micros, Timer } from "./time.ts";

interface Entry {
  readonly at: Micros;
  readonly order: number;
  readonly callback: () => void;
  live: boolean;
}

/**
 * Timers by their moment, ties by order of setting: a binary heap, which both the daemon's clock and the simulated one
 * run on. A cancelled entry stays until its moment has passed; that is cheaper than to look for it.
 */
export class TimerQueue {
  readonly #heap: Entry[] = [];
  #order = 0;
  #live = 0;

  /** Timers that are set and have neither been taken nor cancelled. */
  get pending(): number {
    return this.#live;
  }

  /** The moment of the next timer, cancelled ones left out. Undefined when there is none. */
  get next(): Micros | undefined {
    for (;;) {
      const first = this.#heap[0];
      if (first === undefined || first.live) return first?.at;
      this.#pop();
    }
  }

  add(at: Micros, callback: () => void): Timer {
    const entry: Entry = { at, order: this.#order++, callback, live: true };
    this.#push(entry);
    this.#live++;
    return {
      cancel: () => {
        if (!entry.live) return;
        entry.live = false;
        this.#live--;
      },
    };
  }

  /** The next timer that is due at `now` or before; it counts as fired from then on. */
  take(now: Micros): { readonly at: Micros; readonly callback: () => void } | undefined {
    const at = this.next;
    if (at === undefined || at > now) return undefined;
    const entry = this.#pop();
    entry.live = false;
    this.#live--;
    return entry;
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

  #pop(): Entry {
    const heap = this.#heap;
    const first = heap[0] as Entry;
    const last = heap.pop() as Entry;
    if (heap.length === 0) return first;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && earlier(heap[child + 1] as Entry, heap[child] as Entry)) {
        child++;
      }
      if (!earlier(heap[child] as Entry, last)) break;
      heap[i] = heap[child] as Entry;
      i = child;
    }
    heap[i] = last;
    return first;
  }
}

function earlier(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}
