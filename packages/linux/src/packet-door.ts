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

/** A raw IP socket by one of two doors: the package `raw-socket`, or our own module. */
export interface PacketDoor {
  readonly name: "raw-socket" | "native";
  readonly closed: boolean;
  /** Throws `SystemError`. */
  setOption(operation: string, level: number, name: number, value: Uint8Array): void;
  /** Puts a loaded eBPF program in the place of the one before. */
  attachProgram(fd: number): SystemError | undefined;
  /** Undefined where the door cannot: an option that holds a pointer is beyond `raw-socket`. */
  readonly attachClassic: ((program: Uint8Array) => SystemError | undefined) | undefined;
  /** Sends at once. */
  send(data: Uint8Array, to: IpAddress, control?: Uint8Array): SystemError | undefined;
  /** Reads what waits, at most `limit` packets; the number read. */
  read(limit: number): number;
  /** From now on reads whenever something arrives. */
  start(): void;
  /** Never reads any more; the kernel's queue fills once and stays so. */
  pause(): void;
  close(): void;
}

/** The part of the package's API that we use. It comes without types. */
interface RawSocketPackage {
  createSocket(options: { protocol: number; addressFamily: number; bufferSize: number }): RawSocket;
  AddressFamily: { IPv4: number; IPv6: number };
}

interface RawSocket {
  readonly buffer: Buffer;
  readonly wrap: {
    send(
      data: Buffer,
      offset: number,
      length: number,
      address: string,
      done: (bytes: number) => void,
    ): void;
    recv(into: Buffer, done: (into: Buffer, bytes: number, source: string) => void): void;
  };
  setOption(level: number, name: number, value: Buffer, length: number): void;
  on(event: "message", listener: (data: Buffer, source: string) => void): void;
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

const NO_BYTES = new Uint8Array(0);

/** Whether the package can be had; a reason why not otherwise (no build for this Node, musl). */
export function loadRawSocketPackage(): RawSocketPackage | SystemError {
  try {
    return require("raw-socket") as RawSocketPackage;
  } catch (error) {
    return wrapError("load the package raw-socket", error);
  }
}

/**
 * IPv4 by the package. Its traps, each seen (send queue, shared buffer, text-only errors, sockets that come back to
 * life after close), end here. Throws `SystemError`.
 */
export function openPackageDoor(
  rawSocket: RawSocketPackage,
  protocol: number,
  handlers: { readonly onRaw: RawHandler; readonly onError: (error: SystemError) => void },
): PacketDoor {
  let socket: RawSocket;
  try {
    const addressFamily = rawSocket.AddressFamily.IPv4;
    socket = rawSocket.createSocket({ protocol, addressFamily, bufferSize: SLOT_SIZE });
  } catch (error) {
    throw textError(`open a raw socket of protocol ${protocol}`, error);
  }
  keepFromChildren(protocol);
  let closed = false;
  let listening = false;
  let reading = false;
  const take = (data: Buffer): void => {
    // Not as a Buffer, whose `slice` makes a view where that of other arrays copies: the next packet overwrites it.
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (!closed) handlers.onRaw(bytes, NO_BYTES, NO_BYTES);
  };
  // The package turns what a listener throws into an error event of the socket, hence no throwing in onRaw.
  socket.on("message", (data) => {
    if (listening) take(data);
  });
  socket.on("error", (error) => {
    if (!closed) handlers.onError(textError("receive", error));
  });

  const door: PacketDoor = {
    name: "raw-socket",
    get closed() {
      return closed;
    },
    setOption(operation, level, name, value) {
      try {
        socket.setOption(level, name, Buffer.from(value), value.length);
      } catch (error) {
        throw textError(operation, error);
      }
    },
    attachProgram(fd) {
      try {
        socket.setOption(SOL_SOCKET, SO_ATTACH_BPF, Buffer.from(Int32Array.of(fd).buffer), 4);
        return undefined;
      } catch (error) {
        return textError("attach the advert filter", error);
      }
    },
    attachClassic: undefined,
    send(data, to) {
      // Straight to sendto(2): the package's own queue waits for the next poll, behind whatever can be read.
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
    read(limit) {
      if (reading) return 0;
      reading = true;
      let count = 0;
      try {
        while (count < limit && !closed) {
          let length = 0;
          socket.wrap.recv(socket.buffer, (_into, bytes) => {
            length = bytes;
          });
          count++;
          take(socket.buffer.subarray(0, length));
        }
      } catch (error) {
        const failure = textError("receive", error);
        if (failure.code !== "EAGAIN" && !closed) handlers.onError(failure);
      } finally {
        reading = false;
      }
      return count;
    },
    start() {
      listening = true;
    },
    pause() {
      listening = false;
      socket.pauseRecv();
    },
    close() {
      if (closed) return;
      closed = true;
      socket.close();
    },
  };
  return door;
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
    get closed() {
      return socket.closed;
    },
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
    pause() {
      // Nothing reads before `start`.
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
