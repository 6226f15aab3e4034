import type { Servers } from "../server/servers.ts";
import { consistentHash } from "./consistent.ts";
import { first } from "./first.ts";
import { leastconn } from "./leastconn.ts";
import { mapHash } from "./map-hash.ts";
import { random } from "./random.ts";
import { roundrobin, staticRoundrobin } from "./roundrobin.ts";

/** What `balance` and its companions set beside the key. */
export interface BalanceOptions {
  /** `random(<draws>)`; default 2. */
  readonly draws: number;
  /** `hash-balance-factor`: percent of the average load that a server may reach; 0 is off, else above 100. */
  readonly balanceFactor: number;
  /** `option allbackups`: all backup servers share the work when no active one is left, not the first alone. */
  readonly allBackups: boolean;
  /** At least 0 and below 2^32: for `random`. */
  readonly chance: () => number;
}

/** One backend's choice of servers, for one thread. */
export interface Balancer {
  /**
   * The server for a key (a 32-bit hash, any integer; what has no use for it ignores it), or NONE when none can take the request
   * now. The algorithms that may choose freely pass over full servers, so NONE then means "queue in the backend";
   * those that hash give the server even when it is full.
   * @param avoid A server just tried in vain: taken only when there is no other. NONE for none.
   */
  pick(key: number, avoid: number): number;
}

/** One entry makes an algorithm known to the parser, the manual and the contract tests. */
export interface Algorithm {
  readonly name: string;
  readonly syntax: string;
  readonly doc: string;
  readonly source: string;
  readonly create: (servers: Servers, options: BalanceOptions) => Balancer;
}

/** Every way to choose: what `balance` names, and the two ways to look up a hash (`hash-type`). */
export const algorithms: readonly Algorithm[] = [
  roundrobin,
  staticRoundrobin,
  leastconn,
  first,
  random,
  mapHash,
  consistentHash,
];
