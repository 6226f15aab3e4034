import { AF_NETLINK, netlinkSocketAddress, SOCK_RAW } from "./kernel-address.ts";
import { NLMSG_ERROR, readNetlinkMessages } from "./netlink-codec.ts";
import { type NftOperation, nftBatch } from "./nftables.ts";
import { createBatch, LITTLE_ENDIAN, messageOf, SocketDoor } from "./socket-door.ts";
import { type SystemError, systemError, wrapError } from "./system-error.ts";

export const NETLINK_NETFILTER = 12;

/** Sends a batch and reads its answers, which the kernel has made when the send returns. */
export function nftTransaction(
  what: string,
  operations: readonly NftOperation[],
): SystemError | undefined {
  const kind = { domain: AF_NETLINK, type: SOCK_RAW, protocol: NETLINK_NETFILTER };
  let socket: SocketDoor;
  try {
    socket = SocketDoor.open(what, kind);
  } catch (error) {
    return wrapError(what, error);
  }
  try {
    socket.bind(what, netlinkSocketAddress(0, 0));
    const sent = socket.send(nftBatch(operations));
    if (sent < 0) return systemError(what, sent);
    const batch = createBatch(16, 1_024);
    for (;;) {
      const count = socket.receive(batch);
      if (count <= 0) return undefined;
      for (let i = 0; i < count; i++) {
        for (const { type, body } of readNetlinkMessages(messageOf(batch, i).data)) {
          if (type !== NLMSG_ERROR || body.length < 4) continue;
          const code = new DataView(body.buffer, body.byteOffset).getInt32(0, LITTLE_ENDIAN);
          if (code !== 0) return systemError(what, code);
        }
      }
    }
  } catch (error) {
    return wrapError(what, error);
  } finally {
    socket.close();
  }
}
