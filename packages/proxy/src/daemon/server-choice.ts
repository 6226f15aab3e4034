import type { Connection } from "./connection.ts";
import type { ExchangeServer, ExchangeServerOwner } from "./exchange-server.ts";
import type { Http1Server } from "./http1-server.ts";
import { closeServer, type ServerPool } from "./server-pool.ts";

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
  return connection === undefined ? undefined : http1.use(connection, poolOf(owner, server));
}

/** Begins to speak to the server on a connection that has just been made: here its protocol is chosen. */
export function openServer(
  owner: ExchangeServerOwner,
  connection: Connection,
  http1: Http1Server,
): ExchangeServer {
  return http1.use(connection, poolOf(owner, owner.transaction.server));
}

/**
 * Takes a connection back whose answer is whole, for the next request that may use it.
 *
 * @param pool The one that it was counted in.
 */
export function keepServer(
  { backend, client, transaction }: ExchangeServerOwner,
  connection: Connection,
  pool: ServerPool | undefined,
): void {
  if (backend.backend?.reuse === "never" && client !== undefined) {
    pool?.left();
    connection.side = transaction.server;
    connection.peer = backend.index;
    connection.owner = undefined;
    client.ownServer?.close();
    client.ownServer = connection;
  } else if (pool === undefined) closeServer(connection);
  else pool.give(connection);
}

function poolOf({ backend }: ExchangeServerOwner, server: number): ServerPool | undefined {
  return backend.backend?.pools[server];
}

function takeIdle(
  { backend, client, transaction }: ExchangeServerOwner,
  server: number,
  http1: Http1Server,
): Connection | undefined {
  const runtime = backend.backend;
  if (runtime === undefined || client === undefined) return undefined;
  const name = runtime.tls[server]?.nameOf(transaction);
  const own = client.ownServer;
  if (own !== undefined) {
    client.ownServer = undefined;
    if (
      own.isOpen &&
      !own.isEnded &&
      own.side === server &&
      own.peer === backend.index &&
      own.name === name
    )
      return own;
    closeServer(own);
  }
  const pool = runtime.pools[server];
  const isFirst = transaction.session.transactions <= 1;
  switch (runtime.reuse) {
    case "never":
      return undefined;
    case "safe":
      return isFirst ? undefined : pool?.take(http1, false, name);
    case "aggressive":
      return pool?.take(http1, isFirst, name);
    default:
      return pool?.take(http1, false, name);
  }
}
