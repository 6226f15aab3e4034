import { SocketDoor } from "./socket-door.ts";

/**
 * Calls back whenever there is something to read on a descriptor (a socket, a pidfd), until the function that is
 * returned is called, which closes it. The process does not stay for it. Throws `SystemError`.
 */
export function whenReadable(fd: number, callback: () => void): () => void {
  const door = SocketDoor.adopt(fd);
  door.watch(callback, false);
  return () => door.close();
}
