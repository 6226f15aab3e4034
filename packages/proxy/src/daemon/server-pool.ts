import type { Connection, ConnectionOwner } from "./connection.ts";

/**
 * Idle connections to one server, of one thread, the last used on top. A connection in here is open, has no
 * request under way, and nothing received that nobody asked for: one that says anything is closed at once.
 */
export class ServerPool implements ConnectionOwner {
  readonly #idle: Connection[] = [];
  /** Fewest idle ones since the last purge: what was not needed. */
  #unused = 0;
  /** Most that are kept; -1 is any number. `pool-max-conn`. */
  readonly limit: number;
  /** Uses of one connection; -1 is any number. `max-reuse`. */
  readonly maxReuse: number;

  constructor(limit: number, maxReuse: number) {
    this.limit = limit;
    this.maxReuse = maxReuse;
  }

  get idle(): number {
    return this.#idle.length;
  }

  /** The last one that came back, for a new owner; undefined when there is none. */
  take(owner: ConnectionOwner, onlyProven: boolean): Connection | undefined {
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      const connection = this.#idle[at] as Connection;
      if (onlyProven && connection.uses < 2) continue;
      this.#removeAt(at);
      if (this.#idle.length < this.#unused) this.#unused = this.#idle.length;
      connection.owner = owner;
      return connection;
    }
    return undefined;
  }

  /** Takes a connection whose exchange is over. It is closed when the pool is full. */
  give(connection: Connection): void {
    const full = this.limit >= 0 && this.#idle.length >= this.limit;
    const worn = this.maxReuse >= 0 && connection.uses > this.maxReuse;
    if (full || worn || !connection.isOpen || connection.isEnded || connection.hasInput) {
      connection.close();
      return;
    }
    connection.owner = this;
    connection.side = this.#idle.length;
    this.#idle.push(connection);
    connection.resume();
  }

  /** Closes half of those that were not needed since the last call. `pool-purge-delay`. */
  purge(): void {
    for (let count = Math.ceil(this.#unused / 2); count > 0; count--) {
      const oldest = this.#idle[0];
      if (oldest === undefined) break;
      this.#removeAt(0);
      oldest.close();
    }
    this.#unused = this.#idle.length;
  }

  /** Closes all: the server went away, or the thread ends. */
  clear(): void {
    for (const connection of this.#idle.splice(0)) connection.close();
  }

  received(connection: Connection): void {
    this.#drop(connection);
  }

  failed(connection: Connection): void {
    this.#drop(connection);
  }

  drained(): void {}

  connected(): void {}

  #drop(connection: Connection): void {
    if (this.#idle[connection.side] !== connection) return;
    this.#removeAt(connection.side);
    connection.close();
  }

  #removeAt(at: number): void {
    const last = this.#idle.pop() as Connection;
    if (at === this.#idle.length) return;
    this.#idle[at] = last;
    last.side = at;
  }
}
