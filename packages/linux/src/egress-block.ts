import type { RawNetlinkMessage } from "./guard.ts";
import { NETLINK_NETFILTER, nftTransaction } from "./nft-transaction.ts";
import {
  deleteTable,
  NFPROTO,
  type NftOperation,
  newEgressDrop,
  newTable,
  nftBatch,
} from "./nftables.ts";
import type { SystemError } from "./system-error.ts";

/**
 * Drops every frame that the device would send, ARP and neighbour discovery among them, while it goes on receiving. For a virtual MAC
 * that another host speaks with already: each frame of ours would lead switches back to us. Needs Linux 5.16.
 */
export function blockEgress(device: string): SystemError | undefined {
  return nftTransaction(`drop what ${device} sends`, blocking(device));
}

/** The device sends again; no failure when it always did. */
export function unblockEgress(device: string): SystemError | undefined {
  return nftTransaction(`let ${device} send`, unblocking(device));
}

/** The same for the guard, which sends finished bytes. */
export function egressMessages(device: string): {
  readonly block: RawNetlinkMessage;
  readonly unblock: RawNetlinkMessage;
} {
  const message = (operations: readonly NftOperation[]): RawNetlinkMessage => ({
    netlinkProtocol: NETLINK_NETFILTER,
    bytes: nftBatch(operations),
  });
  return { block: message(blocking(device)), unblock: message(unblocking(device)) };
}

function blocking(device: string): readonly NftOperation[] {
  const table = tableOf(device);
  return [
    ...unblocking(device),
    newTable(NFPROTO.netdev, table),
    newEgressDrop({ table, name: "out", device }),
  ];
}

/** Made first, so that there is one to delete. */
function unblocking(device: string): readonly NftOperation[] {
  const table = tableOf(device);
  return [newTable(NFPROTO.netdev, table), deleteTable(NFPROTO.netdev, table)];
}

function tableOf(device: string): string {
  return `vrrpd silence ${device}`;
}
