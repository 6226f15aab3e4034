import { type IpAddress, readAddress, writeAddress } from "@ha/base";

/** `sockaddr` families. */
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** Where a stream or datagram socket of the ring is bound or connected to. */
export type StreamAddress =
  | { readonly kind: "inet"; readonly address: IpAddress; readonly port: number }
  | { readonly kind: "unix"; readonly path: string }
  /** The abstract namespace: `padded` names fill the whole field with zeros, as HAProxy's `abns@`. */
  | { readonly kind: "abstract"; readonly name: string; readonly padded: boolean };

/** Bytes that any `sockaddr` of ours fits in. */
export const SOCKADDR_ROOM = 112;

/** Bytes of `sun_path`: a path takes at most one less. unix(7) */
export const UNIX_PATH_ROOM = 108;

/** The bytes of a `struct sockaddr_in`, `_in6` or `_un`. A path that is too long throws: check it at load. */
export function encodeSocketAddress(address: StreamAddress): Uint8Array {
  if (address.kind === "inet") return encodeInet(address.address, address.port);
  const name = new TextEncoder().encode(address.kind === "unix" ? address.path : address.name);
  if (name.length >= UNIX_PATH_ROOM) throw new RangeError(`socket path of ${name.length} bytes`);
  const isAbstract = address.kind === "abstract";
  const padded = isAbstract && address.padded;
  const bytes = new Uint8Array(padded ? 2 + UNIX_PATH_ROOM : 2 + 1 + name.length);
  new DataView(bytes.buffer).setUint16(0, AF_UNIX, true);
  bytes.set(name, isAbstract ? 3 : 2);
  return bytes;
}

function encodeInet(address: IpAddress, port: number): Uint8Array {
  const v4 = address.family === 4;
  const bytes = new Uint8Array(v4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, v4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  writeAddress(bytes, v4 ? 4 : 8, address);
  return bytes;
}

/**
 * Reads a `sockaddr` into an endpoint without making anything: 4, 6 or (for anything else) 0 as family. An
 * IPv4 address mapped into IPv6 comes out as IPv4, since that is what it is to rules and logs.
 */
export function readSocketAddress(
  bytes: Uint8Array,
  endpoint: { family: 0 | 4 | 6; readonly address: Uint8Array; port: number },
): void {
  const family = (bytes[0] as number) | ((bytes[1] as number) << 8);
  endpoint.port = ((bytes[2] as number) << 8) | (bytes[3] as number);
  if (family === AF_INET) {
    endpoint.family = 4;
    for (let i = 0; i < 4; i++) endpoint.address[i] = bytes[4 + i] as number;
  } else if (family === AF_INET6) {
    const mapped = isMapped(bytes);
    endpoint.family = mapped ? 4 : 6;
    const from = mapped ? 20 : 8;
    for (let i = 0; i < (mapped ? 4 : 16); i++) endpoint.address[i] = bytes[from + i] as number;
  } else {
    endpoint.family = 0;
    endpoint.port = 0;
  }
}

/** `::ffff:a.b.c.d`. RFC 4291 §2.5.5.2 */
function isMapped(bytes: Uint8Array): boolean {
  for (let i = 8; i < 18; i++) if (bytes[i] !== 0) return false;
  return bytes[18] === 0xff && bytes[19] === 0xff;
}

/** The address of a `sockaddr` as a value, for what is not on the hot path. */
export function decodeInetAddress(
  bytes: Uint8Array,
): { address: IpAddress; port: number } | undefined {
  const endpoint = { family: 0 as 0 | 4 | 6, address: new Uint8Array(16), port: 0 };
  readSocketAddress(bytes, endpoint);
  if (endpoint.family === 0) return undefined;
  return {
    address: readAddress(endpoint.address, 0, endpoint.family),
    port: endpoint.port,
  };
}
