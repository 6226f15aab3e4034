import { SOL_SOCKET } from "./kernel-address.ts";
import { LITTLE_ENDIAN, SocketDoor } from "./socket-door.ts";
import { type SystemError, wrapError } from "./system-error.ts";

/** Who is at the other end of a Unix stream socket, as the kernel saw it connect. unix(7), SO_PEERCRED. */
export interface PeerCredentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

const SO_PEERCRED = 17;

/** Of a connected descriptor, which stays its owner's. */
export function peerCredentials(fd: number): PeerCredentials | SystemError {
  try {
    const bytes = SocketDoor.adopt(fd).getOption(
      "ask who is connected",
      SOL_SOCKET,
      SO_PEERCRED,
      12,
    );
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return {
      pid: view.getInt32(0, LITTLE_ENDIAN),
      uid: view.getUint32(4, LITTLE_ENDIAN),
      gid: view.getUint32(8, LITTLE_ENDIAN),
    };
  } catch (error) {
    return wrapError("ask who is connected", error);
  }
}
