import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync } from "node:fs";
import { basename, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { TestResult } from "./test-reporter.ts";

/** What running one test file came to. */
export interface FileReport {
  readonly file: string;
  readonly results: readonly TestResult[];
  readonly seconds: number;
  /** Everything that the file wrote. */
  readonly log: string;
}

const REPORTER = fileURLToPath(new URL("./test-reporter.js", import.meta.url));
/** Process groups that are running now; a signal to the runner ends them. */
const running = new Set<ChildProcess>();

/**
 * Runs one built test file in a process group of its own. Never rejects: a file that ends badly, takes longer than
 * `limitSeconds` or holds no test gives one failed result that says so.
 */
export async function runTestFile(
  file: string,
  { folder, limitSeconds }: { folder: string; limitSeconds: number },
): Promise<FileReport> {
  mkdirSync(folder, { recursive: true });
  const name = basename(file, ".js");
  const log = join(folder, `${name}.log`);
  const events = join(folder, `${name}.jsonl`);
  rmSync(events, { force: true });
  const output = openSync(log, "w");
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [
      "--enable-source-maps",
      "--test-reporter",
      REPORTER,
      "--test-reporter-destination",
      events,
      file,
    ],
    { detached: true, stdio: ["ignore", output, output] },
  );
  closeSync(output);
  running.add(child);
  const ending = await waitFor(child, limitSeconds);
  running.delete(child);
  const results = readEvents(events);
  const seconds = (performance.now() - started) / 1000;
  const problem = findProblem(ending, results);
  if (problem !== undefined) {
    results.push({
      outcome: "failed",
      path: [name],
      milliseconds: seconds * 1000,
      detail: `${problem}\n${tail(readFileSync(log, "utf8"), 40)}`,
    });
  }
  return { file, results, seconds, log };
}

/** Ends every test file that is still running: first asks, then insists. */
export async function stopTestFiles(): Promise<void> {
  const children = [...running];
  for (const child of children) signalGroup(child, "SIGTERM");
  await new Promise((resolve) => setTimeout(resolve, children.length === 0 ? 0 : 1000));
  for (const child of children) signalGroup(child, "SIGKILL");
}

interface Ending {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly timedOut: boolean;
  readonly limitSeconds: number;
}

function waitFor(child: ChildProcess, limitSeconds: number): Promise<Ending> {
  return new Promise((resolve) => {
    let timedOut = false;
    const limit = setTimeout(() => {
      timedOut = true;
      signalGroup(child, "SIGTERM");
      setTimeout(() => signalGroup(child, "SIGKILL"), 2000).unref();
    }, limitSeconds * 1000);
    const finish = (code: number | null, signal: NodeJS.Signals | null): void => {
      clearTimeout(limit);
      // What a test left behind in its group must not live on beside the next file.
      signalGroup(child, "SIGKILL");
      resolve({ code, signal, timedOut, limitSeconds });
    };
    child.once("exit", finish);
    child.once("error", () => finish(null, null));
  });
}

function findProblem(ending: Ending, results: readonly TestResult[]): string | undefined {
  if (ending.timedOut) return `took longer than ${ending.limitSeconds} s and was stopped`;
  const failed = results.some(({ outcome }) => outcome === "failed");
  if (ending.code !== 0 && !failed) {
    return `ended with ${ending.signal ?? `status ${ending.code}`} though no test failed`;
  }
  if (results.length === 0) return "holds no test";
  return undefined;
}

function readEvents(path: string): TestResult[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch {
    return []; // The file ended before its first test: `findProblem` reports it.
  }
  // A process that was killed leaves half a line at the end.
  const lines = text.slice(0, text.lastIndexOf("\n") + 1).split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line));
}

function signalGroup(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch {
    // The group is gone already.
  }
}

export function tail(text: string, lines: number): string {
  return text.trimEnd().split("\n").slice(-lines).join("\n");
}
