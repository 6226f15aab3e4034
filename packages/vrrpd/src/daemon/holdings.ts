import { type Micros, toSeconds } from "@ha/base";
import {
  type AddressSpec,
  addAddress,
  addRoute,
  addRule,
  type NetlinkRequest,
  type NetworkState,
  type RouteMetric,
  type RouteSpec,
  type RuleSpec,
  removeAddress,
  removeRoute,
  removeRule,
  routeKey,
  ruleKey,
} from "@ha/linux";
import type { VirtualAddress, VirtualRoute, VirtualRule } from "../core/config/model.ts";

/** Finds the index of an interface; undefined while there is none of that name. */
export type FindIndex = (name: string) => number | undefined;

export interface FindNames {
  readonly indexOf: FindIndex;
  /** The routing table of a VRF. */
  readonly tableOf: FindIndex;
}

/** By what is known of the kernel's interfaces. */
export function namesOf(network: NetworkState): FindNames {
  return {
    indexOf: (name) => network.linkByName(name)?.index,
    tableOf: (name) => network.linkByName(name)?.vrfTable,
  };
}

/** An address with the interface that it is on at the moment. */
export interface PlacedAddress {
  readonly config: VirtualAddress;
  readonly ifindex: number;
  readonly spec: AddressSpec;
}

/** What is to be added, in order, and how to take it away again, in order. Names that do not exist are left out. */
export interface Holdings {
  readonly addresses: readonly PlacedAddress[];
  /** Addresses, then routes, then rules. */
  readonly entries: readonly HoldingEntry[];
  readonly add: readonly NetlinkRequest[];
  readonly remove: readonly NetlinkRequest[];
  /** Of tracked routes and rules, as events about them have them. */
  readonly keys: ReadonlySet<string>;
  readonly missing: readonly string[];
  /** The interfaces that were looked up, and the index that each had. */
  readonly indexes: ReadonlyMap<string, number | undefined>;
}

/** One thing that is held. */
export interface HoldingEntry {
  /** What it was made from. */
  readonly of: VirtualAddress | VirtualRoute | VirtualRule;
  readonly add: NetlinkRequest;
  readonly remove: NetlinkRequest;
}

/** What one instance (or the static part of the file) wants to have. */
export interface Wanted {
  readonly addresses: readonly VirtualAddress[];
  readonly routes: readonly VirtualRoute[];
  readonly rules: readonly VirtualRule[];
  /** Where addresses go that name no device of their own. */
  readonly device: string | undefined;
  /** Seconds until the kernel removes the addresses unless we renew them. Undefined: never. */
  readonly lifetime: Micros | undefined;
}

/**
 * The requests for what is wanted. keepalived's order: addresses, routes, rules; taken away the other way round.
 * (facts: observed: keepalived 2.4.3)
 */
export function holdingsOf(wanted: Wanted, { indexOf, tableOf }: FindNames): Holdings {
  const missing = new Set<string>();
  const indexes = new Map<string, number | undefined>();
  const find = (name: string | undefined): number | undefined => {
    if (name === undefined) return undefined;
    const index = indexOf(name);
    indexes.set(name, index);
    if (index === undefined) missing.add(name);
    return index;
  };
  const addresses: PlacedAddress[] = [];
  for (const config of wanted.addresses) {
    const ifindex = find(config.vmac?.name ?? config.dev ?? wanted.device);
    if (ifindex === undefined) continue;
    addresses.push({ config, ifindex, spec: addressSpec(config, ifindex, wanted.lifetime) });
  }
  const entries: HoldingEntry[] = addresses.map(({ config, spec }) => ({
    of: config,
    add: addAddress(spec),
    remove: removeAddress(spec),
  }));
  const tracked: string[] = [];
  for (const route of wanted.routes) {
    const before = missing.size;
    const vrfTable = route.vrf === undefined ? undefined : tableOf(route.vrf);
    if (route.vrf !== undefined && vrfTable === undefined) missing.add(route.vrf);
    const spec = routeSpec(route, find, vrfTable);
    if (missing.size !== before) continue;
    entries.push({ of: route, add: addRoute(spec), remove: removeRoute(spec) });
    if (!route.no_track) tracked.push(routeKey(spec));
  }
  for (const rule of wanted.rules) {
    const spec = ruleSpec(rule);
    entries.push({ of: rule, add: addRule(spec), remove: removeRule(spec) });
    if (!rule.no_track) tracked.push(ruleKey(spec));
  }
  return {
    addresses,
    entries,
    add: entries.map(({ add }) => add),
    remove: entries.map(({ remove }) => remove).reverse(),
    keys: new Set(tracked),
    missing: [...missing],
    indexes,
  };
}

/** Whether the interfaces are still those that the requests were made for. */
export function isCurrent({ indexes }: Holdings, indexOf: FindIndex): boolean {
  for (const [name, index] of indexes) if (indexOf(name) !== index) return false;
  return true;
}

function addressSpec(
  config: VirtualAddress,
  ifindex: number,
  lifetime: Micros | undefined,
): AddressSpec {
  return {
    ifindex,
    prefix: { address: config.address, length: config.length },
    ...(config.broadcast === undefined ? {} : { broadcast: config.broadcast }),
    scope: config.scope,
    ...(config.label === undefined ? {} : { label: config.label }),
    ...(config.peer === undefined ? {} : { peer: config.peer }),
    home: config.home,
    nodad: config.nodad,
    mngtmpaddr: config.mngtmpaddr,
    noprefixroute: config.noprefixroute,
    autojoin: config.autojoin,
    ...(config.preferred_lft === undefined ? {} : { preferredLifetime: config.preferred_lft }),
    ...(lifetime === undefined
      ? {}
      : { validLifetime: Math.max(1, Math.ceil(toSeconds(lifetime))) }),
  };
}

function routeSpec(
  route: VirtualRoute,
  find: (name: string | undefined) => number | undefined,
  vrfTable: number | undefined,
): RouteSpec {
  const { hop } = route;
  const ifindex = find(hop.dev);
  const nexthops = route.nexthops.map(({ via, dev, weight, onlink, realms, encap }) => {
    const hopIndex = find(dev);
    return {
      ...(via === undefined ? {} : { via }),
      ...(hopIndex === undefined ? {} : { ifindex: hopIndex }),
      ...(weight === undefined ? {} : { weight }),
      onlink,
      ...(realms === undefined ? {} : { realms }),
      ...(encap === undefined ? {} : { encap }),
    };
  });
  const metrics = Object.fromEntries(
    Object.entries(route.metrics).flatMap(([name, value]) =>
      // The one feature that there is, `ecn`, is a bit.
      isMetric(name) ? [[name, name === "features" ? 1 : value]] : [],
    ),
  );
  const type = route.type === "nat" ? "unicast" : route.type;
  return {
    family: route.family,
    to: route.to.length === 0 ? undefined : route.to,
    type,
    ...(route.from === undefined ? {} : { from: route.from }),
    ...(route.src === undefined ? {} : { source: route.src }),
    ...(hop.via === undefined ? {} : { via: hop.via }),
    ...(ifindex === undefined ? {} : { ifindex }),
    ...(nexthops.length === 0 ? {} : { nexthops }),
    onlink: hop.onlink,
    ...(hop.encap === undefined ? {} : { encap: hop.encap }),
    ...tableOfRoute(route, vrfTable),
    ...(route.metric === undefined ? {} : { metric: route.metric }),
    protocol: route.protocol,
    ...(route.scope === undefined ? {} : { scope: route.scope }),
    ...(route.tos === undefined ? {} : { tos: route.tos }),
    ...(Object.keys(metrics).length === 0 ? {} : { metrics }),
    lockedMetrics: route.lock.filter(isMetric),
    ...(route.pref === undefined ? {} : { pref: route.pref }),
    ...(route.expires === undefined ? {} : { expires: route.expires }),
    ...(route.realms === undefined ? {} : { realms: route.realms }),
    ...(route.ttl_propagate === undefined ? {} : { ttlPropagate: route.ttl_propagate }),
    mode: route.append ? "append" : "replace",
  };
}

function tableOfRoute(
  { table }: VirtualRoute,
  vrfTable: number | undefined,
): Pick<RouteSpec, "table"> {
  const number = table ?? vrfTable;
  return number === undefined ? {} : { table: number };
}

function ruleSpec(rule: VirtualRule): RuleSpec {
  const range = (pair: readonly [number, number]) => ({ start: pair[0], end: pair[1] });
  return {
    family: rule.family,
    not: rule.not,
    ...(rule.from === undefined ? {} : { from: rule.from }),
    ...(rule.to === undefined ? {} : { to: rule.to }),
    ...(rule.iif === undefined ? {} : { iif: rule.iif }),
    ...(rule.oif === undefined ? {} : { oif: rule.oif }),
    ...(rule.tos === undefined ? {} : { tos: rule.tos }),
    ...(rule.fwmark === undefined ? {} : { fwmark: rule.fwmark }),
    ...(rule.fwmask === undefined ? {} : { fwmask: rule.fwmask }),
    ...(rule.table === undefined ? {} : { table: rule.table }),
    ...(rule.goto === undefined ? {} : { goto: rule.goto }),
    ...(rule.action === "table" || rule.action === "goto" ? {} : { type: rule.action }),
    priority: rule.priority,
    ...(rule.realms === undefined ? {} : { realms: rule.realms }),
    ...(rule.suppress_prefixlength === undefined
      ? {}
      : { suppressPrefixLength: rule.suppress_prefixlength }),
    ...(rule.suppress_ifgroup === undefined ? {} : { suppressGroup: rule.suppress_ifgroup }),
    ...(rule.uidrange === undefined ? {} : { uidRange: range(rule.uidrange) }),
    ...(rule.sport === undefined ? {} : { sport: range(rule.sport) }),
    ...(rule.dport === undefined ? {} : { dport: range(rule.dport) }),
    ...(rule.ipproto === undefined ? {} : { ipproto: rule.ipproto }),
    l3mdev: rule.l3mdev,
    ...(rule.tun_id === undefined ? {} : { tunnelId: BigInt(rule.tun_id) }),
    ...(rule.protocol === undefined ? {} : { protocol: rule.protocol }),
  };
}

const METRICS: ReadonlySet<string> = new Set<RouteMetric>([
  "mtu",
  "window",
  "rtt",
  "rttvar",
  "ssthresh",
  "cwnd",
  "advmss",
  "reordering",
  "hoplimit",
  "initcwnd",
  "features",
  "rto_min",
  "initrwnd",
  "quickack",
  "congctl",
  "fastopen_no_cookie",
]);

function isMetric(name: string): name is RouteMetric {
  return METRICS.has(name);
}
