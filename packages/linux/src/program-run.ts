import type { Micros } from "@ha/base";
import type { SystemError } from "./system-error.ts";

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
}

/** What became of it. Exactly one of these, once. */
export type RunResult =
  | { readonly type: "exited"; readonly code: number; readonly output: string }
  | { readonly type: "signalled"; readonly signal: NodeJS.Signals; readonly output: string }
  /** It had to be ended. `code` or `signal` is how it went in the end. */
  | { readonly type: "timed-out"; readonly output: string }
  /** It never ran: no such file, no permission, bad interpreter, user switch failed, no process to be had. */
  | { readonly type: "not-executed"; readonly error: SystemError };

/** A script under way. */
export interface ProgramRun {
  /** 0 until known, and when nothing could be started. It is also the process group and the session. */
  readonly pid: number;
  readonly done: Promise<RunResult>;
  /** Sends a signal to the whole group; false when it is over. */
  kill(signal: NodeJS.Signals): boolean;
  /** SIGTERM now, SIGKILL after `killAfter`; the result is what it is. */
  stop(): void;
}
