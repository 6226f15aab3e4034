import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pause } from "./proxy-pair.ts";

/** The built program. */
export const LBPROXY = fileURLToPath(
  new URL("../../../packages/proxy/bin/lbproxy.js", import.meta.url),
);

/** A program started in a folder of its own, in which its configuration may change. */
export interface Started {
  readonly pid: number;
  readonly child: ChildProcess;
  /** What it has written so far. */
  output(): string;
  signal(name: NodeJS.Signals): void;
  /** Its exit status, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>;
}

/** A folder with a configuration and the processes started on it. */
export class ProxyFolder {
  readonly path = mkdtempSync(join(tmpdir(), "lbproxy-"));
  readonly #started: Started[] = [];

  file(name: string): string {
    return join(this.path, name);
  }

  write(configuration: string): void {
    writeFileSync(this.file("proxy.cfg"), configuration);
  }

  /** Starts lbproxy (or another program that takes the same options) on the folder's configuration. */
  start(
    args: readonly string[],
    options: { readonly program?: string; readonly environment?: NodeJS.ProcessEnv } = {},
  ): Started {
    const [command, first] =
      options.program === undefined ? [process.execPath, [LBPROXY]] : [options.program, []];
    const child = spawn(command, [...first, ...args, "-f", this.file("proxy.cfg")], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...options.environment },
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) {
      stream?.on("data", (chunk: Buffer) => (output += chunk.toString("latin1")));
    }
    const started: Started = {
      pid: child.pid ?? 0,
      child,
      output: () => output,
      signal: (name) => void child.kill(name),
      ended: new Promise((resolve) =>
        child.once("exit", (code, name) => resolve(code ?? name ?? 1)),
      ),
    };
    this.#started.push(started);
    return started;
  }

  /** What everything started here has written. */
  output(): string {
    return this.#started.map(({ pid, output }) => `${pid}:\n${output()}`).join("\n");
  }

  /** Ends what was started, and removes the folder. */
  async close(): Promise<void> {
    for (const { child, signal, ended } of this.#started) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      signal("SIGTERM");
      const timer = setTimeout(() => signal("SIGKILL"), 3_000);
      await ended;
      clearTimeout(timer);
    }
    rmSync(this.path, { recursive: true });
  }
}

/** Waits until `condition` holds; fails with its words after 10 s. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
): Promise<void> {
  for (const end = performance.now() + 10_000; performance.now() < end; await pause(10)) {
    if (await condition()) return;
  }
  throw new Error(`not within 10 s: ${what}`);
}

/** Whether something accepts connections there; `ECONNREFUSED` and the like otherwise. */
export function tryConnect(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve("connected");
    });
    socket.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
  });
}

/** Sends a line to a command socket, shuts down the write side, and gives the whole answer. */
export function ask(path: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path, allowHalfOpen: true });
    let text = "";
    socket.on("data", (chunk) => (text += chunk.toString("latin1")));
    socket.on("end", () => resolve(text));
    socket.on("error", reject);
    socket.end(`${line}\n`);
  });
}

/** Processes whose parent is that one. */
export function childrenOf(pid: number): readonly number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((child) => {
      try {
        const status = readFileSync(`/proc/${child}/stat`, "latin1");
        const [state, parent] = status.slice(status.lastIndexOf(")") + 2).split(" ");
        return state !== "Z" && Number(parent) === pid;
      } catch {
        return false;
      }
    });
}

/** The inode of the socket that listens on that port of 127.0.0.1: one that changes is another socket. */
export function listenerInode(port: number): string | undefined {
  const local = `0100007F:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  const lines = readFileSync("/proc/net/tcp", "latin1").split("\n");
  const fields = lines.map((line) => line.trim().split(/\s+/));
  return fields.find(([, address, , state]) => address === local && state === "0A")?.[9];
}
