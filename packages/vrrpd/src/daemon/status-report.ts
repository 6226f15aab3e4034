import { formatAddress, type Micros, toMilliseconds } from "@ha/base";
import type { VirtualAddress } from "../core/config/model.ts";
import { contribution, type TrackerState } from "../core/tracking.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";
import type { MaintenanceRecord } from "./maintenance.ts";
import { describe, firstLines } from "./notify-queue.ts";
import type { ProxyReport } from "./proxy/proxy-report.ts";
import { faultText } from "./report-log.ts";
import { type DaemonStatus, STATE_WORD } from "./status.ts";

/** `vrrpctl status --json`. Times are milliseconds: of wall-clock time where not said otherwise. */
export interface StatusReport {
  readonly pid: number;
  readonly startedAt: number;
  readonly now: number;
  readonly configFile: string;
  /** Undefined: none since the start. */
  readonly lastReload?: { readonly at: number; readonly problem?: string };
  /** What an operator should look at; empty: all is as it should be. */
  readonly problems: readonly string[];
  readonly maintenance?: MaintenanceRecord;
  /** `off`: by configuration. */
  readonly guard: "running" | "missing" | "off";
  readonly timers: {
    readonly fired: number;
    /** Late by more than 2 ms. */
    readonly stalls: number;
    /** The worst lateness, in milliseconds. */
    readonly worst: number;
  };
  readonly instances: readonly InstanceReport[];
  readonly groups: readonly {
    readonly name: string;
    readonly state: string;
    readonly members: readonly string[];
  }[];
  readonly scripts: readonly ScriptReport[];
  readonly files: readonly { readonly name: string; readonly value: number }[];
  readonly processes: readonly {
    readonly name: string;
    readonly count: number;
    readonly up: boolean;
  }[];
  readonly bfd: readonly { readonly name: string; readonly state: string }[];
  readonly proxies: readonly ProxyReport[];
}

export interface InstanceReport {
  readonly name: string;
  readonly interface: string | undefined;
  readonly vrid: number;
  readonly family: 4 | 6;
  readonly version: 2 | 3;
  /** INIT, BACKUP, MASTER, FAULT. */
  readonly state: string;
  readonly since: number;
  /** Priority 0 is out, the winner is awaited. */
  readonly leaving: boolean;
  /** After a switchover: any living master is left in place until `switchover --back`. */
  readonly yields: boolean;
  readonly basePriority: number;
  readonly effectivePriority: number;
  /** What makes the one of the other. */
  readonly trackers: readonly {
    readonly name: string;
    readonly state: TrackerState;
    readonly weight: number;
    readonly adds: number;
  }[];
  /** `10.0.0.1/24`, or `10.0.0.1/24 dev eth1` where it does not go to `device`. */
  readonly addresses: readonly string[];
  readonly excludedAddresses: readonly string[];
  readonly addressesHeld: boolean;
  readonly source: string | undefined;
  /** Where the addresses go. */
  readonly device: string | undefined;
  /** That is followed as backup. */
  readonly master: { readonly address: string; readonly priority: number } | undefined;
  readonly advertInterval: number;
  readonly downTimer: number;
  /** `garp_master_delay`. */
  readonly garpDelay: number;
  readonly faults: readonly string[];
  readonly splitBrain: boolean;
  readonly group: string | undefined;
  readonly peers: readonly PeerReport[];
  /** Under keepalived's names. */
  readonly counters: Readonly<Record<string, number>>;
  /** Packets refused, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface PeerReport {
  readonly address: string;
  /** A unicast peer of the configuration. */
  readonly configured: boolean;
  /** How long ago its last accepted advert came, in milliseconds; undefined: none has. A backup is silent. */
  readonly lastHeard: number | undefined;
  readonly lastPriority: number | undefined;
  readonly received: number;
  readonly refused: Readonly<Record<string, number>>;
}

export interface ScriptReport {
  readonly name: string;
  readonly state: TrackerState;
  readonly running: boolean;
  /** Of its last run; undefined: none is over yet. */
  readonly lastResult: string | undefined;
  readonly lastOutput: string | undefined;
  readonly lastDuration: number | undefined;
}

export interface StatusSources {
  readonly status: DaemonStatus;
  readonly instances: readonly InstanceRuntime[];
  /** On the routers' clock. */
  readonly now: Micros;
  readonly lastReload: StatusReport["lastReload"];
  readonly maintenance: MaintenanceRecord | undefined;
  readonly guard: StatusReport["guard"];
  readonly proxies: readonly ProxyReport[];
}

export function statusReport(sources: StatusSources): StatusReport {
  const { status, lastReload, maintenance, guard, now } = sources;
  const instances = sources.instances.map((instance) => instanceReport(instance, now));
  const scripts = status.scripts.map(
    ({ name, state, running, last }): ScriptReport => ({
      name,
      state,
      running,
      lastResult: last === undefined ? undefined : (describe(last.outcome) ?? "succeeded"),
      lastOutput: last === undefined ? undefined : firstLines(last.output),
      lastDuration: last === undefined ? undefined : toMilliseconds(last.duration),
    }),
  );
  const { fired, stalls, worst } = status.timers;
  return {
    pid: status.pid,
    startedAt: status.startedAt,
    now: Date.now(),
    configFile: status.configFile,
    ...(lastReload === undefined ? {} : { lastReload }),
    problems: [
      ...(maintenance === undefined ? [] : ["this host is in maintenance"]),
      ...(lastReload?.problem === undefined ? [] : [`last reload refused: ${lastReload.problem}`]),
      ...(guard === "missing"
        ? ["the guard does not run: a crash would leave addresses behind"]
        : []),
      ...sources.proxies.flatMap(({ name, up, why }) => (up ? [] : [`proxy ${name} ${why}`])),
      ...instances.flatMap(problemsOf),
    ],
    ...(maintenance === undefined ? {} : { maintenance }),
    guard,
    timers: { fired, stalls, worst: toMilliseconds(worst) },
    instances,
    groups: status.groups.map(({ config, state }) => ({
      name: config.name,
      state: STATE_WORD[state],
      members: sources.instances
        .filter(({ config: { sync_group } }) => sync_group === config.name)
        .map(({ name }) => name),
    })),
    scripts,
    files: status.files,
    processes: status.processes,
    bfd: status.bfd,
    proxies: sources.proxies,
  };
}

function instanceReport(instance: InstanceRuntime, now: Micros): InstanceReport {
  const { config, router } = instance;
  const { state } = router;
  const status = instance.status();
  const { statistics } = router;
  const heard = [...statistics.peers()].map((peer): PeerReport => {
    const address = formatAddress(peer.address);
    return {
      address,
      configured: config.unicast_peer.some((known) => formatAddress(known.address) === address),
      lastHeard:
        peer.lastHeard === undefined ? undefined : Math.round((now - peer.lastHeard) / 1_000),
      lastPriority: peer.lastPriority,
      received: peer.received,
      refused: Object.fromEntries(peer.refused),
    };
  });
  const silent = config.unicast_peer
    .map(({ address }) => formatAddress(address))
    .filter((address) => heard.every((peer) => peer.address !== address))
    .map(
      (address): PeerReport => ({
        address,
        configured: true,
        lastHeard: undefined,
        lastPriority: undefined,
        received: 0,
        refused: {},
      }),
    );
  const refused: Record<string, number> = {};
  for (const { reason, count } of status.refused) refused[reason] = (refused[reason] ?? 0) + count;
  return {
    name: instance.name,
    interface: config.interface,
    vrid: config.virtual_router_id,
    family: config.family,
    version: router.router.version,
    state: STATE_WORD[state.name],
    since: status.lastTransition,
    leaving: status.leaving,
    yields: state.name === "backup" && state.yields,
    basePriority: config.priority,
    effectivePriority: status.effectivePriority,
    trackers: instance.trackers.map((tracker) => ({
      name: tracker.name,
      state: tracker.state,
      weight: tracker.weight,
      adds: contribution(tracker),
    })),
    addresses: config.virtual_ipaddress.map((it) => addressText(it, status.device)),
    excludedAddresses: config.virtual_ipaddress_excluded.map((it) =>
      addressText(it, status.device),
    ),
    addressesHeld: status.addressesSet,
    source: status.source === undefined ? undefined : formatAddress(status.source),
    device: status.device,
    master:
      status.master === undefined
        ? undefined
        : { address: formatAddress(status.master.address), priority: status.master.priority },
    advertInterval: toMilliseconds(status.masterInterval),
    downTimer: toMilliseconds(status.downTimer),
    garpDelay: toMilliseconds(config.garp_master_delay),
    faults: status.faults.map(faultText),
    splitBrain: state.name === "master" && state.split === "told",
    group: config.sync_group,
    peers: [...heard, ...silent],
    counters: status.statistics,
    refused,
  };
}

/** The device is said where it is not the instance's. */
function addressText({ address, length, dev = "" }: VirtualAddress, device = ""): string {
  const text = `${formatAddress(address)}/${length}`;
  return dev === "" || dev === device ? text : `${text} dev ${dev}`;
}

function problemsOf(instance: InstanceReport): string[] {
  const { name, state, faults } = instance;
  const down = instance.trackers.filter((tracker) => tracker.state === "down" && tracker.adds <= 0);
  return [
    ...(state === "FAULT" ? [`${name} is in FAULT: ${faults.join("; ")}`] : []),
    ...(state === "INIT" ? [`${name} has not begun yet`] : []),
    ...(instance.splitBrain ? [`${name}: split brain, another master is there`] : []),
    ...(state === "MASTER" && !instance.addressesHeld
      ? [`${name} is master without addresses`]
      : []),
    ...(state === "FAULT" ? [] : down.map((tracker) => `${name}: ${tracker.name} is down`)),
  ];
}
