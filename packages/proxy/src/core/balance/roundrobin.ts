import { isFull, NONE, type Servers } from "../server/servers.ts";
import type { Algorithm, BalanceOptions, Balancer } from "./algorithm.ts";
import { derived } from "./candidates.ts";
import { weightMap } from "./weight-map.ts";

/** Servers in turn, by their weights; follows changes of weight and slowstart at once. */
export const roundrobin: Algorithm = {
  name: "roundrobin",
  syntax: "roundrobin",
  doc: "Each server in turn, according to its weight. Weights may change at run time.",
  source: "HAProxy configuration manual §4.2, balance",
  create: (servers, options) => takeTurns(servers, options, true),
};

export const staticRoundrobin: Algorithm = {
  name: "static-rr",
  syntax: "static-rr",
  doc: "Each server in turn, according to its weight; slowstart has no effect on it.",
  source: "HAProxy configuration manual §4.2, balance",
  create: (servers, options) => takeTurns(servers, options, false),
};

function takeTurns(servers: Servers, options: BalanceOptions, scaled: boolean): Balancer {
  const map = derived(servers, () => weightMap(servers, options.allBackups, scaled));
  return { pick: (_key, avoid) => nextInMap(servers, map(), avoid) };
}

/** The next server of the map that has room; all threads move one position. Passes over `avoid` while others have room. */
export function nextInMap(servers: Servers, map: Int32Array, avoid: number): number {
  const length = map.length;
  if (length === 0) return NONE;
  const start = Atomics.add(servers.position, 0, 1) >>> 0;
  let avoided = NONE;
  for (let i = 0; i < length; i++) {
    const server = map[(start + i) % length] as number;
    if (isFull(servers, server)) continue;
    if (server !== avoid) {
      // Those passed over have had their turn.
      if (i > 0 && avoided === NONE) Atomics.add(servers.position, 0, i);
      return server;
    }
    avoided = server;
  }
  return avoided;
}
