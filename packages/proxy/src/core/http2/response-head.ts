import { asciiBytes, writeDecimal } from "../http/bytes.ts";
import {
  CONNECTION,
  CONTENT_LENGTH,
  frameResponse,
  isBodiless,
  TRANSFER_ENCODING,
  UPGRADE,
} from "../http/framing.ts";
import { fieldName, HEAD_LENGTH, type Head, METHOD_CONNECT } from "../http/head.ts";
import { reasonPhrase } from "../http/replies.ts";
import {
  copyFrom,
  HEAD_BROKEN,
  HEAD_MALFORMED,
  HEAD_TOO_LARGE,
  isFieldNamed,
  isForbidden,
  writeFieldLine,
  writeOwnLine,
} from "./field-text.ts";
import {
  HPACK_FIELD,
  type HpackDecoder,
  TRAIT_NAME_VALID,
  TRAIT_PSEUDO,
  TRAIT_VALUE_VALID,
} from "./hpack-decoder.ts";
import { MAX_LIST } from "./limits.ts";

/** How a response's block is to be read. */
export interface ResponseReading {
  readonly maxFields: number;
  /** Of the request. */
  readonly method: number;
  /** The block ends the stream: no body follows. */
  readonly endStream: boolean;
  /** The request was an extended CONNECT for this protocol: a 200 becomes a 101. RFC 8441 §5 */
  readonly upgrade: Uint8Array | undefined;
  /** What its `sec-websocket-accept` must be. */
  readonly accept: Uint8Array | undefined;
}

const STATUS = fieldName(":status");
const ACCEPT = fieldName("sec-websocket-accept");
const CHUNKED = asciiBytes("chunked");
const UPGRADE_WORD = asciiBytes("upgrade");
const ZERO = asciiBytes("0");
const VERSION = asciiBytes("HTTP/1.1 ");
/** Longest reason phrase and what stands around it. */
const LINE = 64;

/**
 * Reads a response's header block into the slab as a head of HTTP/1, whose columns are filled at once: the end, or one of
 * the `HEAD_` errors. The block is read to its end, whatever is wrong. RFC 9113 §8.3.2.
 */
export function readResponseHead(
  decoder: HpackDecoder,
  bytes: Uint8Array,
  at: number,
  limit: number,
  head: Head,
  reading: ResponseReading,
): number {
  let to = at;
  for (;;) {
    const result = decoder.next();
    if (result !== HPACK_FIELD) {
      if (result < 0) return HEAD_BROKEN;
      break;
    }
    if (to < 0) continue;
    if (decoder.listSize > MAX_LIST) to = HEAD_TOO_LARGE;
    else to = readField(decoder, bytes, to, limit, head, reading);
  }
  if (to < 0) return to;
  if (head.status === 0) return HEAD_MALFORMED;
  return finish(bytes, to, limit, head, reading);
}

function readField(
  decoder: HpackDecoder,
  bytes: Uint8Array,
  at: number,
  limit: number,
  head: Head,
  reading: ResponseReading,
): number {
  const valid = TRAIT_NAME_VALID | TRAIT_VALUE_VALID;
  if ((decoder.traits & valid) !== valid) return HEAD_MALFORMED;
  if ((decoder.traits & TRAIT_PSEUDO) !== 0) {
    if (head.status !== 0 || head.fields > 0 || !isFieldNamed(decoder, STATUS)) {
      return HEAD_MALFORMED;
    }
    return writeLine(decoder, bytes, at, limit, head, reading);
  }
  if (head.status === 0 || isForbidden(decoder)) return HEAD_MALFORMED;
  return writeFieldLine(decoder, bytes, at, limit, head, reading.maxFields);
}

function writeLine(
  { values, valueStart, valueEnd }: HpackDecoder,
  bytes: Uint8Array,
  at: number,
  limit: number,
  head: Head,
  reading: ResponseReading,
): number {
  if (valueEnd - valueStart !== 3 || at + LINE > limit) return HEAD_MALFORMED;
  let status = 0;
  for (let i = valueStart; i < valueEnd; i++) {
    const digit = (values[i] as number) - 0x30;
    if (digit < 0 || digit > 9) return HEAD_MALFORMED;
    status = status * 10 + digit;
  }
  // There is no switching of protocols in HTTP/2. RFC 9113 §8.6
  if (status < 100 || status === 101) return HEAD_MALFORMED;
  if (reading.upgrade !== undefined && status >= 200 && status < 300) status = 101;
  head.status = status;
  head.version = 20;
  head.start = at;
  let to = copyFrom(VERSION, 0, VERSION.length, bytes, at);
  to = writeDecimal(bytes, to, status);
  bytes[to++] = 0x20;
  head.reasonStart = to;
  const reason = reasonPhrase(status);
  for (let i = 0; i < reason.length; i++) bytes[to++] = reason.charCodeAt(i);
  head.reasonEnd = to;
  bytes[to++] = 0x0d;
  bytes[to++] = 0x0a;
  return to;
}

/** What HTTP/1 needs and HTTP/2 does not say in fields. */
function finish(
  bytes: Uint8Array,
  at: number,
  limit: number,
  head: Head,
  reading: ResponseReading,
): number {
  let to = at;
  const add = (name: typeof ACCEPT, value: Uint8Array): void => {
    if (to >= 0) to = writeOwnLine(name, value, 0, value.length, bytes, to, limit, head);
  };
  head.method = reading.method;
  if (head.status === 101) {
    add(CONNECTION, UPGRADE_WORD);
    add(UPGRADE, reading.upgrade ?? UPGRADE_WORD);
    if (reading.accept !== undefined) add(ACCEPT, reading.accept);
  } else if (!isBodiless(head) && reading.method !== METHOD_CONNECT && !hasLength(bytes, head)) {
    if (reading.endStream) add(CONTENT_LENGTH, ZERO);
    else add(TRANSFER_ENCODING, CHUNKED);
  }
  if (to < 0) return to;
  if (to + 2 > limit) return HEAD_TOO_LARGE;
  bytes[to++] = 0x0d;
  bytes[to++] = 0x0a;
  head.end = to;
  if (frameResponse(bytes, head, reading.method) < 0) return HEAD_MALFORMED;
  const hasBody = (head.flags & HEAD_LENGTH) !== 0 && head.contentLength > 0 && !isBodiless(head);
  return hasBody && reading.endStream ? HEAD_MALFORMED : to;
}

function hasLength(bytes: Uint8Array, head: Head): boolean {
  for (let field = 0; field < head.fields; field++) {
    if (head.nameHash[field] !== CONTENT_LENGTH.hash) continue;
    const start = head.nameStart[field] as number;
    if ((head.nameEnd[field] as number) - start !== CONTENT_LENGTH.bytes.length) continue;
    let i = 0;
    while (i < CONTENT_LENGTH.bytes.length && bytes[start + i] === CONTENT_LENGTH.bytes[i]) i++;
    if (i === CONTENT_LENGTH.bytes.length) return true;
  }
  return false;
}
