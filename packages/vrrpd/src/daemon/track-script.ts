import { type Clock, type Micros, micros, type Random, type Timer, toSeconds } from "@ha/base";
import type { TrackScript } from "../core/config/model.ts";
import { type Checked, checked, type TrackerState, uncheckedTracker } from "../core/tracking.ts";
import type { Log } from "./log.ts";
import { describe, firstLines } from "./notify-queue.ts";
import {
  type RunningScript,
  runScript,
  type ScriptCommand,
  type ScriptResult,
} from "./script-runner.ts";

/** What status and dumps show of a script. */
export interface ScriptStatus {
  readonly name: string;
  readonly state: TrackerState;
  readonly running: boolean;
  readonly last: ScriptResult | undefined;
}

/** Runs one `vrrp_script` at its interval and tells when its verdict changes. */
export class ScriptTracker {
  config: TrackScript;
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #options: ScriptTrackerOptions;
  #checked: Checked;
  #timer: Timer | undefined;
  #running: RunningScript | undefined;
  #next: Micros;
  #last: ScriptResult | undefined;
  #lastCode = 0;
  #closed = false;

  constructor(config: TrackScript, clock: Clock, log: Log, options: ScriptTrackerOptions) {
    this.config = config;
    this.#clock = clock;
    this.#log = log;
    this.#options = options;
    this.#checked = options.initial ?? uncheckedTracker({ initFail: config.init_fail });
    this.#next = clock.now();
  }

  get status(): ScriptStatus {
    const { state } = this.#checked;
    return {
      name: this.config.name,
      state,
      running: this.#running !== undefined,
      last: this.#last,
    };
  }

  /** For the tracker that follows this one after a reload. */
  get verdict(): Checked {
    return this.#checked;
  }

  /**
   * The first run is at once, since instances wait for it; the second is spread over the interval, so that many
   * scripts do not run in step.
   */
  start(): void {
    this.#run();
    const jitter = this.#options.jitter ? this.#options.random.next() * 0.5 + 0.5 : 1;
    this.#next = micros(this.#clock.now() + this.config.interval * jitter);
    this.#arm();
  }

  /** Ends a run under way; no result is told any more. */
  stop(): void {
    this.#closed = true;
    this.#timer?.cancel();
    this.#running?.stop();
  }

  #arm(): void {
    const delay = micros(Math.max(0, this.#next - this.#clock.now()));
    this.#timer = this.#clock.after(delay, () => {
      const now = this.#clock.now();
      // After a pause one run makes up for all that were missed.
      this.#next = micros(Math.max(this.#next + this.config.interval, now));
      this.#arm();
      if (this.#running === undefined) this.#run();
      else {
        this.#log.detail(`VRRP_Script(${this.config.name}) is still running: this run is left out`);
      }
    });
  }

  #run(): void {
    const running = runScript(commandOf(this.config), this.config.timeout);
    this.#running = running;
    void running.done.then((result) => {
      this.#running = undefined;
      if (!this.#closed) this.#take(result);
    });
  }

  #take(result: ScriptResult): void {
    this.#last = result;
    const { outcome } = result;
    const problem = describe(outcome);
    const success =
      problem === undefined || (outcome.type === "cannot-run" && !this.#options.cannotRunFails);
    const { name } = this.config;
    const said = firstLines(result.output);

    const code = outcome.type === "exited" ? outcome.status : -1;
    if (code !== this.#lastCode && code >= 0) {
      this.#log.info(`Script \`${name}\` now returning ${code}`, { script: name, status: code });
    }
    this.#lastCode = code;

    const before = this.#checked.state;
    this.#checked = checked(this.#checked, success, this.config);
    const { state } = this.#checked;
    if (state === before) return;
    if (state === "up") {
      this.#log.info(`VRRP_Script(${name}) succeeded`, { script: name });
    } else {
      const how =
        outcome.type === "timeout"
          ? `timed out after ${toSeconds(this.config.timeout)} s`
          : `failed (${problem ?? ""})`;
      this.#log.warning(`VRRP_Script(${name}) ${how}${said === "" ? "" : `: ${said}`}`, {
        script: name,
        duration_ms: result.duration / 1_000,
      });
    }
    this.#options.onChange(state === "up");
  }
}

export interface ScriptTrackerOptions {
  /** Told the first result, and each change after it. */
  readonly onChange: (up: boolean) => void;
  readonly random: Random;
  /** `vrrp_script_jitter`. */
  readonly jitter: boolean;
  /** `vrrp_script_cannot_run_fails`: off, a script that cannot be executed counts as success, as in keepalived. */
  readonly cannotRunFails: boolean;
  /** Carried over a reload: the script's verdict stands until its next result. */
  readonly initial?: Checked | undefined;
}

function commandOf(config: TrackScript): ScriptCommand {
  if (config.test_file !== undefined) return { argv: [`<${config.test_file}`] };
  const [first = "", ...rest] = config.command.argv;
  return {
    argv: [config.command.path ?? first, ...rest],
    ...(config.user === undefined ? {} : { user: config.user }),
  };
}
