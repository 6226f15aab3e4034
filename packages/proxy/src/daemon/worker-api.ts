import { Socket } from "node:net";
import { socketPair } from "@ha/linux/ring";
import type { WorkerProcess } from "./worker-process.ts";

/** A worker's runtime API, as the master's clients reach it. */
export interface WorkerApi {
  readonly pid: number;
  /** The answer, its closing empty line included; undefined when the worker went away. */
  ask(line: string): Promise<string | undefined>;
  close(): void;
}

/** What an interactive answer ends with. */
const PROMPT = "\n> ";

/** Gives a worker one end of a new socket pair, and speaks to its runtime API at the other. */
export function connectWorkerApi(worker: WorkerProcess): WorkerApi | undefined {
  const pair = socketPair();
  if (pair === undefined) return undefined;
  const socket = new Socket({ fd: pair[0], readable: true, writable: true });
  const theirs = new Socket({ fd: pair[1], readable: false, writable: false });
  if (!worker.passClient(theirs)) {
    socket.destroy();
    theirs.destroy();
    return undefined;
  }
  let text = "";
  let waiting: ((answer: string | undefined) => void) | undefined;
  const settle = (answer: string | undefined): void => {
    const waiter = waiting;
    waiting = undefined;
    waiter?.(answer);
  };
  socket.setEncoding("latin1");
  socket.on("data", (chunk: string) => {
    text += chunk;
    if (!text.endsWith(PROMPT)) return;
    const answer = text.slice(0, 1 - PROMPT.length);
    text = "";
    settle(answer);
  });
  socket.on("error", () => settle(undefined));
  socket.on("close", () => settle(undefined));
  const ask = (line: string): Promise<string | undefined> =>
    new Promise((resolve) => {
      if (socket.destroyed) return resolve(undefined);
      waiting = resolve;
      socket.write(`${line}\n`, "latin1");
    });
  const isInteractive = ask("prompt");
  return {
    pid: worker.pid,
    ask: async (line) => ((await isInteractive) === undefined ? undefined : ask(line)),
    close: () => socket.destroy(),
  };
}
