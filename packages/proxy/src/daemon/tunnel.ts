import { NO_BUFFER } from "@ha/linux/ring";
import {
  CAUSE_CLIENT_ABORT,
  CAUSE_CLIENT_TIMEOUT,
  CAUSE_KILLED,
  CAUSE_NONE,
  CAUSE_PROXY,
  CAUSE_SERVER_ABORT,
  CAUSE_SERVER_TIMEOUT,
} from "../core/transaction.ts";
import { OUTPUT_LOW } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";
import type { TimerOwner } from "./timer-wheel.ts";

/** One end of a tunnel: a connection, or a stream of one. All as `Connection` has it. */
export interface TunnelSide {
  owner: TunnelSideOwner | undefined;
  readonly isEnded: boolean;
  readonly hasInput: boolean;
  readonly hasShutdown: boolean;
  readonly unsent: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  takeInput(): number;
  peekInput(): number;
  queue(buffer: number, start: number, end: number): void;
  flush(): void;
  resume(): void;
  resumeOnce(): void;
  resumeLarge(limit: number): void;
  pause(): void;
  shutdown(): void;
  close(reset?: boolean): void;
}

/** Who copies between two sides. */
export interface TunnelSideOwner {
  received(side: TunnelSide): void;
  drained(side: TunnelSide): void;
  failed(side: TunnelSide, error: number): void;
  connected(side: TunnelSide, result: number): void;
}

/** Milliseconds; Infinity for none. */
export interface TunnelTimeouts {
  readonly client: number;
  readonly server: number;
  /** Replaces both when it is set. */
  readonly tunnel: number;
  readonly clientFin: number;
  readonly serverFin: number;
}

/**
 * Looks at what the server sent before any of it is passed on (`tcp-response content`): go on, wait for more, or end
 * the tunnel. Called again as more comes, and when the time for waiting (`until`) is over.
 */
export interface ResponseInspection {
  readonly until: number;
  inspect(server: TunnelSide): "go" | "wait" | "close";
}

/** Hears the end of a tunnel: both connections are closed then. `cause` is a `CAUSE_` code. */
export type TunnelEnd = (cause: number) => void;

/**
 * Two connections that copy to each other until both have ended: TCP mode, CONNECT, and what `101` upgraded to.
 * The slower side sets the pace; each direction ends on its own (half-close).
 */
export class Tunnel implements TunnelSideOwner, TimerOwner {
  readonly #plane: DataPlane;
  readonly #client: TunnelSide;
  readonly #server: TunnelSide;
  readonly #timeouts: TunnelTimeouts;
  readonly #end: TunnelEnd;
  readonly #timer: number;
  #clientActive: number;
  #serverActive: number;
  #isOver = false;
  #inspection: ResponseInspection | undefined;
  /** Whether reads of each side are large. */
  #clientLarge = false;
  #serverLarge = false;

  constructor(
    plane: DataPlane,
    client: TunnelSide,
    server: TunnelSide,
    timeouts: TunnelTimeouts,
    end: TunnelEnd,
    inspection?: ResponseInspection,
  ) {
    this.#inspection = inspection;
    this.#plane = plane;
    this.#client = client;
    this.#server = server;
    this.#timeouts = timeouts;
    this.#end = end;
    this.#timer = plane.wheel.create(this);
    this.#clientActive = this.#serverActive = plane.now;
    client.owner = this;
    server.owner = this;
  }

  /** Moves what is there already, and begins to read both. */
  start(): void {
    this.#pump(this.#client, this.#server);
    if (!this.#isOver) this.#pump(this.#server, this.#client);
    if (this.#isOver) return;
    this.#read(this.#client, this.#server);
    this.#read(this.#server, this.#client);
    this.#setTimer();
  }

  /** Ends both at once. */
  kill(cause: number = CAUSE_KILLED): void {
    this.#finish(cause, true);
  }

  received(connection: TunnelSide): void {
    this.#touch(connection);
    const other = connection === this.#client ? this.#server : this.#client;
    this.#pump(connection, other);
    if (!this.#isOver) this.#read(connection, other);
  }

  drained(connection: TunnelSide): void {
    this.#touch(connection);
    const other = connection === this.#client ? this.#server : this.#client;
    if (connection.unsent < OUTPUT_LOW) this.#read(other, connection);
    this.#checkEnd();
  }

  failed(connection: TunnelSide): void {
    this.#finish(connection === this.#client ? CAUSE_CLIENT_ABORT : CAUSE_SERVER_ABORT, true);
  }

  connected(): void {}

  timedOut(): void {
    const { now } = this.#plane;
    if (this.#inspection !== undefined && now >= this.#inspection.until && this.#server.hasInput) {
      this.#pump(this.#server, this.#client);
      if (!this.#isOver) this.#read(this.#server, this.#client);
      if (!this.#isOver) this.#setTimer();
      return;
    }
    const clientDue = this.#clientActive + this.#clientLimit();
    const serverDue = this.#serverActive + this.#serverLimit();
    if (now < Math.min(clientDue, serverDue)) {
      this.#setTimer();
      return;
    }
    this.#finish(clientDue <= serverDue ? CAUSE_CLIENT_TIMEOUT : CAUSE_SERVER_TIMEOUT, false);
  }

  #touch(connection: TunnelSide): void {
    // A byte either way is life of the tunnel; of the sides, only of its own.
    if (connection === this.#client) this.#clientActive = this.#plane.now;
    else this.#serverActive = this.#plane.now;
    if (this.#timeouts.tunnel !== Number.POSITIVE_INFINITY) {
      this.#clientActive = this.#serverActive = this.#plane.now;
    }
  }

  /** Queues all that came on one side for the other. */
  #pump(from: TunnelSide, to: TunnelSide): void {
    const { slab } = this.#plane;
    if (from === this.#server && this.#inspection !== undefined && !this.#inspected()) return;
    let size = 0;
    let count = 0;
    for (let buffer = from.takeInput(); buffer !== NO_BUFFER; buffer = from.takeInput()) {
      const start = slab.inStart[buffer] as number;
      const end = slab.inEnd[buffer] as number;
      size += end - start;
      count++;
      to.queue(buffer, start, end);
    }
    if (count > 0) {
      // A full small buffer says that more is to be had at once; little in a large one that it is not.
      if (from === this.#client) this.#clientLarge = size >= count * slab.smallSize;
      else this.#serverLarge = size >= count * slab.smallSize;
      to.flush();
    }
    if (from.isEnded) {
      to.shutdown();
      this.#setTimer();
      this.#checkEnd();
    }
  }

  /** Whether the server's bytes may pass. */
  #inspected(): boolean {
    const inspection = this.#inspection as ResponseInspection;
    if (!this.#server.hasInput && !this.#server.isEnded) return false;
    const verdict = inspection.inspect(this.#server);
    if (verdict === "go") {
      this.#inspection = undefined;
      return true;
    }
    if (verdict === "close") this.#finish(CAUSE_PROXY, false);
    else this.#setTimer();
    return false;
  }

  #read(from: TunnelSide, to: TunnelSide): void {
    if (this.#isOver || from.isEnded) return;
    const limit = this.#plane.outputLimit;
    if (to.unsent > limit) {
      from.pause();
      return;
    }
    if (limit === 0) {
      from.resumeOnce();
      return;
    }
    const large = from === this.#client ? this.#clientLarge : this.#serverLarge;
    if (large) from.resumeLarge(0);
    else from.resume();
  }

  #checkEnd(): void {
    if (this.#isOver) return;
    const done = (from: TunnelSide, to: TunnelSide) =>
      from.isEnded && !from.hasInput && to.unsent === 0;
    if (done(this.#client, this.#server) && done(this.#server, this.#client)) {
      this.#finish(CAUSE_NONE, false);
    }
  }

  /** The client's own limit; shorter ones hold once a side has ended. */
  #clientLimit(): number {
    const { clientFin, tunnel, client } = this.#timeouts;
    if (clientFin !== Number.POSITIVE_INFINITY && this.#client.hasShutdown) return clientFin;
    return tunnel !== Number.POSITIVE_INFINITY ? tunnel : client;
  }

  #serverLimit(): number {
    const { serverFin, tunnel, server } = this.#timeouts;
    if (serverFin !== Number.POSITIVE_INFINITY && this.#server.hasShutdown) return serverFin;
    return tunnel !== Number.POSITIVE_INFINITY ? tunnel : server;
  }

  #setTimer(): void {
    const inspection = this.#inspection;
    const waits = inspection !== undefined && this.#server.hasInput;
    const due = Math.min(
      waits ? inspection.until : Number.POSITIVE_INFINITY,
      this.#clientActive + this.#clientLimit(),
      this.#serverActive + this.#serverLimit(),
    );
    if (due === Number.POSITIVE_INFINITY) this.#plane.wheel.clear(this.#timer);
    else this.#plane.wheel.set(this.#timer, due);
  }

  #finish(cause: number, reset: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#plane.wheel.destroy(this.#timer);
    this.#client.close(reset);
    this.#server.close(reset);
    this.#end(cause);
  }
}
