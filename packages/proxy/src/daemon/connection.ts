import {
  EAGAIN,
  ECANCELED,
  ENOBUFS,
  GROUP_LARGE,
  GROUP_SMALL,
  MESSAGE_BYTES,
  NO_BUFFER,
  OP_CONNECT,
  OP_RECEIVE,
  OP_RECEIVE_LARGE,
  OP_SEND,
  PART_BYTES,
  type Ring,
  type RingOwner,
  type Slab,
  setAbortive,
  shutdownStream,
} from "@ha/linux/ring";

/** Who reads and writes a connection. All calls come from the ring's turn; a closed connection calls nobody. */
export interface ConnectionOwner {
  /** Bytes came into the queue (`takeInput`), or the peer has ended (`isEnded`). */
  received(connection: Connection): void;
  /** Everything queued went out. */
  drained(connection: Connection): void;
  /** Reading or writing failed: nothing more will come of this connection. `error` is a negated errno. */
  failed(connection: Connection, error: number): void;
  /** The answer to `connect`: 0 or a negated errno. */
  connected(connection: Connection, result: number): void;
}

/** What a connection is doing with the kernel about reading. */
const READ_IDLE = 0;
const READ_MANY = 1;
const READ_LARGE = 2;
const READ_CANCELLING = 3;
const READ_STARVED = 4;

/** Buffers received and not taken before reading pauses. */
const INPUT_LIMIT = 4;
/** Parts of one gathered send. */
const MAX_PARTS = 8;
const MESSAGE_SLOT = MESSAGE_BYTES + MAX_PARTS * PART_BYTES + 8;

/**
 * One stream socket on the ring: what it received and has not been taken, what is to be sent, and its end. It
 * owns the descriptor, and every buffer in its queues, until they are handed on. An idle one holds no buffer.
 */
export class Connection implements RingOwner {
  fd = -1;
  owner: ConnectionOwner | undefined = undefined;
  /** The peer sends no more (its FIN came), and all it sent is in the queue. */
  isEnded = false;
  /** A negated errno of the first failure, 0 without. */
  error = 0;
  /** Bytes queued and not yet accepted by the kernel. */
  unsent = 0;
  /** Bytes that came and went over its life. */
  bytesIn = 0;
  bytesOut = 0;
  /** Exchanges it has carried, of a connection to a server. */
  uses = 0;
  /** Free for the owner: which proxy the connection belongs to. */
  peer = 0;
  /** Free for the owner: which of its two connections this is, or its place in a pool. */
  side = 0;
  readonly #shared: ConnectionShared;
  #slot = -1;
  #inHead = NO_BUFFER;
  #inTail = NO_BUFFER;
  #inCount = 0;
  #outHead = NO_BUFFER;
  #outTail = NO_BUFFER;
  #reading = READ_IDLE;
  #wantsInput = false;
  #wantsLarge = false;
  #largeLimit = 0;
  #isSending = false;
  #isConnecting = false;
  #isClosing = false;
  #shutdownAfter = false;
  #hasShutdown = false;
  #message = -1;

  constructor(shared: ConnectionShared) {
    this.#shared = shared;
  }

  /** Begins with a descriptor that is now this connection's. Reading starts with `resume`. */
  open(fd: number, owner: ConnectionOwner | undefined): void {
    const { ring } = this.#shared;
    this.fd = fd;
    this.owner = owner;
    ring.owned[fd] = 1;
    this.#slot = ring.attach(this);
    this.isEnded = this.#wantsInput = this.#wantsLarge = this.#isSending = this.#isClosing = false;
    this.#isConnecting = this.#shutdownAfter = this.#hasShutdown = false;
    this.uses = 0;
    this.error = this.unsent = this.bytesIn = this.bytesOut = this.#inCount = 0;
    this.#reading = READ_IDLE;
    this.#shared.open++;
  }

  /** `sockaddr` of `length` bytes at a slab offset that does not change. The owner's `connected` follows. */
  connect(offset: number, length: number): void {
    this.#isConnecting = true;
    this.#shared.ring.connect(this.#slot, this.fd, offset, length);
  }

  get isOpen(): boolean {
    return this.fd >= 0 && !this.#isClosing;
  }

  get hasInput(): boolean {
    return this.#inHead !== NO_BUFFER;
  }

  /** Whether the owner sent the end of its own stream. */
  get hasShutdown(): boolean {
    return this.#hasShutdown || this.#shutdownAfter;
  }

  get isReading(): boolean {
    return this.#wantsInput;
  }

  /** Lets bytes come: into small buffers, and more than one at a time. */
  resume(): void {
    this.#wantsInput = true;
    this.#wantsLarge = false;
    this.#arm();
  }

  /**
   * Lets one large read come, of at most `limit` bytes (0 is any number). Call again for the next: this is the
   * way of long bodies and tunnels, whose pace the slower side sets.
   */
  resumeLarge(limit: number): void {
    this.#wantsInput = true;
    this.#wantsLarge = true;
    this.#largeLimit = limit;
    if (this.#reading === READ_MANY) this.#disarm();
    else this.#arm();
  }

  /** Takes no more: bytes that are under way still come. */
  pause(): void {
    this.#wantsInput = false;
    this.#disarm();
  }

  /**
   * The next buffer with bytes, which passes to the caller with its reference; where its bytes are stands in
   * `slab.inStart` and `slab.inEnd`. NO_BUFFER when there is none.
   */
  takeInput(): number {
    const buffer = this.#inHead;
    if (buffer === NO_BUFFER) return NO_BUFFER;
    const { slab } = this.#shared;
    this.#inHead = slab.inNext[buffer] as number;
    if (this.#inHead === NO_BUFFER) this.#inTail = NO_BUFFER;
    slab.inNext[buffer] = NO_BUFFER;
    this.#inCount--;
    if (this.#wantsInput && this.#reading === READ_IDLE) this.#arm();
    return buffer;
  }

  /** Looks at the next buffer without taking it. */
  peekInput(): number {
    return this.#inHead;
  }

  /** Puts back what is left of a buffer that was taken: it is the next one again. */
  returnInput(buffer: number, start: number, end: number): void {
    const { slab } = this.#shared;
    slab.inStart[buffer] = start;
    slab.inEnd[buffer] = end;
    slab.inNext[buffer] = this.#inHead;
    if (this.#inHead === NO_BUFFER) this.#inTail = buffer;
    this.#inHead = buffer;
    this.#inCount++;
  }

  /** Queues bytes of a buffer; the caller's reference passes to the connection. Goes out with `flush`. */
  queue(buffer: number, start: number, end: number): void {
    const { slab } = this.#shared;
    if (start === end || !this.isOpen || this.error !== 0) {
      slab.release(buffer);
      return;
    }
    this.unsent += end - start;
    const tail = this.#outTail;
    if (tail === buffer && slab.outEnd[tail] === start) {
      slab.outEnd[tail] = end;
      slab.release(buffer);
      return;
    }
    if (slab.outQueued[buffer] === 1) {
      this.#queueCopy(buffer, start, end);
      return;
    }
    slab.outQueued[buffer] = 1;
    slab.outStart[buffer] = start;
    slab.outEnd[buffer] = end;
    slab.outNext[buffer] = NO_BUFFER;
    if (tail === NO_BUFFER) this.#outHead = buffer;
    else slab.outNext[tail] = buffer;
    this.#outTail = buffer;
  }

  /** Copies bytes that are not in the slab, behind what is queued. False when there is no buffer. */
  queueBytes(bytes: Uint8Array): boolean {
    const { slab } = this.#shared;
    for (let at = 0; at < bytes.length; ) {
      const buffer = slab.take();
      if (buffer === NO_BUFFER) return false;
      const start = slab.offsetOf(buffer);
      const size = Math.min(bytes.length - at, slab.smallSize);
      slab.bytes.set(bytes.subarray(at, at + size), start);
      this.queue(buffer, start, start + size);
      at += size;
    }
    return true;
  }

  /** Sends what is queued, as far as nothing is being sent. */
  flush(): void {
    if (this.#isSending || this.#isConnecting || !this.isOpen) return;
    const first = this.#outHead;
    if (first === NO_BUFFER) {
      if (this.#shutdownAfter) this.#shutdownNow();
      return;
    }
    const { ring, slab } = this.#shared;
    this.#isSending = true;
    const start = slab.outStart[first] as number;
    if (slab.outNext[first] === NO_BUFFER) {
      const length = (slab.outEnd[first] as number) - start;
      ring.send(this.#slot, this.fd, start, length);
      return;
    }
    this.#sendGathered(first);
  }

  /** Ends our side of the stream once everything queued went out. */
  shutdown(): void {
    if (this.#hasShutdown || !this.isOpen) return;
    this.#shutdownAfter = true;
    this.flush();
  }

  /**
   * Closes now: whatever is queued is dropped, whatever is in flight cancelled, and the owner hears nothing
   * more. `reset` tells the peer that it was no orderly end.
   */
  close(reset = false): void {
    if (this.fd < 0 || this.#isClosing) return;
    this.#isClosing = true;
    this.owner = undefined;
    if (reset) setAbortive(this.fd);
    const { ring } = this.#shared;
    ring.close(this.#slot, this.fd);
    this.#dropInput();
  }

  complete(op: number, result: number, buffer: number, more: boolean): void {
    if (op === OP_RECEIVE || op === OP_RECEIVE_LARGE) this.#received(result, buffer, more);
    else if (op === OP_SEND) this.#sent(result);
    else if (op === OP_CONNECT) {
      this.#isConnecting = false;
      if (!this.#isClosing) this.owner?.connected(this, result);
    }
    if (this.#isClosing && this.#shared.ring.inFlight(this.#slot) === 0) this.#finish();
  }

  #received(result: number, buffer: number, more: boolean): void {
    const { slab } = this.#shared;
    if (!more) this.#reading = READ_IDLE;
    if (buffer !== NO_BUFFER && (this.#isClosing || result <= 0)) slab.release(buffer);
    if (this.#isClosing) return;
    if (result > 0) {
      const start = slab.offsetOf(buffer);
      slab.inStart[buffer] = start;
      slab.inEnd[buffer] = start + result;
      slab.inNext[buffer] = NO_BUFFER;
      if (this.#inTail === NO_BUFFER) this.#inHead = buffer;
      else slab.inNext[this.#inTail] = buffer;
      this.#inTail = buffer;
      this.#inCount++;
      this.bytesIn += result;
      if (this.#wantsLarge) this.#wantsInput = false;
      else if (this.#inCount >= INPUT_LIMIT) this.#disarm();
      else if (!more && this.#wantsInput) this.#arm();
      this.owner?.received(this);
      return;
    }
    switch (result) {
      case 0:
        this.isEnded = true;
        this.#wantsInput = false;
        this.owner?.received(this);
        return;
      case ECANCELED:
      case EAGAIN:
        if (this.#wantsInput) this.#arm();
        return;
      case ENOBUFS:
        this.#starved();
        return;
      default:
        this.#fail(result);
    }
  }

  #starved(): void {
    const { ring, slab } = this.#shared;
    if (!this.#wantsInput) return;
    if (this.#wantsLarge && slab.freeLarge === 0) {
      // Small buffers are slower, not wrong.
      this.#reading = READ_MANY;
      ring.receive(this.#slot, this.fd, GROUP_SMALL, false);
      return;
    }
    this.#reading = READ_STARVED;
    ring.retryReceive(this.#slot);
  }

  #arm(): void {
    if (this.#reading !== READ_IDLE || this.isEnded || this.error !== 0 || !this.isOpen) return;
    if (!this.#wantsLarge && this.#inCount >= INPUT_LIMIT) return;
    const { ring } = this.#shared;
    if (this.#wantsLarge) {
      this.#reading = READ_LARGE;
      ring.receive(this.#slot, this.fd, GROUP_LARGE, false, this.#largeLimit);
    } else {
      this.#reading = READ_MANY;
      ring.receive(this.#slot, this.fd, GROUP_SMALL, true);
    }
  }

  #disarm(): void {
    const reading = this.#reading;
    if (!this.isOpen) return;
    if (reading !== READ_MANY && reading !== READ_LARGE) return;
    this.#reading = READ_CANCELLING;
    const op = reading === READ_MANY ? OP_RECEIVE : OP_RECEIVE_LARGE;
    this.#shared.ring.cancel(this.#slot, this.fd, op);
  }

  #sendGathered(first: number): void {
    const { ring, slab, starts, ends } = this.#shared;
    if (this.#message < 0) this.#message = this.#shared.takeMessage();
    let parts = 0;
    let length = 0;
    for (let at = first; at !== NO_BUFFER && parts < MAX_PARTS; at = slab.outNext[at] as number) {
      starts[parts] = slab.outStart[at] as number;
      ends[parts] = slab.outEnd[at] as number;
      length += (slab.outEnd[at] as number) - (slab.outStart[at] as number);
      parts++;
      if (this.#message < 0) break;
    }
    if (this.#message < 0) {
      ring.send(this.#slot, this.fd, starts[0] as number, length);
      return;
    }
    ring.writeMessage(this.#message, starts, ends, parts);
    ring.sendMessage(this.#slot, this.fd, this.#message);
  }

  #sent(result: number): void {
    const { slab } = this.#shared;
    this.#isSending = false;
    if (this.#isClosing) return;
    if (result < 0) {
      this.#fail(result);
      return;
    }
    this.bytesOut += result;
    this.unsent -= result;
    let left = result;
    while (left > 0) {
      const buffer = this.#outHead;
      const start = slab.outStart[buffer] as number;
      const size = (slab.outEnd[buffer] as number) - start;
      if (left < size) {
        slab.outStart[buffer] = start + left;
        break;
      }
      left -= size;
      this.#popOutput(buffer);
    }
    if (this.#outHead !== NO_BUFFER) {
      this.flush();
      if (this.unsent < OUTPUT_LOW) this.owner?.drained(this);
      return;
    }
    if (this.#message >= 0) {
      this.#shared.giveMessage(this.#message);
      this.#message = -1;
    }
    if (this.#shutdownAfter) this.#shutdownNow();
    this.owner?.drained(this);
  }

  #popOutput(buffer: number): void {
    const { slab } = this.#shared;
    this.#outHead = slab.outNext[buffer] as number;
    if (this.#outHead === NO_BUFFER) this.#outTail = NO_BUFFER;
    slab.outQueued[buffer] = 0;
    slab.outNext[buffer] = NO_BUFFER;
    slab.release(buffer);
  }

  /** A range of a buffer that another queue holds already: two queues cannot share its columns. */
  #queueCopy(buffer: number, start: number, end: number): void {
    const { slab } = this.#shared;
    this.unsent -= end - start;
    for (let at = start; at < end; ) {
      const copy = slab.take();
      if (copy === NO_BUFFER) {
        slab.release(buffer);
        this.#fail(ENOBUFS);
        return;
      }
      const size = Math.min(slab.smallSize, end - at);
      const to = slab.offsetOf(copy);
      slab.bytes.copyWithin(to, at, at + size);
      this.queue(copy, to, to + size);
      at += size;
    }
    slab.release(buffer);
  }

  #shutdownNow(): void {
    if (this.#hasShutdown) return;
    this.#hasShutdown = true;
    this.#shutdownAfter = false;
    shutdownStream(this.fd, 1);
  }

  #fail(error: number): void {
    if (this.error !== 0) return;
    this.error = error;
    this.#wantsInput = false;
    this.owner?.failed(this, error);
  }

  #dropInput(): void {
    for (let buffer = this.takeInput(); buffer !== NO_BUFFER; buffer = this.takeInput()) {
      this.#shared.slab.release(buffer);
    }
  }

  /** The last completion has come: nothing of the kernel's points here any more. */
  #finish(): void {
    this.#dropInput();
    while (this.#outHead !== NO_BUFFER) this.#popOutput(this.#outHead);
    if (this.#message >= 0) this.#shared.giveMessage(this.#message);
    this.#message = -1;
    this.#shared.ring.detach(this.#slot);
    this.fd = -1;
    this.#slot = -1;
    this.#shared.open--;
  }
}

/** `drained` is also told when less than this is left to send, so that the next bytes come before the last went. */
export const OUTPUT_LOW = 131_072;

/** What the connections of a thread share. */
export class ConnectionShared {
  readonly ring: Ring;
  readonly slab: Slab;
  readonly starts = new Int32Array(MAX_PARTS);
  readonly ends = new Int32Array(MAX_PARTS);
  /** Connections whose descriptor is open or closing. A leak counter. */
  open = 0;
  readonly #messages: number[] = [];

  /** @param messagesAt Slab offset of room for `messages` gathered sends, aligned to 8. */
  constructor(ring: Ring, messagesAt: number, messages: number) {
    this.ring = ring;
    this.slab = ring.slab;
    for (let i = messages - 1; i >= 0; i--) this.#messages.push(messagesAt + i * MESSAGE_SLOT);
  }

  /**
   * A connection to be opened. Never one that was used: who still holds that must find it closed, not another's.
   */
  create(): Connection {
    return new Connection(this);
  }

  takeMessage(): number {
    return this.#messages.pop() ?? -1;
  }

  giveMessage(offset: number): void {
    this.#messages.push(offset);
  }
}

/** Bytes of slab that gathered sends need. */
export function messageRoom(messages: number): number {
  return messages * MESSAGE_SLOT;
}
