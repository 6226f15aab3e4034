import { formatAddress, parseAddress } from "@ha/base";
import type { Transaction } from "../transaction.ts";
import {
  ADDR,
  ANY,
  BIN,
  BOOL,
  type DeclaredType,
  INT64_MAX,
  INT64_MIN,
  IPV4,
  IPV6,
  intText,
  isNumeric,
  latin1,
  METH,
  room,
  type Sample,
  type SampleType,
  SINT,
  STR,
  setBytes,
  setInt,
  setWide,
  wideValue,
} from "./sample.ts";

/** Whether a value of one type can become one of the other at all; for what only running tells, true. */
export function castsTo(from: DeclaredType, to: DeclaredType): boolean {
  if (from === to || from === ANY || to === ANY) return true;
  switch (to) {
    case BOOL:
    case SINT:
      // Addresses of unknown family may be IPv4, which is a number.
      return isNumeric(from) || from === IPV4 || from === ADDR || from === STR;
    case IPV4:
    case IPV6:
    case ADDR:
      return from === IPV4 || from === IPV6 || from === ADDR || from === STR || from === SINT;
    case STR:
      return true;
    case BIN:
      return from !== METH;
    default:
      return from === STR;
  }
}

/**
 * Turns the sample into `to`, as HAProxy's table of casts does. False: this value cannot become that. Numbers as
 * texts are decimal; as binary 8 bytes, network order. Observed: haproxy 2.6.
 */
export function castChecked(sample: Sample, to: DeclaredType, transaction: Transaction): boolean {
  const from = sample.type;
  if (from === to || to === ANY) return true;
  switch (to) {
    case BOOL:
    case SINT:
      return toNumber(sample, to);
    case IPV4:
    case IPV6:
    case ADDR:
      return toAddress(sample, to);
    case STR:
      return toStr(sample, transaction);
    case BIN:
      return toBin(sample, transaction);
    default:
      sample.type = METH;
      return from === STR;
  }
}

function toNumber(sample: Sample, to: SampleType): boolean {
  switch (sample.type) {
    case BOOL:
    case SINT:
      break;
    case IPV4: {
      const { bytes, start } = sample;
      let value = 0;
      for (let i = 0; i < 4; i++) value = value * 256 + (bytes[start + i] as number);
      setInt(sample, value);
      break;
    }
    case STR:
      readInteger(sample);
      break;
    default:
      return false;
  }
  if (to === BOOL && sample.int !== 0) sample.int = 1;
  sample.type = to;
  return true;
}

/** The number that a text begins with; 0 when it begins with none. Saturates at 64 bits. */
export function readInteger(sample: Sample): void {
  const { bytes, start, end } = sample;
  let at = start;
  const negative = bytes[at] === 0x2d && at < end;
  if (negative || (bytes[at] === 0x2b && at < end)) at++;
  let value = 0;
  const first = at;
  for (; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) break;
    value = value * 10 + digit;
  }
  if (value <= Number.MAX_SAFE_INTEGER) {
    setInt(sample, negative && value !== 0 ? -value : value);
    return;
  }
  // Digits beyond what fits are dropped before BigInt: a peer must not make us multiply megabytes.
  if (at - first > 19) {
    setWide(sample, negative ? INT64_MIN : INT64_MAX);
    return;
  }
  const wide = BigInt(latin1(bytes, first, at));
  setWide(sample, negative ? -wide : wide);
}

function toAddress(sample: Sample, to: DeclaredType): boolean {
  switch (sample.type) {
    case IPV4: {
      if (to !== IPV6) return true;
      const mapped = new Uint8Array(16);
      mapped.fill(0xff, 10, 12);
      mapped.set(sample.bytes.subarray(sample.start, sample.end), 12);
      return setBytes(sample, IPV6, mapped);
    }
    case IPV6:
      if (to !== IPV4) return true;
      if (!isMapped(sample.bytes, sample.start)) return false;
      sample.type = IPV4;
      sample.start += 12;
      return true;
    case BOOL:
    case SINT: {
      const four = new Uint8Array(4);
      new DataView(four.buffer).setUint32(0, sample.int);
      setBytes(sample, IPV4, four);
      return toAddress(sample, to);
    }
    case STR: {
      if (sample.end - sample.start > LONGEST_ADDRESS) return false;
      const address = parseAddress(latin1(sample.bytes, sample.start, sample.end));
      if (address === undefined) return false;
      setBytes(sample, address.family === 4 ? IPV4 : IPV6, address.bytes);
      return toAddress(sample, to);
    }
    default:
      return false;
  }
}

const LONGEST_ADDRESS = 45;

function isMapped(bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < 10; i++) if (bytes[start + i] !== 0) return false;
  return bytes[start + 10] === 0xff && bytes[start + 11] === 0xff;
}

function toStr(sample: Sample, transaction: Transaction): boolean {
  switch (sample.type) {
    case BOOL:
    case SINT:
      return writeText(sample, intText(sample), transaction);
    case IPV4:
      return writeIpv4(sample, transaction);
    case IPV6:
      return writeText(sample, addressText(sample), transaction);
    default:
      sample.type = STR;
      return true;
  }
}

function addressText(sample: Sample): string {
  return formatAddress({ family: 6, bytes: sample.bytes.slice(sample.start, sample.end) });
}

/** Puts an ASCII text into scratch. */
export function writeText(sample: Sample, text: string, transaction: Transaction): boolean {
  const at = room(transaction.scratch, text.length);
  if (at < 0) return false;
  const { bytes } = transaction;
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  sample.type = STR;
  sample.bytes = bytes;
  sample.start = at;
  sample.end = at + text.length;
  return true;
}

function writeIpv4(sample: Sample, transaction: Transaction): boolean {
  const start = room(transaction.scratch, 15);
  if (start < 0) return false;
  const out = transaction.bytes;
  let at = start;
  for (let i = 0; i < 4; i++) {
    const value = sample.bytes[sample.start + i] as number;
    if (i > 0) out[at++] = 0x2e;
    if (value >= 100) out[at++] = 0x30 + Math.trunc(value / 100);
    if (value >= 10) out[at++] = 0x30 + (Math.trunc(value / 10) % 10);
    out[at++] = 0x30 + (value % 10);
  }
  transaction.scratch.used = at;
  sample.type = STR;
  sample.bytes = out;
  sample.start = start;
  sample.end = at;
  return true;
}

function toBin(sample: Sample, transaction: Transaction): boolean {
  if (!isNumeric(sample.type)) {
    sample.type = BIN;
    return true;
  }
  const at = room(transaction.scratch, 8);
  if (at < 0) return false;
  const wide = BigInt.asUintN(64, wideValue(sample));
  const { bytes } = transaction;
  for (let i = 0; i < 8; i++) bytes[at + i] = Number((wide >> BigInt(8 * (7 - i))) & 0xffn);
  sample.type = BIN;
  sample.bytes = bytes;
  sample.start = at;
  sample.end = at + 8;
  return true;
}
