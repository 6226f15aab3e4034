import { formatAddress, type Micros } from "@ha/base";
import type { Report } from "../core/report.ts";
import type { PeerStatistics } from "../core/statistics.ts";
import { downTime } from "../core/transition.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { Journal } from "./journal.ts";
import { faultText } from "./report-log.ts";

/**
 * What decided a change of state, in words: the event without which it would not have happened, and not the last link
 * of the chain. A priority that a failed check lowered is told as the check's failure.
 */
export function decisiveEvent(
  instance: InstanceRuntime,
  { to, why }: Report & { readonly type: "state" },
  journal: Journal,
  now: Micros,
): string {
  const { name } = instance;
  const own = instance.effectivePriority;
  const peer = lastSpeaker(instance);
  switch (why) {
    case "startup":
      return "vrrpd has started";
    case "resumed":
      return "vrrpd is back within the skew and has heard no other master";
    case "owner":
      return "it owns the addresses (priority 255)";
    case "shutdown":
      return journal.last(name, RECENT, ({ kind }) => kind === "reload") === undefined
        ? "vrrpd was told to stop"
        : "the new configuration does not have it";
    case "switchover":
      return (
        journal.last(name, LONG, ({ kind }) => kind === "control")?.text ??
        "an operator asked for a switchover"
      );
    case "pause":
      return (
        journal.last(name, RECENT, ({ kind }) => kind === "timer")?.text ??
        "the daemon woke up too late to know whether another is master"
      );
    case "address-removed":
      return "somebody removed an address";
    case "two-owners":
      return "another router claims to own the addresses as well";
    case "sync-group": {
      const others = instance.router.group?.members ?? [];
      const moved = journal.transitions.findLast(
        (change) =>
          change.instance !== name && others.some(({ router }) => router.name === change.instance),
      );
      return moved === undefined
        ? "its sync group moved"
        : `its sync group moved with ${moved.instance}: ${moved.because}`;
    }
    case "fault":
      return faultCause(instance, journal);
    case "recovered":
      return recentCause(journal, name) ?? "what stood against it has passed";
    case "higher-priority": {
      if (peer?.lastPriority === undefined) return "another router has a higher claim";
      const text = `${formatAddress(peer.address)} advertises priority ${peer.lastPriority}, ours is ${own}`;
      // Only a fall that gave the other the better claim has decided anything.
      const theirs = peer.lastPriority;
      const fall = journal.last(
        name,
        LONG,
        ({ change }) => change !== undefined && change.from >= theirs && change.to <= theirs,
      );
      return fall === undefined ? text : `${fall.text}; then ${text}`;
    }
    case "master-left":
      return peer === undefined
        ? "the master sent priority 0"
        : `${formatAddress(peer.address)} sent priority 0: it left${ago(peer, now)}`;
    case "master-down":
      return to === "master" ? takeoverCause(instance, journal, peer, now) : why;
  }
}

/** Nobody spoke, or somebody with a lower claim did. */
function takeoverCause(
  instance: InstanceRuntime,
  journal: Journal,
  peer: PeerStatistics | undefined,
  now: Micros,
): string {
  const { router } = instance.router;
  const own = instance.effectivePriority;
  if (peer?.lastHeard === undefined || peer.lastPriority === undefined) {
    const wait = downTime(router, own, router.interval);
    return `no master was heard for ${milliseconds(wait)}`;
  }
  const from = formatAddress(peer.address);
  const silence = now - peer.lastHeard;
  if (silence > 2 * router.interval) {
    return `${from} (priority ${peer.lastPriority}) fell silent: its last advert came ${milliseconds(silence)} ago`;
  }
  const text = `${from} advertises priority ${peer.lastPriority}, ours is ${own}`;
  const theirs = peer.lastPriority;
  // Of what made our claim the better one, the latest decided.
  const since = (time: number | undefined): number => time ?? 0;
  const risen = journal.last(
    instance.name,
    LONG,
    ({ change }) => change !== undefined && change.from <= theirs && change.to >= theirs,
  );
  const asked = journal.last(instance.name, LONG, ({ kind }) => kind === "control");
  const fallen = journal.priorityBefore(peer);
  if (
    fallen?.before !== undefined &&
    fallen.before >= own &&
    fallen.since > Math.max(since(risen?.at), since(asked?.at))
  ) {
    return `${from} lowered its priority from ${fallen.before} to ${theirs}, ours is ${own}`;
  }
  const decided = since(asked?.at) > since(risen?.at) ? asked : risen;
  return decided === undefined ? text : `${decided.text}; ${text}`;
}

function faultCause(instance: InstanceRuntime, journal: Journal): string {
  const reasons = instance.router.faults.map(faultText).join("; ");
  const cause = recentCause(journal, instance.name);
  return cause === undefined ? reasons : `${cause} (${reasons})`;
}

/** The input that is behind what has just changed. */
function recentCause(journal: Journal, instance: string): string | undefined {
  return journal.last(instance, RECENT, ({ kind }) => CAUSES.has(kind))?.text;
}

const CAUSES = new Set(["tracker", "link", "netlink", "reload", "control"]);

/** The router that was heard last. */
function lastSpeaker({ router }: InstanceRuntime): PeerStatistics | undefined {
  let last: PeerStatistics | undefined;
  for (const peer of router.statistics.peers()) {
    if (peer.lastHeard !== undefined && peer.lastHeard >= (last?.lastHeard ?? 0)) last = peer;
  }
  return last;
}

function ago({ lastHeard }: PeerStatistics, now: Micros): string {
  return lastHeard === undefined ? "" : `, ${milliseconds(now - lastHeard)} before`;
}

function milliseconds(time: number): string {
  return `${Math.round(time / 1_000)} ms`;
}

/** Milliseconds: what is older has caused nothing that happens now. */
const RECENT = 2_000;
/** An election takes a few down timers. */
const LONG = 30_000;
