import { chmodSync, chownSync, unlinkSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { errnoName } from "@ha/linux";
import {
  adoptDescriptor,
  type Executor,
  listenStream,
  raiseDescriptorLimit,
  type StreamAddress,
} from "@ha/linux/ring";
import type { Bind } from "../core/config/bind-model.ts";
import type { Config } from "../core/config/model.ts";
import type { CommandLine } from "./cli.ts";
import { changeFolder, loadConfiguration, readSources, reportLoaded } from "./config-check.ts";
import { bytesOf, configText } from "./config-text.ts";
import { numberProxies } from "./runtime-build.ts";
import { StartReport } from "./start-report.ts";
import { createWorker, statisticsBytes, type Worker } from "./worker.ts";

/** A listening socket, bound: which bind of which frontend it belongs to. */
export interface BoundSocket {
  readonly frontend: number;
  readonly bind: number;
  readonly fd: number;
}

/** `lbproxy -f FILE` in one process: reads, binds, runs until it is told to stop. The exit status. */
export async function serve(command: CommandLine): Promise<void> {
  const report = new StartReport(command.quiet);
  if (!changeFolder(command, report)) return exitWith(1);
  const files = readSources(command, report);
  if (files === undefined) return exitWith(1);
  const loaded = await loadConfiguration(command, files);
  if (!reportLoaded(loaded, command, report) || loaded.config === undefined) return exitWith(1);
  const { config } = loaded;
  for (const { at, feature } of config.later) {
    report.say(
      "ALERT",
      `config : [${at.file}:${at.line}] : ${feature} is not served yet by lbproxy.`,
    );
  }
  if (config.later.length > 0) return exitWith(1);

  const maxconn = processLimit(command, config);
  const sockets = bindAll(config, maxconn, report);
  if (sockets === undefined) return exitWith(1);
  const limits = { maxconn, connections: new Int32Array(new SharedArrayBuffer(4)) };
  const worker = createWorker({
    config,
    thread: 1,
    executor: executorFor(command),
    limits,
    shared: undefined,
    statistics: new SharedArrayBuffer(statisticsBytes(config)),
  });
  for (const { severity, message, at, hint } of worker.diagnostics.list) {
    const place = at === undefined ? "" : `parsing [${at.file}:${at.line}] : `;
    const text = hint === undefined ? message : `${message} (${hint})`;
    report.say(severity === "error" ? "ALERT" : "WARNING", `config : ${place}${text}`);
  }
  if (worker.diagnostics.hasErrors) return exitWith(1);
  for (const { frontend, bind, fd } of sockets) worker.listen(frontend, bind, fd);
  const pidfile = command.pidfile ?? config.global.pidfile;
  if (pidfile !== undefined) writeFileSync(bytesOf(configText(pidfile)), `${process.pid}\n`);
  handleSignals(worker, config, () => cleanUp(config, pidfile));
  worker.start();
}

function exitWith(status: number): void {
  process.exitCode = status;
}

/** `-n`, `maxconn`, or what the limit of open files leaves: two descriptors a connection. HAProxy configuration manual §3.2, maxconn */
function processLimit(command: CommandLine, config: Config): number {
  const asked = command.maxconn ?? config.global.maxconn;
  const listeners = config.frontends.reduce((sum, { binds }) => sum + binds.length, 0);
  if (asked !== undefined) {
    raiseDescriptorLimit(asked * 2 + listeners + RESERVED_DESCRIPTORS);
    return asked;
  }
  const descriptors = raiseDescriptorLimit(0);
  return Math.max(16, Math.floor((descriptors - listeners - RESERVED_DESCRIPTORS) / 2));
}

/** For checks, logs, the stats socket, Node itself. */
const RESERVED_DESCRIPTORS = 100;

/** `LBPROXY_EXECUTOR=epoll` or `io_uring` forces one; `-de` (no epoll) leaves io_uring alone. */
export function executorFor(command: CommandLine): Executor | "auto" {
  const forced = process.env["LBPROXY_EXECUTOR"];
  if (forced === "epoll" || forced === "io_uring") return forced;
  return command.without.has("epoll") ? "io_uring" : "auto";
}

/** Binds every socket of every frontend, or says which could not be. HAProxy's words: observed, 2.6.12. */
export function bindAll(
  config: Config,
  maxconn: number,
  report: StartReport,
): readonly BoundSocket[] | undefined {
  const sockets: BoundSocket[] = [];
  let failed = false;
  for (const [index, { frontend, proxy }] of numberProxies(config).entries()) {
    if (frontend === undefined || proxy.disabled) continue;
    for (const [number, bind] of frontend.binds.entries()) {
      const backlog = bind.backlog ?? frontend.backlog ?? frontend.maxconn ?? maxconn;
      const fd = bindOne(bind, backlog);
      if (typeof fd === "number") {
        sockets.push({ frontend: index, bind: number, fd });
        continue;
      }
      failed = true;
      report.say(
        "ALERT",
        `Binding [${bind.at.file}:${bind.at.line}] for ${proxy.kind === "listen" ? "proxy" : "frontend"} ${proxy.name}: ${fd.what} [${bind.text}]`,
      );
    }
  }
  if (!failed) return sockets;
  report.say("ALERT", "[haproxy.main()] Some protocols failed to start their listeners! Exiting.");
  return undefined;
}

function bindOne(bind: Bind, backlog: number): number | { readonly what: string } {
  const { address } = bind;
  switch (address.kind) {
    case "fd":
    case "sockpair": {
      const error = adoptDescriptor(address.fd);
      return error < 0
        ? { what: `inherited descriptor ${address.fd}: ${errnoName(-error)}` }
        : address.fd;
    }
    case "unix": {
      removeStale(address.path);
      const fd = listen(bind, { kind: "unix", path: address.path }, backlog);
      if (typeof fd === "number") setRights(address.path, bind);
      return fd;
    }
    case "abstract":
      return listen(
        bind,
        { kind: "abstract", name: address.name, padded: address.padded },
        backlog,
      );
    default:
      if (address.address === undefined) return { what: "the address has no number" };
      return listen(bind, { kind: "inet", address: address.address, port: address.port }, backlog);
  }
}

function listen(
  bind: Bind,
  address: StreamAddress,
  backlog: number,
): number | { readonly what: string } {
  const isV6 = address.kind === "inet" && address.address.family === 6;
  const result = listenStream({
    address,
    backlog,
    reusePort: address.kind === "inet",
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
  if (result.operation === "bind" && name === "EADDRINUSE") {
    return { what: "cannot bind socket (Address already in use)" };
  }
  return { what: `cannot ${result.operation} socket (${name})` };
}

/** A socket file that a process left behind when it died. One that answers belongs to somebody: binding will fail. */
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

/** INT and TERM end at once, USR1 lets sessions finish (`hard-stop-after` at most). HAProxy management guide §4. */
function handleSignals(worker: Worker, config: Config, cleanUpFiles: () => void): void {
  const end = (status: number) => {
    cleanUpFiles();
    process.exit(status);
  };
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    process.on(signal, () => {
      worker.kill();
      // The connections' resets and closes still go through the ring.
      setTimeout(() => end(0), 20);
    });
  }
  process.on("SIGUSR1", () => {
    if (worker.plane.isStopping) return;
    worker.softStop();
    const { hardStopAfter } = config.global;
    if (hardStopAfter !== undefined) {
      setTimeout(() => {
        worker.kill();
        setTimeout(() => end(0), 20);
      }, hardStopAfter / 1000);
    }
    const poll = setInterval(() => {
      if (!worker.isDrained) return;
      clearInterval(poll);
      end(0);
    }, 20);
  });
  process.on("SIGPIPE", () => {});
}

function cleanUp(config: Config, pidfile: string | undefined): void {
  const paths = config.frontends.flatMap(({ binds }) =>
    binds.flatMap(({ address }) => (address.kind === "unix" ? [bytesOf(address.path)] : [])),
  );
  if (pidfile !== undefined) paths.push(bytesOf(configText(pidfile)));
  for (const path of paths) {
    try {
      unlinkSync(path);
    } catch {
      // Somebody else removed it, or it is outside the chroot.
    }
  }
}

/** `nbthread`: the given number, or one for each CPU we may use. */
export function threadCount(config: Config): number {
  return config.global.nbthread ?? availableParallelism();
}
