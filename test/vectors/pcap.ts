import { readFileSync } from "node:fs";
import { type IpAddress, readAddress } from "@ha/base";

/** An IP packet out of a capture. */
export interface CapturedPacket {
  /** Seconds since 1970. */
  readonly time: number;
  readonly from: IpAddress;
  readonly to: IpAddress;
  readonly protocol: number;
  readonly ttl: number;
  readonly identification: number | undefined;
  readonly bytes: Uint8Array;
}

/** The IP packets of a classic pcap file of Ethernet frames, in order; other frames are left out. */
export function readCapture(file: string): CapturedPacket[] {
  const bytes = new Uint8Array(readFileSync(file));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const little = view.getUint32(0, true);
  const nanoseconds = little === 0xa1b23c4d;
  if (little !== 0xa1b2c3d4 && !nanoseconds) throw new Error(`${file} is no little-endian pcap`);
  const packets: CapturedPacket[] = [];
  for (let at = 24; at < bytes.length; ) {
    const length = view.getUint32(at + 8, true);
    const time =
      view.getUint32(at, true) + view.getUint32(at + 4, true) / (nanoseconds ? 1e9 : 1e6);
    const packet = ipPacket(bytes.subarray(at + 16, at + 16 + length), time);
    if (packet !== undefined) packets.push(packet);
    at += 16 + length;
  }
  return packets;
}

function ipPacket(frame: Uint8Array, time: number): CapturedPacket | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  const type = view.getUint16(12);
  const ip = frame.subarray(14);
  if (type === 0x0800) {
    const start = (view.getUint8(14) & 0x0f) * 4;
    return {
      time,
      from: readAddress(ip, 12, 4),
      to: readAddress(ip, 16, 4),
      protocol: view.getUint8(14 + 9),
      ttl: view.getUint8(14 + 8),
      identification: view.getUint16(14 + 4),
      bytes: ip.slice(start, view.getUint16(14 + 2)),
    };
  }
  if (type !== 0x86dd) return undefined;
  return {
    time,
    from: readAddress(ip, 8, 6),
    to: readAddress(ip, 24, 6),
    protocol: view.getUint8(14 + 6),
    ttl: view.getUint8(14 + 7),
    identification: undefined,
    bytes: ip.slice(40, 40 + view.getUint16(14 + 4)),
  };
}
