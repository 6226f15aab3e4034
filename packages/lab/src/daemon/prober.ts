import type { ChildProcess } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { fileURLToPath } from "node:url";
import { type Micros, micros, toMilliseconds } from "@ha/base";
import {
  durationOf,
  type Inventory,
  type Limit,
  type Observation,
  type PairTimes,
  type ProbePlan,
  type Running,
} from "../core/index.ts";
import { lineReader } from "./line-reader.ts";

/** The program that asks; it stands alone, and can be copied. */
export const PROBE_CLIENT = fileURLToPath(new URL("./probe-client.js", import.meta.url));

/** What the program is told: the plan, but no quicker than the lab's machines can. */
export function probeArgument(
  plan: ProbePlan,
  { inventory, times }: { readonly inventory: Inventory; readonly times: PairTimes },
): string {
  const { address, least_probe_every_s, least_probe_timeout_s } = inventory;
  const atLeast = (wanted: Limit, least: number): number =>
    Math.max(toMilliseconds(durationOf(wanted, times)), least * 1000);
  return JSON.stringify({
    host: address,
    port: 80,
    path: plan.http,
    everyMs: atLeast(plan.every, least_probe_every_s),
    timeoutMs: atLeast(plan.timeout, least_probe_timeout_s),
    keepAlive: plan.keep_alive,
  });
}

interface Line {
  readonly stall?: boolean;
  readonly at: number;
  readonly until: number;
  readonly by?: string;
  readonly server?: string;
  readonly failure?: string;
}

/**
 * Reports what a running probe client writes.
 *
 * @param toOurs From the clock of the client's machine to that of the driver.
 */
export function followProbe(
  child: ChildProcess & { readonly stdin: Writable; readonly stdout: Readable },
  plan: Pick<ProbePlan, "id" | "from">,
  report: (seen: Observation) => void,
  toOurs: (time: number) => Micros = micros,
): Running {
  child.stdout.on(
    "data",
    lineReader((text) => {
      const { stall, at, until, by, server, failure } = JSON.parse(text) as Line;
      const span = { at: toOurs(at), until: toOurs(until) };
      if (stall === true) report({ kind: "stall", host: plan.from, ...span });
      else report({ kind: "answer", probe: plan.id, by, server, failure, ...span });
    }),
  );
  child.stdin.on("error", () => {});
  return {
    stop: async () => {
      const closed = new Promise<void>((resolve) => child.once("close", () => resolve()));
      child.stdin.end();
      if (child.exitCode === null && child.signalCode === null) await closed;
    },
  };
}
