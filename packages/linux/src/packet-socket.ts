import {
  type IpAddress,
  internetChecksum,
  isUnspecified,
  readAddress,
  sameAddress,
} from "@ha/base";
import type {
  Announcer,
  AnnouncerOptions,
  ArpMessage,
  NeighbourAdvertisement,
} from "./announcer.ts";
import {
  type Classic,
  encodeClassic,
  instruction,
  LD_B,
  RETURN_ALL,
  RETURN_NOTHING,
  whenAddress,
  whenNotEqual,
} from "./classic-bpf.ts";
import { AF_PACKET, packetSocketAddress, SOCK_RAW, SOL_PACKET } from "./kernel-address.ts";
import { createBatch, EAGAIN, EINTR, messageOf, SocketDoor } from "./socket-door.ts";
import {
  SystemError as Refusal,
  type SystemError,
  systemError,
  wrapError,
} from "./system-error.ts";
import type { InterfaceRef } from "./vrrp-transport.ts";

/** Opens ARP and neighbour discovery on an Ethernet interface. Throws `SystemError`. */
export function openPacketSocket(options: AnnouncerOptions): Announcer {
  return new PacketSocket(options);
}

const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;
const ETHERNET_SIZE = 14;
const PACKET_IGNORE_OUTGOING = 23;
const ARP_SIZE = 28;
const ARP_REQUEST = 1;
const ARP_REPLY = 2;
const ICMPV6 = 58;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const SOURCE_LINK_ADDRESS = 1;
const TARGET_LINK_ADDRESS = 2;
const FLAG_ROUTER = 0x80;
const FLAG_SOLICITED = 0x40;
const FLAG_OVERRIDE = 0x20;
const DRAIN_LIMIT = 256;
const BROADCAST = new Uint8Array(6).fill(0xff);
const ALL_NODES = Uint8Array.from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
const UNKNOWN_MAC = new Uint8Array(6);

class PacketSocket implements Announcer {
  readonly #options: AnnouncerOptions;
  readonly #sender: SocketDoor;
  readonly #batch = createBatch(16, 2_048);
  #listeners: { readonly ethertype: number; readonly socket: SocketDoor }[] = [];
  #closed = false;
  #reading = false;

  constructor(options: AnnouncerOptions) {
    this.#options = options;
    // Protocol 0: a socket that is given no frames.
    this.#sender = SocketDoor.open("open a packet socket", {
      domain: AF_PACKET,
      type: SOCK_RAW,
      protocol: 0,
    });
    try {
      if (options.onArp !== undefined) this.#listen(ETHERTYPE_ARP);
      if (options.onNeighbour !== undefined) this.#listen(ETHERTYPE_IPV6);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get interface(): InterfaceRef {
    return this.#options.interface;
  }

  get closed(): boolean {
    return this.#closed;
  }

  gratuitousArp(address: IpAddress, mac: Uint8Array): SystemError | undefined {
    const target = { mac: BROADCAST, address: address.bytes };
    const body = arpRequest({ mac, address: address.bytes }, target);
    return this.#send(ETHERTYPE_ARP, BROADCAST, mac, body);
  }

  unsolicitedAdvertisement(
    address: IpAddress,
    mac: Uint8Array,
    flags: { readonly router: boolean },
  ): SystemError | undefined {
    const bytes = new Uint8Array(32);
    bytes[0] = ADVERTISEMENT;
    bytes[4] = FLAG_OVERRIDE | (flags.router ? FLAG_ROUTER : 0);
    bytes.set(address.bytes, 8);
    bytes.set([TARGET_LINK_ADDRESS, 1], 24);
    bytes.set(mac, 26);
    const packet = icmpPacket(address.bytes, ALL_NODES, bytes);
    return this.#send(ETHERTYPE_IPV6, multicastMac(ALL_NODES), mac, packet);
  }

  announce(address: IpAddress, mac: Uint8Array): SystemError | undefined {
    return address.family === 4
      ? this.gratuitousArp(address, mac)
      : this.unsolicitedAdvertisement(address, mac, { router: false });
  }

  ask(
    target: IpAddress,
    from: { readonly source: IpAddress; readonly mac: Uint8Array },
  ): SystemError | undefined {
    const { source, mac } = from;
    if (target.family === 4) {
      const wanted = { mac: UNKNOWN_MAC, address: target.bytes };
      const body = arpRequest({ mac, address: source.bytes }, wanted);
      return this.#send(ETHERTYPE_ARP, BROADCAST, mac, body);
    }
    const group = solicitedNodes(target.bytes);
    // A probe from the unspecified address carries no link-layer address. RFC 4861 §4.3.
    const bytes = new Uint8Array(isUnspecified(source) ? 24 : 32);
    bytes[0] = SOLICITATION;
    bytes.set(target.bytes, 8);
    if (bytes.length === 32) {
      bytes.set([SOURCE_LINK_ADDRESS, 1], 24);
      bytes.set(mac, 26);
    }
    const packet = icmpPacket(source.bytes, group, bytes);
    return this.#send(ETHERTYPE_IPV6, multicastMac(group), mac, packet);
  }

  watch(addresses: readonly IpAddress[] | undefined): SystemError | undefined {
    for (const { ethertype, socket } of this.#listeners) {
      const result = socket.attachFilter(filterOf(ethertype, addresses));
      if (result < 0) return systemError("filter ARP and neighbour discovery", result);
    }
    return undefined;
  }

  drain(limit = DRAIN_LIMIT): number {
    let total = 0;
    for (const { ethertype, socket } of this.#listeners) {
      while (total < limit && !this.#closed) {
        const count = this.#read(ethertype, socket);
        if (count === 0) break;
        total += count;
      }
    }
    return total;
  }

  close(): void {
    this.#closed = true;
    this.#sender.close();
    for (const { socket } of this.#listeners) socket.close();
    this.#listeners = [];
  }

  #listen(ethertype: number): void {
    // No frames before the filter and the interface are set.
    const kind = { domain: AF_PACKET, type: SOCK_RAW, protocol: 0 };
    const socket = SocketDoor.open("open a packet socket", kind);
    this.#listeners.push({ ethertype, socket });
    const { name, index } = this.#options.interface;
    socket.setOption("ignore our own frames", SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
    const result = socket.attachFilter(filterOf(ethertype, this.#options.addresses));
    if (result < 0) throw systemError("filter ARP and neighbour discovery", result);
    const address = packetSocketAddress({ protocol: ethertype, ifindex: index });
    socket.bind(`listen to frames on ${name}`, address);
    socket.watch(() => {
      this.#read(ethertype, socket);
    });
  }

  #read(ethertype: number, socket: SocketDoor): number {
    if (this.#reading) return 0;
    this.#reading = true;
    try {
      const count = socket.receive(this.#batch);
      if (count === -EAGAIN || count === -EINTR) return 0;
      if (count < 0) {
        this.#options.onError(systemError("receive frames", count));
        return 0;
      }
      for (let i = 0; i < count && !this.#closed; i++) {
        this.#take(ethertype, messageOf(this.#batch, i).data.slice());
      }
      return count;
    } finally {
      this.#reading = false;
    }
  }

  #take(ethertype: number, frame: Uint8Array): void {
    try {
      if (ethertype === ETHERTYPE_ARP) {
        const message = readArp(frame);
        if (message !== undefined) this.#options.onArp?.(message);
      } else {
        const message = readAdvertisement(frame);
        if (message !== undefined) this.#options.onNeighbour?.(message);
      }
    } catch (error) {
      this.#options.onError(wrapError("handle a frame", error));
    }
  }

  #send(
    ethertype: number,
    to: Uint8Array,
    from: Uint8Array,
    body: Uint8Array,
  ): SystemError | undefined {
    if (this.#closed) return new Refusal("send a frame", "EBADF", { detail: "socket is closed" });
    const frame = new Uint8Array(ETHERNET_SIZE + body.length);
    frame.set(to);
    frame.set(from, 6);
    new DataView(frame.buffer).setUint16(12, ethertype);
    frame.set(body, ETHERNET_SIZE);
    const { name, index } = this.#options.interface;
    const address = packetSocketAddress({ protocol: ethertype, ifindex: index, mac: to });
    const result = this.#sender.send(frame, address);
    return result < 0 ? systemError(`send a frame by ${name}`, result) : undefined;
  }
}

/** One end of an ARP message. */
interface ArpEnd {
  readonly mac: Uint8Array;
  readonly address: Uint8Array;
}

/**
 * RFC 826 for IPv4 over Ethernet.
 *
 *     0 hardware 1 | protocol 0x0800 | 6 | 4 | operation | sender MAC, address | target MAC, address   28
 */
function arpRequest(sender: ArpEnd, target: ArpEnd): Uint8Array {
  const bytes = new Uint8Array(ARP_SIZE);
  bytes.set([0, 1, 0x08, 0x00, 6, 4, 0, ARP_REQUEST]);
  bytes.set(sender.mac, 8);
  bytes.set(sender.address, 14);
  bytes.set(target.mac, 18);
  bytes.set(target.address, 24);
  return bytes;
}

/** Undefined for anything but ARP of IPv4 over Ethernet. Never throws. */
export function readArp(frame: Uint8Array): ArpMessage | undefined {
  if (frame.length < ETHERNET_SIZE + ARP_SIZE) return undefined;
  const arp = frame.subarray(ETHERNET_SIZE);
  const expected = [0, 1, 0x08, 0x00, 6, 4, 0];
  if (!expected.every((byte, i) => arp[i] === byte)) return undefined;
  if (arp[7] !== ARP_REQUEST && arp[7] !== ARP_REPLY) return undefined;
  return {
    operation: arp[7] === ARP_REQUEST ? "request" : "reply",
    senderMac: arp.slice(8, 14),
    senderAddress: readAddress(arp, 14, 4),
    targetMac: arp.slice(18, 24),
    targetAddress: readAddress(arp, 24, 4),
    frameSource: frame.slice(6, 12),
  };
}

/** Undefined for anything but a valid neighbour advertisement (RFC 4861 §7.1.2). Never throws. */
export function readAdvertisement(frame: Uint8Array): NeighbourAdvertisement | undefined {
  const packet = frame.subarray(ETHERNET_SIZE);
  if (packet.length < 64 || packet[6] !== ICMPV6 || packet[7] !== 255) return undefined;
  const length = ((packet[4] as number) << 8) | (packet[5] as number);
  if (length < 24 || 40 + length > packet.length) return undefined;
  const icmp = packet.subarray(40, 40 + length);
  if (icmp[0] !== ADVERTISEMENT || icmp[1] !== 0) return undefined;
  const source = packet.subarray(8, 24);
  if (internetChecksum(pseudoHeader(source, packet.subarray(24, 40), length), icmp) !== 0) {
    return undefined;
  }
  const flags = icmp[4] as number;
  return {
    target: readAddress(icmp, 8, 6),
    source: readAddress(packet, 8, 6),
    mac: targetLinkAddress(icmp),
    solicited: (flags & FLAG_SOLICITED) !== 0,
    override: (flags & FLAG_OVERRIDE) !== 0,
    frameSource: frame.slice(6, 12),
  };
}

function targetLinkAddress(icmp: Uint8Array): Uint8Array | undefined {
  let at = 24;
  while (at + 8 <= icmp.length) {
    const units = icmp[at + 1] as number;
    if (units === 0) return undefined;
    if (icmp[at] === TARGET_LINK_ADDRESS) return icmp.slice(at + 2, at + 8);
    at += 8 * units;
  }
  return undefined;
}

function icmpPacket(source: Uint8Array, destination: Uint8Array, icmp: Uint8Array): Uint8Array {
  const sum = internetChecksum(pseudoHeader(source, destination, icmp.length), icmp);
  new DataView(icmp.buffer).setUint16(2, sum);
  const packet = new Uint8Array(40 + icmp.length);
  packet.set([0x60, 0, 0, 0, 0, icmp.length, ICMPV6, 255]);
  packet.set(source, 8);
  packet.set(destination, 24);
  packet.set(icmp, 40);
  return packet;
}

/** RFC 8200 §8.1. */
function pseudoHeader(source: Uint8Array, destination: Uint8Array, length: number): Uint8Array {
  const bytes = new Uint8Array(40);
  bytes.set(source);
  bytes.set(destination, 16);
  new DataView(bytes.buffer).setUint32(32, length);
  bytes[39] = ICMPV6;
  return bytes;
}

/** 33:33 and the last four bytes. RFC 2464 §7. */
function multicastMac(group: Uint8Array): Uint8Array {
  return Uint8Array.from([0x33, 0x33, ...group.subarray(12)]);
}

/** ff02::1:ff and the last three bytes. RFC 4291 §2.7.1. */
function solicitedNodes(target: Uint8Array): Uint8Array {
  const group = new Uint8Array(16);
  group.set([0xff, 0x02]);
  group.set([1, 0xff, ...target.subarray(13)], 11);
  return group;
}

/** ARP whose sender, or neighbour advertisements whose target, is one of the addresses. */
function filterOf(ethertype: number, addresses: readonly IpAddress[] | undefined): Uint8Array {
  const arp = ethertype === ETHERTYPE_ARP;
  const program: Classic[] = [];
  if (!arp) {
    for (const [at, value] of [
      [ETHERNET_SIZE + 6, ICMPV6],
      [ETHERNET_SIZE + 40, ADVERTISEMENT],
    ] as const) {
      program.push(instruction(LD_B, at), ...whenNotEqual(value, [RETURN_NOTHING]));
    }
  }
  if (addresses === undefined) return encodeClassic([...program, RETURN_ALL]);
  const at = ETHERNET_SIZE + (arp ? 14 : 48);
  const family = arp ? 4 : 6;
  const wanted = addresses.filter((address, i) => {
    const first = addresses.findIndex((other) => sameAddress(other, address));
    return address.family === family && first === i;
  });
  for (const address of wanted) program.push(...whenAddress(address, at, [RETURN_ALL]));
  return encodeClassic([...program, RETURN_NOTHING]);
}
