/**
 * Ethernet frames as the tests look at them. Written apart from the product's own codecs on purpose: a mistake there
 * must not hide itself here.
 */
export interface Frame {
  /** When the switch's kernel took it in: microseconds since 1970. */
  readonly time: number;
  readonly source: string;
  readonly destination: string;
  readonly bytes: Uint8Array;
  readonly vrrp?: VrrpFields;
  readonly arp?: ArpFields;
  readonly echo?: EchoFields;
  readonly neighbour?: NeighbourFields;
}

export interface VrrpFields {
  /** Network addresses of the packet. */
  readonly from: string;
  readonly to: string;
  readonly ttl: number;
  readonly version: number;
  readonly type: number;
  readonly vrid: number;
  readonly priority: number;
  readonly addressCount: number;
  /** In milliseconds, in either version. */
  readonly interval: number;
}

export interface ArpFields {
  readonly operation: "request" | "reply";
  readonly sender: string;
  readonly target: string;
  readonly senderHardware: string;
}

/** An ICMP or ICMPv6 echo. */
export interface EchoFields {
  readonly kind: "request" | "reply";
  readonly from: string;
  readonly to: string;
  readonly id: number;
  readonly sequence: number;
  readonly ttl: number;
}

/** An ICMPv6 neighbour advertisement. */
export interface NeighbourFields {
  readonly target: string;
  readonly override: boolean;
  readonly router: boolean;
  readonly solicited: boolean;
  readonly to: string;
}

/** Whether the frame announces `address` unasked: gratuitous ARP, or an unsolicited neighbour advertisement. */
export function announces({ arp, neighbour }: Frame, address: string): boolean {
  if (arp !== undefined) return arp.sender === address && arp.target === address;
  return neighbour !== undefined && neighbour.target === address && !neighbour.solicited;
}

export function readFrame(bytes: Uint8Array, time: number): Frame {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const base = { time, source: mac(bytes, 6), destination: mac(bytes, 0), bytes };
  if (bytes.length < 14) return { ...base, source: "", destination: "" };
  const type = view.getUint16(12);
  if (type === 0x0806 && bytes.length >= 42) {
    const arp: ArpFields = {
      operation: view.getUint16(20) === 1 ? "request" : "reply",
      senderHardware: mac(bytes, 22),
      sender: ipv4(bytes, 28),
      target: ipv4(bytes, 38),
    };
    return { ...base, arp };
  }
  if (type === 0x0800 && bytes.length >= 34) {
    const start = 14 + ((bytes[14] as number) & 0x0f) * 4;
    const end = Math.min(bytes.length, 14 + view.getUint16(16));
    const packet = { from: ipv4(bytes, 26), to: ipv4(bytes, 30), ttl: bytes[22] as number };
    return { ...base, ...readPayload(view, start, end, bytes[23] as number, packet) };
  }
  if (type === 0x86dd && bytes.length >= 54) {
    const end = Math.min(bytes.length, 54 + view.getUint16(18));
    const packet = { from: ipv6(view, 22), to: ipv6(view, 38), ttl: bytes[21] as number };
    return { ...base, ...readPayload(view, 54, end, bytes[20] as number, packet) };
  }
  return base;
}

interface Packet {
  readonly from: string;
  readonly to: string;
  readonly ttl: number;
}

function readPayload(
  view: DataView,
  start: number,
  end: number,
  protocol: number,
  packet: Packet,
): Pick<Frame, "vrrp" | "echo" | "neighbour"> {
  const length = end - start;
  if (protocol === 51 && length >= 12) {
    // An authentication header: its length is in words of 4 bytes, less two.
    const next = start + (view.getUint8(start + 1) + 2) * 4;
    return readPayload(view, next, end, view.getUint8(start), packet);
  }
  if (protocol === 112 && length >= 8) return { vrrp: readVrrp(view, start, packet) };
  if (protocol === 1 && length >= 8) {
    const type = view.getUint8(start);
    if (type === 8) return { echo: readEcho(view, start, "request", packet) };
    if (type === 0) return { echo: readEcho(view, start, "reply", packet) };
  }
  if (protocol === 58 && length >= 8) {
    const type = view.getUint8(start);
    if (type === 128) return { echo: readEcho(view, start, "request", packet) };
    if (type === 129) return { echo: readEcho(view, start, "reply", packet) };
    if (type === 136 && length >= 24) {
      const flags = view.getUint8(start + 4);
      const neighbour: NeighbourFields = {
        target: ipv6(view, start + 8),
        to: packet.to,
        router: (flags & 0x80) !== 0,
        solicited: (flags & 0x40) !== 0,
        override: (flags & 0x20) !== 0,
      };
      return { neighbour };
    }
  }
  return {};
}

function readVrrp(view: DataView, start: number, packet: Packet): VrrpFields {
  const version = view.getUint8(start) >> 4;
  return {
    ...packet,
    version,
    type: view.getUint8(start) & 0x0f,
    vrid: view.getUint8(start + 1),
    priority: view.getUint8(start + 2),
    addressCount: view.getUint8(start + 3),
    interval:
      version === 2 ? view.getUint8(start + 5) * 1000 : (view.getUint16(start + 4) & 0x0fff) * 10,
  };
}

function readEcho(
  view: DataView,
  start: number,
  kind: EchoFields["kind"],
  packet: Packet,
): EchoFields {
  return { kind, ...packet, id: view.getUint16(start + 4), sequence: view.getUint16(start + 6) };
}

function mac(bytes: Uint8Array, at: number): string {
  return Buffer.from(bytes.subarray(at, at + 6))
    .toString("hex")
    .replace(/..(?=.)/g, "$&:");
}

function ipv4(bytes: Uint8Array, at: number): string {
  return bytes.subarray(at, at + 4).join(".");
}

/** The form of RFC 5952. */
function ipv6(view: DataView, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => view.getUint16(at + 2 * i).toString(16));
  const text = groups.join(":");
  const zeros = text.match(/\b0(?::0)+\b/g) ?? [];
  const longest = zeros.reduce((a, b) => (b.length > a.length ? b : a), "");
  if (longest === "") return text;
  const at0 = text.search(new RegExp(`\\b${longest}\\b`));
  return `${text.slice(0, at0).replace(/:$/, "")}::${text.slice(at0 + longest.length).replace(/^:/, "")}`;
}
