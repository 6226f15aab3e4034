import { connect, type NetConnectOpts, type Socket } from "node:net";
import { formatAddress } from "@ha/base";
import type { RingSection } from "../core/config/section-model.ts";
import type { Server } from "../core/config/server-model.ts";

/** Bytes that wait for a server that is slow or away; lines beyond it are dropped. */
const MOST_WAITING = 1 << 20;
/** Milliseconds until the next try after a connection broke. */
const PAUSE = 1_000;
/** Milliseconds where the ring has no `timeout connect`. */
const CONNECT_LIMIT = 5_000;

/**
 * A `server` of a ring: gets every line over one stream, each with a line feed behind it or its length before it
 * (`log-proto`). HAProxy configuration manual §3.9; forms: observed, haproxy 2.6.12.
 */
export class RingServer {
  /** Lines that it could not be given. */
  dropped = 0;
  readonly #server: Server;
  readonly #limit: number;
  #socket: Socket | undefined;
  #isClosed = false;

  constructor(server: Server, ring: Pick<RingSection, "timeoutConnect">) {
    this.#server = server;
    this.#limit = ring.timeoutConnect === undefined ? CONNECT_LIMIT : ring.timeoutConnect / 1000;
  }

  /** Connects, and again whenever the connection ends. */
  open(): void {
    const target = this.#target();
    if (target === undefined || this.#isClosed) return;
    const socket = connect(target);
    socket.unref();
    this.#socket = socket;
    socket.setTimeout(this.#limit, () => {
      if (socket.connecting) socket.destroy();
    });
    socket.on("error", () => undefined);
    socket.on("close", () => {
      this.#socket = undefined;
      setTimeout(() => this.open(), PAUSE).unref();
    });
    // What it says is not for us.
    socket.resume();
  }

  /** One line, its line feed last. */
  take(line: Uint8Array): void {
    const socket = this.#socket;
    if (socket === undefined || socket.writableLength > MOST_WAITING) {
      this.dropped++;
      return;
    }
    if (this.#server.log.protocol === "legacy") socket.write(line);
    else {
      socket.write(`${line.length - 1} `);
      socket.write(line.subarray(0, line.length - 1));
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.destroy();
  }

  #target(): NetConnectOpts | undefined {
    const { address } = this.#server;
    if (address.kind === "unix") return { path: address.path };
    if (address.kind !== "inet" || address.address === undefined) return undefined;
    return { host: formatAddress(address.address), port: address.port };
  }
}
