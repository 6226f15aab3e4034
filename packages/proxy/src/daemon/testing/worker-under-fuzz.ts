import { strict as assert } from "node:assert";
import process from "node:process";
import { ip } from "@ha/base";
import { type Executor, listenStream, openRing, RingError } from "@ha/linux/ring";
import type { Config } from "../../core/config/model.ts";
import { ProcessRates } from "../../core/server/process-rates.ts";
import { parseCommandLine } from "../cli.ts";
import { loadConfiguration } from "../config-check.ts";
import { NO_TLS, type TlsShare } from "../tls/tls-share.ts";
import { createWorker, statisticsBytes, type Worker } from "../worker.ts";

/** Of the run's chance: `FUZZ_SEED`, else another one each time. */
export const FUZZ_SEED = Number(
  process.env["FUZZ_SEED"] ?? 1 + (Math.floor(performance.now() * 1000) % 1_000_000),
);

/** How many clients come: `FUZZ_CLIENTS`, else as many as the test has time for. */
export function fuzzClients(usual: number): number {
  return Number(process.env["FUZZ_CLIENTS"] ?? usual);
}

export async function fuzzConfiguration(text: string): Promise<Config> {
  const loaded = await loadConfiguration(parseCommandLine(["-f", "fuzz.cfg"]), [
    { name: "fuzz.cfg", text },
  ]);
  if (loaded.config === undefined) {
    throw new Error(loaded.findings.list.map(({ message }) => message).join("\n"));
  }
  return loaded.config;
}

/**
 * A data plane in this very thread (the ring lets libuv live beside it) that listens on a port of its own for the first
 * bind of each of `frontends`. Not started yet.
 */
export function workerUnderFuzz(
  config: Config,
  executor: Executor,
  frontends: readonly number[],
  tls: TlsShare = NO_TLS,
): { readonly worker: Worker; readonly ports: readonly number[] } {
  const worker = createWorker({
    config,
    thread: 1,
    executor,
    limits: {
      maxconn: 1_000,
      connections: new Int32Array(new SharedArrayBuffer(4)),
      rates: new ProcessRates().buffer,
    },
    shared: undefined,
    statistics: new SharedArrayBuffer(statisticsBytes(config)),
    tls,
  });
  assert.deepEqual(worker.diagnostics.list, []);
  const ports = frontends.map((frontend) => {
    const fd = listenStream({
      address: { kind: "inet", address: ip("127.0.0.1"), port: 0 },
      backlog: 256,
    });
    if (typeof fd !== "number") throw new Error(fd.operation);
    return worker.listen({ frontend, bind: 0, fd, shard: 0, shards: 1 }).port;
  });
  return { worker, ports };
}

/** Ends the worker once its clients are gone, and tells what it still holds: every number should be 0. */
export async function leftBehind(worker: Worker): Promise<Readonly<Record<string, number>>> {
  await until(() => worker.isDrained, "sessions end");
  worker.kill();
  const { plane, ring, world } = worker;
  await until(() => plane.connections.open === 0 && ring.operations === 0, "connections close");
  const sum = (of: (proxy: (typeof world.proxies)[number]) => Iterable<number>): number =>
    world.proxies.flatMap((proxy) => [...of(proxy)]).reduce((a, b) => a + Math.abs(b), 0);
  return {
    buffers: ring.buffersHeld,
    slots: ring.slotsHeld - worker.listeners.length,
    operations: ring.operations,
    stale: ring.stale,
    exchanges: plane.exchangesHeld,
    transactions: plane.transactionsHeld,
    clients: plane.clients.size,
    served: sum(({ servers }) => servers.served),
    serving: sum(({ servers }) => servers.backend.subarray(0, 1)),
  };
}

/** Why an executor cannot run here, for a test's `skip`; false when it can. */
export function refusal(executor: Executor): string | false {
  try {
    openRing({ executor, smallCount: 64, smallLent: 8, largeCount: 4 }).destroy();
    return false;
  } catch (error) {
    if (error instanceof RingError) return error.message;
    throw error;
  }
}

async function until(done: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 8_000;
  while (!done()) {
    assert.ok(performance.now() < end, `in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
