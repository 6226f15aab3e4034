import { spawn } from "node:child_process";
import { writeSync } from "node:fs";

/** Set for the process in the background: the number of the descriptor that it writes its verdict to. */
const VARIABLE = "LBPROXY_BACKGROUND_FD";

/** Where the user has started us. */
const START_FOLDER = process.cwd();

/** Whether this process is the one in the background already. */
export function isInBackground(): boolean {
  return process.env[VARIABLE] !== undefined;
}

/**
 * `-D`: starts this very program detached, passes on what it says until it is ready, and gives the exit status: 0 as
 * soon as it serves. Node cannot fork, so the new one reads the configuration again.
 *
 * @param inherited Descriptors that the configuration names (`fd@N`), to be handed on under the same numbers.
 */
export function startInBackground(inherited: readonly number[]): Promise<number> {
  const verdict = Math.max(2, ...inherited) + 1;
  const stdio: ("ignore" | "pipe" | number)[] = ["ignore", "pipe", "pipe"];
  while (stdio.length < verdict)
    stdio.push(inherited.includes(stdio.length) ? stdio.length : "ignore");
  stdio.push("pipe");
  const child = spawn(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    detached: true,
    stdio,
    // `-C` counts from here, there as well.
    cwd: START_FOLDER,
    env: { ...process.env, [VARIABLE]: String(verdict) },
  });
  child.stdout?.on("data", (chunk: Buffer) => process.stdout.write(chunk));
  child.stderr?.on("data", (chunk: Buffer) => process.stderr.write(chunk));
  return new Promise((resolve) => {
    child.stdio[verdict]?.on("data", () => resolve(0));
    child.on("exit", (code) => resolve(code ?? 1));
    child.on("error", () => resolve(1));
  });
}

/** Tells whoever started us that we serve. Nothing is written to its terminal from now on. */
export function tellReady(): void {
  const fd = process.env[VARIABLE];
  if (fd === undefined) return;
  try {
    writeSync(Number(fd), "ready\n");
  } catch {
    // It did not wait.
  }
  delete process.env[VARIABLE];
}
