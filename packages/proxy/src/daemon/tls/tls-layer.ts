import { NO_BUFFER, type Slab } from "@ha/linux/ring";
import {
  TLS_ENDED,
  TLS_FAILED,
  TLS_HAS_OUTPUT,
  TLS_MAX_PARTS,
  TLS_MORE_PLAIN,
  TLS_RECORD_OVERHEAD,
  TLS_SECURED,
  type TlsEngine,
  type TlsSession,
} from "@ha/linux/tls";
import { SessionFacts } from "./session-facts.ts";

/** Bytes of records that are made before the kernel has taken the first. */
const SEALED_MOST = 262_144;

/**
 * TLS of one connection, between the buffers of the wire and those of its owner. It moves buffers and holds those that
 * wait; reading and sending stay the connection's. Chains that it gives are linked as the connection's queues are.
 */
export class TlsLayer {
  readonly session: TlsSession;
  readonly facts: SessionFacts;
  /** The handshake is done. */
  isSecured = false;
  /** The peer sends no more, by its word. */
  isEnded = false;
  isFailed = false;
  /** Something waits for `takeOutput`. */
  hasOutput = false;
  /** The session had something to say, which is not an alert. */
  hasAnswered = false;
  /** We have said that we send no more. */
  hasSaidEnd = false;
  /** Of the chain that `open` gave: its last buffer, and how many. */
  tail = NO_BUFFER;
  count = 0;
  readonly #engine: TlsEngine;
  readonly #slab: Slab;
  /** Ciphertext that waits for buffers to be decrypted into. */
  #heldHead = NO_BUFFER;
  #heldTail = NO_BUFFER;
  /** The first of those was given to the session, which has not given back all of it. */
  #isOpening = false;
  #plainHead = NO_BUFFER;
  #plainTail = NO_BUFFER;

  constructor(session: TlsSession, engine: TlsEngine, slab: Slab) {
    this.session = session;
    this.facts = new SessionFacts(session);
    this.#engine = engine;
    this.#slab = slab;
  }

  /** Whether ciphertext waits for buffers: `open` without a buffer goes on with it. */
  get isStarved(): boolean {
    return this.#heldHead !== NO_BUFFER;
  }

  /** Whether plaintext waits to be sealed. */
  get hasPlain(): boolean {
    return this.#plainHead !== NO_BUFFER;
  }

  /** Takes a buffer of ciphertext, for `open`. */
  hold(buffer: number): void {
    const slab = this.#slab;
    slab.inNext[buffer] = NO_BUFFER;
    if (this.#heldTail === NO_BUFFER) this.#heldHead = buffer;
    else slab.inNext[this.#heldTail] = buffer;
    this.#heldTail = buffer;
  }

  /**
   * Takes a buffer of ciphertext (its reference passes; NO_BUFFER: goes on with those that waited) and gives the first of a chain of buffers with
   * plaintext, or NO_BUFFER.
   */
  open(buffer: number): number {
    const slab = this.#slab;
    this.tail = NO_BUFFER;
    this.count = 0;
    let head = NO_BUFFER;
    if (buffer !== NO_BUFFER) this.hold(buffer);
    let room = NO_BUFFER;
    while (this.#heldHead !== NO_BUFFER) {
      const held = this.#heldHead;
      if (room === NO_BUFFER) room = this.#roomFor(held);
      if (room === NO_BUFFER) return head;
      const state = this.#receive(held, room);
      const size = this.session.plain;
      if (size > 0) {
        const start = slab.offsetOf(room);
        slab.inStart[room] = start;
        slab.inEnd[room] = start + size;
        slab.inNext[room] = NO_BUFFER;
        if (this.tail === NO_BUFFER) head = room;
        else slab.inNext[this.tail] = room;
        this.tail = room;
        this.count++;
        room = NO_BUFFER;
      }
      this.#isOpening = (state & TLS_MORE_PLAIN) !== 0;
      if (this.#isOpening) continue;
      this.#heldHead = slab.inNext[held] as number;
      if (this.#heldHead === NO_BUFFER) this.#heldTail = NO_BUFFER;
      slab.inNext[held] = NO_BUFFER;
      slab.release(held);
    }
    if (room !== NO_BUFFER) slab.release(room);
    return head;
  }

  /** Takes plaintext behind what waits; the reference passes. The buffer is in no other queue of bytes to send. */
  push(buffer: number, start: number, end: number): void {
    const slab = this.#slab;
    slab.outQueued[buffer] = 1;
    slab.outStart[buffer] = start;
    slab.outEnd[buffer] = end;
    slab.outNext[buffer] = NO_BUFFER;
    if (this.#plainTail === NO_BUFFER) this.#plainHead = buffer;
    else slab.outNext[this.#plainTail] = buffer;
    this.#plainTail = buffer;
  }

  /** The buffer that plaintext was last put in, which may be prolonged. */
  get lastPlain(): number {
    return this.#plainTail;
  }

  /**
   * Makes a buffer of records out of what waits: its number, to be sent, or NO_BUFFER. `inEnd` of it is how many bytes of plaintext it stands
   * for, and so is `inStart`. `isFailed` says when it cannot be.
   */
  seal(): number {
    const slab = this.#slab;
    const { starts, ends } = this.#engine;
    let parts = 0;
    let size = 0;
    for (
      let at = this.#plainHead;
      at !== NO_BUFFER && parts < TLS_MAX_PARTS && size < SEALED_MOST;
      at = slab.outNext[at] as number
    ) {
      const start = slab.outStart[at] as number;
      const end = slab.outEnd[at] as number;
      starts[parts] = start;
      ends[parts++] = end;
      size += end - start;
    }
    if (parts === 0) return NO_BUFFER;
    let buffer = NO_BUFFER;
    if (size > slab.smallSize - TLS_RECORD_OVERHEAD) buffer = slab.takeLarge();
    if (buffer === NO_BUFFER) buffer = slab.take();
    if (buffer === NO_BUFFER) return NO_BUFFER;
    const offset = slab.offsetOf(buffer);
    const written = this.session.seal(parts, offset, offset + slab.sizeOf(buffer));
    if (written <= 0) {
      slab.release(buffer);
      if (written < 0) this.isFailed = true;
      return NO_BUFFER;
    }
    const { taken } = this.session;
    this.#drop(taken);
    mark(slab, buffer, offset, written, taken, taken);
    return buffer;
  }

  /** Bytes that the session itself has to say, in a buffer to be sent; NO_BUFFER when there are none, or no buffer is left. */
  takeOutput(): number {
    const slab = this.#slab;
    const buffer = slab.take();
    if (buffer === NO_BUFFER) return NO_BUFFER;
    const offset = slab.offsetOf(buffer);
    const size = this.session.drain(offset, offset + slab.smallSize);
    this.hasOutput = size === slab.smallSize;
    if (size === 0) {
      slab.release(buffer);
      return NO_BUFFER;
    }
    if (!this.isFailed) this.hasAnswered = true;
    mark(slab, buffer, offset, size, 0, size);
    return buffer;
  }

  /** Has the session say that we send no more: `takeOutput` gives it. */
  sayEnd(): void {
    if (this.hasSaidEnd) return;
    this.hasSaidEnd = true;
    if (this.session.shutdown()) this.hasOutput = true;
  }

  /** Gives every buffer back. What the session tells of itself can still be read. */
  clear(): void {
    const slab = this.#slab;
    while (this.#heldHead !== NO_BUFFER) {
      const held = this.#heldHead;
      this.#heldHead = slab.inNext[held] as number;
      slab.inNext[held] = NO_BUFFER;
      slab.release(held);
    }
    this.#heldTail = NO_BUFFER;
    while (this.#plainHead !== NO_BUFFER) this.#popPlain();
  }

  #receive(held: number, room: number): number {
    const slab = this.#slab;
    const out = slab.offsetOf(room);
    const start = slab.inStart[held] as number;
    // What the session was given once it takes by itself.
    const end = this.#isOpening ? start : (slab.inEnd[held] as number);
    const state = this.session.receive(start, end, out, out + slab.sizeOf(room));
    if ((state & TLS_SECURED) !== 0) this.isSecured = true;
    if ((state & TLS_ENDED) !== 0) this.isEnded = true;
    if ((state & TLS_FAILED) !== 0) this.isFailed = true;
    if ((state & TLS_HAS_OUTPUT) !== 0) this.hasOutput = true;
    return state;
  }

  /** Plaintext of a large read goes into a large buffer, where there is one. */
  #roomFor(held: number): number {
    const slab = this.#slab;
    if ((slab.inEnd[held] as number) - (slab.inStart[held] as number) > slab.smallSize) {
      const large = slab.takeLarge();
      if (large !== NO_BUFFER) return large;
    }
    return slab.take();
  }

  #drop(size: number): void {
    const slab = this.#slab;
    let left = size;
    while (left > 0) {
      const buffer = this.#plainHead;
      const start = slab.outStart[buffer] as number;
      const held = (slab.outEnd[buffer] as number) - start;
      if (left < held) {
        slab.outStart[buffer] = start + left;
        return;
      }
      left -= held;
      this.#popPlain();
    }
  }

  #popPlain(): void {
    const slab = this.#slab;
    const buffer = this.#plainHead;
    this.#plainHead = slab.outNext[buffer] as number;
    if (this.#plainHead === NO_BUFFER) this.#plainTail = NO_BUFFER;
    slab.outQueued[buffer] = 0;
    slab.outNext[buffer] = NO_BUFFER;
    slab.release(buffer);
  }
}

/** A buffer of ciphertext, ready for the queue; its columns for input are free to say what it stands for. */
function mark(
  slab: Slab,
  buffer: number,
  offset: number,
  size: number,
  plain: number,
  unsent: number,
): void {
  slab.outQueued[buffer] = 1;
  slab.outStart[buffer] = offset;
  slab.outEnd[buffer] = offset + size;
  slab.outNext[buffer] = NO_BUFFER;
  slab.inEnd[buffer] = plain;
  slab.inStart[buffer] = unsent;
}
