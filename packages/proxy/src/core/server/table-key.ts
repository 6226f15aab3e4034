import { castChecked } from "../sample/cast.ts";
import {
  BIN,
  IPV4,
  IPV6,
  room,
  type Sample,
  type SampleType,
  SINT,
  STR,
} from "../sample/sample.ts";
import type { Transaction } from "../transaction.ts";
import type { StickTable, StickTableSpec } from "./stick-table.ts";

/** The type of sample that a table's keys are made of. */
export const KEY_TYPES: Readonly<Record<StickTableSpec["type"], SampleType>> = {
  ip: IPV4,
  ipv6: IPV6,
  integer: SINT,
  string: STR,
  binary: BIN,
};

/**
 * Turns the sample into the bytes of a key of the table: integers are 4 bytes, binaries padded with zeros. False
 * when its value cannot be one. An empty string is no key, as in HAProxy.
 */
export function makeKey(sample: Sample, table: StickTable, transaction: Transaction): boolean {
  const { type, keySize } = table.spec;
  if (!castChecked(sample, KEY_TYPES[type], transaction)) return false;
  if (type === "integer") {
    const at = room(transaction.scratch, 4);
    if (at < 0) return false;
    const { bytes } = transaction;
    const value = (sample.int % 2 ** 32) >>> 0;
    bytes[at] = value >>> 24;
    bytes[at + 1] = value >>> 16;
    bytes[at + 2] = value >>> 8;
    bytes[at + 3] = value;
    sample.bytes = bytes;
    sample.start = at;
    sample.end = at + 4;
    return true;
  }
  const size = sample.end - sample.start;
  if (size === 0) return false;
  if (type !== "binary" || size >= keySize) return true;
  const at = room(transaction.scratch, keySize);
  if (at < 0) return false;
  const { bytes } = transaction;
  for (let i = 0; i < keySize; i++) {
    bytes[at + i] = i < size ? (sample.bytes[sample.start + i] as number) : 0;
  }
  sample.bytes = bytes;
  sample.start = at;
  sample.end = at + keySize;
  return true;
}
