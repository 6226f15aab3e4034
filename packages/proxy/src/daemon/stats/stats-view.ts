import { readFileSync } from "node:fs";
import { micros } from "@ha/base";
import { tlsCacheCounters } from "@ha/linux/tls";
import { COMPATIBLE_VERSION } from "../../core/config/version.ts";
import * as stat from "../../core/statistics.ts";
import { Statistics } from "../../core/statistics.ts";
import type { ProcessFigures, TlsFigures } from "../../core/stats/process-info.ts";
import type { ServerLives } from "../../core/stats/server-life.ts";
import { SharedLives } from "../../core/stats/shared-lives.ts";
import { mostOf, type StatsSource, sumOf } from "../../core/stats/source.ts";
import { standingLives } from "../../core/stats/standing-lives.ts";
import { vrrpTable } from "../../core/stats/vrrp-table.ts";
import type { Worker } from "../worker.ts";
import type { StatsOrder } from "./stats-order.ts";
import { installServices } from "./stats-services.ts";

/** What every thread needs to tell the statistics of the whole process. */
export interface StatsShare {
  readonly facts: ProcessFacts;
  /** Counters of every thread. */
  readonly statistics: readonly SharedArrayBuffer[];
  readonly lives: SharedArrayBuffer;
  /** `Limits.connections`: connections now, and the limit in force. */
  readonly connections: Int32Array;
}

/** What does not change while the process runs. */
export interface ProcessFacts {
  /** Milliseconds since 1970. */
  readonly startedAt: number;
  readonly pid: number;
  readonly maxconn: number;
  readonly descriptorLimit: number;
  readonly listeners: number;
  readonly threads: number;
  readonly node: string;
  readonly description: string | undefined;
  readonly sslRateLimit: number;
  readonly maxSslConnections: number;
  readonly maxPipes: number;
  readonly compressionRateLimit: number;
}

/** The process's statistics as one thread sees them. */
export interface StatsView {
  readonly source: StatsSource;
  /** The VRRP daemon beside us, above the tables; "" where there is none. */
  vrrp(): string;
  figures(): ProcessFigures;
}

/** Date of this release, in HAProxy's form. */
export const RELEASE_DATE = "2026/11/24";

/** Opens the view in a thread that does not check: lives are those that the first thread publishes. */
export function openStats(
  worker: Worker,
  share: StatsShare,
  send: (order: StatsOrder) => void,
): StatsView {
  const { proxies } = worker.world;
  const lives = new SharedLives(proxies, standingLives(proxies, micros(0)), share.lives);
  const view = createStatsView(worker, share, lives);
  installServices(worker, view, send);
  publishGauges(worker);
  return view;
}

/** Without TLS its library is not even loaded. */
function tlsFigures({ rates, plane }: Worker, now: number): TlsFigures {
  const { tls } = rates;
  const cache = plane.connections.tls === undefined ? NO_CACHE : tlsCacheCounters();
  return {
    open: tls.open,
    total: tls.total,
    handshakes: tls.handshakes(now),
    clientKeys: tls.keys("client", now),
    serverKeys: tls.keys("server", now),
    cacheLookups: cache.lookups,
    cacheMisses: cache.misses,
  };
}

const NO_CACHE = { lookups: 0, misses: 0 };

export function createStatsView(worker: Worker, share: StatsShare, lives: ServerLives): StatsView {
  const { plane, world, ring } = worker;
  const { layout } = plane.statistics;
  const { facts, connections } = share;
  const source: StatsSource = {
    proxies: world.proxies,
    layout,
    threads: share.statistics.map((buffer) => new Statistics(layout, buffer)),
    lives,
    tables: world.tables,
    now: () => ring.now,
    get maxconn() {
      return connections[1] ?? facts.maxconn;
    },
  };
  const row = layout.rows;
  const ofProcess = (field: number) => sumOf(source, row, field);
  const overFrontends = (value: (index: number) => number) => {
    let sum = 0;
    for (const { frontend, index } of world.proxies)
      if (frontend !== undefined) sum += value(index);
    return sum;
  };
  const overRows = (field: number) =>
    overFrontends((index) => sumOf(source, layout.frontend[index] as number, field));
  return {
    source,
    vrrp: () => vrrpTable(worker.pair.view, ring.wallTime),
    figures: () => {
      const now = ring.now;
      const current = Atomics.load(connections, 0);
      const connectionRate = overFrontends(
        (i) => world.proxies[i]?.counters.connectionRate(now) ?? 0,
      );
      const sessionRate = overFrontends(
        (i) => world.proxies[i]?.counters.clientSessionRate(now) ?? 0,
      );
      return {
        version: COMPATIBLE_VERSION,
        releaseDate: RELEASE_DATE,
        threads: facts.threads,
        pid: facts.pid,
        uptimeSeconds: Math.max(0, (ring.wallTime - facts.startedAt) / 1000),
        startedAt: Math.floor(facts.startedAt / 1000),
        memoryLimitBytes: 0,
        poolBytes: ring.bytes.length * facts.threads,
        descriptorLimit: facts.descriptorLimit,
        maxconn: source.maxconn,
        hardMaxconn: facts.maxconn,
        connections: current,
        connectionsTotal: overRows(stat.STAT_CONN_TOT) + ofProcess(stat.STAT_API_CLIENTS),
        requestsTotal: overRows(stat.STAT_REQ_TOT) + ofProcess(stat.STAT_API_CLIENTS),
        connectionRate,
        connectionRateLimit: worker.rates.connectionLimit,
        connectionRateMax: Math.max(connectionRate, mostOf(source, row, stat.STAT_CONN_RATE_MAX)),
        sessionRate,
        sessionRateLimit: worker.rates.sessionLimit,
        sessionRateMax: Math.max(sessionRate, mostOf(source, row, stat.STAT_RATE_MAX)),
        tasks: current + facts.listeners,
        idlePercent: Math.round(ofProcess(stat.STAT_IDLE_PERCENT)),
        node: facts.node,
        description: facts.description,
        isStopping: plane.isStopping,
        jobs: current + facts.listeners,
        listeners: facts.listeners,
        droppedLogs: ofProcess(stat.STAT_LOGS_DROPPED),
        bytesOut: overRows(stat.STAT_BOUT),
        bytesOutRate: Math.round(ofProcess(stat.STAT_BYTES_RATE)),
        maxSslConnections: facts.maxSslConnections,
        sslRateLimit: worker.rates.tls.rateLimit,
        tls: tlsFigures(worker, now),
        compressionRateLimit: facts.compressionRateLimit,
        maxPipes: facts.maxPipes,
      };
    },
  };
}

/** Idle server connections and lost log lines are known to their own thread only: it writes them down twice a second. */
export function publishGauges(worker: Worker): void {
  const { plane } = worker;
  const { statistics } = plane;
  const publish = () => {
    for (const { backend, backendRow } of plane.proxies) {
      backend?.pools.forEach(({ idle }, i) => {
        statistics.set(backendRow + 1 + i, stat.STAT_IDLE_CONN, idle);
      });
    }
    statistics.set(statistics.layout.rows, stat.STAT_LOGS_DROPPED, worker.droppedLogs);
  };
  setInterval(publish, GAUGE_PERIOD).unref();
}

const GAUGE_PERIOD = 500;

/** `ulimit -n` of this process; to be asked before a chroot hides it. */
export function descriptorLimit(): number {
  try {
    const text = readFileSync("/proc/self/limits", "latin1");
    return Number(/^Max open files\s+(\d+)/m.exec(text)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
