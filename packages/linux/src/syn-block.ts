import { formatAddress, type IpAddress } from "@ha/base";
import { nftTransaction } from "./nft-transaction.ts";
import {
  deleteTable,
  equals,
  masked,
  meta,
  NFPROTO,
  type NftFamily,
  type NftOperation,
  networkBytes,
  newChain,
  newRule,
  newTable,
  transportBytes,
  verdict,
} from "./nftables.ts";
import type { SystemError } from "./system-error.ts";

const TABLE = "vrrpd_drain";
const CHAIN = "in";
const PRIORITY = -200;
const TCP = 6;
/** Offset in the TCP header, and the flags that tell a connection's first packet. RFC 9293 §3.1 */
const FLAGS_AT = 13;
const FIN_SYN_RST_ACK = 0x17;
const SYN = 0x02;

/**
 * Drops TCP connections to addresses before they begin: the client's kernel sends its SYN again after a second, and
 * meets whoever has the address by then. In a table of its own, for IPv4 and IPv6; established connections go on.
 */
export class SynBlock {
  #blocked = new Map<string, IpAddress>();
  #families = new Set<NftFamily>();

  /** What a predecessor that was killed has left. */
  clear(): void {
    this.#blocked.clear();
    for (const family of [NFPROTO.ipv4, NFPROTO.ipv6] as const) {
      nftTransaction("lift the block of new connections", clearance(family));
    }
    this.#families.clear();
  }

  add(addresses: readonly IpAddress[]): SystemError | undefined {
    for (const address of addresses) this.#blocked.set(formatAddress(address), address);
    return this.#apply();
  }

  remove(addresses: readonly IpAddress[]): SystemError | undefined {
    for (const address of addresses) this.#blocked.delete(formatAddress(address));
    return this.#apply();
  }

  /** The whole table anew, in one transaction for each family. */
  #apply(): SystemError | undefined {
    let failure: SystemError | undefined;
    for (const family of [NFPROTO.ipv4, NFPROTO.ipv6] as const) {
      const own = [...this.#blocked.values()].filter(
        (address) => (address.family === 4) === (family === NFPROTO.ipv4),
      );
      if (own.length === 0 && !this.#families.has(family)) continue;
      const operations = [...clearance(family), ...(own.length === 0 ? [] : table(family, own))];
      const problem = nftTransaction("block new connections", operations);
      failure ??= problem;
      if (problem !== undefined) continue;
      if (own.length === 0) this.#families.delete(family);
      else this.#families.add(family);
    }
    return failure;
  }
}

/** No table, whether there was one or not: added so that it can be deleted. */
function clearance(family: NftFamily): NftOperation[] {
  return [newTable(family, TABLE), deleteTable(family, TABLE)];
}

function table(family: NftFamily, addresses: readonly IpAddress[]): NftOperation[] {
  const destination = family === NFPROTO.ipv4 ? networkBytes(16, 4) : networkBytes(24, 16);
  return [
    newTable(family, TABLE),
    newChain(family, { table: TABLE, name: CHAIN, hook: "input", priority: PRIORITY }),
    ...addresses.map((address) =>
      newRule(family, { table: TABLE, chain: CHAIN }, [
        meta("transport"),
        equals(Uint8Array.of(TCP)),
        destination,
        equals(address.bytes),
        transportBytes(FLAGS_AT, 1),
        masked(Uint8Array.of(FIN_SYN_RST_ACK)),
        equals(Uint8Array.of(SYN)),
        verdict("drop"),
      ]),
    ),
  ];
}
