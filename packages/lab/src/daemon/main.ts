import process from "node:process";
import { alignRows, summarise } from "../core/index.ts";
import { type LabArguments, parseArguments, USAGE } from "./arguments.ts";
import { BadDrills, readDrills } from "./drill-files.ts";
import { isInstalled, missing } from "./namespaces/requirements.ts";
import { NetnsDriver } from "./netns-driver.ts";
import { holdNetns, netnsDown, netnsUp } from "./netns-lab.ts";
import { runDrills } from "./run-drills.ts";
import { openShell, readInventory } from "./standing-lab.ts";
import { VagrantDriver } from "./vagrant-driver.ts";
import { vagrantDown, vagrantUp } from "./vagrant-lab.ts";

const EXIT = { good: 0, bad: 1, usage: 2, cannot: 3 } as const;

/** The command `ha-lab`, which ./scripts/lab and `vrrpctl drill` run. */
async function main(words: readonly string[]): Promise<number> {
  // What follows the host is a command of its own, with options of its own.
  const own = words[0] === "shell" ? words.slice(0, 1) : words;
  const args = parseArguments(own);
  if ("help" in args) {
    process.stdout.write(USAGE);
    return EXIT.good;
  }
  if ("problem" in args) {
    process.stderr.write(`lab: ${args.problem}; see ./scripts/lab --help\n`);
    return EXIT.usage;
  }
  try {
    switch (args.command) {
      case "list":
        return list();
      case "drill":
        return await drill(args);
      case "up":
        return (
          cannotRun(args) ?? (await (args.driver === "netns" ? netnsUp(args) : vagrantUp(args)))
        );
      case "hold":
        return await holdNetns(args);
      case "down":
        return await (args.driver === "netns" ? netnsDown(args) : vagrantDown(args));
      case "shell":
        return await openShell(args.folder, words.slice(1));
    }
  } catch (error) {
    if (error instanceof BadDrills) {
      process.stderr.write(`${error.message}\n`);
      return EXIT.usage;
    }
    process.stderr.write(`lab: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.cannot;
  }
}

function list(): number {
  for (const row of alignRows(readDrills([]).map(({ name, about }) => [name, about])))
    process.stdout.write(`${row}\n`);
  return EXIT.good;
}

async function drill(args: LabArguments): Promise<number> {
  const { driver, programs, jobs, json, names } = args;
  const drills = readDrills(names);
  const cannot = cannotRun(args);
  if (cannot !== undefined) return cannot;
  const began = Date.now();
  const folder = `${args.folder}/runs/${stamp(began)}-${driver}-${programs.daemon}-${programs.proxy}`;
  const tell = (line: string): void => {
    const seconds = ((Date.now() - began) / 1000).toFixed(1).padStart(6);
    process.stderr.write(`${seconds}  ${line}\n`);
  };
  const runs = await runDrills(drills, {
    programs,
    folder,
    tell,
    jobs: driver === "netns" ? jobs : 1,
    openDriver: () =>
      driver === "netns"
        ? NetnsDriver.open()
        : VagrantDriver.open(readInventory(args.folder, "vagrant")),
  });
  if (json) {
    for (const {
      drill: { name },
      judgement,
    } of runs)
      process.stdout.write(`${JSON.stringify({ drill: name, driver, programs, ...judgement })}\n`);
  } else {
    process.stdout.write(`${summarise(runs)}\n`);
  }
  process.stderr.write(`artefacts: ${folder}\n`);
  const bad = runs.some(
    ({ judgement }) => judgement.verdict === "FAIL" || judgement.verdict === "INCONCLUSIVE",
  );
  return bad ? EXIT.bad : EXIT.good;
}

/** Says why it cannot run here, and gives the status for that. */
function cannotRun({ driver, programs }: LabArguments): number | undefined {
  const needed = [
    ...(programs.daemon === "keepalived" ? ["keepalived"] : []),
    ...(programs.proxy === "haproxy" ? ["haproxy"] : []),
  ];
  const lacking = ["virsh", "ssh"].find((program) => !isInstalled(program));
  const vagrant = lacking === undefined ? false : `needs the program '${lacking}'`;
  const reason = driver === "netns" ? missing(...needed) : vagrant;
  if (reason === false) return undefined;
  process.stderr.write(`lab: cannot run here: ${reason}\n`);
  return EXIT.cannot;
}

/** `20261125-013015`. */
function stamp(time: number): string {
  return new Date(time).toISOString().slice(0, 19).replaceAll(/[-:]/g, "").replace("T", "-");
}

process.exitCode = await main(process.argv.slice(2));
