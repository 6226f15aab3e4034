import type { Socket } from "node:net";
import { TICKET_QUESTION, ticketAnswer } from "../tls/ticket-secret.ts";
import type { Command, ConnectionState, Level, ProcessControl, Refusal } from "./command.ts";
import { findCommand, hasLevel, helpText, type ParsedCommand, parseLine } from "./command-line.ts";

/** What a connection begins with. */
export interface ApiConnectionOptions {
  readonly level: Level;
  /** Milliseconds. */
  readonly timeout: number;
  readonly severity: "none" | "number" | "string";
  /** `expose-fd listeners`: gives the listening sockets to this client, in answer to `_getsocks`. */
  readonly handOver?: () => void;
  /** The same, in answer to `_gettickets`: what TLS tickets are made with. */
  readonly ticketSecret?: Uint8Array;
}

/**
 * One client of a stats socket: a line (several commands apart by `;`), its answer, and the end; with `prompt` as
 * many lines as it likes. An answer ends with an empty line. A client that has shut down its side still gets its
 * answers. HAProxy management guide §9.3.
 */
export class ApiConnection {
  readonly #socket: Socket;
  readonly #commands: readonly Command[];
  readonly #process: ProcessControl;
  readonly #handOver: (() => void) | undefined;
  readonly #ticketSecret: Uint8Array | undefined;
  readonly state: ConnectionState;
  #input = "";
  #ended = false;
  #isRunning = false;
  /** Commands of the line under way whose last one waits for its payload. */
  #awaiting: { readonly commands: readonly ParsedCommand[]; readonly lines: string[] } | undefined;

  constructor(
    socket: Socket,
    commands: readonly Command[],
    process: ProcessControl,
    options: ApiConnectionOptions,
  ) {
    this.#socket = socket;
    this.#commands = commands;
    this.#process = process;
    this.#handOver = options.handOver;
    this.#ticketSecret = options.ticketSecret;
    this.state = {
      level: options.level,
      isInteractive: false,
      timeout: options.timeout,
      severity: options.severity,
      isExpert: false,
      isExperimental: false,
      isClosing: false,
    };
    socket.setEncoding("latin1");
    socket.setTimeout(options.timeout, () => socket.destroy());
    socket.on("data", (text: string) => {
      this.#input += text;
      // A command is no longer than HAProxy's buffer; payloads have their own room.
      if (this.#input.length > MAX_INPUT) socket.destroy();
      else this.#advance();
    });
    socket.on("end", () => {
      this.#ended = true;
      this.#advance();
    });
    socket.on("error", () => socket.destroy());
  }

  #advance(): void {
    if (this.#isRunning || this.state.isClosing || this.#socket.destroyed) return;
    const line = this.#nextLine();
    if (line === undefined) {
      if (this.#ended) this.#finish();
      return;
    }
    this.#isRunning = true;
    this.#take(line).then(
      () => {
        this.#isRunning = false;
        if (this.state.isClosing) this.#finish();
        else this.#advance();
      },
      (error: unknown) => {
        // A mistake of ours must not take the proxy with it: the client hears of it.
        this.#say(`Internal error: ${error instanceof Error ? error.message : String(error)}\n\n`);
        this.#finish();
      },
    );
  }

  #nextLine(): string | undefined {
    const end = this.#input.indexOf("\n");
    if (end === -1) {
      if (!this.#ended || this.#input === "") return undefined;
      const rest = this.#input;
      this.#input = "";
      return rest;
    }
    const line = this.#input.slice(0, end).replace(/\r$/, "");
    this.#input = this.#input.slice(end + 1);
    return line;
  }

  async #take(line: string): Promise<void> {
    const awaiting = this.#awaiting;
    if (awaiting !== undefined) {
      const last = awaiting.commands.at(-1);
      const isEnd = line === (last?.payloadEnd ?? "");
      if (!isEnd) {
        awaiting.lines.push(line);
        if (!this.#ended || this.#input !== "") return;
      }
      this.#awaiting = undefined;
      await this.#run(awaiting.commands, awaiting.lines.map((text) => `${text}\n`).join(""));
      return;
    }
    if (line === "_getsocks" && this.#handOver !== undefined) {
      this.#handOver();
      return;
    }
    if (line === TICKET_QUESTION && this.#ticketSecret !== undefined) {
      this.#socket.end(ticketAnswer(this.#ticketSecret));
      return;
    }
    const commands = parseLine(line);
    if (commands.at(-1)?.payloadEnd !== undefined) {
      this.#awaiting = { commands, lines: [] };
      if (this.#ended && this.#input === "") await this.#take(commands.at(-1)?.payloadEnd ?? "");
      return;
    }
    await this.#run(commands, undefined);
  }

  async #run(commands: readonly ParsedCommand[], payload: string | undefined): Promise<void> {
    for (const [at, { words }] of commands.entries()) {
      const isLast = at === commands.length - 1;
      const text = await this.#answer(words, isLast ? payload : undefined);
      if (this.state.isClosing) return;
      this.#say(`${text === "" || text.endsWith("\n") ? text : `${text}\n`}\n`);
    }
    if (this.state.isInteractive) this.#say("> ");
    // Lines that came together are answered together; what comes later is not looked at.
    else if (!this.#input.includes("\n")) this.state.isClosing = true;
  }

  async #answer(words: readonly string[], payload: string | undefined): Promise<string> {
    const command = findCommand(this.#commands, words);
    if (command === undefined) return helpText(this.#commands, words, "unknown");
    if (!hasLevel(this.state.level, command.level)) return this.#mark("Permission denied");
    const answer: string | Refusal = await command.run(words.slice(command.words.length), {
      process: this.#process,
      connection: this.state,
      payload,
    });
    await this.#process.fleet.settled();
    this.#socket.setTimeout(this.state.timeout);
    return typeof answer === "string" ? answer : this.#mark(answer.refusal);
  }

  #mark(text: string): string {
    switch (this.state.severity) {
      case "number":
        return `[3]: ${text}`;
      case "string":
        return `[err]: ${text}`;
      default:
        return text;
    }
  }

  #say(text: string): void {
    this.#socket.write(text, "latin1");
  }

  #finish(): void {
    this.#socket.end();
    // Whatever it still sends is not read, but its closing is.
    this.#socket.removeAllListeners("data");
    this.#socket.resume();
  }
}

/** Bytes of what may wait to be taken: a payload of 128 MiB, as HAProxy's own limit is memory. */
const MAX_INPUT = 128 * 1024 * 1024;
