import { readFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { type Micros, micros } from "@ha/base";
import { type Credentials, cleanEnvironment, type RunResult, runProgram } from "@ha/linux";
import type { ScriptUser } from "../core/config/model.ts";

/** A program and whom it runs as. */
export interface ScriptCommand {
  /** Program and arguments. A program `</path` only tests that the file can be opened (keepalived.conf(5)). */
  readonly argv: readonly string[];
  /** Absent: as the daemon itself. */
  readonly user?: ScriptUser;
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
  /** SIGTERM to its whole group, SIGKILL 2 s later. */
  stop(): void;
}

/** Output kept of each run. */
export const OUTPUT_BYTES = 4_096;

/**
 * Starts a script in a session and group of its own, with a clean environment, /dev/null as input and no descriptor of
 * ours. It ends with us.
 *
 * @param limit Longest run; undefined is none.
 */
export function runScript(command: ScriptCommand, limit: Micros | undefined): RunningScript {
  const started = performance.now();
  const elapsed = (): Micros => micros((performance.now() - started) * 1_000);
  const [program = "", ...args] = command.argv;
  if (program.startsWith("<")) return openOnly(program.slice(1).trim(), elapsed);
  const { user } = command;
  const run = runProgram({
    argv: [program, ...args],
    environment: scriptEnvironment(process.env),
    outputBytes: OUTPUT_BYTES,
    ...(limit === undefined ? {} : { timeout: limit }),
    ...(user === undefined ? {} : { credentials: credentialsOf(user) }),
  });
  return {
    done: run.done.then((result) => ({
      outcome: outcomeOf(result),
      output: "output" in result ? result.output : "",
      duration: elapsed(),
    })),
    stop: () => run.stop(),
  };
}

/** The daemon's environment without what could change a child, or tell it more than it should know. */
export function scriptEnvironment(env: NodeJS.ProcessEnv): Record<string, string> {
  return Object.fromEntries(
    Object.entries(cleanEnvironment(env)).filter(([name]) => !WITHHELD.test(name)),
  );
}

const WITHHELD =
  /^(VRRPD_|WATCHDOG_|LISTEN_|CREDENTIALS_DIRECTORY$|INVOCATION_ID$|JOURNAL_STREAM$|SYSTEMD_)/;

/**
 * A shell says 126 and 127 for what it could not execute. keepalived counts that as success (observed: 2.2.7); a check
 * that cannot be made is a failure here.
 */
function outcomeOf(result: RunResult): ScriptOutcome {
  switch (result.type) {
    case "exited":
      if (result.code === 126) return { type: "cannot-run", reason: "status 126: not executable" };
      if (result.code === 127)
        return { type: "cannot-run", reason: "status 127: command not found" };
      return { type: "exited", status: result.code };
    case "signalled":
      return { type: "signalled", signal: result.signal };
    case "timed-out":
      return { type: "timeout" };
    case "not-executed": {
      const { code, message } = result.error;
      return { type: "cannot-run", reason: EXECUTION_ERRORS[code] ?? message };
    }
  }
}

const EXECUTION_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "no such file, or its interpreter is missing",
  EACCES: "not executable",
  ENOEXEC: "neither a program nor a script with an interpreter line",
  EPERM: "its user or group could not be taken",
  EAGAIN: "too many processes",
  ENOMEM: "out of memory",
};

function credentialsOf({ name, uid, gid, supplementary }: ScriptUser): Credentials {
  return { uid, gid, groups: supplementary ? supplementaryGroups(name, gid) : [] };
}

/** As initgroups(3): every group that names the user as a member, and its own. Read once a user. */
function supplementaryGroups(user: string, gid: number): readonly number[] {
  let groups = knownGroups.get(user);
  if (groups === undefined) {
    groups = [gid, ...groupsOf(user)];
    knownGroups.set(user, groups);
  }
  return groups;
}

const knownGroups = new Map<string, readonly number[]>();

function groupsOf(user: string): number[] {
  let text = "";
  try {
    text = readFileSync("/etc/group", "utf8");
  } catch {
    // No groups, then.
  }
  return text.split("\n").flatMap((line) => {
    const [, , gid, members = ""] = line.split(":");
    return gid !== undefined && members.split(",").includes(user) ? [Number(gid)] : [];
  });
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
  return { done, stop: () => {} };
}
