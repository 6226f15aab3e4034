import { formatAddress } from "@ha/base";
import type { Scratch } from "../http/message.ts";

/**
 * Types of samples, in HAProxy's words. `ADDR` and `ANY` are never the type of a sample: they say of a fetch that
 * the family (or the whole type) is known at run time only. HAProxy configuration manual §7.
 */
export const BOOL = 1;
export const SINT = 2;
export const IPV4 = 3;
export const IPV6 = 4;
export const STR = 5;
export const BIN = 6;
export const METH = 7;
export const ADDR = 8;
export const ANY = 9;
export type SampleType = 1 | 2 | 3 | 4 | 5 | 6 | 7;
export type DeclaredType = SampleType | 8 | 9;

/** As the manual and messages write the types; the index is the type. */
export const TYPE_NAMES = [
  "none",
  "bool",
  "sint",
  "ipv4",
  "ipv6",
  "str",
  "bin",
  "meth",
  "addr",
  "any",
] as const;

/**
 * One value on its way from a fetch through converters to a condition, a log line or an action. Mutable and
 * reused: an expression fills it anew, so nothing of it may be kept.
 *
 * Texts, addresses (4 or 16 bytes, network order), methods (their name) and binary data are `bytes[start, end)`:
 * usually the slab, sometimes a constant made at load. Never write into `bytes`; a converter that changes
 * bytes writes the result into scratch (see `room`).
 */
export interface Sample {
  type: SampleType;
  bytes: Uint8Array;
  start: number;
  end: number;
  /** Of BOOL (0 or 1) and SINT; rounded when `wide` is set. */
  int: number;
  /** The exact value of an integer beyond 2^53, which HAProxy's 64 bits hold and a number does not. */
  wide: bigint | undefined;
  /** Set by a fetch that may find another occurrence when called again with the same `cursor`. */
  more: boolean;
  /** Where a fetch with several occurrences goes on; 0 before the first. */
  cursor: number;
  /** More bytes from the peer may still change it: a condition on it that fails is not yet false. */
  mayChange: boolean;
}

export function createSample(): Sample {
  return {
    type: BOOL,
    bytes: NO_BYTES,
    start: 0,
    end: 0,
    int: 0,
    wide: undefined,
    more: false,
    cursor: 0,
    mayChange: false,
  };
}

export const NO_BYTES = new Uint8Array(0);

export function setBool(sample: Sample, value: boolean): true {
  sample.type = BOOL;
  sample.int = value ? 1 : 0;
  sample.wide = undefined;
  return true;
}

export function setInt(sample: Sample, value: number): true {
  sample.type = SINT;
  sample.int = value;
  sample.wide = undefined;
  return true;
}

/** Any 64-bit value; saturates as HAProxy does. */
export function setWide(sample: Sample, value: bigint): true {
  const clamped = value > INT64_MAX ? INT64_MAX : value < INT64_MIN ? INT64_MIN : value;
  sample.type = SINT;
  sample.int = Number(clamped);
  sample.wide = Number.isSafeInteger(sample.int) ? undefined : clamped;
  return true;
}

export const INT64_MAX = 2n ** 63n - 1n;
export const INT64_MIN = -(2n ** 63n);

export function setRange(
  sample: Sample,
  type: SampleType,
  bytes: Uint8Array,
  start: number,
  end: number,
): true {
  sample.type = type;
  sample.bytes = bytes;
  sample.start = start;
  sample.end = end;
  return true;
}

export function setBytes(sample: Sample, type: SampleType, bytes: Uint8Array): true {
  return setRange(sample, type, bytes, 0, bytes.length);
}

/** The slow way, for results that are texts anyway (dates, JSON): one byte a character. */
export function setText(sample: Sample, text: string): true {
  return setBytes(sample, STR, encodeText(text));
}

/** Whether the type's value is in `int` and not in bytes. */
export function isNumeric(type: number): boolean {
  return type === BOOL || type === SINT;
}

/** The value of BOOL and SINT as HAProxy's 64 bits have it. */
export function wideValue(sample: Sample): bigint {
  return sample.wide ?? BigInt(Math.trunc(sample.int));
}

/** Decimal text of BOOL or SINT. */
export function intText(sample: Sample): string {
  return sample.wide === undefined ? String(sample.int) : String(sample.wide);
}

/**
 * Bytes as text, one character a byte (Latin-1), so that no byte is lost; `encodeBytes` is its inverse. For slow
 * paths: regular expressions, JSON, dates.
 */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  let text = "";
  for (let at = start; at < end; at += 4096) {
    text += String.fromCharCode(...bytes.subarray(at, Math.min(end, at + 4096)));
  }
  return text;
}

/** One byte a character: the inverse of `latin1`. */
export function encodeBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i) & 0xff;
  return bytes;
}

/** Bytes of a text from the configuration file, which has one character a byte. */
export function encodeText(text: string): Uint8Array {
  return encodeBytes(text);
}

/** The sample as text (Latin-1), whatever its type: for slow paths and tests. */
export function sampleText(sample: Sample): string {
  switch (sample.type) {
    case BOOL:
    case SINT:
      return intText(sample);
    case IPV4:
    case IPV6:
      return formatAddress({
        family: sample.type === IPV4 ? 4 : 6,
        bytes: sample.bytes.slice(sample.start, sample.end),
      });
    default:
      return latin1(sample.bytes, sample.start, sample.end);
  }
}

/**
 * Gives an offset in the slab where `size` bytes may be written, or -1 when there is no room: the converter then
 * finds no sample, as HAProxy's does when its trash buffer is too small. Advances `scratch.used` by itself.
 */
export function room(scratch: Scratch, size: number): number {
  if (!scratch.reserve(size)) return -1;
  const at = scratch.used;
  scratch.used = at + size;
  return at;
}
