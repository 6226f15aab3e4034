import { CONNECTION, CONTENT_LENGTH, HOST_FIELD, TRANSFER_ENCODING } from "../http/framing.ts";
import { type FieldName, fieldName, type Head } from "../http/head.ts";
import {
  HPACK_FIELD,
  type HpackDecoder,
  TRAIT_NAME_VALID,
  TRAIT_PSEUDO,
  TRAIT_VALUE_VALID,
} from "./hpack-decoder.ts";

/** What the readers of header blocks give in place of an end. */
/** The message is malformed: RST_STREAM with PROTOCOL_ERROR. RFC 9113 §8.1.1. */
export const HEAD_MALFORMED = -1;
/** More or longer fields than there is room for: 431. The table is in step all the same. */
export const HEAD_TOO_LARGE = -2;
/** The block is broken: GOAWAY with COMPRESSION_ERROR. */
export const HEAD_BROKEN = -3;

const CR = 0x0d;
const LF = 0x0a;

/** Copies bytes of another array; gives the end. */
export function copyFrom(
  source: Uint8Array,
  start: number,
  end: number,
  out: Uint8Array,
  at: number,
): number {
  let to = at;
  for (let from = start; from < end; from++) out[to++] = source[from] as number;
  return to;
}

/**
 * Writes the field that the decoder stands at as a line of HTTP/1 and enters it in the head's columns: the end, or
 * HEAD_TOO_LARGE.
 */
export function writeFieldLine(
  decoder: HpackDecoder,
  bytes: Uint8Array,
  at: number,
  limit: number,
  head: Head,
  maxFields: number,
): number {
  const field = head.fields;
  const { nameStart, nameEnd, valueStart, valueEnd } = decoder;
  if (field >= maxFields || at + (nameEnd - nameStart) + (valueEnd - valueStart) + 4 > limit) {
    return HEAD_TOO_LARGE;
  }
  head.nameHash[field] = decoder.hash;
  head.nameStart[field] = at;
  let to = copyFrom(decoder.names, nameStart, nameEnd, bytes, at);
  head.nameEnd[field] = to;
  bytes[to++] = 0x3a;
  bytes[to++] = 0x20;
  head.valueStart[field] = to;
  to = copyFrom(decoder.values, valueStart, valueEnd, bytes, to);
  head.valueEnd[field] = to;
  bytes[to++] = CR;
  bytes[to++] = LF;
  head.fields = field + 1;
  return to;
}

/** The same of a field that we add, whose value stands at `start`–`end` of `source`. */
export function writeOwnLine(
  name: FieldName,
  source: Uint8Array,
  start: number,
  end: number,
  bytes: Uint8Array,
  at: number,
  limit: number,
  head: Head,
): number {
  const field = head.fields;
  if (field >= head.nameHash.length || at + name.bytes.length + (end - start) + 4 > limit) {
    return HEAD_TOO_LARGE;
  }
  head.nameHash[field] = name.hash;
  head.nameStart[field] = at;
  let to = copyFrom(name.bytes, 0, name.bytes.length, bytes, at);
  head.nameEnd[field] = to;
  bytes[to++] = 0x3a;
  bytes[to++] = 0x20;
  head.valueStart[field] = to;
  to = copyFrom(source, start, end, bytes, to);
  head.valueEnd[field] = to;
  bytes[to++] = CR;
  bytes[to++] = LF;
  head.fields = field + 1;
  return to;
}

/** Whether the decoder's field has that name: the hash alone can be forged. */
export function isFieldNamed(decoder: HpackDecoder, name: FieldName): boolean {
  const { names, nameStart } = decoder;
  const expected = name.bytes;
  if (decoder.nameEnd - nameStart !== expected.length) return false;
  for (let i = 0; i < expected.length; i++) if (names[nameStart + i] !== expected[i]) return false;
  return true;
}

export const TE: FieldName = fieldName("te");
export const COOKIE: FieldName = fieldName("cookie");
const KEEP_ALIVE = fieldName("keep-alive");
const PROXY_CONNECTION = fieldName("proxy-connection");
const UPGRADE = fieldName("upgrade");
const TRAILERS_VALUE = fieldName("trailers").bytes;

const CONNECTION_HASH = CONNECTION.hash;
const CODING_HASH = TRANSFER_ENCODING.hash;
const KEEP_ALIVE_HASH = KEEP_ALIVE.hash;
const PROXY_HASH = PROXY_CONNECTION.hash;
const UPGRADE_HASH = UPGRADE.hash;
const TE_HASH = TE.hash;

/** Whether the field belongs to a connection, so that no message over HTTP/2 may have it. RFC 9113 §8.2.2. */
export function isForbidden(decoder: HpackDecoder): boolean {
  switch (decoder.hash) {
    case CONNECTION_HASH:
      return isFieldNamed(decoder, CONNECTION);
    case CODING_HASH:
      return isFieldNamed(decoder, TRANSFER_ENCODING);
    case KEEP_ALIVE_HASH:
      return isFieldNamed(decoder, KEEP_ALIVE);
    case PROXY_HASH:
      return isFieldNamed(decoder, PROXY_CONNECTION);
    case UPGRADE_HASH:
      return isFieldNamed(decoder, UPGRADE);
    case TE_HASH:
      return isFieldNamed(decoder, TE) && !isTrailersWord(decoder);
    default:
      return false;
  }
}

function isTrailersWord({ values, valueStart, valueEnd }: HpackDecoder): boolean {
  if (valueEnd - valueStart !== TRAILERS_VALUE.length) return false;
  for (let i = 0; i < TRAILERS_VALUE.length; i++) {
    if (((values[valueStart + i] as number) | 0x20) !== TRAILERS_VALUE[i]) return false;
  }
  return true;
}

/**
 * Reads the fields after a body as lines of HTTP/1, without an empty line: the end, or an error. No pseudo-header
 * field may stand there, nor a name that frames or routes. RFC 9113 §8.1, RFC 9110 §6.5.1.
 */
export function readTrailers(
  decoder: HpackDecoder,
  bytes: Uint8Array,
  at: number,
  limit: number,
): number {
  let to = at;
  let fault = 0;
  for (;;) {
    const result = decoder.next();
    if (result < 0) return HEAD_BROKEN;
    if (result !== HPACK_FIELD) break;
    if (fault !== 0) continue;
    const { traits, nameStart, nameEnd, valueStart, valueEnd } = decoder;
    const valid = TRAIT_NAME_VALID | TRAIT_VALUE_VALID;
    if ((traits & (valid | TRAIT_PSEUDO)) !== valid || isForbidden(decoder) || frames(decoder)) {
      fault = HEAD_MALFORMED;
    } else if (to + (nameEnd - nameStart) + (valueEnd - valueStart) + 4 > limit) {
      fault = HEAD_TOO_LARGE;
    } else {
      to = copyFrom(decoder.names, nameStart, nameEnd, bytes, to);
      bytes[to++] = 0x3a;
      bytes[to++] = 0x20;
      to = copyFrom(decoder.values, valueStart, valueEnd, bytes, to);
      bytes[to++] = CR;
      bytes[to++] = LF;
    }
  }
  return fault !== 0 ? fault : to;
}

function frames(decoder: HpackDecoder): boolean {
  return (
    (decoder.hash === CONTENT_LENGTH.hash && isFieldNamed(decoder, CONTENT_LENGTH)) ||
    (decoder.hash === HOST_FIELD.hash && isFieldNamed(decoder, HOST_FIELD))
  );
}

/** Reads a block to its end and forgets it: for streams that are gone. False when it is broken. */
export function skipBlock(decoder: HpackDecoder): boolean {
  for (;;) {
    const result = decoder.next();
    if (result < 0) return false;
    if (result !== HPACK_FIELD) return true;
  }
}
