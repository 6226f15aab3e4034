import type { Family, IpAddress, Prefix } from "@ha/base";
import type { SystemError } from "./system-error.ts";

/** What is known of a link. A name may change; an index is for life. */
export interface Link {
  readonly index: number;
  readonly name: string;
  /** IFF_UP. */
  readonly up: boolean;
  /** IFF_LOWER_UP: up, and the carrier is there. */
  readonly carrier: boolean;
  /** IFF_RUNNING: operational. keepalived's own test. */
  readonly running: boolean;
  readonly mtu: number;
  /** 6 bytes on Ethernet; may be empty. */
  readonly mac: Uint8Array;
  readonly loopback: boolean;
  readonly multicast: boolean;
  /** The device below (macvlan, vlan), or 0. */
  readonly lowerIndex: number;
  /** The bridge, bond or vrf above, or 0. */
  readonly masterIndex: number;
  /** `macvlan`, `ipvlan`, `vlan`, `veth` …; undefined for plain devices. */
  readonly kind: string | undefined;
  /** Routing table of a `vrf`. */
  readonly vrfTable?: number;
}

/** An address as the kernel reports it. */
export interface InterfaceAddress {
  readonly ifindex: number;
  readonly address: IpAddress;
  readonly prefixLength: number;
  /** The far end of a point-to-point address. */
  readonly peer: IpAddress | undefined;
  readonly label: string | undefined;
  readonly scope: number;
  /** IFA_F_… bits. */
  readonly flags: number;
  /** Seconds; 4294967295 is for ever. */
  readonly validLifetime: number;
  readonly preferredLifetime: number;
  /** IFA_PROTO where the kernel tells (5.18 and later); 0. */
  readonly protocol: number;
}

/** IFA_F_… of linux/if_addr.h. */
export const ADDRESS_FLAGS = {
  secondary: 0x01,
  nodad: 0x02,
  home: 0x10,
  deprecated: 0x20,
  tentative: 0x40,
  dadFailed: 0x08,
  permanent: 0x80,
  mngtmpaddr: 0x100,
  noprefixroute: 0x200,
  autojoin: 0x400,
} as const;

/** An address to add or remove. keepalived.conf(5), virtual_ipaddress; facts of `ip address add`. */
export interface AddressSpec {
  readonly ifindex: number;
  readonly prefix: Prefix;
  /** An address, or `+`/`-` (all host bits one / zero) as `brd` takes; IPv4 only. */
  readonly broadcast?: IpAddress | "+" | "-";
  /** 0–255; 0 (global). Of IPv4. */
  readonly scope?: number;
  /** At most 15 bytes; IPv4 only. */
  readonly label?: string;
  readonly peer?: Prefix;
  readonly home?: boolean;
  /** IPv6: no duplicate address detection. True by default there, as keepalived has it. */
  readonly nodad?: boolean;
  readonly mngtmpaddr?: boolean;
  readonly noprefixroute?: boolean;
  readonly autojoin?: boolean;
  /** Seconds, or for ever when absent. 0 means deprecated: not chosen as a source. */
  readonly preferredLifetime?: number;
  /** Seconds until the kernel removes it by itself, at least 1; for ever when absent. */
  readonly validLifetime?: number;
}

/** One way of a route. */
export interface NextHop {
  readonly via?: IpAddress;
  readonly ifindex?: number;
  /** 1–256; 1. */
  readonly weight?: number;
  readonly onlink?: boolean;
  /** Source << 16 | destination; IPv4. */
  readonly realms?: number;
  readonly encap?: RouteEncapsulation;
}

/** A header that packets of a route get. ip-route(8), encap; linux/lwtunnel.h. */
export type RouteEncapsulation =
  | {
      readonly type: "ip" | "ip6";
      readonly id?: bigint;
      readonly destination?: IpAddress;
      readonly source?: IpAddress;
      /** 0–255. */
      readonly ttl?: number;
      /** 0–255. */
      readonly tos?: number;
      /** TUNNEL_… bits, in network order. */
      readonly flags?: number;
    }
  /** Outermost first, each 0–1048575. */
  | { readonly type: "mpls"; readonly labels: readonly number[]; readonly ttl?: number }
  /** The first half of an address: 64 bits. */
  | { readonly type: "ila"; readonly locator: bigint };

/** RTA_METRICS by the words of `ip route`. Times in milliseconds where the kernel takes them so. */
export type RouteMetric =
  | "mtu"
  | "window"
  | "rtt"
  | "rttvar"
  | "ssthresh"
  | "cwnd"
  | "advmss"
  | "reordering"
  | "hoplimit"
  | "initcwnd"
  | "features"
  | "rto_min"
  | "initrwnd"
  | "quickack"
  | "congctl"
  | "fastopen_no_cookie";

export type RouteType =
  | "unicast"
  | "local"
  | "broadcast"
  | "anycast"
  | "multicast"
  | "blackhole"
  | "unreachable"
  | "prohibit"
  | "throw";

/** A route to add or remove. keepalived.conf(5), virtual_routes; ip-route(8). */
export interface RouteSpec {
  readonly family: Family;
  /** Undefined is the default route. */
  readonly to: Prefix | undefined;
  readonly type?: RouteType;
  readonly from?: Prefix;
  /** The preferred source (`src`). */
  readonly source?: IpAddress;
  readonly via?: IpAddress;
  readonly ifindex?: number;
  readonly nexthops?: readonly NextHop[];
  readonly onlink?: boolean;
  readonly encap?: RouteEncapsulation;
  /** 1–4294967295; 254 (main). */
  readonly table?: number;
  /** `metric`, `priority`, `preference`. */
  readonly metric?: number;
  /** RTPROT; 18 (keepalived). */
  readonly protocol?: number;
  /** 0 global, 200 site, 253 link, 254 host, 255 nowhere; as `ip route` would choose when absent. */
  readonly scope?: number;
  readonly tos?: number;
  /** `congctl` takes a text; the others numbers. */
  readonly metrics?: Partial<Record<RouteMetric, number | string>>;
  /** Metrics that path MTU discovery and the like must not change. */
  readonly lockedMetrics?: readonly RouteMetric[];
  /** IPv6 router preference. */
  readonly pref?: "low" | "medium" | "high";
  /** Seconds; IPv6. */
  readonly expires?: number;
  /** Realms, source << 16 | destination; IPv4. */
  readonly realms?: number;
  readonly ttlPropagate?: boolean;
  /** Replace one that is there (as keepalived: `NLM_F_REPLACE`), or add another beside it; replace. */
  readonly mode?: "replace" | "append" | "add";
}

/** A policy rule. keepalived.conf(5), virtual_rules; ip-rule(8). */
export interface RuleSpec {
  readonly family: Family;
  readonly not?: boolean;
  readonly from?: Prefix;
  readonly to?: Prefix;
  readonly iif?: string;
  readonly oif?: string;
  readonly tos?: number;
  readonly fwmark?: number;
  readonly fwmask?: number;
  readonly table?: number;
  readonly goto?: number;
  readonly type?: "nop" | "blackhole" | "unreachable" | "prohibit";
  readonly priority?: number;
  readonly realms?: number;
  readonly suppressPrefixLength?: number;
  readonly suppressGroup?: number;
  readonly uidRange?: { readonly start: number; readonly end: number };
  readonly sport?: { readonly start: number; readonly end: number };
  readonly dport?: { readonly start: number; readonly end: number };
  readonly ipproto?: number;
  readonly l3mdev?: boolean;
  readonly tunnelId?: bigint;
  /** FRA_PROTOCOL; 18 (keepalived). */
  readonly protocol?: number;
}

/** A macvlan or ipvlan over another device. */
export type VirtualLinkSpec =
  | {
      readonly kind: "macvlan";
      readonly name: string;
      readonly lowerIndex: number;
      /** Private, as keepalived: macvlans of one device do not hear each other. */
      readonly mode?: "private" | "vepa" | "bridge" | "passthru";
      /** 6 bytes: 00:00:5e:00:01:VRID, or 02:VRID for IPv6. */
      readonly mac: Uint8Array;
      /** IFLA_GROUP. */
      readonly group?: number;
    }
  | {
      readonly kind: "ipvlan";
      readonly name: string;
      readonly lowerIndex: number;
      readonly flags?: "bridge" | "private" | "vepa";
      readonly group?: number;
    };

/**
 * A change, ready to be sent: bytes for the kernel, and words for people. `RouteNetlink.apply` sends it; the guard
 * takes the bytes of removals in advance.
 */
export interface NetlinkRequest {
  /** `add address 192.0.2.1/32 to eth0`: the `operation` of the error, if there is one. */
  readonly what: string;
  /** RTM_…. */
  readonly type: number;
  /** NLM_F_… besides REQUEST and ACK. */
  readonly flags: number;
  readonly body: Uint8Array;
  /** Error codes that mean that all is as wished (`EEXIST` on add, `EADDRNOTAVAIL` on remove). */
  readonly fine: readonly string[];
}

export type LinkEvent =
  | { readonly type: "link"; readonly link: Link; readonly previous: Link | undefined }
  | { readonly type: "link-gone"; readonly link: Link };

export type AddressEvent = {
  readonly type: "address" | "address-gone";
  readonly address: InterfaceAddress;
  /**
   * Whether this process asked for it, known from the request's port in the event. Someone else's change has the
   * port number of its sender, usually that program's process id; the kernel's own (lifetime over, link gone) has 0.
   */
  readonly by: { readonly ours: boolean; readonly port: number };
};

/** A route or rule of ours (protocol 18, keepalived) is gone. Only with `watchRoutes`. */
export type RouteEvent = {
  readonly type: "route-gone" | "rule-gone";
  /** Equal to `routeKey` or `ruleKey` of the specification it was made from. */
  readonly key: string;
  readonly by: { readonly ours: boolean; readonly port: number };
};

/** Events were lost (the kernel's ENOBUFS): tables have been read anew, and the differences were told as events. */
export interface ResyncEvent {
  readonly type: "resync";
  readonly reason: string;
}

export type NetworkEvent = LinkEvent | AddressEvent | RouteEvent | ResyncEvent;

/**
 * Links, addresses, routes and rules of this network namespace. The tables are kept up to date by events, so
 * that reading them costs nothing.
 */
export interface NetworkState {
  readonly closed: boolean;
  links(): readonly Link[];
  linkByName(name: string): Link | undefined;
  linkByIndex(index: number): Link | undefined;
  /** Of one interface, or of all. */
  addresses(ifindex?: number): readonly InterfaceAddress[];
  /** Whether any interface has the address. */
  hasAddress(address: IpAddress): boolean;
  /** Performs one change. Resolves to undefined when done (or done already), or to what the kernel said. Never rejects. */
  apply(request: NetlinkRequest): Promise<SystemError | undefined>;
  /** Performs all, in order, in one go; the result has an entry for each request. */
  applyAll(requests: readonly NetlinkRequest[]): Promise<readonly (SystemError | undefined)[]>;
  /** Hears events until the returned function is called. What a listener throws goes to `onError`. */
  listen(listener: (event: NetworkEvent) => void): () => void;
  /** Reads events that wait in the kernel now, so that a decision does not precede what is known. */
  drain(): void;
  /** Reads all tables anew. */
  resync(reason: string): Promise<void>;
  close(): void;
}
