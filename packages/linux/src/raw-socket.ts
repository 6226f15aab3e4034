import { type Family, formatAddress, type IpAddress, readAddress } from "@ha/base";
import { ArrivalAge } from "./arrival-age.ts";
import { classicFilter } from "./classic-filter.ts";
import { FilterCounters } from "./filter-counters.ts";
import { IPV6_HEADER_SIZE, ipPacket, packetEnds, readIpv4 } from "./ip-packet.ts";
import {
  AF_INET,
  AF_INET6,
  controlMessage,
  findControl,
  readIpSocketAddress,
  SO_BINDTODEVICE,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
} from "./kernel-address.ts";
import {
  loadRawSocketPackage,
  openNativeDoor,
  openPackageDoor,
  type PacketDoor,
  type RawHandler,
  type SendingDoor,
} from "./packet-door.ts";
import { int32, LITTLE_ENDIAN } from "./socket-door.ts";
import { SystemError, wrapError } from "./system-error.ts";
import {
  type InterfaceRef,
  IPPROTO_AH,
  IPPROTO_VRRP,
  type KernelFilter,
  type ReceivedPacket,
  type RejectedCounts,
  type RejectReason,
  type SendOptions,
  type VrrpSocket,
  type VrrpSocketOptions,
  type VrrpTransport,
} from "./vrrp-transport.ts";

/**
 * VRRP on Linux. IPv4 is sent through the package `raw-socket`. What it cannot do goes through our own module: IPv6, whose
 * source address is to be chosen and whose hop limit is to be read; and reception of either family, since a takeover is
 * counted from the moment that the kernel took the advert in, which only a control message tells.
 */
export const linuxTransport: VrrpTransport = { open: (options) => openVrrpSocket(options) };

/** Opens the sockets of an interface and a family, without eBPF if that is asked for. Throws `SystemError`. */
export function openVrrpSocket(
  options: VrrpSocketOptions,
  doors: { readonly ebpf: boolean } = { ebpf: true },
): VrrpSocket {
  return new LinuxVrrpSocket(options, doors.ebpf);
}

const IP_TOS = 1;
const IP_HDRINCL = 3;
const IP_MULTICAST_IF = 32;
const IP_MULTICAST_LOOP = 34;
const IP_ADD_MEMBERSHIP = 35;
const IP_DROP_MEMBERSHIP = 36;
const IP_MULTICAST_ALL = 49;
const IPV6_MULTICAST_IF = 17;
const IPV6_MULTICAST_LOOP = 19;
const IPV6_JOIN_GROUP = 20;
const IPV6_LEAVE_GROUP = 21;
const IPV6_MULTICAST_ALL = 29;
const IPV6_RECVPKTINFO = 49;
const IPV6_PKTINFO = 50;
const IPV6_RECVHOPLIMIT = 51;
const IPV6_HOPLIMIT = 52;
const IPV6_TCLASS = 67;
const SO_PRIORITY = 12;
const SO_TIMESTAMPNS = 35;
/** Sends any protocol with a header of ours, and receives nothing. raw(7). */
const IPPROTO_RAW = 255;
const SO_DETACH_FILTER = 27;
const TC_PRIO_CONTROL = 7;
const INTERNETWORK_CONTROL = 0xc0;
const DEFAULT_TTL = 255;
const DRAIN_LIMIT = 1024;

class LinuxVrrpSocket implements VrrpSocket {
  readonly options: VrrpSocketOptions;
  #device: InterfaceRef | undefined;
  #filter: KernelFilter | undefined;
  #groups: IpAddress[];
  #counters: FilterCounters | undefined;
  /** Receivers, one for each protocol. */
  #doors: { readonly protocol: number; readonly door: PacketDoor }[] = [];
  /** Sends; usually the first receiver. */
  #sender: SendingDoor | undefined;
  #closed = false;
  #broken = 0;
  #notes: string[] = [];

  readonly #ages = new ArrivalAge();
  readonly #ebpf: boolean;

  constructor(options: VrrpSocketOptions, ebpf: boolean) {
    this.options = options;
    this.#ebpf = ebpf;
    this.#device = options.interface;
    this.#groups = [...(options.groups ?? [])];
    this.#filter = options.filter;
    try {
      this.#open();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  get closed(): boolean {
    return this.#closed;
  }

  get description(): string {
    return this.#notes.join(", ");
  }

  send(payload: Uint8Array, options: SendOptions): SystemError | undefined {
    const ttl = options.ttl ?? DEFAULT_TTL;
    if (this.options.family === 6) {
      return this.#sendIpv6(payload, { ...options, ttl });
    }
    const header = {
      source: options.source,
      destination: options.destination,
      protocol: options.protocol ?? IPPROTO_VRRP,
      ttl,
      identification: options.identification ?? 0,
    };
    return this.#sendIpv4(ipPacket(header, payload), options.destination);
  }

  sendPacket(packet: Uint8Array): SystemError | undefined {
    const { family, source, destination } = packetEnds(packet);
    if (family === 4) return this.#sendIpv4(packet, destination);
    const ttl = packet[7] as number;
    return this.#sendIpv6(packet.subarray(IPV6_HEADER_SIZE), { source, destination, ttl });
  }

  drain(limit = DRAIN_LIMIT): number {
    let total = 0;
    for (const { door } of this.#doors) {
      if (!this.#closed) total += door.read(limit - total);
    }
    return total;
  }

  join(group: IpAddress): SystemError | undefined {
    this.#groups.push(group);
    return this.#membership(group, true);
  }

  leave(group: IpAddress): SystemError | undefined {
    const text = formatAddress(group);
    this.#groups = this.#groups.filter((known) => formatAddress(known) !== text);
    return this.#membership(group, false);
  }

  setFilter(filter: KernelFilter | undefined): SystemError | undefined {
    if (this.#closed) return closedError("set the filter");
    this.#filter = filter;
    for (const { protocol, door } of this.#doors) {
      const failure = this.#attach(door, protocol);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  rejected(): RejectedCounts {
    const counts = this.#counters?.read() ?? {
      counted: false,
      total: new Map<RejectReason, number>(),
      bySender: [],
    };
    if (this.#broken === 0) return counts;
    const total = new Map(counts.total);
    total.set("other", (total.get("other") ?? 0) + this.#broken);
    return { ...counts, total };
  }

  reopen(device: InterfaceRef): SystemError | undefined {
    if (this.#closed) return closedError("reopen");
    this.#closeDoors();
    this.#device = device;
    try {
      this.#open();
      return undefined;
    } catch (error) {
      this.#closeDoors();
      return wrapError(`reopen the VRRP socket on ${device.name}`, error);
    }
  }

  close(): void {
    this.#closed = true;
    this.#closeDoors();
    this.#counters?.close();
    this.#counters = undefined;
  }

  #closeDoors(): void {
    for (const { door } of this.#doors) door.close();
    this.#sender?.close();
    this.#doors = [];
    this.#sender = undefined;
  }

  #open(): void {
    this.#notes = [];
    if (this.#counters === undefined && this.#ebpf) {
      const counters = FilterCounters.create(this.options.family);
      if (counters instanceof SystemError) {
        this.#notes.push(`no eBPF (${counters.code}): refused adverts are not counted`);
      } else {
        this.#counters = counters;
      }
    }
    const protocols: number[] = [IPPROTO_VRRP];
    if (this.options.authenticationHeader === true && this.options.family === 4) {
      protocols.push(IPPROTO_AH);
    }
    for (const protocol of protocols) {
      const door = this.#openReceiver(protocol);
      this.#doors.push({ protocol, door });
      this.#configure(door, true);
      const failure = this.#attach(door, protocol);
      if (failure !== undefined) throw failure;
      // What came before the options were in place may be from any interface and without filter.
      this.#discard(door);
      door.start();
    }
    this.#openSender();
  }

  #openReceiver(protocol: number): PacketDoor {
    const domain = this.options.family === 6 ? AF_INET6 : AF_INET;
    return openNativeDoor(
      { domain, protocol },
      {
        onRaw: this.#handler(protocol),
        onError: (error: SystemError) => this.options.onError(error),
      },
    );
  }

  #openSender(): void {
    const first = this.#doors[0]?.door;
    const filter = this.#counters === undefined ? "classic filter" : "eBPF filter";
    if (first === undefined) return;
    if (this.options.family === 6) {
      this.#sender = first;
      this.#notes.unshift(`native with ${filter}`);
      return;
    }
    const rawSocket = loadRawSocketPackage();
    if (rawSocket instanceof SystemError) {
      this.#sender = first;
      this.#notes.unshift(`native with ${filter} (${rawSocket.message})`);
      return;
    }
    const sender = openPackageDoor(rawSocket, IPPROTO_RAW, { onError: this.options.onError });
    this.#sender = sender;
    this.#configure(sender, false);
    this.#notes.unshift(`raw-socket to send, native with ${filter} to receive`);
  }

  #configure(door: SendingDoor, receives: boolean): void {
    const device = this.#device;
    if (device !== undefined) {
      const name = new TextEncoder().encode(`${device.name}\0`);
      door.setOption(`bind a socket to ${device.name}`, SOL_SOCKET, SO_BINDTODEVICE, name);
    }
    door.setOption("set the priority", SOL_SOCKET, SO_PRIORITY, int32(TC_PRIO_CONTROL));
    this.#configureBuffer(door, receives);
    if (this.options.family === 4) this.#configureIpv4(door, device);
    else this.#configureIpv6(door, device);
    if (!receives) return;
    door.setOption("stamp what arrives", SOL_SOCKET, SO_TIMESTAMPNS, int32(1));
    for (const group of this.#groups) {
      const failure = this.#join(door, group, true);
      if (failure !== undefined) throw failure;
    }
  }

  #configureBuffer(door: SendingDoor, receives: boolean): void {
    const size = this.options.receiveBufferBytes;
    if (!receives || size === undefined) return;
    try {
      door.setOption("force the receive buffer", SOL_SOCKET, SO_RCVBUFFORCE, int32(size));
    } catch {
      // Without CAP_NET_ADMIN the kernel's limit (rmem_max) holds.
      door.setOption("set the receive buffer", SOL_SOCKET, SO_RCVBUF, int32(size));
    }
  }

  #configureIpv4(door: SendingDoor, device: InterfaceRef | undefined): void {
    door.setOption("write IP headers", SOL_IP, IP_HDRINCL, int32(1));
    door.setOption("set the type of service", SOL_IP, IP_TOS, int32(INTERNETWORK_CONTROL));
    door.setOption("stop multicast loops", SOL_IP, IP_MULTICAST_LOOP, int32(0));
    door.setOption("hear own groups only", SOL_IP, IP_MULTICAST_ALL, int32(0));
    if (device !== undefined) {
      const request = multicastRequest(undefined, device.index);
      door.setOption(`send multicast by ${device.name}`, SOL_IP, IP_MULTICAST_IF, request);
    }
  }

  #configureIpv6(door: SendingDoor, device: InterfaceRef | undefined): void {
    door.setOption("set the traffic class", SOL_IPV6, IPV6_TCLASS, int32(INTERNETWORK_CONTROL));
    door.setOption("stop multicast loops", SOL_IPV6, IPV6_MULTICAST_LOOP, int32(0));
    door.setOption("hear own groups only", SOL_IPV6, IPV6_MULTICAST_ALL, int32(0));
    door.setOption("receive destinations", SOL_IPV6, IPV6_RECVPKTINFO, int32(1));
    door.setOption("receive hop limits", SOL_IPV6, IPV6_RECVHOPLIMIT, int32(1));
    if (device !== undefined) {
      const index = int32(device.index);
      door.setOption(`send multicast by ${device.name}`, SOL_IPV6, IPV6_MULTICAST_IF, index);
    }
  }

  #membership(group: IpAddress, member: boolean): SystemError | undefined {
    if (this.#closed) return closedError("change membership");
    for (const { door } of this.#doors) {
      const failure = this.#join(door, group, member);
      if (failure !== undefined) return failure;
    }
    return undefined;
  }

  #join(door: SendingDoor, group: IpAddress, member: boolean): SystemError | undefined {
    const index = this.#device?.index ?? 0;
    const what = `${member ? "join" : "leave"} ${formatAddress(group)}`;
    try {
      if (group.family === 4) {
        const option = member ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP;
        door.setOption(what, SOL_IP, option, multicastRequest(group, index));
      } else {
        const request = new Uint8Array(20);
        request.set(group.bytes);
        request.set(int32(index), 16);
        door.setOption(what, SOL_IPV6, member ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP, request);
      }
      return undefined;
    } catch (error) {
      const failure = wrapError(what, error);
      // A member already: two virtual routers of one interface share the socket.
      return failure.code === "EADDRINUSE" ? undefined : failure;
    }
  }

  #attach(door: PacketDoor, protocol: number): SystemError | undefined {
    const filter = this.#filter;
    if (filter === undefined) {
      try {
        door.setOption("detach the filter", SOL_SOCKET, SO_DETACH_FILTER, int32(0));
        return undefined;
      } catch (error) {
        const failure = wrapError("detach the filter", error);
        return failure.code === "ENOENT" ? undefined : failure;
      }
    }
    if (this.#counters !== undefined) {
      return this.#counters.withProgram(filter, protocol, (fd) => door.attachProgram(fd));
    }
    const kind = { family: this.options.family, protocol };
    return door.attachClassic(classicFilter(filter, kind));
  }

  /** Empties the queue without looking. */
  #discard(door: PacketDoor): void {
    this.#discarding = true;
    try {
      door.read(DRAIN_LIMIT);
    } finally {
      this.#discarding = false;
    }
  }
  #discarding = false;

  #handler(protocol: number): RawHandler {
    const read = this.options.family === 4 ? this.#readIpv4 : this.#readIpv6;
    return (data, address, control) => {
      if (this.#discarding || this.#closed) return;
      const packet = read.call(this, protocol, data, address, control);
      if (packet === undefined) {
        this.#broken++;
        return;
      }
      try {
        this.options.onPacket(packet);
      } catch (error) {
        this.options.onError(wrapError("handle a packet", error));
      }
    };
  }

  #readIpv4(
    protocol: number,
    data: Uint8Array,
    _address: Uint8Array,
    control: Uint8Array,
  ): ReceivedPacket | undefined {
    const parts = readIpv4(data);
    if (parts === undefined) return undefined;
    return {
      family: 4,
      protocol: protocol === IPPROTO_AH ? IPPROTO_AH : IPPROTO_VRRP,
      source: parts.source,
      destination: parts.destination,
      ttl: parts.ttl,
      ifindex: this.#device?.index ?? 0,
      identification: parts.identification,
      waited: this.#ages.of(control),
      payload: parts.payload.slice(),
    };
  }

  #readIpv6(
    _protocol: number,
    data: Uint8Array,
    address: Uint8Array,
    control: Uint8Array,
  ): ReceivedPacket | undefined {
    const source = readIpSocketAddress(address);
    const info = findControl(control, SOL_IPV6, IPV6_PKTINFO);
    const hops = findControl(control, SOL_IPV6, IPV6_HOPLIMIT);
    if (source === undefined || info === undefined || info.length < 20) return undefined;
    if (hops === undefined || hops.length < 4) return undefined;
    return {
      family: 6,
      protocol: IPPROTO_VRRP,
      source,
      destination: readAddress(info, 0, 6),
      ttl: new DataView(hops.buffer, hops.byteOffset).getInt32(0, LITTLE_ENDIAN),
      ifindex: new DataView(info.buffer, info.byteOffset).getInt32(16, LITTLE_ENDIAN),
      identification: undefined,
      waited: this.#ages.of(control),
      payload: data.slice(),
    };
  }

  #sendIpv4(packet: Uint8Array, destination: IpAddress): SystemError | undefined {
    if (this.#sender === undefined) return closedError("send");
    return (
      familyMismatch(this.options.family, destination) ?? this.#sender.send(packet, destination)
    );
  }

  #sendIpv6(
    payload: Uint8Array,
    options: { readonly source: IpAddress; readonly destination: IpAddress; readonly ttl: number },
  ): SystemError | undefined {
    if (this.#sender === undefined) return closedError("send");
    const mismatch = familyMismatch(this.options.family, options.destination);
    if (mismatch !== undefined) return mismatch;
    const info = new Uint8Array(20);
    info.set(options.source.bytes);
    info.set(int32(this.#device?.index ?? 0), 16);
    const source = controlMessage(SOL_IPV6, IPV6_PKTINFO, info);
    const hops = controlMessage(SOL_IPV6, IPV6_HOPLIMIT, int32(options.ttl));
    const control = new Uint8Array(source.length + hops.length);
    control.set(source);
    control.set(hops, source.length);
    return this.#sender.send(payload, options.destination, control);
  }
}

/** struct ip_mreqn. */
function multicastRequest(group: IpAddress | undefined, ifindex: number): Uint8Array {
  const bytes = new Uint8Array(12);
  if (group !== undefined) bytes.set(group.bytes);
  bytes.set(int32(ifindex), 8);
  return bytes;
}

function familyMismatch(family: Family, destination: IpAddress): SystemError | undefined {
  if (destination.family === family) return undefined;
  return new SystemError(`send to ${formatAddress(destination)}`, "EAFNOSUPPORT");
}

function closedError(operation: string): SystemError {
  return new SystemError(operation, "EBADF", { detail: "socket is closed" });
}
