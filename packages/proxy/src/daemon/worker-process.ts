import { type ChildProcess, type StdioOptions, spawn } from "node:child_process";
import type { Socket } from "node:net";
import { constants } from "node:os";
import type { ProxyOrder, ProxyWord } from "@ha/base/pair-line";
import {
  type MasterOrder,
  type WorkerStart,
  type WorkerWord,
  workerEnvironment,
} from "./master-link.ts";

/** How a worker has ended: its exit code, 128 + signal when one ended it. */
export interface WorkerEnd {
  readonly code: number;
  /** As HAProxy words it: `Exit`, or the signal's name. */
  readonly words: string;
}

/** A worker as its master sees it. */
export class WorkerProcess {
  readonly pid: number;
  /** `performance.now()` at its start. */
  readonly startedAt = performance.now();
  /** Reloads since it started. */
  reloads = 0;
  isReady = false;
  /** It was told to finish, or to stop: its end is no accident. */
  isLeaving = false;
  /** What it said at start. */
  readonly said: string[] = [];
  readonly sockets: ReadonlySet<number>;
  /** Fulfilled when it accepts connections, or has ended before. */
  readonly started: Promise<"ready" | WorkerEnd>;
  readonly ended: Promise<WorkerEnd>;
  /** What it tells vrrpd. */
  onPairWord: (word: ProxyWord) => void = () => undefined;
  readonly #child: ChildProcess;

  /**
   * Starts this program again, as a worker.
   *
   * @param descriptors That it gets, each under its own number.
   */
  constructor(start: WorkerStart, descriptors: readonly number[]) {
    this.sockets = new Set(start.sockets.map(({ fd }) => fd));
    this.#child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
      stdio: slotsFor(descriptors),
      env: workerEnvironment(),
    });
    const child = this.#child;
    this.pid = child.pid ?? 0;
    this.ended = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve(endOf(code, signal)));
      child.once("error", (error) => resolve({ code: 1, words: error.message }));
    });
    const ready = new Promise<"ready">((resolve) => {
      child.on("message", (word: WorkerWord) => {
        if (word.type === "said") this.said.push(...word.lines);
        else if (word.type === "pair") this.onPairWord(word.word);
        else {
          this.isReady = true;
          resolve("ready");
        }
      });
    });
    this.started = Promise.race([ready, this.ended]);
    const limit = setTimeout(() => child.kill("SIGKILL"), START_LIMIT);
    void this.started.then(() => clearTimeout(limit));
    this.#send(start);
  }

  /** Others serve its sockets now, but the retired ones: it finishes what is under way. */
  softStop(retired: readonly number[]): void {
    this.isLeaving = true;
    this.#send({ type: "soft stop", retired });
  }

  /** It ends at once. */
  stop(signal: "SIGTERM" | "SIGKILL"): void {
    this.isLeaving = true;
    this.#child.kill(signal);
  }

  /** What vrrpd ordered. */
  passOrder(order: ProxyOrder): void {
    this.#send({ type: "pair", order });
  }

  /** Hands a client of the master's CLI over to its runtime API. False when it cannot take it. */
  passClient(socket: Socket): boolean {
    return this.#send({ type: "client" }, socket);
  }

  #send(order: MasterOrder, socket?: Socket): boolean {
    const child = this.#child;
    if (!child.connected) return false;
    child.send(order, socket, {}, () => {
      // It is about to end: its exit tells.
    });
    return true;
  }
}

/** Milliseconds until a worker must serve: one that hangs must not keep reloads from ever ending. */
const START_LIMIT = 120_000;

/** Descriptors under their own numbers, the line between the processes at the first free one. */
function slotsFor(descriptors: readonly number[]): StdioOptions {
  const wanted = new Set(descriptors);
  let line = 3;
  while (wanted.has(line)) line++;
  const slots: ("ignore" | "inherit" | "ipc" | number)[] = ["inherit", "inherit", "inherit"];
  for (let fd = 3; fd <= Math.max(line, ...descriptors); fd++) {
    slots.push(fd === line ? "ipc" : wanted.has(fd) ? fd : "ignore");
  }
  return slots;
}

function endOf(code: number | null, signal: NodeJS.Signals | null): WorkerEnd {
  if (signal === null) return { code: code ?? 1, words: "Exit" };
  const words: Partial<Record<NodeJS.Signals, string>> = {
    SIGKILL: "Killed",
    SIGTERM: "Terminated",
    SIGINT: "Interrupt",
    SIGSEGV: "Segmentation fault",
    SIGABRT: "Aborted",
    SIGBUS: "Bus error",
  };
  return { code: 128 + constants.signals[signal], words: words[signal] ?? signal };
}
