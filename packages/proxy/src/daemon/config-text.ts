/** Configuration text is one character a byte; so are paths in it. */
export function bytesOf(text: string): Buffer {
  return Buffer.from(text, "latin1");
}

/** What Node read as UTF-8 (arguments, environment), as configuration text has it. */
export function configText(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}
