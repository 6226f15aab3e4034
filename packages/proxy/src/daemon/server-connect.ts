import { setAbortive } from "@ha/linux/ring";
import type { TlsEngine } from "@ha/linux/tls";
import type { Transaction } from "../core/transaction.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";
import type { ProxyRuntime } from "./proxy-runtime.ts";
import { socketAddressOf } from "./server-address.ts";
import { openServerSocket } from "./server-socket.ts";

/**
 * Begins a connection to the transaction's server: socket, source address, connect, the PROXY protocol header that goes
 * first, and TLS. The owner's `connected` comes when all of it stands. A negated errno when the system refuses.
 */
export function connectServer(
  plane: DataPlane,
  backend: ProxyRuntime,
  transaction: Transaction,
  owner: ConnectionOwner,
): Connection | number {
  const config = backend.backend?.config;
  const server = config?.servers[transaction.server];
  if (config === undefined || server === undefined) return -2;
  const address = socketAddressOf(plane, backend, transaction);
  if (address === undefined) return -99; // EADDRNOTAVAIL: the name has no address yet
  const { bytes } = plane.slab;
  const family = (bytes[address.offset] as number) | ((bytes[address.offset + 1] as number) << 8);
  const fd = openServerSocket(backend, transaction, family);
  if (fd < 0) return fd;
  const connection = plane.connections.create();
  connection.open(fd, owner);
  if (backend.backend?.noLinger) setAbortive(fd);
  connection.connect(address.offset, address.length);
  // In clear, before anything else.
  const header = backend.backend?.proxyHeaders[transaction.server];
  if (header !== undefined) connection.queueBytes(header(transaction));
  const tls = backend.backend?.tls[transaction.server];
  if (tls === undefined) return connection;
  const { tlsActivity } = plane.connections;
  if (tlsActivity?.opened() === false) {
    connection.close();
    return -11; // EAGAIN: beyond maxsslconn
  }
  const name = tls.nameOf(transaction);
  const session = tls.open(plane.connections.tls as TlsEngine, name);
  if (session === undefined) {
    tlsActivity?.closed();
    connection.close();
    return -12; // ENOMEM
  }
  connection.name = name;
  connection.secure(session, true);
  return connection;
}
