import { AF_UNIX, SOCK_DGRAM, unixDatagramAddress } from "./kernel-address.ts";
import { EAGAIN, ENOBUFS, SocketDoor } from "./socket-door.ts";
import { SystemError, systemError, wrapError } from "./system-error.ts";

/** A Unix datagram socket that never blocks and never grows: what cannot be sent now is counted and dropped. */
export interface DatagramSender {
  readonly path: string;
  readonly dropped: number;
  /** The error that the last `send` met; undefined after a success. */
  readonly lastError: SystemError | undefined;
  /** One datagram. Connects anew when the receiver was restarted. False when it had to be dropped. */
  send(bytes: Uint8Array): boolean;
  close(): void;
}

/** Sends to a Unix datagram socket, which need not exist yet. A path that begins with `@` is abstract. */
export function openDatagramSender(path: string): DatagramSender {
  return new UnixSender(path);
}

class UnixSender implements DatagramSender {
  readonly path: string;
  #socket: SocketDoor | undefined;
  #closed = false;
  #dropped = 0;
  #lastError: SystemError | undefined;

  constructor(path: string) {
    this.path = path;
  }

  get dropped(): number {
    return this.#dropped;
  }

  get lastError(): SystemError | undefined {
    return this.#lastError;
  }

  send(bytes: Uint8Array): boolean {
    this.#lastError = this.#closed
      ? new SystemError(`send to ${this.path}`, "EBADF", { detail: "closed" })
      : (this.#trySend(bytes) ?? undefined);
    if (this.#lastError === undefined) return true;
    this.#dropped++;
    return false;
  }

  close(): void {
    this.#closed = true;
    this.#socket?.close();
    this.#socket = undefined;
  }

  #trySend(bytes: Uint8Array): SystemError | undefined {
    const fresh = this.#socket === undefined;
    const failure = this.#connect() ?? this.#sendOnce(bytes);
    if (failure === undefined || failure.code === "EAGAIN" || failure.code === "EMSGSIZE") {
      return failure;
    }
    // The receiver is gone: its successor has a new socket of the same name.
    this.#socket?.close();
    this.#socket = undefined;
    return fresh ? failure : (this.#connect() ?? this.#sendOnce(bytes));
  }

  #connect(): SystemError | undefined {
    if (this.#socket !== undefined) return undefined;
    const operation = `connect to ${this.path}`;
    const address = unixDatagramAddress(this.path);
    if (address === undefined) return new SystemError(operation, "ENAMETOOLONG");
    try {
      const socket = SocketDoor.open(operation, { domain: AF_UNIX, type: SOCK_DGRAM, protocol: 0 });
      const result = socket.connect(address);
      if (result < 0) {
        socket.close();
        return systemError(operation, result);
      }
      this.#socket = socket;
      return undefined;
    } catch (error) {
      return wrapError(operation, error);
    }
  }

  #sendOnce(bytes: Uint8Array): SystemError | undefined {
    const result = this.#socket?.send(bytes) ?? -EAGAIN;
    if (result >= 0) return undefined;
    // A full receiver is waited for by nobody.
    return systemError(`send to ${this.path}`, result === -ENOBUFS ? -EAGAIN : result);
  }
}
