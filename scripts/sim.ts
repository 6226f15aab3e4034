import { fork } from "node:child_process";
import { parseArgs } from "node:util";
import { seconds } from "@ha/base";
import { runScenario, type ScenarioResult } from "@ha/vrrpd/testing";

const HELP = `Usage: npm run sim -- [options]

Runs many simulations of three to five routers through faults that follow from a seed, on virtual time, with the
safety properties checked throughout. Exits with 1 when any is violated.

  --seeds N     how many seeds (10000)
  --from N      the first seed (1)
  --hours H     virtual time of each (1)
  --workers N   processes (2)
  --trace       print every event of the seed --from, and stop
  --help        this text
`;

interface Share {
  readonly from: number;
  readonly seeds: number;
  readonly hours: number;
}

interface Outcome {
  readonly seeds: number;
  readonly faults: number;
  readonly packets: number;
  readonly judged: readonly (readonly [number, number])[];
  readonly violations: readonly string[];
}

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "10000" },
    from: { type: "string", default: "1" },
    hours: { type: "string", default: "1" },
    workers: { type: "string", default: "2" },
    trace: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
    worker: { type: "boolean", default: false },
  },
});
const share: Share = {
  from: whole("from", values.from),
  seeds: whole("seeds", values.seeds),
  hours: Number(values.hours),
};

if (values.help) process.stdout.write(HELP);
else if (values.worker) process.send?.(runShare(share));
else if (values.trace) printTrace(share);
else await runAll(share, whole("workers", values.workers));

async function runAll(all: Share, workers: number): Promise<void> {
  const started = process.hrtime.bigint();
  const each = Math.ceil(all.seeds / workers);
  const shares = Array.from({ length: workers }, (_, i) => ({
    ...all,
    from: all.from + i * each,
    seeds: Math.max(0, Math.min(each, all.seeds - i * each)),
  }));
  const outcomes = await Promise.all(shares.map(inProcess));
  const elapsed = Number(process.hrtime.bigint() - started) / 1e9;

  const judged = new Map<number, number>();
  for (const outcome of outcomes) {
    for (const [property, count] of outcome.judged) {
      judged.set(property, (judged.get(property) ?? 0) + count);
    }
  }
  const sum = (of: (outcome: Outcome) => number) => outcomes.reduce((a, b) => a + of(b), 0);
  const violations = outcomes.flatMap((outcome) => outcome.violations);
  const lines = [
    `seeds ${all.from}–${all.from + all.seeds - 1}, ${all.hours} virtual hours each, ${workers} processes`,
    `${sum((o) => o.faults)} faults, ${sum((o) => o.packets)} adverts, ${elapsed.toFixed(1)} s`,
    `judged: ${[...judged]
      .sort(([a], [b]) => a - b)
      .map(([property, count]) => `${property} ×${count}`)
      .join(", ")}`,
    ...violations,
    violations.length === 0 ? "no property violated" : `${violations.length} violations`,
  ];
  process.stdout.write(`${lines.join("\n")}\n`);
  if (violations.length > 0) process.exitCode = 1;
}

function inProcess({ from, seeds, hours }: Share): Promise<Outcome> {
  const { promise, resolve, reject } = deferred<Outcome>();
  const args = ["--worker", "--from", `${from}`, "--seeds", `${seeds}`, "--hours", `${hours}`];
  const child = fork(new URL(import.meta.url), args);
  child.once("message", (outcome) => resolve(outcome as Outcome));
  child.once("exit", (code) => reject(new Error(`a worker ended with ${code}`)));
  return promise;
}

function runShare({ from, seeds, hours }: Share): Outcome {
  const judged = new Map<number, number>();
  const violations: string[] = [];
  let faults = 0;
  let packets = 0;
  for (let seed = from; seed < from + seeds; seed++) {
    const result: ScenarioResult = runScenario({ seed, duration: seconds(hours * 3600) });
    faults += result.faults;
    packets += result.packets;
    violations.push(...result.violations);
    for (const [property, count] of result.judged) {
      judged.set(property, (judged.get(property) ?? 0) + count);
    }
  }
  return { seeds, faults, packets, judged: [...judged], violations };
}

function printTrace({ from, hours }: Share): void {
  const { trace = [] } = runScenario({
    seed: from,
    duration: seconds(hours * 3600),
    keepTrace: true,
  });
  process.stdout.write(`${trace.join("\n")}\n`);
}

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  process.stderr.write(`--${name} must be a whole number, not ${text}\n`);
  process.exit(2);
}

/** `Promise.withResolvers`, which Node 20 lacks. */
function deferred<T>() {
  let resolve: (value: T) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
