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
import { OutputQueue } from "../output-queue.ts";
import { SessionFacts } from "./session-facts.ts";

/** Bytes of records that are made before the kernel has taken the first. */
const SEALED_MOST = 262_144;
/** The same in buffers. */
const SEALED_BUFFERS = 4;

/**
 * TLS of one connection, between the buffers of the wire and those of its owner. It moves buffers and holds those that
 * wait; reading and sending stay the connection's. Chains that it gives are linked as the connection's queues are.
 */
export class TlsLayer {
  readonly session: TlsSession;
  readonly facts: SessionFacts;
  /** What the owner has queued, to be sealed. */
  readonly plain: OutputQueue;
  /** The handshake is done. */
  isSecured = false;
  /** The peer sends no more, by its word. */
  isEnded = false;
  isFailed = false;
  /** Something waits for `outputInto`. */
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

  constructor(session: TlsSession, engine: TlsEngine, slab: Slab) {
    this.session = session;
    this.facts = new SessionFacts(session);
    this.#engine = engine;
    this.#slab = slab;
    this.plain = new OutputQueue(slab);
  }

  /** Whether ciphertext waits for buffers: `open` without a buffer goes on with it. */
  get isStarved(): boolean {
    return this.#heldHead !== NO_BUFFER;
  }

  /** Whether plaintext waits to be sealed. */
  get hasPlain(): boolean {
    return this.plain.head !== NO_BUFFER;
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

  /**
   * Puts records of what waits into the queue, as far as the kernel may be given more. False when it could not go on: for want of a
   * buffer, or (`isFailed`) of sense.
   */
  sealInto(out: OutputQueue): boolean {
    for (let count = out.length; this.hasPlain && count < SEALED_BUFFERS; count++) {
      if (!this.#seal(out)) return false;
    }
    return true;
  }

  /** Puts what the session itself has to say into the queue: how many bytes. */
  outputInto(out: OutputQueue): number {
    let all = 0;
    while (this.hasOutput) {
      const size = this.#takeOutput(out);
      if (size === 0) break;
      all += size;
    }
    return all;
  }

  /** Has the session say that we send no more: `outputInto` gives it. */
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
    this.plain.clear();
  }

  /** One buffer of records. Its columns for input, which are free, say how much plaintext it stands for. */
  #seal(out: OutputQueue): boolean {
    const slab = this.#slab;
    const { starts, ends } = this.#engine;
    let parts = 0;
    let size = 0;
    for (
      let at = this.plain.head;
      at !== NO_BUFFER && parts < TLS_MAX_PARTS && size < SEALED_MOST;
      at = slab.outNext[at] as number
    ) {
      const start = slab.outStart[at] as number;
      const end = slab.outEnd[at] as number;
      starts[parts] = start;
      ends[parts++] = end;
      size += end - start;
    }
    let buffer = NO_BUFFER;
    if (size > slab.smallSize - TLS_RECORD_OVERHEAD) buffer = slab.takeLarge();
    if (buffer === NO_BUFFER) buffer = slab.take();
    if (buffer === NO_BUFFER) return false;
    const offset = slab.offsetOf(buffer);
    const written = this.session.seal(parts, offset, offset + slab.sizeOf(buffer));
    if (written <= 0) {
      slab.release(buffer);
      if (written < 0) this.isFailed = true;
      return false;
    }
    const { taken } = this.session;
    this.#drop(taken);
    slab.inStart[buffer] = slab.inEnd[buffer] = taken;
    out.push(buffer, offset, offset + written);
    return true;
  }

  /** Bytes put into the queue; 0 when there are none, or no buffer is left. */
  #takeOutput(out: OutputQueue): number {
    const slab = this.#slab;
    const buffer = slab.take();
    if (buffer === NO_BUFFER) return 0;
    const offset = slab.offsetOf(buffer);
    const size = this.session.drain(offset, offset + slab.smallSize);
    this.hasOutput = size === slab.smallSize;
    if (size === 0) {
      slab.release(buffer);
      return 0;
    }
    if (!this.isFailed) this.hasAnswered = true;
    // Stands for no plaintext, but must go out before all has.
    slab.inStart[buffer] = size;
    slab.inEnd[buffer] = 0;
    out.push(buffer, offset, offset + size);
    return size;
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
      const buffer = this.plain.head;
      const start = slab.outStart[buffer] as number;
      const held = (slab.outEnd[buffer] as number) - start;
      if (left < held) {
        slab.outStart[buffer] = start + left;
        return;
      }
      left -= held;
      this.plain.pop();
    }
  }
}
