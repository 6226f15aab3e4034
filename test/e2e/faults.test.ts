import { describe } from "node:test";
import { pairings, scenario } from "../support/scenario.ts";
import { daemonFaults } from "./daemon-faults.ts";
import { networkFaults } from "./network-faults.ts";

// Goal: the failures that keepalived leaves open are closed, beside an unmodified keepalived and beside ourselves.
// Method: each fault is done to a pair in namespaces; a client names who answered it, the kernels say who held the
// address, the switch stamps every packet. `npm run bench:vrrp -- --faults` prints the same figures beside keepalived's.

describe("faults", { concurrency: 5 }, () => {
  for (const fault of [...daemonFaults, ...networkFaults]) {
    const { claim, run, holds, needsOwnPeer = false, ...options } = fault;
    // The tested daemon stands on lb1 in the pairings.
    const only = pairings().filter(
      ({ lb1, lb2 }) => lb1 === "vrrpd" && (!needsOwnPeer || lb2 === "vrrpd"),
    );
    scenario(claim, async (pair, kinds) => holds(await run(pair, kinds), kinds), {
      only,
      ...options,
    });
  }
});
