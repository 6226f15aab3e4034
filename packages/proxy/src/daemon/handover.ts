import {
  closeDescriptor,
  connectUnix,
  receiveDescriptors,
  type StreamAddress,
  sendDescriptors,
} from "@ha/linux/ring";
import type { CommandLine } from "./cli.ts";
import { descriptorKey } from "./socket-key.ts";
import type { StartReport } from "./start-report.ts";

/*
 * How listening sockets go from a process to its successor (`-x`, `expose-fd listeners`), as HAProxy does it, so
 * that either may follow the other. Observed: haproxy 2.6.12, both ways.
 *
 *   successor                        predecessor (stats socket)
 *   "_getsocks\n"               ──►
 *                               ◄──  count of sockets, 4 bytes, host order
 *                               ◄──  descriptors (SCM_RIGHTS), and for each: u8 length + namespace,
 *                                    u8 length + interface, 4 bytes of options that nobody reads
 *   sockets so far, 4 bytes     ──►  (the next message follows)
 */

/** A listening socket that another process has bound, by what clients know of it. */
export interface InheritedSocket {
  readonly key: string;
  readonly fd: number;
}

/** Milliseconds that one message may take. */
const PATIENCE = 2_000;
/** Sockets of one message, and bytes that one takes at most: a namespace and an interface. */
const MOST_SOCKETS = 120;
const DESCRIPTION_ROOM = 1 + 255 + 1 + 255 + 4;

/** `-x`: the sockets of the process behind that stats socket; an empty list after saying why there are none. */
export function takeOverSockets(
  { takeOver }: CommandLine,
  report: StartReport,
): readonly InheritedSocket[] {
  if (takeOver === undefined || takeOver === "/dev/null") return [];
  const failed = (what: string): readonly InheritedSocket[] => {
    report.say("WARNING", `Failed to get the sockets from the old process! (${takeOver}: ${what})`);
    return [];
  };
  const line = connectUnix(handoverAddress(takeOver));
  if (line < 0) return failed(`connect: error ${-line}`);
  try {
    const question = new TextEncoder().encode("_getsocks\n");
    if (sendDescriptors(line, question, [], PATIENCE) < 0) return failed("it is gone");
    const head = receiveDescriptors(line, 4, PATIENCE);
    if (typeof head === "number" || head.bytes.length < 4) {
      return failed("no answer; its stats socket needs 'expose-fd listeners'");
    }
    return receiveAll(line, viewOf(head.bytes).getInt32(0, true), failed);
  } finally {
    closeDescriptor(line);
  }
}

function receiveAll(
  line: number,
  count: number,
  failed: (what: string) => readonly InheritedSocket[],
): readonly InheritedSocket[] {
  const descriptors: number[] = [];
  const descriptions: number[] = [];
  while (descriptors.length < count) {
    const message = receiveDescriptors(line, MOST_SOCKETS * DESCRIPTION_ROOM * 3, PATIENCE);
    if (typeof message === "number" || message.bytes.length === 0) {
      for (const fd of descriptors) closeDescriptor(fd);
      return failed(`${descriptors.length} of ${count} sockets came`);
    }
    descriptors.push(...message.descriptors);
    descriptions.push(...message.bytes);
    sendDescriptors(line, number32(descriptors.length), [], PATIENCE);
  }
  const sockets: InheritedSocket[] = [];
  let at = 0;
  for (const fd of descriptors) {
    at += 1 + (descriptions[at] ?? 0);
    const size = descriptions[at] ?? 0;
    const device = String.fromCharCode(...descriptions.slice(at + 1, at + 1 + size));
    at += 1 + size + 4;
    const key = descriptorKey(fd, device);
    if (key === undefined) closeDescriptor(fd);
    else sockets.push({ key, fd });
  }
  return sockets;
}

/**
 * `_getsocks`: gives the listening sockets to whoever is connected at `line`, a unix stream socket. False when it
 * left in between.
 */
export function giveSockets(
  line: number,
  listeners: readonly { readonly fd: number; readonly device: string }[],
): boolean {
  if (sendDescriptors(line, number32(listeners.length), [], PATIENCE) < 0) return false;
  for (let from = 0; from < listeners.length; from += MOST_SOCKETS) {
    // The one before must have been taken.
    if (from > 0 && typeof receiveDescriptors(line, 4, PATIENCE) === "number") return false;
    const batch = listeners.slice(from, from + MOST_SOCKETS);
    const text = batch.flatMap(({ device }) => [
      0,
      device.length,
      ...new TextEncoder().encode(device),
      0,
      0,
      0,
      0,
    ]);
    const descriptors = batch.map(({ fd }) => fd);
    if (sendDescriptors(line, Uint8Array.from(text), descriptors, PATIENCE) < 0) return false;
  }
  return true;
}

/** `-sf` finishes, `-st` ends the processes that this one replaces. */
export function signalOld({ finish, terminate }: CommandLine): void {
  signalAll(finish, "SIGUSR1");
  signalAll(terminate, "SIGTERM");
}

/**
 * What to do when an address is taken and there are processes to replace: they are asked to pause, and to go on when
 * all tries were in vain. Without such processes there is one try. HAProxy management guide §4.
 */
export function retryWhileOldLeave({ finish, terminate }: CommandLine): () => boolean {
  const old = [...finish, ...terminate];
  let tries = old.length === 0 ? BIND_TRIES : 0;
  return () => {
    if (tries === BIND_TRIES) {
      if (old.length > 0) signalAll(old, "SIGTTIN");
      return false;
    }
    if (tries++ === 0) signalAll(old, "SIGTTOU");
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, BIND_PAUSE);
    return true;
  };
}

const BIND_TRIES = 200;
/** Milliseconds. */
const BIND_PAUSE = 10;

function signalAll(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    try {
      process.kill(pid, name);
    } catch {
      // It is gone already.
    }
  }
}

/** Where `-x` points to. */
export function handoverAddress(text: string): StreamAddress {
  const path = text.replace(/^unix@/, "");
  if (path.startsWith("abns@")) return { kind: "abstract", name: path.slice(5), padded: true };
  return { kind: "unix", path };
}

function number32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  viewOf(bytes).setInt32(0, value, true);
  return bytes;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
