/** CRC-32 as in Ethernet, gzip and PNG. Unsigned. */
export function crc32(bytes: Uint8Array, start: number, end: number): number {
  return remainder(ETHERNET, bytes, start, end);
}

/** CRC-32C (Castagnoli). RFC 4960 appendix B. Unsigned. */
export function crc32c(bytes: Uint8Array, start: number, end: number): number {
  return remainder(CASTAGNOLI, bytes, start, end);
}

function remainder(table: Int32Array, bytes: Uint8Array, start: number, end: number): number {
  let crc = -1;
  for (let at = start; at < end; at++) {
    crc = (table[(crc ^ (bytes[at] as number)) & 0xff] as number) ^ (crc >>> 8);
  }
  return ~crc >>> 0;
}

function tableOf(polynomial: number): Int32Array {
  return Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ polynomial : crc >>> 1;
    return crc;
  });
}

const ETHERNET = tableOf(0xedb88320);
const CASTAGNOLI = tableOf(0x82f63b78);
