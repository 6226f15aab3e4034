import { spawn } from "node:child_process";
import process from "node:process";
import { type Micros, milliseconds, seconds } from "@ha/base";
import type { PreparedAdvert } from "./beacon.ts";
import {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  SO_RCVBUFFORCE,
  SOCK_SEQPACKET,
  SOL_SOCKET,
} from "./kernel-address.ts";
import { NLM_F_ACK, NLM_F_REQUEST, netlinkMessage } from "./netlink-codec.ts";
import type { NetlinkRequest } from "./network-state.ts";
import { setCloseOnExec } from "./own-process.ts";
import { createBatch, messageOf, nativePath, SocketDoor } from "./socket-door.ts";
import { SystemError, systemError, wrapError } from "./system-error.ts";

/** What the guard must know to keep, or to give up, what one virtual router holds. */
export interface GuardedRouter {
  /** Chosen by the daemon, 0–65535, once among what is held. */
  readonly id: number;
  readonly interval: Micros;
  /** How long after `hold` (or `renew`) the next advert is due; one interval. */
  readonly nextAfter?: Micros;
  /** What to send while the daemon is away: one for each interval. The last one is repeated if `repeat`. */
  readonly adverts: readonly PreparedAdvert[];
  readonly repeat: boolean;
  /** The priority-0 advert, sent twice when leaving. Two entries where each must differ (HMAC). */
  readonly farewell: readonly PreparedAdvert[];
  /** Removal, in order: rules, routes, addresses, macvlans; other netlink families (firewall) as finished bytes. */
  readonly removals: readonly (NetlinkRequest | RawNetlinkMessage)[];
  /** What to do before `removals` once the winner is heard: keep frames of a virtual MAC from leaving. None. */
  readonly silence?: readonly RawNetlinkMessage[];
  /** Recognises the winner's advert; see `winnerFilter`. */
  readonly winners: readonly WinnerFilter[];
  /** From the farewell to removal when nobody is heard: the longest skew a peer can have + 300 ms, at most 5 s. */
  readonly leaveAfter: Micros;
  /** From the winner's first advert to removal; 10 ms. */
  readonly yieldAfter?: Micros;
  /** Silence allowed from the daemon's death until its successor has taken over: two intervals. */
  readonly graceAfter?: Micros;
  /** Handed to the successor as it is, at most 4,096 bytes: what it needs to resume as master. */
  readonly resume: Uint8Array;
}

/** What `hold` tells, as bytes: built ahead, since at a takeover each millisecond is an outage. */
export type PreparedHold = Uint8Array & { readonly [preparedHoldBrand]: "PreparedHold" };
declare const preparedHoldBrand: unique symbol;

/** Bytes for another netlink family than rtnetlink: an nftables batch, say. */
export interface RawNetlinkMessage {
  /** NETLINK_…: 12 for netfilter. */
  readonly netlinkProtocol: number;
  readonly bytes: Uint8Array;
}

/** A classic BPF program over packets from their IP header on, and where to listen. 0: every interface. */
export interface WinnerFilter {
  readonly ifindex: number;
  readonly family: 4 | 6;
  readonly program: Uint8Array;
}

export interface GuardOptions {
  /** How to start the daemon again: program and arguments. Empty: never, leave at once (`-R`). */
  readonly command: readonly string[];
  /** Environment of the new daemon, besides `VRRPD_GUARD_FD`. */
  readonly environment: Readonly<Record<string, string>>;
  readonly folder?: string;
  /** A daemon that has not beaten for so long is killed: well within the peers' down timer. */
  readonly heartbeatTimeout: Micros;
  /** A second death within this much of a restart means leaving; 60 s. */
  readonly crashWindow?: Micros;
  /** mlockall for the guard, which is what `vrrp_no_swap` can mean for us. True. */
  readonly lockMemory?: boolean;
  /** SCHED_RR priority, 1–99; none. */
  readonly realtimePriority?: number;
  /** Pass TERM, INT, HUP, USR1, USR2 and the real-time signals on to the daemon, for a guard that is systemd's MAINPID. False. */
  readonly forwardSignals?: boolean;
  /** Tell /dev/log as well as standard error why a daemon was started again, or is not. False. */
  readonly syslog?: boolean;
  /** It died, and not by `close`: start another and give it everything again. */
  readonly onExit: (reason: string) => void;
  /** After `adoptGuard`: the guard has left a router that was not taken over in time; nothing of it is left. */
  readonly onGone?: (id: number) => void;
}

/** What a started daemon finds with its guard. */
export interface HeldRouter {
  readonly id: number;
  readonly resume: Uint8Array;
  /** How many adverts the guard has sent in the daemon's place. */
  readonly sent: number;
  /** Leaving has begun: the farewell is out, the addresses are still there. */
  readonly leaving: boolean;
}

/** The small program that outlives us by as much as it takes. Every call also counts as a beat. */
export interface Guard {
  readonly pid: number;
  readonly closed: boolean;
  /** The descriptor that a beacon may beat on. */
  readonly fd: number;
  beat(): SystemError | undefined;
  /** From now on this is to be guarded; replaces an earlier entry of the same id as a whole. */
  hold(router: PreparedHold): SystemError | undefined;
  /** Fresh adverts for an entry, as HMAC and AH need with each advert; cheap. */
  renew(
    id: number,
    change: Pick<GuardedRouter, "adverts" | "farewell" | "repeat"> & { readonly nextAfter: Micros },
  ): SystemError | undefined;
  /** The daemon has just sent an advert itself: the next is due in an interval. */
  sent(id: number): SystemError | undefined;
  /** Another `heartbeatTimeout` from now on. */
  expectBeats(timeout: Micros): SystemError | undefined;
  /** The daemon has given it up in order: nothing is to be done for it any more. */
  release(id: number): SystemError | undefined;
  /**
   * All is given up in order: the guard ends, and the daemon may. Resolves when it has ended. `exitCode`: what a guard
   * that is systemd's main process ends with, after us; 0.
   */
  close(exitCode?: number): Promise<void>;
}

/** Names the descriptor that a started daemon finds its guard on. */
const GUARD_FD = "VRRPD_GUARD_FD";
const MESSAGE = {
  config: 1,
  hello: 2,
  beat: 3,
  hold: 4,
  renew: 5,
  release: 6,
  sent: 7,
  bye: 8,
  limit: 9,
};
const ANSWER = { state: 101, ready: 102, gone: 103 };
const SECTION = { advert: 1, farewell: 2, removal: 3, winner: 4, resume: 5, silence: 6 };
const FLAG_LOCK_MEMORY = 1;
const FLAG_FORWARD_SIGNALS = 2;
const FLAG_SYSLOG = 4;
const FLAG_REPEAT = 1;
const HEADER_SIZE = 4;
const SO_SNDBUFFORCE = 32;
const MAX_MESSAGE = 1 << 20;
const CLOSE_LIMIT_MS = 6_000;
const READY_LIMIT_MS = 2_000;

/** Starts a guard for this process. Throws `SystemError`. */
export function startGuard(options: GuardOptions): Guard {
  const [ours, theirs] = SocketDoor.pair("make the guard's socket", AF_UNIX, SOCK_SEQPACKET);
  try {
    ours.trySetOption(SOL_SOCKET, SO_SNDBUFFORCE, 4 * MAX_MESSAGE);
    ours.trySetOption(SOL_SOCKET, SO_RCVBUFFORCE, 4 * MAX_MESSAGE);
    const child = spawn(nativePath("guard"), [], {
      detached: true,
      env: {},
      stdio: ["ignore", "inherit", "inherit", theirs.fd],
    });
    child.on("error", () => undefined);
    child.unref();
    if (child.pid === undefined) throw new SystemError("start the guard", "ENOENT");
    return new ProcessGuard(ours, child.pid, options);
  } catch (error) {
    ours.close();
    throw wrapError("start the guard", error);
  } finally {
    theirs.close();
  }
}

/**
 * Finds the guard that has started this process, and what it holds in our place. Undefined in a process that no guard has
 * started. Everything held must be taken over (`hold`) or released soon, else the guard leaves it. Throws `SystemError`.
 */
export async function adoptGuard(
  options: GuardOptions,
): Promise<{ readonly guard: Guard; readonly held: readonly HeldRouter[] } | undefined> {
  const fd = Number(process.env[GUARD_FD] ?? "");
  if (process.env[GUARD_FD] === undefined || !Number.isInteger(fd) || fd <= 2) return undefined;
  delete process.env[GUARD_FD];
  setCloseOnExec(fd, true);
  const guard = new ProcessGuard(SocketDoor.adopt(fd), process.ppid, options);
  return { guard, held: await guard.held() };
}

class ProcessGuard implements Guard {
  readonly pid: number;
  readonly #options: GuardOptions;
  readonly #channel: SocketDoor;
  readonly #held: HeldRouter[] = [];
  #ready: (() => void) | undefined;
  #isReady = false;
  #closing: (() => void) | undefined;
  #closed = false;

  constructor(channel: SocketDoor, pid: number, options: GuardOptions) {
    this.#channel = channel;
    this.#options = options;
    this.pid = pid;
    const failure = this.#send(configMessage(options)) ?? this.#send(helloMessage(options));
    if (failure !== undefined) {
      channel.close();
      throw failure;
    }
    channel.watch(() => this.#read(), false);
  }

  get closed(): boolean {
    return this.#closed;
  }

  get fd(): number {
    return this.#channel.fd;
  }

  /** Resolves when the guard has told all that it holds. */
  async held(): Promise<readonly HeldRouter[]> {
    if (!this.#isReady) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#ready = resolve;
        timer = setTimeout(resolve, READY_LIMIT_MS);
      });
      clearTimeout(timer);
    }
    return this.#held;
  }

  beat(): SystemError | undefined {
    return this.#send(header(MESSAGE.beat, 0));
  }

  hold(router: PreparedHold): SystemError | undefined {
    return this.#send(router);
  }

  renew(
    id: number,
    change: Pick<GuardedRouter, "adverts" | "farewell" | "repeat"> & { readonly nextAfter: Micros },
  ): SystemError | undefined {
    const out = new MessageWriter(MESSAGE.renew, id);
    out.u32(change.repeat ? FLAG_REPEAT : 0, 0).u64(change.nextAfter);
    return this.#send(advertSections(out, change).finish());
  }

  sent(id: number): SystemError | undefined {
    return this.#send(header(MESSAGE.sent, id));
  }

  expectBeats(timeout: Micros): SystemError | undefined {
    return this.#send(new MessageWriter(MESSAGE.limit, 0).u64(timeout).finish());
  }

  release(id: number): SystemError | undefined {
    return this.#send(header(MESSAGE.release, id));
  }

  close(exitCode = 0): Promise<void> {
    if (this.#closed) return Promise.resolve();
    const failure = this.#send(new MessageWriter(MESSAGE.bye, 0).u32(exitCode).finish());
    // A guard that waits for our end before its own is not waited for.
    if (failure !== undefined || this.#options.forwardSignals === true) {
      this.#end();
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#end(), CLOSE_LIMIT_MS);
      this.#closing = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  #send(message: Uint8Array): SystemError | undefined {
    if (this.#closed) return new SystemError("tell the guard", "EPIPE");
    if (message.length > MAX_MESSAGE) return new SystemError("tell the guard", "EMSGSIZE");
    const result = this.#channel.send(message);
    return result < 0 ? systemError("tell the guard", result) : undefined;
  }

  #read(): void {
    const batch = createBatch(1, 1 << 17);
    for (;;) {
      const count = this.#channel.receive(batch);
      if (count < 0) {
        if (!this.#closed && count !== -11) this.#end(systemError("hear the guard", count).message);
        return;
      }
      const { data } = messageOf(batch, 0);
      if (data.length === 0) {
        this.#end("it has ended");
        return;
      }
      this.#take(data);
    }
  }

  #take(data: Uint8Array): void {
    if (data.length < HEADER_SIZE) return;
    const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
    const id = view.getUint16(2, true);
    if (data[0] === ANSWER.state && data.length >= 12) {
      this.#held.push({
        id,
        leaving: view.getUint32(4, true) !== 0,
        sent: view.getUint32(8, true),
        resume: data.slice(12),
      });
    } else if (data[0] === ANSWER.ready) {
      this.#isReady = true;
      this.#ready?.();
    } else if (data[0] === ANSWER.gone) {
      this.#options.onGone?.(id);
    }
  }

  #end(reason?: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#channel.close();
    this.#ready?.();
    if (this.#closing !== undefined) this.#closing();
    else if (reason !== undefined) this.#options.onExit(reason);
  }
}

const DEFAULT_CRASH_WINDOW = seconds(60);
const DEFAULT_YIELD = milliseconds(10);

function configMessage(options: GuardOptions): Uint8Array {
  const lock = options.lockMemory === false ? 0 : FLAG_LOCK_MEMORY;
  const forward = options.forwardSignals === true ? FLAG_FORWARD_SIGNALS : 0;
  const syslog = options.syslog === true ? FLAG_SYSLOG : 0;
  const environment = Object.entries(options.environment)
    .filter(([name]) => name !== GUARD_FD)
    .map(([name, value]) => `${name}=${value}`);
  return new MessageWriter(MESSAGE.config, 0)
    .u32(lock | forward | syslog, options.realtimePriority ?? 0)
    .u64(options.crashWindow ?? DEFAULT_CRASH_WINDOW)
    .texts([options.folder ?? process.cwd(), ...options.command, "", ...environment, ""])
    .finish();
}

function helloMessage(options: GuardOptions): Uint8Array {
  return new MessageWriter(MESSAGE.hello, 0)
    .u32(process.pid, 0)
    .u64(options.heartbeatTimeout)
    .finish();
}

/** Everything that `Guard.hold` needs. */
export function prepareHold(router: GuardedRouter): PreparedHold {
  const { interval } = router;
  const out = new MessageWriter(MESSAGE.hold, router.id);
  out.u32(router.repeat ? FLAG_REPEAT : 0, 0);
  out.u64(interval, router.nextAfter ?? interval, router.graceAfter ?? 2 * interval);
  out.u64(router.leaveAfter, router.yieldAfter ?? DEFAULT_YIELD);
  advertSections(out, router);
  for (const [kind, requests] of [
    [SECTION.removal, router.removals],
    [SECTION.silence, router.silence ?? []],
  ] as const) {
    for (const request of requests) {
      const raw = "bytes" in request;
      const protocol = raw ? request.netlinkProtocol : 0;
      out.section(kind, [u32Bytes(protocol), raw ? request.bytes : requestBytes(request)]);
    }
  }
  for (const { ifindex, family, program } of router.winners) {
    const where = [u32Bytes(ifindex), u32Bytes(family === 4 ? AF_INET : AF_INET6)];
    out.section(SECTION.winner, [...where, program]);
  }
  out.section(SECTION.resume, [router.resume]);
  return out.finish() as PreparedHold;
}

function advertSections(
  out: MessageWriter,
  { adverts, farewell }: Pick<GuardedRouter, "adverts" | "farewell">,
): MessageWriter {
  for (const [kind, list] of [
    [SECTION.advert, adverts],
    [SECTION.farewell, farewell],
  ] as const) {
    for (const advert of list) {
      const parts = advert.flatMap(({ ifindex, packet }) => {
        return [u32Bytes(ifindex), u32Bytes(packet.length), packet];
      });
      out.section(kind, parts);
    }
  }
  return out;
}

function requestBytes({ type, flags, body }: NetlinkRequest): Uint8Array {
  return netlinkMessage({ type, flags: flags | NLM_F_REQUEST | NLM_F_ACK, sequence: 1, body });
}

function header(type: number, id: number): Uint8Array {
  return Uint8Array.of(type, 0, id & 0xff, id >> 8);
}

function u32Bytes(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, true);
  return bytes;
}

/** Little-endian, as `native/guard.c` describes it. */
class MessageWriter {
  readonly #pieces: Uint8Array[];

  constructor(type: number, id: number) {
    this.#pieces = [header(type, id)];
  }

  u32(...values: readonly number[]): this {
    for (const value of values) this.#pieces.push(u32Bytes(value));
    return this;
  }

  u64(...values: readonly number[]): this {
    for (const value of values) {
      const bytes = new Uint8Array(8);
      new DataView(bytes.buffer).setBigUint64(0, BigInt(value), true);
      this.#pieces.push(bytes);
    }
    return this;
  }

  texts(values: readonly string[]): this {
    for (const value of values) this.#pieces.push(new TextEncoder().encode(`${value}\0`));
    return this;
  }

  section(kind: number, parts: readonly Uint8Array[]): this {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    this.#pieces.push(Uint8Array.of(kind, 0, 0, 0), u32Bytes(length), ...parts);
    return this;
  }

  finish(): Uint8Array {
    const bytes = new Uint8Array(this.#pieces.reduce((sum, piece) => sum + piece.length, 0));
    let at = 0;
    for (const piece of this.#pieces) {
      bytes.set(piece, at);
      at += piece.length;
    }
    return bytes;
  }
}
