import { daemonFaults } from "../test/e2e/daemon-faults.ts";
import type { FaultFigures } from "../test/e2e/fault.ts";
import { networkFaults } from "../test/e2e/network-faults.ts";
import { Pair } from "../test/support/pair.ts";
import { ms, type Section } from "./bench-section.ts";

export const faults: Section = {
  name: "faults",
  title: "The failures that keepalived leaves open",
  method: `The daemon on lb1 (the better host) beside an unmodified keepalived on lb2, version 2, 1 s; two of ours where a row's gain
needs it. The client asks every 5 ms (1 ms at SIGTERM): that is how fine it sees.`,
  columns: ["client's outage", "two holders", "answered by", "more"],
  cases: [...daemonFaults, ...networkFaults].map(
    ({ title, run, needsOwnPeer = false, ...options }) => ({
      name: title,
      measure: async (kind) => {
        const pair = await Pair.open(options);
        try {
          return row(await run(pair, { lb1: kind, lb2: needsOwnPeer ? kind : "keepalived" }));
        } finally {
          await pair.close();
        }
      },
    }),
  ),
};

function row({ outage, twoHolders, answeredBy, more }: FaultFigures): string[] {
  const rest = Object.entries(more).map(
    ([name, value]) => `${name}: ${Number.isFinite(value) ? Math.round(value) : "never"}`,
  );
  return [ms(outage, 0), ms(twoHolders, 0), answeredBy.join(", "), rest.join("; ")];
}
