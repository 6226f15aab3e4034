import { isFull, NONE } from "../server/servers.ts";
import type { Algorithm } from "./algorithm.ts";
import { candidates, derived } from "./candidates.ts";

export const first: Algorithm = {
  name: "first",
  syntax: "first",
  doc: "The server with the lowest id that has a free slot, so that the others can be switched off. Needs maxconn.",
  source: "HAProxy configuration manual §4.2, balance",
  create: (servers, options) => {
    const able = derived(servers, () =>
      candidates(servers, options.allBackups).sort(
        (a, b) => (servers.id[a] as number) - (servers.id[b] as number),
      ),
    );
    return {
      pick: (_key, avoid) => {
        let avoided = NONE;
        for (const server of able()) {
          if (isFull(servers, server)) continue;
          if (server !== avoid) return server;
          avoided = server;
        }
        return avoided;
      },
    };
  },
};
