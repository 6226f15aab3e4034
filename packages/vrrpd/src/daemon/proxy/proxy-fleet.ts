import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import type { Clock } from "@ha/base";
import type { VrrpView } from "@ha/base/pair-line";
import { SynBlock } from "@ha/linux";
import type { ProxyProgram } from "../../core/config/proxy-model.ts";
import type { TrackerState } from "../../core/tracking.ts";
import type { Log } from "../log.ts";
import { proxyPaths } from "./proxy-paths.ts";
import { lives, ProxyRecord } from "./proxy-record.ts";
import { ProxyRunner } from "./proxy-runner.ts";

export interface ProxyFleetOptions {
  /** `ControlPaths.proxies`: what their files' names begin with. */
  readonly stem: string;
  readonly bootId: string;
  readonly clock: Clock;
  readonly log: Log;
  /** `track_proxy` sees something new: `text` is for the journal, and comes before anything follows from it. */
  readonly onReport: (text: string) => void;
  readonly onEvent: (text: string) => void;
}

/** All proxies of the configuration. They outlive us, unless we are told otherwise. */
export class ProxyFleet {
  readonly #options: ProxyFleetOptions;
  readonly #record: ProxyRecord;
  readonly #runners = new Map<string, ProxyRunner>();
  readonly synBlock = new SynBlock();

  constructor(options: ProxyFleetOptions) {
    this.#options = options;
    mkdirSync(dirname(options.stem), { recursive: true, mode: 0o755 });
    this.#record = new ProxyRecord(
      `${options.stem.replace(/-$/, "")}.json`,
      options.bootId,
      options.log,
    );
  }

  get runners(): readonly ProxyRunner[] {
    return [...this.#runners.values()];
  }

  find(name: string): ProxyRunner | undefined {
    return this.#runners.get(name);
  }

  /** Starts what is not running yet, and ends what is not in the configuration any more. */
  async start(programs: readonly ProxyProgram[]): Promise<void> {
    // A predecessor may have been killed while it drained.
    this.synBlock.clear();
    for (const { name, pid } of this.#record.all) {
      if (programs.some((program) => program.name === name)) continue;
      this.#options.log.notice(
        `proxy ${name} (pid ${pid}) is in no configuration any more: stopped`,
      );
      stopRecorded(this.#record, name);
    }
    await Promise.all(programs.map((program) => this.#add(program)));
  }

  /** A new configuration: the difference. */
  async reload(programs: readonly ProxyProgram[]): Promise<void> {
    for (const [name, runner] of this.#runners) {
      if (programs.some((program) => program.name === name)) continue;
      this.#runners.delete(name);
      void runner.stop().then(() => runner.leave());
    }
    await Promise.all(
      programs.map((program) => {
        const runner = this.#runners.get(program.name);
        return runner === undefined ? this.#add(program) : runner.reconfigure(program);
      }),
    );
  }

  /** How `track_proxy` sees it. Before the first time that it was ready nobody knows. */
  trackerState(name: string): TrackerState {
    const state = this.#runners.get(name)?.state;
    if (state === undefined) return "down";
    return state.up ? "up" : "down";
  }

  /** Stops all of them, softly. */
  async stop(): Promise<void> {
    await Promise.all(this.runners.map((runner) => runner.stop()));
    this.leave();
    await this.#record.idle();
  }

  /** Lets them live on. */
  leave(): void {
    for (const runner of this.runners) runner.leave();
  }

  /** For their statistics pages. */
  show(view: VrrpView): void {
    for (const runner of this.runners) runner.send({ type: "vrrp", view });
  }

  #add(program: ProxyProgram): Promise<void> {
    const { stem, clock, log, onReport, onEvent } = this.#options;
    const runner = new ProxyRunner(program, {
      paths: proxyPaths(stem, program.name),
      clock,
      log,
      record: this.#record,
      onReport: (name, up, why) => onReport(`proxy ${name} ${up ? "is ready" : why}`),
      onEvent: (name, text) => onEvent(`proxy ${name} ${text}`),
    });
    this.#runners.set(program.name, runner);
    return runner.start();
  }
}

/** Asks a proxy softly to end; whoever asks does not wait. */
export function stopRecorded(record: ProxyRecord, name: string): boolean {
  const proxy = record.get(name);
  if (proxy === undefined || !lives(proxy)) return false;
  try {
    process.kill(proxy.pid, "SIGUSR1");
    record.delete(name);
    return true;
  } catch {
    return false;
  }
}
