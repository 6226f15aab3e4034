import { readdirSync } from "node:fs";
import { createRequire } from "node:module";
import { formatAddress, type IpAddress } from "@ha/base";
import { ipSocketAddress, SO_ATTACH_BPF, SOL_SOCKET } from "./kernel-address.ts";
import { setCloseOnExec } from "./own-process.ts";
import {
  type Batch,
  createBatch,
  EAGAIN,
  EINTR,
  LITTLE_ENDIAN,
  messageOf,
  nativeSockets,
  SocketDoor,
} from "./socket-door.ts";
import { SystemError, systemError, wrapError } from "./system-error.ts";

/** What came: for IPv4 from the IP header on, for IPv6 the payload with control messages. Views, valid until the next read. */
export type RawHandler = (data: Uint8Array, address: Uint8Array, control: Uint8Array) => void;

/** A raw IP socket that packets leave by: the package `raw-socket`, or our own module. */
export interface SendingDoor {
  readonly name: "raw-socket" | "native";
  /** Throws `SystemError`. */
  setOption(operation: string, level: number, name: number, value: Uint8Array): void;
  /** Sends at once. */
  send(data: Uint8Array, to: IpAddress, control?: Uint8Array): SystemError | undefined;
  close(): void;
}

/** One that packets come in by as well. */
export interface PacketDoor extends SendingDoor {
  /** Puts a loaded eBPF program in the place of the one before. */
  attachProgram(fd: number): SystemError | undefined;
  attachClassic(program: Uint8Array): SystemError | undefined;
  /** Reads what waits, at most `limit` packets; the number read. */
  read(limit: number): number;
  /** From now on reads whenever something arrives. */
  start(): void;
}

/** The part of the package's API that we use. It comes without types. */
interface RawSocketPackage {
  createSocket(options: { protocol: number; addressFamily: number; bufferSize: number }): RawSocket;
  AddressFamily: { IPv4: number; IPv6: number };
}

interface RawSocket {
  readonly wrap: {
    send(
      data: Buffer,
      offset: number,
      length: number,
      address: string,
      done: (bytes: number) => void,
    ): void;
  };
  setOption(level: number, name: number, value: Buffer, length: number): void;
  on(event: "error", listener: (error: Error) => void): void;
  pauseRecv(): void;
  close(): void;
}

const require = createRequire(import.meta.url);

/** Adverts have at most 20 + 24 + 8 + 255·4 + 8 + 28 bytes; what is longer is cut and then refused. */
const SLOT_SIZE = 4_608;
const BATCH = 16;
/** Reads of one turn of the loop by our own module, so that a flood leaves room for timers. */
const READS_A_TURN = 64;

/** Whether the package can be had; a reason why not otherwise (no build for this Node, musl). */
export function loadRawSocketPackage(): RawSocketPackage | SystemError {
  try {
    return require("raw-socket") as RawSocketPackage;
  } catch (error) {
    return wrapError("load the package raw-socket", error);
  }
}

/**
 * Sends IPv4 by the package, packets with their header. Its traps, each seen (send queue, text-only errors, sockets that come
 * back to life after close), end here. Throws `SystemError`.
 *
 * @param protocol IPPROTO_RAW, so that the kernel queues nothing for a socket that nobody reads.
 */
export function openPackageDoor(
  rawSocket: RawSocketPackage,
  protocol: number,
  handlers: { readonly onError: (error: SystemError) => void },
): SendingDoor {
  let socket: RawSocket;
  try {
    const addressFamily = rawSocket.AddressFamily.IPv4;
    socket = rawSocket.createSocket({ protocol, addressFamily, bufferSize: SLOT_SIZE });
  } catch (error) {
    throw textError(`open a raw socket of protocol ${protocol}`, error);
  }
  keepFromChildren(protocol);
  let closed = false;
  socket.on("error", (error) => {
    if (!closed) handlers.onError(textError("send", error));
  });
  socket.pauseRecv();
  return {
    name: "raw-socket",
    setOption(operation, level, name, value) {
      try {
        socket.setOption(level, name, Buffer.from(value), value.length);
      } catch (error) {
        throw textError(operation, error);
      }
    },
    send(data, to) {
      // Straight to sendto(2): the package's own queue waits for the next poll.
      // After close it would open an unconfigured socket in silence.
      if (closed) return new SystemError("send", "EBADF", { detail: "socket is closed" });
      if (to.family !== 4) return new SystemError("send", "EAFNOSUPPORT");
      try {
        const buffer = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
        socket.wrap.send(buffer, 0, buffer.length, formatAddress(to), ignore);
        return undefined;
      } catch (error) {
        return textError(`send to ${formatAddress(to)}`, error);
      }
    },
    close() {
      if (closed) return;
      closed = true;
      socket.close();
    },
  };
}

/** By our own module, for either family: control messages, source choice, classic filters. Throws `SystemError`. */
export function openNativeDoor(
  kind: { readonly domain: number; readonly protocol: number },
  handlers: { readonly onRaw: RawHandler; readonly onError: (error: SystemError) => void },
): PacketDoor {
  const operation = `open a raw socket of protocol ${kind.protocol}`;
  const socket = SocketDoor.open(operation, {
    domain: kind.domain,
    type: 3,
    protocol: kind.protocol,
  });
  const batch: Batch = createBatch(BATCH, SLOT_SIZE);
  let reading = false;
  const read = (limit: number): number => {
    if (reading) return 0;
    reading = true;
    let total = 0;
    try {
      while (total < limit && !socket.closed) {
        const count = socket.receive(batch, Math.min(BATCH, limit - total));
        if (count === -EAGAIN || count === -EINTR || count === 0) break;
        if (count < 0) {
          handlers.onError(systemError("receive", count));
          break;
        }
        for (let i = 0; i < count && !socket.closed; i++) {
          const { data, address, control } = messageOf(batch, i);
          handlers.onRaw(data, address, control);
        }
        total += count;
        if (count < BATCH) break;
      }
    } finally {
      reading = false;
    }
    return total;
  };
  return {
    name: "native",
    setOption(what, level, name, value) {
      socket.setOption(what, level, name, value);
    },
    attachProgram(fd) {
      const result = socket.trySetOption(SOL_SOCKET, SO_ATTACH_BPF, fd);
      return result < 0 ? systemError("attach the advert filter", result) : undefined;
    },
    attachClassic(program) {
      const result = socket.attachFilter(program);
      return result < 0 ? systemError("attach the advert filter", result) : undefined;
    },
    send(data, to, control) {
      const result = socket.send(data, ipSocketAddress(to), control);
      return result < 0 ? systemError(`send to ${formatAddress(to)}`, result) : undefined;
    },
    read,
    start() {
      socket.watch(() => {
        read(READS_A_TURN);
      });
    },
    close() {
      socket.close();
    },
  };
}

const SO_TYPE = 3;
const SO_PROTOCOL = 38;
const SOCK_RAW = 3;

/**
 * The package opens sockets that every program we start would inherit, and does not tell the descriptor. So all raw sockets
 * of the protocol are looked for and closed on exec.
 */
function keepFromChildren(protocol: number): void {
  const native = nativeSockets();
  const value = new Uint8Array(4);
  const option = (fd: number, name: number): number =>
    native.getOption(fd, SOL_SOCKET, name, value) < 0
      ? -1
      : new DataView(value.buffer).getInt32(0, LITTLE_ENDIAN);
  for (const name of readdirSync("/proc/self/fd")) {
    const fd = Number(name);
    if (option(fd, SO_PROTOCOL) === protocol && option(fd, SO_TYPE) === SOCK_RAW) {
      setCloseOnExec(fd, true);
    }
  }
}

function ignore(): void {
  // The package demands a callback; the result of sendto(2) is known already.
}

/** The package throws the C library's words alone. Those that can come from these calls, and their names. */
const TEXTS: ReadonlyMap<string, string> = new Map([
  ["Operation not permitted", "EPERM"],
  ["No such file or directory", "ENOENT"],
  ["Interrupted system call", "EINTR"],
  ["No such device or address", "ENXIO"],
  ["Bad file descriptor", "EBADF"],
  ["Resource temporarily unavailable", "EAGAIN"],
  ["Cannot allocate memory", "ENOMEM"],
  ["Permission denied", "EACCES"],
  ["No such device", "ENODEV"],
  ["Invalid argument", "EINVAL"],
  ["Too many open files in system", "ENFILE"],
  ["Too many open files", "EMFILE"],
  ["Message too long", "EMSGSIZE"],
  ["Protocol not available", "ENOPROTOOPT"],
  ["Protocol not supported", "EPROTONOSUPPORT"],
  ["Address family not supported by protocol", "EAFNOSUPPORT"],
  ["Address already in use", "EADDRINUSE"],
  ["Cannot assign requested address", "EADDRNOTAVAIL"],
  ["Network is down", "ENETDOWN"],
  ["Network is unreachable", "ENETUNREACH"],
  ["No buffer space available", "ENOBUFS"],
  ["Connection refused", "ECONNREFUSED"],
  ["Host is down", "EHOSTDOWN"],
  ["No route to host", "EHOSTUNREACH"],
]);

function textError(operation: string, error: unknown): SystemError {
  const text = error instanceof Error ? error.message : String(error);
  const code = TEXTS.get(text);
  if (code === undefined)
    return new SystemError(operation, "EUNKNOWN", { detail: text, cause: error });
  return new SystemError(operation, code, { cause: error });
}
