import { loadNative } from "./socket-door.ts";

/** What `native/ring.c` gives: memory to share and a step to make. Kept in one place, so that it is typed once. */
export interface RingDoor {
  /** 0 io_uring, 1 epoll. A negated errno instead of an object when the kernel refuses. */
  open(
    executor: 0 | 1,
    entries: number,
    slabBytes: number,
    descriptors: number,
    smallGroup: number,
    largeGroup: number,
  ): OpenedRing | number;
  /** Milliseconds to wait at most; -1 until something completes. 0 or a negated errno. */
  step(door: object, wait: number): number;
  run(door: object, turn: () => number): number;
  stop(door: object): void;
  close(door: object): void;
}

export interface OpenedRing {
  readonly door: object;
  readonly slab: ArrayBuffer;
  readonly slabHigh: number;
  readonly slabLow: number;
  readonly words: ArrayBuffer;
  readonly entries: ArrayBuffer;
  readonly owned: ArrayBuffer;
  readonly clock: ArrayBuffer;
  readonly group0: ArrayBuffer;
  readonly group1: ArrayBuffer;
  readonly sqHead: number;
  readonly sqTail: number;
  readonly sqEntries: number;
  readonly cqHead: number;
  readonly cqTail: number;
  readonly cqEntries: number;
  readonly cqes: number;
  readonly setupFlags: number;
}

/** `native/ring-socket.c`: system calls that do not wait. A negated errno says what failed. */
export interface SocketDoor {
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array): number;
  listen(fd: number, backlog: number): number;
  connect(fd: number, address: Uint8Array): number;
  setOption(fd: number, level: number, name: number, value: Uint8Array): number;
  setNumber(fd: number, level: number, name: number, value: number): number;
  getNumber(fd: number, level: number, name: number): number;
  getOption(fd: number, level: number, name: number, out: Uint8Array): number;
  name(fd: number, out: Uint8Array, peer: 0 | 1): number;
  closeNow(fd: number): number;
  shutdown(fd: number, how: number): number;
  sendNow(fd: number, bytes: Uint8Array, size: number, flags: number): number;
  sendMany(fd: number, bytes: Uint8Array, ends: Int32Array, count: number): number;
  write(fd: number, bytes: Uint8Array, size: number): number;
  prepare(fd: number): number;
  raiseDescriptorLimit(wanted: number): number;
  sendDescriptors(fd: number, bytes: Uint8Array, descriptors: Int32Array): number;
  receiveDescriptors(fd: number, bytes: Uint8Array, descriptors: Int32Array): number;
}

let loaded: (RingDoor & SocketDoor) | undefined;

/** Loads `ring.node`, once a thread. Throws `SystemError` when it was not built (`npm run build`). */
export function ringDoor(): RingDoor & SocketDoor {
  loaded ??= loadNative<RingDoor & SocketDoor>("ring.node");
  return loaded;
}
