import type { Family, IpAddress, Micros } from "@ha/base";
import type { SystemError } from "./system-error.ts";

/** Protocol numbers in the IP header. RFC 9568 §5.1.1.4; RFC 4302 §2. */
export const IPPROTO_VRRP = 112;
export const IPPROTO_AH = 51;

/** An interface as the kernel knows it at the moment. A device made anew has a new index. */
export interface InterfaceRef {
  readonly name: string;
  readonly index: number;
}

/** One packet of protocol 112 or 51, as it came. `payload` is a copy and may be kept. */
export interface ReceivedPacket {
  readonly family: Family;
  readonly protocol: typeof IPPROTO_VRRP | typeof IPPROTO_AH;
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** TTL or hop limit, 0–255. */
  readonly ttl: number;
  /** The interface it came in by; 0 where the kernel does not tell. */
  readonly ifindex: number;
  /** IPv4 identification, which AH signs; undefined for IPv6. */
  readonly identification: number | undefined;
  /** How long it lay in the kernel before we read it, by the kernel's own stamp; 0 where that is unknown or not to be believed. */
  readonly waited: Micros;
  /** What follows the IP header: the advert, with AH before it under protocol 51. */
  readonly payload: Uint8Array;
}

/** What to write round a payload. */
export interface SendOptions {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  /** TTL or hop limit, 0–255; 255. */
  readonly ttl?: number;
  /** 112, or 51 when the payload begins with an AH header; 112. */
  readonly protocol?: typeof IPPROTO_VRRP | typeof IPPROTO_AH;
  /** IPv4 identification, 1–65535; 0 lets the kernel choose. AH covers it, so AH must choose. 0. */
  readonly identification?: number;
}

export interface VrrpSocketOptions {
  readonly family: Family;
  /** The device to send and receive by. Undefined only for unicast without an interface. */
  readonly interface: InterfaceRef | undefined;
  /** Multicast groups to join on the interface, as `vrrp_mcast_group4`. None. */
  readonly groups?: readonly IpAddress[];
  /** Receive protocol 51 (IPv4 only) as well as 112. False. */
  readonly authenticationHeader?: boolean;
  /** SO_RCVBUF in bytes, as `vrrp_rx_bufs_policy` says; the kernel's default. */
  readonly receiveBufferBytes?: number;
  /** What the kernel already refuses; without one, every packet of the protocol comes through. */
  readonly filter?: KernelFilter;
  /** Called for each packet, never twice at a time. Must not throw: what it throws goes to `onError`. */
  readonly onPacket: (packet: ReceivedPacket) => void;
  /** The socket works on, unless `socket.closed` says otherwise. */
  readonly onError: (error: SystemError) => void;
}

/**
 * The sockets of one interface and one family, shared by all virtual routers there.
 * Everything is synchronous: an advert is on its way when `send` returns.
 */
export interface VrrpSocket {
  readonly options: VrrpSocketOptions;
  readonly closed: boolean;
  /** Which doors are in use, for the log at start: `raw-socket with eBPF filter`. */
  readonly description: string;
  /** Builds the IP header and sends. Returns what the system said, e.g. `ENETUNREACH` while the link is down. */
  send(payload: Uint8Array, options: SendOptions): SystemError | undefined;
  /** Sends a packet that begins with its IP header (IPv4 checksum filled by the kernel), as `ipPacket` makes them. */
  sendPacket(packet: Uint8Array): SystemError | undefined;
  /**
   * Reads what waits in the kernel at this moment, at most `limit` packets (1,024), and hands each to `onPacket`.
   * For use before a timer is judged: a process that was late must hear before it decides. Returns the number read.
   */
  drain(limit?: number): number;
  /** Joins a further group. */
  join(group: IpAddress): SystemError | undefined;
  leave(group: IpAddress): SystemError | undefined;
  /** Exchanges the filter without losing a packet; undefined admits all. Counts go on. */
  setFilter(filter: KernelFilter | undefined): SystemError | undefined;
  /** How often the kernel refused packets since the socket was opened; costs a few system calls. */
  rejected(): RejectedCounts;
  /**
   * Opens everything anew on the device that now has this index (it was deleted and created again), with
   * groups and filter as before.
   */
  reopen(device: InterfaceRef): SystemError | undefined;
  close(): void;
}

/** `open` of both adapters: the kernel's, and the one that a simulation brings. */
export interface VrrpTransport {
  /** Throws `SystemError` (`EPERM`, `ENODEV` …). */
  open(options: VrrpSocketOptions): VrrpSocket;
}

/**
 * What the kernel needs to know to refuse bogus adverts before they cost us anything. It refuses only what
 * the core would refuse as well; what it cannot judge (HMAC, AH digests, adverts longer than 256 bytes for the
 * checksum) it lets through. Packets whose own source is one of `ownAddresses` are refused as `own-source`.
 */
export interface KernelFilter {
  readonly routers: readonly FilterRouter[];
  readonly ownAddresses: readonly IpAddress[];
}

export interface FilterRouter {
  /** 1–255, once in a filter. */
  readonly vrid: number;
  readonly version: 2 | 3;
  /** Bounds on TTL or hop limit, inclusive. RFC 9568 §7.1: 255 to 255 for multicast. */
  readonly minTtl: number;
  readonly maxTtl: number;
  /** Admit only these sources (`check_unicast_src`); undefined admits any. */
  readonly sources?: readonly IpAddress[];
  /**
   * Version 2's authentication. `any`: not judged here. `none`: type 0. `ah`: type 2, only under protocol 51.
   * PASS carries the 8 bytes, padded with zeros.
   */
  readonly authentication: "any" | "none" | "ah" | { readonly pass: Uint8Array };
  /**
   * Which sums are right, each tried in turn; empty: not judged. `plain`: over the advert. `pseudo`: with the
   * pseudo-header of source and destination. An address: with that in the destination's place, as old
   * keepalived sums unicast adverts. Version 2 knows `plain` only.
   */
  readonly checksums: readonly ("plain" | "pseudo" | IpAddress)[];
}

/** Why the kernel refused a packet. `other` counts what is too broken to say more. */
export type RejectReason = (typeof REJECT_REASONS)[number];

/** In the order in which the filter tests; a packet counts for the first that applies. */
export const REJECT_REASONS = [
  "too-short",
  "own-source",
  "vrid",
  "ttl",
  "version",
  "type",
  "length",
  "auth-type",
  "auth-data",
  "source",
  "checksum",
  "other",
] as const;

export interface RejectedCounts {
  /** False where the kernel refuses eBPF and a classic filter, which cannot count, does the work. */
  readonly counted: boolean;
  /** Since the socket was opened, by reason; reasons that never applied are absent. */
  readonly total: ReadonlyMap<RejectReason, number>;
  /** The senders seen lately (at most 1,024; a flood with forged sources pushes older ones out). */
  readonly bySender: readonly RejectedSender[];
}

export interface RejectedSender {
  readonly source: IpAddress;
  readonly vrid: number;
  readonly reason: RejectReason;
  readonly count: number;
}
