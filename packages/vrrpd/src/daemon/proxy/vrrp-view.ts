import { hostname } from "node:os";
import type { VrrpInstanceView, VrrpView } from "@ha/base/pair-line";
import type { Transition } from "../journal.ts";
import { STATE_WORD } from "../status.ts";
import type { InstanceReport, PeerReport, StatusReport } from "../status-report.ts";

/** What the proxies' statistics pages show of us. */
export function vrrpView(status: StatusReport, transitions: readonly Transition[]): VrrpView {
  return {
    host: hostname(),
    at: status.now,
    instances: status.instances.slice(0, MOST_INSTANCES).map((instance) => ({
      name: instance.name,
      state: stateWords(instance),
      since: Math.round(instance.since),
      priority: instance.effectivePriority,
      addresses: [...instance.addresses, ...instance.excludedAddresses],
      peers: instance.peers.map((peer) => peerView(peer, instance)),
      problems: [
        ...instance.faults,
        ...(instance.splitBrain ? ["split brain: another master is there"] : []),
        ...instance.trackers
          .filter(({ state }) => state === "down")
          .map(({ name }) => `${name} is down`),
      ],
    })),
    transitions: transitions
      .slice(-MOST_TRANSITIONS)
      .reverse()
      .map(({ at, instance, from, to, because }) => ({
        at: Math.round(at),
        instance,
        from: STATE_WORD[from],
        to: STATE_WORD[to],
        because,
      })),
  };
}

function stateWords({ state, leaving, yields, splitBrain }: InstanceReport): string {
  if (splitBrain) return `${state}, split brain`;
  if (leaving) return `${state}, leaving`;
  return yields ? `${state}, by a switchover` : state;
}

function peerView(
  { address, lastHeard, lastPriority, refused }: PeerReport,
  { state, downTimer }: InstanceReport,
): VrrpInstanceView["peers"][number] {
  const drops = Object.values(refused).reduce((sum, count) => sum + count, 0);
  const rest = drops === 0 ? "" : `, ${drops} packets refused`;
  if (lastHeard === undefined) {
    return {
      address,
      words: `never heard${state === "MASTER" ? " (a backup is silent)" : ""}${rest}`,
      good: state === "MASTER" && drops === 0,
    };
  }
  const isMaster = lastHeard <= downTimer && state === "BACKUP";
  const words = `${isMaster ? "master, " : ""}priority ${lastPriority}, heard ${lastHeard < 10_000 ? `${lastHeard} ms` : `${Math.round(lastHeard / 1_000)} s`} ago`;
  // A master hears nobody; what a backup no longer hears is about to be replaced.
  return { address, words: words + rest, good: (state === "MASTER" || isMaster) && drops === 0 };
}

const MOST_INSTANCES = 100;
const MOST_TRANSITIONS = 8;
