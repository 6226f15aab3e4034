import { ringDoor } from "./ring-door.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  encodeSocketAddress,
  SOCKADDR_ROOM,
  type StreamAddress,
} from "./socket-address.ts";

/** How a listening socket is made. Everything but the address is optional and off. */
export interface ListenOptions {
  readonly address: StreamAddress;
  /** Connections that may wait to be accepted; the kernel's `somaxconn` bounds it. */
  readonly backlog: number;
  /** Several sockets share the address (SO_REUSEPORT). */
  readonly reusePort?: boolean;
  /** IPv6 addresses take IPv6 alone (IPV6_V6ONLY), or both. Undefined leaves what the system does. */
  readonly v6only?: boolean;
  /** Binds addresses that are not ours, and sees connections to any (IP_TRANSPARENT). Needs CAP_NET_ADMIN. */
  readonly transparent?: boolean;
  /** Accept only once data is there, or so many seconds have gone by (TCP_DEFER_ACCEPT). */
  readonly deferAcceptSeconds?: number;
  /** Length of the queue for TCP Fast Open. */
  readonly fastOpenQueue?: number;
  readonly interface?: string;
  /** Largest segment, bytes. */
  readonly maxSegment?: number;
  readonly userTimeoutMilliseconds?: number;
  readonly congestionControl?: string;
  readonly multipath?: boolean;
  readonly keepalive?: KeepaliveOptions;
}

/** SO_KEEPALIVE with its timers, seconds; undefined is the system's. tcp(7) */
export interface KeepaliveOptions {
  readonly idle?: number;
  readonly interval?: number;
  readonly count?: number;
}

/** A step of making a socket that the system refused: the call and its negated errno. */
export interface SocketRefusal {
  readonly operation: string;
  readonly errno: number;
}

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_KEEPALIVE = 9;
const SO_LINGER = 13;
const SO_REUSEPORT = 15;
const SO_BINDTODEVICE = 25;
const SOL_IP = 0;
const IP_TRANSPARENT = 19;
const IP_BIND_ADDRESS_NO_PORT = 24;
const SOL_IPV6 = 41;
const IPV6_V6ONLY = 26;
const IPV6_TRANSPARENT = 75;
const SOL_TCP = 6;
const TCP_NODELAY = 1;
const TCP_MAXSEG = 2;
const TCP_KEEPIDLE = 4;
const TCP_KEEPINTVL = 5;
const TCP_KEEPCNT = 6;
const TCP_DEFER_ACCEPT = 9;
const TCP_INFO = 11;
/** Where `tcpi_unacked` stands: of a listening socket it is the length of its accept queue. */
const TCP_INFO_UNACKED = 24;
const TCP_QUICKACK = 12;
const TCP_CONGESTION = 13;
const TCP_USER_TIMEOUT = 18;
const TCP_FASTOPEN = 23;
const TCP_FASTOPEN_CONNECT = 30;
const SOCK_STREAM = 1;
const SOCK_DGRAM = 2;
const IPPROTO_MPTCP = 262;

/** A bound, listening socket's descriptor, or which step was refused. The socket is closed then. */
export function listenStream(options: ListenOptions): number | SocketRefusal {
  const door = ringDoor();
  const { address } = options;
  const family = familyOf(address);
  const isInet = address.kind === "inet";
  const fd = door.socket(family, SOCK_STREAM, isInet && options.multipath ? IPPROTO_MPTCP : 0);
  if (fd < 0) return { operation: "socket", errno: fd };
  const failed = (operation: string, errno: number): SocketRefusal => {
    door.closeNow(fd);
    return { operation, errno };
  };
  if (isInet) {
    const number = (level: number, name: number, value: number) =>
      door.setNumber(fd, level, name, value);
    number(SOL_SOCKET, SO_REUSEADDR, 1);
    number(SOL_TCP, TCP_NODELAY, 1);
    let error = 0;
    if (options.reusePort) error = number(SOL_SOCKET, SO_REUSEPORT, 1);
    if (error < 0) return failed("SO_REUSEPORT", error);
    if (family === AF_INET6 && options.v6only !== undefined) {
      error = number(SOL_IPV6, IPV6_V6ONLY, options.v6only ? 1 : 0);
      if (error < 0) return failed("IPV6_V6ONLY", error);
    }
    if (options.transparent) {
      error = transparent(fd, family);
      if (error < 0) return failed("IP_TRANSPARENT", error);
    }
    if (options.interface !== undefined) {
      error = door.setOption(fd, SOL_SOCKET, SO_BINDTODEVICE, text(options.interface));
      if (error < 0) return failed("SO_BINDTODEVICE", error);
    }
    if (options.maxSegment !== undefined) number(SOL_TCP, TCP_MAXSEG, options.maxSegment);
    if (options.userTimeoutMilliseconds !== undefined) {
      number(SOL_TCP, TCP_USER_TIMEOUT, options.userTimeoutMilliseconds);
    }
    if (options.congestionControl !== undefined) {
      error = door.setOption(fd, SOL_TCP, TCP_CONGESTION, text(options.congestionControl));
      if (error < 0) return failed("TCP_CONGESTION", error);
    }
    if (options.keepalive !== undefined) setKeepalive(fd, options.keepalive);
    if (options.deferAcceptSeconds !== undefined) {
      number(SOL_TCP, TCP_DEFER_ACCEPT, options.deferAcceptSeconds);
    }
    if (options.fastOpenQueue !== undefined) {
      number(SOL_TCP, TCP_FASTOPEN, options.fastOpenQueue);
    }
  }
  const bound = door.bind(fd, encodeSocketAddress(address));
  if (bound < 0) return failed("bind", bound);
  const listening = door.listen(fd, options.backlog);
  if (listening < 0) return failed("listen", listening);
  return fd;
}

/**
 * A stream socket for a connection to `family` (AF_INET …), with TCP_NODELAY; or a negated errno.
 *
 * @param multipath Multipath TCP (RFC 8684), of internet families.
 */
export function openStream(family: number, multipath = false): number {
  const door = ringDoor();
  const isMultipath = multipath && family !== AF_UNIX;
  const fd = door.socket(family, SOCK_STREAM, isMultipath ? IPPROTO_MPTCP : 0);
  if (fd >= 0 && family !== AF_UNIX) door.setNumber(fd, SOL_TCP, TCP_NODELAY, 1);
  return fd;
}

/**
 * Binds an outgoing socket to a local address; with port 0 the port is chosen at connect. `foreign` lets the
 * address be another's (IP_TRANSPARENT). 0 or a negated errno.
 */
export function bindOutgoing(fd: number, address: StreamAddress, foreign: boolean): number {
  const door = ringDoor();
  const family = familyOf(address);
  if (foreign) {
    const error = transparent(fd, family);
    if (error < 0) return error;
  }
  if (address.kind === "inet") {
    door.setNumber(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (address.port === 0) door.setNumber(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, 1);
  }
  return door.bind(fd, encodeSocketAddress(address));
}

/** What a connection to be opened asks of the kernel. All off by default. */
export interface OutgoingOptions {
  /** Leaves by that interface alone (SO_BINDTODEVICE). */
  readonly interface?: string;
  readonly userTimeoutMilliseconds?: number;
  readonly congestionControl?: string;
  /** Data goes with the SYN where the peer's cookie is known (TCP_FASTOPEN_CONNECT). */
  readonly fastOpen?: boolean;
}

/** Sets them on a socket before it connects. 0 or the negated errno of the first that was refused. */
export function setOutgoing(fd: number, options: OutgoingOptions): number {
  const door = ringDoor();
  let error = 0;
  if (options.interface !== undefined) {
    error = door.setOption(fd, SOL_SOCKET, SO_BINDTODEVICE, text(options.interface));
  }
  if (error >= 0 && options.userTimeoutMilliseconds !== undefined) {
    error = door.setNumber(fd, SOL_TCP, TCP_USER_TIMEOUT, options.userTimeoutMilliseconds);
  }
  if (error >= 0 && options.congestionControl !== undefined) {
    error = door.setOption(fd, SOL_TCP, TCP_CONGESTION, text(options.congestionControl));
  }
  // A kernel without it connects as ever.
  if (options.fastOpen) door.setNumber(fd, SOL_TCP, TCP_FASTOPEN_CONNECT, 1);
  return Math.min(0, error);
}

/** A datagram socket connected to `address`, to write log lines to; or a negated errno. */
export function openDatagram(address: StreamAddress): number {
  const door = ringDoor();
  const fd = door.socket(familyOf(address), SOCK_DGRAM, 0);
  if (fd < 0) return fd;
  const error = door.connect(fd, encodeSocketAddress(address));
  if (error < 0) {
    door.closeNow(fd);
    return error;
  }
  return fd;
}

/** `struct linger`: on, for no time at all. */
const NO_LINGER = new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]);

/** Makes close(2) send a reset, and forget what was not delivered. */
export function setAbortive(fd: number): void {
  ringDoor().setOption(fd, SOL_SOCKET, SO_LINGER, NO_LINGER);
}

export function setNoDelay(fd: number): void {
  ringDoor().setNumber(fd, SOL_TCP, TCP_NODELAY, 1);
}

export function setQuickAck(fd: number, on: boolean): void {
  ringDoor().setNumber(fd, SOL_TCP, TCP_QUICKACK, on ? 1 : 0);
}

export function setKeepalive(fd: number, options: KeepaliveOptions): void {
  const door = ringDoor();
  door.setNumber(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  if (options.idle !== undefined) door.setNumber(fd, SOL_TCP, TCP_KEEPIDLE, options.idle);
  if (options.interval !== undefined) door.setNumber(fd, SOL_TCP, TCP_KEEPINTVL, options.interval);
  if (options.count !== undefined) door.setNumber(fd, SOL_TCP, TCP_KEEPCNT, options.count);
}

/**
 * 0 no more reads, 1 no more writes, 2 neither. At once: io_uring would take a kernel thread for it.
 * shutdown(2)
 */
export function shutdownStream(fd: number, how: 0 | 1 | 2): number {
  return ringDoor().shutdown(fd, how);
}

/** A descriptor opened before us: made non-blocking and not to be inherited further. 0 or a negated errno. */
export function adoptDescriptor(fd: number): number {
  return ringDoor().prepare(fd);
}

/** How many connections wait to be accepted on a listening TCP socket; 0 for others. tcp(7), TCP_INFO */
export function waitingConnections(fd: number): number {
  const info = new Uint8Array(TCP_INFO_UNACKED + 4);
  if (ringDoor().getOption(fd, SOL_TCP, TCP_INFO, info) < info.length) return 0;
  return new DataView(info.buffer).getUint32(TCP_INFO_UNACKED, true);
}

/** Closes at once; for descriptors that no ring has operations on. */
export function closeDescriptor(fd: number): void {
  ringDoor().closeNow(fd);
}

/** `sockaddr` of this end (or, with `peer`, of the other) into `out`: its size, or a negated errno. */
export function socketName(fd: number, peer: boolean, out: Uint8Array): number {
  return ringDoor().name(fd, out, peer ? 1 : 0);
}

/** Room for `socketName`. */
export function socketNameRoom(): Uint8Array {
  return new Uint8Array(SOCKADDR_ROOM);
}

/** Raises the limit of open files to `wanted` as far as we may; gives the limit that now holds. */
export function raiseDescriptorLimit(wanted: number): number {
  return ringDoor().raiseDescriptorLimit(wanted);
}

/** Sends a datagram at once or not at all: its size, or a negated errno. */
export function sendDatagram(fd: number, bytes: Uint8Array, size: number): number {
  return ringDoor().sendNow(fd, bytes, size, 0);
}

/**
 * Sends datagrams that stand one after the other in `bytes`, each up to its end: how many went (the rest had no
 * room), or a negated errno. sendmmsg(2)
 */
export function sendDatagrams(
  fd: number,
  bytes: Uint8Array,
  ends: Int32Array,
  count: number,
): number {
  return ringDoor().sendMany(fd, bytes, ends, count);
}

/** What a stream's buffer has room for, without waiting. Bytes sent, or a negated errno. */
export function sendNow(fd: number, bytes: Uint8Array): number {
  return ringDoor().sendNow(fd, bytes, bytes.length, 0);
}

/** write(2), which for a pipe or terminal may wait: for stdout logs. Bytes written, or a negated errno. */
export function writeNow(fd: number, bytes: Uint8Array, size: number): number {
  return ringDoor().write(fd, bytes, size);
}

/** The address family that an address needs. */
export function familyOf(address: StreamAddress): number {
  if (address.kind !== "inet") return AF_UNIX;
  return address.address.family === 4 ? AF_INET : AF_INET6;
}

function transparent(fd: number, family: number): number {
  const door = ringDoor();
  return family === AF_INET6
    ? door.setNumber(fd, SOL_IPV6, IPV6_TRANSPARENT, 1)
    : door.setNumber(fd, SOL_IP, IP_TRANSPARENT, 1);
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
