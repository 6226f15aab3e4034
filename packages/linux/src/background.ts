import { spawn } from "node:child_process";
import { closeSync, writeSync } from "node:fs";
import process from "node:process";
import type { Readable } from "node:stream";
import { type Micros, seconds, toMilliseconds } from "@ha/base";
import { SystemError, wrapError } from "./system-error.ts";

/** How a start in the background went, seen by the process that the user has called. */
export type BackgroundVerdict =
  /** It serves. */
  | { readonly type: "ready"; readonly pid: number }
  /** It has ended, or said that it cannot serve: what the caller is to exit with. */
  | { readonly type: "failed"; readonly exitCode: number }
  | { readonly type: "not-started"; readonly error: SystemError };

export interface BackgroundOptions {
  /** Program and arguments, the option for the background left out. */
  readonly argv: readonly [string, ...string[]];
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** How long to wait for the verdict; 30 s. A start that takes longer has failed, and is ended. */
  readonly timeout?: Micros;
  /** Where the daemon's standard output and error go: ours, so that early messages are seen, or nowhere. `inherit`. */
  readonly output?: "inherit" | "ignore";
}

const READY_FD = "HA_READY_FD";
const CHILD_FD = 3;
const DEFAULT_TIMEOUT = seconds(30);
const EXIT_FAILURE = 1;

/**
 * Starts a daemon in a session of its own and waits for its word: Node can neither fork nor detach itself. The caller
 * exits with the verdict. Never rejects.
 */
export function startInBackground(options: BackgroundOptions): Promise<BackgroundVerdict> {
  const [program, ...args] = options.argv;
  const output = options.output ?? "inherit";
  return new Promise((resolve) => {
    const child = spawn(program, args, {
      detached: true,
      env: { ...(options.environment ?? process.env), [READY_FD]: String(CHILD_FD) },
      stdio: ["ignore", output, output, "pipe"],
    });
    const pipe = child.stdio[CHILD_FD] as Readable | null | undefined;
    let words = "";
    const settle = (verdict: BackgroundVerdict): void => {
      clearTimeout(timer);
      pipe?.destroy();
      child.unref();
      resolve(verdict);
    };
    const timer = setTimeout(
      () => {
        child.kill("SIGKILL");
        settle({ type: "failed", exitCode: EXIT_FAILURE });
      },
      toMilliseconds(options.timeout ?? DEFAULT_TIMEOUT),
    );
    pipe?.on("data", (data: Buffer) => {
      words += data.toString("latin1");
      const line = /^(ready|failed) (\d+)\n/.exec(words);
      if (line === null) return;
      if (line[1] === "ready") settle({ type: "ready", pid: child.pid ?? 0 });
      else settle({ type: "failed", exitCode: Number(line[2]) });
    });
    child.on("error", (error) => {
      settle({ type: "not-started", error: wrapError(`start ${program}`, error) });
    });
    child.on("exit", (code, signal) => {
      const error = new SystemError(`start ${program}`, signal ?? "EUNKNOWN");
      if (code === null) settle({ type: "not-started", error });
      // Also when it ends with 0 and without a word: it does not serve.
      else settle({ type: "failed", exitCode: code });
    });
  });
}

/** Whether `startInBackground` waits for our word. */
export function isStartedInBackground(): boolean {
  return process.env[READY_FD] !== undefined;
}

/** Gives the word: we serve, or (with an exit code) we do not. Once; does nothing where nobody waits. */
export function reportStart(exitCode?: number): void {
  const fd = Number(process.env[READY_FD] ?? "");
  if (process.env[READY_FD] === undefined || !Number.isInteger(fd) || fd <= 2) return;
  delete process.env[READY_FD];
  try {
    writeSync(fd, exitCode === undefined ? "ready 0\n" : `failed ${exitCode}\n`);
    closeSync(fd);
  } catch {
    // Whoever waited has gone; we go on all the same.
  }
}
