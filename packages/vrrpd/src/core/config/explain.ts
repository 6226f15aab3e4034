import { type Micros, micros, seconds, toMilliseconds } from "@ha/base";
import { type Tracker, type TrackerState, trackersInGroup, trackingResult } from "../tracking.ts";
import { proxyGain } from "./explain-proxy.ts";
import type { Config, Instance, SyncGroup, Track } from "./model.ts";

/** What follows from a configuration for one instance. Times are milliseconds, as people read them. */
export interface Explanation {
  readonly instance: string;
  readonly virtual_router_id: number;
  readonly timers: {
    readonly advert: number;
    /** From the last advert of a dead master to taking over. */
    readonly takeover: number;
    /** From a master's farewell (priority 0) to taking over. */
    readonly takeoverAfterFarewell: number;
    /** How late the second batch of announcements comes; 0: there is none. */
    readonly secondAnnouncement: number;
  };
  readonly trackers: readonly ExplainedTracker[];
  /** Every combination of results, or where that would be too many: all up, each one down, all down. */
  readonly outcomes: readonly Outcome[];
  readonly peers: readonly number[];
  readonly traps: readonly string[];
}

export interface ExplainedTracker {
  readonly kind: "interface" | "script" | "process" | "file" | "bfd" | "proxy";
  readonly name: string;
  readonly weight: number;
  readonly reverse: boolean;
  /** Longest time from the event until it counts; undefined where that is at once. */
  readonly noticedAfter?: number;
}

export interface Outcome {
  /** In the order of the trackers. */
  readonly up: readonly boolean[];
  readonly fault: boolean;
  readonly priority: number;
  /** Whether the instance stays master against each known peer; undefined at equal priorities, where addresses decide. */
  readonly beats: readonly (boolean | undefined)[];
}

/** More trackers than this are not combined with one another: 64 lines are enough. */
const MOST_COMBINED = 6;

/**
 * Explains one instance. `peers` are the priorities that the others are known to have when all is well with them.
 * keepalived.conf(5), vrrp_instance; RFC 9568 §6.1
 */
export function explainInstance(
  instance: Instance,
  config: Config,
  peers: readonly number[],
): Explanation {
  const group = config.sync_groups.find(({ name }) => name === instance.sync_group);
  const trackers = trackersOf(instance, group, config);
  const outcomes = combinations(trackers.length).map((up) =>
    outcomeOf(instance, group, config, up, peers),
  );
  return {
    instance: instance.name,
    virtual_router_id: instance.virtual_router_id,
    timers: {
      advert: toMilliseconds(instance.advert_int),
      takeover: toMilliseconds(downTime(instance)),
      takeoverAfterFarewell: toMilliseconds(skewTime(instance)),
      secondAnnouncement: toMilliseconds(instance.garp_master_delay),
    },
    trackers,
    outcomes,
    peers,
    traps: trapsOf(instance, config, { trackers, outcomes, peers }),
  };
}

/** Version 2 does not scale the skew with the interval. RFC 3768 §6.1, RFC 9568 §6.1 */
export function skewTime({ priority, version, advert_int }: Instance): Micros {
  const unit = version === 2 ? seconds(1) : advert_int;
  return micros(((256 - priority) * unit) / 256);
}

export function downTime(instance: Instance): Micros {
  return micros(instance.down_timer_adverts * instance.advert_int + skewTime(instance));
}

const KINDS = ["interface", "script", "process", "file", "bfd", "proxy"] as const;

/** The instance's own and then its group's. */
function trackersOf(
  instance: Instance,
  group: SyncGroup | undefined,
  config: Config,
): ExplainedTracker[] {
  return [instance, ...(group === undefined ? [] : [group])].flatMap((owner) =>
    KINDS.flatMap((kind) =>
      owner[`track_${kind}`].map((track) => {
        const after = noticedAfter(kind, track.name, config);
        return {
          kind,
          name: track.name,
          weight: track.weight,
          reverse: track.reverse,
          ...(after === undefined ? {} : { noticedAfter: toMilliseconds(after) }),
        };
      }),
    ),
  );
}

function noticedAfter(
  kind: ExplainedTracker["kind"],
  name: string,
  config: Config,
): Micros | undefined {
  switch (kind) {
    case "script": {
      const script = config.scripts.find((candidate) => candidate.name === name);
      if (script === undefined || script.cannot_run !== undefined) return undefined;
      return micros(script.interval * script.fall + script.timeout);
    }
    case "interface":
      return config.interface_up_down_delays.find((delay) => delay.interface === name)?.down;
    case "process":
      return config.track_processes.find((process) => process.name === name)?.terminate_delay;
    case "bfd": {
      const bfd = config.bfd_instances.find((candidate) => candidate.name === name);
      return bfd === undefined ? undefined : micros(bfd.multiplier * bfd.min_rx);
    }
    case "proxy":
    case "file":
      return undefined;
  }
}

function combinations(count: number): boolean[][] {
  if (count <= MOST_COMBINED) {
    return Array.from({ length: 2 ** count }, (_, bits) =>
      Array.from({ length: count }, (_, i) => ((bits >> i) & 1) === 0),
    );
  }
  const all = (up: boolean): boolean[] => Array.from({ length: count }, () => up);
  return [
    all(true),
    ...Array.from({ length: count }, (_, down) => all(true).map((_, i) => i !== down)),
    all(false),
  ];
}

function outcomeOf(
  instance: Instance,
  group: SyncGroup | undefined,
  config: Config,
  up: readonly boolean[],
  peers: readonly number[],
): Outcome {
  let next = 0;
  const results = (owner: Instance | SyncGroup): Tracker[] =>
    KINDS.flatMap((kind) =>
      owner[`track_${kind}`].map((track) => resultOf(kind, track, up[next++] === true)),
    );
  const own = results(instance);
  const tracked =
    group === undefined
      ? own
      : trackersInGroup(own, {
          trackers: results(group),
          trackingWeight: group.sync_group_tracking_weight,
          hasOwner: config.instances.some(
            ({ sync_group, priority }) => sync_group === group.name && priority === 255,
          ),
        });
  const { priority, faults } = trackingResult(instance.priority, tracked);
  const fault = faults.length > 0;
  return {
    up,
    fault,
    priority,
    beats: peers.map((peer) => (fault ? false : peer === priority ? undefined : priority > peer)),
  };
}

/** A file that is "up" holds 0; "down" holds 1, the smallest number that says something. */
function resultOf(kind: ExplainedTracker["kind"], track: Track, up: boolean): Tracker {
  const state: TrackerState = up ? "up" : "down";
  return {
    name: track.name,
    weight: track.weight,
    reverse: track.reverse,
    state,
    ...(kind === "file" ? { value: up ? 0 : 1 } : {}),
  };
}

interface Known {
  readonly trackers: readonly ExplainedTracker[];
  readonly outcomes: readonly Outcome[];
  readonly peers: readonly number[];
}

function trapsOf(instance: Instance, config: Config, known: Known): string[] {
  return [
    ...masterTraps(instance),
    ...weightTraps(instance, known),
    ...scriptTraps(known, config),
    ...strictTraps(instance),
    ...unicastTraps(instance),
    ...delayTraps(instance, config),
    ...peerTraps(instance, known),
    ...proxyTraps(instance, config),
  ];
}

function proxyTraps(instance: Instance, config: Config): string[] {
  const gain = proxyGain(instance, config);
  return gain === undefined ? [] : [gain];
}

function masterTraps({ state, priority, preempt }: Instance): string[] {
  const traps: string[] = [];
  if (state === "MASTER" && priority !== 255) {
    traps.push(
      "state MASTER does not make it start as master: it waits for the whole takeover time, as BACKUP does, and cannot have nopreempt or preempt_delay",
    );
  }
  if (!preempt) {
    traps.push(
      "nopreempt: while any master advertises it stays backup, whatever priorities become; only silence, FAULT or a stop of the master move the addresses",
    );
  }
  return traps;
}

function weightTraps(instance: Instance, { trackers, outcomes, peers }: Known): string[] {
  const traps: string[] = [];
  const weighted = trackers.filter(({ weight }) => weight !== 0);
  if (weighted.length === 0) return traps;
  if (!instance.preempt) {
    traps.push(
      `weights (${names(weighted)}) with nopreempt: a peer that has nopreempt too never takes over because of a lowered priority`,
    );
  }
  const best = outcomes[0];
  if (best === undefined || instance.priority === 255) return traps;
  for (const [i, tracker] of trackers.entries()) {
    if (tracker.weight === 0) continue;
    const failed = outcomes.find(({ up }) => up.every((ok, j) => ok === (j !== i)));
    if (failed === undefined || failed.fault) continue;
    const lower = Math.min(best.priority, failed.priority);
    const higher = Math.max(best.priority, failed.priority);
    if (lower === higher) {
      traps.push(`${tracker.name} never changes the priority, which is kept within 1 to 254`);
      continue;
    }
    for (const peer of peers) {
      if (peer < lower) {
        traps.push(
          `${tracker.name}: the weight is smaller than the gap. Failed, the priority is ${failed.priority}, which still beats the peer's ${peer}: no failover`,
        );
      } else if (peer > higher) {
        traps.push(
          `${tracker.name} makes no difference: the peer's ${peer} beats both ${best.priority} and ${failed.priority}`,
        );
      }
    }
    if (peers.length === 0) {
      traps.push(
        `${tracker.name} moves the addresses only to a peer whose own priority lies between ${lower} and ${higher} (at either end the higher address decides); give --peer to have it checked`,
      );
    }
  }
  return traps;
}

function scriptTraps({ trackers }: Known, config: Config): string[] {
  const traps: string[] = [];
  for (const { kind, name } of trackers) {
    const script = kind === "script" ? config.scripts.find((one) => one.name === name) : undefined;
    if (script?.cannot_run !== undefined) {
      traps.push(`vrrp_script ${name} can never succeed: ${script.cannot_run}`);
    } else if (script !== undefined && script.timeout > script.interval) {
      traps.push(
        `vrrp_script ${name} may run ${toMilliseconds(script.timeout)} ms, longer than its interval of ${toMilliseconds(script.interval)} ms: runs are skipped meanwhile`,
      );
    }
  }
  return traps;
}

function strictTraps({ strict_mode, accept, priority }: Instance): string[] {
  return strict_mode && !accept && priority !== 255
    ? [
        "strict mode without accept: the addresses answer nothing, not even ping or HTTP; a firewall drops it",
      ]
    : [];
}

function unicastTraps({ unicast, unicast_peer, source }: Instance): string[] {
  if (unicast && unicast_peer.length === 0) return ["unicast without peers: it stays in FAULT"];
  if (!unicast && source !== undefined) {
    return ["a source address is given but no unicast_peer: adverts go by multicast"];
  }
  return [];
}

function delayTraps(instance: Instance, config: Config): string[] {
  const most = (instance.down_timer_adverts - 1) * instance.advert_int;
  const names = new Set([instance.interface, ...instance.track_interface.map(({ name }) => name)]);
  return config.interface_up_down_delays
    .filter((delay) => names.has(delay.interface) && delay.down >= most)
    .map(
      (delay) =>
        `the down delay of ${delay.interface} (${toMilliseconds(delay.down)} ms) is not below ${toMilliseconds(micros(most))} ms: a peer would take over first, so it is shortened`,
    );
}

function peerTraps({ priority }: Instance, { outcomes, peers }: Known): string[] {
  const best = outcomes[0]?.priority ?? priority;
  return peers.includes(best)
    ? [`a peer has the same priority ${best}: the higher address decides who is master`]
    : [];
}

function names(trackers: readonly ExplainedTracker[]): string {
  return trackers.map(({ name }) => name).join(", ");
}
