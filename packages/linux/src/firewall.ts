import { type IpAddress, isLinkLocal } from "@ha/base";
import type { RawNetlinkMessage } from "./guard.ts";
import { NETLINK_NETFILTER, nftTransaction } from "./nft-transaction.ts";
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
import type { SystemError } from "./system-error.ts";

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
  /**
   * Brings the kernel to these rules, those of each family all at once or not at all. Makes a family's table when it is first
   * needed. A kernel without IPv6 is no failure as long as no address of it is unserved.
   */
  set(rules: FirewallRules): SystemError | undefined;
  /** For the guard: takes these out, whatever else is in the table. */
  removal(rules: FirewallRules): readonly RawNetlinkMessage[];
  /** Deletes the table. */
  close(): SystemError | undefined;
}

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
  /** The families that have a table. */
  readonly #exists = new Set<NftFamily>();
  #current: Elements = new Map();

  constructor(options: FirewallOptions) {
    this.#table = options.table ?? DEFAULT_TABLE;
    this.#priority = options.priority ?? DEFAULT_PRIORITY;
    this.#counters = options.counters ?? false;
  }

  /** Each family is a transaction of its own: a kernel without IPv6 must not keep the rules of IPv4 out. */
  set(rules: FirewallRules): SystemError | undefined {
    const wanted = elementsOf(rules);
    const first = this.#exists.size === 0 && wanted.size > 0;
    const served: Elements = new Map();
    let failure: SystemError | undefined;
    for (const family of [NFPROTO.ipv4, NFPROTO.ipv6]) {
      const before = ofFamily(this.#current, family);
      const after = ofFamily(wanted, family);
      // What an earlier run has left of a family that is not needed now. It may well be nothing.
      if (first && after.size === 0)
        nftTransaction("delete the firewall table", this.#clear(family));
      const problem = this.#setFamily(family, before, after);
      for (const [text, element] of problem === undefined ? after : before) {
        served.set(text, element);
      }
      // VMACs are named for both families, whichever they serve.
      const matters = family === NFPROTO.ipv4 || rules.unserved.some(isIpv6);
      if (matters) failure ??= problem;
    }
    this.#current = served;
    return failure;
  }

  #setFamily(family: NftFamily, before: Elements, after: Elements): SystemError | undefined {
    const exists = this.#exists.has(family);
    if (!exists && after.size === 0) return undefined;
    const stale = [...before].filter(([text]) => !after.has(text));
    const fresh = [...after].filter(([text]) => !before.has(text));
    const operations: NftOperation[] = [
      ...(exists ? [] : this.#skeleton(family)),
      ...this.#change(deleteElements, stale),
      ...this.#change(newElements, fresh),
    ];
    if (operations.length === 0) return undefined;
    const problem = nftTransaction("set firewall rules", operations);
    if (problem === undefined) this.#exists.add(family);
    return problem;
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
    let failure: SystemError | undefined;
    for (const family of this.#exists) {
      failure ??= nftTransaction("delete the firewall table", [deleteTable(family, this.#table)]);
    }
    this.#exists.clear();
    this.#current = new Map();
    return failure;
  }

  #change(
    make: typeof newElements,
    entries: readonly [string, { family: NftFamily; set: string; key: Uint8Array }][],
  ): NftOperation[] {
    return entries.map(([, { family, set, key }]) =>
      make(family, { table: this.#table, name: set }, [key]),
    );
  }

  /** No table, whether there was one or not: added so that it can be deleted. */
  #clear(family: NftFamily): NftOperation[] {
    return [newTable(family, this.#table), deleteTable(family, this.#table)];
  }

  /** A fresh table, whatever an earlier run has left. */
  #skeleton(family: NftFamily): NftOperation[] {
    const table = this.#table;
    const ipv4 = family === NFPROTO.ipv4;
    const address = ipv4 ? NFT_TYPE.ipv4 : NFT_TYPE.ipv6;
    const length = ipv4 ? 4 : 16;
    const operations: NftOperation[] = [
      ...this.#clear(family),
      newTable(family, table),
      newSet(family, { table, ...SETS.vips, types: [address], keyLength: length }),
      newSet(family, { table, ...SETS.vmacs, types: [NFT_TYPE.interface], keyLength: 4 }),
    ];
    if (!ipv4) {
      const types = [NFT_TYPE.ipv6, NFT_TYPE.interface];
      operations.push(newSet(family, { table, ...SETS.linkLocal, types, keyLength: 20 }));
    }
    for (const [name, hook] of [
      ["out", "output"],
      ["in", "input"],
    ] as const) {
      operations.push(newChain(family, { table, name, hook, priority: this.#priority }));
    }
    for (const { chain, match, what } of ipv4 ? IPV4_RULES : IPV6_RULES) {
      const count = this.#counters ? [counter()] : [];
      operations.push(newRule(family, { table, chain }, [...match, ...count, verdict(what)]));
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

function ofFamily(elements: Elements, family: NftFamily): Elements {
  return new Map([...elements].filter(([, element]) => element.family === family));
}

function isIpv6({ address }: { readonly address: IpAddress }): boolean {
  return address.family === 6;
}

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
