import { COLON, CR, LF, SEMICOLON, SPACE, TAB, TOKEN } from "./bytes.ts";
import { CONNECTION, CONTENT_LENGTH, HOST_FIELD, TRANSFER_ENCODING } from "./framing.ts";
import { BAD_REQUEST } from "./head.ts";

/** Where a decoder is within the coding. RFC 9112 §7.1. */
const SIZE = 0;
const EXTENSION = 1;
const SIZE_LF = 2;
const DATA = 3;
const DATA_CR = 4;
const DATA_LF = 5;
/** After the last chunk, at the start of a trailer line or of the empty line that ends all. */
const TRAILER_START = 6;
const TRAILER_NAME = 7;
const TRAILER_LINE = 8;
const TRAILER_LF = 9;
const END_LF = 10;
const DONE = 11;

/** Names that would change how the message is read, were they believed in a trailer. RFC 9110 §6.5.1. */
const FORBIDDEN = [CONTENT_LENGTH, TRANSFER_ENCODING, HOST_FIELD, CONNECTION].map(
  ({ hash }) => hash,
);

/** Digits of a chunk's size: 2^52 and less, so that no reader's number overflows. */
const MAX_DIGITS = 13;
/** Bytes of one chunk's extensions. They are dropped, so none need be long. */
const MAX_EXTENSION = 1_024;
/** Bytes of all trailers: what a head may take. */
const MAX_TRAILER = 8_192;

/**
 * Reads the chunked coding from ranges split anywhere, and rewrites each range in place to what is passed on:
 * either the coding itself in its plainest spelling (no extensions), or the data alone. One object for each
 * direction of a connection, used again and again.
 */
export class ChunkedDecoder {
  /** Bytes of the range that belong to this message: what follows is the next one's. Set by `decode`. */
  consumed = 0;
  /** Bytes of data seen so far, without coding. */
  dataBytes = 0;
  /** Whether fields followed the last chunk. */
  hasTrailer = false;
  /** Passes no trailers on (`option http-drop-request-trailers`). They are read and checked all the same. */
  dropsTrailers = false;
  #state = SIZE;
  #size = 0;
  #digits = 0;
  #extension = 0;
  #trailer = 0;
  #nameHash = 0;

  /** Before the first byte of a body. */
  reset(): void {
    this.#state = SIZE;
    this.#size = this.#digits = this.#extension = this.#trailer = 0;
    this.dataBytes = 0;
    this.hasTrailer = false;
    this.#keptSize = 0;
  }

  get isDone(): boolean {
    return this.#state === DONE;
  }

  /**
   * Takes `start`–`end`. Gives the end of what is passed on, which stands from `start` on in place of what was
   * there; or BAD_REQUEST. `consumed` says how far into the range the message went.
   *
   * @param dataOnly Pass on the data without the coding (trailers are dropped).
   */
  decode(bytes: Uint8Array, start: number, end: number, dataOnly: boolean): number {
    let out = start;
    let at = start;
    // While nothing was dropped, bytes stand where they should and only `out` moves.
    while (at < end && this.#state !== DONE) {
      if (this.#state === DATA) {
        const size = Math.min(this.#size, end - at);
        if (out !== at) bytes.copyWithin(out, at, at + size);
        out += size;
        at += size;
        this.#size -= size;
        this.dataBytes += size;
        if (this.#size === 0) this.#state = DATA_CR;
        continue;
      }
      const byte = bytes[at++] as number;
      const before = this.#state;
      const keep = this.#dropped(before, this.#take(byte));
      if (keep < 0) return BAD_REQUEST;
      if (keep === 0) continue;
      if (!dataOnly) bytes[out++] = byte;
      else if (this.hasTrailer) this.#keepTrailer(byte);
    }
    this.consumed = at - start;
    return out;
  }

  /** What `dataOnly` left out of a body that has ended: the lines after the last chunk. Undefined without. */
  get trailers(): Uint8Array | undefined {
    // The empty line that ends all is not among them.
    if (this.#state !== DONE || this.#keptSize <= 2) return undefined;
    return this.#kept?.subarray(0, this.#keptSize - 2);
  }

  #kept: Uint8Array | undefined = undefined;
  #keptSize = 0;

  #keepTrailer(byte: number): void {
    this.#kept ??= new Uint8Array(MAX_TRAILER * 2 + 16);
    if (this.#keptSize < this.#kept.length) this.#kept[this.#keptSize++] = byte;
  }

  #dropped(before: number, keep: number): number {
    const inTrailer = before >= TRAILER_NAME && before <= TRAILER_LF;
    const begins = before === TRAILER_START && this.#state === TRAILER_NAME;
    return keep === 1 && this.dropsTrailers && (inTrailer || begins) ? 0 : keep;
  }

  /** One byte of the coding: 1 is passed on, 0 is dropped, -1 is an error. */
  #take(byte: number): number {
    switch (this.#state) {
      case SIZE: {
        const digit = hexDigit(byte);
        if (digit >= 0) {
          // Zeros in front count as digits: an endless run of them is no size.
          if (++this.#digits > MAX_DIGITS) return -1;
          this.#size = this.#size * 16 + digit;
          return 1;
        }
        if (this.#digits === 0) return -1;
        if (byte === CR) {
          this.#state = SIZE_LF;
          return 1;
        }
        if (byte !== SEMICOLON && byte !== SPACE && byte !== TAB) return -1;
        this.#state = EXTENSION;
        this.#extension = byte === SEMICOLON ? 1 : 0;
        return 0;
      }
      case EXTENSION:
        if (byte === CR) {
          // Blanks alone after the size are none of RFC 9112's.
          if (this.#extension === 0) return -1;
          this.#state = SIZE_LF;
          return 1;
        }
        if (this.#extension === 0 && byte !== SEMICOLON && byte !== SPACE && byte !== TAB)
          return -1;
        if (byte === SEMICOLON || this.#extension > 0) this.#extension++;
        if (this.#extension > MAX_EXTENSION) return -1;
        return byte === LF || (byte < SPACE && byte !== TAB) || byte === 0x7f ? -1 : 0;
      case SIZE_LF:
        if (byte !== LF) return -1;
        this.#state = this.#size === 0 ? TRAILER_START : DATA;
        this.#digits = 0;
        return 1;
      case DATA_CR:
        if (byte !== CR) return -1;
        this.#state = DATA_LF;
        return 1;
      case DATA_LF:
        if (byte !== LF) return -1;
        this.#state = SIZE;
        this.#size = 0;
        return 1;
      case TRAILER_START:
        if (byte === CR) {
          this.#state = END_LF;
          return 1;
        }
        if (TOKEN[byte] === 0) return -1;
        this.hasTrailer = true;
        this.#state = TRAILER_NAME;
        this.#nameHash = TOKEN[byte] as number;
        return this.#trailerByte(byte);
      case TRAILER_NAME:
        if (byte === COLON) {
          // A hash is enough here: a name forged to collide only gets its own message refused.
          if (FORBIDDEN.includes(this.#nameHash)) return -1;
          this.#state = TRAILER_LINE;
          return this.#trailerByte(byte);
        }
        if (TOKEN[byte] === 0) return -1;
        this.#nameHash = (Math.imul(this.#nameHash, 31) + (TOKEN[byte] as number)) | 0;
        return this.#trailerByte(byte);
      case TRAILER_LINE:
        if (byte === CR) {
          this.#state = TRAILER_LF;
          return 1;
        }
        return this.#trailerByte(byte);
      case TRAILER_LF:
        if (byte !== LF) return -1;
        this.#state = TRAILER_START;
        return 1;
      default:
        if (byte !== LF) return -1;
        this.#state = DONE;
        return 1;
    }
  }

  #trailerByte(byte: number): number {
    if (++this.#trailer > MAX_TRAILER) return -1;
    return byte === LF || byte === 0x7f || (byte < SPACE && byte !== TAB) ? -1 : 1;
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30;
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}
