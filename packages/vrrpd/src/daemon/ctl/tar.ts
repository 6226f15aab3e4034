/** A file of an archive. */
export interface TarFile {
  /** At most 100 bytes. */
  readonly name: string;
  readonly data: Buffer;
}

/** An archive that every tar reads: headers of POSIX.1-1988, mode 0600, owner root. */
export function tarOf(files: readonly TarFile[], seconds: number): Buffer {
  const pieces = files.flatMap(({ name, data }) => {
    const header = Buffer.alloc(BLOCK);
    header.write(name, 0, 100, "utf8");
    header.write("0000600\0", 100, "latin1");
    header.write("0000000\0", 108, "latin1");
    header.write("0000000\0", 116, "latin1");
    header.write(`${octal(data.length, 11)}\0`, 124, "latin1");
    header.write(`${octal(seconds, 11)}\0`, 136, "latin1");
    // The sum is made with blanks in its own place.
    header.write("        ", 148, "latin1");
    header.write("0", 156, "latin1");
    header.write("ustar\x0000", 257, "latin1");
    header.write("root\0", 265, "latin1");
    header.write("root\0", 297, "latin1");
    let sum = 0;
    for (const byte of header) sum += byte;
    header.write(`${octal(sum, 6)}\0 `, 148, "latin1");
    const padding = Buffer.alloc((BLOCK - (data.length % BLOCK)) % BLOCK);
    return [header, data, padding];
  });
  return Buffer.concat([...pieces, Buffer.alloc(2 * BLOCK)]);
}

const BLOCK = 512;

function octal(value: number, digits: number): string {
  return Math.floor(value).toString(8).padStart(digits, "0");
}
