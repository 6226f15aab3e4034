import { type ChildProcess, spawn } from "node:child_process";
import { open } from "node:fs/promises";
import { type Micros, micros, seconds, toMilliseconds } from "@ha/base";

/** A program and whom it runs as. */
export interface ScriptCommand {
  /** Program and arguments. A program `</path` only tests that the file can be opened (keepalived.conf(5)). */
  readonly argv: readonly string[];
  /** Absent: as the daemon itself. Supplementary groups are dropped when given. */
  readonly user?: { readonly uid: number; readonly gid: number };
}

export type ScriptOutcome =
  /** Ended by itself with `status`. */
  | { readonly type: "exited"; readonly status: number }
  | { readonly type: "signalled"; readonly signal: string }
  /** Ran longer than its limit and was ended. */
  | { readonly type: "timeout" }
  /** Never ran: no such file, no permission, no interpreter, the user could not be taken. */
  | { readonly type: "cannot-run"; readonly reason: string };

export interface ScriptResult {
  readonly outcome: ScriptOutcome;
  /** The end of what it wrote to stdout and stderr, at most `OUTPUT_BYTES`. */
  readonly output: string;
  readonly duration: Micros;
}

/** A script that runs. `done` never rejects. */
export interface RunningScript {
  readonly done: Promise<ScriptResult>;
  readonly pid: number | undefined;
  /** SIGTERM to its whole group, SIGKILL `KILL_AFTER` later. */
  stop(): void;
}

/** Output kept of each run. */
export const OUTPUT_BYTES = 4_096;
/** From SIGTERM to SIGKILL. observed: keepalived 2.2.7 */
export const KILL_AFTER = seconds(2);

/**
 * Starts a script in its own session and group, with a clean environment, /dev/null as input, and no descriptor but
 * the three standard ones (Node opens all others close-on-exec).
 *
 * @param limit Longest run; undefined is none.
 */
export function runScript(command: ScriptCommand, limit: Micros | undefined): RunningScript {
  const started = performance.now();
  const elapsed = (): Micros => micros((performance.now() - started) * 1_000);
  const [program = "", ...args] = command.argv;
  if (program.startsWith("<")) return openOnly(program.slice(1).trim(), elapsed);

  let child: ChildProcess;
  try {
    child = spawn(program, args, {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: scriptEnvironment(process.env),
      ...(command.user === undefined ? {} : { uid: command.user.uid, gid: command.user.gid }),
    });
  } catch (error) {
    return {
      pid: undefined,
      done: Promise.resolve({
        outcome: { type: "cannot-run", reason: reasonOf(error) },
        output: "",
        duration: elapsed(),
      }),
      stop: () => {},
    };
  }

  let output = Buffer.alloc(0);
  const keep = (chunk: Buffer): void => {
    output = Buffer.concat([output, chunk]);
    if (output.length > OUTPUT_BYTES) output = output.subarray(output.length - OUTPUT_BYTES);
  };
  child.stdout?.on("data", keep);
  child.stderr?.on("data", keep);
  // A reader that fails is no reason to fail the check.
  child.stdout?.on("error", () => {});
  child.stderr?.on("error", () => {});

  let timedOut = false;
  let ended = false;
  let killTimer: NodeJS.Timeout | undefined;
  const signalGroup = (signal: NodeJS.Signals): void => {
    if (child.pid === undefined) return;
    try {
      process.kill(-child.pid, signal);
    } catch {
      // The group is gone already.
    }
  };
  const stop = (): void => {
    if (ended || killTimer !== undefined) return;
    signalGroup("SIGTERM");
    killTimer = setTimeout(() => signalGroup("SIGKILL"), toMilliseconds(KILL_AFTER));
    killTimer.unref();
  };
  const limitTimer =
    limit === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          stop();
        }, toMilliseconds(limit));
  limitTimer?.unref();

  const done = new Promise<ScriptResult>((resolve) => {
    const finish = (outcome: ScriptOutcome): void => {
      if (ended) return;
      ended = true;
      clearTimeout(limitTimer);
      // What ignores SIGTERM inside the group still gets its SIGKILL; a group that is gone needs none.
      if (!timedOut) clearTimeout(killTimer);
      const duration = elapsed();
      // The last lines may still be in the pipe; a grandchild that holds it open must not hold us.
      setImmediate(() => {
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve({ outcome, output: output.toString("utf8"), duration });
      });
    };
    child.on("error", (error) => finish({ type: "cannot-run", reason: reasonOf(error) }));
    child.on("exit", (status, signal) => {
      if (timedOut) finish({ type: "timeout" });
      else if (signal !== null) finish({ type: "signalled", signal });
      else finish(outcomeOf(status ?? 0));
    });
  });
  return { pid: child.pid, done, stop };
}

/** The daemon's environment without what could change or tell a child more than it should know. */
export function scriptEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => !WITHHELD.some((pattern) => pattern.test(name))),
  );
}

const WITHHELD = [
  /^LD_/,
  /^IFS$/,
  /^NODE_/,
  /^VRRPD_/,
  /^NOTIFY_SOCKET$/,
  /^WATCHDOG_/,
  /^LISTEN_/,
  /^CREDENTIALS_DIRECTORY$/,
  /^INVOCATION_ID$/,
  /^JOURNAL_STREAM$/,
];

/**
 * A shell says 126 and 127 for what it could not execute. keepalived counts that as success (observed: 2.2.7); a check
 * that cannot be made is a failure here.
 */
function outcomeOf(status: number): ScriptOutcome {
  if (status === 126) return { type: "cannot-run", reason: "status 126: not executable" };
  if (status === 127) return { type: "cannot-run", reason: "status 127: command not found" };
  return { type: "exited", status };
}

function openOnly(path: string, elapsed: () => Micros): RunningScript {
  const result = (outcome: ScriptOutcome): ScriptResult => ({
    outcome,
    output: "",
    duration: elapsed(),
  });
  const done = open(path, "r").then(
    async (file) => {
      await file.close();
      return result({ type: "exited", status: 0 });
    },
    () => result({ type: "exited", status: 1 }),
  );
  return { pid: undefined, done, stop: () => {} };
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return "code" in error && typeof error.code === "string"
    ? (SPAWN_ERRORS[error.code] ?? error.code)
    : error.message;
}

const SPAWN_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "no such file, or its interpreter is missing",
  EACCES: "not executable",
  ENOEXEC: "neither a program nor a script with an interpreter line",
  EPERM: "its user or group could not be taken",
  EAGAIN: "too many processes",
  ENOMEM: "out of memory",
};
