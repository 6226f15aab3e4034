import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { SystemError, systemError } from "./system-error.ts";

/** What `native/sockets.c` exports. Numbers below zero are error numbers. */
interface NativeSockets {
  open(domain: number, type: number, protocol: number): number;
  pair(domain: number, type: number, fds: Int32Array): number;
  close(fd: number): number;
  bind(fd: number, address: Uint8Array): number;
  connect(fd: number, address: Uint8Array): number;
  name(fd: number, into: Uint8Array): number;
  setOption(fd: number, level: number, name: number, value: Uint8Array): number;
  getOption(fd: number, level: number, name: number, into: Uint8Array): number;
  attachFilter(fd: number, program: Uint8Array): number;
  send(
    fd: number,
    data: Uint8Array,
    address: Uint8Array | undefined,
    control: Uint8Array | undefined,
    flags: number,
  ): number;
  receive(
    fd: number,
    slab: Uint8Array,
    addresses: Uint8Array | undefined,
    controls: Uint8Array | undefined,
    lengths: Int32Array,
    count: number,
  ): number;
  bpfMapCreate(type: number, keySize: number, valueSize: number, entries: number): number;
  bpfProgramLoad(type: number, program: Uint8Array, log: Uint8Array | undefined): number;
  bpfMapLookup(fd: number, key: Uint8Array, value: Uint8Array): number;
  bpfMapNextKey(fd: number, key: Uint8Array | undefined, next: Uint8Array): number;
  ioctl(fd: number, request: number, bytes: Uint8Array, data: Uint8Array | undefined): number;
  realtime(): number;
  timerOpen(): number;
  timerSet(fd: number, microseconds: number): number;
  watch(fd: number, callback: (status: number) => void, keepAlive: boolean): unknown;
  unwatch(handle: unknown): void;
}

let loaded: NativeSockets | undefined;

/** The native module, loaded when first needed: `--help` and most tests need none. Throws `SystemError`. */
export function nativeSockets(): NativeSockets {
  loaded ??= loadNative<NativeSockets>("sockets.node");
  return loaded;
}

/** Loads one of the modules that `native/build.mjs` makes. Throws `SystemError` that says how to build it. */
export function loadNative<T>(name: string): T {
  try {
    return createRequire(import.meta.url)(nativePath(name)) as T;
  } catch (error) {
    throw new SystemError(`load ${name}`, "ENOENT", {
      detail: `native module missing or broken; run: node packages/linux/native/build.mjs`,
      cause: error,
    });
  }
}

/** Where an artefact of `native/build.mjs` is. By the package's name, since this file may run from a bundle elsewhere. */
export function nativePath(name: string): string {
  const manifest = createRequire(import.meta.url).resolve("@ha/linux/package.json");
  return join(dirname(manifest), "native/build", name);
}

/** Messages of one receive call, in memory that every call uses anew. */
export interface Batch {
  readonly slotSize: number;
  readonly capacity: number;
  readonly slab: Uint8Array;
  readonly addresses: Uint8Array;
  readonly controls: Uint8Array;
  /** Four numbers a message: data length, flags, address length, control length. */
  readonly lengths: Int32Array;
}

const ADDRESS_SLOT = 128;
const CONTROL_SLOT = 256;

export function createBatch(capacity: number, slotSize: number): Batch {
  return {
    slotSize,
    capacity,
    slab: new Uint8Array(capacity * slotSize),
    addresses: new Uint8Array(capacity * ADDRESS_SLOT),
    controls: new Uint8Array(capacity * CONTROL_SLOT),
    lengths: new Int32Array(capacity * 4),
  };
}

/** Views into the batch: valid until it is used for the next call. */
export function messageOf(
  batch: Batch,
  index: number,
): { data: Uint8Array; flags: number; address: Uint8Array; control: Uint8Array } {
  const length = batch.lengths[4 * index] as number;
  const addressLength = batch.lengths[4 * index + 2] as number;
  const controlLength = batch.lengths[4 * index + 3] as number;
  const start = index * batch.slotSize;
  return {
    data: batch.slab.subarray(start, start + Math.min(length, batch.slotSize)),
    flags: batch.lengths[4 * index + 1] as number,
    address: batch.addresses.subarray(
      index * ADDRESS_SLOT,
      index * ADDRESS_SLOT + Math.min(addressLength, ADDRESS_SLOT),
    ),
    control: batch.controls.subarray(
      index * CONTROL_SLOT,
      index * CONTROL_SLOT + Math.min(controlLength, CONTROL_SLOT),
    ),
  };
}

/** A socket of our own: close-on-exec, non-blocking, closed once. */
export class SocketDoor {
  readonly #native: NativeSockets;
  #fd: number;
  #watch: unknown;

  private constructor(native: NativeSockets, fd: number) {
    this.#native = native;
    this.#fd = fd;
  }

  /** Throws `SystemError` with `operation` when the system refuses. */
  static open(
    operation: string,
    kind: { readonly domain: number; readonly type: number; readonly protocol: number },
  ): SocketDoor {
    const native = nativeSockets();
    const fd = native.open(kind.domain, kind.type, kind.protocol);
    if (fd < 0) throw systemError(operation, fd);
    return new SocketDoor(native, fd);
  }

  /** Takes over a descriptor that is open already (inherited, or one end of a pair). */
  static adopt(fd: number): SocketDoor {
    return new SocketDoor(nativeSockets(), fd);
  }

  /** Two connected sockets. Throws `SystemError`. */
  static pair(operation: string, domain: number, type: number): [SocketDoor, SocketDoor] {
    const native = nativeSockets();
    const fds = new Int32Array(2);
    const result = native.pair(domain, type, fds);
    if (result < 0) throw systemError(operation, result);
    return [new SocketDoor(native, fds[0] as number), new SocketDoor(native, fds[1] as number)];
  }

  /** -1 once closed. */
  get fd(): number {
    return this.#fd;
  }

  get closed(): boolean {
    return this.#fd < 0;
  }

  bind(operation: string, address: Uint8Array): void {
    this.#check(operation, this.#native.bind(this.#fd, address));
  }

  /** Zero, or the negative error number. */
  connect(address: Uint8Array): number {
    return this.#native.connect(this.#fd, address);
  }

  localName(): Uint8Array {
    const into = new Uint8Array(ADDRESS_SLOT);
    const length = this.#native.name(this.#fd, into);
    this.#check("getsockname", length);
    return into.slice(0, length);
  }

  /** Throws `SystemError`. A number is passed as the C int that most options are. */
  setOption(operation: string, level: number, name: number, value: Uint8Array | number): void {
    this.#check(operation, this.trySetOption(level, name, value));
  }

  trySetOption(level: number, name: number, value: Uint8Array | number): number {
    const bytes = typeof value === "number" ? int32(value) : value;
    return this.#native.setOption(this.#fd, level, name, bytes);
  }

  getOption(operation: string, level: number, name: number, size: number): Uint8Array {
    const into = new Uint8Array(size);
    const length = this.#native.getOption(this.#fd, level, name, into);
    this.#check(operation, length);
    return into.subarray(0, length);
  }

  /** Classic BPF, eight bytes an instruction. Zero, or the negative error number. */
  attachFilter(program: Uint8Array): number {
    return this.#native.attachFilter(this.#fd, program);
  }

  /** The number of bytes sent, or the negative error number. Never blocks. */
  send(data: Uint8Array, address?: Uint8Array, control?: Uint8Array, flags = 0): number {
    if (this.#fd < 0) return -EBADF;
    return this.#native.send(this.#fd, data, address, control, flags);
  }

  /** The number of messages read into the batch, or the negative error number. Never blocks. */
  receive(batch: Batch, limit = batch.capacity): number {
    if (this.#fd < 0) return -EBADF;
    const count = Math.min(limit, batch.capacity);
    // The native door cuts its buffers into `count` equal slots, so a smaller count needs smaller buffers.
    const whole = count === batch.capacity;
    return this.#native.receive(
      this.#fd,
      whole ? batch.slab : batch.slab.subarray(0, count * batch.slotSize),
      whole ? batch.addresses : batch.addresses.subarray(0, count * ADDRESS_SLOT),
      whole ? batch.controls : batch.controls.subarray(0, count * CONTROL_SLOT),
      batch.lengths,
      count,
    );
  }

  /**
   * Calls back whenever something can be read, until `close`; once at most for each socket. `keepAlive`: the
   * process does not end while it is watched.
   */
  watch(callback: () => void, keepAlive = true): void {
    const handle = this.#native.watch(this.#fd, callback, keepAlive);
    if (typeof handle === "number") throw systemError("watch a descriptor", handle);
    this.#watch = handle;
  }

  close(): void {
    if (this.#fd < 0) return;
    if (this.#watch !== undefined) this.#native.unwatch(this.#watch);
    this.#watch = undefined;
    this.#native.close(this.#fd);
    this.#fd = -1;
  }

  #check(operation: string, result: number): void {
    if (result < 0) throw systemError(operation, result);
  }
}

/** EBADF, EAGAIN, ENOBUFS, EINTR: what callers ask for by number, since these are hot. The same on all Linux targets. */
export const EBADF = 9;
export const EAGAIN = 11;
export const EINTR = 4;
export const ENOBUFS = 105;

/** Whether structures of the kernel have their low byte first: so on x64 and arm64. */
export const LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;

/** A C int. */
export function int32(value: number): Uint8Array {
  return new Uint8Array(Int32Array.of(value).buffer);
}
