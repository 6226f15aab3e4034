/**
 * Requests that wait for a server of a backend, in HAProxy's order: priority class, then `set-priority-offset`
 * added to the arrival time, then arrival. One for each backend (any server) and one for each server, of one
 * thread. Nodes belong to the caller's transactions and are linked through here; nothing is allocated per entry
 * beyond the heap's own growth.
 */
export class PendingQueue {
  readonly #heap: QueueTicket[] = [];
  #arrivals = 0;

  get length(): number {
    return this.#heap.length;
  }

  /**
   * Puts a ticket in. `ticket` must not be in a queue.
   * @param ahead Gives how many would be served before it: `%sq` and `%bq`.
   */
  push(ticket: QueueTicket): number {
    ticket.arrival = this.#arrivals++;
    ticket.place = this.#heap.length;
    ticket.queue = this;
    let ahead = 0;
    for (const other of this.#heap) if (isBefore(other, ticket)) ahead++;
    this.#heap.push(ticket);
    this.#rise(ticket.place);
    return ahead;
  }

  /** The one to be served next, left in place; undefined when none waits. */
  peek(): QueueTicket | undefined {
    return this.#heap[0];
  }

  pop(): QueueTicket | undefined {
    const first = this.#heap[0];
    if (first !== undefined) this.remove(first);
    return first;
  }

  /** Takes a ticket out: its client left, or `timeout queue` struck. */
  remove(ticket: QueueTicket): void {
    if (ticket.queue !== this) return;
    const place = ticket.place;
    const last = this.#heap.pop() as QueueTicket;
    ticket.queue = undefined;
    if (last === ticket) return;
    this.#put(last, place);
    this.#rise(place);
    this.#sink(last.place);
  }

  #put(ticket: QueueTicket, place: number): void {
    this.#heap[place] = ticket;
    ticket.place = place;
  }

  #rise(from: number): void {
    let place = from;
    const ticket = this.#heap[place] as QueueTicket;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      const above = this.#heap[parent] as QueueTicket;
      if (!isBefore(ticket, above)) break;
      this.#put(above, place);
      place = parent;
    }
    this.#put(ticket, place);
  }

  #sink(from: number): void {
    let place = from;
    const ticket = this.#heap[place] as QueueTicket;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= this.#heap.length) break;
      const right = child + 1;
      if (
        right < this.#heap.length &&
        isBefore(this.#heap[right] as QueueTicket, this.#heap[child] as QueueTicket)
      ) {
        child = right;
      }
      const below = this.#heap[child] as QueueTicket;
      if (!isBefore(below, ticket)) break;
      this.#put(below, place);
      place = child;
    }
    this.#put(ticket, place);
  }
}

/** A transaction's place in a queue: made once for each transaction slot. */
export interface QueueTicket {
  /** The caller's own number: which transaction slot. */
  readonly owner: number;
  /** -2047 to 2047; lower is sooner. */
  priorityClass: number;
  /** When it came, plus its offset: milliseconds of the ring's clock. */
  due: number;
  /** For the queue alone. */
  arrival: number;
  place: number;
  queue: PendingQueue | undefined;
}

export function createTicket(owner: number): QueueTicket {
  return { owner, priorityClass: 0, due: 0, arrival: 0, place: 0, queue: undefined };
}

function isBefore(a: QueueTicket, b: QueueTicket): boolean {
  if (a.priorityClass !== b.priorityClass) return a.priorityClass < b.priorityClass;
  if (a.due !== b.due) return a.due < b.due;
  return a.arrival < b.arrival;
}

/** Which of two queues' first tickets is served first, when a slot of the server comes free: HAProxy compares both. */
export function nextOf(server: PendingQueue, backend: PendingQueue): QueueTicket | undefined {
  const own = server.peek();
  const shared = backend.peek();
  if (own === undefined) return shared;
  if (shared === undefined) return own;
  return isBefore(shared, own) ? shared : own;
}
