import type { Clock, IpAddress, Micros } from "@ha/base";
import type { AdvertKind } from "./machine.ts";
import type { Report } from "./report.ts";

/** All that a virtual router can do to the world. Linux in the daemon, `testing/` in the simulator. */
export interface Ports {
  readonly clock: Clock;
  /** Wall clock, microseconds since 1970 UTC: for the HMAC trailer only, never for timers. */
  readonly utc: () => Micros;
  /** Sends one advert. It must not throw and must not wait; what the kernel refused is the transport's to report. */
  readonly send: (packet: OutgoingPacket) => void;
  readonly addresses: AddressPort;
  /**
   * Hands over every packet that has already arrived (through `VirtualRouter.receive`), then calls `then`: at once, or in
   * a later turn. A down timer is judged only after it, so that a stalled loop does not mistake itself for a dead master.
   */
  readonly drain: (then: () => void) => void;
  /** Asks whether the witness answers. Needed for `Conduct.witness` only. An answer that comes too late is ignored. */
  readonly witness?: (answer: (reachable: boolean) => void) => void;
  readonly digests: Digests;
  /** Told what happened, in order. The daemon makes log lines, notifies and journal entries of it. */
  readonly report: (report: Report) => void;
}

export interface AddressPort {
  /** Puts in place every address, route and rule of the instance that is missing. Idempotent. */
  add(): void;
  /** Takes all of them away. Idempotent. */
  remove(): void;
  /** Gratuitous ARP and unsolicited neighbour advertisements: `repeat` of each address. */
  announce(repeat: number): void;
  /** Forgets announcements that are queued and not yet sent: a loser must not speak after the winner. */
  stopAnnouncing(): void;
}

/** Keyed digests: the core has no cryptography of its own. `node:crypto` in the daemon. */
export interface Digests {
  /** HMAC-SHA256 over `data`: 32 bytes. */
  readonly hmacSha256: (key: Uint8Array, data: Uint8Array) => Uint8Array;
  /** HMAC-MD5 over `data`: 16 bytes. */
  readonly hmacMd5: (key: Uint8Array, data: Uint8Array) => Uint8Array;
}

/** What goes after the IP header, which the transport writes. The bytes are reused: copy what must outlive the call. */
export interface OutgoingPacket {
  /** `regular` is one of the timer's: where a beacon thread sends those, the transport lets it pass. */
  readonly kind: AdvertKind;
  /** 112, or 51 when `bytes` begin with an AH header. */
  readonly protocol: number;
  readonly from: IpAddress;
  readonly to: IpAddress;
  /** TTL or hop limit: 255, or `unicast_ttl`. */
  readonly ttl: number;
  /**
   * What the IPv4 header must hold when AH signs it; undefined otherwise. `ttl` is signed as well
   * (observed: keepalived 2.4.3); type of service and checksum are not; the flags must be zero and the header has no options.
   */
  readonly identification: number | undefined;
  readonly bytes: Uint8Array;
}

/** One packet as it came. The core copies what it keeps. */
export interface IncomingPacket {
  /** 112 or 51. */
  readonly protocol: number;
  readonly from: IpAddress;
  readonly to: IpAddress;
  /** TTL or hop limit. Undefined when the transport cannot tell, which counts as 255. */
  readonly ttl: number | undefined;
  /** IPv4 identification; AH needs it. */
  readonly identification: number | undefined;
  /** How long it lay in the kernel before it was handed over: a down timer counts from its arrival. 0 when absent. */
  readonly waited?: Micros;
  /** After the IP header (and its options): the advert, or the AH header. */
  readonly bytes: Uint8Array;
}
