import { nftTransaction } from "./nft-transaction.ts";
import { deleteTable, NFPROTO, newEgressDrop, newTable } from "./nftables.ts";
import type { SystemError } from "./system-error.ts";

/**
 * Drops every frame that the device would send, ARP and neighbour discovery among them, while it goes on receiving. For a virtual MAC
 * that another host speaks with already: each frame of ours would lead switches back to us. Needs Linux 5.16.
 */
export function blockEgress(device: string): SystemError | undefined {
  const table = tableOf(device);
  return nftTransaction(`drop what ${device} sends`, [
    newTable(NFPROTO.netdev, table),
    deleteTable(NFPROTO.netdev, table),
    newTable(NFPROTO.netdev, table),
    newEgressDrop({ table, name: "out", device }),
  ]);
}

/** The device sends again; no failure when it always did. */
export function unblockEgress(device: string): SystemError | undefined {
  const table = tableOf(device);
  return nftTransaction(`let ${device} send`, [
    newTable(NFPROTO.netdev, table),
    deleteTable(NFPROTO.netdev, table),
  ]);
}

function tableOf(device: string): string {
  return `vrrpd silence ${device}`;
}
