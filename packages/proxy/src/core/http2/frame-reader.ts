import {
  ENHANCE_YOUR_CALM,
  FLAG_ACK,
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FLAG_PADDED,
  FLAG_PRIORITY,
  FRAME_CONTINUATION,
  FRAME_DATA,
  FRAME_GOAWAY,
  FRAME_HEADER,
  FRAME_HEADERS,
  FRAME_PING,
  FRAME_PRIORITY,
  FRAME_PUSH_PROMISE,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  FRAME_SIZE_ERROR,
  FRAME_WINDOW_UPDATE,
  MAX_STREAM,
  NO_ERROR,
  PROTOCOL_ERROR,
  readWord,
} from "./frame.ts";

import { MAX_SETTINGS } from "./limits.ts";

/** What `take` found. */
/** Nothing yet: more bytes are needed. */
export const EVENT_NONE = 0;
/** A piece of a DATA frame: `start`–`end`, and `flow` bytes that the windows count. `isLast` with its last byte. */
export const EVENT_DATA = 1;
/** A header block, whole: `start`–`end` of `source`. */
export const EVENT_HEADERS = 2;
export const EVENT_PRIORITY = 3;
/** `code`. */
export const EVENT_RESET = 4;
/** Entries of six bytes each at `start`–`end` of `source`; none with `isAck`. */
export const EVENT_SETTINGS = 5;
/** Eight bytes at `start` of `source`; `isAck`. */
export const EVENT_PING = 6;
/** `lastStream` and `code`. */
export const EVENT_GOAWAY = 7;
/** `increment`, of `stream` (0 is the connection). */
export const EVENT_WINDOW = 8;
/** A frame of a type that nobody knows began; its payload is skipped. */
export const EVENT_UNKNOWN = 9;
/** Another piece of a header block came (CONTINUATION), which is not over: to be counted. */
export const EVENT_CONTINUATION = 10;
/** The connection is broken: `code` says how. Nothing more can be read. */
export const EVENT_BROKEN = 11;
/** The stream is broken, the connection goes on: `code`. The frame is skipped. */
export const EVENT_STREAM_BROKEN = 12;

/** Where the reader is. */
const HEADER = 0;
const PAYLOAD = 1;
const PAD_LENGTH = 2;
const DATA = 3;
const PADDING = 4;
const SKIP = 5;
const BROKEN = 6;

/** Payload of the longest frame that is gathered and not passed on as it comes: SETTINGS, and pieces of blocks. */
export interface FrameLimits {
  /** Longest payload of any frame: our SETTINGS_MAX_FRAME_SIZE. */
  readonly frameSize: number;
  /** Bytes of a header block, all its frames together. */
  readonly blockSize: number;
  /** CONTINUATION frames of one block. */
  readonly continuations: number;
}

/**
 * Takes the frames of one direction of a connection from ranges that are split anywhere. What lies whole in a range
 * is given in place; what does not is gathered. Checks all that a frame alone can be checked for. RFC 9113 §4, §6.
 */
export class FrameReader {
  event = EVENT_NONE;
  type = 0;
  flags = 0;
  stream = 0;
  source: Uint8Array = NOTHING;
  start = 0;
  end = 0;
  /** Of DATA: bytes of this piece that the windows count, padding among them. */
  flow = 0;
  isLast = false;
  endStream = false;
  isAck = false;
  code = 0;
  lastStream = 0;
  increment = 0;
  /** Of HEADERS and PRIORITY: the stream that it depends on, or -1. */
  dependsOn = -1;
  readonly #limits: FrameLimits;
  readonly #small = new Uint8Array(FRAME_HEADER);
  #state = HEADER;
  #have = 0;
  /** Payload bytes still to come. */
  #left = 0;
  #padding = 0;
  #gathered: Uint8Array = NOTHING;
  #gatheredSize = 0;
  /** The stream whose block is not over: nothing but its CONTINUATION may come. */
  #blockStream = 0;
  #blockEndsStream = false;
  #blockDependsOn = -1;
  #continuations = 0;

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** Whether it stands between two frames, with no header block begun. */
  get isBetween(): boolean {
    return this.#state === HEADER && this.#have === 0 && this.#blockStream === 0;
  }

  /** Bytes of its own memory. */
  get held(): number {
    return this.#gathered.length;
  }

  /**
   * Takes bytes from `at` up to the next event; gives where to go on. With EVENT_NONE all was taken. What the event
   * says is valid till the next call.
   */
  take(bytes: Uint8Array, at: number, end: number): number {
    this.event = EVENT_NONE;
    let place = at;
    for (;;) {
      switch (this.#state) {
        case HEADER:
          place = this.#header(bytes, place, end);
          if (this.#state === HEADER) return place;
          break;
        case PAYLOAD:
          place = this.#payload(bytes, place, end);
          if (this.#state === PAYLOAD) return place;
          break;
        case PAD_LENGTH:
          if (place >= end) return place;
          this.#padding = bytes[place++] as number;
          this.#left--;
          if (this.#padding > this.#left) this.#break(PROTOCOL_ERROR);
          else {
            this.#left -= this.#padding;
            // The length itself counts.
            this.#data(bytes, place, place, 1);
          }
          break;
        case DATA: {
          if (place >= end) return place;
          const size = Math.min(this.#left, end - place);
          this.#left -= size;
          this.#data(bytes, place, place + size, size);
          place += size;
          break;
        }
        case PADDING: {
          if (place >= end) return place;
          const size = Math.min(this.#padding, end - place);
          this.#padding -= size;
          this.#data(bytes, place, place, size);
          place += size;
          break;
        }
        case SKIP: {
          const size = Math.min(this.#left, end - place);
          this.#left -= size;
          if (this.#left === 0) this.#state = HEADER;
          place += size;
          if (this.#state === SKIP) return place;
          break;
        }
        default:
          this.event = EVENT_BROKEN;
          return end;
      }
      if (this.event !== EVENT_NONE) return place;
    }
  }

  #header(bytes: Uint8Array, at: number, end: number): number {
    let source = bytes;
    let start = at;
    let place = at + FRAME_HEADER;
    if (this.#have > 0 || end < place) {
      place = at;
      while (place < end && this.#have < FRAME_HEADER) {
        this.#small[this.#have++] = bytes[place++] as number;
      }
      if (this.#have < FRAME_HEADER) return place;
      source = this.#small;
      start = 0;
      this.#have = 0;
    }
    this.#left =
      ((source[start] as number) << 16) |
      ((source[start + 1] as number) << 8) |
      (source[start + 2] as number);
    this.type = source[start + 3] as number;
    this.flags = source[start + 4] as number;
    this.stream = readWord(source, start + 5) & MAX_STREAM;
    this.endStream = false;
    const error = this.#begin();
    if (error !== NO_ERROR) this.#break(error);
    return place;
  }

  /** The frame's header is there: what may be known without its payload. Gives the code that breaks the connection. */
  #begin(): number {
    const { type, stream } = this;
    const length = this.#left;
    if (length > this.#limits.frameSize) return FRAME_SIZE_ERROR;
    if (this.#blockStream !== 0 && (type !== FRAME_CONTINUATION || stream !== this.#blockStream)) {
      return PROTOCOL_ERROR;
    }
    const needsStream =
      type <= FRAME_RST_STREAM || type === FRAME_PUSH_PROMISE || type === FRAME_CONTINUATION;
    const forbidsStream = type === FRAME_SETTINGS || type === FRAME_PING || type === FRAME_GOAWAY;
    if ((needsStream && stream === 0) || (forbidsStream && stream !== 0)) return PROTOCOL_ERROR;
    this.isAck = (this.flags & FLAG_ACK) !== 0;
    this.#state = PAYLOAD;
    if (type !== FRAME_CONTINUATION) this.#gatheredSize = 0;
    switch (type) {
      case FRAME_DATA:
        return this.#beginData(length);
      case FRAME_HEADERS:
        this.#continuations = 0;
        return NO_ERROR;
      case FRAME_CONTINUATION:
        return this.#blockStream === 0 ? PROTOCOL_ERROR : NO_ERROR;
      case FRAME_PRIORITY:
        if (length !== 5) this.#breakStream(FRAME_SIZE_ERROR);
        return NO_ERROR;
      case FRAME_RST_STREAM:
      case FRAME_WINDOW_UPDATE:
        return length === 4 ? NO_ERROR : FRAME_SIZE_ERROR;
      case FRAME_SETTINGS:
        if (length % 6 !== 0 || (this.isAck && length > 0)) return FRAME_SIZE_ERROR;
        return length > MAX_SETTINGS * 6 ? ENHANCE_YOUR_CALM : NO_ERROR;
      case FRAME_PUSH_PROMISE:
        // Clients never may, and servers were told not to.
        return PROTOCOL_ERROR;
      case FRAME_PING:
        return length === 8 ? NO_ERROR : FRAME_SIZE_ERROR;
      case FRAME_GOAWAY:
        return length >= 8 && length <= MAX_GOAWAY ? NO_ERROR : FRAME_SIZE_ERROR;
      default:
        this.event = EVENT_UNKNOWN;
        this.#state = length === 0 ? HEADER : SKIP;
        return NO_ERROR;
    }
  }

  #beginData(length: number): number {
    this.endStream = (this.flags & FLAG_END_STREAM) !== 0;
    this.#padding = 0;
    if ((this.flags & FLAG_PADDED) !== 0) {
      this.#state = PAD_LENGTH;
      return length === 0 ? FRAME_SIZE_ERROR : NO_ERROR;
    }
    this.#state = DATA;
    if (length === 0) this.#data(NOTHING, 0, 0, 0);
    return NO_ERROR;
  }

  #data(bytes: Uint8Array, start: number, end: number, flow: number): void {
    this.event = EVENT_DATA;
    this.source = bytes;
    this.start = start;
    this.end = end;
    this.flow = flow;
    if (this.#left > 0) this.#state = DATA;
    else if (this.#padding > 0) this.#state = PADDING;
    else this.#state = HEADER;
    this.isLast = this.#state === HEADER;
  }

  /** The payload in one piece: in place where it is one, and no block goes on. */
  #payload(bytes: Uint8Array, at: number, end: number): number {
    const length = this.#left;
    const isPiece =
      this.type === FRAME_CONTINUATION ||
      (this.type === FRAME_HEADERS && (this.flags & FLAG_END_HEADERS) === 0);
    if (end - at >= length && this.#gatheredSize === 0 && !isPiece) {
      this.#left = 0;
      this.#complete(bytes, at, at + length);
      return at + length;
    }
    const size = Math.min(length, end - at);
    if (this.type === FRAME_CONTINUATION || this.type === FRAME_HEADERS) {
      if (this.#gatheredSize + length > this.#limits.blockSize + PRIORITY_AND_PADDING) {
        this.#break(ENHANCE_YOUR_CALM);
        return at;
      }
    }
    this.#append(bytes, at, at + size);
    this.#left -= size;
    if (this.#left > 0) return at + size;
    this.#complete(this.#gathered, 0, this.#gatheredSize);
    return at + size;
  }

  #append(bytes: Uint8Array, start: number, end: number): void {
    const size = this.#gatheredSize + (end - start);
    if (size > this.#gathered.length) {
      const grown = new Uint8Array(Math.max(256, 2 ** Math.ceil(Math.log2(size))));
      grown.set(this.#gathered.subarray(0, this.#gatheredSize));
      this.#gathered = grown;
    }
    const out = this.#gathered;
    for (let from = start, to = this.#gatheredSize; from < end; from++, to++) {
      out[to] = bytes[from] as number;
    }
    this.#gatheredSize = size;
  }

  /** The payload stands at `start`–`end` of `source`. */
  #complete(source: Uint8Array, start: number, end: number): void {
    this.#state = HEADER;
    this.source = source;
    this.start = start;
    this.end = end;
    const error = this.#read(source, start, end);
    if (error !== NO_ERROR) this.#break(error);
  }

  /** Gives the code that breaks the connection. */
  #read(source: Uint8Array, start: number, end: number): number {
    switch (this.type) {
      case FRAME_HEADERS:
        return this.#readHeaders(source, start, end);
      case FRAME_CONTINUATION:
        return this.#readContinuation();
      case FRAME_PRIORITY:
        this.dependsOn = readWord(source, start) & MAX_STREAM;
        this.event = EVENT_PRIORITY;
        if (this.dependsOn === this.stream) this.#breakStream(PROTOCOL_ERROR);
        return NO_ERROR;
      case FRAME_RST_STREAM:
        this.code = readWord(source, start);
        this.event = EVENT_RESET;
        return NO_ERROR;
      case FRAME_SETTINGS:
        this.event = EVENT_SETTINGS;
        return NO_ERROR;
      case FRAME_PING:
        this.event = EVENT_PING;
        return NO_ERROR;
      case FRAME_GOAWAY:
        this.lastStream = readWord(source, start) & MAX_STREAM;
        this.code = readWord(source, start + 4);
        this.event = EVENT_GOAWAY;
        return NO_ERROR;
      default:
        this.increment = readWord(source, start) & MAX_STREAM;
        this.event = EVENT_WINDOW;
        if (this.increment > 0) return NO_ERROR;
        if (this.stream === 0) return PROTOCOL_ERROR;
        this.#breakStream(PROTOCOL_ERROR);
        return NO_ERROR;
    }
  }

  #readHeaders(source: Uint8Array, start: number, end: number): number {
    let from = start;
    let to = end;
    if ((this.flags & FLAG_PADDED) !== 0) {
      if (from >= to) return FRAME_SIZE_ERROR;
      to -= source[from++] as number;
    }
    this.dependsOn = -1;
    if ((this.flags & FLAG_PRIORITY) !== 0) {
      if (end - from < 5) return FRAME_SIZE_ERROR;
      this.dependsOn = readWord(source, from) & MAX_STREAM;
      from += 5;
    }
    if (from > to) return PROTOCOL_ERROR;
    this.#blockEndsStream = (this.flags & FLAG_END_STREAM) !== 0;
    this.#blockDependsOn = this.dependsOn;
    if ((this.flags & FLAG_END_HEADERS) !== 0) return this.#endBlock(source, from, to);
    // What the padding and the priority took is gone: the block alone is gathered.
    this.#gathered.copyWithin(0, from, to);
    this.#gatheredSize = to - from;
    this.#blockStream = this.stream;
    this.event = EVENT_CONTINUATION;
    return NO_ERROR;
  }

  #readContinuation(): number {
    if (++this.#continuations > this.#limits.continuations) return ENHANCE_YOUR_CALM;
    if ((this.flags & FLAG_END_HEADERS) !== 0) {
      return this.#endBlock(this.#gathered, 0, this.#gatheredSize);
    }
    this.event = EVENT_CONTINUATION;
    return NO_ERROR;
  }

  #endBlock(source: Uint8Array, start: number, end: number): number {
    if (end - start > this.#limits.blockSize) return ENHANCE_YOUR_CALM;
    this.#blockStream = 0;
    this.source = source;
    this.start = start;
    this.end = end;
    this.endStream = this.#blockEndsStream;
    this.dependsOn = this.#blockDependsOn;
    this.event = EVENT_HEADERS;
    return NO_ERROR;
  }

  /** What was gathered for a block is let go: idle connections hold nothing. */
  letGo(): void {
    if (this.#state === HEADER && this.#blockStream === 0) {
      this.#gathered = NOTHING;
      this.#gatheredSize = 0;
    }
  }

  #breakStream(code: number): void {
    this.event = EVENT_STREAM_BROKEN;
    this.code = code;
    this.#state = this.#left === 0 ? HEADER : SKIP;
  }

  #break(code: number): void {
    this.event = EVENT_BROKEN;
    this.code = code;
    this.#state = BROKEN;
  }
}

const NOTHING = new Uint8Array(0);
/** Bytes of a GOAWAY with all its words for people. */
const MAX_GOAWAY = 16_384;
const PRIORITY_AND_PADDING = 5 + 1 + 255;
