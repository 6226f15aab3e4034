import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { type FileReport, runTestFile, stopTestFiles, tail } from "./test-file.ts";
import type { TestResult } from "./test-reporter.ts";
import { type CommandStage, type FileStage, listStages, type Stage } from "./test-stages.ts";

const USAGE = `usage: ./scripts/test [options] [FILE-PART]...

Runs every check of the repository and ends with the line "N passed, N failed, N skipped".
Exit status 0 when something ran and nothing failed, else 1.

  --only STAGE   this stage only; may be repeated
  --list         name the stages and stop
  --help         this text
  FILE-PART      of the test files, run those whose path holds one of these

Output of each test file is kept in dist/test-output. A file that holds real processes to real
time gets a second try, alone, when it fails, since a machine may stand still; what needed it is named.`;

/** A run takes some 15 minutes on two cores. What has not begun by now is reported as failed, by name. */
const TOTAL_LIMIT_SECONDS = 60 * 60;
const root = fileURLToPath(new URL("../..", import.meta.url));
const outputFolder = join(root, "dist", "test-output");

interface Finding {
  readonly stage: string;
  readonly name: string;
  readonly detail: string;
}

interface Totals {
  passed: number;
  readonly failed: Finding[];
  readonly skipped: Finding[];
  /** Tests that failed once and passed when their file ran again. */
  readonly shaky: Finding[];
}

const { values, positionals } = parseArgs({
  options: {
    only: { type: "string", multiple: true },
    list: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
  allowPositionals: true,
});
process.chdir(root);
const stages = listStages(root);
if (values.help) {
  console.log(USAGE);
} else if (values.list) {
  for (const { name, does } of stages) console.log(`${name.padEnd(11)} ${does}`);
} else {
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.once(signal, () => void stopTestFiles().then(() => process.exit(130)));
  }
  process.exitCode = await runStages(chooseStages(values.only), positionals);
}

function chooseStages(names: readonly string[] | undefined): readonly Stage[] {
  if (names === undefined) return stages;
  const wanted = names.flatMap((name) => name.split(","));
  for (const name of wanted) {
    if (stages.some((stage) => stage.name === name)) continue;
    console.error(`no stage is called '${name}': ./scripts/test --list names them`);
    process.exit(2);
  }
  return stages.filter((stage) => wanted.includes(stage.name));
}

async function runStages(chosen: readonly Stage[], parts: readonly string[]): Promise<number> {
  const totals: Totals = { passed: 0, failed: [], skipped: [], shaky: [] };
  const started = performance.now();
  mkdirSync(outputFolder, { recursive: true });
  for (const stage of chosen) {
    const elapsed = (performance.now() - started) / 1000;
    if (elapsed > TOTAL_LIMIT_SECONDS) {
      const detail = `not run: ${TOTAL_LIMIT_SECONDS / 60} minutes had passed`;
      totals.failed.push({ stage: stage.name, name: stage.name, detail });
      continue;
    }
    if ("commands" in stage) {
      if (parts.length === 0) runCommands(stage, totals);
    } else {
      await runFiles(stage, parts, totals, TOTAL_LIMIT_SECONDS - elapsed);
    }
  }
  printSummary(totals, (performance.now() - started) / 1000);
  return totals.failed.length > 0 || totals.passed === 0 ? 1 : 0;
}

function runCommands(stage: CommandStage, totals: Totals): void {
  const began = performance.now();
  let output = "";
  let good = true;
  for (const [command = "", ...args] of stage.commands) {
    const program = command === "node" ? process.execPath : command;
    const run = spawnSync(program, args, {
      encoding: "utf8",
      timeout: 300_000,
      maxBuffer: 1 << 26,
    });
    output += run.stdout + run.stderr;
    if (run.status === 0) continue;
    good = false;
    output += run.error === undefined ? "" : `${command}: ${run.error.message}\n`;
    break;
  }
  writeFileSync(join(outputFolder, `${stage.name}.log`), output);
  if (good) {
    totals.passed++;
  } else {
    console.log(tail(output, 100));
    totals.failed.push({ stage: stage.name, name: stage.does, detail: "see above" });
  }
  printStage(stage, { passed: good ? 1 : 0, failed: good ? 0 : 1, skipped: 0 }, began);
}

async function runFiles(
  stage: FileStage,
  parts: readonly string[],
  totals: Totals,
  secondsLeft: number,
): Promise<void> {
  const began = performance.now();
  const folder = join(outputFolder, stage.name);
  const waiting = stage.files.filter(
    (file) => parts.length === 0 || parts.some((part) => file.includes(part)),
  );
  if (waiting.length === 0) return;
  const count = { passed: 0, failed: 0, skipped: 0 };
  const limit = (): number => {
    const used = (performance.now() - began) / 1000;
    return Math.max(1, Math.min(stage.fileLimitSeconds, secondsLeft - used));
  };
  const again: FileReport[] = [];
  const work = async (files: string[]): Promise<void> => {
    for (let file = files.shift(); file !== undefined; file = files.shift()) {
      const report = await runTestFile(file, { folder, limitSeconds: limit() });
      if (stage.secondTry && failures(report).length > 0) again.push(report);
      else collect(stage, report, totals, count);
    }
  };
  const isAlone = (file: string): boolean => stage.alone.some((part) => file.includes(part));
  const together = waiting.filter((file) => !isAlone(file));
  await Promise.all(Array.from({ length: stage.atOnce }, () => work(together)));
  await work(waiting.filter(isAlone));
  for (const first of again) {
    const report = await runTestFile(first.file, {
      folder: join(folder, "again"),
      limitSeconds: limit(),
    });
    if (failures(report).length === 0) totals.shaky.push(...findings(stage, first, "failed"));
    collect(stage, report, totals, count);
  }
  printStage(stage, count, began);
}

function failures(report: FileReport): readonly TestResult[] {
  return report.results.filter(({ outcome }) => outcome === "failed");
}

function findings(stage: Stage, report: FileReport, wanted: TestResult["outcome"]): Finding[] {
  const file = relative(root, report.file);
  return report.results
    .filter(({ outcome }) => outcome === wanted)
    .map(({ path, detail }) => {
      return { stage: stage.name, name: `${file}: ${path.join(" > ")}`, detail };
    });
}

type Count = Record<"passed" | "failed" | "skipped", number>;

function collect(stage: Stage, report: FileReport, totals: Totals, count: Count): void {
  const file = relative(root, report.file);
  for (const { outcome } of report.results) count[outcome]++;
  totals.passed += findings(stage, report, "passed").length;
  totals.skipped.push(...findings(stage, report, "skipped"));
  const failed = findings(stage, report, "failed");
  totals.failed.push(...failed);
  for (const { name, detail } of failed) console.log(`FAILED ${name}\n${indent(detail)}`);
  if (failed.length > 0) {
    const written = tail(readFileSync(report.log, "utf8"), 60);
    if (written !== "")
      console.log(
        `  what ${file} wrote (all of it: ${relative(root, report.log)}):\n${indent(written)}`,
      );
  }
}

function printStage({ name }: Stage, { passed, failed, skipped }: Count, began: number): void {
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  const extra = `${failed > 0 ? `, ${failed} failed` : ""}${skipped > 0 ? `, ${skipped} skipped` : ""}`;
  console.log(
    `${failed > 0 ? "✗" : "✓"} ${name.padEnd(11)} ${seconds.padStart(6)} s  ${passed} passed${extra}`,
  );
}

function printSummary({ passed, failed, skipped, shaky }: Totals, seconds: number): void {
  if (shaky.length > 0) console.log("\nfailed once, passed when their file ran again:");
  for (const { name, detail } of shaky) console.log(`  ${name}\n${indent(tail(detail, 6))}`);
  if (failed.length > 0) console.log(`\nfailed:`);
  for (const { name, stage } of failed) console.log(`  [${stage}] ${name}`);
  if (skipped.length > 0) console.log(`\nskipped:`);
  for (const { name, detail } of skipped) console.log(`  ${name}: ${detail}`);
  if (passed + failed.length === 0) console.log("nothing ran");
  console.log(`\n${seconds.toFixed(0)} s in all`);
  console.log(`${passed} passed, ${failed.length} failed, ${skipped.length} skipped`);
}

function indent(text: string): string {
  return text.replace(/^/gm, "    ");
}
