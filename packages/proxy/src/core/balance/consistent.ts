import { fullAvalanche } from "../hash/avalanche.ts";
import { BACKEND_SERVED, NONE, type Servers, WEIGHT_SCALE } from "../server/servers.ts";
import type { Algorithm } from "./algorithm.ts";
import { candidates, derived } from "./candidates.ts";

export const consistentHash: Algorithm = {
  name: "hash-type consistent",
  syntax: "hash-type consistent",
  doc: "Each server stands at many points of a circle; a key goes to the nearest. Few keys move when a server comes or goes.",
  source: "HAProxy configuration manual §4.2, hash-type",
  create: (servers, { allBackups, balanceFactor }) => {
    const circle = derived(servers, () => layCircle(servers, candidates(servers, allBackups)));
    return {
      pick: (key, avoid) => {
        const { keys, owner } = circle();
        const length = keys.length;
        if (length === 0) return NONE;
        const hash = key >>> 0;
        let at = lowerBound(keys, hash);
        if (at === length) at = 0;
        const before = at === 0 ? length - 1 : at - 1;
        const down = (hash - (keys[before] as number)) >>> 0;
        const up = ((keys[at] as number) - hash) >>> 0;
        let place = down <= up ? before : at;
        const fits = (server: number): boolean =>
          server !== avoid && (balanceFactor === 0 || isWithin(servers, server, balanceFactor));
        for (let i = 0; i < length; i++) {
          const server = owner[place] as number;
          if (fits(server)) return server;
          place = place + 1 === length ? 0 : place + 1;
        }
        return owner[place] as number;
      },
    };
  },
};

interface Circle {
  /** Sorted points, each with its server. */
  readonly keys: Uint32Array;
  readonly owner: Int32Array;
}

/** Points of each server: a full avalanche of its place times 4096 plus the point's number, one for each step of weight. */
function layCircle(servers: Servers, able: readonly number[]): Circle {
  const points: { key: number; server: number }[] = [];
  for (const server of able) {
    const place = servers.place[server] as number;
    const weight = servers.weight[server] as number;
    for (let i = 0; i < weight; i++) {
      points.push({ key: fullAvalanche(Math.imul(place, POINTS_OF_A_SERVER) + i), server });
    }
  }
  points.sort((a, b) => a.key - b.key);
  return {
    keys: Uint32Array.from(points, ({ key }) => key),
    owner: Int32Array.from(points, ({ server }) => server),
  };
}

const POINTS_OF_A_SERVER = 256 * WEIGHT_SCALE;

/** Position of the first key that is at least `hash`. */
function lowerBound(keys: Uint32Array, hash: number): number {
  let low = 0;
  let high = keys.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((keys[middle] as number) < hash) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Whether one more request keeps the server within `factor` percent of its fair share. HAProxy configuration manual §4.2, hash-balance-factor. */
function isWithin(servers: Servers, server: number, factor: number): boolean {
  const weight = servers.weight[server] as number;
  let total = 0;
  for (let i = 0; i < servers.count; i++) {
    if (Atomics.load(servers.usable, i) !== 0) total += servers.weight[i] as number;
  }
  const load = Atomics.load(servers.backend, BACKEND_SERVED) + 1;
  const slots = Math.max(1, Math.ceil((load * factor * weight) / (total * 100)));
  return slots > Atomics.load(servers.served, server) + Atomics.load(servers.queued, server);
}
