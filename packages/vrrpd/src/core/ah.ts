import { fail, type IpAddress, ok, type Result, writeAddress } from "@ha/base";
import { equalSecrets } from "./equal-bytes.ts";
import type { Digests } from "./ports.ts";
import { PROTOCOL_AH, PROTOCOL_VRRP } from "./router.ts";

/**
 * The IPsec authentication header that version 2 may carry between IP header and advert. RFC 2402 §2, RFC 2403.
 *
 *     +---------------+---------------+---------------+---------------+
 *     |  Next header  |  Length (4)   |               0               |
 *     +---------------+---------------+---------------+---------------+
 *     |      Security parameters index: the sender's address          |
 *     +---------------------------------------------------------------+
 *     |                        Sequence number                        |
 *     +---------------------------------------------------------------+
 *     |               HMAC-MD5, its first twelve bytes                |
 *     +---------------------------------------------------------------+
 */
export const AH_SIZE = 24;

export type AhError = "ah-malformed" | "ah-mismatch" | "ah-replay";

/** What of the IPv4 header is signed besides its addresses. */
export interface SignedHeader {
  readonly from: IpAddress;
  readonly to: IpAddress;
  readonly identification: number;
  /** Differs from RFC 2402 §3.3.3.1.1.1: keepalived signs the TTL as well (observed: keepalived 2.4.3). */
  readonly ttl: number;
}

/** Puts the header before the advert. `sequence`: 1–2³²−1. */
export function sealWithAh(
  advert: Uint8Array,
  header: SignedHeader,
  { key, sequence, digests }: { key: Uint8Array; sequence: number; digests: Digests },
): Uint8Array {
  const bytes = new Uint8Array(AH_SIZE + advert.length);
  bytes[0] = PROTOCOL_VRRP;
  bytes[1] = LENGTH_WORDS;
  writeAddress(bytes, 4, header.from);
  new DataView(bytes.buffer).setUint32(8, sequence);
  bytes.set(advert, AH_SIZE);
  bytes.set(digest(bytes, header, key, digests), DIGEST_AT);
  return bytes;
}

/** The sequence number, if the header is right and the digest is that of this key. */
export function openAh(
  bytes: Uint8Array,
  header: SignedHeader,
  { key, digests }: { key: Uint8Array; digests: Digests },
): Result<number, AhError> {
  if (bytes.length < AH_SIZE) return fail("ah-malformed");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes[0] !== PROTOCOL_VRRP || bytes[1] !== LENGTH_WORDS || view.getUint16(2) !== 0) {
    return fail("ah-malformed");
  }
  // The index is the sender's address: it selects no key, but a packet that lies about it is not genuine.
  for (let i = 0; i < 4; i++)
    if (bytes[4 + i] !== header.from.bytes[i]) return fail("ah-malformed");
  const expected = digest(bytes, header, key, digests);
  if (!equalSecrets(bytes.subarray(DIGEST_AT, AH_SIZE), expected)) return fail("ah-mismatch");
  return ok(view.getUint32(8));
}

/** Over the IP header (type of service and checksum as zero), this header (digest as zero) and the advert. */
function digest(
  bytes: Uint8Array,
  { from, to, identification, ttl }: SignedHeader,
  key: Uint8Array,
  digests: Digests,
): Uint8Array {
  const data = new Uint8Array(IP_HEADER_SIZE + bytes.length);
  const view = new DataView(data.buffer);
  data[0] = 0x45;
  view.setUint16(2, data.length);
  view.setUint16(4, identification);
  data[8] = ttl;
  data[9] = PROTOCOL_AH;
  writeAddress(data, 12, from);
  writeAddress(data, 16, to);
  data.set(bytes, IP_HEADER_SIZE);
  data.fill(0, IP_HEADER_SIZE + DIGEST_AT, IP_HEADER_SIZE + AH_SIZE);
  return digests.hmacMd5(key, data).slice(0, DIGEST_SIZE);
}

/** In words of four bytes, less two. */
const LENGTH_WORDS = 4;
const DIGEST_AT = 12;
const DIGEST_SIZE = 12;
const IP_HEADER_SIZE = 20;
