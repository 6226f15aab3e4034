import type { Micros } from "@ha/base";
import type { Log } from "./log.ts";
import { type RunningScript, runScript, type ScriptCommand } from "./script-runner.ts";

/** One notification: the scripts of one change, in the order they are to run. */
export interface Notification {
  /** What the log calls them, such as `notify_master`. */
  readonly kind: string;
  readonly command: ScriptCommand;
}

/**
 * Runs the notify scripts of one instance or group one after the other, so that `master` cannot overtake `backup`.
 * While one runs, changes wait; when more than one waits, only the newest change is kept: a script wants to know how
 * things are. (keepalived starts them all at once, and the last to end wins.)
 */
export class NotifyQueue {
  readonly #name: string;
  readonly #log: Log;
  readonly #limit: () => Micros;
  #running: RunningScript | undefined;
  #current: Notification[] = [];
  #next: readonly Notification[] | undefined;
  #idle: (() => void)[] = [];

  /**
   * @param name The instance or group, for the log.
   * @param limit Longest run of one script, 0 for none; then SIGTERM to its group, SIGKILL 2 s later.
   */
  constructor(name: string, log: Log, limit: () => Micros) {
    this.#name = name;
    this.#log = log;
    this.#limit = limit;
  }

  /** Queues the scripts of one change. */
  push(scripts: readonly Notification[]): void {
    if (scripts.length === 0) return;
    if (this.#running === undefined && this.#current.length === 0) {
      this.#current = [...scripts];
      this.#advance();
      return;
    }
    if (this.#next !== undefined) {
      const skipped = this.#next.map(({ kind }) => kind).join(", ");
      this.#log.notice(`(${this.#name}) ${skipped} not run: the state changed again meanwhile`);
    }
    this.#next = scripts;
  }

  /** Resolves when nothing runs or waits. */
  idle(): Promise<void> {
    if (this.#running === undefined) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  /** Ends what runs and forgets what waits. */
  stop(): void {
    this.#current = [];
    this.#next = undefined;
    this.#running?.stop();
  }

  #advance(): void {
    let script = this.#current.shift();
    if (script === undefined && this.#next !== undefined) {
      this.#current = [...this.#next];
      this.#next = undefined;
      script = this.#current.shift();
    }
    if (script === undefined) {
      for (const resolve of this.#idle.splice(0)) resolve();
      return;
    }
    const { kind, command } = script;
    const limit = this.#limit();
    const running = runScript(command, limit > 0 ? limit : undefined);
    this.#running = running;
    void running.done.then(({ outcome, output }) => {
      this.#running = undefined;
      const text = describe(outcome);
      if (text !== undefined) {
        const said = firstLines(output);
        this.#log.warning(
          `(${this.#name}) ${kind} script ${command.argv[0] ?? ""} ${text}${said === "" ? "" : `: ${said}`}`,
          { instance: this.#name, kind },
        );
      } else {
        this.#log.detail(`(${this.#name}) ${kind} script ${command.argv[0] ?? ""} succeeded`);
      }
      this.#advance();
    });
  }
}

type Outcome = Awaited<RunningScript["done"]>["outcome"];

/** What went wrong, as the log says it; undefined when nothing did. */
export function describe(outcome: Outcome): string | undefined {
  switch (outcome.type) {
    case "exited":
      return outcome.status === 0 ? undefined : `exited with status ${outcome.status}`;
    case "signalled":
      return `was ended by ${outcome.signal}`;
    case "timeout":
      return "timed out";
    case "cannot-run":
      return `could not be run (${outcome.reason})`;
  }
}

/** The first lines of an output on one line, for the log. */
export function firstLines(output: string): string {
  return output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "")
    .slice(0, 3)
    .join(" | ")
    .slice(0, 300);
}
