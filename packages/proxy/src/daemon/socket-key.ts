import { formatAddress } from "@ha/base";
import { AF_UNIX, decodeInetAddress, socketName, socketNameRoom } from "@ha/linux/ring";
import type { Bind } from "../core/config/bind-model.ts";

/**
 * What makes two listening sockets the same to clients: the address, and the interface that it is bound to. A bind
 * whose key did not change keeps its socket over a reload. Undefined for inherited descriptors, which are known by
 * number.
 */
export function bindKey({ address, interface: device }: Bind): string | undefined {
  const on = device === undefined ? "" : `%${device}`;
  switch (address.kind) {
    case "inet":
      if (address.address === undefined) return undefined;
      return `${formatAddress(address.address)}:${address.port}${on}`;
    case "unix":
      return `unix@${address.path}`;
    case "abstract":
      return `abns@${address.name}`;
    default:
      return undefined;
  }
}

/** The same of a listening socket that is there. `device` is the interface that its owner named. */
export function descriptorKey(fd: number, device: string): string | undefined {
  const name = socketNameRoom();
  const size = socketName(fd, false, name);
  if (size < 2) return undefined;
  if (((name[0] as number) | ((name[1] as number) << 8)) === AF_UNIX) {
    const text = Buffer.from(name.buffer, name.byteOffset + 2, Math.max(0, size - 2));
    const isAbstract = text[0] === 0;
    const path = text.toString("latin1").replace(/^\0/, "").replace(/\0.*$/s, "");
    // HAProxy binds a path under a temporary name, which is what the socket goes on to call itself.
    return isAbstract ? `abns@${path}` : `unix@${path.replace(/\.\d+\.tmp$/, "")}`;
  }
  const inet = decodeInetAddress(name);
  if (inet === undefined) return undefined;
  return `${formatAddress(inet.address)}:${inet.port}${device === "" ? "" : `%${device}`}`;
}
