import { type Clock, milliseconds, type Timer, unreachable } from "@ha/base";
import {
  listProcesses,
  openProcessEvents,
  type ProcessEvent,
  type ProcessEvents,
  type ProcessEventsOptions,
  type ProcessInfo,
  readProcess,
} from "@ha/linux";
import type { TrackProcess } from "../core/config/model.ts";
import type { Log } from "./log.ts";
import { sameTracker } from "./same-tracker.ts";

/** Whether a process is one of those that an entry counts. keepalived.conf(5), vrrp_track_process. */
export function matchesProcess(config: TrackProcess, info: ProcessInfo): boolean {
  if (info.zombie) return false;
  const [program = "", ...args] = info.command;
  // comm has 15 bytes; with `full_command` the command line's first word is compared instead.
  const named = config.full_command
    ? program === config.process
    : info.name === config.process.slice(0, 15);
  if (!named) return false;
  const { param_match: match, params } = config;
  switch (match) {
    case undefined:
      return true;
    case "exact":
      return args.length === params.length && params.every((param, i) => args[i] === param);
    case "initial":
      return params.every((param, i) => args[i] === param);
    case "partial":
      return params.every((param, i) =>
        i === params.length - 1 ? (args[i]?.startsWith(param) ?? false) : args[i] === param,
      );
    default:
      return unreachable(match);
  }
}

/** `process_monitor_rcv_bufs` and `process_monitor_rcv_bufs_force`. */
export type ProcessEventBuffer = Pick<
  ProcessEventsOptions,
  "receiveBufferBytes" | "forceReceiveBuffer"
>;

/** Counts the processes of every `vrrp_track_process`, by the kernel's events. */
export class ProcessTrackers {
  readonly #entries: Entry[];
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #onChange: () => void;
  readonly #buffer: ProcessEventBuffer;
  #events: ProcessEvents | undefined;
  #scan: Timer | undefined;
  #stopped = false;

  /**
   * @param onChange Told of each change after `start`.
   * @param before Those of the configuration in force until now.
   */
  constructor(
    configs: readonly TrackProcess[],
    clock: Clock,
    log: Log,
    onChange: () => void,
    buffer: ProcessEventBuffer,
    before?: ProcessTrackers,
  ) {
    this.#entries = configs.map((config) => ({
      config,
      pids: new Set<number>(),
      // What was up before a reload is up until it has been counted anew.
      up: before?.isUp(config.name) ?? false,
      delay: undefined,
    }));
    this.#clock = clock;
    this.#log = log;
    this.#onChange = onChange;
    this.#buffer = buffer;
  }

  /** Resolves when the processes that are there have been counted. */
  async start(): Promise<void> {
    const events = await openProcessEvents({
      onEvent: (event) => this.#event(event),
      onError: (error) => this.#log.warning(`process events: ${error.message}`),
      ...this.#buffer,
    });
    if (this.#stopped) {
      events.close();
      return;
    }
    this.#events = events;
    if (events.kind === "polling") {
      this.#log.notice(
        `processes are tracked by looking at /proc: ${events.reason ?? "the kernel refuses events"}`,
      );
    }
    await this.#rescan(true);
  }

  stop(): void {
    this.#stopped = true;
    this.#events?.close();
    this.#scan?.cancel();
    for (const entry of this.#entries) entry.delay?.cancel();
  }

  /** Whether it counts exactly these. */
  isFor(configs: readonly TrackProcess[]): boolean {
    return (
      configs.length === this.#entries.length &&
      this.#entries.every(({ config }, i) => {
        const other = configs[i];
        return other !== undefined && sameTracker(config, other);
      })
    );
  }

  isUp(name: string): boolean {
    return this.#entries.find(({ config }) => config.name === name)?.up ?? false;
  }

  get status(): readonly { readonly name: string; readonly count: number; readonly up: boolean }[] {
    return this.#entries.map(({ config, pids, up }) => ({
      name: config.name,
      count: pids.size,
      up,
    }));
  }

  #event(event: ProcessEvent): void {
    switch (event.type) {
      case "lost":
        this.#scan ??= this.#clock.after(RESCAN_PAUSE, () => {
          this.#scan = undefined;
          void this.#rescan(false);
        });
        break;
      case "exit":
        for (const entry of this.#entries) {
          if (entry.pids.delete(event.pid)) this.#judge(entry, false);
        }
        break;
      default:
        // What a process is called is known only by looking at it.
        void this.#look(event.pid);
    }
  }

  async #rescan(first: boolean): Promise<void> {
    const all = await listProcesses();
    if (this.#stopped) return;
    for (const entry of this.#entries) {
      entry.pids.clear();
      for (const info of all) if (matchesProcess(entry.config, info)) entry.pids.add(info.pid);
      this.#judge(entry, first);
    }
  }

  async #look(pid: number): Promise<void> {
    const info = await readProcess(pid);
    if (this.#stopped) return;
    for (const entry of this.#entries) {
      const matches = info !== undefined && matchesProcess(entry.config, info);
      if (matches === entry.pids.has(pid)) continue;
      if (matches) entry.pids.add(pid);
      else entry.pids.delete(pid);
      this.#judge(entry, false);
    }
  }

  #judge(entry: Entry, first: boolean): void {
    const { config, pids } = entry;
    const enough =
      pids.size >= config.quorum &&
      (config.quorum_max === undefined || pids.size <= config.quorum_max);
    entry.delay?.cancel();
    entry.delay = undefined;
    if (enough === entry.up) return;
    const set = (): void => {
      entry.delay = undefined;
      entry.up = enough;
      this.#log.info(
        `Quorum ${enough ? "gained" : "lost"} for tracked process ${config.name}: ${pids.size} running`,
      );
      this.#onChange();
    };
    const delay = enough ? config.fork_delay : config.terminate_delay;
    // What runs already when we start has run long enough.
    if (delay === 0 || first) set();
    else entry.delay = this.#clock.after(delay, set);
  }
}

interface Entry {
  readonly config: TrackProcess;
  readonly pids: Set<number>;
  up: boolean;
  delay: Timer | undefined;
}

/** Lost events come in bursts; one look answers them all. */
const RESCAN_PAUSE = milliseconds(20);
