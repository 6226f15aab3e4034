import { createServer, type Server, type Socket } from "node:net";
import { bindOne } from "./bind-sockets.ts";
import type { CommandLine } from "./cli.ts";
import { loadConfiguration } from "./config-check.ts";
import type { Master } from "./master.ts";
import { masterAnswer } from "./master-commands.ts";
import type { StartReport } from "./start-report.ts";
import { connectWorkerApi, type WorkerApi } from "./worker-api.ts";

/** Clients that may wait. */
const BACKLOG = 10;
/** A line is no longer than HAProxy's buffer. */
const MOST_INPUT = 16_384;

/**
 * Binds the sockets of `-S`: an address, then words of `bind` after commas. Undefined after saying what is wrong.
 * HAProxy management guide §3, -S.
 */
export async function bindMasterSockets(
  command: CommandLine,
  report: StartReport,
): Promise<readonly number[] | undefined> {
  const bound: number[] = [];
  for (const text of command.masterSockets) {
    const words = text.replaceAll(",", " ");
    const file = { name: "-S", text: `global\n  stats socket ${words}\n` };
    const { config, findings } = await loadConfiguration(command, [file]);
    const bind = config?.global.stats.sockets[0];
    if (bind === undefined || findings.errors > 0) {
      report.findings(findings.list);
      report.say("ALERT", `Can't create the master's CLI: '${text}'.`);
      return undefined;
    }
    const fd = bindOne(bind, BACKLOG);
    if (typeof fd !== "number") {
      report.say("ALERT", `Can't create the master's CLI: ${fd.what} [${text}]`);
      return undefined;
    }
    bound.push(fd);
  }
  return bound;
}

/** One socket of the master's CLI. HAProxy management guide §9.4. */
export class MasterCli {
  readonly #master: Master;
  readonly #fd: number;
  readonly #server: Server;

  constructor(master: Master, fd: number) {
    this.#master = master;
    this.#fd = fd;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      new MasterClient(this.#master, socket).start();
    });
  }

  listen(): void {
    this.#server.listen({ fd: this.#fd });
  }
}

/** One client: a line, its answers, the end; with `prompt` as many lines as it likes. */
class MasterClient {
  readonly #master: Master;
  readonly #socket: Socket;
  #input = "";
  #ended = false;
  #isRunning = false;
  #isInteractive = false;
  /** `@N` alone: where commands without a prefix go. Undefined is the master. */
  #target: number | undefined;
  #api: WorkerApi | undefined;

  constructor(master: Master, socket: Socket) {
    this.#master = master;
    this.#socket = socket;
  }

  start(): void {
    const socket = this.#socket;
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      this.#input += text;
      if (this.#input.length > MOST_INPUT) socket.destroy();
      else this.#advance();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#advance();
    });
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#api?.close());
  }

  #advance(): void {
    if (this.#isRunning || this.#socket.destroyed) return;
    const end = this.#input.indexOf("\n");
    if (end < 0 && !(this.#ended && this.#input !== "")) {
      if (this.#ended) this.#socket.end();
      return;
    }
    const line = end < 0 ? this.#input : this.#input.slice(0, end);
    this.#input = end < 0 ? "" : this.#input.slice(end + 1);
    this.#isRunning = true;
    void this.#take(line.replace(/\r$/, "")).then((isOver) => {
      this.#isRunning = false;
      if (isOver) this.#socket.end();
      else this.#advance();
    });
  }

  /** Runs one line; true when the connection is over. */
  async #take(line: string): Promise<boolean> {
    let target = this.#target;
    for (const command of splitCommands(line)) {
      const [, prefix, rest = ""] = /^(@\S*)\s*(.*)$/s.exec(command) ?? [
        command,
        undefined,
        command,
      ];
      if (prefix !== undefined) {
        const found = this.#resolve(prefix);
        if (found === undefined) {
          this.#say(`Can't find the target PID matching the prefix '${prefix}'\n`);
          return this.#afterLine();
        }
        target = found === "master" ? undefined : found;
        if (rest === "") {
          this.#target = target;
          continue;
        }
      }
      const words = rest.trim();
      if (words === "quit") return true;
      if (words === "prompt" && target === undefined) {
        this.#isInteractive = !this.#isInteractive;
        continue;
      }
      if (words === "") continue;
      this.#say(
        target === undefined
          ? await masterAnswer(this.#master, words)
          : await this.#relay(target, words),
      );
    }
    return this.#afterLine();
  }

  #afterLine(): boolean {
    if (!this.#isInteractive) return true;
    this.#say(this.#target === undefined ? "master> " : `${this.#target}> `);
    return false;
  }

  /** `@N` is the Nth worker from the newest, `@!PID` that process, `@master` and `@0` the master. */
  #resolve(prefix: string): "master" | number | undefined {
    const name = prefix.slice(1);
    if (name === "master" || name === "0" || name === "") return "master";
    const { workers } = this.#master;
    if (name.startsWith("!")) {
      const pid = Number(name.slice(1));
      if (pid === process.pid) return "master";
      return workers.find((worker) => worker.pid === pid)?.pid;
    }
    if (!/^[1-9]\d{0,6}$/.test(name)) return undefined;
    const serving = workers.filter(({ isLeaving }) => !isLeaving);
    return serving.at(-Number(name))?.pid;
  }

  async #relay(pid: number, words: string): Promise<string> {
    const worker = this.#master.workers.find((candidate) => candidate.pid === pid);
    if (worker === undefined) return `Can't find the target PID matching the prefix '@!${pid}'\n`;
    if (this.#api?.pid !== pid) {
      this.#api?.close();
      this.#api = connectWorkerApi(worker);
    }
    const answer = await this.#api?.ask(words);
    if (answer === undefined) {
      this.#api = undefined;
      return "Can't connect to the target CLI!\n";
    }
    return answer;
  }

  #say(text: string): void {
    if (!this.#socket.destroyed) this.#socket.write(text, "latin1");
  }
}

/** Commands between `;` that no backslash keeps. */
function splitCommands(line: string): string[] {
  const parts = line.match(/(?:\\.|[^;\\])+/gs) ?? [""];
  return parts.map((part) => part.trim());
}
