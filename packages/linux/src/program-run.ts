import { type ChildProcess, spawn } from "node:child_process";
import { constants } from "node:os";
import process from "node:process";
import type { Readable } from "node:stream";
import { type Micros, seconds, toMilliseconds } from "@ha/base";
import { nativePath } from "./socket-door.ts";
import { errnoName, SystemError, wrapError } from "./system-error.ts";

/** Whose rights a child runs with. Numbers, since names are looked up once, when the configuration is read. */
export interface Credentials {
  readonly uid: number;
  readonly gid: number;
  /** Supplementary groups; none. */
  readonly groups?: readonly number[];
}

/** How to run a script: never by a shell unless `argv` names one, with closed descriptors and in a session of its own. */
export interface RunOptions {
  /** Program and arguments; the program is a path (no search). */
  readonly argv: readonly [string, ...string[]];
  /** The whole environment of the child; nothing is inherited. Default: `cleanEnvironment()`. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly folder?: string;
  /** Default: our own ids and groups. */
  readonly credentials?: Credentials;
  /** Default: ours. */
  readonly umask?: number;
  /** SIGTERM to the whole group after this; no limit when absent. */
  readonly timeout?: Micros;
  /** From SIGTERM to SIGKILL, which is repeated every 10 s; 2 s. */
  readonly killAfter?: Micros;
  /** Keep this much of the end of what it prints on stdout and stderr, in bytes; 4,096. 0: /dev/null. */
  readonly outputBytes?: number;
  /** Keep our real-time class, niceness and CPU affinity, which scripts do not get otherwise. False. */
  readonly keepScheduling?: boolean;
  /** End the child with us (PR_SET_PDEATHSIG SIGTERM). True. */
  readonly endWithParent?: boolean;
  /** Descriptors that it gets, from 4 on, in this order. None. */
  readonly descriptors?: readonly number[];
  /** Where its standard output and error go instead of being kept: a descriptor. */
  readonly output?: number;
  /** Soft and hard limits, -1 for none. */
  readonly limits?: { readonly nofile?: number; readonly core?: number };
}

/** What became of it. Exactly one of these, once. */
export type RunResult =
  | { readonly type: "exited"; readonly code: number; readonly output: string }
  | { readonly type: "signalled"; readonly signal: NodeJS.Signals; readonly output: string }
  /** It had to be ended. */
  | { readonly type: "timed-out"; readonly output: string }
  /** It never ran: no such file, no permission, bad interpreter, user switch failed, no process to be had. */
  | { readonly type: "not-executed"; readonly error: SystemError };

/** A script under way. */
export interface ProgramRun {
  /** 0 when nothing could be started. It is also the process group and the session. */
  readonly pid: number;
  readonly done: Promise<RunResult>;
  /** Sends a signal to the whole group; false when it is over. */
  kill(signal: NodeJS.Signals): boolean;
  /** SIGTERM now, SIGKILL after `killAfter`; the result is what it is. */
  stop(): void;
}

const DEFAULT_OUTPUT = 4_096;
const DEFAULT_KILL_AFTER = seconds(2);
const KILL_AGAIN_MS = 10_000;
/** How long output may stay open after the program's end, when it left children behind that hold it. */
const OUTPUT_GRACE_MS = 100;
const REPORT_FD = 3;
/** setrlimit(2). */
const RLIMIT_NOFILE = 7;
const RLIMIT_CORE = 4;

/** Root's environment less what changes how programs are loaded and words are split, as keepalived does it. */
export function cleanEnvironment(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): Record<string, string> {
  const clean: Record<string, string> = {};
  for (const [name, value] of Object.entries(environment)) {
    if (value === undefined || name.startsWith("LD_") || name.startsWith("NODE_")) continue;
    if (name === "IFS" || name === "NOTIFY_SOCKET" || name === "WATCHDOG_USEC") continue;
    clean[name] = value;
  }
  return clean;
}

/** Starts a program through `native/launch.c`. Never throws, never rejects: what fails is the result. */
export function runProgram(options: RunOptions): ProgramRun {
  return new LaunchedProgram(options);
}

class LaunchedProgram implements ProgramRun {
  readonly done: Promise<RunResult>;
  readonly #options: RunOptions;
  readonly #child: ChildProcess | undefined;
  readonly #output: TailBuffer;
  #report = "";
  #timedOut = false;
  #over = false;
  #timeout: NodeJS.Timeout | undefined;
  #killer: NodeJS.Timeout | undefined;

  constructor(options: RunOptions) {
    this.#options = options;
    this.#output = new TailBuffer(options.outputBytes ?? DEFAULT_OUTPUT);
    let child: ChildProcess;
    try {
      child = this.#spawn();
    } catch (error) {
      const result: RunResult = { type: "not-executed", error: wrapError("run a script", error) };
      this.#over = true;
      this.done = Promise.resolve(result);
      return;
    }
    this.#child = child;
    this.done = this.#follow(child);
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  kill(signal: NodeJS.Signals): boolean {
    // Never 0 (our own group), never after its end (the number may be another's by then).
    if (this.pid === 0 || this.#over) return false;
    try {
      process.kill(-this.pid, signal);
      return true;
    } catch {
      // Not yet a group leader: the launcher has not come that far.
      return this.#child?.kill(signal) ?? false;
    }
  }

  stop(): void {
    if (!this.kill("SIGTERM") || this.#killer !== undefined) return;
    const after = toMilliseconds(this.#options.killAfter ?? DEFAULT_KILL_AFTER);
    const kill = (): void => {
      if (this.kill("SIGKILL")) this.#killer = setTimeout(kill, KILL_AGAIN_MS);
    };
    this.#killer = setTimeout(kill, after);
  }

  #spawn(): ChildProcess {
    const { argv, credentials, outputBytes } = this.#options;
    const output = this.#options.output ?? (outputBytes === 0 ? "ignore" : "pipe");
    const { descriptors = [], limits = {} } = this.#options;
    const args: string[] = [];
    if (credentials !== undefined) {
      args.push("-u", String(credentials.uid), "-g", String(credentials.gid));
      args.push("-G", (credentials.groups ?? []).join(","));
    }
    if (this.#options.umask !== undefined) args.push("-m", this.#options.umask.toString(8));
    if (this.#options.keepScheduling === true) args.push("-k");
    if (descriptors.length > 0) args.push("-f", String(REPORT_FD + descriptors.length));
    if (limits.nofile !== undefined) args.push("-l", `${RLIMIT_NOFILE}=${limits.nofile}`);
    if (limits.core !== undefined) args.push("-l", `${RLIMIT_CORE}=${limits.core}`);
    if (this.#options.endWithParent !== false) args.push("-d", String(constants.signals.SIGTERM));
    return spawn(nativePath("launch"), [...args, "--", ...argv], {
      detached: true,
      env: { ...(this.#options.environment ?? cleanEnvironment()) },
      stdio: ["ignore", output, output, "pipe", ...descriptors],
      ...(this.#options.folder === undefined ? {} : { cwd: this.#options.folder }),
    });
  }

  #follow(child: ChildProcess): Promise<RunResult> {
    const { timeout } = this.#options;
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (data: Buffer) => this.#output.add(data));
    }
    // Optional chaining on what spawn gave us: a child without process has no pipes.
    const report = child.stdio[REPORT_FD] as Readable | null | undefined;
    report?.on("data", (data: Buffer) => {
      this.#report += data.toString("latin1");
    });
    report?.on("error", ignoreBrokenPipe);
    if (timeout !== undefined) {
      this.#timeout = setTimeout(() => {
        this.#timedOut = true;
        this.stop();
      }, toMilliseconds(timeout));
    }
    return new Promise((resolve) => {
      let settled = false;
      const settle = (result: RunResult): void => {
        if (settled) return;
        settled = true;
        clearTimeout(this.#timeout);
        clearTimeout(this.#killer);
        for (const stream of [child.stdout, child.stderr, report]) stream?.destroy();
        resolve(result);
      };
      child.on("error", (error) => {
        this.#over = true;
        settle({ type: "not-executed", error: wrapError("run a script", error) });
      });
      child.on("exit", (code, signal) => {
        // Whatever it has started and left in its group ends with a script that had to be ended.
        if (this.#timedOut) this.kill("SIGKILL");
        this.#over = true;
        const finish = (): void => settle(this.#result(code, signal));
        child.on("close", finish);
        setTimeout(finish, OUTPUT_GRACE_MS);
      });
    });
  }

  #result(code: number | null, signal: NodeJS.Signals | null): RunResult {
    const [stage, errno] = this.#report.trim().split(/ (?=\d+$)/);
    if (errno !== undefined) {
      const operation = `run ${this.#options.argv[0]} (${stage})`;
      return { type: "not-executed", error: new SystemError(operation, errnoName(Number(errno))) };
    }
    const output = this.#output.text();
    if (this.#timedOut) return { type: "timed-out", output };
    if (signal !== null) return { type: "signalled", signal, output };
    return { type: "exited", code: code ?? 0, output };
  }
}

/** The end of a stream, in bounded memory. */
class TailBuffer {
  readonly #limit: number;
  #bytes: Buffer = Buffer.alloc(0);

  constructor(limit: number) {
    this.#limit = limit;
  }

  add(data: Buffer): void {
    const joined = Buffer.concat([this.#bytes, data]);
    this.#bytes = joined.subarray(Math.max(0, joined.length - this.#limit));
  }

  text(): string {
    return this.#bytes.toString("utf8");
  }
}

function ignoreBrokenPipe(): void {
  // The launcher's end closes when the program starts; that is all there is to know.
}
