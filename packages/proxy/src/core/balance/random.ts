import { isFull, NONE } from "../server/servers.ts";
import type { Algorithm } from "./algorithm.ts";
import { candidates, derived } from "./candidates.ts";
import { loadOf } from "./leastconn.ts";

export const random: Algorithm = {
  name: "random",
  syntax: "random(<draws>)",
  doc: "Draws servers by chance, by their weights, and takes the least loaded of <draws> (default 2).",
  source: "HAProxy configuration manual §4.2, balance",
  create: (servers, { draws, allBackups, chance }) => {
    const table = derived(servers, () => {
      const able = candidates(servers, allBackups);
      let total = 0;
      const bounds = able.map((server) => {
        total += servers.weight[server] as number;
        return total;
      });
      return { able, bounds, total };
    });
    return {
      pick: (_key, avoid) => {
        const { able, bounds, total } = table();
        let best = NONE;
        let least = Number.POSITIVE_INFINITY;
        for (let draw = 0; draw < draws && total > 0; draw++) {
          const point = Math.floor((chance() / 2 ** 32) * total);
          const server = able[indexOf(bounds, point)] as number;
          const load = loadOf(servers, server);
          if (load >= least || server === avoid || isFull(servers, server)) continue;
          best = server;
          least = load;
        }
        if (best !== NONE) return best;
        // All draws were full or the one to avoid: any other that has room will do.
        for (let i = 0, from = total > 0 ? chance() % able.length : 0; i < able.length; i++) {
          const server = able[(from + i) % able.length] as number;
          if (server !== avoid && !isFull(servers, server)) return server;
        }
        return able.includes(avoid) && !isFull(servers, avoid) ? avoid : NONE;
      },
    };
  },
};

/** First position whose bound is above the point. */
function indexOf(bounds: readonly number[], point: number): number {
  let low = 0;
  let high = bounds.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((bounds[middle] as number) > point) high = middle;
    else low = middle + 1;
  }
  return low;
}
