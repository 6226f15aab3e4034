import { LentBuffers } from "./lent-buffers.ts";
import {
  CLOCK_DEADLINE,
  CLOCK_NOW,
  CLOCK_PASSES,
  CLOCK_SLEPT,
  CLOCK_STEPS,
  CLOCK_WALL,
  CQE_BUFFER,
  CQE_MORE,
  EAGAIN,
  IORING_ACCEPT_MULTISHOT,
  IORING_OP_ACCEPT,
  IORING_OP_ASYNC_CANCEL,
  IORING_OP_CLOSE,
  IORING_OP_CONNECT,
  IORING_OP_POLL_ADD,
  IORING_OP_RECV,
  IORING_OP_SEND,
  IORING_OP_SENDMSG,
  IORING_RECV_MULTISHOT,
  IOSQE_BUFFER_SELECT,
  IOSQE_IO_LINK,
  MESSAGE_BYTES,
  MSG_NOSIGNAL,
  MSG_WAITALL,
  OP_ACCEPT,
  OP_CANCEL,
  OP_CLOSE,
  OP_CONNECT,
  OP_POLL,
  OP_RECEIVE,
  OP_RECEIVE_LARGE,
  OP_SEND,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
} from "./ring-abi.ts";
import { type OpenedRing, type RingDoor, ringDoor } from "./ring-door.ts";
import { NO_BUFFER, Slab, type SlabLayout, slabBytes } from "./slab.ts";

/**
 * What stands behind a slot. Completions of one slot come in the kernel's order, none is lost, and none comes
 * for an owner that has left: a slot is given away again only when nothing is in flight for it.
 */
export interface RingOwner {
  /**
   * @param result Bytes, a descriptor, 0, or a negated errno.
   * @param buffer The provided buffer that now belongs to the owner, or NO_BUFFER.
   * @param more A multishot operation goes on.
   */
  complete(op: number, result: number, buffer: number, more: boolean): void;
}

export type Executor = "io_uring" | "epoll";

export interface RingOptions extends Partial<SlabLayout> {
  /** "auto": io_uring where the kernel lets us, else epoll. */
  readonly executor?: Executor | "auto";
  /** Entries of the submission queue, a power of two; the completion queue has four times as many. Default 1024. */
  readonly entries?: number;
  /** Small buffers lent to the kernel at a time, a power of two. Default 128. */
  readonly smallLent?: number;
  /** Large buffers lent at a time, a power of two. Default 4. */
  readonly largeLent?: number;
  /** Descriptors to keep account of; default 1,048,576. */
  readonly descriptors?: number;
}

/**
 * Opens a ring of the thread that calls. Throws `RingError` when the kernel refuses the executor asked for
 * (never with "auto" on a kernel since 5.0).
 */
export function openRing(options: RingOptions = {}): Ring {
  const wanted = options.executor ?? "auto";
  const layout: SlabLayout = {
    smallSize: options.smallSize ?? 16_384,
    smallCount: options.smallCount ?? 8_192,
    largeSize: options.largeSize ?? 262_144,
    largeCount: options.largeCount ?? 128,
    spareSize: options.spareSize ?? 65_536,
  };
  const door = ringDoor();
  const open = (executor: Executor): OpenedRing | number =>
    door.open(
      executor === "epoll" ? 1 : 0,
      options.entries ?? 1024,
      slabBytes(layout),
      options.descriptors ?? 1_048_576,
      options.smallLent ?? 128,
      options.largeLent ?? 4,
    );
  let executor: Executor = wanted === "epoll" ? "epoll" : "io_uring";
  let opened = open(executor);
  let refusal = 0;
  if (typeof opened === "number" && wanted === "auto") {
    refusal = opened;
    executor = "epoll";
    opened = open(executor);
  }
  if (typeof opened === "number") throw new RingError(executor, opened);
  return new Ring(door, opened, executor, refusal, layout, {
    small: options.smallLent ?? 128,
    large: options.largeLent ?? 4,
  });
}

/** The kernel does not give us the ring that was asked for. */
export class RingError extends Error {
  readonly executor: Executor;
  /** Negated errno. */
  readonly errno: number;

  constructor(executor: Executor, errno: number) {
    super(`cannot open a ring on ${executor}: errno ${-errno}`);
    this.name = "RingError";
    this.executor = executor;
    this.errno = errno;
  }
}

/**
 * A queue of operations on sockets and one of their completions, both in shared memory: submitting writes 64
 * bytes, and one native call a turn carries all. io_uring(7); the epoll executor takes the same entries.
 *
 * Times are milliseconds of CLOCK_MONOTONIC, read once a turn.
 */
export class Ring {
  readonly executor: Executor;
  /** Why io_uring was not to be had, a negated errno; 0 when nothing was refused. */
  readonly refusal: number;
  readonly slab: Slab;
  readonly bytes: Uint8Array;
  /** 1 at a descriptor that is closed when the thread ends, however it ends. */
  readonly owned: Uint8Array;
  readonly #door: RingDoor;
  readonly #handle: object;
  readonly #clock: Float64Array;
  readonly #words: Int32Array;
  readonly #entries: Int32Array;
  readonly #messageWords: Int32Array;
  readonly #sqHead: number;
  readonly #sqTail: number;
  readonly #sqMask: number;
  readonly #cqHead: number;
  readonly #cqTail: number;
  readonly #cqMask: number;
  readonly #cqes: number;
  readonly #slabLow: number;
  readonly #slabHigh: number;
  readonly #small: LentBuffers;
  readonly #large: LentBuffers;
  readonly #owners: (RingOwner | undefined)[] = [];
  readonly #generations: number[] = [];
  readonly #inFlight: number[] = [];
  /** Bits `1 << OP_…` of what can be cancelled and is in flight. */
  readonly #pending: number[] = [];
  readonly #freeSlots: number[] = [];
  readonly #starved: number[] = [];
  readonly #waitForClose: { slot: number; fd: number }[] = [];
  #operations = 0;
  #stale = 0;
  #libuvFired = 0;
  #endOfTurn: () => void = nothing;

  constructor(
    door: RingDoor,
    opened: OpenedRing,
    executor: Executor,
    refusal: number,
    layout: SlabLayout,
    lent: { readonly small: number; readonly large: number },
  ) {
    this.executor = executor;
    this.refusal = refusal;
    this.#door = door;
    this.#handle = opened.door;
    this.bytes = new Uint8Array(opened.slab);
    this.slab = new Slab(this.bytes, layout);
    this.#messageWords = new Int32Array(opened.slab, 0, opened.slab.byteLength >> 2);
    this.owned = new Uint8Array(opened.owned);
    this.#clock = new Float64Array(opened.clock);
    this.#words = new Int32Array(opened.words, 0, opened.words.byteLength >> 2);
    this.#entries = new Int32Array(opened.entries);
    this.#sqHead = opened.sqHead >> 2;
    this.#sqTail = opened.sqTail >> 2;
    this.#sqMask = opened.sqEntries - 1;
    this.#cqHead = opened.cqHead >> 2;
    this.#cqTail = opened.cqTail >> 2;
    this.#cqMask = opened.cqEntries - 1;
    this.#cqes = opened.cqes >> 2;
    this.#slabLow = opened.slabLow;
    this.#slabHigh = opened.slabHigh;
    const address = { low: opened.slabLow, high: opened.slabHigh };
    this.#small = new LentBuffers(opened.group0, lent.small, 0, { ...address, large: false });
    this.#large = new LentBuffers(opened.group1, lent.large, layout.smallCount, {
      ...address,
      large: true,
    });
    this.#lend();
  }

  /** Now, at the start of the turn. */
  get now(): number {
    return this.#clock[CLOCK_NOW] as number;
  }

  /** Wall time at the start of the turn, milliseconds since 1970. */
  get wallTime(): number {
    return this.#clock[CLOCK_WALL] as number;
  }

  /** Milliseconds spent asleep, summed: what Node's own idle time does not see. */
  get slept(): number {
    return this.#clock[CLOCK_SLEPT] as number;
  }

  /** Operations whose last completion has not come, and completions that belonged to nobody (always 0). */
  get operations(): number {
    return this.#operations;
  }

  get stale(): number {
    return this.#stale;
  }

  /** Buffers that neither the kernel's rings nor the free lists have. A leak counter. */
  get buffersHeld(): number {
    return this.slab.held - this.#small.count - this.#large.count;
  }

  /** Slots given away. A leak counter. */
  get slotsHeld(): number {
    return this.#owners.length - this.#freeSlots.length;
  }

  /** The turn is made at this time at the latest; Infinity is never. */
  set deadline(time: number) {
    this.#clock[CLOCK_DEADLINE] = time;
  }

  get deadline(): number {
    return this.#clock[CLOCK_DEADLINE] as number;
  }

  /** Runs after the completions of each turn and whenever the deadline has passed: timers, then what is left to do. */
  onTurn(callback: () => void): void {
    this.#endOfTurn = callback;
  }

  /** A slot for an owner: what its operations are told apart by. */
  attach(owner: RingOwner): number {
    const slot = this.#freeSlots.pop();
    if (slot !== undefined) {
      this.#owners[slot] = owner;
      return slot;
    }
    this.#owners.push(owner);
    this.#generations.push(1);
    this.#inFlight.push(0);
    this.#pending.push(0);
    return this.#owners.length - 1;
  }

  /** Gives the slot away. Throws while something is in flight: its completion would reach another owner. */
  detach(slot: number): void {
    if (this.#inFlight[slot] !== 0 || this.#owners[slot] === undefined) {
      throw new Error(`slot ${slot} has ${this.#inFlight[slot]} operations in flight`);
    }
    this.#owners[slot] = undefined;
    this.#generations[slot] = ((this.#generations[slot] as number) + 1) & 0x7fffffff;
    this.#freeSlots.push(slot);
  }

  /** Operations of the slot whose last completion has not come. */
  inFlight(slot: number): number {
    return this.#inFlight[slot] as number;
  }

  /** Accepts until cancelled or an error: each completion is a descriptor. accept(2) */
  accept(slot: number, fd: number): void {
    const at = this.#push(slot, OP_ACCEPT, IORING_OP_ACCEPT, fd);
    this.#entries[at] = IORING_OP_ACCEPT | (IORING_ACCEPT_MULTISHOT << 16);
    this.#entries[at + 7] = SOCK_NONBLOCK | SOCK_CLOEXEC;
  }

  /**
   * Out of descriptors (EMFILE, ENFILE): accepts again as soon as some descriptor is closed. Trying at once
   * would spin.
   */
  acceptAfterClose(slot: number, fd: number): void {
    this.#waitForClose.push({ slot, fd });
  }

  /** Forgets `acceptAfterClose` of the slot. */
  forgetAccept(slot: number): void {
    const at = this.#waitForClose.findIndex((waiting) => waiting.slot === slot);
    if (at >= 0) this.#waitForClose.splice(at, 1);
  }

  /**
   * Receives into buffers of the group: once, or (multishot) until cancelled, the end, or an error. ENOBUFS
   * means that none was left; see `retryReceive`. A single receive takes at most `limit` bytes (0: what the
   * buffer has room for). recv(2)
   */
  receive(slot: number, fd: number, group: 0 | 1, multishot: boolean, limit = 0): void {
    const op = group === 0 ? OP_RECEIVE : OP_RECEIVE_LARGE;
    const at = this.#push(slot, op, IORING_OP_RECV, fd);
    this.#entries[at] =
      IORING_OP_RECV | (IOSQE_BUFFER_SELECT << 8) | ((multishot ? IORING_RECV_MULTISHOT : 0) << 16);
    this.#entries[at + 6] = limit;
    this.#entries[at + 10] = group;
  }

  /** Receives into `length` bytes at a slab offset, which stay the caller's. */
  receiveInto(slot: number, fd: number, offset: number, length: number): void {
    const at = this.#push(slot, OP_RECEIVE, IORING_OP_RECV, fd);
    this.#address(at, offset);
    this.#entries[at + 6] = length;
  }

  /** Completes the owner with OP_RECEIVE, EAGAIN and no buffer once buffers are to be had again. */
  retryReceive(slot: number): void {
    this.#starved.push(slot);
    this.#inFlight[slot] = (this.#inFlight[slot] as number) + 1;
    this.#operations++;
  }

  /**
   * Sends all bytes, or as many as go before an error: a short count is followed by the error at the next try.
   * One send at a time for a descriptor. `flags` beside MSG_NOSIGNAL and MSG_WAITALL, such as MSG_MORE. send(2)
   */
  send(slot: number, fd: number, start: number, length: number, flags = 0): void {
    const at = this.#push(slot, OP_SEND, IORING_OP_SEND, fd);
    this.#address(at, start);
    this.#entries[at + 6] = length;
    this.#entries[at + 7] = MSG_NOSIGNAL | MSG_WAITALL | flags;
  }

  /**
   * Sends the parts of a message header that `writeMessage` put at a slab offset. The count may be short: the
   * rest is the caller's to send. sendmsg(2)
   */
  sendMessage(slot: number, fd: number, offset: number, flags = 0): void {
    const at = this.#push(slot, OP_SEND, IORING_OP_SENDMSG, fd);
    this.#address(at, offset);
    this.#entries[at + 6] = 1;
    this.#entries[at + 7] = MSG_NOSIGNAL | flags;
  }

  /**
   * Sends the last bytes of a connection (of the slab from `start`, or with `length` 0 the message whose header is
   * there) and closes the descriptor as soon as all of them went, with no turn in between: the peer does not end
   * first. The owner gets OP_SEND and OP_CLOSE, in any order. When the send fails, is short or is cancelled,
   * OP_CLOSE is ECANCELED: the descriptor is open still, and to be closed. Cancel receives in flight before.
   */
  sendAndClose(slot: number, fd: number, start: number, length: number): void {
    // Both in one submission: the link would not hold over two.
    this.#reserve(2);
    if (length > 0) this.send(slot, fd, start, length);
    else this.sendMessage(slot, fd, start, MSG_WAITALL);
    const last = (((this.#words[this.#sqTail] as number) - 1) & this.#sqMask) << 4;
    this.#entries[last] = (this.#entries[last] as number) | (IOSQE_IO_LINK << 8);
    this.#push(slot, OP_CLOSE, IORING_OP_CLOSE, fd);
    this.owned[fd] = 0;
  }

  /**
   * Writes a message header (`struct msghdr` and its parts) at `offset`, which takes
   * `MESSAGE_BYTES + parts * PART_BYTES`, aligned to 8. `column` gives start and end of each part.
   */
  writeMessage(offset: number, starts: Int32Array, ends: Int32Array, parts: number): void {
    const view = this.#messageWords;
    const header = offset >> 2;
    const first = header + (MESSAGE_BYTES >> 2);
    for (let i = 0; i < MESSAGE_BYTES >> 2; i++) view[header + i] = 0;
    // struct msghdr: name, namelen, iov at 16, iovlen at 24.
    view[header + 4] = (this.#slabLow + offset + MESSAGE_BYTES) | 0;
    view[header + 5] = this.#slabHigh;
    view[header + 6] = parts;
    for (let i = 0; i < parts; i++) {
      const start = starts[i] as number;
      const part = first + i * 4;
      view[part] = (this.#slabLow + start) | 0;
      view[part + 1] = this.#slabHigh;
      view[part + 2] = (ends[i] as number) - start;
      view[part + 3] = 0;
    }
  }

  /** `struct sockaddr` of `length` bytes at a slab offset, which must stay until the completion. connect(2) */
  connect(slot: number, fd: number, offset: number, length: number): void {
    const at = this.#push(slot, OP_CONNECT, IORING_OP_CONNECT, fd);
    this.#entries[at + 2] = length;
    this.#address(at, offset);
  }

  /** One readiness of `mask` (POLLIN …): the result is what there is. poll(2) */
  poll(slot: number, fd: number, mask: number): void {
    const at = this.#push(slot, OP_POLL, IORING_OP_POLL_ADD, fd);
    this.#entries[at + 7] = mask;
  }

  /** Cancels one kind of operation of the slot; it then completes with ECANCELED, or as it ended just before. */
  cancel(slot: number, fd: number, op: number): void {
    const at = this.#push(slot, OP_CANCEL, IORING_OP_ASYNC_CANCEL, fd);
    this.#entries[at + 4] = (slot << 8) | op;
    this.#entries[at + 5] = this.#generations[slot] as number;
  }

  /**
   * Cancels whatever is in flight on the descriptor and closes it: the peer learns at once. The owner gets
   * OP_CLOSE and what was in flight, in any order; the slot is free when `inFlight` is 0.
   */
  close(slot: number, fd: number): void {
    const pending = this.#pending[slot] as number;
    // By user_data each: cancelling by descriptor makes io_uring look through all there is.
    if (pending !== 0)
      for (const op of CANCELLABLE) if (pending & (1 << op)) this.cancel(slot, fd, op);
    this.#push(slot, OP_CLOSE, IORING_OP_CLOSE, fd);
    this.owned[fd] = 0;
  }

  /**
   * Hands over the thread's loop: the ring sleeps, libuv is its guest, Node's timers, ports and promises live
   * on. Returns at once.
   */
  run(): void {
    const error = this.#door.run(this.#handle, () => this.#turn());
    if (error < 0) throw new RingError(this.executor, error);
  }

  /** Gives the loop back to libuv. */
  stop(): void {
    this.#door.stop(this.#handle);
  }

  /** One step and one turn, for tests and for a drain after `stop`: waits at most `wait` ms for a completion. */
  step(wait: number): void {
    const error = this.#door.step(this.#handle, wait);
    if (error < 0) throw new RingError(this.executor, error);
    this.#turn();
  }

  /** Closes the ring. Whatever is in flight is lost: drain first. */
  destroy(): void {
    this.#door.close(this.#handle);
  }

  /** Offset of the bytes past the buffers, for addresses and message headers. */
  get spareOffset(): number {
    return this.slab.spareOffset;
  }

  /** Takes all completions that are there. 1 when libuv's own descriptor was one of them. */
  #turn(): number {
    const words = this.#words;
    this.#libuvFired = 0;
    // Bounded, so that libuv, timers and new completions get their share.
    for (let rounds = 0; rounds < 4; rounds++) {
      let head = words[this.#cqHead] as number;
      const tail = Atomics.load(words, this.#cqTail);
      if (head === tail) break;
      while (head !== tail) {
        const at = this.#cqes + ((head & this.#cqMask) << 2);
        const low = words[at] as number;
        const high = words[at + 1] as number;
        const result = words[at + 2] as number;
        const flags = words[at + 3] as number;
        head = (head + 1) | 0;
        // Before the owner runs: it may submit, and a full queue makes a step.
        Atomics.store(words, this.#cqHead, head);
        this.#dispatch(low, high, result, flags);
      }
    }
    this.#lend();
    if (this.#starved.length > 0) this.#feed();
    this.#endOfTurn();
    return this.#libuvFired;
  }

  #dispatch(low: number, high: number, result: number, flags: number): void {
    if (low === -1 && high === -1) {
      this.#libuvFired = 1;
      return;
    }
    const slot = low >>> 8;
    const op = low & 0xff;
    let buffer = NO_BUFFER;
    if ((flags & CQE_BUFFER) !== 0) {
      const lent = op === OP_RECEIVE_LARGE ? this.#large : this.#small;
      buffer = (flags >>> 16) + lent.first;
      lent.count--;
    }
    const more = (flags & CQE_MORE) !== 0;
    if (!more) {
      this.#operations--;
      this.#inFlight[slot] = (this.#inFlight[slot] as number) - 1;
      this.#pending[slot] = (this.#pending[slot] as number) & ~(1 << op);
    }
    const owner = this.#owners[slot];
    if (owner === undefined || this.#generations[slot] !== high) {
      this.#stale++;
      if (buffer !== NO_BUFFER) this.slab.release(buffer);
      return;
    }
    if (op === OP_CLOSE && this.#waitForClose.length > 0) this.acceptAgain();
    owner.complete(op, result, buffer, more);
  }

  /** Tries the accepts that wait for a descriptor. Called by itself after each close. */
  acceptAgain(): void {
    for (const { slot, fd } of this.#waitForClose.splice(0)) this.accept(slot, fd);
  }

  #lend(): void {
    this.#small.fill(this.slab);
    this.#large.fill(this.slab);
  }

  /** Those who found no buffer may try again, now that some are lent. */
  #feed(): void {
    if (this.#small.count === 0) return;
    for (const slot of this.#starved.splice(0)) {
      this.#operations--;
      this.#inFlight[slot] = (this.#inFlight[slot] as number) - 1;
      this.#owners[slot]?.complete(OP_RECEIVE, EAGAIN, NO_BUFFER, false);
    }
  }

  /** Makes room for so many entries, by a step where there is none. */
  #reserve(count: number): void {
    const words = this.#words;
    const most = this.#sqMask + 1 - count;
    for (let tries = 0; ; tries++) {
      const queued = ((words[this.#sqTail] as number) - Atomics.load(words, this.#sqHead)) | 0;
      if (queued <= most) return;
      if (tries === 8) throw new Error("the kernel takes no submissions");
      const error = this.#door.step(this.#handle, 0);
      if (error < 0) throw new RingError(this.executor, error);
    }
  }

  /** A fresh entry; its words are all set but for those that the operation needs. */
  #push(slot: number, op: number, opcode: number, fd: number): number {
    this.#reserve(1);
    const words = this.#words;
    const tail = words[this.#sqTail] as number;
    const entries = this.#entries;
    const at = (tail & this.#sqMask) << 4;
    entries[at] = opcode;
    entries[at + 1] = fd;
    entries[at + 2] = 0;
    entries[at + 3] = 0;
    entries[at + 4] = 0;
    entries[at + 5] = 0;
    entries[at + 6] = 0;
    entries[at + 7] = 0;
    entries[at + 8] = (slot << 8) | op;
    entries[at + 9] = this.#generations[slot] as number;
    entries[at + 10] = 0;
    entries[at + 11] = 0;
    entries[at + 12] = 0;
    entries[at + 13] = 0;
    entries[at + 14] = 0;
    entries[at + 15] = 0;
    words[this.#sqTail] = (tail + 1) | 0;
    this.#pending[slot] = (this.#pending[slot] as number) | (1 << op);
    this.#inFlight[slot] = (this.#inFlight[slot] as number) + 1;
    this.#operations++;
    return at;
  }

  #address(at: number, offset: number): void {
    this.#entries[at + 4] = (this.#slabLow + offset) | 0;
    this.#entries[at + 5] = this.#slabHigh;
  }

  /** Steps made and passes given to libuv, for statistics. */
  get steps(): number {
    return this.#clock[CLOCK_STEPS] as number;
  }

  get passes(): number {
    return this.#clock[CLOCK_PASSES] as number;
  }
}

/** One of each for a descriptor, at most. */
const CANCELLABLE = [OP_RECEIVE, OP_RECEIVE_LARGE, OP_SEND, OP_CONNECT, OP_ACCEPT, OP_POLL];

function nothing(): void {}
