import { formatAddress } from "@ha/base";
import { readSocketAddress, socketName, socketNameRoom } from "@ha/linux/ring";
import { createEndpoint, type Endpoint } from "../../core/transaction.ts";
import type { ClientEnd, DataPlane } from "../data-plane.ts";

/** What a drain of one thread has still to wait for. Plain, so that it travels between threads. */
export interface DrainCount {
  /** Connections to the drained addresses. */
  readonly sessions: number;
  /** Of them those with a request that was under way when the drain began. */
  readonly old: number;
  /** Of them those without a request. */
  readonly idle: number;
}

/**
 * The drain of one thread before its addresses move: connections end with their next answer; those without a request
 * are closed once they have been seen so for a while, since a client's next request may be under way.
 */
export class ThreadDrain {
  readonly #plane: DataPlane;
  readonly #idleSince = new Map<ClientEnd, number>();
  #old = new Set<ClientEnd>();
  readonly #concerned = new WeakMap<ClientEnd, boolean>();
  readonly #name = socketNameRoom();
  readonly #endpoint = createEndpoint();
  #addresses: ReadonlySet<string> = new Set();
  #on = false;
  /** The process is ending as well: that is not taken back. */
  isStopped = false;

  constructor(plane: DataPlane) {
    this.#plane = plane;
  }

  /** @param addresses Whose connections count; none: all do. */
  begin(addresses: readonly string[]): void {
    this.#on = true;
    this.#addresses = new Set(addresses);
    this.#plane.isStopping = true;
    this.#old = new Set(
      [...this.#plane.clients].filter(
        (client) => client.transaction !== undefined && this.#counts(client),
      ),
    );
  }

  end(): void {
    this.#on = false;
    this.#old.clear();
    this.#idleSince.clear();
    this.#plane.isStopping = this.isStopped;
  }

  /** Where it stands; with `closeIdle` what has been idle for `IDLE_GRACE` is closed first. */
  look(closeIdle: boolean): DrainCount {
    const { clients, now, sessions: all } = this.#plane;
    if (!this.#on) return { sessions: 0, old: 0, idle: 0 };
    let sessions = 0;
    let idle = 0;
    const known = clients.size;
    for (const client of [...clients]) {
      if (!this.#counts(client)) continue;
      if (client.transaction !== undefined) {
        this.#idleSince.delete(client);
        sessions++;
        continue;
      }
      const since = this.#idleSince.get(client);
      if (since === undefined) {
        this.#idleSince.set(client, now);
        // HTTP/2 says GOAWAY now; an HTTP/1 client waits for its next answer.
        if (client.closeIdle === undefined) client.stopSoon();
      } else if (closeIdle && now - since >= IDLE_GRACE && client.closeIdle?.() === true) {
        this.#idleSince.delete(client);
        continue;
      }
      sessions++;
      idle++;
    }
    for (const client of this.#old) {
      if (client.transaction === undefined || !clients.has(client)) this.#old.delete(client);
    }
    // Connections that have not come so far as to be somebody's: a PROXY header or a handshake is awaited.
    const pending = Math.max(0, all - known);
    return { sessions: sessions + pending, old: this.#old.size, idle };
  }

  /** Resets every connection to those addresses, and says how many. */
  cut(addresses: readonly string[]): number {
    this.#addresses = new Set(addresses);
    let count = 0;
    for (const client of [...this.#plane.clients]) {
      if (!this.#isTo(client)) continue;
      count++;
      client.connection.makeAbortive();
      client.kill();
    }
    return count;
  }

  #counts(client: ClientEnd): boolean {
    const known = this.#concerned.get(client);
    if (known !== undefined) return known;
    const counts = this.#isTo(client);
    this.#concerned.set(client, counts);
    return counts;
  }

  /** By the socket's own name: what a PROXY header says of it does not move with the address. */
  #isTo({ connection: { fd } }: ClientEnd): boolean {
    if (this.#addresses.size === 0) return true;
    if (socketName(fd, false, this.#name) <= 0) return false;
    readSocketAddress(this.#name, this.#endpoint);
    const text = endpointText(this.#endpoint);
    return text !== undefined && this.#addresses.has(text);
  }
}

/** Milliseconds that a connection without request is left alone. */
const IDLE_GRACE = 500;

/** Undefined for a unix socket. */
function endpointText({ family, address }: Endpoint): string | undefined {
  if (family === 0) return undefined;
  const isMapped =
    family === 6 &&
    address.subarray(0, 10).every((byte) => byte === 0) &&
    address[10] === 0xff &&
    address[11] === 0xff;
  if (family === 6 && !isMapped) return formatAddress({ family: 6, bytes: address.slice(0, 16) });
  return formatAddress({
    family: 4,
    bytes: isMapped ? address.slice(12, 16) : address.slice(0, 4),
  });
}
