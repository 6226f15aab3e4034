/** Lower case, ASCII letters only. */
export function foldByte(byte: number): number {
  return byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
}

export function fold(bytes: Uint8Array): Uint8Array {
  return bytes.map(foldByte);
}
