import {
  type Clock,
  formatAddress,
  type IpAddress,
  internetChecksum,
  isMulticast,
  micros,
  sameAddress,
} from "@ha/base";
import { ReceiveBuffer } from "@ha/base/testing";
import { packetEnds } from "../ip-packet.ts";
import { SystemError } from "../system-error.ts";
import {
  type FilterRouter,
  type InterfaceRef,
  IPPROTO_AH,
  IPPROTO_VRRP,
  type KernelFilter,
  type ReceivedPacket,
  type RejectReason,
  type SendOptions,
  type VrrpSocket,
  type VrrpSocketOptions,
  type VrrpTransport,
} from "../vrrp-transport.ts";

const RECEIVE_LIMIT = 256;
const DRAIN_LIMIT = 1024;

/** A host on a `MemoryLan`: one interface and its addresses. */
export interface MemoryHost {
  readonly transport: VrrpTransport;
  readonly interface: InterfaceRef;
  /** The cable: without it nothing leaves or comes in. */
  linkUp: boolean;
}

/**
 * A LAN in memory, whose transports behave as the kernel's do: `transport-contract.ts` holds both to one suite. What is sent
 * lies in the receivers' buffers at once, and is handed over in a later turn, or by `drain`.
 */
export class MemoryLan {
  readonly #clock: Pick<Clock, "now">;
  readonly #hosts: { readonly host: MemoryHost; readonly addresses: readonly IpAddress[] }[] = [];
  readonly #sockets = new Map<MemorySocket, MemoryHost>();
  #identification = 0;

  constructor(clock: Pick<Clock, "now"> = { now: () => micros(performance.now() * 1_000) }) {
    this.#clock = clock;
  }

  plug(device: InterfaceRef, addresses: readonly IpAddress[]): MemoryHost {
    const host: MemoryHost = {
      interface: device,
      linkUp: true,
      transport: {
        open: (options) => {
          const name = options.interface?.name;
          if (name !== undefined && name !== device.name) {
            throw new SystemError(`bind a socket to ${name}`, "ENODEV");
          }
          const socket = new MemorySocket(options, {
            clock: this.#clock,
            isOwn: (address) => addresses.some((own) => sameAddress(own, address)),
            isUp: () => host.linkUp,
            hasDevice: ({ name: wanted }) => wanted === device.name,
            transmit: (packet) => this.#transmit(host, packet),
            closed: () => this.#sockets.delete(socket),
          });
          this.#sockets.set(socket, host);
          return socket;
        },
      },
    };
    this.#hosts.push({ host, addresses });
    return host;
  }

  #transmit(from: MemoryHost, packet: ReceivedPacket): void {
    const numbered =
      packet.family === 4 && packet.identification === 0
        ? { ...packet, identification: (this.#identification++ % 0xffff) + 1 }
        : packet;
    for (const [socket, host] of this.#sockets) {
      // The kernel loops no multicast back, and refuses what comes from an address of its own.
      if (host === from || !host.linkUp) continue;
      socket.arrive({
        ...numbered,
        ifindex: host.interface.index,
        payload: packet.payload.slice(),
      });
    }
  }
}

interface Surroundings {
  readonly clock: Pick<Clock, "now">;
  readonly isOwn: (address: IpAddress) => boolean;
  readonly isUp: () => boolean;
  readonly hasDevice: (device: InterfaceRef) => boolean;
  readonly transmit: (packet: ReceivedPacket) => void;
  readonly closed: () => void;
}

class MemorySocket implements VrrpSocket {
  readonly options: VrrpSocketOptions;
  readonly description = "in memory";
  readonly #around: Surroundings;
  readonly #waiting: ReceiveBuffer<ReceivedPacket>;
  readonly #rejected = new Map<
    string,
    {
      readonly source: IpAddress;
      readonly vrid: number;
      readonly reason: RejectReason;
      count: number;
    }
  >();
  #groups: readonly IpAddress[];
  #filter: KernelFilter | undefined;
  #soon: NodeJS.Immediate | undefined;
  #closed = false;

  constructor(options: VrrpSocketOptions, around: Surroundings) {
    this.options = options;
    this.#around = around;
    this.#groups = options.groups ?? [];
    this.#filter = options.filter;
    this.#waiting = new ReceiveBuffer(around.clock, RECEIVE_LIMIT);
  }

  get closed(): boolean {
    return this.#closed;
  }

  send(payload: Uint8Array, options: SendOptions): SystemError | undefined {
    const { source, destination, ttl = 255, protocol = IPPROTO_VRRP } = options;
    if (this.#closed) return new SystemError("send", "EBADF", { detail: "socket is closed" });
    const { family } = this.options;
    if (destination.family !== family) {
      return new SystemError(`send to ${formatAddress(destination)}`, "EAFNOSUPPORT");
    }
    if (!this.#around.isUp()) return new SystemError("send", "ENETDOWN");
    if (payload.length > 65_515) return new SystemError("send", "EMSGSIZE");
    this.#around.transmit({
      family,
      protocol,
      source,
      destination,
      ttl,
      ifindex: 0,
      identification: family === 4 ? (options.identification ?? 0) : undefined,
      waited: micros(0),
      payload: payload.slice(),
    });
    return undefined;
  }

  sendPacket(packet: Uint8Array): SystemError | undefined {
    const { family, source, destination } = packetEnds(packet);
    const ipv4 = family === 4;
    const protocol = packet[ipv4 ? 9 : 6] === IPPROTO_AH ? IPPROTO_AH : IPPROTO_VRRP;
    const ttl = packet[ipv4 ? 8 : 7] as number;
    const identification = ipv4 ? ((packet[4] as number) << 8) | (packet[5] as number) : 0;
    const payload = packet.subarray(ipv4 ? 20 : 40);
    return this.send(payload, { source, destination, ttl, protocol, identification });
  }

  /** From the wire, in the order of the kernel: is it for us, of our protocols, and does the filter pass it. */
  arrive(packet: ReceivedPacket): void {
    const { family, authenticationHeader = false } = this.options;
    if (packet.family !== family) return;
    if (packet.protocol === IPPROTO_AH && !(authenticationHeader && family === 4)) return;
    const wanted = isMulticast(packet.destination)
      ? this.#groups.some((group) => sameAddress(group, packet.destination))
      : this.#around.isOwn(packet.destination);
    if (!wanted || (family === 4 && this.#around.isOwn(packet.source))) return;
    const reason = this.#filter === undefined ? undefined : judge(this.#filter, packet);
    if (reason !== undefined) {
      this.#count(packet, reason);
      return;
    }
    if (this.#waiting.put(packet)) this.#soon ??= setImmediate(() => this.#handOver());
  }

  drain(limit = DRAIN_LIMIT): number {
    let count = 0;
    while (count < limit && !this.#closed) {
      const next = this.#waiting.take();
      if (next === undefined) break;
      count++;
      try {
        this.options.onPacket({ ...next.packet, waited: next.waited });
      } catch (error) {
        this.options.onError(new SystemError("handle a packet", "EUNKNOWN", { cause: error }));
      }
    }
    return count;
  }

  join(group: IpAddress): SystemError | undefined {
    if (this.#closed) return new SystemError("change membership", "EBADF");
    this.#groups = [...this.#groups, group];
    return undefined;
  }

  leave(group: IpAddress): SystemError | undefined {
    if (this.#closed) return new SystemError("change membership", "EBADF");
    this.#groups = this.#groups.filter((known) => !sameAddress(known, group));
    return undefined;
  }

  setFilter(filter: KernelFilter | undefined): SystemError | undefined {
    if (this.#closed) return new SystemError("set the filter", "EBADF");
    this.#filter = filter;
    return undefined;
  }

  rejected() {
    const total = new Map<RejectReason, number>();
    for (const { reason, count } of this.#rejected.values()) {
      total.set(reason, (total.get(reason) ?? 0) + count);
    }
    return { counted: true, total, bySender: [...this.#rejected.values()] };
  }

  reopen(device: InterfaceRef): SystemError | undefined {
    if (this.#closed) return new SystemError("reopen", "EBADF");
    this.#waiting.clear();
    return this.#around.hasDevice(device) ? undefined : new SystemError("reopen", "ENODEV");
  }

  close(): void {
    this.#closed = true;
    clearImmediate(this.#soon);
    this.#waiting.clear();
    this.#around.closed();
  }

  #handOver(): void {
    this.#soon = undefined;
    this.drain();
  }

  #count({ source, payload }: ReceivedPacket, reason: RejectReason): void {
    const vrid = payload[1] ?? 0;
    const key = `${formatAddress(source)} ${vrid} ${reason}`;
    const known = this.#rejected.get(key);
    if (known === undefined) this.#rejected.set(key, { source, vrid, reason, count: 1 });
    else known.count++;
  }
}

/** Why a filter refuses a packet, tested in the order of `REJECT_REASONS`; undefined when it passes. */
function judge(filter: KernelFilter, packet: ReceivedPacket): RejectReason | undefined {
  const { payload: bytes, family } = packet;
  if (packet.protocol === IPPROTO_AH) return undefined;
  if (bytes.length < 8) return "too-short";
  if (filter.ownAddresses.some((own) => sameAddress(own, packet.source))) return "own-source";
  const [first = 0, vrid = 0, , count = 0, authType = 0] = bytes;
  const router = filter.routers.find((candidate) => candidate.vrid === vrid);
  if (router === undefined) return "vrid";
  if (packet.ttl < router.minTtl || packet.ttl > router.maxTtl) return "ttl";
  if (first >> 4 !== router.version) return "version";
  if ((first & 0x0f) !== 1) return "type";
  const size = 8 + count * (family === 4 ? 4 : 16) + (router.version === 2 ? 8 : 0);
  if (bytes.length < size) return "length";
  const authentication =
    router.version === 2 ? judgePass(router, bytes, size, authType) : undefined;
  if (authentication !== undefined) return authentication;
  if (router.sources?.some((source) => sameAddress(source, packet.source)) === false) {
    return "source";
  }
  return sums(router, packet, bytes.subarray(0, size)) ? undefined : "checksum";
}

function judgePass(
  { authentication }: FilterRouter,
  bytes: Uint8Array,
  size: number,
  type: number,
): RejectReason | undefined {
  if (authentication === "any") return undefined;
  if (typeof authentication === "string") {
    return type === (authentication === "none" ? 0 : 2) ? undefined : "auth-type";
  }
  if (type !== 1) return "auth-type";
  const { pass } = authentication;
  return pass.every((byte, i) => bytes[size - 8 + i] === byte) ? undefined : "auth-data";
}

function sums({ checksums, version }: FilterRouter, packet: ReceivedPacket, advert: Uint8Array) {
  // What is longer the kernel leaves to the core.
  if (checksums.length === 0 || advert.length > 256) return true;
  const summed = version === 2 ? advert.subarray(0, advert.length - 8) : advert;
  return checksums.some((kind) => {
    if (kind === "plain") return internetChecksum(summed) === 0 || internetChecksum(advert) === 0;
    const to = kind === "pseudo" ? packet.destination : kind;
    const { bytes } = packet.source;
    const length = advert.length;
    const tail =
      packet.family === 4
        ? [0, 112, length >> 8, length & 0xff]
        : [0, 0, length >> 8, length & 0xff, 0, 0, 0, 112];
    return internetChecksum(Uint8Array.from([...bytes, ...to.bytes, ...tail]), advert) === 0;
  });
}
