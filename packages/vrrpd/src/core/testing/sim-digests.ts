import type { Digests } from "../ports.ts";

/** Keyed, and different for different bytes, which is all a simulation asks; no cryptography. */
export const SIM_DIGESTS: Digests = {
  hmacSha256: (key, data) => simDigest(key, data, 32),
  hmacMd5: (key, data) => simDigest(key, data, 16),
};

function simDigest(key: Uint8Array, data: Uint8Array, size: number): Uint8Array {
  let a = 0x811c9dc5;
  let b = 0x01000193;
  for (const part of [key, data]) {
    for (const byte of part) {
      a = Math.imul(a ^ byte, 0x01000193);
      b = Math.imul(b + byte, 0x85ebca6b) ^ (b >>> 13);
    }
  }
  const bytes = new Uint8Array(size);
  for (let i = 0; i < size; i++) bytes[i] = (i & 1 ? a : b) >>> (((i >> 1) * 7) % 25);
  return bytes;
}
