import { formatAddress, type Prefix } from "@ha/base";
import { linuxFamily } from "./address-request.ts";
import {
  BodyWriter,
  hostOrder,
  NLM_F_APPEND,
  NLM_F_CREATE,
  NLM_F_EXCLUSIVE,
  NLM_F_REPLACE,
  netlinkPackage,
  RTM,
  readAttributes,
  u32Of,
  zeroTerminated,
} from "./netlink-codec.ts";
import type {
  NetlinkRequest,
  NextHop,
  RouteEncapsulation,
  RouteMetric,
  RouteSpec,
  RouteType,
  RuleSpec,
} from "./network-state.ts";

/** RTPROT_KEEPALIVED: what marks routes and rules as ours. linux/rtnetlink.h. */
export const RTPROT_KEEPALIVED = 18;

const RTA = {
  dst: 1,
  src: 2,
  oif: 4,
  gateway: 5,
  priority: 6,
  prefsrc: 7,
  metrics: 8,
  multipath: 9,
  flow: 11,
  table: 15,
  via: 18,
  pref: 20,
  encapType: 21,
  encap: 22,
  expires: 23,
  ttlPropagate: 26,
} as const;
const RTNH_F_ONLINK = 4;
const RT_TABLE_MAIN = 254;
const RT_TABLE_COMPAT = 252;
const SCOPE = { universe: 0, link: 253, host: 254, nowhere: 255 } as const;
/** The metric of an IPv6 route that names none. */
const IPV6_DEFAULT_METRIC = 1024;

const ROUTE_TYPES: Readonly<Record<RouteType, number>> = {
  unicast: 1,
  local: 2,
  broadcast: 3,
  anycast: 4,
  multicast: 5,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
};

/** RTAX_… by the words of `ip route`, and what a number is multiplied with on its way. */
const METRICS: Readonly<Record<RouteMetric, { readonly type: number; readonly factor: number }>> = {
  mtu: { type: 2, factor: 1 },
  window: { type: 3, factor: 1 },
  rtt: { type: 4, factor: 8 },
  rttvar: { type: 5, factor: 4 },
  ssthresh: { type: 6, factor: 1 },
  cwnd: { type: 7, factor: 1 },
  advmss: { type: 8, factor: 1 },
  reordering: { type: 9, factor: 1 },
  hoplimit: { type: 10, factor: 1 },
  initcwnd: { type: 11, factor: 1 },
  features: { type: 12, factor: 1 },
  rto_min: { type: 13, factor: 1 },
  initrwnd: { type: 14, factor: 1 },
  quickack: { type: 15, factor: 1 },
  congctl: { type: 16, factor: 1 },
  fastopen_no_cookie: { type: 17, factor: 1 },
};
const RTAX_LOCK = 1;

const PREFERENCES = { medium: 0, high: 1, low: 3 } as const;

export function addRoute(spec: RouteSpec): NetlinkRequest {
  const modes = {
    replace: NLM_F_CREATE | NLM_F_REPLACE,
    append: NLM_F_CREATE | NLM_F_APPEND,
    add: NLM_F_CREATE | NLM_F_EXCLUSIVE,
  };
  return {
    what: `add route ${describeRoute(spec)}`,
    type: RTM.newRoute,
    flags: modes[spec.mode ?? "replace"],
    body: routeBody(spec, true),
    fine: ["EEXIST"],
  };
}

export function removeRoute(spec: RouteSpec): NetlinkRequest {
  return {
    what: `remove route ${describeRoute(spec)}`,
    type: RTM.delRoute,
    flags: 0,
    body: routeBody(spec, false),
    // The kernel removes routes by itself when their address or link goes.
    fine: ["ESRCH", "ENODEV", "ENOENT", "ENETUNREACH"],
  };
}

/** What identifies a route in the kernel's tables: equal for a `RouteSpec` and for the event about it. */
export function routeKey(spec: RouteSpec): string {
  return key(
    spec.family,
    spec.table ?? RT_TABLE_MAIN,
    spec.to === undefined ? "default" : formatPrefix(spec.to),
    spec.tos ?? 0,
    spec.metric ?? (spec.family === 6 ? IPV6_DEFAULT_METRIC : 0),
  );
}

/** The key and protocol of a route message's body; undefined when it is none. */
export function readRouteKey(body: Uint8Array): { key: string; protocol: number } | undefined {
  if (body.length < 12) return undefined;
  const family = body[0] === 10 ? 6 : 4;
  const attributes = readAttributes(body.subarray(12));
  const destination = attributes.get(RTA.dst);
  const to =
    destination === undefined || destination.length !== (family === 4 ? 4 : 16)
      ? "default"
      : formatPrefix({
          address: { family, bytes: destination },
          length: body[1] as number,
        });
  const table = u32Of(attributes.get(RTA.table)) ?? (body[4] as number);
  const metric = u32Of(attributes.get(RTA.priority)) ?? 0;
  return { key: key(family, table, to, body[3] as number, metric), protocol: body[5] as number };
}

function key(family: number, table: number, to: string, tos: number, metric: number): string {
  return `${family} table ${table} ${to} tos ${tos} metric ${metric}`;
}

function formatPrefix({ address, length }: Prefix): string {
  return `${formatAddress(address)}/${length}`;
}

function describeRoute(spec: RouteSpec): string {
  const to = spec.to === undefined ? "default" : formatPrefix(spec.to);
  const via = spec.via === undefined ? "" : ` via ${formatAddress(spec.via)}`;
  return `${to}${via} table ${spec.table ?? RT_TABLE_MAIN}`;
}

function routeBody(spec: RouteSpec, adding: boolean): Uint8Array {
  const { rt } = netlinkPackage();
  const table = spec.table ?? RT_TABLE_MAIN;
  const out = new BodyWriter();
  out.struct(
    rt.formatRoute({
      family: linuxFamily(spec.family),
      dstLen: spec.to?.length ?? 0,
      srcLen: spec.from?.length ?? 0,
      tos: spec.tos ?? 0,
      table: table > 255 ? RT_TABLE_COMPAT : table,
      protocol: spec.protocol ?? RTPROT_KEEPALIVED,
      scope: scopeOf(spec, adding),
      type: ROUTE_TYPES[spec.type ?? "unicast"],
      flags: spec.onlink === true ? { __unknown: RTNH_F_ONLINK } : {},
    }),
  );
  if (table > 255) out.u32(RTA.table, table);
  out.bytes(RTA.dst, spec.to?.address.bytes);
  out.bytes(RTA.src, spec.from?.address.bytes);
  out.u32(RTA.priority, spec.metric);
  out.u32(RTA.oif, spec.ifindex);
  if (spec.via !== undefined) gateway(out, spec, spec.via);
  if (!adding) return out.finish();

  out.bytes(RTA.prefsrc, spec.source?.bytes);
  if (spec.nexthops !== undefined && spec.nexthops.length > 0) {
    out.bytes(RTA.multipath, multipath(spec, spec.nexthops));
  }
  encapsulation(out, spec.encap);
  metrics(out, spec);
  out.u32(RTA.flow, spec.realms);
  out.u8(RTA.pref, spec.pref === undefined ? undefined : PREFERENCES[spec.pref]);
  out.u32(RTA.expires, spec.expires);
  out.u8(RTA.ttlPropagate, spec.ttlPropagate === undefined ? undefined : Number(spec.ttlPropagate));
  return out.finish();
}

/** As `ip route` chooses when nothing is said. IPv6 knows no scopes. */
function scopeOf(spec: RouteSpec, adding: boolean): number {
  if (spec.scope !== undefined) return spec.scope;
  if (spec.family === 6) return SCOPE.universe;
  if (!adding) return SCOPE.nowhere;
  const type = spec.type ?? "unicast";
  if (type === "local") return SCOPE.host;
  if (type === "broadcast" || type === "multicast" || type === "anycast") return SCOPE.link;
  const direct = spec.via === undefined && (spec.nexthops ?? []).length === 0;
  return type === "unicast" && direct ? SCOPE.link : SCOPE.universe;
}

/** A gateway of the other family goes into RTA_VIA, with the family in front. */
function gateway(out: BodyWriter, spec: RouteSpec, via: NonNullable<NextHop["via"]>): void {
  if (via.family === spec.family) {
    out.bytes(RTA.gateway, via.bytes);
  } else {
    out.bytes(RTA.via, Uint8Array.from([...hostOrder(2, linuxFamily(via.family)), ...via.bytes]));
  }
}

/** LWTUNNEL_ENCAP_…, and the attributes of each. linux/lwtunnel.h, linux/mpls_iptunnel.h, linux/ila.h. */
const ENCAPSULATIONS = { mpls: 1, ip: 2, ila: 3, ip6: 4 } as const;
const LWTUNNEL_IP = { id: 1, destination: 2, source: 3, ttl: 4, tos: 5, flags: 6 } as const;
const MPLS_IPTUNNEL = { destination: 1, ttl: 2 } as const;
const ILA_ATTR_LOCATOR = 1;

function encapsulation(out: BodyWriter, encap: RouteEncapsulation | undefined): void {
  if (encap === undefined) return;
  out.nested(RTA.encap, (inner) => {
    switch (encap.type) {
      case "ip":
      case "ip6":
        inner.bytes(LWTUNNEL_IP.id, encap.id === undefined ? undefined : bigEndian64(encap.id));
        inner.bytes(LWTUNNEL_IP.destination, encap.destination?.bytes);
        inner.bytes(LWTUNNEL_IP.source, encap.source?.bytes);
        inner.u8(LWTUNNEL_IP.ttl, encap.ttl);
        inner.u8(LWTUNNEL_IP.tos, encap.tos);
        inner.u16(LWTUNNEL_IP.flags, encap.flags);
        return;
      case "mpls":
        inner.bytes(MPLS_IPTUNNEL.destination, labelStack(encap.labels));
        inner.u8(MPLS_IPTUNNEL.ttl, encap.ttl);
        return;
      case "ila":
        inner.bytes(ILA_ATTR_LOCATOR, bigEndian64(encap.locator));
    }
  });
  out.u16(RTA.encapType, ENCAPSULATIONS[encap.type]);
}

function bigEndian64(value: bigint): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, value);
  return bytes;
}

/** RFC 3032 §2.1: 20 bits of label, and a mark on the last one. */
function labelStack(labels: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(4 * labels.length);
  const view = new DataView(bytes.buffer);
  labels.forEach((label, i) => {
    const last = i === labels.length - 1 ? 0x100 : 0;
    view.setUint32(4 * i, ((label << 12) | last) >>> 0);
  });
  return bytes;
}

/** struct rtnexthop and its attributes, one after another. */
function multipath(spec: RouteSpec, hops: readonly NextHop[]): Uint8Array {
  const pieces: number[] = [];
  for (const hop of hops) {
    const inner = new BodyWriter();
    if (hop.via !== undefined) gateway(inner, spec, hop.via);
    encapsulation(inner, hop.encap);
    inner.u32(RTA.flow, hop.realms);
    const attributes = inner.finish();
    pieces.push(
      ...hostOrder(2, 8 + attributes.length),
      hop.onlink === true ? RTNH_F_ONLINK : 0,
      (hop.weight ?? 1) - 1,
      ...hostOrder(4, hop.ifindex ?? 0),
      ...attributes,
      ...new Array<number>(-attributes.length & 3).fill(0),
    );
  }
  return Uint8Array.from(pieces);
}

function metrics(out: BodyWriter, spec: RouteSpec): void {
  const locked = (spec.lockedMetrics ?? []).reduce(
    (bits, name) => bits | (1 << METRICS[name].type),
    0,
  );
  const entries = Object.entries(spec.metrics ?? {}) as [RouteMetric, number | string][];
  if (entries.length === 0 && locked === 0) return;
  out.nested(RTA.metrics, (inner) => {
    if (locked !== 0) inner.u32(RTAX_LOCK, locked);
    for (const [name, value] of entries) {
      const { type, factor } = METRICS[name];
      inner.bytes(
        type,
        typeof value === "string" ? zeroTerminated(value) : hostOrder(4, value * factor),
      );
    }
  });
}

const FRA = {
  dst: 1,
  src: 2,
  iifname: 3,
  goto: 4,
  priority: 6,
  fwmark: 10,
  flow: 11,
  tunId: 12,
  suppressGroup: 13,
  suppressPrefixLength: 14,
  table: 15,
  fwmask: 16,
  oifname: 17,
  l3mdev: 19,
  uidRange: 20,
  protocol: 21,
  ipProto: 22,
  sport: 23,
  dport: 24,
} as const;
const FIB_RULE_INVERT = 2;
const ACTION = { table: 1, goto: 2, nop: 3, blackhole: 6, unreachable: 7, prohibit: 8 } as const;

export function addRule(spec: RuleSpec): NetlinkRequest {
  return {
    what: `add rule ${ruleKey(spec)}`,
    type: RTM.newRule,
    flags: NLM_F_CREATE | NLM_F_EXCLUSIVE,
    body: ruleBody(spec),
    fine: ["EEXIST"],
  };
}

export function removeRule(spec: RuleSpec): NetlinkRequest {
  return {
    what: `remove rule ${ruleKey(spec)}`,
    type: RTM.delRule,
    flags: 0,
    body: ruleBody(spec),
    fine: ["ENOENT", "ESRCH", "ENODEV"],
  };
}

/** What tells our rules apart: equal for a `RuleSpec` and for the event about it. */
export function ruleKey(spec: RuleSpec): string {
  const from = spec.from === undefined ? "all" : formatPrefix(spec.from);
  const to = spec.to === undefined ? "all" : formatPrefix(spec.to);
  const mark = spec.fwmark === undefined ? "" : ` fwmark ${spec.fwmark}`;
  return `${spec.family} ${spec.priority ?? 0}: from ${from} to ${to}${mark} table ${spec.table ?? 0}`;
}

/** The key and protocol of a rule message's body; undefined when it is none. */
export function readRuleKey(body: Uint8Array): { key: string; protocol: number } | undefined {
  if (body.length < 12) return undefined;
  const family = body[0] === 10 ? 6 : 4;
  const attributes = readAttributes(body.subarray(12));
  const prefix = (bytes: Uint8Array | undefined, length: number): Prefix | undefined =>
    bytes?.length === (family === 4 ? 4 : 16) ? { address: { family, bytes }, length } : undefined;
  const from = prefix(attributes.get(FRA.src), body[2] as number);
  const to = prefix(attributes.get(FRA.dst), body[1] as number);
  const fwmark = u32Of(attributes.get(FRA.fwmark));
  const table = u32Of(attributes.get(FRA.table)) ?? (body[4] as number);
  const spec: RuleSpec = {
    family,
    priority: u32Of(attributes.get(FRA.priority)) ?? 0,
    table,
    ...(from === undefined ? {} : { from }),
    ...(to === undefined ? {} : { to }),
    ...(fwmark === undefined ? {} : { fwmark }),
  };
  return { key: ruleKey(spec), protocol: attributes.get(FRA.protocol)?.[0] ?? 0 };
}

function ruleBody(spec: RuleSpec): Uint8Array {
  const { rt } = netlinkPackage();
  const table = spec.table ?? 0;
  const action =
    spec.goto !== undefined
      ? ACTION.goto
      : spec.type === undefined
        ? ACTION.table
        : ACTION[spec.type];
  const out = new BodyWriter();
  out.struct(
    rt.formatRule({
      family: linuxFamily(spec.family),
      dstLen: spec.to?.length ?? 0,
      srcLen: spec.from?.length ?? 0,
      tos: spec.tos ?? 0,
      table: table > 255 ? 0 : table,
      action,
      flags: spec.not === true ? { __unknown: FIB_RULE_INVERT } : {},
    }),
  );
  if (table > 255) out.u32(FRA.table, table);
  out.bytes(FRA.dst, spec.to?.address.bytes);
  out.bytes(FRA.src, spec.from?.address.bytes);
  out.text(FRA.iifname, spec.iif);
  out.text(FRA.oifname, spec.oif);
  out.u32(FRA.priority, spec.priority);
  out.u32(FRA.goto, spec.goto);
  out.u32(FRA.fwmark, spec.fwmark);
  out.u32(FRA.fwmask, spec.fwmask);
  out.u32(FRA.flow, spec.realms);
  out.u32(FRA.suppressPrefixLength, spec.suppressPrefixLength);
  out.u32(FRA.suppressGroup, spec.suppressGroup);
  if (spec.uidRange !== undefined) {
    const { start, end } = spec.uidRange;
    out.bytes(FRA.uidRange, Uint8Array.from([...hostOrder(4, start), ...hostOrder(4, end)]));
  }
  for (const [type, range] of [
    [FRA.sport, spec.sport],
    [FRA.dport, spec.dport],
  ] as const) {
    if (range === undefined) continue;
    out.bytes(type, Uint8Array.from([...hostOrder(2, range.start), ...hostOrder(2, range.end)]));
  }
  out.u8(FRA.ipProto, spec.ipproto);
  out.u8(FRA.l3mdev, spec.l3mdev === true ? 1 : undefined);
  if (spec.tunnelId !== undefined) {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, spec.tunnelId);
    out.bytes(FRA.tunId, bytes);
  }
  out.u8(FRA.protocol, spec.protocol ?? RTPROT_KEEPALIVED);
  return out.finish();
}
