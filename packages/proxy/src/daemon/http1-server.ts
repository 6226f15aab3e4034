import { NO_BUFFER } from "@ha/linux/ring";
import { clearHead, HEAD_CLOSE, HEAD_KEEP_ALIVE } from "../core/http/head.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";
import type { ExchangeServer, ExchangeServerOwner } from "./exchange-server.ts";
import { queueRequest } from "./request-writer.ts";
import { READ_BAD, READ_MORE, ResponseReader } from "./response-reader.ts";
import { keepServer } from "./server-choice.ts";
import { closeServer, type ServerPool } from "./server-pool.ts";

/** A body longer than this is read in large pieces. */
const LARGE_BODY = 65_536;

/**
 * The server's side of an exchange over HTTP/1: a connection that is this exchange's until the answer is whole. Made
 * once for each exchange's slot, and used again with it.
 */
export class Http1Server implements ExchangeServer, ConnectionOwner {
  readonly #plane: DataPlane;
  readonly #owner: ExchangeServerOwner;
  readonly #response: ResponseReader;
  #connection: Connection | undefined = undefined;
  /** Counts the connection as long as it is here. */
  #pool: ServerPool | undefined = undefined;
  /** Before this request: whether it answered anything since. */
  #bytesBefore = -1;
  /** By its own head, the server's connection ends with this answer. */
  #ends = false;
  #awaitsHead = false;
  #dataOnly = false;

  constructor(plane: DataPlane, owner: ExchangeServerOwner) {
    this.#plane = plane;
    this.#owner = owner;
    this.#response = new ResponseReader(plane);
  }

  /** Begins with a connection, fresh or used before, which is counted in the pool from here on. */
  use(connection: Connection, pool: ServerPool | undefined): this {
    this.#connection = connection;
    this.#pool = pool;
    pool?.joined();
    connection.owner = this;
    connection.uses++;
    this.#bytesBefore = connection.bytesIn;
    this.#response.reset();
    this.#ends = this.#dataOnly = false;
    this.#awaitsHead = true;
    return this;
  }

  send(closes: boolean): boolean {
    const { transaction, requestBuffer } = this.#owner;
    const connection = this.#connection as Connection;
    clearHead(transaction.response.head);
    if (!queueRequest(this.#plane, transaction, requestBuffer, connection, closes)) return false;
    connection.flush();
    // A connection that is kept goes on reading; a fresh one may be closed after its first answer.
    if (connection.uses === 1) connection.resumeOnce();
    else connection.resume();
    return true;
  }

  sendBody(buffer: number, start: number, end: number): void {
    const connection = this.#connection as Connection;
    connection.queue(buffer, start, end);
    connection.flush();
  }

  endBody(): void {}

  get unsent(): number {
    return this.#connection?.unsent ?? 0;
  }

  get isDone(): boolean {
    return this.#response.isDone;
  }

  get endsWithConnection(): boolean {
    return this.#response.endsWithConnection();
  }

  get trailers(): Uint8Array | undefined {
    return this.#dataOnly ? this.#response.trailers : undefined;
  }

  get isUnseen(): boolean {
    const connection = this.#connection;
    return (
      connection !== undefined && connection.uses > 1 && connection.bytesIn === this.#bytesBefore
    );
  }

  beginBody(dropsTrailers: boolean): void {
    this.#response.frame(this.#owner.transaction.response.head, dropsTrailers);
    if (this.#response.endsWithConnection()) this.#ends = true;
  }

  readBody(dataOnly: boolean): void {
    this.#dataOnly = dataOnly;
    this.#pump();
  }

  takeConnection(): Connection | undefined {
    const connection = this.#connection;
    if (connection !== undefined) this.#pool?.left();
    this.#connection = undefined;
    this.#response.drop();
    return connection;
  }

  drop(): void {
    const connection = this.takeConnection();
    if (connection !== undefined) closeServer(connection);
  }

  finish(closes: boolean): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    this.#connection = undefined;
    this.#response.drop();
    if (
      closes ||
      this.#ends ||
      !this.#owner.requestDone ||
      connection.unsent > 0 ||
      connection.hasInput ||
      connection.isEnded
    ) {
      this.#pool?.left();
      closeServer(connection);
    } else keepServer(this.#owner, connection, this.#pool);
  }

  // ---- the connection ----

  received(): void {
    if (this.#awaitsHead) this.#readHead();
    else this.#pump();
  }

  drained(): void {
    this.#owner.serverDrained();
  }

  failed(): void {
    this.#owner.serverGone();
  }

  connected(): void {}

  #readHead(): void {
    const owner = this.#owner;
    const connection = this.#connection;
    while (connection !== undefined && this.#connection === connection && this.#awaitsHead) {
      const { transaction } = owner;
      const { head } = transaction.response;
      const buffer = this.#response.readHead(
        connection,
        head,
        transaction.request.head.method,
        owner.backend.backend?.relaxed ?? false,
      );
      if (buffer === READ_BAD) {
        owner.responseBroken();
        return;
      }
      if (buffer === READ_MORE) {
        if (connection.isEnded) owner.serverGone();
        else connection.resume();
        return;
      }
      if (head.status >= 200 || head.status === 101) {
        this.#awaitsHead = false;
        this.#ends =
          (head.flags & HEAD_CLOSE) !== 0 ||
          (head.version === 10 && (head.flags & HEAD_KEEP_ALIVE) === 0);
      }
      owner.responseHead(buffer);
      if (this.#awaitsHead) clearHead(head);
    }
  }

  /** Gives what came of the body, and asks for more as long as the owner keeps up. */
  #pump(): void {
    const connection = this.#connection;
    if (connection === undefined) return;
    const { slab } = this.#plane;
    const owner = this.#owner;
    const response = this.#response;
    let moved = 0;
    while (!response.isDone) {
      const buffer = connection.takeInput();
      if (buffer === NO_BUFFER) break;
      const start = slab.inStart[buffer] as number;
      const end = slab.inEnd[buffer] as number;
      const stop = response.take(connection, buffer, start, end, this.#dataOnly);
      if (stop < 0) {
        slab.release(buffer);
        owner.responseBroken();
        return;
      }
      owner.responseBody(buffer, start, stop);
      moved += end - start;
    }
    // The client may have broken off over it.
    if (this.#connection !== connection) return;
    if (response.isDone || (connection.isEnded && response.endsWithConnection())) {
      owner.responseEnd();
      return;
    }
    if (connection.isEnded) {
      owner.serverGone();
      return;
    }
    if (!owner.responseMoved()) {
      connection.pause();
      return;
    }
    const { left } = response;
    if (this.#plane.outputLimit === 0) connection.resumeOnce();
    else if (left > LARGE_BODY)
      connection.resumeLarge(left === Number.POSITIVE_INFINITY ? 0 : left);
    else if (moved >= LARGE_BODY && left === 0) connection.resumeLarge(0);
    else connection.resume();
  }
}
