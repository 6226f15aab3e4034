import { type IpAddress, parseAddress } from "@ha/base";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  bindOutgoing,
  closeDescriptor,
  errnoNumber,
  openStream,
  setKeepalive,
  setOutgoing,
} from "@ha/linux/ring";
import type { Server, SourceAddress } from "../core/config/server-model.ts";
import { fieldName } from "../core/http/head.ts";
import type { Transaction } from "../core/transaction.ts";
import type { ProxyRuntime } from "./proxy-runtime.ts";

const EADDRINUSE = -errnoNumber("EADDRINUSE");

/**
 * A socket for a connection to the transaction's server, with all that its line asks of the kernel: `source`, `tcp-ut`,
 * `cc`, `tfo`, keep-alive. A negated errno when the system refuses.
 */
export function openServerSocket(
  { backend }: ProxyRuntime,
  transaction: Transaction,
  family: number,
): number {
  const server = backend?.config.servers[transaction.server];
  if (backend === undefined || server === undefined) return -errnoNumber("ENOENT");
  const kind = family === AF_INET6 ? AF_INET6 : family === AF_INET ? AF_INET : AF_UNIX;
  const fd = openStream(kind, server.tcp.mptcp);
  if (fd < 0 || kind === AF_UNIX) return fd;
  const source = server.source ?? backend.config.source;
  let error = setTcp(fd, server, source);
  if (error >= 0 && source !== undefined) error = bindSource(fd, source, transaction);
  if (error < 0) {
    closeDescriptor(fd);
    return error;
  }
  if (backend.keepaliveServers !== undefined) setKeepalive(fd, backend.keepaliveServers);
  return fd;
}

function setTcp(fd: number, { tcp }: Server, source: SourceAddress | undefined): number {
  const { userTimeout, congestionControl, fastOpen } = tcp;
  const device = source?.interface;
  if (!fastOpen && userTimeout === undefined && congestionControl === undefined && !device)
    return 0;
  return setOutgoing(fd, {
    fastOpen,
    ...(device === undefined ? {} : { interface: device }),
    ...(userTimeout === undefined ? {} : { userTimeoutMilliseconds: userTimeout / 1000 }),
    ...(congestionControl === undefined ? {} : { congestionControl }),
  });
}

function bindSource(fd: number, source: SourceAddress, transaction: Transaction): number {
  const { useSource } = source;
  if (useSource?.kind === "client" || useSource?.kind === "clientip") {
    const { family, address, port } = transaction.session.source;
    if (family === 0) return 0;
    const bytes = address.slice(0, family === 4 ? 4 : 16);
    const own = useSource.kind === "client" ? port : 0;
    return bindOutgoing(fd, { kind: "inet", address: { family, bytes }, port: own }, true);
  }
  if (useSource?.kind === "header") {
    const address = headerAddress(transaction, useSource.name, useSource.occurrence);
    return address === undefined ? 0 : bindOutgoing(fd, { kind: "inet", address, port: 0 }, true);
  }
  const chosen = useSource?.kind === "address" ? useSource.address : source.address;
  if (chosen?.kind !== "inet" || chosen.address === undefined) return 0;
  const { address } = chosen;
  const foreign = useSource !== undefined;
  if (source.ports === undefined)
    return bindOutgoing(fd, { kind: "inet", address, port: chosen.port }, foreign);
  const { first, last } = source.ports;
  const count = last - first + 1;
  let error = EADDRINUSE;
  for (let tries = 0; tries < count && error === EADDRINUSE; tries++) {
    turn = (turn + 1) % count;
    error = bindOutgoing(fd, { kind: "inet", address, port: first + turn }, foreign);
  }
  return error;
}

/** Where the search for a free source port goes on. */
let turn = -1;

/** The address in a header's occurrence (1 is the first, -1 the last), as `usesrc hdr_ip(…)` says. */
function headerAddress(
  { http, request }: Transaction,
  name: string,
  occurrence: number,
): IpAddress | undefined {
  if (!http) return undefined;
  const field = fieldName(name);
  const values: string[] = [];
  for (let at = request.find(field); at >= 0; at = request.find(field, at + 1)) {
    const { head, bytes } = request;
    const range = bytes.subarray(head.valueStart[at], head.valueEnd[at]);
    values.push(...Buffer.from(range).toString("latin1").split(","));
  }
  const value = values.at(occurrence > 0 ? occurrence - 1 : occurrence || -1);
  return value === undefined ? undefined : parseAddress(value.trim());
}
