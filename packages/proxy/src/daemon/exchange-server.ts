import type { Transaction } from "../core/transaction.ts";
import type { DataPlane } from "./data-plane.ts";
import type { ExchangeClient } from "./exchange-client.ts";
import type { ProxyRuntime } from "./proxy-runtime.ts";
import type { TunnelSide } from "./tunnel.ts";

/**
 * What an exchange needs of the side that its request goes to: an HTTP/1 connection, or a stream of an HTTP/2
 * connection. It serves one exchange, from `send` to `drop` or `finish`, and tells it what comes by the calls of
 * `ExchangeServerOwner`; after `drop`, `finish` or `takeConnection` it calls nothing any more. See `server-choice.ts`
 * for where it comes from.
 */
export interface ExchangeServer {
  /**
   * Sends the request's head, which lies in the owner's `requestBuffer`, and what was kept of its body. False when a
   * head built anew has no room: nothing went out.
   *
   * @param closes No other request is to follow: an HTTP/1 server is told.
   */
  send(closes: boolean): boolean;
  /** Sends body bytes, coded as the request's head says (HTTP/1's chunks included). The reference passes. */
  sendBody(buffer: number, start: number, end: number): void;
  /** The request's body is whole. With nothing kept of it, this may come before any `sendBody`. */
  endBody(): void;
  /** Bytes on their way to the server. */
  readonly unsent: number;

  /** The response's body, as far as its head tells: known in `responseHead`, and kept up to date. */
  readonly isDone: boolean;
  /** The body ends when the connection does: only the client's connection can tell its end, too. */
  readonly endsWithConnection: boolean;
  /** Rules have looked at the head: body bytes are counted from here on. Then ask `isDone`, and `readBody`. */
  beginBody(dropsTrailers: boolean): void;
  /**
   * Gives what came of the body (`responseBody`), and then one of: `responseEnd`, `responseBroken`, `serverGone`; or
   * goes on as `responseMoved` says.
   *
   * @param dataOnly Without HTTP/1's chunks: the client cannot take them.
   */
  readBody(dataOnly: boolean): void;

  /** Fields that followed a body that was given with `dataOnly`, as lines of HTTP/1; undefined without. */
  readonly trailers: Uint8Array | undefined;

  /** The server ended before it answered anything, and had this request as its second or later one: it may not have seen it. */
  readonly isUnseen: boolean;
  /** The server said that it did not look at the request: it may be sent again, whatever it asks for. Absent in HTTP/1. */
  readonly isRefused?: boolean;
  /** The connection (HTTP/2: its stream) for a tunnel, which has it from now on. Undefined where that cannot be. */
  takeConnection(): TunnelSide | undefined;
  /** Breaks off: the connection is closed, or the stream reset. */
  drop(): void;
  /** The response is whole: the connection goes back to where it can be used again, unless it is `closes` or cannot. */
  finish(closes: boolean): void;
}

/** An exchange, as its server sees it. All calls come from the ring's turn. */
export interface ExchangeServerOwner {
  readonly plane: DataPlane;
  readonly transaction: Transaction;
  readonly client: ExchangeClient | undefined;
  readonly backend: ProxyRuntime;
  /** Holds the request's head; the reference stays the exchange's. */
  readonly requestBuffer: number;
  /** The request's body has come whole from the client. */
  readonly requestDone: boolean;
  /**
   * A head stands in `transaction.response.head`, in `buffer`, whose reference passes. Answers with a status below 200
   * come before the answer itself (101 is one).
   */
  responseHead(buffer: number): void;
  /** A range of the body, coded as the head says. The reference passes. */
  responseBody(buffer: number, start: number, end: number): void;
  /** All that has come was given. Whether more may come now; if not, `readBody` follows when there is room. */
  responseMoved(): boolean;
  /** The response is whole. */
  responseEnd(): void;
  /** What came is no HTTP: in the head, or in the coding of the body. */
  responseBroken(): void;
  /** The server ended or broke off before its answer was whole. */
  serverGone(): void;
  /** There may be room for more of the request's body. */
  serverDrained(): void;
}
