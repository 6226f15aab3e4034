import { chownSync, unlinkSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { whenReadable } from "@ha/linux";
import { closeDescriptor, connectUnix, receiveDescriptors, sendDescriptors } from "@ha/linux/ring";

/**
 * The listening sockets of a proxy, held so that clients wait in their backlogs while it is dead. Fetched from the
 * living one, and given to its successor by `-x PATH`, both in HAProxy's own words: see lbproxy's handover.ts.
 */
export class HeldListeners {
  readonly #path: string;
  readonly #owner: { readonly uid: number; readonly gid: number } | undefined;
  #held: readonly HeldListener[] = [];
  #server: Server | undefined;
  #fetching: (() => void) | undefined;

  /**
   * @param path Where a successor asks for them.
   * @param owner Who may, beside us.
   */
  constructor(path: string, owner: { readonly uid: number; readonly gid: number } | undefined) {
    this.#path = path;
    this.#owner = owner;
  }

  get count(): number {
    return this.#held.length;
  }

  /** Takes what a living proxy listens on, in place of what was held. False when it gives nothing. */
  async fetch(from: string): Promise<boolean> {
    this.#fetching?.();
    const found = await new Promise<readonly HeldListener[] | undefined>((resolve) => {
      this.#fetching = () => resolve(undefined);
      fetchListeners(from, resolve);
    });
    this.#fetching = undefined;
    if (found === undefined) return false;
    this.#release(this.#held);
    this.#held = found;
    this.#listen();
    return true;
  }

  /** Nobody holds them from here on: where no proxy does either, clients are refused. */
  close(): void {
    this.#fetching?.();
    this.#release(this.#held);
    this.#held = [];
    this.#server?.close();
    this.#server = undefined;
    removeSocket(this.#path);
  }

  #release(held: readonly HeldListener[]): void {
    for (const { fd } of held) closeDescriptor(fd);
  }

  #listen(): void {
    if (this.#server !== undefined || this.#held.length === 0) return;
    removeSocket(this.#path);
    const server = createServer((socket) => giveListeners(socket, () => this.#held));
    server.on("error", () => server.close());
    const before = process.umask(0o177);
    server.listen(this.#path);
    process.umask(before);
    if (this.#owner !== undefined) chownSync(this.#path, this.#owner.uid, this.#owner.gid);
    server.unref();
    this.#server = server;
  }
}

/** With its description: a length byte and a name space, a length byte and an interface, four bytes. */
interface HeldListener {
  readonly fd: number;
  readonly description: Uint8Array;
}

const PATIENCE_MS = 2_000;
const BATCH = 120;
const DESCRIPTION_ROOM = 516;

/** Asks as `-x` does, without ever blocking. */
function fetchListeners(
  path: string,
  done: (found: readonly HeldListener[] | undefined) => void,
): void {
  const line = connectUnix({ kind: "unix", path });
  if (line < 0) {
    done(undefined);
    return;
  }
  const descriptors: number[] = [];
  const bytes: number[] = [];
  let wanted = -1;
  let close = (): void => closeDescriptor(line);
  const end = (good: boolean): void => {
    clearTimeout(limit);
    close();
    if (!good) for (const fd of descriptors) closeDescriptor(fd);
    done(good ? described(descriptors, bytes) : undefined);
  };
  const limit = setTimeout(() => end(false), PATIENCE_MS);
  try {
    close = whenReadable(line, () => {
      const room = wanted < 0 ? 4 : BATCH * DESCRIPTION_ROOM;
      const message = receiveDescriptors(line, room, 0);
      if (typeof message === "number" || message.bytes.length === 0) return end(false);
      if (wanted < 0) {
        if (message.bytes.length < 4) return end(false);
        wanted = viewOf(message.bytes).getInt32(0, true);
        if (wanted <= 0 || wanted > MOST_LISTENERS) return end(false);
        return;
      }
      descriptors.push(...message.descriptors);
      bytes.push(...message.bytes);
      sendDescriptors(line, number32(descriptors.length), [], 0);
      if (descriptors.length >= wanted) end(true);
    });
  } catch {
    end(false);
    return;
  }
  if (sendDescriptors(line, new TextEncoder().encode("_getsocks\n"), [], 0) < 0) end(false);
}

function described(descriptors: readonly number[], bytes: readonly number[]): HeldListener[] {
  let at = 0;
  return descriptors.map((fd) => {
    const start = at;
    at += 1 + (bytes[at] ?? 0);
    at += 1 + (bytes[at] ?? 0) + 4;
    return { fd, description: Uint8Array.from(bytes.slice(start, at)) };
  });
}

/** Answers `_getsocks`. */
function giveListeners(socket: Socket, held: () => readonly HeldListener[]): void {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd: number } };
  const limit = setTimeout(() => socket.destroy(), PATIENCE_MS);
  socket.on("close", () => clearTimeout(limit));
  socket.on("error", () => socket.destroy());
  let rest: readonly HeldListener[] | undefined;
  socket.on("data", (data: Buffer) => {
    if (rest === undefined) {
      rest = held();
      // Node has no name of its own for a socket's descriptor.
      const asked = data.toString("latin1").startsWith("_getsocks") && handle !== undefined;
      if (!asked || sendDescriptors(handle.fd, number32(rest.length), [], 0) < 0) {
        socket.destroy();
        return;
      }
    }
    const batch = rest.slice(0, BATCH);
    rest = rest.slice(BATCH);
    if (batch.length === 0 || handle === undefined) return;
    const text = batch.flatMap(({ description }) => [...description]);
    const fds = batch.map(({ fd }) => fd);
    if (sendDescriptors(handle.fd, Uint8Array.from(text), fds, 0) < 0) socket.destroy();
  });
}

/** More than HAProxy hands over in practice; a peer's number is not believed. */
const MOST_LISTENERS = 65_536;

function removeSocket(path: string): void {
  try {
    unlinkSync(path);
  } catch {
    // It was not there.
  }
}

function number32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setInt32(0, value, true);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
