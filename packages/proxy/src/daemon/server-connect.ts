import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  bindOutgoing,
  openStream,
  setAbortive,
  setKeepalive,
} from "@ha/linux/ring";
import type { Transaction } from "../core/transaction.ts";
import type { Connection, ConnectionOwner } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";
import { proxyHeader } from "./proxy-header.ts";
import type { ProxyRuntime } from "./proxy-runtime.ts";
import { socketAddressOf } from "./server-address.ts";

/**
 * Begins a connection to the transaction's server: socket, source address, connect, and the PROXY protocol
 * header that goes first. A negated errno when the system refuses.
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
  const fd = openStream(family === AF_INET6 ? AF_INET6 : family === AF_INET ? AF_INET : AF_UNIX);
  if (fd < 0) return fd;
  const connection = plane.connections.create();
  connection.open(fd, owner);
  const source = server.source ?? config.source;
  if (source !== undefined && family !== AF_UNIX) {
    const error = bindSource(fd, source, transaction);
    if (error < 0) {
      connection.close();
      return error;
    }
  }
  if (config.options.on.has("tcpka") || config.options.on.has("srvtcpka")) setKeepalive(fd, {});
  if (backend.backend?.noLinger) setAbortive(fd);
  connection.connect(address.offset, address.length);
  if (server.sendProxy !== undefined) {
    const header = proxyHeader(server.sendProxy, transaction);
    connection.queueBytes(header);
  }
  return connection;
}

type Source = NonNullable<NonNullable<ProxyRuntime["backend"]>["config"]["source"]>;

function bindSource(fd: number, source: Source, transaction: Transaction): number {
  const { useSource } = source;
  if (useSource?.kind === "client" || useSource?.kind === "clientip") {
    const { family, address, port } = transaction.session.source;
    if (family === 0) return 0;
    const bytes = address.slice(0, family === 4 ? 4 : 16);
    return bindOutgoing(
      fd,
      {
        kind: "inet",
        address: { family, bytes },
        port: useSource.kind === "client" ? port : 0,
      },
      true,
    );
  }
  const chosen = useSource?.kind === "address" ? useSource.address : source.address;
  if (chosen?.kind !== "inet" || chosen.address === undefined) return 0;
  return bindOutgoing(
    fd,
    { kind: "inet", address: chosen.address, port: chosen.port },
    useSource !== undefined,
  );
}
