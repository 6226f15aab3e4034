import { NONE } from "../server/servers.ts";
import type { Algorithm } from "./algorithm.ts";
import { derived } from "./candidates.ts";
import { weightMap } from "./weight-map.ts";

export const mapHash: Algorithm = {
  name: "hash-type map-based",
  syntax: "hash-type map-based",
  doc: "The key's hash modulo the total weight finds the server. Even, but most keys move when a server comes or goes.",
  source: "HAProxy configuration manual §4.2, hash-type",
  create: (servers, { allBackups }) => {
    const map = derived(servers, () => weightMap(servers, allBackups, false));
    return {
      pick: (key) => {
        const table = map();
        return table.length === 0 ? NONE : (table[(key >>> 0) % table.length] as number);
      },
    };
  },
};
