/** What a codec returns in place of an offset: more bytes are needed. */
export const INCOMPLETE = -1;
/** The bytes are no HTTP message; negated, the status to answer with. RFC 9112 §3. */
export const BAD_REQUEST = -400;
/** The request line alone is longer than the buffer. */
export const URI_TOO_LONG = -414;
/** More fields than the head has room for, or a head longer than the buffer. */
export const TOO_MANY_FIELDS = -431;
/** A transfer coding other than `chunked`. Differs from RFC 9112 §6.1 (501), because HAProxy answers so. */
export const UNPROCESSABLE = -422;

/** HAProxy's `tune.http.maxhdr` default, plus the start line it counts. HAProxy configuration manual §3.2. */
export const DEFAULT_MAX_FIELDS = 101;

/** Method codes; any other token is `METHOD_OTHER` and only its bytes say what it is. */
export const METHOD_OTHER = 0;
export const METHOD_GET = 1;
export const METHOD_HEAD = 2;
export const METHOD_POST = 3;
export const METHOD_PUT = 4;
export const METHOD_DELETE = 5;
export const METHOD_OPTIONS = 6;
export const METHOD_CONNECT = 7;
export const METHOD_TRACE = 8;
export const METHOD_PATCH = 9;

/** The names of the method codes, by code. */
export const METHOD_NAMES = [
  "",
  "GET",
  "HEAD",
  "POST",
  "PUT",
  "DELETE",
  "OPTIONS",
  "CONNECT",
  "TRACE",
  "PATCH",
] as const;

/** Whether asking twice is as good as once. RFC 9110 §9.2.2 */
export function isIdempotent(method: number): boolean {
  return (
    method !== METHOD_OTHER &&
    method !== METHOD_POST &&
    method !== METHOD_PATCH &&
    method !== METHOD_CONNECT
  );
}

/** Bits of `Head.flags`, set by the framing check (`framing.ts`) over finished columns. */
export const HEAD_CHUNKED = 1;
/** `Content-Length` was there and valid; the value is in `contentLength`. */
export const HEAD_LENGTH = 2;
/** `Connection: close`. */
export const HEAD_CLOSE = 4;
/** `Connection: keep-alive`. */
export const HEAD_KEEP_ALIVE = 8;
/** `Connection: upgrade` with an `Upgrade` field. */
export const HEAD_UPGRADE = 16;
/** Some field must not be forwarded as it is (Connection and what it names, …): the head is built anew. */
export const HEAD_HOP_BY_HOP = 32;
/** `Expect: 100-continue`. */
export const HEAD_EXPECT = 64;
/** A rule or the proxy itself changed the head: the bytes received are no longer what is sent. */
export const HEAD_CHANGED = 128;
/** Part of the start line lies in scratch. */
export const HEAD_CHANGED_LINE = 256;

/**
 * One head, of a request or a response, as columns of slab offsets. Made once for each transaction slot,
 * filled anew for each message. An entry with `nameEnd === nameStart` was deleted.
 */
export interface Head {
  /** Entries in use, deleted ones among them. */
  fields: number;
  /** Where to go on when more bytes are there: the first line not yet taken; 0 before the start line. */
  next: number;
  /** First byte of the start line. */
  start: number;
  /** First byte after the head: the body's first byte. */
  end: number;
  /** 10, 11 or 20 for HTTP/1.0, 1.1, 2. */
  version: number;
  /** One of the `METHOD_` codes; of a response, that of its request. */
  method: number;
  methodStart: number;
  methodEnd: number;
  /** The request target, whatever its form. RFC 9112 §3.2. */
  targetStart: number;
  targetEnd: number;
  /** Path of the target with its query, and where the query begins (at the `?`; `targetEnd` without one). */
  pathStart: number;
  queryStart: number;
  /** Of a response, 100–999. */
  status: number;
  reasonStart: number;
  reasonEnd: number;
  /** Bits `HEAD_…`. */
  flags: number;
  /** Of a message with `HEAD_LENGTH`: 0 to 2^53-1. */
  contentLength: number;
  /** Index of the Host field, or -1. */
  host: number;
  /** Of the lower-cased name. Finds candidates only: a client can forge it, so bytes decide. */
  readonly nameHash: Int32Array;
  readonly nameStart: Int32Array;
  readonly nameEnd: Int32Array;
  readonly valueStart: Int32Array;
  readonly valueEnd: Int32Array;
}

/** @param maxFields HAProxy's `tune.http.maxhdr`, 1–32767; rules may add 64 fields more. */
export function createHead(maxFields: number): Head {
  const room = maxFields + RULE_FIELDS;
  return {
    fields: 0,
    next: 0,
    start: 0,
    end: 0,
    version: 11,
    method: METHOD_OTHER,
    methodStart: 0,
    methodEnd: 0,
    targetStart: 0,
    targetEnd: 0,
    pathStart: 0,
    queryStart: 0,
    status: 0,
    reasonStart: 0,
    reasonEnd: 0,
    flags: 0,
    contentLength: 0,
    host: -1,
    nameHash: new Int32Array(room),
    nameStart: new Int32Array(room),
    nameEnd: new Int32Array(room),
    valueStart: new Int32Array(room),
    valueEnd: new Int32Array(room),
  };
}

/** Fields that rules may add beyond what a peer may send. */
export const RULE_FIELDS = 64;

/** Before the first byte of a new message. */
export function clearHead(head: Head): void {
  head.fields = 0;
  head.next = 0;
  head.flags = 0;
  head.contentLength = 0;
  head.host = -1;
  head.status = 0;
}

/** A field name made ready at load: lower-case bytes and their hash. */
export interface FieldName {
  /** Lower case, ASCII. */
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly hash: number;
}

/** @param name A token of RFC 9110 §5.1; its case does not matter. */
export function fieldName(name: string): FieldName {
  const text = name.toLowerCase();
  const bytes = new Uint8Array(text.length);
  let hash = 0;
  for (let at = 0; at < text.length; at++) {
    const byte = text.charCodeAt(at) & 0xff;
    bytes[at] = byte;
    hash = (Math.imul(hash, 31) + byte) | 0;
  }
  return { text, bytes, hash };
}
