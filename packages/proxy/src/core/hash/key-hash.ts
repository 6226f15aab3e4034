import { crc32 } from "./crc32.ts";

/** The functions of `hash-type`, over a byte range. All give unsigned 32 bits, the same as HAProxy's. */
export type KeyHash = (bytes: Uint8Array, start: number, end: number) => number;

/** One byte more of an sdbm hash: c + (hash << 6) + (hash << 16) - hash. */
export function sdbmStep(hash: number, byte: number): number {
  return (byte + (hash << 6) + (hash << 16) - hash) | 0;
}

/** From the sdbm library. HAProxy's default. */
export const sdbm: KeyHash = (bytes, start, end) => {
  let hash = 0;
  for (let at = start; at < end; at++) hash = sdbmStep(hash, bytes[at] as number);
  return hash >>> 0;
};

/** Daniel Bernstein's: hash * 33 + c from 5381. */
export const djb2: KeyHash = (bytes, start, end) => {
  let hash = 5381;
  for (let at = start; at < end; at++) hash = ((hash << 5) + hash + (bytes[at] as number)) | 0;
  return hash >>> 0;
};

/** Willy Tarreau's WT6: rotations chosen by the data. */
export const wt6: KeyHash = (bytes, start, end) => {
  let h0 = 0xa53c965a | 0;
  let h1 = 0x5ca6953a | 0;
  let step0 = 6;
  let step1 = 18;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    h0 = ~(h0 ^ byte);
    h1 = ~(h1 + byte);
    const turned = rotate(h1, step0);
    h1 = rotate(h0, step1);
    h0 = turned;
    const steps = ((h0 >>> 16) ^ h1) & 0xffff;
    step0 = steps & 0x1f;
    step1 = steps >>> 11;
  }
  return (h0 ^ h1) >>> 0;
};

function rotate(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

/** `none`: the key's own decimal number. Anything else reads as its leading digits, 0 without. */
export const none: KeyHash = (bytes, start, end) => {
  let value = 0;
  for (let at = start; at < end; at++) {
    const digit = (bytes[at] as number) - 0x30;
    if (digit < 0 || digit > 9) break;
    value = (Math.imul(value, 10) + digit) | 0;
  }
  return value >>> 0;
};

export const KEY_HASHES: Readonly<Record<"sdbm" | "djb2" | "wt6" | "crc32" | "none", KeyHash>> = {
  sdbm,
  djb2,
  wt6,
  crc32,
  none,
};
