import type { Clock, Random } from "@ha/base";
import type { NetworkState } from "@ha/linux";
import type { BfdInstance, Config, Track, TrackProcess } from "../core/config/model.ts";
import type { Checked, Tracker, TrackerState } from "../core/tracking.ts";
import { BfdRunner } from "./bfd-runner.ts";
import type { LinkWatch } from "./link-watch.ts";
import type { Log } from "./log.ts";
import { sameTracker } from "./same-tracker.ts";
import { FileTracker } from "./track-file.ts";
import { ProcessTrackers } from "./track-process.ts";
import { type ScriptStatus, ScriptTracker } from "./track-script.ts";

/** The lists of things that one instance or group tracks. */
export interface Tracked {
  readonly track_interface: readonly Track[];
  readonly track_script: readonly Track[];
  readonly track_process: readonly Track[];
  readonly track_file: readonly Track[];
  readonly track_bfd: readonly Track[];
  readonly track_proxy: readonly Track[];
}

export interface TrackersOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly network: NetworkState;
  readonly links: LinkWatch;
  /** Something that is tracked has changed: `trackersOf` says something new. */
  readonly onChange: () => void;
  /** Verdicts of scripts that a crashed predecessor left. */
  readonly inherited: Readonly<Record<string, boolean>>;
  /** How a proxy that is kept running stands. */
  readonly proxyState: (name: string) => TrackerState;
}

/** Everything that is tracked, run once however many instances track it. */
export class Trackers {
  readonly #options: TrackersOptions;
  readonly #scripts = new Map<string, ScriptTracker>();
  readonly #files = new Map<string, FileTracker>();
  readonly #bfd = new Map<string, BfdEntry>();
  /** Those that a reload left running. */
  readonly #kept = new Set<object>();
  #processes: ProcessTrackers | undefined;

  /** @param before Those of the configuration in force until now, for verdicts that carry over. */
  constructor(config: Config, options: TrackersOptions, before?: Trackers) {
    this.#options = options;
    const { clock, random, log, onChange } = options;
    const { globals } = config;
    const used = usedNames(config);
    for (const script of config.scripts) {
      if (!used.scripts.has(script.name)) {
        log.info(`Warning - script ${script.name} is not used`);
        continue;
      }
      const old = before === undefined ? undefined : before.#scripts.get(script.name);
      const inherited = options.inherited[script.name];
      const initial: Checked | undefined =
        inherited !== undefined
          ? { state: inherited ? "up" : "down", contrary: 0 }
          : old !== undefined && sameScript(old, script)
            ? old.verdict
            : undefined;
      if (old !== undefined && initial?.state === "up") {
        log.info(`VRRP_Script(${script.name}) considered successful on reload`);
      }
      const tracker = new ScriptTracker(script, clock, log, {
        onChange,
        random,
        jitter: globals.vrrp_script_jitter,
        cannotRunFails: globals.vrrp_script_cannot_run_fails,
        initial,
      });
      this.#scripts.set(script.name, tracker);
    }
    for (const file of config.track_files) {
      if (!used.files.has(file.name)) continue;
      const kept = before === undefined ? undefined : take(before.#files, file);
      this.#files.set(file.name, kept ?? new FileTracker(file, log, onChange));
      if (kept !== undefined) this.#kept.add(kept);
    }
    const processes = config.track_processes.filter(({ name }) => used.processes.has(name));
    if (processes.length > 0) {
      const size = globals.process_monitor_rcv_bufs;
      const force = globals.process_monitor_rcv_bufs_force;
      const buffer =
        size === undefined ? {} : { receiveBufferBytes: size, forceReceiveBuffer: force };
      const old = before === undefined ? undefined : before.#takeProcesses(processes);
      if (old !== undefined) {
        this.#processes = old;
        this.#kept.add(old);
      } else {
        this.#processes = new ProcessTrackers(
          processes,
          clock,
          log,
          onChange,
          buffer,
          before === undefined ? undefined : before.#processes,
        );
      }
    }
    for (const instance of config.bfd_instances) {
      if (!used.bfd.has(instance.name)) continue;
      const kept = before === undefined ? undefined : take(before.#bfd, instance);
      if (kept !== undefined) {
        this.#bfd.set(instance.name, kept);
        this.#kept.add(kept);
        continue;
      }
      const entry: BfdEntry = {
        config: instance,
        runner: new BfdRunner(instance, clock, random, log, (up) => {
          entry.up = up;
          onChange();
        }),
        up: false,
      };
      this.#bfd.set(instance.name, entry);
    }
  }

  #takeProcesses(configs: readonly TrackProcess[]): ProcessTrackers | undefined {
    const all = this.#processes;
    if (all?.isFor(configs) !== true) return undefined;
    this.#processes = undefined;
    return all;
  }

  /** Resolves when every file has been read once: scripts and processes tell later. */
  async start(): Promise<void> {
    for (const script of this.#scripts.values()) script.start();
    for (const entry of this.#bfd.values()) if (!this.#kept.has(entry)) entry.runner.start();
    const files = [...this.#files.values()].filter((file) => !this.#kept.has(file));
    const processes = this.#processes;
    await Promise.all([
      processes === undefined || this.#kept.has(processes) ? undefined : processes.start(),
      ...files.map((file) => file.start()),
    ]);
  }

  /** What a successor has taken over goes on. */
  stop(): void {
    for (const script of this.#scripts.values()) script.stop();
    for (const file of this.#files.values()) file.stop();
    for (const { runner } of this.#bfd.values()) runner.stop();
    this.#processes?.stop();
  }

  /** What an instance or group tracks, and how it stands. `own`: the instance's interface, which is not counted twice. */
  trackersOf(tracked: Tracked, own?: string): readonly Tracker[] {
    const { links } = this.#options;
    const state = (up: boolean | undefined): TrackerState =>
      up === undefined ? "unknown" : up ? "up" : "down";
    const line = (track: Track, value: Partial<Tracker> & { state: TrackerState }): Tracker => ({
      name: track.name,
      weight: track.weight,
      reverse: track.reverse,
      ...value,
    });
    return [
      ...tracked.track_interface
        .filter(({ name }) => name !== own)
        .map((track) => line(track, { state: state(links.state(track.name) === "up") })),
      ...tracked.track_script.map((track) =>
        line(track, { state: this.#scripts.get(track.name)?.verdict.state ?? "down" }),
      ),
      ...tracked.track_process.map((track) =>
        line(track, { state: state(this.#processes?.isUp(track.name)) }),
      ),
      ...tracked.track_file.map((track) =>
        line(track, { state: "up", value: this.#files.get(track.name)?.value ?? 0 }),
      ),
      ...tracked.track_bfd.map((track) =>
        line(track, { state: state(this.#bfd.get(track.name)?.up ?? false) }),
      ),
      ...tracked.track_proxy.map((track) =>
        line(track, { state: this.#options.proxyState(track.name), proxy: true }),
      ),
    ];
  }

  get scripts(): readonly ScriptStatus[] {
    return [...this.#scripts.values()].map(({ status }) => status);
  }

  get files(): readonly { readonly name: string; readonly value: number }[] {
    return [...this.#files.values()].map(({ config, value }) => ({ name: config.name, value }));
  }

  get processes(): readonly {
    readonly name: string;
    readonly count: number;
    readonly up: boolean;
  }[] {
    return this.#processes?.status ?? [];
  }

  get bfd(): readonly { readonly name: string; readonly state: string }[] {
    return [...this.#bfd.values()].map(({ runner }) => ({
      name: runner.config.name,
      state: runner.stateName,
    }));
  }
}

interface BfdEntry {
  readonly config: BfdInstance;
  readonly runner: BfdRunner;
  up: boolean;
}

/** Takes a tracker out of the old ones if its configuration is the same but for its place in the file. */
function take<T extends { readonly config: { readonly name: string } }>(
  from: Map<string, T>,
  config: T["config"],
): T | undefined {
  const old = from.get(config.name);
  if (old === undefined || !sameTracker(old.config, config)) return undefined;
  from.delete(config.name);
  return old;
}

function usedNames(config: Config): {
  readonly scripts: ReadonlySet<string>;
  readonly files: ReadonlySet<string>;
  readonly processes: ReadonlySet<string>;
  readonly bfd: ReadonlySet<string>;
} {
  const all: readonly Tracked[] = [...config.instances, ...config.sync_groups];
  const names = (list: (tracked: Tracked) => readonly Track[]): ReadonlySet<string> =>
    new Set(all.flatMap((tracked) => list(tracked).map(({ name }) => name)));
  return {
    scripts: names(({ track_script }) => track_script),
    files: names(({ track_file }) => track_file),
    processes: names(({ track_process }) => track_process),
    bfd: names(({ track_bfd }) => track_bfd),
  };
}

/** A script whose command stays the same keeps its verdict over a reload. observed: keepalived 2.2.7 */
function sameScript(old: ScriptTracker, script: ScriptTracker["config"]): boolean {
  return (
    JSON.stringify(old.config.command.argv) === JSON.stringify(script.command.argv) &&
    old.config.test_file === script.test_file
  );
}
