/** xxHash's 32-bit function (version 0.8 of the specification). Unsigned. */
export function xxh32(bytes: Uint8Array, start: number, end: number, seed: number): number {
  const length = end - start;
  let at = start;
  let hash: number;
  if (length >= 16) {
    let v1 = (seed + P32_1 + P32_2) | 0;
    let v2 = (seed + P32_2) | 0;
    let v3 = seed | 0;
    let v4 = (seed - P32_1) | 0;
    for (; at + 16 <= end; at += 16) {
      v1 = round32(v1, read32(bytes, at));
      v2 = round32(v2, read32(bytes, at + 4));
      v3 = round32(v3, read32(bytes, at + 8));
      v4 = round32(v4, read32(bytes, at + 12));
    }
    hash = (rotate32(v1, 1) + rotate32(v2, 7) + rotate32(v3, 12) + rotate32(v4, 18)) | 0;
  } else hash = (seed + P32_5) | 0;
  hash = (hash + length) | 0;
  for (; at + 4 <= end; at += 4) {
    hash = Math.imul(rotate32((hash + Math.imul(read32(bytes, at), P32_3)) | 0, 17), P32_4);
  }
  for (; at < end; at++) {
    hash = Math.imul(rotate32((hash + Math.imul(bytes[at] as number, P32_5)) | 0, 11), P32_1);
  }
  hash = Math.imul(hash ^ (hash >>> 15), P32_2);
  hash = Math.imul(hash ^ (hash >>> 13), P32_3);
  return (hash ^ (hash >>> 16)) >>> 0;
}

const P32_1 = 0x9e3779b1 | 0;
const P32_2 = 0x85ebca77 | 0;
const P32_3 = 0xc2b2ae3d | 0;
const P32_4 = 0x27d4eb2f | 0;
const P32_5 = 0x165667b1 | 0;

function round32(lane: number, input: number): number {
  return Math.imul(rotate32((lane + Math.imul(input, P32_2)) | 0, 13), P32_1);
}

function rotate32(value: number, by: number): number {
  return (value << by) | (value >>> (32 - by));
}

function read32(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

/** xxHash's 64-bit function. Unsigned. */
export function xxh64(bytes: Uint8Array, start: number, end: number, seed: bigint): bigint {
  const length = end - start;
  let at = start;
  let hash: bigint;
  if (length >= 32) {
    let v1 = mask(seed + P64_1 + P64_2);
    let v2 = mask(seed + P64_2);
    let v3 = mask(seed);
    let v4 = mask(seed - P64_1);
    for (; at + 32 <= end; at += 32) {
      v1 = round64(v1, read64(bytes, at));
      v2 = round64(v2, read64(bytes, at + 8));
      v3 = round64(v3, read64(bytes, at + 16));
      v4 = round64(v4, read64(bytes, at + 24));
    }
    hash = mask(rotate64(v1, 1n) + rotate64(v2, 7n) + rotate64(v3, 12n) + rotate64(v4, 18n));
    for (const lane of [v1, v2, v3, v4]) hash = mask((hash ^ round64(0n, lane)) * P64_1 + P64_4);
  } else hash = mask(seed + P64_5);
  hash = mask(hash + BigInt(length));
  for (; at + 8 <= end; at += 8) {
    hash = mask(rotate64(hash ^ round64(0n, read64(bytes, at)), 27n) * P64_1 + P64_4);
  }
  if (at + 4 <= end) {
    hash = mask(
      rotate64(hash ^ mask(BigInt(read32(bytes, at) >>> 0) * P64_1), 23n) * P64_2 + P64_3,
    );
    at += 4;
  }
  for (; at < end; at++) {
    hash = mask(rotate64(hash ^ mask(BigInt(bytes[at] as number) * P64_5), 11n) * P64_1);
  }
  hash = mask((hash ^ (hash >> 33n)) * P64_2);
  hash = mask((hash ^ (hash >> 29n)) * P64_3);
  return hash ^ (hash >> 32n);
}

export const P64_1 = 0x9e3779b185ebca87n;
export const P64_2 = 0xc2b2ae3d27d4eb4fn;
export const P64_3 = 0x165667b19e3779f9n;
export const P64_4 = 0x85ebca77c2b2ae63n;
export const P64_5 = 0x27d4eb2f165667c5n;

const MASK = 0xffffffffffffffffn;

export function mask(value: bigint): bigint {
  return value & MASK;
}

function round64(lane: bigint, input: bigint): bigint {
  return mask(rotate64(mask(lane + input * P64_2), 31n) * P64_1);
}

export function rotate64(value: bigint, by: bigint): bigint {
  return mask((value << by) | (value >> (64n - by)));
}

export function read64(bytes: Uint8Array, at: number): bigint {
  return BigInt(read32(bytes, at) >>> 0) | (BigInt(read32(bytes, at + 4) >>> 0) << 32n);
}

export function read32u(bytes: Uint8Array, at: number): bigint {
  return BigInt(read32(bytes, at) >>> 0);
}
