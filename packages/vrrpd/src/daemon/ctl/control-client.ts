import { createConnection, type Socket } from "node:net";
import { type ControlRequest, isObject } from "../control-protocol.ts";

/** The daemon cannot be asked: not there, or not for us. */
export class Unreachable extends Error {}

/** The daemon understood, and will not or cannot. */
export class Refused extends Error {}

/** One connection to a daemon's control socket. Requests go one after the other. */
export class ControlClient {
  readonly #socket: Socket;
  readonly #path: string;
  #unread = "";
  #waiting:
    | { readonly resolve: (line: string) => void; readonly reject: (error: Error) => void }
    | undefined;
  #ended: string | undefined;

  private constructor(socket: Socket, path: string) {
    this.#socket = socket;
    this.#path = path;
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => this.#read(chunk));
    socket.on("error", (error) => this.#end(error.message));
    socket.on("close", () => this.#end("the daemon closed the connection"));
  }

  /** @throws Unreachable */
  static connect(path: string): Promise<ControlClient> {
    return new Promise((resolve, reject) => {
      const socket = createConnection(path);
      const failed = (error: NodeJS.ErrnoException): void =>
        reject(new Unreachable(`${path}: ${REASONS[error.code ?? ""] ?? error.message}`));
      socket.once("error", failed);
      socket.once("connect", () => {
        socket.off("error", failed);
        resolve(new ControlClient(socket, path));
      });
    });
  }

  /** @throws Unreachable, Refused */
  async ask(request: ControlRequest): Promise<unknown> {
    const limit = longestAnswer(request);
    const timer =
      limit === undefined
        ? undefined
        : setTimeout(() => this.#end(`no answer within ${limit / 1_000} s: vrrpd hangs`), limit);
    const line = await new Promise<string>((resolve, reject) => {
      this.#waiting = { resolve, reject };
      if (this.#ended !== undefined) this.#end(this.#ended);
      else this.#socket.write(`${JSON.stringify(request)}\n`);
    }).finally(() => clearTimeout(timer));
    const answer: unknown = JSON.parse(line);
    if (!isObject(answer)) throw new Unreachable(`${this.#path}: no answer of vrrpd`);
    if (answer["ok"] !== true) throw new Refused(String(answer["problem"]));
    return answer["result"];
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(chunk: string): void {
    this.#unread += chunk;
    const end = this.#unread.indexOf("\n");
    if (end === -1) return;
    const line = this.#unread.slice(0, end);
    this.#unread = this.#unread.slice(end + 1);
    this.#waiting?.resolve(line);
    this.#waiting = undefined;
  }

  #end(why: string): void {
    this.#ended ??= why;
    this.#waiting?.reject(new Unreachable(`${this.#path}: ${this.#ended}`));
    this.#waiting = undefined;
  }
}

/** Milliseconds after which a daemon that says nothing is taken for one that hangs. */
function longestAnswer(request: ControlRequest): number | undefined {
  switch (request.command) {
    case "switchover":
      if (request.timeout > 0) return request.timeout + READ_LIMIT;
      // The way back waits for preempt_delay, however long that is.
      if (request.back) return undefined;
      return MOVE_LIMIT + (request.drainTimeout ?? DRAIN_LIMIT);
    case "maintenance":
      return MOVE_LIMIT + DRAIN_LIMIT;
    default:
      return READ_LIMIT;
  }
}

const READ_LIMIT = 5_000;
const MOVE_LIMIT = 20_000;
/** The longest `drain_timeout` that there may be. */
const DRAIN_LIMIT = 3_600_000;

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: "no such socket: vrrpd does not run, or elsewhere (--socket, --instance, --namespace)",
  ECONNREFUSED: "nobody listens: vrrpd does not run",
  EACCES: "permission denied: only root and the daemon's user may ask",
};
