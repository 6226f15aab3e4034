import { isFull, NONE, type Servers } from "../server/servers.ts";
import type { Algorithm } from "./algorithm.ts";
import { candidates, derived } from "./candidates.ts";

/** Fewest connections per unit of weight; ties go round, so that idle servers share. */
export const leastconn: Algorithm = {
  name: "leastconn",
  syntax: "leastconn",
  doc: "The server with the fewest connections for its weight. For long sessions.",
  source: "HAProxy configuration manual §4.2, balance",
  create: (servers, options) => {
    const able = derived(servers, () => candidates(servers, options.allBackups));
    let start = 0;
    return {
      pick: (_key, avoid) => {
        const list = able();
        let best = NONE;
        let bestAt = 0;
        let least = Number.POSITIVE_INFINITY;
        for (let i = 0; i < list.length; i++) {
          const at = (start + i) % list.length;
          const server = list[at] as number;
          const load = loadOf(servers, server);
          if (load >= least || server === avoid || isFull(servers, server)) continue;
          best = server;
          bestAt = at;
          least = load;
        }
        if (best !== NONE) start = (bestAt + 1) % list.length;
        else if (avoid !== NONE && list.includes(avoid) && !isFull(servers, avoid)) best = avoid;
        return best;
      },
    };
  },
};

/** Counts the connection about to be added, so that an idle heavy server beats an idle light one. */
export function loadOf({ weight, served, queued }: Servers, server: number): number {
  const share = Atomics.load(weight, server);
  const load = Atomics.load(served, server) + Atomics.load(queued, server);
  return share <= 0 ? Number.POSITIVE_INFINITY : (load + 1) / share;
}
