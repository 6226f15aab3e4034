import { execFileSync, spawn } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { Inventory } from "../core/index.ts";
import type { LabArguments } from "./arguments.ts";
import { writeInventory } from "./standing-lab.ts";

/** Of every lab; the last number of each address as vagrant/Vagrantfile has it. */
const NUMBERS = { lb1: 11, lb2: 12, web1: 21, web2: 22, client: 31 } as const;
const ROLES = { lb1: "lb", lb2: "lb", web1: "web", web2: "web", client: "client" } as const;
const NAMES = ["lb1", "lb2", "web1", "web2", "client"] as const;

/**
 * `vagrant up`, and what the drills need to know of the machines. Settings are those of vagrant/Vagrantfile (LAB_BOX,
 * LAB_VIRT, LAB_NODES …).
 */
export async function vagrantUp({ folder }: LabArguments): Promise<number> {
  const environment = vagrantEnvironment(folder);
  const status = await run("vagrant", ["up", "--no-parallel"], environment);
  if (status !== 0) return status;
  const nodes = (process.env["LAB_NODES"] ?? NAMES.join(",")).split(",").map((name) => name.trim());
  const config = resolve(folder, "vagrant", "ssh-config");
  writeFileSync(
    config,
    execFileSync("vagrant", ["ssh-config", ...nodes], { env: environment, encoding: "utf8" }),
  );
  const subnet = process.env["LAB_SUBNET"] ?? "10.77.0";
  const isEmulated = process.env["LAB_VIRT"] === "qemu";
  const inventory: Inventory = {
    driver: "vagrant",
    // An emulated machine is some twenty times slower than this one, and its neighbours disturb it.
    slack: isEmulated ? { time_factor: 2, floor_s: 1.5 } : { time_factor: 1.2, floor_s: 0.7 },
    interface: "eth1",
    address: `${subnet}.100`,
    least_advert_s: 1,
    least_probe_every_s: isEmulated ? 0.25 : 0.05,
    least_probe_timeout_s: isEmulated ? 3 : 1,
    baseline_s: isEmulated ? 15 : 5,
    hosts: Object.fromEntries(
      NAMES.map((name) => {
        const machine = nodes.includes(name) ? name : "client";
        const domain = nodes.includes(name) ? { domain: `ha-lab-${name}` } : {};
        const addr = `${subnet}.${NUMBERS[name]}`;
        return [
          name,
          { role: ROLES[name], addr, exec: { ssh: { config, host: machine } }, ...domain },
        ];
      }),
    ),
  };
  process.stdout.write(`inventory: ${writeInventory(folder, inventory)}\n`);
  return 0;
}

export function vagrantDown({ folder }: LabArguments): Promise<number> {
  return run("vagrant", ["destroy", "-f"], vagrantEnvironment(folder));
}

/** Where vagrant finds its file and keeps its state, wherever we are called from. */
function vagrantEnvironment(folder: string): NodeJS.ProcessEnv {
  const own = resolve(folder, "vagrant");
  mkdirSync(own, { recursive: true });
  return {
    ...process.env,
    VAGRANT_CWD: process.env["VAGRANT_CWD"] ?? vagrantFolder(),
    VAGRANT_DOTFILE_PATH: process.env["VAGRANT_DOTFILE_PATH"] ?? join(own, "state"),
  };
}

/** The folder of the Vagrantfile: in the repository above this file. */
function vagrantFolder(): string {
  for (let at = dirname(fileURLToPath(import.meta.url)); at !== "/"; at = dirname(at)) {
    if (existsSync(join(at, "vagrant", "Vagrantfile"))) return join(at, "vagrant");
  }
  throw new Error(
    "no vagrant/Vagrantfile above this program: run it from the repository, or set VAGRANT_CWD",
  );
}

function run(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<number> {
  const child = spawn(command, args, { stdio: "inherit", env });
  return new Promise((done, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => done(code ?? 1));
  });
}
