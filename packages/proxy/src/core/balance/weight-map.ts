import type { Servers } from "../server/servers.ts";
import { candidates } from "./candidates.ts";

/**
 * A table in which each candidate stands as often as its weight says, spread as evenly as can be; the first
 * entry is the first server. Weights are divided by what they have in common. As HAProxy lays its map out, so that
 * map-based hashing finds the same servers: at each place the server that lags furthest behind its share.
 *
 * @param scaled Whether shares follow slowstart (round robin) or the user's weights alone (hashing).
 */
export function weightMap(servers: Servers, allBackups: boolean, scaled: boolean): Int32Array {
  const able = candidates(servers, allBackups);
  if (able.length === 0) return new Int32Array(0);
  if (able.length === 1) return Int32Array.of(able[0] as number);
  const source = scaled ? servers.weight : servers.userWeight;
  // All servers count for the common divisor, as in HAProxy: the map's size must not change when one goes down.
  let divisor = 0;
  for (let server = 0; server < servers.count; server++) {
    divisor = commonDivisor(divisor, source[server] as number);
  }
  let shares = able.map((server) => (source[server] as number) / Math.max(1, divisor));
  const sum = shares.reduce((total, share) => total + share, 0);
  if (sum > MAP_LIMIT) {
    shares = shares.map((share) => Math.max(1, Math.round((share * MAP_LIMIT) / sum)));
  }
  const total = shares.reduce((before, share) => before + share, 0);

  const map = new Int32Array(total);
  const score = new Int32Array(able.length);
  for (let place = 0; place < total; place++) {
    let best = -1;
    let most = -1;
    for (let i = 0; i < able.length; i++) {
      score[i] = (score[i] as number) + (shares[i] as number);
      const rank = Math.trunc(((score[i] as number) + total) / total);
      if (rank > most) {
        most = rank;
        best = i;
      }
    }
    map[place] = able[best] as number;
    score[best] = (score[best] as number) - total;
  }
  return map;
}

/** Entries at most; beyond it shares are rounded. 256 servers with weights 1–256 and nothing in common fit. */
const MAP_LIMIT = 65536;

function commonDivisor(a: number, b: number): number {
  let [greater, smaller] = [a, b];
  while (smaller !== 0) [greater, smaller] = [smaller, greater % smaller];
  return greater;
}
