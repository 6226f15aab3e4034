import { asciiBytes, copyRange, TARGET, TOKEN } from "../http/bytes.ts";
import {
  CONNECTION,
  CONTENT_LENGTH,
  EXPECT,
  HOST_FIELD,
  hasValue,
  readLength,
  sameHost,
  TRANSFER_ENCODING,
  UPGRADE,
} from "../http/framing.ts";
import { methodCode } from "../http/h1.ts";
import {
  fieldName,
  HEAD_CHANGED,
  HEAD_CHUNKED,
  HEAD_EXPECT,
  HEAD_HOP_BY_HOP,
  HEAD_LENGTH,
  HEAD_UPGRADE,
  type Head,
  METHOD_CONNECT,
  METHOD_GET,
  METHOD_OPTIONS,
} from "../http/head.ts";
import { isAuthority } from "../http/uri.ts";
import {
  COOKIE,
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

/** How a block is to be read. */
export interface RequestReading {
  /** As for HTTP/1: `tune.http.maxhdr`. */
  readonly maxFields: number;
  /** `option accept-unsafe-violations-in-http-request`. */
  readonly relaxed: boolean;
  /** 24 bytes for `sec-websocket-key`, made anew for each request that needs one. */
  readonly webSocketKey: () => Uint8Array;
}

const METHOD = fieldName(":method");
const SCHEME = fieldName(":scheme");
const AUTHORITY = fieldName(":authority");
const PATH = fieldName(":path");
const PROTOCOL = fieldName(":protocol");
const SEC_WEBSOCKET_KEY = fieldName("sec-websocket-key");
/** As constants of their own: the compiler folds them. */
const METHOD_HASH = METHOD.hash;
const SCHEME_HASH = SCHEME.hash;
const AUTHORITY_HASH = AUTHORITY.hash;
const PATH_HASH = PATH.hash;
const PROTOCOL_HASH = PROTOCOL.hash;
const COOKIE_HASH = COOKIE.hash;
const HOST_HASH = HOST_FIELD.hash;
const LENGTH_HASH = CONTENT_LENGTH.hash;
const EXPECT_HASH = EXPECT.hash;
const WEBSOCKET = asciiBytes("websocket");
const CHUNKED = asciiBytes("chunked");
const UPGRADE_WORD = asciiBytes("upgrade");
const CONTINUE_VALUE = asciiBytes("100-continue");
const GET = asciiBytes("GET");
const ASTERISK = 0x2a;
/** A longer target is not written twice: its head is built anew when it goes out. */
const LONG_TARGET = 2_048;

/** Where pseudo-header fields are kept until all are there. */
const PSEUDO_ROOM = MAX_LIST;

/**
 * Reads a request's header block into the slab as the head of HTTP/1 that goes on to a server: first the request line
 * as logs and rules see it (`GET https://host/path HTTP/2.0`), then the head itself (`GET /path HTTP/1.1`, Host and
 * all fields), whose columns are filled at once. One for each thread. RFC 9113 §8.2, §8.3.
 */
export class RequestHeadReader {
  /** The line for logs. Set by `read`. */
  lineStart = 0;
  lineEnd = 0;
  /** Whether it was an extended CONNECT, which went on as a GET that asks for an upgrade. RFC 8441 §4 */
  isUpgrade = false;
  readonly #room = new Uint8Array(PSEUDO_ROOM);
  readonly #cookies = new Uint8Array(MAX_LIST);
  #used = 0;
  #methodStart = -1;
  #methodEnd = 0;
  #schemeStart = -1;
  #schemeEnd = 0;
  #authorityStart = -1;
  #authorityEnd = 0;
  #pathStart = -1;
  #pathEnd = 0;
  #protocolStart = -1;
  #protocolEnd = 0;
  #cookieSize = 0;
  #hasFields = false;
  #isConnect = false;

  /**
   * @param decoder At the block's begin; it is read to its end, whatever is wrong.
   * @param endStream Whether the block ends the stream: no body follows.
   * @returns The end of the head, or one of the `HEAD_` errors.
   */
  read(
    decoder: HpackDecoder,
    bytes: Uint8Array,
    at: number,
    limit: number,
    head: Head,
    endStream: boolean,
    reading: RequestReading,
  ): number {
    this.#used = this.#cookieSize = 0;
    this.#methodStart = this.#schemeStart = this.#authorityStart = -1;
    this.#pathStart = this.#protocolStart = -1;
    this.#hasFields = this.#isConnect = this.isUpgrade = false;
    let to = at;
    for (;;) {
      const result = decoder.next();
      if (result !== HPACK_FIELD) {
        if (result < 0) return HEAD_BROKEN;
        break;
      }
      if (to < 0) continue;
      if (decoder.listSize > MAX_LIST) to = HEAD_TOO_LARGE;
      else to = this.#field(decoder, bytes, to, limit, head, reading);
    }
    if (to < 0) return to;
    if (!this.#hasFields) to = this.#writeLines(bytes, to, limit, head, reading);
    if (to < 0) return to;
    return this.#finish(bytes, to, limit, head, endStream, reading);
  }

  #field(
    decoder: HpackDecoder,
    bytes: Uint8Array,
    at: number,
    limit: number,
    head: Head,
    reading: RequestReading,
  ): number {
    const { traits } = decoder;
    const valid = TRAIT_NAME_VALID | TRAIT_VALUE_VALID;
    if ((traits & valid) !== valid) return HEAD_MALFORMED;
    if ((traits & TRAIT_PSEUDO) !== 0) {
      if (this.#hasFields) return HEAD_MALFORMED;
      return this.#pseudo(decoder) ? at : HEAD_MALFORMED;
    }
    let to = at;
    if (!this.#hasFields) {
      this.#hasFields = true;
      to = this.#writeLines(bytes, to, limit, head, reading);
      if (to < 0) return to;
    }
    if (decoder.hash === COOKIE_HASH && isFieldNamed(decoder, COOKIE)) {
      this.#keepCookie(decoder);
      return to;
    }
    if (isForbidden(decoder)) return HEAD_MALFORMED;
    if (decoder.hash === HOST_HASH && isFieldNamed(decoder, HOST_FIELD)) {
      // The authority has become a Host already: another may only say the same. RFC 9113 §8.3.1
      if (this.#authorityStart >= 0) return this.#isSameHost(decoder) ? to : HEAD_MALFORMED;
    }
    const field = head.fields;
    to = writeFieldLine(decoder, bytes, to, limit, head, reading.maxFields);
    if (to < 0) return to;
    const { hash } = decoder;
    if (hash === LENGTH_HASH && isFieldNamed(decoder, CONTENT_LENGTH)) {
      return this.#length(bytes, head, field) ? to : HEAD_MALFORMED;
    }
    if (hash === HOST_HASH && isFieldNamed(decoder, HOST_FIELD)) {
      if (head.host >= 0) return HEAD_MALFORMED;
      head.host = field;
    } else if (hash === EXPECT_HASH && isFieldNamed(decoder, EXPECT)) {
      if (hasValue(bytes, head, field, CONTINUE_VALUE)) head.flags |= HEAD_EXPECT;
    }
    return to;
  }

  /** Content-Length, once and as it should be. RFC 9110 §8.6. */
  #length(bytes: Uint8Array, head: Head, field: number): boolean {
    if ((head.flags & HEAD_LENGTH) !== 0) return false;
    head.contentLength = readLength(bytes, head, field);
    head.flags |= HEAD_LENGTH;
    return head.contentLength >= 0;
  }

  /** Keeps a pseudo-header field. False when it is none, or there already. */
  #pseudo(decoder: HpackDecoder): boolean {
    const start = this.#used;
    const end = start + (decoder.valueEnd - decoder.valueStart);
    if (end > PSEUDO_ROOM) return false;
    copyFrom(decoder.values, decoder.valueStart, decoder.valueEnd, this.#room, start);
    this.#used = end;
    switch (decoder.hash) {
      case METHOD_HASH:
        if (this.#methodStart >= 0 || !isFieldNamed(decoder, METHOD)) return false;
        this.#methodStart = start;
        this.#methodEnd = end;
        return true;
      case SCHEME_HASH:
        if (this.#schemeStart >= 0 || !isFieldNamed(decoder, SCHEME)) return false;
        this.#schemeStart = start;
        this.#schemeEnd = end;
        return true;
      case AUTHORITY_HASH:
        if (this.#authorityStart >= 0 || !isFieldNamed(decoder, AUTHORITY)) return false;
        this.#authorityStart = start;
        this.#authorityEnd = end;
        return true;
      case PATH_HASH:
        if (this.#pathStart >= 0 || !isFieldNamed(decoder, PATH)) return false;
        this.#pathStart = start;
        this.#pathEnd = end;
        return true;
      case PROTOCOL_HASH:
        if (this.#protocolStart >= 0 || !isFieldNamed(decoder, PROTOCOL)) return false;
        this.#protocolStart = start;
        this.#protocolEnd = end;
        return true;
      default:
        return false;
    }
  }

  /** Whether the pseudo-header fields make a request. RFC 9113 §8.3.1, §8.5; RFC 8441 §4. */
  #isRequest(relaxed: boolean): boolean {
    const room = this.#room;
    const { length } = METHOD_CONNECT_BYTES;
    if (this.#methodEnd <= this.#methodStart || this.#methodStart < 0) return false;
    for (let at = this.#methodStart; at < this.#methodEnd; at++) {
      if (TOKEN[room[at] as number] === 0) return false;
    }
    if (this.#authorityStart >= 0) {
      if (!isAuthority(room, this.#authorityStart, this.#authorityEnd)) return false;
    }
    this.#isConnect = this.#methodEnd - this.#methodStart === length;
    for (let i = 0; i < length && this.#isConnect; i++) {
      if (room[this.#methodStart + i] !== METHOD_CONNECT_BYTES[i]) this.#isConnect = false;
    }
    if (this.#protocolStart >= 0) {
      if (!this.#isConnect || this.#authorityStart < 0) return false;
      if (this.#protocolEnd === this.#protocolStart) return false;
      for (let at = this.#protocolStart; at < this.#protocolEnd; at++) {
        if (TOKEN[room[at] as number] === 0) return false;
      }
      this.isUpgrade = true;
      this.#isConnect = false;
    }
    if (this.#isConnect) {
      if (this.#schemeStart >= 0 || this.#pathStart >= 0) return false;
      return (
        this.#authorityStart >= 0 && endsInPort(room, this.#authorityStart, this.#authorityEnd)
      );
    }
    if (!isScheme(room, this.#schemeStart, this.#schemeEnd)) return false;
    if (this.#pathStart < 0 || this.#pathStart === this.#pathEnd) return false;
    if (room[this.#pathStart] !== 0x2f && !this.#isAsterisk()) return false;
    for (let at = this.#pathStart; at < this.#pathEnd; at++) {
      const byte = room[at] as number;
      if (TARGET[byte] === 0 && !(relaxed && byte > 0x20 && byte !== 0x7f)) return false;
    }
    return true;
  }

  #isAsterisk(): boolean {
    if (this.#pathEnd - this.#pathStart !== 1 || this.#room[this.#pathStart] !== ASTERISK)
      return false;
    return methodCode(this.#room, this.#methodStart, this.#methodEnd) === METHOD_OPTIONS;
  }

  /** All pseudo-header fields are there: writes both lines and Host. */
  #writeLines(
    bytes: Uint8Array,
    at: number,
    limit: number,
    head: Head,
    { relaxed }: RequestReading,
  ): number {
    if (!this.#isRequest(relaxed)) return HEAD_MALFORMED;
    const room = this.#room;
    const authority = this.#authorityEnd - this.#authorityStart;
    const path = this.#pathEnd - this.#pathStart;
    const most = this.#methodEnd + this.#used + path + authority + 64;
    if (at + most > limit) return HEAD_TOO_LARGE;

    head.version = 20;
    this.lineStart = head.methodStart = at;
    let to: number;
    if (this.isUpgrade) to = copyFrom(GET, 0, GET.length, bytes, at);
    else to = copyFrom(room, this.#methodStart, this.#methodEnd, bytes, at);
    head.methodEnd = to;
    head.method = this.isUpgrade ? METHOD_GET : methodCode(bytes, at, to);
    bytes[to++] = 0x20;
    head.targetStart = to;
    if (this.#isConnect) {
      to = copyFrom(room, this.#authorityStart, this.#authorityEnd, bytes, to);
      head.pathStart = head.targetEnd = head.queryStart = to;
    } else {
      if (this.#authorityStart >= 0 && room[this.#pathStart] !== ASTERISK) {
        to = copyFrom(room, this.#schemeStart, this.#schemeEnd, bytes, to);
        to = copyFrom(AUTHORITY_MARK, 0, AUTHORITY_MARK.length, bytes, to);
        to = copyFrom(room, this.#authorityStart, this.#authorityEnd, bytes, to);
      }
      head.pathStart = to;
      head.queryStart = -1;
      for (let from = this.#pathStart; from < this.#pathEnd; from++) {
        const byte = room[from] as number;
        if (byte === 0x3f && head.queryStart < 0) head.queryStart = to;
        bytes[to++] = byte;
      }
      head.targetEnd = to;
      if (head.queryStart < 0) head.queryStart = to;
    }
    to = copyFrom(HTTP2, 0, HTTP2.length, bytes, to);
    this.lineEnd = to;
    if (path > LONG_TARGET) {
      head.start = at;
      head.flags |= HEAD_CHANGED;
    } else to = this.#writeHttp1Line(bytes, to, head);
    if (this.#authorityStart < 0) return to;
    head.host = head.fields;
    return writeOwnLine(
      HOST_FIELD,
      room,
      this.#authorityStart,
      this.#authorityEnd,
      bytes,
      to,
      limit,
      head,
    );
  }

  #writeHttp1Line(bytes: Uint8Array, at: number, head: Head): number {
    head.start = at;
    let to = copyRange(bytes, head.methodStart, head.methodEnd, at);
    bytes[to++] = 0x20;
    const target = this.#isConnect ? head.targetStart : head.pathStart;
    to = copyRange(bytes, target, head.targetEnd, to);
    return copyFrom(HTTP11, 0, HTTP11.length, bytes, to);
  }

  /** Cookies come in crumbs, which only HTTP/2 may do. RFC 9113 §8.2.3. */
  #keepCookie({ values, valueStart, valueEnd }: HpackDecoder): void {
    const out = this.#cookies;
    let to = this.#cookieSize;
    if (to > 0) {
      out[to++] = 0x3b;
      out[to++] = 0x20;
    }
    // Bounded by the size of the list, which counts 32 for each.
    this.#cookieSize = copyFrom(values, valueStart, valueEnd, out, to);
  }

  #isSameHost({ values, valueStart, valueEnd }: HpackDecoder): boolean {
    return sameHost(
      values,
      valueStart,
      valueEnd,
      this.#authorityStart,
      this.#authorityEnd,
      this.#room,
    );
  }

  #finish(
    bytes: Uint8Array,
    at: number,
    limit: number,
    head: Head,
    endStream: boolean,
    reading: RequestReading,
  ): number {
    let to = at;
    if (this.#cookieSize > 0) {
      const cookies = this.#cookies;
      to = writeOwnLine(COOKIE, cookies, 0, this.#cookieSize, bytes, to, limit, head);
    }
    const hasLength = (head.flags & HEAD_LENGTH) !== 0;
    if (this.isUpgrade) to = this.#askUpgrade(bytes, to, limit, head, reading);
    else if (!endStream && !this.#isConnect && !hasLength) {
      to = to < 0 ? to : writeOwnLine(TRANSFER_ENCODING, CHUNKED, 0, 7, bytes, to, limit, head);
      head.flags |= HEAD_CHUNKED;
    }
    if (to < 0) return to;
    if (to + 2 > limit) return HEAD_TOO_LARGE;
    bytes[to++] = 0x0d;
    bytes[to++] = 0x0a;
    head.end = to;
    if (!this.#hasGoodHost(bytes, head, reading.relaxed)) return HEAD_MALFORMED;
    // A length that its stream, an upgrade or CONNECT gives the lie to. RFC 9113 §8.1.1
    const mayHaveBody = !endStream && !this.isUpgrade && head.method !== METHOD_CONNECT;
    return hasLength && head.contentLength > 0 && !mayHaveBody ? HEAD_MALFORMED : to;
  }

  /** What HTTP/1 says in place of extended CONNECT. RFC 8441 §5 */
  #askUpgrade(
    bytes: Uint8Array,
    at: number,
    limit: number,
    head: Head,
    reading: RequestReading,
  ): number {
    const protocol = this.#room.subarray(this.#protocolStart, this.#protocolEnd);
    let to = at;
    const add = (name: typeof COOKIE, value: Uint8Array): void => {
      if (to >= 0) to = writeOwnLine(name, value, 0, value.length, bytes, to, limit, head);
    };
    add(CONNECTION, UPGRADE_WORD);
    add(UPGRADE, protocol);
    if (isWebSocket(protocol)) add(SEC_WEBSOCKET_KEY, reading.webSocketKey());
    head.flags |= HEAD_UPGRADE | HEAD_HOP_BY_HOP;
    return to;
  }

  /** `:authority` was looked at already; a Host without it must be one, and there must be either. */
  #hasGoodHost(bytes: Uint8Array, head: Head, relaxed: boolean): boolean {
    if (this.#authorityStart >= 0 || relaxed) return true;
    const { host } = head;
    if (host < 0) return false;
    const start = head.valueStart[host] as number;
    const end = head.valueEnd[host] as number;
    return start === end || isAuthority(bytes, start, end);
  }
}

const METHOD_CONNECT_BYTES = asciiBytes("CONNECT");
const AUTHORITY_MARK = asciiBytes("://");
const HTTP2 = asciiBytes(" HTTP/2.0");
const HTTP11 = asciiBytes(" HTTP/1.1\r\n");

function isWebSocket(protocol: Uint8Array): boolean {
  return (
    protocol.length === WEBSOCKET.length &&
    WEBSOCKET.every((byte, i) => TOKEN[protocol[i] as number] === byte)
  );
}

/** RFC 3986 §3.1. */
function isScheme(bytes: Uint8Array, start: number, end: number): boolean {
  if (start < 0 || start === end) return false;
  for (let at = start; at < end; at++) {
    const lower = (bytes[at] as number) | 0x20;
    const isLetter = lower >= 0x61 && lower <= 0x7a;
    const byte = bytes[at] as number;
    const isOther =
      (byte >= 0x30 && byte <= 0x39) || byte === 0x2b || byte === 0x2d || byte === 0x2e;
    if (!isLetter && (at === start || !isOther)) return false;
  }
  return true;
}

function endsInPort(bytes: Uint8Array, start: number, end: number): boolean {
  let at = end;
  while (at > start && (bytes[at - 1] as number) >= 0x30 && (bytes[at - 1] as number) <= 0x39) at--;
  return at < end && at > start && bytes[at - 1] === 0x3a;
}
