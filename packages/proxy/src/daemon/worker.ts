import type { Diagnostics } from "@ha/base";
import { type Executor, openRing, type Ring } from "@ha/linux/ring";
import { TlsEngine } from "@ha/linux/tls";
import type { Config } from "../core/config/model.ts";
import type { LogTarget, RingSection } from "../core/config/section-model.ts";
import { DEFAULT_MAX_FIELDS } from "../core/http/head.ts";
import type { World } from "../core/sample/world.ts";
import { setDefaultFullconns } from "../core/server/default-fullconn.ts";
import { ProcessRates } from "../core/server/process-rates.ts";
import { Statistics } from "../core/statistics.ts";
import { type BoundSocket, servesSocket } from "./bind-sockets.ts";
import { messageRoom } from "./connection-shared.ts";
import { DataPlane } from "./data-plane.ts";
import { countSoFar } from "./exchange-statistics.ts";
import { Listener } from "./listener.ts";
import { LogRing, LogSink } from "./log-sink.ts";
import { ThreadPair } from "./pair/thread-pair.ts";
import {
  buildRuntime,
  createWorld,
  numberProxies,
  type SharedState,
  type SinkFor,
  statisticsLayout,
} from "./runtime-build.ts";
import { addressRoom } from "./server-address.ts";
import { threadCount } from "./thread-count.ts";
import { NO_TLS, type TlsShare } from "./tls/tls-share.ts";

/** Gathered sends under way at once; beyond it parts go one by one. */
const MESSAGES = 2_048;

/** What a thread needs to run. */
export interface WorkerOptions {
  readonly config: Config;
  /** 1-based. */
  readonly thread: number;
  readonly executor: Executor | "auto";
  /** Of the process: `Limits.connections` and the like. */
  readonly limits: SharedLimits;
  /** Undefined in the first thread, which makes it. */
  readonly shared: SharedState | undefined;
  readonly statistics: SharedArrayBuffer;
  /** What the first thread has made of the certificates; absent where there are none. */
  readonly tls?: TlsShare;
}

/** Limits of the process, as its threads share them. */
export interface SharedLimits {
  readonly maxconn: number;
  readonly connections: Int32Array;
  /** Of `ProcessRates`. */
  readonly rates: SharedArrayBuffer;
}

/** One thread of the data plane: its ring, its connections, its compiled configuration. */
export interface Worker {
  readonly ring: Ring;
  readonly plane: DataPlane;
  readonly world: World;
  readonly listeners: readonly Listener[];
  readonly rings: ReadonlyMap<string, LogRing>;
  readonly diagnostics: Diagnostics;
  readonly rates: ProcessRates;
  /** The sink of a log target, opened. Shared between frontends with the same line. */
  sinkFor: SinkFor;
  /** Adds a listening socket to a frontend. Accepting begins with its `start`, where this thread serves it. */
  listen(socket: BoundSocket): Listener;
  /** Begins to accept on every listener, and to run. */
  start(): void;
  /** Accepts no more; ends idle clients. `isDrained` tells when all others have ended. */
  softStop(): void;
  readonly isDrained: boolean;
  /** What it has to do with the VRRP daemon beside it. */
  readonly pair: ThreadPair;
  /** Log lines that their receivers had no room for. */
  readonly droppedLogs: number;
  /** Ends every connection. */
  kill(): void;
}

export function createWorker(options: WorkerOptions): Worker {
  const { config } = options;
  const limits = { ...options.limits, rates: new ProcessRates(options.limits.rates) };
  const proxies = numberProxies(config);
  const servers = proxies.reduce((sum, { backend }) => sum + (backend?.servers.length ?? 0), 0);
  const messagesAt = 0;
  const addressesAt = messageRoom(MESSAGES);
  const addressesSize = addressRoom(servers);
  const tune = (name: string, otherwise: number) => {
    const value = config.global.tune.get(name);
    return typeof value === "number" ? value : otherwise;
  };
  const ring = openRing({
    executor: options.executor,
    smallSize: tune("tune.bufsize", 16_384),
    // Each client may hold its request and some of its answer: see `DataPlane.outputLimit`.
    smallCount: Math.min(65_535, Math.max(2_048, limits.maxconn * 3 + 512)),
    largeCount: 128,
    spareSize: addressesAt + addressesSize,
  });
  const base = ring.spareOffset;
  const plane = new DataPlane(ring, new Statistics(statisticsLayout(proxies), options.statistics), {
    messagesAt: base + messagesAt,
    messages: MESSAGES,
    addressesAt: base + addressesAt,
    addressesSize,
    maxFields: tune("tune.http.maxhdr", DEFAULT_MAX_FIELDS),
  });
  const { tls = NO_TLS } = options;
  plane.tls = tls;
  if (tls.binds.size + tls.servers.size > 0) plane.connections.tls = new TlsEngine(ring.bytes);
  plane.connections.tlsActivity = limits.rates.tls;
  const rings = new Map([...config.rings].map(([name, section]) => [name, new LogRing(section)]));
  const world = createWorld(
    config,
    proxies,
    {
      thread: options.thread,
      environment: config.global.environment,
      wallTime: () => ring.wallTime,
      isStopping: () => plane.isStopping,
      debug: (sink, line) => debug(rings, sink, line),
    },
    options.shared,
  );
  if (options.shared === undefined) setDefaultFullconns(world.proxies, limits.maxconn);
  const sinks = new Map<string, LogSink>();
  const targets: LogTarget[] = [];
  const sinkFor: SinkFor = (target, ownTag) => {
    const tag = ownTag ?? config.global.logTag ?? "haproxy";
    let number = targets.indexOf(target);
    if (number < 0) number = targets.push(target) - 1;
    const key = `${number} ${tag}`;
    const known = sinks.get(key);
    if (known !== undefined) return known;
    const { destination } = target;
    const section = destination.kind === "ring" ? config.rings.get(destination.name) : undefined;
    const sink = new LogSink(
      section === undefined ? target : inRing(target, section),
      {
        tag,
        pid: process.pid,
        hostname: hostnameOf(config, world.ports.hostname),
      },
      destination.kind === "ring" ? rings.get(destination.name) : undefined,
    );
    sink.open();
    sinks.set(key, sink);
    return sink;
  };
  const diagnostics = buildRuntime(config, proxies, world, plane, sinkFor);
  const listeners: Listener[] = [];
  const pair = new ThreadPair(plane);
  ring.onTurn(() => {
    plane.endTurn();
    for (const sink of sinks.values()) sink.flush();
  });
  return {
    ring,
    plane,
    world,
    listeners,
    rings,
    diagnostics,
    rates: limits.rates,
    pair,
    sinkFor,
    listen: (socket) => {
      const { frontend, bind: number, fd } = socket;
      const runtime = plane.proxies[frontend];
      const bind = runtime?.frontend?.config.binds[number];
      if (runtime === undefined || bind === undefined)
        throw new Error(`no bind ${frontend}/${number}`);
      const listener = new Listener(plane, runtime, bind, { fd, number, all: listeners }, limits);
      if (!servesSocket(socket, bind, options.thread, threadCount(config))) listener.stop();
      return listener;
    },
    start: () => {
      for (const ring of rings.values()) ring.open();
      startPurging(plane);
      startCounting(plane);
      for (const listener of listeners) listener.start();
      ring.run();
    },
    softStop: () => {
      plane.isStopping = true;
      pair.drain.isStopped = true;
      for (const listener of listeners) listener.stop();
      for (const client of [...plane.clients]) client.stopSoon();
    },
    get isDrained() {
      return plane.sessions === 0;
    },
    get droppedLogs() {
      let sum = 0;
      for (const { dropped } of sinks.values()) sum += dropped;
      for (const { dropped } of rings.values()) sum += dropped;
      return sum;
    },
    kill: () => {
      for (const listener of listeners) listener.stop();
      for (const client of [...plane.clients]) client.kill();
      for (const { backend } of plane.proxies)
        for (const pool of backend?.pools ?? []) pool.clear();
    },
  };
}

/** `option contstats`: bytes of long transfers count every five seconds, not at their end alone. */
function startCounting(plane: DataPlane): void {
  const wanted = plane.proxies.map(
    ({ frontend }) => frontend?.config.options.on.has("contstats") === true,
  );
  if (!wanted.includes(true)) return;
  const timer = plane.wheel.create({
    timedOut: () => {
      for (const client of plane.clients) {
        if (wanted[client.session.frontend] === true) countSoFar(plane, client);
      }
      plane.wheel.set(timer, plane.now + COUNTING_PERIOD);
    },
  });
  plane.wheel.set(timer, plane.now + COUNTING_PERIOD);
}

const COUNTING_PERIOD = 5_000;

/** A ring's own form and length hold for all that is written to it. Observed: haproxy 2.6.12. */
function inRing(target: LogTarget, { format, maxlen }: RingSection): LogTarget {
  return { ...target, format, length: Math.min(target.length, maxlen + 1) };
}

/** Closes idle server connections nobody needed. Default period 5 s. */
function startPurging(plane: DataPlane): void {
  for (const { backend } of plane.proxies) {
    backend?.pools.forEach((pool, at) => {
      const delay = (backend.config.servers[at]?.pool.purgeDelay ?? 5_000_000) / 1000;
      if (delay === 0) return;
      const timer = plane.wheel.create({
        timedOut: () => {
          pool.purge();
          plane.wheel.set(timer, plane.now + delay);
        },
      });
      plane.wheel.set(timer, plane.now + delay);
    });
  }
}

function hostnameOf(config: Config, own: string): string | undefined {
  const wanted = config.global.logSendHostname;
  return wanted === undefined ? undefined : wanted === "" ? own : wanted;
}

function debug(rings: ReadonlyMap<string, LogRing>, sink: string, line: string): void {
  const bytes = new TextEncoder().encode(`${line}\n`);
  const ring = rings.get(sink);
  if (ring !== undefined) ring.take(bytes, Int32Array.of(bytes.length), 1);
  else (sink === "stderr" ? process.stderr : process.stdout).write(bytes);
}

/** Bytes of one thread's statistics. */
export function statisticsBytes(config: Config): number {
  return statisticsLayout(numberProxies(config)).bytes;
}
