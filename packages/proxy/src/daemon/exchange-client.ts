import type { Connection } from "./connection.ts";
import type { Exchange } from "./exchange.ts";
import type { TunnelSide } from "./tunnel.ts";

/** What an exchange needs of the side that its request came from: HTTP/1 or HTTP/2. */
export interface ExchangeClient {
  /**
   * Sends the head in `transaction.response`, which lies in `buffer` (its reference passes). `bodyless` heads end
   * the response by themselves. `closing`: the connection ends with this response.
   */
  respondHead(exchange: Exchange, buffer: number, closing: boolean): void;
  /** Sends body bytes, coded as the response says; the reference passes. */
  respondBody(exchange: Exchange, buffer: number, start: number, end: number): void;
  /** Fields that followed the body, as lines of HTTP/1: before `respondEnd`. Absent where the body's coding carries them. */
  respondTrailers?(lines: Uint8Array): void;
  /** The response is whole, and what is queued of it is sent. The exchange is over as soon as this returns. */
  respondEnd(exchange: Exchange, closing: boolean): void;
  /** The response cannot be finished, or none is wanted: the client must notice. */
  abort(exchange: Exchange, reset: boolean): void;
  /** Sends what was queued. */
  flush(): void;
  /** Bytes on their way to the client. */
  readonly unsent: number;
  /** More of the request's body may come: `requestBody` and `requestEnd` follow. */
  readBody(exchange: Exchange): void;
  /** Takes body bytes back, to be given again. */
  returnBody(buffer: number, start: number, end: number): void;
  /** Hands the connection (HTTP/2: its stream) over to a tunnel. Undefined where that cannot be. */
  takeConnection(exchange: Exchange): TunnelSide | undefined;
  /** The tunnel that had the connection is over, and the connection closed. */
  tunnelEnded(exchange: Exchange): void;
  /** Whether the connection could carry another request after this one. */
  readonly keepsAlive: boolean;
  /** The connection to a server that only this client's requests may use (`http-reuse never`). */
  ownServer: Connection | undefined;
}
