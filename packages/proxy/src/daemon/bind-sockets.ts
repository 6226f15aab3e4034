import { chmodSync, chownSync, unlinkSync } from "node:fs";

import { adoptDescriptor, errnoName, listenStream, type StreamAddress } from "@ha/linux/ring";
import type { Bind } from "../core/config/bind-model.ts";
import type { Config } from "../core/config/model.ts";
import { bytesOf } from "./config-text.ts";
import { numberProxies } from "./runtime-build.ts";
import type { StartReport } from "./start-report.ts";
import { threadCount } from "./thread-count.ts";

/** A listening socket, bound: which bind of which frontend it belongs to. */
export interface BoundSocket {
  readonly frontend: number;
  readonly bind: number;
  readonly fd: number;
  /** Which of the bind's `shards` it is, and how many there are. */
  readonly shard: number;
  readonly shards: number;
}

/**
 * Whether a thread (1 to `threads`) accepts on the socket: those of `thread`, all where none of them runs; with `shards`
 * they share the sockets out in turn. HAProxy configuration manual §5.1, thread, shards.
 */
export function servesSocket(
  { shard, shards }: BoundSocket,
  bind: Bind,
  thread: number,
  threads: number,
): boolean {
  const able: number[] = [];
  for (let number = 1; number <= threads; number++) {
    const isNamed = ({ first, last, step }: Bind["threads"][number]) =>
      number >= first && number <= last && (number - first) % step === 0;
    if (bind.threads.length === 0 || bind.threads.some(isNamed)) able.push(number);
  }
  if (able.length === 0) for (let number = 1; number <= threads; number++) able.push(number);
  const place = able.indexOf(thread);
  return place >= 0 && place % shards === shard;
}

/** How many sockets share the bind's address: only what SO_REUSEPORT can share is sharded. */
function shardCount(bind: Bind, threads: number): number {
  if (bind.address.kind !== "inet" || bind.shards === "by-group") return 1;
  return bind.shards === "by-thread" ? threads : Math.min(bind.shards, threads);
}

/** Sockets that outlive a process, as `bindAll` meets them. */
export interface SocketSource {
  reuse?(bind: Bind): number | undefined;
  bound?(bind: Bind, fd: number): void;
  /** Somebody else has the address: whether to try once more, after the pause that this call makes. */
  retry?(): boolean;
}

/**
 * Binds every socket of every frontend, or says which could not be: undefined then. HAProxy's words: observed,
 * 2.6.12.
 *
 * @param held Where sockets that are there already come from: taken instead of binding. It hears of new ones.
 */
export function bindAll(
  config: Config,
  maxconn: number,
  report: StartReport,
  held: SocketSource = {},
): readonly BoundSocket[] | undefined {
  const sockets: BoundSocket[] = [];
  const threads = threadCount(config);
  const reusePort = !config.global.noReusePort;
  let failed = false;
  for (const [index, { frontend, proxy }] of numberProxies(config).entries()) {
    if (frontend === undefined || proxy.disabled) continue;
    for (const [number, bind] of frontend.binds.entries()) {
      const backlog = bind.backlog ?? frontend.backlog ?? frontend.maxconn ?? maxconn;
      const shards = shardCount(bind, threads);
      for (let shard = 0; shard < shards; shard++) {
        const known = held.reuse?.(bind);
        let fd = known ?? bindOne(bind, backlog, reusePort);
        while (isTaken(fd) && held.retry?.()) fd = bindOne(bind, backlog, reusePort);
        if (typeof fd === "number") {
          if (known === undefined) held.bound?.(bind, fd);
          sockets.push({ frontend: index, bind: number, fd, shard, shards });
          continue;
        }
        failed = true;
        report.say(
          "ALERT",
          `Binding [${bind.at.file}:${bind.at.line}] for ${proxy.kind === "listen" ? "proxy" : "frontend"} ${proxy.name}: ${fd.what} [${bind.text}]`,
        );
        break;
      }
    }
  }
  if (!failed) return sockets;
  report.say("ALERT", "[haproxy.main()] Some protocols failed to start their listeners! Exiting.");
  return undefined;
}

/** Binds one socket, of a frontend or the runtime API: its descriptor, or what went wrong in words. */
export function bindOne(
  bind: Bind,
  backlog: number,
  reusePort = true,
): number | { readonly what: string } {
  const { address } = bind;
  switch (address.kind) {
    case "fd":
    case "sockpair": {
      const error = adoptDescriptor(address.fd);
      if (error >= 0) return address.fd;
      return { what: `inherited descriptor ${address.fd}: ${errnoName(-error)}` };
    }
    case "unix": {
      removeStale(address.path);
      const fd = listen(bind, { kind: "unix", path: address.path }, backlog);
      if (typeof fd === "number") setRights(address.path, bind);
      return fd;
    }
    case "abstract": {
      const { name, padded } = address;
      return listen(bind, { kind: "abstract", name, padded }, backlog);
    }
    default:
      if (address.address === undefined) return { what: "the address has no number" };
      return listen(
        bind,
        { kind: "inet", address: address.address, port: address.port },
        backlog,
        reusePort,
      );
  }
}

function listen(
  bind: Bind,
  address: StreamAddress,
  backlog: number,
  reusePort = true,
): number | { readonly what: string } {
  const isV6 = address.kind === "inet" && address.address.family === 6;
  const result = listenStream({
    address,
    backlog,
    reusePort: reusePort && address.kind === "inet",
    transparent: bind.transparent,
    multipath: bind.mptcp,
    ...(isV6 ? { v6only: bind.v6only || !bind.v4v6 } : {}),
    ...(bind.deferAccept ? { deferAcceptSeconds: 60 } : {}),
    ...(bind.fastOpen ? { fastOpenQueue: backlog } : {}),
    ...(bind.interface === undefined ? {} : { interface: bind.interface }),
    ...(bind.mss === undefined ? {} : { maxSegment: bind.mss }),
    ...(bind.userTimeout === undefined ? {} : { userTimeoutMilliseconds: bind.userTimeout / 1000 }),
    ...(bind.congestionControl === undefined ? {} : { congestionControl: bind.congestionControl }),
  });
  if (typeof result === "number") return result;
  const name = errnoName(-result.errno);
  if (result.operation === "bind" && name === "EADDRINUSE") return TAKEN;
  return { what: `cannot ${result.operation} socket (${name})` };
}

const TAKEN = { what: "cannot bind socket (Address already in use)" };

function isTaken(outcome: number | { readonly what: string }): boolean {
  return outcome === TAKEN;
}

/** A socket file that a process left behind when it died. */
function removeStale(path: string): void {
  try {
    unlinkSync(bytesOf(path));
  } catch {
    // There was none.
  }
}

function setRights(path: string, { unix }: Bind): void {
  if (unix.mode !== undefined) chmodSync(bytesOf(path), unix.mode);
  if (unix.uid !== undefined || unix.gid !== undefined) {
    chownSync(bytesOf(path), unix.uid ?? -1, unix.gid ?? -1);
  }
}
