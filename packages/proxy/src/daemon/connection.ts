import {
  EAGAIN,
  ECANCELED,
  ECONNRESET,
  ENOBUFS,
  EPROTO,
  GROUP_LARGE,
  GROUP_SMALL,
  NO_BUFFER,
  OP_CLOSE,
  OP_CONNECT,
  OP_RECEIVE,
  OP_RECEIVE_LARGE,
  OP_SEND,
  type RingOwner,
  sendNow,
  setAbortive,
  shutdownStream,
} from "@ha/linux/ring";
import type { TlsEngine, TlsSession } from "@ha/linux/tls";
import { type ConnectionShared, MAX_PARTS } from "./connection-shared.ts";
import { OutputQueue } from "./output-queue.ts";
import type { SessionFacts } from "./tls/session-facts.ts";
import { TlsLayer } from "./tls/tls-layer.ts";

/** Who reads and writes a connection. All calls come from the ring's turn; a closed connection calls nobody. */
export interface ConnectionOwner {
  /** Bytes came into the queue (`takeInput`), or the peer has ended (`isEnded`). */
  received(connection: Connection): void;
  /** Everything queued went out. */
  drained(connection: Connection): void;
  /** Reading or writing failed: nothing more will come of this connection. `error` is a negated errno. */
  failed(connection: Connection, error: number): void;
  /** The answer to `connect`, and to `secure` (EPROTO: see `tls`): 0 or a negated errno. With both there is one answer. */
  connected(connection: Connection, result: number): void;
}

/** What a connection is doing with the kernel about reading. */
const READ_IDLE = 0;
const READ_MANY = 1;
const READ_LARGE = 2;
const READ_CANCELLING = 3;
const READ_STARVED = 4;
const READ_ONCE = 5;

/** Buffers received and not taken before reading pauses. */
const INPUT_LIMIT = 4;

/**
 * One stream socket on the ring: what it received and has not been taken, what is to be sent, and its end. It
 * owns the descriptor, and every buffer in its queues, until they are handed on. An idle one holds no buffer.
 * With TLS (`secure`) all that its owner sees is plaintext.
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
  /** The name that TLS asked a server for; undefined for none. */
  name: string | undefined = undefined;
  /** Free for the owner: which proxy the connection belongs to. */
  peer = 0;
  /** Free for the owner: which of its two connections this is, or its place in a pool. */
  side = 0;
  readonly #shared: ConnectionShared;
  #slot = -1;
  #inHead = NO_BUFFER;
  #inTail = NO_BUFFER;
  #inCount = 0;
  readonly #out: OutputQueue;
  #reading = READ_IDLE;
  #wantsInput = false;
  #wantsLarge = false;
  #wantsOnce = false;
  #largeLimit = 0;
  #isSending = false;
  #isConnecting = false;
  #isClosing = false;
  /** A close is linked to the send in flight: the descriptor may be closed already, and its number another's. */
  #closeLinked = false;
  #shutdownAfter = false;
  #hasShutdown = false;
  #message = -1;
  #tls: TlsLayer | undefined = undefined;
  #isShaking = false;

  constructor(shared: ConnectionShared) {
    this.#shared = shared;
    this.#out = new OutputQueue(shared.slab);
  }

  /** Begins with a descriptor that is now this connection's. Reading starts with `resume`. */
  open(fd: number, owner: ConnectionOwner | undefined): void {
    const { ring } = this.#shared;
    this.fd = fd;
    this.owner = owner;
    ring.owned[fd] = 1;
    this.#slot = ring.attach(this);
    this.isEnded = this.#wantsInput = this.#wantsLarge = this.#isSending = this.#isClosing = false;
    this.#wantsOnce = this.#closeLinked = false;
    this.#isConnecting = this.#shutdownAfter = this.#hasShutdown = false;
    this.uses = 0;
    this.error = this.unsent = this.bytesIn = this.bytesOut = this.#inCount = 0;
    this.#reading = READ_IDLE;
    this.#tls = undefined;
    this.#isShaking = false;
    this.#shared.open++;
  }

  /**
   * Speaks TLS from here on, behind what is queued; what has been received and not been taken is part of it. A client
   * `speaksFirst`. Reading begins by itself. The owner's `connected` follows when the handshake is done, or has failed.
   */
  secure(session: TlsSession, speaksFirst: boolean): void {
    const shared = this.#shared;
    const tls = new TlsLayer(session, shared.tls as TlsEngine, shared.slab);
    tls.hasOutput = speaksFirst;
    this.#wantsInput = false;
    for (let buffer = this.takeInput(); buffer !== NO_BUFFER; buffer = this.takeInput()) {
      tls.hold(buffer);
    }
    this.#tls = tls;
    this.#isShaking = this.#wantsInput = true;
    if (speaksFirst) this.flush();
    if (!this.#isConnecting) this.#arm();
    if (tls.isStarved || this.isEnded) this.#opened(tls, tls.open(NO_BUFFER));
  }

  /** What TLS knows of the connection; undefined in clear text. Readable until it is closed. */
  get tls(): TlsSession | undefined {
    return this.#tls?.session;
  }

  /** The same for rules and logs; good for longer. */
  get tlsFacts(): SessionFacts | undefined {
    return this.#tls?.facts;
  }

  /** Whether TLS has sent anything: the peer's first message was understood. */
  get hasTlsAnswered(): boolean {
    return this.#tls?.hasAnswered ?? false;
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
    this.#wantsLarge = this.#wantsOnce = false;
    this.#arm();
  }

  /**
   * Lets bytes come once: where a connection is likely to carry one message and be closed, this spares the
   * cancellation. Call `resume` for more.
   */
  resumeOnce(): void {
    this.#wantsInput = true;
    this.#wantsLarge = false;
    // What comes once of TLS may be part of a record only.
    this.#wantsOnce = this.#tls === undefined;
    this.#arm();
  }

  /**
   * Lets one large read come, of at most `limit` bytes (0 is any number). Call again for the next: this is the
   * way of long bodies and tunnels, whose pace the slower side sets.
   */
  resumeLarge(limit: number): void {
    this.#wantsInput = true;
    this.#wantsLarge = true;
    this.#wantsOnce = false;
    this.#largeLimit = limit;
    if (this.#reading === READ_MANY || this.#reading === READ_ONCE) this.#disarm();
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
    const tls = this.#tls;
    const out = tls === undefined ? this.#out : tls.plain;
    const { tail } = out;
    if (tail !== NO_BUFFER && tail === buffer && slab.outEnd[tail] === start) {
      slab.outEnd[tail] = end;
      slab.release(buffer);
      return;
    }
    if (slab.outQueued[buffer] === 1) {
      this.#queueCopy(buffer, start, end);
      return;
    }
    out.push(buffer, start, end);
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
    const tls = this.#tls;
    if (tls?.hasOutput) this.unsent += tls.outputInto(this.#out);
    if (tls?.hasPlain) this.#seal(tls);
    const first = this.#out.head;
    if (first === NO_BUFFER) {
      if (this.#shutdownAfter && !tls?.hasPlain) this.#shutdownNow();
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

  /**
   * `flush`, of the last bytes: the descriptor is closed with them, as far as they go in one send. Call `close` when
   * they are `drained`, or to end it before.
   */
  flushLast(): void {
    const first = this.#out.head;
    const isBusy = this.#isSending || this.#isConnecting || this.#tls !== undefined;
    if (first === NO_BUFFER || isBusy || !this.isOpen) {
      this.flush();
      return;
    }
    const { ring, slab } = this.#shared;
    const isSingle = slab.outNext[first] === NO_BUFFER;
    if (!isSingle && !this.#gather(first)) {
      this.flush();
      return;
    }
    this.pause();
    this.#isSending = this.#closeLinked = true;
    const start = slab.outStart[first] as number;
    if (isSingle) {
      ring.sendAndClose(this.#slot, this.fd, start, (slab.outEnd[first] as number) - start);
    } else ring.sendAndClose(this.#slot, this.fd, this.#message, 0);
  }

  /** Ends our side of the stream once everything queued went out. */
  shutdown(): void {
    if (this.#hasShutdown || this.#closeLinked || !this.isOpen) return;
    this.#shutdownAfter = true;
    this.flush();
  }

  /**
   * Closes now: whatever is queued is dropped, whatever is in flight cancelled, and the owner hears nothing
   * more. `reset` tells the peer that it was no orderly end.
   */
  close(reset = false): void {
    if (this.fd < 0 || this.#isClosing) return;
    const tls = this.#tls;
    if (tls !== undefined && !reset) this.#sayEndNow(tls);
    this.#isClosing = true;
    this.owner = undefined;
    const { ring } = this.#shared;
    if (this.#closeLinked) {
      // A send that cannot go on takes the close with it, which is done then.
      if (this.#isSending) ring.cancel(this.#slot, this.fd, OP_SEND);
    } else {
      if (reset) setAbortive(this.fd);
      ring.close(this.#slot, this.fd);
    }
    this.#dropInput();
    tls?.clear();
  }

  /** Whatever closes it from now on is a reset, past what is closed with its last send. */
  makeAbortive(): void {
    if (this.fd >= 0 && !this.#closeLinked) setAbortive(this.fd);
  }

  complete(op: number, result: number, buffer: number, more: boolean): void {
    if (op === OP_RECEIVE || op === OP_RECEIVE_LARGE) this.#received(result, buffer, more);
    else if (op === OP_SEND) this.#sent(result);
    else if (op === OP_CLOSE && result === ECANCELED) this.#unlinked();
    else if (op === OP_CONNECT) {
      this.#isConnecting = false;
      if (!this.#isClosing) this.#connected(result);
    }
    if (this.#isClosing && this.#shared.ring.inFlight(this.#slot) === 0) this.#finish();
  }

  #connected(result: number): void {
    if (this.#tls === undefined || result < 0) {
      this.owner?.connected(this, result);
      return;
    }
    this.flush();
    this.#arm();
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
      if (this.#tls !== undefined) {
        this.#opened(this.#tls, this.#tls.open(buffer));
        if (!more && this.#wantsInput) this.#arm();
        return;
      }
      if (this.#inTail === NO_BUFFER) this.#inHead = buffer;
      else slab.inNext[this.#inTail] = buffer;
      this.#inTail = buffer;
      this.#inCount++;
      this.bytesIn += result;
      if (this.#wantsLarge || this.#wantsOnce) this.#wantsInput = false;
      else if (this.#inCount >= INPUT_LIMIT) this.#disarm();
      else if (!more && this.#wantsInput) this.#arm();
      this.owner?.received(this);
      return;
    }
    switch (result) {
      case 0:
        this.isEnded = true;
        this.#wantsInput = false;
        if (this.#isShaking) this.#shaken(ECONNRESET);
        else this.owner?.received(this);
        return;
      case ECANCELED:
      case EAGAIN:
        if (this.#tls?.isStarved) this.#opened(this.#tls, this.#tls.open(NO_BUFFER));
        if (this.#wantsInput && this.isOpen) this.#arm();
        return;
      case ENOBUFS:
        this.#starved();
        return;
      default:
        this.#fail(result);
    }
  }

  /** TLS took what came: `first` of a chain of plaintext. What follows for the owner, in the order in which it happened. */
  #opened(tls: TlsLayer, first: number): void {
    const { slab, ring } = this.#shared;
    if (first !== NO_BUFFER) {
      for (let at = first; at !== NO_BUFFER; at = slab.inNext[at] as number) {
        this.bytesIn += (slab.inEnd[at] as number) - (slab.inStart[at] as number);
      }
      if (this.#inTail === NO_BUFFER) this.#inHead = first;
      else slab.inNext[this.#inTail] = first;
      this.#inTail = tls.tail;
      this.#inCount += tls.count;
      if (this.#wantsLarge || this.#wantsOnce) this.#wantsInput = false;
      else if (this.#inCount >= INPUT_LIMIT) this.#disarm();
    }
    if (tls.hasOutput) this.flush();
    if (tls.isEnded) {
      this.isEnded = true;
      this.#wantsInput = false;
    }
    if (tls.isStarved) {
      if (this.#reading !== READ_IDLE) this.#disarm();
      else {
        this.#reading = READ_STARVED;
        ring.retryReceive(this.#slot);
      }
    }
    if (tls.isFailed) this.#disarm();
    if (this.#isShaking) {
      if (tls.isSecured) this.#shaken(0);
      else if (tls.isFailed) this.#shaken(EPROTO);
      else if (this.isEnded) this.#shaken(ECONNRESET);
      if (this.isOpen && (this.hasInput || this.isEnded)) this.owner?.received(this);
    } else if (first !== NO_BUFFER || tls.isEnded) this.owner?.received(this);
    if (tls.isFailed && this.isOpen) this.#fail(EPROTO);
  }

  #shaken(result: number): void {
    this.#isShaking = false;
    if (result < 0) {
      this.error = result;
      this.#wantsInput = false;
    }
    const { owner } = this;
    owner?.connected(this, result);
    if (result === 0) this.flush();
  }

  /** Makes records of what is queued, as far as the kernel may be given more. */
  #seal(tls: TlsLayer): void {
    if (!tls.isSecured || tls.isFailed || tls.sealInto(this.#out)) return;
    // With something on its way, its end brings us here again.
    if (tls.isFailed) this.#fail(EPROTO);
    else if (this.#out.head === NO_BUFFER) this.#fail(ENOBUFS);
  }

  /**
   * Says the end of our stream, or why it failed, past the ring: the descriptor is closed with this turn. Only when
   * nothing is on its way, which it must not overtake.
   */
  #sayEndNow(tls: TlsLayer): void {
    if (this.#isSending || this.#isConnecting || this.#out.head !== NO_BUFFER) return;
    if (this.error === 0) tls.sayEnd();
    tls.outputInto(this.#out);
    const { slab } = this.#shared;
    for (let at = this.#out.head; at !== NO_BUFFER; at = slab.outNext[at] as number) {
      const start = slab.outStart[at] as number;
      const end = slab.outEnd[at] as number;
      if (sendNow(this.fd, slab.bytes.subarray(start, end)) !== end - start) return;
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
    if (this.#closeLinked) return;
    if (!this.#wantsLarge && this.#inCount >= INPUT_LIMIT) return;
    const { ring } = this.#shared;
    if (this.#wantsLarge) {
      this.#reading = READ_LARGE;
      // Ciphertext is longer than what it carries: the limit is one of plaintext.
      const limit = this.#tls === undefined ? this.#largeLimit : 0;
      ring.receive(this.#slot, this.fd, GROUP_LARGE, false, limit);
    } else {
      this.#reading = this.#wantsOnce ? READ_ONCE : READ_MANY;
      ring.receive(this.#slot, this.fd, GROUP_SMALL, !this.#wantsOnce);
    }
  }

  #disarm(): void {
    const reading = this.#reading;
    if (!this.isOpen) return;
    if (reading !== READ_MANY && reading !== READ_LARGE && reading !== READ_ONCE) return;
    this.#reading = READ_CANCELLING;
    const op = reading === READ_LARGE ? OP_RECEIVE_LARGE : OP_RECEIVE;
    this.#shared.ring.cancel(this.#slot, this.fd, op);
  }

  #sendGathered(first: number): void {
    const { ring, slab } = this.#shared;
    this.#gather(first);
    if (this.#message < 0) {
      const start = slab.outStart[first] as number;
      ring.send(this.#slot, this.fd, start, (slab.outEnd[first] as number) - start);
    } else ring.sendMessage(this.#slot, this.fd, this.#message);
  }

  /** Makes a message of what is queued. Whether that is all of it; without room for a message it is none. */
  #gather(first: number): boolean {
    const { ring, slab, starts, ends } = this.#shared;
    if (this.#message < 0) this.#message = this.#shared.takeMessage();
    if (this.#message < 0) return false;
    let parts = 0;
    let at = first;
    for (; at !== NO_BUFFER && parts < MAX_PARTS; at = slab.outNext[at] as number) {
      starts[parts] = slab.outStart[at] as number;
      ends[parts] = slab.outEnd[at] as number;
      parts++;
    }
    ring.writeMessage(this.#message, starts, ends, parts);
    return at === NO_BUFFER;
  }

  /** The close that was linked to a send is not done: what is left goes out, and the close is ours again. */
  #unlinked(): void {
    const { ring } = this.#shared;
    if (!this.#closeLinked) return;
    this.#closeLinked = false;
    ring.owned[this.fd] = 1;
    if (this.#isClosing) ring.close(this.#slot, this.fd);
    else this.flush();
  }

  #sent(result: number): void {
    const { slab } = this.#shared;
    this.#isSending = false;
    if (this.#isClosing) return;
    if (result < 0) {
      this.#fail(result);
      return;
    }
    const isClear = this.#tls === undefined;
    if (isClear) {
      this.bytesOut += result;
      this.unsent -= result;
    }
    let left = result;
    while (left > 0) {
      const buffer = this.#out.head;
      const start = slab.outStart[buffer] as number;
      const size = (slab.outEnd[buffer] as number) - start;
      if (left < size) {
        slab.outStart[buffer] = start + left;
        break;
      }
      left -= size;
      if (!isClear) {
        this.bytesOut += slab.inEnd[buffer] as number;
        this.unsent -= slab.inStart[buffer] as number;
      }
      this.#out.pop();
    }
    if (this.#out.head !== NO_BUFFER || this.#tls?.hasPlain) {
      // After a linked send that was short, the close tells first that it is not done.
      if (!this.#closeLinked) this.flush();
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
    const tls = this.#tls;
    if (tls !== undefined && !tls.hasSaidEnd) {
      tls.sayEnd();
      this.unsent += tls.outputInto(this.#out);
      // When it is out we come here again.
      if (this.#out.head !== NO_BUFFER) {
        this.flush();
        return;
      }
    }
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
    this.#out.clear();
    if (this.#message >= 0) this.#shared.giveMessage(this.#message);
    this.#message = -1;
    if (this.#tls !== undefined) {
      this.#tls.session.free();
      this.#shared.tlsActivity?.closed();
    }
    this.#shared.ring.detach(this.#slot);
    this.fd = -1;
    this.#slot = -1;
    this.#shared.open--;
  }
}

/** `drained` is also told when less than this is left to send, so that the next bytes come before the last went. */
export const OUTPUT_LOW = 131_072;
