import process from "node:process";
import { parseArgs } from "node:util";
import { type DaemonKind, missing } from "@ha/lab/namespaces";
import { soak } from "../test/e2e/soak.ts";

const USAGE = `usage: npm run soak -- [options]

Does random faults to a running pair, one after another (kill, stop, freeze, cut, pulled cable, reload, failing check), and
judges after each who held the address. Version 3, adverts every 100 ms. Needs root. A thousand steps take some 50 minutes.

  --steps N      how many faults (1000)
  --seed N       which (by the clock); the same seed gives the same faults
  --keepalived   the real keepalived on both hosts, to compare with
  --help         this text`;

const { values } = parseArgs({
  options: {
    steps: { type: "string", default: "1000" },
    seed: { type: "string" },
    keepalived: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(USAGE);
} else {
  process.exitCode = await run();
}

async function run(): Promise<number> {
  const kind: DaemonKind = values.keepalived ? "keepalived" : "vrrpd";
  const reason = missing(...(kind === "keepalived" ? [kind] : []));
  if (reason !== false) {
    console.error(`the soak cannot run here: ${reason}`);
    return 1;
  }
  const seed = Number(values.seed ?? Date.now() % 1_000_000);
  const steps = Number(values.steps);
  if (!Number.isInteger(seed) || !Number.isInteger(steps) || steps < 1) {
    console.error(USAGE);
    return 1;
  }
  console.log(`seed ${seed}, ${steps} steps`);
  const report = await soak({ seed, steps, kinds: { lb1: kind, lb2: kind } }, (line) =>
    console.log(line),
  );
  const { violations, longestNone, longestTwo, resources } = report;
  console.log(
    `\nlongest without a holder ${longestNone.toFixed(0)} ms, with two that hear each other ${longestTwo.toFixed(0)} ms`,
  );
  console.log(
    `descriptors ${resources.before.descriptors} → ${resources.after.descriptors}, memory ${resources.before.memory} → ${resources.after.memory} MB`,
  );
  for (const violation of violations) console.log(`VIOLATION ${violation}`);
  console.log(`seed ${seed}: ${violations.length} violations`);
  return violations.length === 0 ? 0 : 1;
}
