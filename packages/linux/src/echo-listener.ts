import { type Family, type IpAddress, micros, readAddress } from "@ha/base";
import {
  encodeClassic,
  instruction,
  LD_B,
  RETURN_ALL,
  RETURN_NOTHING,
  whenAddress,
  whenNotEqual,
} from "./classic-bpf.ts";
import { AF_PACKET, packetSocketAddress, SOCK_DGRAM, SOL_PACKET } from "./kernel-address.ts";
import { createBatch, messageOf, SocketDoor } from "./socket-door.ts";
import { type SystemError, systemError } from "./system-error.ts";
import { type InterfaceRef, IPPROTO_VRRP, type ReceivedPacket } from "./vrrp-transport.ts";

export interface EchoListenerOptions {
  readonly family: Family;
  readonly interface: InterfaceRef;
  /** Sources of our own adverts. */
  readonly ownAddresses: readonly IpAddress[];
  /** A priority-0 advert that somebody sent under one of them. */
  readonly onPacket: (packet: ReceivedPacket) => void;
  readonly onError: (error: SystemError) => void;
}

/** Hears what IP does not let through: the kernel drops packets whose source is an address of this host. */
export interface EchoListener {
  /** Other addresses are ours now. */
  watch(ownAddresses: readonly IpAddress[]): SystemError | undefined;
  close(): void;
}

const PACKET_IGNORE_OUTGOING = 23;
const ETHERTYPE = { 4: 0x0800, 6: 0x86dd } as const;
const HEADER_SIZE = { 4: 20, 6: 40 } as const;

/** Listens for farewells (priority 0) under our own addresses: replays, to be answered at once. Throws `SystemError`. */
export function openEchoListener(options: EchoListenerOptions): EchoListener {
  const { family, onError } = options;
  const { name, index } = options.interface;
  // Frames from their IP header on, and none before the filter is set.
  const kind = { domain: AF_PACKET, type: SOCK_DGRAM, protocol: 0 };
  const socket = SocketDoor.open("open a packet socket", kind);
  const batch = createBatch(8, 2_048);
  const watch = (ownAddresses: readonly IpAddress[]): SystemError | undefined => {
    const result = socket.attachFilter(farewellFilter(family, ownAddresses));
    return result < 0 ? systemError("filter farewells", result) : undefined;
  };
  try {
    socket.setOption("ignore our own frames", SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
    const problem = watch(options.ownAddresses);
    if (problem !== undefined) throw problem;
    const protocol = ETHERTYPE[family];
    socket.bind(`listen to frames on ${name}`, packetSocketAddress({ protocol, ifindex: index }));
    socket.watch(() => {
      // One batch a turn: a flood of replays has no claim on more of the loop.
      const count = socket.receive(batch);
      for (let i = 0; i < count; i++) {
        const packet = packetOf(family, messageOf(batch, i).data, index);
        if (packet !== undefined) options.onPacket(packet);
      }
    });
  } catch (error) {
    socket.close();
    throw error;
  }
  return {
    watch: (ownAddresses) => {
      const problem = watch(ownAddresses);
      if (problem !== undefined) onError(problem);
      return problem;
    },
    close: () => socket.close(),
  };
}

/** Over packets from their IP header on, without options: VRRP, priority 0, from one of these. */
function farewellFilter(family: Family, ownAddresses: readonly IpAddress[]): Uint8Array {
  const need = (at: number, value: number) => [
    instruction(LD_B, at),
    ...whenNotEqual(value, [RETURN_NOTHING]),
  ];
  return encodeClassic([
    ...(family === 4 ? need(0, 0x45) : []),
    ...need(family === 4 ? 9 : 6, IPPROTO_VRRP),
    ...need(HEADER_SIZE[family] + 2, 0),
    ...ownAddresses
      .filter((address) => address.family === family)
      .flatMap((address) => whenAddress(address, family === 4 ? 12 : 8, [RETURN_ALL])),
    RETURN_NOTHING,
  ]);
}

function packetOf(family: Family, data: Uint8Array, ifindex: number): ReceivedPacket | undefined {
  const size = HEADER_SIZE[family];
  if (data.length < size + 8) return undefined;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  // Short Ethernet frames are padded: the IP header knows where the packet ends.
  const end = family === 4 ? view.getUint16(2) : size + view.getUint16(4);
  if (end < size || end > data.length) return undefined;
  return {
    family,
    protocol: IPPROTO_VRRP,
    source: readAddress(data, family === 4 ? 12 : 8, family),
    destination: readAddress(data, family === 4 ? 16 : 24, family),
    ttl: view.getUint8(family === 4 ? 8 : 7),
    ifindex,
    identification: family === 4 ? view.getUint16(4) : undefined,
    waited: micros(0),
    payload: data.slice(size, end),
  };
}
