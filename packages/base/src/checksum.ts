/**
 * The Internet checksum (RFC 1071) over several ranges as if they were one. Every range but the last must
 * have an even length. Summing bytes that contain their own correct checksum gives 0.
 */
export function internetChecksum(...ranges: readonly Uint8Array[]): number {
  let sum = 0;
  for (const bytes of ranges) {
    const even = bytes.length & ~1;
    for (let i = 0; i < even; i += 2) {
      sum += ((bytes[i] as number) << 8) | (bytes[i + 1] as number);
    }
    if (even < bytes.length) sum += (bytes[even] as number) << 8;
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
  return ~sum & 0xffff;
}
