import type { ClientEnd } from "./data-plane.ts";

/**
 * Every client connection of a thread, each at a place that it knows. No Set: V8's keep their outgrown tables chained,
 * and those hold on to clients long gone until the whole heap is collected, which at some thousand connections a
 * second made each collection of young objects copy nearly all of them.
 */
export class ClientList {
  readonly #clients: ClientEnd[] = [];

  get size(): number {
    return this.#clients.length;
  }

  add(client: ClientEnd): void {
    client.place = this.#clients.length;
    this.#clients.push(client);
  }

  has(client: ClientEnd): boolean {
    return this.#clients[client.place] === client;
  }

  /** One that is not here any more is none of ours. */
  delete(client: ClientEnd): void {
    const { place } = client;
    if (!this.has(client)) return;
    const last = this.#clients.pop() as ClientEnd;
    if (last === client) return;
    this.#clients[place] = last;
    last.place = place;
  }

  /** To add or delete meanwhile, take a copy. */
  [Symbol.iterator](): IterableIterator<ClientEnd> {
    return this.#clients.values();
  }
}
