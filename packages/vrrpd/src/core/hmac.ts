import {
  type Family,
  fail,
  type IpAddress,
  type Micros,
  ok,
  type Result,
  writeAddress,
} from "@ha/base";
import { equalSecrets } from "./equal-bytes.ts";
import type { Digests } from "./ports.ts";

/**
 * `auth_hmac`: the trailer that keepalived 2.4 puts after an advert. observed: keepalived 2.4.3.
 *
 *     +---------------+---------------+---------------+---------------+
 *     |    Type (1)   |    Key id     |               0               |
 *     +---------------+---------------+---------------+---------------+
 *     |                    Seconds since 1970 UTC                     |
 *     +-------------------------------+-------------------------------+
 *     |      Fraction, 1/65536 s      |            Counter            |
 *     +-------------------------------+-------------------------------+
 *     |            HMAC-SHA256, its first sixteen bytes               |
 *     +---------------------------------------------------------------+
 */
export const TRAILER_SIZE = 28;

export type HmacError =
  | "hmac-missing"
  | "hmac-malformed"
  | "hmac-unknown-key"
  | "hmac-mismatch"
  | "hmac-replay"
  | "hmac-clock";

/** Time and counter as one number of 64 bits, that only grows. */
export interface Sequence {
  readonly seconds: number;
  /** Fraction in the upper 16 bits, counter in the lower. */
  readonly rest: number;
}

/** What the digest covers besides the advert. */
export interface SignedContext {
  readonly version: 2 | 3;
  readonly family: Family;
  readonly vrid: number;
  readonly from: IpAddress;
}

/** The next sequence: the time, or one more than the last where the clock has not moved on (or was set back). */
export function nextSequence(utc: Micros, last: Sequence | undefined): Sequence {
  const seconds = Math.floor(utc / 1_000_000) >>> 0;
  const fraction = Math.floor(((utc % 1_000_000) * 65_536) / 1_000_000);
  const now: Sequence = { seconds, rest: (fraction << 16) >>> 0 };
  if (last === undefined || compareSequences(now, last) > 0) return now;
  return last.rest === 0xffffffff
    ? { seconds: (last.seconds + 1) >>> 0, rest: 0 }
    : { seconds: last.seconds, rest: last.rest + 1 };
}

/** Serial arithmetic: positive when `a` is the later one, also across the wrap of the seconds. RFC 1982. */
export function compareSequences(a: Sequence, b: Sequence): number {
  const seconds = (a.seconds - b.seconds) | 0;
  return seconds !== 0 ? seconds : a.rest - b.rest;
}

/** How far the sender's clock is from ours. */
export function clockDifference(utc: Micros, { seconds, rest }: Sequence): number {
  const sent = seconds * 1_000_000 + Math.floor(((rest >>> 16) * 1_000_000) / 65_536);
  return Math.abs(utc - sent);
}

/** The advert with its trailer. */
export function sealWithHmac(
  advert: Uint8Array,
  context: SignedContext,
  seal: { keyId: number; key: Uint8Array; sequence: Sequence; digests: Digests },
): Uint8Array {
  const bytes = new Uint8Array(advert.length + TRAILER_SIZE);
  bytes.set(advert);
  const view = new DataView(bytes.buffer, advert.length);
  view.setUint8(0, TYPE_HMAC_SHA256);
  view.setUint8(1, seal.keyId);
  view.setUint32(4, seal.sequence.seconds);
  view.setUint32(8, seal.sequence.rest);
  bytes.set(digest(bytes, advert.length, context, seal), advert.length + DIGEST_AT);
  return bytes;
}

/**
 * The sequence of a trailer that is there and genuine. `size` is where the advert ends. Replay and clock are for the
 * caller to judge: it alone knows what it heard before.
 */
export function openHmac(
  bytes: Uint8Array,
  size: number,
  context: SignedContext,
  { keys, digests }: { keys: ReadonlyMap<number, Uint8Array>; digests: Digests },
): Result<Sequence, HmacError> {
  // Padding of a short frame is zero, and no trailer begins so.
  if (bytes.length === size || bytes[size] === 0) return fail("hmac-missing");
  if (bytes.length < size + TRAILER_SIZE) return fail("hmac-malformed");
  const view = new DataView(bytes.buffer, bytes.byteOffset + size, TRAILER_SIZE);
  if (view.getUint8(0) !== TYPE_HMAC_SHA256 || view.getUint16(2) !== 0)
    return fail("hmac-malformed");
  const key = keys.get(view.getUint8(1));
  if (key === undefined) return fail("hmac-unknown-key");
  const expected = digest(bytes, size, context, { key, digests });
  const given = bytes.subarray(size + DIGEST_AT, size + TRAILER_SIZE);
  if (!equalSecrets(given, expected)) return fail("hmac-mismatch");
  return ok({ seconds: view.getUint32(4), rest: view.getUint32(8) });
}

/** Over a pseudo header, the advert with its checksum as zero, and the trailer with its digest as zero. */
function digest(
  bytes: Uint8Array,
  size: number,
  { version, family, vrid, from }: SignedContext,
  { key, digests }: { key: Uint8Array; digests: Digests },
): Uint8Array {
  const data = new Uint8Array(PSEUDO_SIZE + size + TRAILER_SIZE);
  data[0] = family;
  data[1] = version;
  data[2] = vrid;
  writeAddress(data, 4, from);
  data.set(bytes.subarray(0, size + DIGEST_AT), PSEUDO_SIZE);
  data[PSEUDO_SIZE + CHECKSUM_AT] = 0;
  data[PSEUDO_SIZE + CHECKSUM_AT + 1] = 0;
  return digests.hmacSha256(key, data).slice(0, TRAILER_SIZE - DIGEST_AT);
}

const TYPE_HMAC_SHA256 = 1;
const DIGEST_AT = 12;
const PSEUDO_SIZE = 20;
const CHECKSUM_AT = 6;
