import { spawn } from "node:child_process";
import { mkdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatDiagnostic } from "@ha/base";
import { writeYaml } from "@ha/base/yaml";
import { type Inventory, loadInventory } from "../core/index.ts";

/** Where the inventory of a lab that stands is: `.lab/netns/inventory.yaml`. */
export function inventoryPath(folder: string, driver: Inventory["driver"]): string {
  return join(folder, driver, "inventory.yaml");
}

export function writeInventory(folder: string, inventory: Inventory): string {
  const path = inventoryPath(folder, inventory.driver);
  mkdirSync(join(folder, inventory.driver), { recursive: true });
  writeFileSync(path, writeYaml(inventory));
  return path;
}

/** Reads it; throws when there is none, or with every finding when it is broken. */
export function readInventory(folder: string, driver: Inventory["driver"]): Inventory {
  const path = inventoryPath(folder, driver);
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    throw new Error(`no lab stands (${path} is missing): ./scripts/lab up --driver ${driver}`);
  }
  const read = loadInventory(path, text);
  if (!read.ok) throw new Error(read.findings.map(formatDiagnostic).join("\n"));
  return read.value;
}

/** Runs a command on a host of the lab that stands, or a shell; its exit status. */
export async function openShell(folder: string, words: readonly string[]): Promise<number> {
  const [host, ...command] = words;
  if (host === undefined) throw new Error("shell needs the name of a host");
  const driver = statSync(inventoryPath(folder, "netns"), { throwIfNoEntry: false })
    ? "netns"
    : "vagrant";
  const { hosts } = readInventory(folder, driver);
  const exec = hosts[host]?.exec;
  if (exec === undefined)
    throw new Error(`no host is called '${host}'; there are ${Object.keys(hosts).join(", ")}`);
  const [program, ...args] =
    "netns" in exec
      ? [
          "nsenter",
          ...["--target", String(exec.netns.pid), "--net", "--uts", "--mount", "--pid"],
          ...(command.length === 0 ? ["bash"] : command),
        ]
      : [
          "ssh",
          "-F",
          exec.ssh.config,
          exec.ssh.host,
          ...(command.length === 0 ? [] : ["sudo", ...command]),
        ];
  const child = spawn(program ?? "", args, { stdio: "inherit" });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("exit", (code) => resolve(code ?? 1));
  });
}
