/** 4 for IPv4, 6 for IPv6. */
export type Family = 4 | 6;

/**
 * An IP address: its bytes in network order, 4 or 16 of them. Immutable by convention; compare with
 * `compareAddresses` or `sameAddress`, never with `===`.
 */
export interface IpAddress {
  readonly family: Family;
  readonly bytes: Uint8Array;
}

/**
 * Reads dotted IPv4 (four decimal parts, no leading zeros beyond what `inet_pton` takes) or any IPv6 text of
 * RFC 4291 §2.2, without prefix, zone or brackets. Undefined when it is neither.
 */
export function parseAddress(text: string): IpAddress | undefined {
  return text.includes(":") ? parseIpv6(text) : parseIpv4(text);
}

/** An address that is known to be well formed, as in tests and constants. Throws otherwise. */
export function ip(text: string): IpAddress {
  const address = parseAddress(text);
  if (address === undefined) throw new Error(`not an IP address: ${text}`);
  return address;
}

/** Copies 4 or 16 bytes out of a packet. */
export function readAddress(bytes: Uint8Array, offset: number, family: Family): IpAddress {
  return { family, bytes: bytes.slice(offset, offset + (family === 4 ? 4 : 16)) };
}

export function writeAddress(bytes: Uint8Array, offset: number, address: IpAddress): void {
  bytes.set(address.bytes, offset);
}

/** Dotted IPv4, or IPv6 in the form of RFC 5952 (lower case, longest run of zeros shortened). */
export function formatAddress(address: IpAddress): string {
  return address.family === 4 ? address.bytes.join(".") : formatIpv6(address.bytes);
}

/** Byte order, as VRRP breaks ties (RFC 9568 §6.4.3). IPv4 sorts before IPv6. */
export function compareAddresses(a: IpAddress, b: IpAddress): number {
  if (a.family !== b.family) return a.family - b.family;
  for (let i = 0; i < a.bytes.length; i++) {
    const difference = (a.bytes[i] as number) - (b.bytes[i] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

export function sameAddress(a: IpAddress, b: IpAddress): boolean {
  return compareAddresses(a, b) === 0;
}

export function isMulticast(address: IpAddress): boolean {
  const first = address.bytes[0] as number;
  return address.family === 4 ? first >= 224 && first <= 239 : first === 0xff;
}

/** `fe80::/10`. Always false for IPv4. */
export function isLinkLocal(address: IpAddress): boolean {
  return (
    address.family === 6 &&
    address.bytes[0] === 0xfe &&
    ((address.bytes[1] as number) & 0xc0) === 0x80
  );
}

export function isUnspecified(address: IpAddress): boolean {
  return address.bytes.every((byte) => byte === 0);
}

/** An address and the number of its leading bits that name the network. */
export interface Prefix {
  readonly address: IpAddress;
  /** 0–32 for IPv4, 0–128 for IPv6. */
  readonly length: number;
}

/** Whether the first `length` bits are the prefix's; false across families. */
export function prefixContains(prefix: Prefix, address: IpAddress): boolean {
  if (prefix.address.family !== address.family) return false;
  const whole = prefix.length >> 3;
  for (let i = 0; i < whole; i++) {
    if (prefix.address.bytes[i] !== address.bytes[i]) return false;
  }
  const rest = prefix.length & 7;
  if (rest === 0) return true;
  const mask = 0xff << (8 - rest);
  return (
    (((prefix.address.bytes[whole] as number) ^ (address.bytes[whole] as number)) & mask) === 0
  );
}

/** `02:00:5e:…`, six hexadecimal bytes with colons or dashes. Undefined when it is not that. */
export function parseMac(text: string): Uint8Array | undefined {
  if (!/^[0-9a-fA-F]{1,2}([:-][0-9a-fA-F]{1,2}){5}$/.test(text)) return undefined;
  return Uint8Array.from(text.split(/[:-]/), (part) => Number.parseInt(part, 16));
}

export function formatMac(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, "0")).join(":");
}

function parseIpv4(text: string): IpAddress | undefined {
  const parts = text.split(".");
  if (parts.length !== 4) return undefined;
  const bytes = new Uint8Array(4);
  for (const [i, part] of parts.entries()) {
    if (!/^(0|[1-9]\d{0,2})$/.test(part) || Number(part) > 255) return undefined;
    bytes[i] = Number(part);
  }
  return { family: 4, bytes };
}

function parseIpv6(text: string): IpAddress | undefined {
  const halves = text.split("::");
  if (halves.length > 2) return undefined;
  const head = groupsOf(halves[0] as string, halves.length === 1);
  const tail = halves.length === 2 ? groupsOf(halves[1] as string, true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const missing = 8 - head.length - tail.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return undefined;
  const groups = [...head, ...new Array<number>(missing).fill(0), ...tail];
  const bytes = new Uint8Array(16);
  for (const [i, group] of groups.entries()) {
    bytes[2 * i] = group >> 8;
    bytes[2 * i + 1] = group & 0xff;
  }
  return { family: 6, bytes };
}

/** The 16-bit groups of one side of `::`. Dotted IPv4 may end the last side. */
function groupsOf(text: string, last: boolean): number[] | undefined {
  if (text === "") return [];
  const groups: number[] = [];
  const parts = text.split(":");
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && part.includes(".")) {
      const embedded = parseIpv4(part);
      if (embedded === undefined) return undefined;
      const [a, b, c, d] = embedded.bytes as unknown as [number, number, number, number];
      groups.push((a << 8) | b, (c << 8) | d);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => {
    return ((bytes[2 * i] as number) << 8) | (bytes[2 * i + 1] as number);
  });
  const mapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (mapped) return `::ffff:${bytes.slice(12).join(".")}`;
  let start = -1;
  let length = 1;
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > length) {
      start = i;
      length = run;
    }
  }
  const hex = (part: readonly number[]): string =>
    part.map((group) => group.toString(16)).join(":");
  if (start === -1) return hex(groups);
  return `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}
