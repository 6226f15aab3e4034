import { AF_UNIX, SOCK_DGRAM, unixDatagramAddress } from "./kernel-address.ts";
import { createBatch, messageOf, SocketDoor } from "./socket-door.ts";
import { SystemError } from "./system-error.ts";

/** Bytes of a datagram that are kept, and how many are read at once. */
const SLOT = 4_096;
const BATCH = 8;

/**
 * A Unix datagram socket that receives, as `NOTIFY_SOCKET` is one. The path must not exist; its folder's mode says who
 * may send. The texts are cut at 4,096 bytes. Throws `SystemError`.
 */
export function openDatagramReceiver(
  path: string,
  received: (text: string) => void,
): { close(): void } {
  const operation = `listen at ${path}`;
  const address = unixDatagramAddress(path);
  if (address === undefined) throw new SystemError(operation, "ENAMETOOLONG");
  const socket = SocketDoor.open(operation, { domain: AF_UNIX, type: SOCK_DGRAM, protocol: 0 });
  try {
    socket.bind(operation, address);
    const batch = createBatch(BATCH, SLOT);
    socket.watch(() => {
      const count = socket.receive(batch);
      for (let i = 0; i < count; i++) {
        received(new TextDecoder().decode(messageOf(batch, i).data));
      }
    }, false);
  } catch (error) {
    socket.close();
    throw error;
  }
  return { close: () => socket.close() };
}
