import { parentPort, workerData } from "node:worker_threads";
import { linuxConfigHost } from "./config-host.ts";
import type { ConfigRequest } from "./read-aside.ts";
import { readConfig } from "./read-config.ts";

const { file, configId, allIncludeChecks } = workerData as ConfigRequest;
const loaded = await readConfig(file, {
  host: linuxConfigHost(),
  allIncludeChecks,
  ...(configId === undefined ? {} : { configId }),
});
// The tree is for dumps alone, and larger than all the rest.
parentPort?.postMessage(loaded === undefined ? undefined : { ...loaded, tree: [] });
