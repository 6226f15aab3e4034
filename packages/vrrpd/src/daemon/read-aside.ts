import { Worker } from "node:worker_threads";
import type { LoadedConfig } from "../core/config/load.ts";

/** What to read; crosses to the other thread as a copy. */
export interface ConfigRequest {
  readonly file: string;
  readonly configId: string | undefined;
  readonly allIncludeChecks: boolean;
}

/**
 * Reads a configuration in a thread of its own, without its tree: a reload of hundreds of instances takes some 100 ms, and a
 * name server that does not answer takes seconds, in which adverts must go on. Rejects when the thread cannot run.
 */
export function readConfigAside(request: ConfigRequest): Promise<LoadedConfig | undefined> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(new URL("./config-worker.js", import.meta.url), {
      workerData: request,
    });
    worker.once("message", resolve);
    worker.once("error", reject);
    worker.once("exit", (code) => reject(new Error(`the reading thread ended with ${code}`)));
  });
}
