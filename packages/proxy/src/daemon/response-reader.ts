import { NO_BUFFER } from "@ha/linux/ring";
import { ChunkedDecoder } from "../core/http/chunked.ts";
import { frameResponse, isBodiless } from "../core/http/framing.ts";
import { parseResponseHead } from "../core/http/h1.ts";
import { HEAD_CHUNKED, HEAD_LENGTH, type Head, INCOMPLETE } from "../core/http/head.ts";
import type { Connection } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";

/** What `readHead` gives in place of a buffer. */
export const READ_MORE = -1;
export const READ_BAD = -2;

/** Reads one HTTP/1 response from a server's connection: the head, then how much of the body is to come. */
export class ResponseReader {
  /** The body has come whole, or there is none. */
  isDone = false;
  /** Bytes of a body with a length that are still to come; Infinity until the server closes; 0 when chunked. */
  left = 0;
  readonly #plane: DataPlane;
  readonly #chunked = new ChunkedDecoder();
  #held = NO_BUFFER;
  #isChunked = false;

  constructor(plane: DataPlane) {
    this.#plane = plane;
  }

  /** Before a response. Gives back what was held of another. */
  reset(): void {
    this.drop();
    this.isDone = this.#isChunked = false;
    this.left = 0;
  }

  drop(): void {
    if (this.#held !== NO_BUFFER) this.#plane.slab.release(this.#held);
    this.#held = NO_BUFFER;
  }

  /**
   * Takes what came until a head is whole: the buffer that it lies in, whose reference passes to the caller (what
   * follows the head is back with the connection), READ_MORE, or READ_BAD.
   *
   * @param method Of the request: some answers have no body because of it.
   * @param relaxed `option accept-unsafe-violations-in-http-response`.
   */
  readHead(server: Connection, head: Head, method: number, relaxed: boolean): number {
    const { slab, maxFields } = this.#plane;
    for (let buffer = server.takeInput(); buffer !== NO_BUFFER; buffer = server.takeInput()) {
      if (!this.#append(buffer)) return READ_BAD;
      const held = this.#held;
      const start = slab.inStart[held] as number;
      const end = slab.inEnd[held] as number;
      const offset = parseResponseHead(slab.bytes, start, end, head, maxFields, relaxed);
      if (offset === INCOMPLETE) continue;
      if (offset < 0 || frameResponse(slab.bytes, head, method) < 0) return READ_BAD;
      head.end = offset;
      this.#held = NO_BUFFER;
      if (offset < end) {
        slab.retain(held);
        server.returnInput(held, offset, end);
      }
      return held;
    }
    return READ_MORE;
  }

  /** A head that comes in pieces is gathered in one buffer. False when it does not fit. */
  #append(buffer: number): boolean {
    const { slab } = this.#plane;
    const held = this.#held;
    if (held === NO_BUFFER) {
      this.#held = buffer;
      return true;
    }
    const start = slab.inStart[buffer] as number;
    const size = (slab.inEnd[buffer] as number) - start;
    const at = slab.inEnd[held] as number;
    const fits = at + size <= slab.offsetOf(held) + slab.sizeOf(held);
    if (fits) {
      slab.bytes.copyWithin(at, start, start + size);
      slab.inEnd[held] = at + size;
    }
    slab.release(buffer);
    return fits;
  }

  /** Sets what of the body is to come, by the head. RFC 9112 §6.3. */
  frame(head: Head, dropsTrailers: boolean): void {
    this.left = 0;
    this.isDone = isBodiless(head);
    this.#isChunked = !this.isDone && (head.flags & HEAD_CHUNKED) !== 0;
    if (this.isDone) return;
    if (this.#isChunked) {
      this.#chunked.reset();
      this.#chunked.dropsTrailers = dropsTrailers;
    } else if ((head.flags & HEAD_LENGTH) !== 0) {
      this.left = head.contentLength;
      this.isDone = this.left === 0;
    } else this.left = Number.POSITIVE_INFINITY;
  }

  /**
   * Takes a range of the body: the end of what is to be passed on from `start`, or -1 when the coding is broken. What
   * follows the body goes back to the connection.
   *
   * @param dataOnly Without the chunked coding.
   */
  take(server: Connection, buffer: number, start: number, end: number, dataOnly: boolean): number {
    const { slab } = this.#plane;
    let stop: number;
    let next: number;
    if (this.#isChunked) {
      stop = this.#chunked.decode(slab.bytes, start, end, dataOnly);
      if (stop < 0) return -1;
      this.isDone = this.#chunked.isDone;
      next = start + this.#chunked.consumed;
    } else {
      const size = Math.min(end - start, this.left);
      this.left -= size;
      if (this.left === 0) this.isDone = true;
      stop = next = start + size;
    }
    if (next < end) {
      slab.retain(buffer);
      server.returnInput(buffer, next, end);
    }
    return stop;
  }

  /** Fields after a chunked body that was taken without its coding, as lines of HTTP/1. */
  get trailers(): Uint8Array | undefined {
    return this.#isChunked ? this.#chunked.trailers : undefined;
  }

  /** The server has ended: whether that was how the body was to end. */
  endsWithConnection(): boolean {
    return this.left === Number.POSITIVE_INFINITY;
  }
}
