import { spawn } from "node:child_process";
import { closeSync, writeSync } from "node:fs";
import { createInterface } from "node:readline";

/** Tells a started daemon by which descriptor it is to say how the start went. */
const READY_FD = "VRRPD_READY_FD";

/**
 * Starts this program again, detached from the terminal, and waits for its word: keepalived without `-n`. Node can
 * neither fork nor, before 22.15, exec.
 *
 * @returns the exit status for the caller: 0 once the daemon runs, else what it ended with.
 */
export function startInBackground(
  argv: readonly string[],
  { logConsole }: { readonly logConsole: boolean },
): Promise<number> {
  const child = spawn(process.execPath, [...process.execArgv, ...argv], {
    detached: true,
    // Whoever reads our standard error, as ssh and $( ) do, would wait for as long as the daemon lives.
    stdio: ["ignore", "ignore", logConsole ? "inherit" : "ignore", "pipe"],
    env: { ...process.env, [READY_FD]: "3" },
  });
  return new Promise((resolve) => {
    child.on("error", () => resolve(1));
    child.on("exit", (code) => resolve(code ?? 1));
    const word = child.stdio[3];
    if (word === undefined || word === null || !("read" in word)) return;
    createInterface({ input: word }).on("line", (line) => {
      child.unref();
      resolve(/^\d+$/.test(line) ? Number(line) : 1);
    });
  });
}

/** Whether this process was started by `startInBackground`, or in its place by the guard, which waits for no word. */
export function isInBackground(env: NodeJS.ProcessEnv): boolean {
  return env[READY_FD] !== undefined || env["VRRPD_GUARD_FD"] !== undefined;
}

/** Says once how the start went, if somebody waits for it. */
export function sayReady(env: NodeJS.ProcessEnv, verdict: number): void {
  const fd = Number(env[READY_FD]);
  if (env[READY_FD] === undefined) return;
  delete env[READY_FD];
  try {
    writeSync(fd, `${verdict}\n`);
    closeSync(fd);
  } catch {
    // The caller did not wait.
  }
}
