import type { Connection, ConnectionOwner } from "./connection.ts";
import type { ExchangeServer, ExchangeServerOwner } from "./exchange-server.ts";

/** A connection to a server on which requests go side by side. */
export interface SharedServer {
  /** The name that TLS asked for. */
  readonly name: string | undefined;
  /** Whether one more request may go this way now. */
  readonly hasRoom: boolean;
  readonly isIdle: boolean;
  /** It answered a request already. */
  readonly isProven: boolean;
  request(owner: ExchangeServerOwner): ExchangeServer;
  close(): void;
}

/**
 * Idle connections to one server, of one thread, the last used on top. A connection in here is open, has no
 * request under way, and nothing received that nobody asked for: one that says anything is closed at once. No more
 * are kept than were in use at a time lately, as in HAProxy (`need_conn_est`): where requests may not reuse any, idle
 * ones would else pile up with each.
 */
export class ServerPool implements ConnectionOwner {
  /** Connections that many exchanges share (HTTP/2), with and without requests under way. */
  readonly shared: SharedServer[] = [];
  readonly #idle: Connection[] = [];
  #used = 0;
  /** Most in use at a time since the last purge, and what that makes of the estimate. */
  #mostUsed = 0;
  #needed = 0;
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

  /** Connections that carry an exchange now. */
  get used(): number {
    return this.#used;
  }

  /** How many are likely to be needed at a time: idle ones are kept up to that. */
  get needed(): number {
    return this.#needed;
  }

  /** An exchange has begun on a connection, fresh or taken from here. `give` or `left` follows. */
  joined(): void {
    this.#used++;
    if (this.#used > this.#mostUsed) this.#mostUsed = this.#used;
    if (this.#used > this.#needed) this.#needed = this.#used;
  }

  /** The connection of an exchange was closed, or is no more for exchanges. */
  left(): void {
    this.#used--;
  }

  /** The last one that came back (of those that TLS asked for by `name`), for a new owner; undefined when there is none. */
  take(
    owner: ConnectionOwner,
    onlyProven: boolean,
    name: string | undefined = undefined,
  ): Connection | undefined {
    for (let at = this.#idle.length - 1; at >= 0; at--) {
      const connection = this.#idle[at] as Connection;
      if (onlyProven && connection.uses < 2) continue;
      if (connection.name !== name) continue;
      this.#removeAt(at);
      connection.owner = owner;
      return connection;
    }
    return undefined;
  }

  /** Takes a connection whose exchange is over. It is closed when the pool is full. */
  give(connection: Connection): void {
    const full = this.limit >= 0 && this.#idle.length >= this.limit;
    const worn = this.maxReuse >= 0 && connection.uses > this.maxReuse;
    const idle = this.#idle.length;
    const enough = idle > 0 && this.#used + idle > this.#needed;
    this.#used--;
    if (full || enough || worn || !connection.isOpen || connection.isEnded || connection.hasInput) {
      closeServer(connection);
      return;
    }
    connection.owner = this;
    connection.side = this.#idle.length;
    this.#idle.push(connection);
    connection.resume();
  }

  /** Closes half of those that are more than was needed since the last call. `pool-purge-delay`. */
  purge(): void {
    const most = Math.max(this.#mostUsed, this.#needed);
    const excess = this.#used + this.#idle.length - most;
    this.#needed = Math.max((this.#needed + this.#mostUsed) >> 1, this.#mostUsed);
    this.#mostUsed = this.#used;
    for (let count = Math.ceil(excess / 2); count > 0; count--) {
      const oldest = this.#idle[0];
      if (oldest === undefined) break;
      this.#removeAt(0);
      closeServer(oldest);
    }
  }

  /** Closes all: the server went away, or the thread ends. */
  clear(): void {
    for (const connection of this.#idle.splice(0)) closeServer(connection);
    for (const connection of [...this.shared]) connection.close();
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
    closeServer(connection);
  }

  #removeAt(at: number): void {
    const last = this.#idle.pop() as Connection;
    if (at === this.#idle.length) return;
    this.#idle[at] = last;
    last.side = at;
  }
}

/**
 * Closes a connection to a server on which nothing is owed. Where the server has not ended it, it is reset: an orderly
 * close would leave our port in TIME_WAIT, and at some thousand connections a second every port to that server.
 * Observed: haproxy 2.6.12 does so.
 */
export function closeServer(connection: Connection): void {
  connection.close(!connection.isEnded && connection.error === 0);
}
