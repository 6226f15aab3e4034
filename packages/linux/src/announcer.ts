import type { IpAddress } from "@ha/base";
import type { SystemError } from "./system-error.ts";
import type { InterfaceRef } from "./vrrp-transport.ts";

/** One ARP message for IPv4 over Ethernet, as heard. RFC 826. */
export interface ArpMessage {
  readonly operation: "request" | "reply";
  readonly senderMac: Uint8Array;
  readonly senderAddress: IpAddress;
  readonly targetMac: Uint8Array;
  readonly targetAddress: IpAddress;
  /** Source of the Ethernet frame, which a liar may have chosen differently. */
  readonly frameSource: Uint8Array;
}

/** One neighbour advertisement as heard, hop limit 255 and checksum verified. RFC 4861 §4.4, §7.1.2. */
export interface NeighbourAdvertisement {
  readonly target: IpAddress;
  readonly source: IpAddress;
  /** From the target link-layer address option; undefined when it is missing. */
  readonly mac: Uint8Array | undefined;
  readonly solicited: boolean;
  readonly override: boolean;
  readonly frameSource: Uint8Array;
}

export interface AnnouncerOptions {
  readonly interface: InterfaceRef;
  /** Hear ARP. Our own transmissions are never heard. */
  readonly onArp?: (message: ArpMessage) => void;
  /** Hear neighbour advertisements. */
  readonly onNeighbour?: (message: NeighbourAdvertisement) => void;
  /** Only messages about these addresses are of interest (a kernel filter); undefined: all. Replaceable by `watch`. */
  readonly addresses?: readonly IpAddress[];
  readonly onError: (error: SystemError) => void;
}

/**
 * ARP and neighbour discovery on one interface, by Ethernet frames of our own (AF_PACKET).
 * Sending is synchronous; each method returns what the system said.
 */
export interface Announcer {
  readonly interface: InterfaceRef;
  readonly closed: boolean;
  /**
   * Announces an IPv4 address as keepalived does: a broadcast ARP request whose sender and target are the address.
   * `mac`: 6 bytes, both frame source and sender; the interface's own, or the virtual one with `use_vmac`.
   */
  gratuitousArp(address: IpAddress, mac: Uint8Array): SystemError | undefined;
  /** Announces an IPv6 address: an advertisement to all nodes, override set. RFC 4861 §7.2.6. */
  unsolicitedAdvertisement(
    address: IpAddress,
    mac: Uint8Array,
    flags: { readonly router: boolean },
  ): SystemError | undefined;
  /** Either of the two above, by the address's family. */
  announce(address: IpAddress, mac: Uint8Array): SystemError | undefined;
  /**
   * Asks who has `target`. `source`: an address of ours, or unspecified (0.0.0.0, `::`) for a probe that changes
   * no neighbour's cache (RFC 5227 §2.1.1). Answers come by `onArp` or `onNeighbour`.
   */
  ask(
    target: IpAddress,
    from: { readonly source: IpAddress; readonly mac: Uint8Array },
  ): SystemError | undefined;
  /** Replaces the addresses that are listened for. */
  watch(addresses: readonly IpAddress[] | undefined): SystemError | undefined;
  /** Reads what waits, at most `limit` frames (256). */
  drain(limit?: number): number;
  close(): void;
}
