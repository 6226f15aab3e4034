import { type IpAddress, readAddress } from "@ha/base";
import { LITTLE_ENDIAN } from "./socket-door.ts";

/** Address families, socket types and levels of the Linux ABI. The same on all architectures that we build for. */
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const AF_PACKET = 17;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_SEQPACKET = 5;
export const SOL_IP = 0;
export const SOL_SOCKET = 1;
export const SOL_IPV6 = 41;
export const SOL_PACKET = 263;
export const SOL_NETLINK = 270;
export const SO_RCVBUF = 8;
export const SO_BINDTODEVICE = 25;
export const SO_RCVBUFFORCE = 33;
export const SO_ATTACH_BPF = 50;

/** sockaddr_in or sockaddr_in6, port 0. `scope`: an interface index, for link-local and multicast IPv6. */
export function ipSocketAddress(address: IpAddress, scope = 0): Uint8Array {
  if (address.family === 4) {
    const bytes = new Uint8Array(16);
    new DataView(bytes.buffer).setUint16(0, AF_INET, LITTLE_ENDIAN);
    bytes.set(address.bytes, 4);
    return bytes;
  }
  const bytes = new Uint8Array(28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_INET6, LITTLE_ENDIAN);
  bytes.set(address.bytes, 8);
  view.setUint32(24, scope, LITTLE_ENDIAN);
  return bytes;
}

/** The address of a sockaddr_in or sockaddr_in6 that the kernel wrote; undefined for another family. */
export function readIpSocketAddress(bytes: Uint8Array): IpAddress | undefined {
  if (bytes.length < 8) return undefined;
  const family = new DataView(bytes.buffer, bytes.byteOffset).getUint16(0, LITTLE_ENDIAN);
  if (family === AF_INET) return readAddress(bytes, 4, 4);
  if (family === AF_INET6 && bytes.length >= 24) return readAddress(bytes, 8, 6);
  return undefined;
}

/** sockaddr_ll. `protocol` is an EtherType; `mac` the destination when sending. */
export function packetSocketAddress(options: {
  readonly protocol: number;
  readonly ifindex: number;
  readonly mac?: Uint8Array;
}): Uint8Array {
  const bytes = new Uint8Array(20);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_PACKET, LITTLE_ENDIAN);
  view.setUint16(2, options.protocol);
  view.setInt32(4, options.ifindex, LITTLE_ENDIAN);
  if (options.mac !== undefined) {
    bytes[11] = options.mac.length;
    bytes.set(options.mac, 12);
  }
  return bytes;
}

/** sockaddr_nl. Port 0 is the kernel when sending, and "choose one" when binding. */
export function netlinkSocketAddress(port: number, groups: number): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, AF_NETLINK, LITTLE_ENDIAN);
  view.setUint32(4, port, LITTLE_ENDIAN);
  view.setUint32(8, groups, LITTLE_ENDIAN);
  return bytes;
}

/** sockaddr_un. A leading `@` stands for the abstract name space. Undefined when the path is empty or too long (107 bytes). */
export function unixDatagramAddress(path: string): Uint8Array | undefined {
  const name = new TextEncoder().encode(path);
  if (name.length === 0 || name.length > 107) return undefined;
  const abstract = name[0] === 0x40;
  const bytes = new Uint8Array(2 + name.length + (abstract ? 0 : 1));
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, LITTLE_ENDIAN);
  bytes.set(name, 2);
  if (abstract) bytes[2] = 0;
  return bytes;
}

/** One control message (cmsghdr and its data), padded, on 64-bit systems. */
export function controlMessage(level: number, type: number, data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + ((data.length + 7) & ~7));
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(16 + data.length), LITTLE_ENDIAN);
  view.setInt32(8, level, LITTLE_ENDIAN);
  view.setInt32(12, type, LITTLE_ENDIAN);
  bytes.set(data, 16);
  return bytes;
}

/** The data of the first control message of that kind, or undefined. Never throws, whatever the bytes. */
export function findControl(
  control: Uint8Array,
  level: number,
  type: number,
): Uint8Array | undefined {
  const view = new DataView(control.buffer, control.byteOffset, control.byteLength);
  let at = 0;
  while (at + 16 <= control.length) {
    const length = Number(view.getBigUint64(at, LITTLE_ENDIAN));
    if (length < 16 || at + length > control.length) return undefined;
    if (
      view.getInt32(at + 8, LITTLE_ENDIAN) === level &&
      view.getInt32(at + 12, LITTLE_ENDIAN) === type
    ) {
      return control.subarray(at + 16, at + length);
    }
    at += (length + 7) & ~7;
  }
  return undefined;
}
