/**
 * Text of a file's bytes, by UTF-8; a byte that is none stays as the character of its number, so that nothing in a
 * file is lost.
 */
export function decodeUtf8(bytes: Uint8Array): string {
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

/** UTF-8 of a text of Unicode characters, as JSON gives them. */
export function encodeUtf8(text: string): Uint8Array {
  const bytes: number[] = [];
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0;
    if (code < 0x80) bytes.push(code);
    else if (code < 0x800) bytes.push(0xc0 | (code >> 6), 0x80 | (code & 63));
    else if (code < 0x10000) {
      bytes.push(0xe0 | (code >> 12), 0x80 | ((code >> 6) & 63), 0x80 | (code & 63));
    } else {
      bytes.push(
        0xf0 | (code >> 18),
        0x80 | ((code >> 12) & 63),
        0x80 | ((code >> 6) & 63),
        0x80 | (code & 63),
      );
    }
  }
  return Uint8Array.from(bytes);
}
