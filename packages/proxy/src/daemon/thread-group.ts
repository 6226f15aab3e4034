import { Worker as Thread } from "node:worker_threads";
import type { Executor } from "@ha/linux/ring";
import type { SourceFile } from "../core/config/preprocess.ts";
import type { BoundSocket } from "./bind-sockets.ts";
import type { TrafficWord } from "./check/traffic-observer.ts";
import type { CommandLine } from "./cli.ts";
import type { ThreadAnswer, ThreadRequest } from "./runtime-api/thread-control.ts";
import type { SharedState } from "./runtime-build.ts";
import type { StatsOrder } from "./stats/stats-order.ts";
import type { StatsShare } from "./stats/stats-view.ts";
import type { TlsShare } from "./tls/tls-share.ts";
import type { SharedLimits } from "./worker.ts";

/** What a thread begins with: the configuration's text (it compiles its own), and the memory it shares. */
export interface ThreadStart {
  readonly thread: number;
  readonly command: CommandLine;
  readonly files: readonly SourceFile[];
  readonly executor: Executor | "auto";
  readonly limits: SharedLimits;
  readonly shared: SharedState;
  readonly statistics: SharedArrayBuffer;
  readonly sockets: readonly BoundSocket[];
  readonly stats: StatsShare;
  readonly tls: TlsShare;
}

export type ThreadOrder =
  | "start"
  | "soft stop"
  | "kill"
  /** The server was marked down: its sessions end. */
  | { readonly leave: { readonly proxy: number; readonly server: number } }
  /** Something of the runtime API, to be answered under the same number. */
  | { readonly request: ThreadRequest; readonly number: number };
export type ThreadReport =
  | "ready"
  | "drained"
  | { readonly traffic: TrafficWord }
  | { readonly answer: ThreadAnswer; readonly number: number }
  /** What was ordered on a stats page that this thread served. */
  | { readonly order: StatsOrder };

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
        else if ("traffic" in report) this.onTraffic(report.traffic);
        else if ("order" in report) this.onStatsOrder(report.order);
        else this.#answers.get(report.number)?.(thread, report.answer);
      });
      thread.on("error", (error) => {
        reject(error);
        failed(error);
      });
    });
  }

  /** What servers did to the threads' traffic. */
  onTraffic: (word: TrafficWord) => void = () => undefined;

  /** What somebody ordered on a stats page. */
  onStatsOrder: (order: StatsOrder) => void = () => undefined;

  readonly #answers = new Map<number, (thread: Thread, answer: ThreadAnswer) => void>();
  #questions = 0;

  /** Has every thread do it, and gives their answers in the order of the threads. */
  ask(request: ThreadRequest): Promise<readonly ThreadAnswer[]> {
    const number = ++this.#questions;
    const threads = this.#threads.map(({ thread }) => thread);
    if (threads.length === 0) return Promise.resolve([]);
    return new Promise((resolve) => {
      const answers = new Map<Thread, ThreadAnswer>();
      this.#answers.set(number, (from, answer) => {
        answers.set(from, answer);
        if (answers.size < threads.length) return;
        this.#answers.delete(number);
        resolve(threads.map((thread) => answers.get(thread)));
      });
      this.order({ request, number });
    });
  }

  order(order: ThreadOrder): void {
    for (const { thread } of this.#threads) thread.postMessage(order);
  }

  /** After a soft stop: whether no thread has a session left. */
  get isDrained(): boolean {
    return this.#threads.every(({ drained }) => drained);
  }
}
