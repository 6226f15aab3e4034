/**
 * Text of a file's bytes, by UTF-8; a byte that is none stays as the character of its number, so that nothing in a
 * file is lost.
 */
export function latin1ToUtf8(bytes: Uint8Array): string {
  let text = "";
  for (let at = 0; at < bytes.length; ) {
    const byte = bytes[at] as number;
    const size = byte < 0x80 ? 1 : byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 1;
    let code = size === 1 ? byte : byte & (0xff >> (size + 1));
    let isValid = at + size <= bytes.length;
    for (let i = 1; i < size && isValid; i++) {
      const next = bytes[at + i] as number;
      isValid = (next & 0xc0) === 0x80;
      code = (code << 6) | (next & 0x3f);
    }
    text += String.fromCodePoint(isValid && code <= 0x10ffff ? code : byte);
    at += isValid ? size : 1;
  }
  return text;
}
