import type { ProxyState } from "../server/proxy-state.ts";
import { NONE } from "../server/servers.ts";
import type { StickTable } from "../server/stick-table.ts";
import { STAT_FIELDS, type Statistics, type StatisticsLayout } from "../statistics.ts";
import type { ServerLives } from "./server-life.ts";

/** All that statistics are made of, as any thread of the process can see it. */
export interface StatsSource {
  /** As in `World.proxies`. */
  readonly proxies: readonly ProxyState[];
  readonly layout: StatisticsLayout;
  /** Of every thread. */
  readonly threads: readonly Statistics[];
  readonly lives: ServerLives;
  readonly tables: ReadonlyMap<string, StickTable>;
  /** Milliseconds of the process's monotonic clock, as counters use it. */
  now(): number;
  /** Sessions that the process takes at once: what a frontend without `maxconn` has. */
  readonly maxconn: number;
}

/** Sum of a field over all threads. */
export function sumOf({ threads }: StatsSource, row: number, field: number): number {
  let sum = 0;
  for (const { cells } of threads) sum += cells[row * STAT_FIELDS + field] as number;
  return sum;
}

/** Greatest of a field over all threads. */
export function mostOf({ threads }: StatsSource, row: number, field: number): number {
  let most = 0;
  for (const { cells } of threads)
    most = Math.max(most, cells[row * STAT_FIELDS + field] as number);
  return most;
}

/** Number of the proxy with that name or `#id`, on the side wanted; NONE when there is none. */
export function findProxy(
  source: Pick<StatsSource, "proxies">,
  reference: string,
  side: "frontend" | "backend" | "any",
): number {
  const id = /^#?(\d+)$/.exec(reference)?.[1];
  return (
    source.proxies.findIndex((state) => {
      const proxy =
        side === "backend"
          ? state.backend
          : side === "frontend"
            ? state.frontend
            : (state.frontend ?? state.backend);
      if (proxy === undefined) return false;
      return proxy.name === reference || (id !== undefined && proxy.id === Number(id));
    }) ?? NONE
  );
}

/** Number of a server by name, or by id as digits. NONE when the backend has none such. */
export function findServer(state: ProxyState, reference: string): number {
  const servers = state.backend?.servers ?? [];
  const named = servers.findIndex(({ name }) => name === reference);
  if (named !== -1 || !/^#?\d+$/.test(reference)) return named;
  return servers.findIndex(({ id }) => id === Number(reference.replace("#", "")));
}
