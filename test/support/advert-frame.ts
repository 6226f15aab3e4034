/** An advert as bytes on the wire, good or spoilt: written apart from the product's codec on purpose. */
export interface AdvertPlan {
  readonly version?: 2 | 3;
  readonly vrid?: number;
  readonly priority: number;
  readonly from: string;
  /** Default 224.0.0.18, or ff02::12 when `from` is IPv6. */
  readonly to?: string;
  readonly addresses: readonly string[];
  /** Milliseconds. Default 1000. */
  readonly interval?: number;
  /** Version 2: up to 8 characters. */
  readonly password?: string;
  readonly ttl?: number;
  /** What to write over the finished VRRP packet, before its checksum is made. */
  readonly spoil?: (vrrp: Uint8Array) => void;
  /** What to write over it after that. */
  readonly spoilLast?: (vrrp: Uint8Array) => void;
  /** Bytes of the VRRP packet that are sent; the rest is cut off. */
  readonly cutTo?: number;
  /** Hardware addresses. Default: a stranger's, and that of the multicast group. */
  readonly source?: string;
  readonly destination?: string;
}

/** An Ethernet frame. */
export function advertFrame(plan: AdvertPlan): Uint8Array {
  const { version = 2, from, addresses, interval = 1000 } = plan;
  const six = from.includes(":");
  const { to = six ? "ff02::12" : "224.0.0.18" } = plan;
  const size = six ? 16 : 4;
  const vrrp = new Uint8Array(8 + addresses.length * size + (version === 2 ? 8 : 0));
  const view = new DataView(vrrp.buffer);
  vrrp[0] = (version << 4) | 1;
  vrrp[1] = plan.vrid ?? 51;
  vrrp[2] = plan.priority;
  vrrp[3] = addresses.length;
  if (version === 2) {
    vrrp[4] = plan.password === undefined ? 0 : 1;
    vrrp[5] = interval / 1000;
    if (plan.password !== undefined)
      vrrp.set(Buffer.from(plan.password.slice(0, 8)), 8 + addresses.length * size);
  } else {
    view.setUint16(4, interval / 10);
  }
  addresses.forEach((address, i) => {
    vrrp.set(octets(address), 8 + size * i);
  });
  plan.spoil?.(vrrp);
  // Both families sum the source, the destination, the length and the protocol; version 2 sums none of it.
  const pseudo =
    version === 3
      ? Uint8Array.from([...octets(from), ...octets(to), 0, 112, 0, vrrp.length])
      : new Uint8Array(0);
  view.setUint16(6, checksum(pseudo, vrrp));
  plan.spoilLast?.(vrrp);
  const payload = vrrp.subarray(0, plan.cutTo ?? vrrp.length);
  return six
    ? ethernet(plan, "33:33:00:00:00:12", 0x86dd, ipv6(plan, from, to, payload))
    : ethernet(plan, "01:00:5e:00:00:12", 0x0800, ipv4(plan, from, to, payload));
}

function ethernet(plan: AdvertPlan, group: string, type: number, packet: Uint8Array): Uint8Array {
  const { source = "02:00:00:00:00:66", destination = group } = plan;
  const hardware = (text: string): number[] =>
    text.split(":").map((byte) => Number.parseInt(byte, 16));
  const header = [...hardware(destination), ...hardware(source), type >> 8, type & 255];
  return Uint8Array.from([...header, ...packet]);
}

function ipv6(
  { ttl = 255 }: AdvertPlan,
  from: string,
  to: string,
  payload: Uint8Array,
): Uint8Array {
  const header = [0x6c, 0, 0, 0, payload.length >> 8, payload.length & 255, 112, ttl];
  return Uint8Array.from([...header, ...octets(from), ...octets(to), ...payload]);
}

function ipv4(
  { ttl = 255 }: AdvertPlan,
  from: string,
  to: string,
  payload: Uint8Array,
): Uint8Array {
  const packet = new Uint8Array(20 + payload.length);
  packet.set([0x45, 0xc0, packet.length >> 8, packet.length & 255, 0, 1, 0, 0, ttl, 112]);
  packet.set(octets(from), 12);
  packet.set(octets(to), 16);
  new DataView(packet.buffer).setUint16(10, checksum(new Uint8Array(0), packet.subarray(0, 20)));
  packet.set(payload, 20);
  return packet;
}

/** A gratuitous ARP request of a stranger: "this address is mine". */
export function claimFrame(address: string, source = "02:00:00:00:00:66"): Uint8Array {
  const hardware = source.split(":").map((byte) => Number.parseInt(byte, 16));
  const own = octets(address);
  return Uint8Array.from([
    ...[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, ...hardware, 0x08, 0x06],
    ...[0, 1, 8, 0, 6, 4, 0, 1, ...hardware, ...own, 0, 0, 0, 0, 0, 0, ...own],
  ]);
}

/** The bytes of an address of either family. */
function octets(address: string): number[] {
  if (!address.includes(":")) return address.split(".").map(Number);
  const [head = "", tail = ""] = address.split("::");
  const groups = (text: string): string[] => text.split(":").filter((group) => group !== "");
  const zeros = Array(8 - groups(head).length - groups(tail).length).fill("0");
  return [...groups(head), ...zeros, ...groups(tail)].flatMap((group) => {
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 255];
  });
}

/** RFC 1071. */
function checksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (let i = 0; i < part.length; i += 2) sum += ((part[i] as number) << 8) + (part[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/**
 * Adverts that must change nothing, for a pair whose master advertises `good`: each is wrong in one respect, and worded
 * so that a careless reader obeys it (priority 255, or 0).
 */
export function bogusAdverts(good: AdvertPlan): ReadonlyMap<string, Uint8Array> {
  const better: AdvertPlan = { ...good, priority: 255 };
  const set = (at: number, value: number) => (vrrp: Uint8Array) => {
    vrrp[at] = value;
  };
  const kinds: Record<string, AdvertPlan> = {
    "wrong checksum": { ...better, spoilLast: set(6, 0x12) },
    "wrong checksum, priority 0": { ...good, priority: 0, spoilLast: set(6, 0x12) },
    "TTL 64": { ...better, ttl: 64 },
    "TTL 254, priority 0": { ...good, priority: 0, ttl: 254 },
    "version 4": { ...better, spoil: set(0, 0x41) },
    "version 0": { ...better, spoil: set(0, 0x01) },
    "type 2": { ...better, spoil: set(0, ((good.version ?? 2) << 4) | 2) },
    "cut to 7 bytes": { ...better, cutTo: 7 },
    "cut within the addresses": { ...better, cutTo: 10 },
    "more addresses than bytes": { ...better, spoil: set(3, 200) },
    "another interval": { ...better, interval: 7000 },
    "interval 0": { ...better, interval: 0 },
    "wrong password": { ...better, password: "wrong" },
    "wrong password, priority 0": { ...good, priority: 0, password: "wrong" },
    "unknown authentication": { ...better, spoil: set(4, 9) },
    "the other version": { ...better, version: good.version === 3 ? 2 : 3 },
  };
  return new Map(Object.entries(kinds).map(([name, plan]) => [name, advertFrame(plan)]));
}
