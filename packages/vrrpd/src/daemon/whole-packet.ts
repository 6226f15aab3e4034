import { ipPacket } from "@ha/linux";
import type { OutgoingPacket } from "../core/ports.ts";

/** The packet with its IP header: a copy, for those that send in our place. */
export function wholePacket(packet: OutgoingPacket): Uint8Array {
  const { from, to, protocol, ttl, identification, bytes } = packet;
  return ipPacket(
    {
      source: from,
      destination: to,
      protocol,
      ttl,
      ...(identification === undefined ? {} : { identification }),
    },
    bytes,
  );
}
