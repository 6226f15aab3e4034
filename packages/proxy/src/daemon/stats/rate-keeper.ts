import * as stat from "../../core/statistics.ts";
import type { ServerLife, ServerLives } from "../../core/stats/server-life.ts";
import type { SharedLives } from "../../core/stats/shared-lives.ts";
import type { Worker } from "../worker.ts";
import type { StatsView } from "./stats-view.ts";

/** Milliseconds between two looks. Half of the second that rates are over, so that no second goes by unseen. */
const PERIOD = 500;

/**
 * Keeps what nobody counts as it happens: the greatest rates so far, bytes a second, the idle part of time; and
 * publishes the lives of servers to the other threads. In the first thread.
 */
export function startRateKeeper(
  worker: Worker,
  view: StatsView,
  lives: ServerLives,
  shared: SharedLives,
): void {
  const { plane, world, ring } = worker;
  const { statistics } = plane;
  const { rows, frontend, backend } = statistics.layout;
  let bytes = 0;
  let cpu = process.cpuUsage();
  let at = ring.now;
  const told = new Map<string, ServerLife["state"] | undefined>();

  const keepRates = (now: number) => {
    let connections = 0;
    let sessions = 0;
    for (const { counters, index, servers, frontend: front, backend: back } of world.proxies) {
      if (front !== undefined) {
        const row = frontend[index] as number;
        const connectionRate = counters.connectionRate(now);
        const sessionRate = counters.clientSessionRate(now);
        connections += connectionRate;
        sessions += sessionRate;
        statistics.max(row, stat.STAT_CONN_RATE_MAX, connectionRate);
        statistics.max(row, stat.STAT_RATE_MAX, sessionRate);
        statistics.max(row, stat.STAT_REQ_RATE_MAX, counters.requestRate(now));
      }
      if (back === undefined) continue;
      const row = backend[index] as number;
      statistics.max(row, stat.STAT_RATE_MAX, counters.backendSessionRate(now));
      for (let i = 0; i < servers.count; i++) {
        statistics.max(row + 1 + i, stat.STAT_RATE_MAX, counters.serverSessionRate(i, now));
      }
    }
    statistics.max(rows, stat.STAT_CONN_RATE_MAX, connections);
    statistics.max(rows, stat.STAT_RATE_MAX, sessions);
  };

  const keepProcess = (now: number) => {
    const elapsed = Math.max(1, now - at);
    const sent = view.figures().bytesOut;
    statistics.set(rows, stat.STAT_BYTES_RATE, Math.max(0, ((sent - bytes) * 1000) / elapsed));
    const used = process.cpuUsage(cpu);
    const busy = (used.user + used.system) / 1000 / elapsed / view.source.threads.length;
    statistics.set(rows, stat.STAT_IDLE_PERCENT, Math.max(0, Math.min(100, 100 - 100 * busy)));
    bytes = sent;
    cpu = process.cpuUsage();
    at = now;
  };

  const publish = () => {
    for (const { index, backend: back } of world.proxies) {
      if (back === undefined) continue;
      shared.publishBackend(index, lives.backend(index));
      for (const i of back.servers.keys()) {
        const life = lives.server(index, i);
        const key = `${index}/${i}`;
        // States are values: another one is another object. Checks that change nothing show a little later.
        if (told.get(key) === life.state && life.check === undefined) continue;
        told.set(key, life.state);
        shared.publishServer(index, i, life);
      }
    }
  };

  statistics.set(rows, stat.STAT_IDLE_PERCENT, 100);
  setInterval(() => {
    const now = ring.now;
    keepRates(now);
    keepProcess(now);
    if (view.source.threads.length > 1) publish();
  }, PERIOD).unref();
}
