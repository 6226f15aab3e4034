import { Worker as Thread } from "node:worker_threads";
import type { Executor } from "@ha/linux/ring";
import type { SourceFile } from "../core/config/preprocess.ts";
import type { BoundSocket } from "./bind-sockets.ts";
import type { TrafficWord } from "./check/traffic-observer.ts";
import type { CommandLine } from "./cli.ts";
import type { SharedState } from "./runtime-build.ts";

/** What a thread begins with: the configuration's text (it compiles its own), and the memory it shares. */
export interface ThreadStart {
  readonly thread: number;
  readonly command: CommandLine;
  readonly files: readonly SourceFile[];
  readonly executor: Executor | "auto";
  readonly limits: { readonly maxconn: number; readonly connections: Int32Array };
  readonly shared: SharedState;
  readonly statistics: SharedArrayBuffer;
  readonly sockets: readonly BoundSocket[];
}

export type ThreadOrder =
  | "start"
  | "soft stop"
  | "kill"
  /** The server was marked down: its sessions end. */
  | { readonly leave: { readonly proxy: number; readonly server: number } };
export type ThreadReport = "ready" | "drained" | { readonly traffic: TrafficWord };

/** The threads of a process beside its first. */
export class ThreadGroup {
  readonly #threads: { readonly thread: Thread; drained: boolean }[] = [];

  /** Starts them and waits until each has compiled everything. Rejects when one could not. */
  static async open(
    starts: readonly ThreadStart[],
    failed: (error: Error) => void,
  ): Promise<ThreadGroup> {
    const group = new ThreadGroup();
    await Promise.all(starts.map((start) => group.#spawn(start, failed)));
    return group;
  }

  #spawn(start: ThreadStart, failed: (error: Error) => void): Promise<void> {
    const thread = new Thread(new URL("./thread.js", import.meta.url), { workerData: start });
    const entry = { thread, drained: false };
    this.#threads.push(entry);
    return new Promise((resolve, reject) => {
      thread.on("message", (report: ThreadReport) => {
        if (report === "ready") resolve();
        else if (report === "drained") entry.drained = true;
        else this.onTraffic(report.traffic);
      });
      thread.on("error", (error) => {
        reject(error);
        failed(error);
      });
    });
  }

  /** What servers did to the threads' traffic. */
  onTraffic: (word: TrafficWord) => void = () => undefined;

  order(order: ThreadOrder): void {
    for (const { thread } of this.#threads) thread.postMessage(order);
  }

  /** After a soft stop: whether no thread has a session left. */
  get isDrained(): boolean {
    return this.#threads.every(({ drained }) => drained);
  }
}
