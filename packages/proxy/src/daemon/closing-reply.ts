/** The message with `connection: close` among its fields. */
export function closingReply(message: Uint8Array): Uint8Array {
  if (message.length === 0) return message;
  const known = closing.get(message);
  if (known !== undefined) return known;
  let at = 0;
  while (at + 3 < message.length && !(message[at] === 0x0d && message[at + 2] === 0x0d)) at++;
  const word = new TextEncoder().encode("\r\nconnection: close");
  const out = new Uint8Array(message.length + word.length);
  out.set(message.subarray(0, at));
  out.set(word, at);
  out.set(message.subarray(at), at + word.length);
  closing.set(message, out);
  return out;
}

const closing = new WeakMap<Uint8Array, Uint8Array>();
