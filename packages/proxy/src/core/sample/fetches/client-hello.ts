import { latin1 } from "../sample.ts";

export const HELLO_INCOMPLETE = -1;
export const HELLO_NONE = 0;

/** What a TLS ClientHello says before any key is known. RFC 8446 §4.1.2, RFC 6066 §3, RFC 7301. */
export interface ClientHello {
  /** Handshake type: 1 is ClientHello. */
  readonly type: number;
  /** 65536 for each major number, 1 for each minor: 3.1 is TLS 1.0. */
  readonly version: number;
  readonly sniStart: number;
  readonly sniEnd: number;
  /** The protocol that is offered first; "" for none. */
  readonly alpn: string;
  readonly curves: boolean;
  /** 0 no ticket extension, 1 empty, 2 with a ticket. */
  readonly ticket: number;
}

/** Reads a ClientHello in its first record. Lengths that reach past the record end the reading, never an exception. */
export function clientHello(
  bytes: Uint8Array,
  start: number,
  end: number,
): ClientHello | typeof HELLO_INCOMPLETE | typeof HELLO_NONE {
  if (end - start < 6) return end > start && bytes[start] !== 0x16 ? HELLO_NONE : HELLO_INCOMPLETE;
  if (bytes[start] !== 0x16 || bytes[start + 1] !== 3) return HELLO_NONE;
  const recordEnd = start + 5 + two(bytes, start + 3);
  const type = bytes[start + 5] as number;
  if (type !== 1) return HELLO_NONE;
  if (recordEnd > end) return HELLO_INCOMPLETE;
  if (recordEnd - start < 44) return HELLO_NONE;
  const version = ((bytes[start + 9] as number) << 16) | (bytes[start + 10] as number);

  let at = start + 43;
  at += 1 + (bytes[at] as number);
  if (at + 2 > recordEnd) return HELLO_NONE;
  at += 2 + two(bytes, at);
  if (at + 1 > recordEnd) return HELLO_NONE;
  at += 1 + (bytes[at] as number);
  let hello: ClientHello = {
    type,
    version,
    sniStart: 0,
    sniEnd: 0,
    alpn: "",
    curves: false,
    ticket: 0,
  };
  if (at + 2 > recordEnd) return hello;
  const extensionsEnd = Math.min(recordEnd, at + 2 + two(bytes, at));
  for (at += 2; at + 4 <= extensionsEnd; ) {
    const id = two(bytes, at);
    const from = at + 4;
    const to = from + two(bytes, at + 2);
    if (to > extensionsEnd) break;
    hello = withExtension(hello, id, bytes, from, to);
    at = to;
  }
  return hello;
}

function withExtension(
  hello: ClientHello,
  id: number,
  bytes: Uint8Array,
  from: number,
  to: number,
): ClientHello {
  switch (id) {
    case SERVER_NAME: {
      // List length (2), type (1, 0 is a host name), length (2), name.
      if (to - from < 5 || bytes[from + 2] !== 0) return hello;
      const end = from + 5 + two(bytes, from + 3);
      return end > to ? hello : { ...hello, sniStart: from + 5, sniEnd: end };
    }
    case ALPN: {
      // List length (2), then a length and a name each.
      const at = from + 3;
      const end = at + (bytes[from + 2] ?? 0);
      return at > to || end > to ? hello : { ...hello, alpn: latin1(bytes, at, end) };
    }
    case GROUPS:
      return { ...hello, curves: true };
    case SESSION_TICKET:
      return { ...hello, ticket: to > from ? 2 : 1 };
    default:
      return hello;
  }
}

const SERVER_NAME = 0;
const GROUPS = 10;
const ALPN = 16;
const SESSION_TICKET = 35;

function two(bytes: Uint8Array, at: number): number {
  return ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
}
