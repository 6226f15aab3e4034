import type { Connection } from "./connection.ts";
import type { ExchangeServer, ExchangeServerOwner } from "./exchange-server.ts";
import type { Http1Server } from "./http1-server.ts";
import { Http2Server } from "./http2/http2-server.ts";
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
  const shared = takeShared(owner, server);
  if (shared !== undefined) return shared;
  const connection = takeIdle(owner, server, http1);
  owner.transaction.serverTls = connection?.tlsFacts;
  return connection === undefined ? undefined : http1.use(connection, poolOf(owner, server));
}

/** Begins to speak to the server on a connection that has just been made: here its protocol is chosen. */
export function openServer(
  owner: ExchangeServerOwner,
  connection: Connection,
  http1: Http1Server,
): ExchangeServer {
  const { backend, transaction, plane } = owner;
  const { server } = transaction;
  transaction.serverTls = connection.tlsFacts;
  const pool = poolOf(owner, server);
  const protocol = backend.backend?.config.servers[server]?.protocol;
  if (protocol !== "h2" && connection.tls?.alpn !== "h2") return http1.use(connection, pool);
  const isPrivate = backend.backend?.reuse === "never";
  return new Http2Server(plane, connection, { backend, server, pool, isPrivate }).request(owner);
}

/**
 * A stream of a connection that others use, too. Such a one has been used before unless it says otherwise, so that even
 * first requests may have it; only idle ones are as those of HTTP/1.
 */
function takeShared(owner: ExchangeServerOwner, server: number): ExchangeServer | undefined {
  const { backend, transaction } = owner;
  const runtime = backend.backend;
  const shared = runtime?.pools[server]?.shared;
  if (runtime === undefined || shared === undefined || shared.length === 0) return undefined;
  const name = runtime.tls[server]?.nameOf(transaction);
  const isFirst = transaction.session.transactions <= 1;
  for (const link of shared) {
    if (!link.hasRoom || link.name !== name) continue;
    if (isFirst && runtime.reuse !== "always" && !link.isProven) continue;
    if (isFirst && runtime.reuse === "safe" && link.isIdle) continue;
    return link.request(owner);
  }
  return undefined;
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
