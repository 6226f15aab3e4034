import { createRequire } from "node:module";
import type * as Netlink from "netlink";
import { LITTLE_ENDIAN } from "./socket-door.ts";

const require = createRequire(import.meta.url);
let loaded: typeof Netlink | undefined;

/**
 * The package `netlink`: codec of rtnetlink, and the socket that requests go through. Loaded when first needed, and in
 * the main thread only (observed: it aborts the process at the end of a worker thread).
 */
export function netlinkPackage(): typeof Netlink {
  loaded ??= require("netlink") as typeof Netlink;
  return loaded;
}

/** Header and attributes of one message body, by the package's writer. */
export class BodyWriter {
  readonly #stream = new (netlinkPackage().AttrStream)();

  /** The fixed part, first. */
  struct(bytes: Uint8Array): this {
    this.#stream.emit(bytes);
    return this;
  }

  bytes(type: number, value: Uint8Array | undefined): this {
    if (value !== undefined) this.#stream.push(type, value);
    return this;
  }

  u8(type: number, value: number | undefined): this {
    return this.bytes(type, value === undefined ? undefined : Uint8Array.of(value));
  }

  u16(type: number, value: number | undefined): this {
    return this.bytes(type, value === undefined ? undefined : hostOrder(2, value));
  }

  u32(type: number, value: number | undefined): this {
    return this.bytes(type, value === undefined ? undefined : hostOrder(4, value));
  }

  /** With a NUL at its end. */
  text(type: number, value: string | undefined): this {
    return this.bytes(type, value === undefined ? undefined : zeroTerminated(value));
  }

  /** Attributes within an attribute. `flagged`: with NLA_F_NESTED, which newer parts of the kernel insist on. */
  nested(type: number, write: (inner: BodyWriter) => void, flagged = false): this {
    const inner = new BodyWriter();
    write(inner);
    const body = inner.finish();
    if (!flagged) return this.bytes(type, body);
    const header = new Uint8Array(4 + body.length + (-body.length & 3));
    const view = new DataView(header.buffer);
    view.setUint16(0, 4 + body.length, LITTLE_ENDIAN);
    view.setUint16(2, type | NLA_F_NESTED, LITTLE_ENDIAN);
    header.set(body, 4);
    // The package's writer masks the flag away, so the whole attribute is written as it is, aligned already.
    this.#align();
    this.#stream.emit(header);
    return this;
  }

  finish(): Uint8Array {
    const pieces = this.#stream.bufs;
    const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }

  #align(): void {
    const length = this.#stream.bufs.reduce((sum, piece) => sum + piece.length, 0);
    if (length % 4 !== 0) this.#stream.emit(new Uint8Array(4 - (length % 4)));
  }
}

const NLA_F_NESTED = 0x8000;
const NLA_TYPE_MASK = 0x3fff;

/** Attributes by type (a later one of a type wins). Never throws: stops where the bytes make no sense. */
export function readAttributes(bytes: Uint8Array): Map<number, Uint8Array> {
  const attributes = new Map<number, Uint8Array>();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + 4 <= bytes.length) {
    const length = view.getUint16(at, LITTLE_ENDIAN);
    if (length < 4 || at + length > bytes.length) break;
    const type = view.getUint16(at + 2, LITTLE_ENDIAN) & NLA_TYPE_MASK;
    attributes.set(type, bytes.subarray(at + 4, at + length));
    at += (length + 3) & ~3;
  }
  return attributes;
}

/** Numbers and texts of attributes; undefined when the attribute is missing or too short. */
export function u32Of(bytes: Uint8Array | undefined): number | undefined {
  if (bytes === undefined || bytes.length < 4) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, LITTLE_ENDIAN);
}

export function textOf(bytes: Uint8Array | undefined): string | undefined {
  if (bytes === undefined) return undefined;
  const end = bytes.indexOf(0);
  return new TextDecoder().decode(end < 0 ? bytes : bytes.subarray(0, end));
}

export function hostOrder(size: 2 | 4, value: number): Uint8Array {
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  if (size === 2) view.setUint16(0, value, LITTLE_ENDIAN);
  else view.setUint32(0, value, LITTLE_ENDIAN);
  return bytes;
}

export function zeroTerminated(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

/** Message types and flags. linux/rtnetlink.h, linux/netlink.h. */
export const RTM = {
  newLink: 16,
  delLink: 17,
  getLink: 18,
  setLink: 19,
  newAddress: 20,
  delAddress: 21,
  getAddress: 22,
  newRoute: 24,
  delRoute: 25,
  newRule: 32,
  delRule: 33,
} as const;
export const NLM_F_REQUEST = 0x01;
export const NLM_F_ACK = 0x04;
export const NLM_F_DUMP_INTERRUPTED = 0x10;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCLUSIVE = 0x200;
export const NLM_F_DUMP = 0x300;
export const NLM_F_CREATE = 0x400;
export const NLM_F_APPEND = 0x800;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLMSG_HEADER_SIZE = 16;

/** One message with its header, as the guard and our own sockets send it. */
export function netlinkMessage(message: {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly body: Uint8Array;
}): Uint8Array {
  const bytes = new Uint8Array(NLMSG_HEADER_SIZE + ((message.body.length + 3) & ~3));
  const view = new DataView(bytes.buffer);
  view.setUint32(0, NLMSG_HEADER_SIZE + message.body.length, LITTLE_ENDIAN);
  view.setUint16(4, message.type, LITTLE_ENDIAN);
  view.setUint16(6, message.flags, LITTLE_ENDIAN);
  view.setUint32(8, message.sequence, LITTLE_ENDIAN);
  bytes.set(message.body, NLMSG_HEADER_SIZE);
  return bytes;
}

export interface ParsedMessage {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  /** Of the socket whose request caused it; 0: the kernel itself. */
  readonly port: number;
  readonly body: Uint8Array;
}

/** The messages of one datagram, as views. Never throws: stops where the bytes make no sense. */
export function readNetlinkMessages(bytes: Uint8Array): ParsedMessage[] {
  const messages: ParsedMessage[] = [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at + NLMSG_HEADER_SIZE <= bytes.length) {
    const length = view.getUint32(at, LITTLE_ENDIAN);
    if (length < NLMSG_HEADER_SIZE || at + length > bytes.length) break;
    messages.push({
      type: view.getUint16(at + 4, LITTLE_ENDIAN),
      flags: view.getUint16(at + 6, LITTLE_ENDIAN),
      sequence: view.getUint32(at + 8, LITTLE_ENDIAN),
      port: view.getUint32(at + 12, LITTLE_ENDIAN),
      body: bytes.subarray(at + NLMSG_HEADER_SIZE, at + length),
    });
    at += (length + 3) & ~3;
  }
  return messages;
}
