import { spawn } from "node:child_process";
import { mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { z } from "zod";
import { defaultPlan } from "../core/index.ts";
import type { LabArguments } from "./arguments.ts";
import { until } from "./namespaces/wall-clock.ts";
import { NetnsDriver } from "./netns-driver.ts";
import { inventoryPath, readInventory, writeInventory } from "./standing-lab.ts";

/** A lab of namespaces that stands needs a process that holds it: this starts it in the background. */
export async function netnsUp({ folder, programs }: LabArguments): Promise<number> {
  const own = join(folder, "netns");
  if (holderOf(folder) !== undefined) {
    process.stdout.write("a lab stands already; ./scripts/lab down ends it\n");
    return 0;
  }
  mkdirSync(own, { recursive: true });
  rmSync(inventoryPath(folder, "netns"), { force: true });
  const log = openSync(join(own, "log"), "w");
  const args = ["hold", "--out", folder, "--daemon", programs.daemon, "--proxy", programs.proxy];
  const holder = spawn(process.execPath, [process.argv[1] ?? "", ...args], {
    detached: true,
    stdio: ["ignore", log, log],
  });
  holder.unref();
  await until("the lab to stand", 30_000, () => {
    if (holder.exitCode !== null)
      throw new Error(`the lab did not come up: ${readFileSync(join(own, "log"), "utf8")}`);
    return holderOf(folder) !== undefined && hasInventory(folder);
  });
  const { address, hosts } = readInventory(folder, "netns");
  for (const [name, { addr }] of Object.entries(hosts))
    process.stdout.write(`${name.padEnd(7)} ${addr}\n`);
  process.stdout.write(`${"".padEnd(7)} ${address}  the virtual address\n`);
  process.stdout.write(`log of the daemons: ${join(own, "log")}\n`);
  return 0;
}

/** Holds a lab until SIGTERM; its daemons' logs go to the standard output. */
export async function holdNetns({ folder, programs }: LabArguments): Promise<number> {
  const driver = await NetnsDriver.open();
  const ended = new Promise<void>((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
  await driver.follow((seen) => {
    if (seen.kind === "log") process.stdout.write(`${seen.host} ${seen.program}: ${seen.text}\n`);
  });
  await driver.prepare(defaultPlan(), programs);

  writeFileSync(join(folder, "netns", "holder.json"), JSON.stringify({ pid: process.pid }));
  writeInventory(folder, driver.inventory);
  await ended;
  rmSync(inventoryPath(folder, "netns"), { force: true });
  await driver.close();
  return 0;
}

export async function netnsDown({ folder }: LabArguments): Promise<number> {
  const pid = holderOf(folder);
  if (pid === undefined) {
    process.stdout.write("no lab stands\n");
    return 0;
  }
  process.kill(pid, "SIGTERM");
  await until("the lab to end", 15_000, () => holderOf(folder) === undefined);
  return 0;
}

function hasInventory(folder: string): boolean {
  try {
    return readInventory(folder, "netns").driver === "netns";
  } catch {
    return false;
  }
}

/** The process that holds the lab; undefined when there is none, and when the number has become another program's. */
function holderOf(folder: string): number | undefined {
  try {
    const text = readFileSync(join(folder, "netns", "holder.json"), "utf8");
    const { pid } = z.object({ pid: z.int() }).parse(JSON.parse(text));
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    return words.includes("hold") ? pid : undefined;
  } catch {
    return undefined;
  }
}
