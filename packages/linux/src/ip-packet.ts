import { type Family, type IpAddress, internetChecksum, readAddress } from "@ha/base";

/** What to write into an IP header. */
export interface IpHeader {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** 0–255. */
  readonly protocol: number;
  /** TTL or hop limit, 0–255. */
  readonly ttl: number;
  /** IPv4 only; 0 lets the kernel choose one when it sends. */
  readonly identification?: number;
}

export const IPV4_HEADER_SIZE = 20;
export const IPV6_HEADER_SIZE = 40;

/**
 * A whole packet: IP header and payload. Version 4 has type of service 0xc0 (internetwork control, as keepalived),
 * no options, no fragments, and its header checksum in place; version 6 traffic class 0xc0. RFC 791 §3.1; RFC 8200 §3.
 */
export function ipPacket(header: IpHeader, payload: Uint8Array): Uint8Array {
  return header.source.family === 4 ? ipv4Packet(header, payload) : ipv6Packet(header, payload);
}

const INTERNETWORK_CONTROL = 0xc0;

function ipv4Packet(header: IpHeader, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(IPV4_HEADER_SIZE + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, 0x45);
  view.setUint8(1, INTERNETWORK_CONTROL);
  view.setUint16(2, bytes.length);
  view.setUint16(4, header.identification ?? 0);
  view.setUint8(8, header.ttl);
  view.setUint8(9, header.protocol);
  bytes.set(header.source.bytes, 12);
  bytes.set(header.destination.bytes, 16);
  view.setUint16(10, internetChecksum(bytes.subarray(0, IPV4_HEADER_SIZE)));
  bytes.set(payload, IPV4_HEADER_SIZE);
  return bytes;
}

function ipv6Packet(header: IpHeader, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(IPV6_HEADER_SIZE + payload.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0x6000 | (INTERNETWORK_CONTROL << 4));
  view.setUint16(4, payload.length);
  view.setUint8(6, header.protocol);
  view.setUint8(7, header.ttl);
  bytes.set(header.source.bytes, 8);
  bytes.set(header.destination.bytes, 24);
  bytes.set(payload, IPV6_HEADER_SIZE);
  return bytes;
}

/** An IPv4 packet taken apart; `payload` is a view. */
export interface Ipv4Parts {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly ttl: number;
  readonly protocol: number;
  readonly identification: number;
  readonly payload: Uint8Array;
}

/** Undefined when the bytes are no IPv4 packet. Bytes beyond the total length are left out. */
export function readIpv4(bytes: Uint8Array): Ipv4Parts | undefined {
  if (bytes.length < IPV4_HEADER_SIZE) return undefined;
  const first = bytes[0] as number;
  const headerSize = (first & 0x0f) * 4;
  const total = ((bytes[2] as number) << 8) | (bytes[3] as number);
  if (first >> 4 !== 4 || headerSize < IPV4_HEADER_SIZE) return undefined;
  if (total < headerSize || total > bytes.length) return undefined;
  return {
    source: readAddress(bytes, 12, 4),
    destination: readAddress(bytes, 16, 4),
    ttl: bytes[8] as number,
    protocol: bytes[9] as number,
    identification: ((bytes[4] as number) << 8) | (bytes[5] as number),
    payload: bytes.subarray(headerSize, total),
  };
}

/** Source and destination of a packet that we built ourselves. */
export function packetEnds(packet: Uint8Array): {
  family: Family;
  source: IpAddress;
  destination: IpAddress;
} {
  const family: Family = (packet[0] as number) >> 4 === 6 ? 6 : 4;
  const at = family === 4 ? 12 : 8;
  const size = family === 4 ? 4 : 16;
  return {
    family,
    source: readAddress(packet, at, family),
    destination: readAddress(packet, at + size, family),
  };
}
