import { readdir, readFile } from "node:fs/promises";
import {
  AF_NETLINK,
  netlinkSocketAddress,
  SO_RCVBUF,
  SO_RCVBUFFORCE,
  SOCK_DGRAM,
  SOL_SOCKET,
} from "./kernel-address.ts";
import { NLMSG_DONE, netlinkMessage, readNetlinkMessages, textOf } from "./netlink-codec.ts";
import {
  createBatch,
  EAGAIN,
  EINTR,
  ENOBUFS,
  LITTLE_ENDIAN,
  messageOf,
  SocketDoor,
} from "./socket-door.ts";
import { type SystemError, systemError, wrapError } from "./system-error.ts";

export type ProcessEvent =
  | { readonly type: "fork"; readonly pid: number; readonly parent: number }
  | { readonly type: "exec"; readonly pid: number }
  /** The name (comm) changed. */
  | { readonly type: "name"; readonly pid: number; readonly name: string }
  | { readonly type: "exit"; readonly pid: number; readonly code: number; readonly signal: number }
  /** Events were lost, or polling found changes it cannot name: look at /proc anew. */
  | { readonly type: "lost" };

export interface ProcessEventsOptions {
  readonly onEvent: (event: ProcessEvent) => void;
  readonly onError: (error: SystemError) => void;
  /** SO_RCVBUF of the connector socket in bytes, as `process_monitor_rcv_bufs`; 1 MiB. */
  readonly receiveBufferBytes?: number;
  /** Beyond rmem_max as well, as `process_monitor_rcv_bufs_force`. Default: only for the default size. */
  readonly forceReceiveBuffer?: boolean;
  /** How often polling says `lost`, in milliseconds; 1,000. */
  readonly pollMs?: number;
  /** False: poll, without asking the kernel. True. */
  readonly connector?: boolean;
}

/** Starts and ends of processes, told by the kernel; by looking where it refuses (outside its first network namespace). */
export interface ProcessEvents {
  /** `connector`, or `polling` with the reason: to be said in the log. */
  readonly kind: "connector" | "polling";
  readonly reason: string | undefined;
  close(): void;
}

/** A process as /proc shows it. */
export interface ProcessInfo {
  readonly pid: number;
  /** comm, at most 15 bytes. */
  readonly name: string;
  /** Zombies have ended: nobody counts them. */
  readonly zombie: boolean;
  /** argv; empty for kernel threads and zombies. */
  readonly command: readonly string[];
}

const NETLINK_CONNECTOR = 11;
const CN_IDX_PROC = 1;
const CN_VAL_PROC = 1;
const PROC_CN_MCAST_LISTEN = 1;
const PROC_EVENT = { none: 0, fork: 1, exec: 2, name: 0x200, exit: 0x8000_0000 };
const CN_HEADER_SIZE = 20;
const EVENT_HEADER_SIZE = 16;
/** How long the kernel gets to acknowledge: it is silent where we are in a PID namespace of our own. */
const ACKNOWLEDGE_MS = 300;

/**
 * Begins to follow processes: by the kernel's process connector, or, where it is refused or does not answer, by saying
 * `lost` once in a while, so that the caller looks at /proc. Never rejects.
 */
export async function openProcessEvents(options: ProcessEventsOptions): Promise<ProcessEvents> {
  if (options.connector === false) return poll(options, "asked for");
  let connector: Connector | undefined;
  try {
    connector = new Connector(options);
    if (await connector.acknowledged()) return connector;
    connector.close();
    return poll(options, "the kernel does not answer (a PID namespace of our own)");
  } catch (error) {
    connector?.close();
    return poll(options, wrapError("open the process connector", error).message);
  }
}

/** All processes that we may see. Those that end meanwhile are left out. */
export async function listProcesses(): Promise<readonly ProcessInfo[]> {
  const names = await readdir("/proc");
  const found: ProcessInfo[] = [];
  for (const name of names) {
    if (!/^\d+$/.test(name)) continue;
    const info = await readProcess(Number(name));
    if (info !== undefined) found.push(info);
  }
  return found;
}

/** One process; undefined when it is gone. */
export async function readProcess(pid: number): Promise<ProcessInfo | undefined> {
  try {
    const [stat, cmdline] = await Promise.all([
      readFile(`/proc/${pid}/stat`, "utf8"),
      readFile(`/proc/${pid}/cmdline`, "utf8"),
    ]);
    // The name stands in parentheses and may hold any of them.
    const open = stat.indexOf("(");
    const close = stat.lastIndexOf(")");
    if (open < 0 || close < open) return undefined;
    const state = stat.charAt(close + 2);
    return {
      pid,
      name: stat.slice(open + 1, close),
      zombie: state === "Z" || state === "X",
      command: cmdline === "" ? [] : cmdline.replace(/\0$/, "").split("\0"),
    };
  } catch {
    // Ended between our looking and reading: the usual way for processes to be gone.
    return undefined;
  }
}

function poll(options: ProcessEventsOptions, reason: string): ProcessEvents {
  const timer = setInterval(() => options.onEvent({ type: "lost" }), options.pollMs ?? 1_000);
  return { kind: "polling", reason, close: () => clearInterval(timer) };
}

class Connector implements ProcessEvents {
  readonly kind = "connector";
  readonly reason = undefined;
  readonly #options: ProcessEventsOptions;
  readonly #socket: SocketDoor;
  readonly #batch = createBatch(32, 1_024);
  #acknowledge: ((accepted: boolean) => void) | undefined;

  constructor(options: ProcessEventsOptions) {
    this.#options = options;
    const kind = { domain: AF_NETLINK, type: SOCK_DGRAM, protocol: NETLINK_CONNECTOR };
    this.#socket = SocketDoor.open("open the process connector", kind);
    try {
      const { receiveBufferBytes, forceReceiveBuffer = receiveBufferBytes === undefined } = options;
      const size = receiveBufferBytes ?? 1_048_576;
      if (!forceReceiveBuffer || this.#socket.trySetOption(SOL_SOCKET, SO_RCVBUFFORCE, size) < 0) {
        this.#socket.trySetOption(SOL_SOCKET, SO_RCVBUF, size);
      }
      const address = netlinkSocketAddress(0, CN_IDX_PROC);
      this.#socket.bind("bind the process connector", address);
      const sent = this.#socket.send(listenMessage());
      if (sent < 0) throw systemError("ask for process events", sent);
      this.#socket.watch(() => this.#read());
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  acknowledged(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), ACKNOWLEDGE_MS);
      this.#acknowledge = (accepted) => {
        clearTimeout(timer);
        resolve(accepted);
      };
    });
  }

  close(): void {
    this.#socket.close();
  }

  #read(): void {
    const count = this.#socket.receive(this.#batch);
    if (count === -EAGAIN || count === -EINTR) return;
    if (count === -ENOBUFS) {
      this.#tell({ type: "lost" });
      return;
    }
    if (count < 0) {
      this.#options.onError(systemError("receive process events", count));
      return;
    }
    const bodies: Uint8Array[] = [];
    for (let i = 0; i < count; i++) {
      for (const { body } of readNetlinkMessages(messageOf(this.#batch, i).data.slice())) {
        bodies.push(body);
      }
    }
    for (const body of bodies) this.#take(body);
  }

  #take(body: Uint8Array): void {
    if (body.length < CN_HEADER_SIZE + EVENT_HEADER_SIZE + 4) return;
    const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
    const data = CN_HEADER_SIZE + EVENT_HEADER_SIZE;
    if (view.getUint32(CN_HEADER_SIZE, LITTLE_ENDIAN) === PROC_EVENT.none) {
      this.#acknowledge?.(view.getUint32(data, LITTLE_ENDIAN) === 0);
      return;
    }
    const event = readProcessEvent(body.subarray(CN_HEADER_SIZE));
    if (event !== undefined) this.#tell(event);
  }

  #tell(event: ProcessEvent): void {
    if (this.#socket.closed) return;
    try {
      this.#options.onEvent(event);
    } catch (error) {
      this.#options.onError(wrapError("handle a process event", error));
    }
  }
}

/** A struct proc_event of linux/cn_proc.h; undefined for threads and for what we do not follow. Never throws. */
export function readProcessEvent(bytes: Uint8Array): ProcessEvent | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const at = (index: number): number =>
    EVENT_HEADER_SIZE + 4 * index + 4 <= bytes.length
      ? view.getUint32(EVENT_HEADER_SIZE + 4 * index, LITTLE_ENDIAN)
      : 0;
  if (bytes.length < EVENT_HEADER_SIZE + 8) return undefined;
  switch (view.getUint32(0, LITTLE_ENDIAN)) {
    case PROC_EVENT.fork:
      // A thread has another group leader than itself.
      return at(2) === at(3) ? { type: "fork", pid: at(3), parent: at(1) } : undefined;
    case PROC_EVENT.exec:
      return { type: "exec", pid: at(1) };
    case PROC_EVENT.name: {
      if (at(0) !== at(1)) return undefined;
      const name = textOf(bytes.subarray(EVENT_HEADER_SIZE + 8, EVENT_HEADER_SIZE + 24)) ?? "";
      return { type: "name", pid: at(1), name };
    }
    case PROC_EVENT.exit: {
      if (at(0) !== at(1)) return undefined;
      return { type: "exit", pid: at(1), code: (at(2) >> 8) & 0xff, signal: at(2) & 0x7f };
    }
    default:
      return undefined;
  }
}

/** cn_msg: index, value, sequence, acknowledgement (4 each), length, flags (2 each); then what is wished. */
function listenMessage(): Uint8Array {
  const body = new Uint8Array(CN_HEADER_SIZE + 4);
  const view = new DataView(body.buffer);
  view.setUint32(0, CN_IDX_PROC, LITTLE_ENDIAN);
  view.setUint32(4, CN_VAL_PROC, LITTLE_ENDIAN);
  view.setUint16(16, 4, LITTLE_ENDIAN);
  view.setUint32(CN_HEADER_SIZE, PROC_CN_MCAST_LISTEN, LITTLE_ENDIAN);
  return netlinkMessage({ type: NLMSG_DONE, flags: 0, sequence: 0, body });
}
