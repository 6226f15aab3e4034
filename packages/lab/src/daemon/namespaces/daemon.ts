import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Host, type HostProcess, programOf } from "./host.ts";
import { now, until } from "./wall-clock.ts";

/** Which program speaks VRRP on a host. */
export type DaemonKind = "keepalived" | "vrrpd";

export interface LogLine {
  readonly time: number;
  readonly text: string;
}

const VRRPD = fileURLToPath(new URL("../../../../vrrpd/bin/vrrpd.js", import.meta.url));

export const CONFIG_PATH = "/etc/keepalived/keepalived.conf";

/** The command line that starts a daemon with these options. */
export function commandOf(kind: DaemonKind, options: readonly string[]): [string, ...string[]] {
  return kind === "keepalived" ? ["keepalived", ...options] : [process.execPath, VRRPD, ...options];
}

/** A keepalived or vrrpd in the foreground of a host, with its log. */
export class Daemon {
  readonly kind: DaemonKind;
  readonly host: Host;
  /** The process that was started. keepalived's work is done by a child of it, and vrrpd has its guard. */
  readonly pid: number;
  readonly startedAt: number;
  readonly log: LogLine[] = [];
  readonly #wrapper: HostProcess;
  readonly #onLine: (line: LogLine) => void;

  private constructor(
    kind: DaemonKind,
    host: Host,
    wrapper: HostProcess,
    pid: number,
    startedAt: number,
    onLine: (line: LogLine) => void,
  ) {
    this.kind = kind;
    this.host = host;
    this.pid = pid;
    this.startedAt = startedAt;
    this.#wrapper = wrapper;
    this.#onLine = onLine;
  }

  /** Writes the configuration and starts the daemon; does not wait for it to do anything. */
  static async start(
    kind: DaemonKind,
    host: Host,
    config: string,
    {
      options = ["-n", "-l", "-D"],
      onLine = () => {},
    }: { options?: readonly string[]; onLine?: (line: LogLine) => void } = {},
  ): Promise<Daemon> {
    host.writeFile(CONFIG_PATH, config);
    const [command, ...args] = commandOf(kind, options);
    const startedAt = now();
    const wrapper = host.spawn(command, args);
    const pid = await programOf(wrapper);
    const daemon = new Daemon(kind, host, wrapper, pid, startedAt, onLine);
    daemon.#follow(wrapper.stdout);
    daemon.#follow(wrapper.stderr);
    return daemon;
  }

  /** Whether nothing of it runs any more. The process that was started may have left a successor behind. */
  get ended(): boolean {
    const exited = this.#wrapper.exitCode !== null || this.#wrapper.signalCode !== null;
    return exited && this.processes().length === 0;
  }

  /** Of the process that was started. Undefined while it runs, and after a death by signal. */
  get exitCode(): number | undefined {
    return this.#wrapper.exitCode ?? undefined;
  }

  /** All processes of the daemon, oldest first: those that it starts anew are no children of the first. */
  processes(): number[] {
    return processesOf(this.host.pid).filter((pid) => !BESIDE.has(nameOf(pid)));
  }

  /** The process that speaks VRRP: keepalived's child, or the newest Node.js. */
  speaker(): number {
    const own = this.processes().filter((pid) => this.kind === "keepalived" || isNode(pid));
    const last = own.at(-1);
    if (last === undefined) throw new Error(`no ${this.kind} runs on ${this.host.name}`);
    return last;
  }

  /** A signal to the process that was started. Returns when it was sent. */
  signal(name: NodeJS.Signals): number {
    // A guard may have started the daemon anew since: its PID file then holds another number as well.
    const pid = isAlive(this.pid) ? this.pid : this.speaker();
    const time = now();
    kill(pid, name);
    return time;
  }

  /** SIGTERM, and waits for the end. Returns when the signal was sent. */
  async stop(limitMs = 10_000): Promise<number> {
    const time = this.signal("SIGTERM");
    await this.waitForEnd(limitMs);
    return time;
  }

  waitForEnd(limitMs: number): Promise<true> {
    return until(`${this.kind} on ${this.host.name} to end`, limitMs, () => this.ended);
  }

  /** SIGKILL of every process at once: they are stopped first, so that none sees another die. */
  async killAll(): Promise<number> {
    const processes = this.processes();
    for (const pid of processes) kill(pid, "SIGSTOP");
    const time = now();
    for (const pid of processes) kill(pid, "SIGKILL");
    this.wake();
    await this.waitForEnd(5_000);
    return time;
  }

  /** SIGSTOP of every process: they hang, the host's kernel lives on. */
  freeze(): number {
    const time = now();
    for (const pid of this.processes()) kill(pid, "SIGSTOP");
    return time;
  }

  thaw(): number {
    const time = now();
    for (const pid of this.processes()) kill(pid, "SIGCONT");
    this.wake();
    return time;
  }

  /** New configuration and SIGHUP. */
  reload(config: string): number {
    this.host.writeFile(CONFIG_PATH, config);
    return this.signal("SIGHUP");
  }

  /** Waits for a line of the log that matches, written at or after `since`. */
  waitForLog(pattern: RegExp, limitMs: number, since = this.startedAt): Promise<LogLine> {
    return until(`${pattern} in the log of ${this.kind} on ${this.host.name}`, limitMs, () => {
      const line = this.log.find(({ time, text }) => time >= since && pattern.test(text));
      if (line === undefined && this.ended) throw new Error(`${this.kind} ended:\n${this.text()}`);
      return line;
    });
  }

  /** The whole log, for a failure report. */
  text(): string {
    const seconds = (time: number): string => ((time - this.startedAt) / 1e6).toFixed(3);
    return this.log
      .map(({ time, text }) => `${this.host.name} ${seconds(time)} ${text}`)
      .join("\n");
  }

  /** The wrapper stops as its program stops (nsenter does so), and would never tell its end. */
  wake(): void {
    if (this.#wrapper.pid !== undefined) kill(this.#wrapper.pid, "SIGCONT");
  }

  #follow(stream: NodeJS.ReadableStream): void {
    let unread = "";
    stream.on("data", (chunk: Buffer) => {
      const time = now();
      const lines = (unread + chunk).split("\n");
      unread = lines.pop() ?? "";
      for (const text of lines) {
        this.log.push({ time, text });
        this.#onLine({ time, text });
      }
    });
  }
}

/** A signal to a process that may be gone. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** What may run on a host beside its daemon. */
const BESIDE = new Set(["haproxy", "sh", "kill", "sleep", "socat", "tcpdump"]);

/** Every living process of a host but its first, whose namespace names the host; lowest PID, so usually oldest, first. */
export function processesOf(first: number): number[] {
  const namespace = namespaceOf(first);
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => pid !== first && namespaceOf(pid) === namespace && isAlive(pid))
    .sort((a, b) => a - b);
}

function namespaceOf(pid: number): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`);
  } catch {
    return undefined; // It ended meanwhile.
  }
}

function isNode(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/exe`) === process.execPath;
  } catch {
    return false;
  }
}

/** What ps shows as its name; empty when it is gone. */
export function nameOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8").trim();
  } catch {
    return "";
  }
}

function isAlive(pid: number): boolean {
  try {
    // The state stands behind the name, which may hold anything.
    return !/\) [ZX] [^)]*$/.test(readFileSync(`/proc/${pid}/stat`, "utf8"));
  } catch {
    return false;
  }
}
