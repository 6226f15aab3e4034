import { type IpAddress, isLinkLocal } from "@ha/base";
import type { RawNetlinkMessage } from "./guard.ts";
import { AF_NETLINK, netlinkSocketAddress, SOCK_RAW } from "./kernel-address.ts";
import { NLMSG_ERROR, readNetlinkMessages } from "./netlink-codec.ts";
import {
  counter,
  deleteElements,
  deleteTable,
  equals,
  interfaceKey,
  isIn,
  meta,
  NFPROTO,
  NFT_TYPE,
  type NftExpression,
  type NftFamily,
  type NftOperation,
  networkBytes,
  newChain,
  newElements,
  newRule,
  newSet,
  newTable,
  nftBatch,
  transportBytes,
  verdict,
} from "./nftables.ts";
import { createBatch, LITTLE_ENDIAN, messageOf, SocketDoor } from "./socket-door.ts";
import { type SystemError, systemError, wrapError } from "./system-error.ts";

export interface FirewallOptions {
  /** As `nftables` names it; keepalived. */
  readonly table?: string;
  /** `nftables_priority`; -1. */
  readonly priority?: number;
  /** `nftables_counters`; false. */
  readonly counters?: boolean;
}

/** What is to be in force. */
export interface FirewallRules {
  /**
   * Addresses that this host holds and does not serve (`no_accept`, `vrrp_strict`): packets to and from them are dropped, but
   * for neighbour discovery. Link-local ones need the interface.
   */
  readonly unserved: readonly { readonly address: IpAddress; readonly ifindex: number }[];
  /**
   * VMACs, by interface index: reports of group membership (IGMP, MLD) and router solicitations do not leave by them, since both
   * hosts have the same MAC. Join the groups on the parent device as well, so that switches hear of them.
   */
  readonly vmacs: readonly number[];
}

/** The nftables table of its own that `no_accept` and VMACs need. keepalived.conf(5), nftables; observed: keepalived 2.2.7. */
export interface Firewall {
  /** Brings the kernel to these rules, all at once or not at all. Makes the table when first needed. */
  set(rules: FirewallRules): SystemError | undefined;
  /** For the guard: takes these out, whatever else is in the table. */
  removal(rules: FirewallRules): readonly RawNetlinkMessage[];
  /** Deletes the table. */
  close(): SystemError | undefined;
}

const NETLINK_NETFILTER = 12;
const DEFAULT_TABLE = "keepalived";
const DEFAULT_PRIORITY = -1;
const IGMP = 2;
const ICMPV6 = 58;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const MLD2_REPORT = 143;
const ROUTER_SOLICITATION = 133;

/** Sets by name, with the id that rules of the same batch refer to. */
const SETS = {
  vips: { name: "vips", id: 1 },
  linkLocal: { name: "vips_link_local", id: 2 },
  vmacs: { name: "vmac_set", id: 3 },
} as const;

export function openFirewall(options: FirewallOptions = {}): Firewall {
  return new NftFirewall(options);
}

/** Elements by set, as text so that they compare: `family set key`. */
type Elements = Map<string, { family: NftFamily; set: string; key: Uint8Array }>;

class NftFirewall implements Firewall {
  readonly #table: string;
  readonly #priority: number;
  readonly #counters: boolean;
  #exists = false;
  #current: Elements = new Map();

  constructor(options: FirewallOptions) {
    this.#table = options.table ?? DEFAULT_TABLE;
    this.#priority = options.priority ?? DEFAULT_PRIORITY;
    this.#counters = options.counters ?? false;
  }

  set(rules: FirewallRules): SystemError | undefined {
    const wanted = elementsOf(rules);
    if (!this.#exists && wanted.size === 0) return undefined;
    const operations: NftOperation[] = this.#exists ? [] : this.#skeleton();
    const stale = [...this.#current].filter(([text]) => !wanted.has(text));
    const fresh = [...wanted].filter(([text]) => !this.#current.has(text));
    operations.push(...this.#change(deleteElements, stale), ...this.#change(newElements, fresh));
    if (operations.length === 0) return undefined;
    const failure = transact("set firewall rules", operations);
    if (failure !== undefined) return failure;
    this.#exists = true;
    this.#current = wanted;
    return undefined;
  }

  removal(rules: FirewallRules): readonly RawNetlinkMessage[] {
    const operations = this.#change(deleteElements, [...elementsOf(rules)]);
    // One batch each: an element that is gone already must not keep the others.
    return operations.map((operation) => ({
      netlinkProtocol: NETLINK_NETFILTER,
      bytes: nftBatch([operation]),
    }));
  }

  close(): SystemError | undefined {
    if (!this.#exists) return undefined;
    this.#exists = false;
    this.#current = new Map();
    return transact("delete the firewall table", [
      deleteTable(NFPROTO.ipv4, this.#table),
      deleteTable(NFPROTO.ipv6, this.#table),
    ]);
  }

  #change(
    make: typeof newElements,
    entries: readonly [string, { family: NftFamily; set: string; key: Uint8Array }][],
  ): NftOperation[] {
    return entries.map(([, { family, set, key }]) =>
      make(family, { table: this.#table, name: set }, [key]),
    );
  }

  /** A fresh table of each family, whatever an earlier run has left: added so that it can be deleted, then made. */
  #skeleton(): NftOperation[] {
    const table = this.#table;
    const operations: NftOperation[] = [];
    for (const family of [NFPROTO.ipv4, NFPROTO.ipv6]) {
      const ipv4 = family === NFPROTO.ipv4;
      operations.push(newTable(family, table), deleteTable(family, table), newTable(family, table));
      const address = ipv4 ? NFT_TYPE.ipv4 : NFT_TYPE.ipv6;
      const length = ipv4 ? 4 : 16;
      operations.push(newSet(family, { table, ...SETS.vips, types: [address], keyLength: length }));
      operations.push(
        newSet(family, { table, ...SETS.vmacs, types: [NFT_TYPE.interface], keyLength: 4 }),
      );
      if (!ipv4) {
        const types = [NFT_TYPE.ipv6, NFT_TYPE.interface];
        operations.push(newSet(family, { table, ...SETS.linkLocal, types, keyLength: 20 }));
      }
      for (const [name, hook] of [
        ["out", "output"],
        ["in", "input"],
      ] as const) {
        const priority = this.#priority;
        operations.push(newChain(family, { table, name, hook, priority }));
      }
      for (const { chain, match, what } of ipv4 ? IPV4_RULES : IPV6_RULES) {
        const count = this.#counters ? [counter()] : [];
        operations.push(newRule(family, { table, chain }, [...match, ...count, verdict(what)]));
      }
    }
    return operations;
  }
}

interface Rule {
  readonly chain: "in" | "out";
  readonly match: readonly NftExpression[];
  readonly what: "accept" | "drop";
}

const IPV4_SOURCE = networkBytes(12, 4);
const IPV4_DESTINATION = networkBytes(16, 4);
const IPV6_SOURCE = networkBytes(8, 16);
const IPV6_DESTINATION = networkBytes(24, 16);
const FROM_VMAC = [meta("outInterface"), isIn(SETS.vmacs)];
const icmpv6 = (type: number): readonly NftExpression[] => [
  meta("transport"),
  equals(Uint8Array.of(ICMPV6)),
  transportBytes(0, 1),
  equals(Uint8Array.of(type)),
];

const IPV4_RULES: readonly Rule[] = [
  {
    chain: "out",
    match: [meta("transport"), equals(Uint8Array.of(IGMP)), ...FROM_VMAC],
    what: "drop",
  },
  { chain: "out", match: [IPV4_SOURCE, isIn(SETS.vips)], what: "drop" },
  { chain: "in", match: [IPV4_DESTINATION, isIn(SETS.vips)], what: "drop" },
];

const IPV6_RULES: readonly Rule[] = [
  { chain: "out", match: [...icmpv6(MLD2_REPORT), ...FROM_VMAC], what: "drop" },
  { chain: "out", match: [...icmpv6(ROUTER_SOLICITATION), ...FROM_VMAC], what: "drop" },
  ...(["in", "out"] as const).flatMap((chain): readonly Rule[] => [
    { chain, match: icmpv6(NEIGHBOUR_SOLICITATION), what: "accept" },
    { chain, match: icmpv6(NEIGHBOUR_ADVERTISEMENT), what: "accept" },
  ]),
  {
    chain: "out",
    match: [IPV6_SOURCE, meta("outInterface", true), isIn(SETS.linkLocal)],
    what: "drop",
  },
  { chain: "out", match: [IPV6_SOURCE, isIn(SETS.vips)], what: "drop" },
  {
    chain: "in",
    match: [IPV6_DESTINATION, meta("inInterface", true), isIn(SETS.linkLocal)],
    what: "drop",
  },
  { chain: "in", match: [IPV6_DESTINATION, isIn(SETS.vips)], what: "drop" },
];

function elementsOf(rules: FirewallRules): Elements {
  const elements: Elements = new Map();
  const add = (family: NftFamily, set: string, key: Uint8Array): void => {
    elements.set(`${family} ${set} ${key.join(".")}`, { family, set, key });
  };
  for (const { address, ifindex } of rules.unserved) {
    if (isLinkLocal(address)) {
      const key = Uint8Array.from([...address.bytes, ...interfaceKey(ifindex)]);
      add(NFPROTO.ipv6, SETS.linkLocal.name, key);
    } else {
      add(address.family === 4 ? NFPROTO.ipv4 : NFPROTO.ipv6, SETS.vips.name, address.bytes);
    }
  }
  for (const ifindex of rules.vmacs) {
    for (const family of [NFPROTO.ipv4, NFPROTO.ipv6]) {
      add(family, SETS.vmacs.name, interfaceKey(ifindex));
    }
  }
  return elements;
}

/** Sends a batch and reads its answers, which the kernel has made when the send returns. */
function transact(what: string, operations: readonly NftOperation[]): SystemError | undefined {
  const kind = { domain: AF_NETLINK, type: SOCK_RAW, protocol: NETLINK_NETFILTER };
  let socket: SocketDoor;
  try {
    socket = SocketDoor.open(what, kind);
  } catch (error) {
    return wrapError(what, error);
  }
  try {
    socket.bind(what, netlinkSocketAddress(0, 0));
    const sent = socket.send(nftBatch(operations));
    if (sent < 0) return systemError(what, sent);
    const batch = createBatch(16, 1_024);
    for (;;) {
      const count = socket.receive(batch);
      if (count <= 0) return undefined;
      for (let i = 0; i < count; i++) {
        for (const { type, body } of readNetlinkMessages(messageOf(batch, i).data)) {
          if (type !== NLMSG_ERROR || body.length < 4) continue;
          const code = new DataView(body.buffer, body.byteOffset).getInt32(0, LITTLE_ENDIAN);
          if (code !== 0) return systemError(what, code);
        }
      }
    }
  } catch (error) {
    return wrapError(what, error);
  } finally {
    socket.close();
  }
}
