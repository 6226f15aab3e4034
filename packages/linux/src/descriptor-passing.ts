import { ringDoor } from "./ring-door.ts";
import { AF_UNIX, encodeSocketAddress, type StreamAddress } from "./socket-address.ts";
import { nativeSockets } from "./socket-door.ts";

const SOCK_STREAM = 1;
const EAGAIN = -11;
/** What `receiveDescriptors` takes of one message, which may carry 253; more are closed. unix(7), SCM_RIGHTS */
const ROOM = 127;
const STEP = 2;

/** A message with its descriptors, which are the receiver's from now on. */
export interface DescriptorMessage {
  readonly bytes: Uint8Array;
  readonly descriptors: readonly number[];
}

/** Connects to a unix stream socket: its descriptor, or a negated errno. */
export function connectUnix(address: StreamAddress): number {
  const door = ringDoor();
  const fd = door.socket(AF_UNIX, SOCK_STREAM, 0);
  if (fd < 0) return fd;
  const error = door.connect(fd, encodeSocketAddress(address));
  if (error < 0) door.closeNow(fd);
  return error < 0 ? error : fd;
}

/** Sends one message over a unix stream socket; waits up to `patience` ms for room. Bytes sent, or a negated errno. */
export function sendDescriptors(
  fd: number,
  bytes: Uint8Array,
  descriptors: readonly number[],
  patience: number,
): number {
  const list = Int32Array.from(descriptors);
  return patiently(patience, () => ringDoor().sendDescriptors(fd, bytes, list));
}

/** Waits up to `patience` ms for one message of at most `room` bytes; a negated errno when there is none. An empty one is the end. */
export function receiveDescriptors(
  fd: number,
  room: number,
  patience: number,
): DescriptorMessage | number {
  const bytes = new Uint8Array(room);
  const descriptors = new Int32Array(ROOM);
  const result = patiently(patience, () => ringDoor().receiveDescriptors(fd, bytes, descriptors));
  if (result < 0) return result;
  return {
    bytes: bytes.subarray(0, result & 0xff_ffff),
    descriptors: [...descriptors.subarray(0, result >>> 24)],
  };
}

/** For start-up and rare commands: the thread sleeps between tries. */
function patiently(patience: number, attempt: () => number): number {
  const sleep = new Int32Array(new SharedArrayBuffer(4));
  for (let waited = 0; ; waited += STEP) {
    const result = attempt();
    if (result !== EAGAIN || waited >= patience) return result;
    Atomics.wait(sleep, 0, 0, STEP);
  }
}

/** Two connected unix stream sockets; undefined when there are no descriptors left. */
export function socketPair(): readonly [number, number] | undefined {
  const fds = new Int32Array(2);
  if (nativeSockets().pair(AF_UNIX, SOCK_STREAM, fds) < 0) return undefined;
  return [fds[0] as number, fds[1] as number];
}
