import { type ChildProcessByStdio, execFile, spawn } from "node:child_process";
import type { Readable, Writable } from "node:stream";
import { type Micros, micros } from "@ha/base";
import { lineReader } from "./line-reader.ts";
import { now } from "./namespaces/wall-clock.ts";

/** How often a machine is asked for its time, to find the quickest answer. */
const ROUND_TRIPS = 6;

type Child = ChildProcessByStdio<Writable, Readable, Readable>;

/** How long a command on a machine may take; emulated ones need seconds to answer at all. */
const COMMAND_LIMIT_MS = 120_000;

/**
 * A machine that is reached by ssh, as root by sudo. Commands share one connection: a new one costs a second and more
 * on an emulated machine. Its clock is its own: `toOurs` converts.
 */
export class SshMachine {
  readonly name: string;
  readonly #config: string;
  readonly #control: string;
  /** Its clock less ours, in microseconds. */
  #offset = 0;

  /** @param options `config`: the file of `vagrant ssh-config`; `folder`: where the shared connection's socket goes. */
  constructor(name: string, options: { readonly config: string; readonly folder: string }) {
    this.name = name;
    this.#config = options.config;
    this.#control = `${options.folder}/ssh-${name}`;
  }

  /** Runs a shell script as root and gives its output. Rejects when it fails. */
  run(script: string, { input = "" }: { readonly input?: string } = {}): Promise<string> {
    return new Promise((resolve, reject) => {
      const child = execFile(
        "ssh",
        this.#arguments(script),
        { timeout: COMMAND_LIMIT_MS, maxBuffer: 1 << 26 },
        (error, stdout, stderr) => {
          if (error === null) resolve(stdout);
          else
            reject(new Error(`${this.name}: ${script.split("\n")[0]}: ${stderr || error.message}`));
        },
      );
      child.stdin?.on("error", () => {});
      child.stdin?.end(input);
    });
  }

  /** Runs a shell script as root that goes on until its standard input ends, or the connection. */
  spawn(script: string): Child {
    return spawn("ssh", this.#arguments(script), { stdio: ["pipe", "pipe", "pipe"] });
  }

  async writeFile(path: string, text: string): Promise<void> {
    await this.run(`cat > ${quote(path)}`, { input: text });
  }

  /**
   * Runs a script and gives the time at which it had done its work, taken on the machine: how long ssh takes to get there
   * does not count.
   */
  async runAt(script: string): Promise<Micros> {
    const said = await this.run(`${script}\ndate +%s.%N`);
    return this.toOurs(Number(said.trim().split("\n").at(-1)) * 1e6);
  }

  /**
   * Learns how far the machine's clock is from ours: by the quickest of some round trips through one shell, since each
   * ssh costs an emulated machine a second.
   */
  async syncClock(): Promise<void> {
    const shell = this.spawn("while read word; do date +%s.%N; done");
    let said = "";
    shell.stderr.on("data", (chunk: Buffer) => {
      said += chunk;
    });
    shell.stdin.on("error", () => {});
    const answers: string[] = [];
    let wake = (): void => {};
    shell.stdout.on(
      "data",
      lineReader((line) => {
        answers.push(line);
        wake();
      }),
    );
    const closed = new Promise<void>((resolve) => shell.once("close", () => resolve()));
    void closed.then(() => wake());
    let best = Number.POSITIVE_INFINITY;
    for (let i = 0; i < ROUND_TRIPS; i++) {
      const answered = new Promise<void>((resolve) => {
        wake = resolve;
      });
      const before = now();
      shell.stdin.write("\n");
      await answered;
      const after = now();
      const line = answers.shift();
      if (line === undefined)
        throw new Error(`${this.name} does not answer by ssh: ${said.trim()}`);
      if (after - before >= best) continue;
      best = after - before;
      this.#offset = Number(line) * 1e6 - (before + after) / 2;
    }
    shell.stdin.end();
    await closed;
  }

  toOurs(time: number): Micros {
    return micros(time - this.#offset);
  }

  /** Ends the shared connection: that of a machine that was powered off would hang. */
  disconnect(): Promise<void> {
    return new Promise((resolve) => {
      const options = ["-F", this.#config, "-o", `ControlPath=${this.#control}`, "-O", "exit"];
      execFile("ssh", [...options, this.name], () => resolve());
    });
  }

  #arguments(script: string): string[] {
    return [
      "-F",
      this.#config,
      ...["-o", "ControlMaster=auto", "-o", `ControlPath=${this.#control}`],
      ...["-o", "ControlPersist=600", "-o", "ConnectTimeout=30", "-o", "ServerAliveInterval=10"],
      ...["-o", "LogLevel=ERROR"],
      this.name,
      `sudo sh -c ${quote(script)}`,
    ];
  }
}

/** A word of the shell. */
export function quote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
