import type { Connection } from "./connection.ts";
import type { ExchangeServer, ExchangeServerOwner } from "./exchange-server.ts";
import type { Http1Server } from "./http1-server.ts";

/**
 * An open way to the server for a request, as far as `http-reuse` allows: the client's own connection, or an idle one
 * of the pool. Undefined: open one. HAProxy configuration manual §4.2, http-reuse.
 *
 * @param http1 The exchange's HTTP/1 side, to be used where the way is an HTTP/1 connection.
 */
export function takeServer(
  owner: ExchangeServerOwner,
  server: number,
  http1: Http1Server,
): ExchangeServer | undefined {
  const connection = takeIdle(owner, server, http1);
  return connection === undefined ? undefined : http1.use(connection);
}

/** Begins to speak to the server on a connection that has just been made: here its protocol is chosen. */
export function openServer(connection: Connection, http1: Http1Server): ExchangeServer {
  return http1.use(connection);
}

/** Takes a connection back whose answer is whole, for the next request that may use it. */
export function keepServer(owner: ExchangeServerOwner, connection: Connection): void {
  const { backend, client, transaction } = owner;
  const runtime = backend.backend;
  if (runtime === undefined || client === undefined) {
    connection.close();
    return;
  }
  if (runtime.reuse === "never") {
    connection.side = transaction.server;
    connection.peer = backend.index;
    connection.owner = undefined;
    client.ownServer?.close();
    client.ownServer = connection;
    return;
  }
  const pool = runtime.pools[transaction.server];
  if (pool === undefined) connection.close();
  else pool.give(connection);
}

function takeIdle(
  { backend, client, transaction }: ExchangeServerOwner,
  server: number,
  http1: Http1Server,
): Connection | undefined {
  const runtime = backend.backend;
  if (runtime === undefined || client === undefined) return undefined;
  const own = client.ownServer;
  if (own !== undefined) {
    client.ownServer = undefined;
    if (own.isOpen && !own.isEnded && own.side === server && own.peer === backend.index) return own;
    own.close();
  }
  const pool = runtime.pools[server];
  const isFirst = transaction.session.transactions <= 1;
  switch (runtime.reuse) {
    case "never":
      return undefined;
    case "safe":
      return isFirst ? undefined : pool?.take(http1, false);
    case "aggressive":
      return pool?.take(http1, isFirst);
    default:
      return pool?.take(http1, false);
  }
}
