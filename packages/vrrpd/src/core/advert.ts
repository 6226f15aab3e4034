import {
  centiseconds,
  type Family,
  fail,
  type IpAddress,
  internetChecksum,
  type Micros,
  ok,
  type Result,
  readAddress,
  seconds,
  writeAddress,
} from "@ha/base";
import { PROTOCOL_VRRP } from "./router.ts";

/**
 * An ADVERTISEMENT, free of its wire encoding. Version 3: RFC 9568 §5.1.
 *
 *      0                   1                   2                   3
 *      0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
 *     +-------+-------+---------------+---------------+---------------+
 *     |Version| Type  |     VRID      |   Priority    | Address count |
 *     +-------+-------+---------------+---------------+---------------+
 *     |   0   | Interval (12 bits, cs)|           Checksum            |
 *     +-------+-----------------------+-------------------------------+
 *     |                          Addresses …                          |
 *
 * Version 2 (RFC 2338 §5.1, RFC 3768 §5.1) has other second words, and eight bytes after the addresses:
 *
 *     +---------------+---------------+-------------------------------+
 *     |   Auth type   | Interval (s)  |           Checksum            |
 *     +---------------+---------------+-------------------------------+
 *     |                          Addresses …                          |
 *     +---------------------------------------------------------------+
 *     |                Authentication data, eight bytes               |
 */
export interface Advert {
  /** Virtual router identifier, 0–255; 0 belongs to nobody. */
  readonly vrid: number;
  /** 0 means "I am leaving"; 255 is the address owner. */
  readonly priority: number;
  /** The sender's advertisement interval: 1–255 s in version 2, 10 ms – 40.95 s in steps of 10 ms in version 3. */
  readonly interval: Micros;
  readonly addresses: readonly IpAddress[];
  /** Version 2 only: 0 none, 1 PASS, 2 AH. Always 0 in version 3. */
  readonly authType: number;
  /** Version 2 only: eight bytes; empty in version 3. */
  readonly authData: Uint8Array;
}

/** Which encoding is spoken. */
export interface WireForm {
  readonly version: 2 | 3;
  readonly family: Family;
  /** Version 3 on IPv4: no pseudo header in the checksum (RFC 9568 §5.2.8). keepalived's default is with (RFC 5798 §5.2.8). */
  readonly checksumAsV2: boolean;
}

/** Who sends to whom: the checksum may cover it. */
export interface Envelope {
  readonly from: IpAddress;
  readonly to: IpAddress;
}

/** Why bytes were not an advert. Each value is also the name of a counter in the statistics. */
export type AdvertError =
  | "too-short"
  | "bad-version"
  | "bad-type"
  | "bad-length"
  | "bad-checksum"
  | "bad-interval"
  | "bad-auth-type";

/** Bytes that are the advert itself: what follows is padding, or an HMAC trailer. */
export function advertSize(version: 2 | 3, family: Family, addressCount: number): number {
  return HEADER_SIZE + addressCount * addressSize(family) + (version === 2 ? AUTH_SIZE : 0);
}

/**
 * Decodes the payload of an IP packet of protocol 112. Never throws, whatever the bytes. Bytes after the advert are not
 * looked at: they are padding (or the HMAC trailer, which `hmac.ts` reads).
 */
export function decodeAdvert(
  bytes: Uint8Array,
  wire: WireForm,
  envelope: Envelope,
): Result<Advert, AdvertError> {
  if (bytes.length < HEADER_SIZE) return fail("too-short");
  if (byte(bytes, 0) >> 4 !== wire.version) return fail("bad-version");
  if ((byte(bytes, 0) & 0x0f) !== TYPE_ADVERTISEMENT) return fail("bad-type");

  const addressCount = byte(bytes, 3);
  const size = advertSize(wire.version, wire.family, addressCount);
  if (bytes.length < size) return fail("bad-length");
  if (checksum(bytes, size, wire, envelope) !== 0) return fail("bad-checksum");

  const authType = wire.version === 2 ? byte(bytes, 4) : 0;
  if (authType > AUTH_TYPE_AH) return fail("bad-auth-type");
  const interval =
    wire.version === 2
      ? seconds(byte(bytes, 5))
      : centiseconds(((byte(bytes, 4) & 0x0f) << 8) | byte(bytes, 5));
  // A backup that adopts an interval of nothing would take over at once, again and again.
  if (interval === 0) return fail("bad-interval");

  const addresses: IpAddress[] = [];
  const width = addressSize(wire.family);
  for (let i = 0; i < addressCount; i++) {
    addresses.push(readAddress(bytes, HEADER_SIZE + i * width, wire.family));
  }
  return ok({
    vrid: byte(bytes, 1),
    priority: byte(bytes, 2),
    interval,
    addresses,
    authType,
    authData: wire.version === 2 ? bytes.slice(size - AUTH_SIZE, size) : NO_AUTH_DATA,
  });
}

/** The inverse of `decodeAdvert`. Takes at most 255 addresses, all of the wire's family. */
export function encodeAdvert(advert: Advert, wire: WireForm, envelope: Envelope): Uint8Array {
  const size = advertSize(wire.version, wire.family, advert.addresses.length);
  const bytes = new Uint8Array(size);
  bytes[0] = (wire.version << 4) | TYPE_ADVERTISEMENT;
  bytes[1] = advert.vrid;
  bytes[2] = advert.priority;
  bytes[3] = advert.addresses.length;
  if (wire.version === 2) {
    bytes[4] = advert.authType;
    bytes[5] = advert.interval / seconds(1);
  } else {
    const interval = advert.interval / centiseconds(1);
    bytes[4] = interval >> 8;
    bytes[5] = interval & 0xff;
  }
  const width = addressSize(wire.family);
  advert.addresses.forEach((address, i) => {
    writeAddress(bytes, HEADER_SIZE + i * width, address);
  });
  if (wire.version === 2) bytes.set(advert.authData, size - AUTH_SIZE);
  const sum = checksum(bytes, size, wire, envelope);
  bytes[6] = sum >> 8;
  bytes[7] = sum & 0xff;
  return bytes;
}

/** RFC 3768 §5.3.8; RFC 5798 §5.2.8; RFC 9568 §5.2.8; for IPv6 RFC 8200 §8.1. */
function checksum(
  bytes: Uint8Array,
  size: number,
  { version, family, checksumAsV2 }: WireForm,
  envelope: Envelope,
): number {
  const advert = bytes.subarray(0, size);
  if (version === 2) return internetChecksum(advert);
  if (family === 4 && checksumAsV2) return internetChecksum(advert);
  return internetChecksum(pseudoHeader(family, envelope, size), advert);
}

function pseudoHeader(family: Family, { from, to }: Envelope, length: number): Uint8Array {
  const width = addressSize(family);
  const bytes = new Uint8Array(2 * width + (family === 4 ? 4 : 8));
  writeAddress(bytes, 0, from);
  writeAddress(bytes, width, to);
  if (family === 4) {
    bytes[9] = PROTOCOL_VRRP;
    bytes[10] = length >> 8;
    bytes[11] = length & 0xff;
  } else {
    bytes[34] = length >> 8;
    bytes[35] = length & 0xff;
    bytes[39] = PROTOCOL_VRRP;
  }
  return bytes;
}

function addressSize(family: Family): number {
  return family === 4 ? 4 : 16;
}

function byte(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

const TYPE_ADVERTISEMENT = 1;
const HEADER_SIZE = 8;
const AUTH_SIZE = 8;
const AUTH_TYPE_AH = 2;
const NO_AUTH_DATA = new Uint8Array(0);
