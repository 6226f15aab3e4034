import { readFileSync } from "node:fs";
import { type IpAddress, internetChecksum, ip } from "@ha/base";
import type { FilterRouter } from "../vrrp-transport.ts";

export const GROUP4 = ip("224.0.0.18");
export const GROUP6 = ip("ff02::12");
export const HERE = ip("192.0.2.1");
export const THERE = ip("192.0.2.2");
export const HERE6 = ip("fe80::1");
export const THERE6 = ip("fe80::2");

/** IP packets of protocols 112 and 51 from a capture of Ethernet frames, without link padding. */
export function capturedAdverts(name: string): Uint8Array[] {
  const path = new URL(`../../../../test/corpus/vrrp-captures/${name}.pcap`, import.meta.url);
  const file = new Uint8Array(readFileSync(path));
  const view = new DataView(file.buffer);
  const packets: Uint8Array[] = [];
  for (let at = 24; at + 16 <= file.length; ) {
    const length = view.getUint32(at + 8, true);
    const packet = file.slice(at + 16 + 14, at + 16 + length);
    at += 16 + length;
    const version = (packet[0] ?? 0) >> 4;
    const protocol = packet[version === 4 ? 9 : 6];
    if (version === 4 && (protocol === 112 || protocol === 51)) {
      packets.push(packet.slice(0, ((packet[2] ?? 0) << 8) | (packet[3] ?? 0)));
    } else if (version === 6 && protocol === 112) {
      packets.push(packet.slice(0, 40 + (((packet[4] ?? 0) << 8) | (packet[5] ?? 0))));
    }
  }
  return packets;
}

/** What the filter knows of a router, multicast and without authentication unless said. */
export function router(
  options: Partial<FilterRouter> & Pick<FilterRouter, "vrid" | "version">,
): FilterRouter {
  return { minTtl: 255, maxTtl: 255, authentication: "any", checksums: ["plain"], ...options };
}

/** PASS data: eight bytes, padded with zeros. */
export function pass(text: string): Uint8Array {
  const bytes = new Uint8Array(8);
  bytes.set(new TextEncoder().encode(text).subarray(0, 8));
  return bytes;
}

/** A copy with one byte changed. */
export function broken(bytes: Uint8Array, at: number, value: number): Uint8Array {
  const copy = bytes.slice();
  copy[at] = value;
  return copy;
}

/** Adverts by hand, so that this suite does not depend on the codec that it will carry. */
export function advert(options: {
  vrid: number;
  version?: 2 | 3;
  family?: 4 | 6;
  addresses?: number;
  pass?: string;
  pseudo?: boolean;
  source?: IpAddress;
  destination?: IpAddress;
}): Uint8Array {
  const { vrid, version = 2, family = 4, addresses = 1 } = options;
  const size = family === 4 ? 4 : 16;
  const bytes = new Uint8Array(8 + addresses * size + (version === 2 ? 8 : 0));
  bytes.set([(version << 4) | 1, vrid, 100, addresses, 0, version === 2 ? 1 : 100]);
  for (let i = 0; i < addresses; i++) bytes[8 + i * size + size - 1] = i + 1;
  if (options.pass !== undefined) {
    bytes[4] = 1;
    bytes.set(pass(options.pass), bytes.length - 8);
  }
  const destination = options.destination ?? (family === 4 ? GROUP4 : GROUP6);
  const source = options.source ?? (family === 4 ? THERE : THERE6);
  const pseudo = [
    ...source.bytes,
    ...destination.bytes,
    ...(family === 4 ? [] : [0, 0]),
    ...(family === 4 ? [0, 112] : []),
    bytes.length >> 8,
    bytes.length & 0xff,
    ...(family === 4 ? [] : [0, 0, 0, 112]),
  ];
  const sum =
    version === 3 && options.pseudo !== false
      ? internetChecksum(Uint8Array.from(pseudo), bytes)
      : internetChecksum(bytes);
  new DataView(bytes.buffer).setUint16(6, sum);
  return bytes;
}
