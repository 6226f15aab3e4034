import { lstatSync, mkdirSync, unlinkSync } from "node:fs";
import { createConnection, createServer, type Server, type Socket } from "node:net";
import { dirname } from "node:path";
import { peerCredentials, SystemError } from "@ha/linux";
import {
  type ControlAnswer,
  type ControlRequest,
  isObject,
  parseRequest,
} from "./control-protocol.ts";
import type { Log } from "./log.ts";

/** Who asks. */
export interface Asker {
  readonly pid: number;
  readonly uid: number;
}

export interface ControlSocketOptions {
  readonly path: string;
  readonly log: Log;
  /** May take its time, but must not block. What it throws is our own mistake, and answered as one. */
  readonly answer: (request: ControlRequest, asker: Asker) => Promise<unknown> | unknown;
}

/** A request that cannot be done, in words for the operator. */
export class ControlProblem extends Error {}

/**
 * The daemon's own door: a Unix socket that only root and the daemon's user can open (mode 0600, and the kernel's word
 * on who connects), one line of JSON in, one out. What a client sends is bounded, and a client that does not read
 * holds up itself alone.
 */
export class ControlSocket {
  readonly #options: ControlSocketOptions;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  private constructor(options: ControlSocketOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#connected(socket));
    this.#server.maxConnections = CONNECTIONS;
    this.#server.on("error", (error) => {
      options.log.warning(`control socket ${options.path}: ${error.message}`);
    });
  }

  /** Undefined, and a line in the log, when there can be none: a daemon does without. */
  static async open(options: ControlSocketOptions): Promise<ControlSocket | undefined> {
    const { path, log } = options;
    try {
      mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
      if (lstatSync(path, { throwIfNoEntry: false })?.isSocket() === true) {
        if (await answers(path)) {
          log.warning(`no control socket: another program answers at ${path}`);
          return undefined;
        }
        // Left behind by a daemon that was killed.
        unlinkSync(path);
      }
      const control = new ControlSocket(options);
      // bind(2) takes the mode from the umask, and it happens before `listen` returns.
      const umask = process.umask(0o177);
      try {
        control.#server.listen(path);
      } finally {
        process.umask(umask);
      }
      return control;
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      log.warning(`no control socket at ${path}: ${why}`);
      return undefined;
    }
  }

  /** Removes it. What is under way is not answered any more. */
  close(): void {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  #connected(socket: Socket): void {
    const { log, answer } = this.#options;
    this.#open.add(socket);
    socket.on("close", () => this.#open.delete(socket));
    // A client may vanish at any moment.
    socket.on("error", () => socket.destroy());
    const asker = askerOf(socket);
    const own = process.geteuid?.() ?? 0;
    if (typeof asker === "string" || (asker.uid !== 0 && asker.uid !== own)) {
      const why = typeof asker === "string" ? asker : `user ${asker.uid} may not control vrrpd`;
      log.warning(`control connection refused: ${why}`);
      dismiss(socket, why);
      return;
    }
    socket.setTimeout(IDLE_MS, () => socket.destroy());
    socket.setEncoding("utf8");
    let unread = "";
    let busy = false;
    const next = (): void => {
      const end = unread.indexOf("\n");
      if (busy || socket.destroyed) return;
      if (end === -1) {
        if (unread.length <= REQUEST_CHARACTERS) {
          socket.resume();
          return;
        }
        dismiss(socket, "the request is too long");
        return;
      }
      const text = unread.slice(0, end);
      unread = unread.slice(end + 1);
      busy = true;
      socket.pause();
      socket.setTimeout(0);
      void answerTo(text, asker, answer).then((result) => {
        if (!result.ok) log.detail(`control request refused: ${result.problem}`);
        if (socket.destroyed) return;
        // The next request is read when this answer has gone.
        socket.setTimeout(IDLE_MS);
        socket.write(line(result), () => {
          busy = false;
          next();
        });
      });
    };
    socket.on("data", (chunk: string) => {
      unread += chunk;
      next();
    });
  }
}

/** Of clients at once; each is bounded by itself. */
const CONNECTIONS = 32;
const REQUEST_CHARACTERS = 16_384;
const IDLE_MS = 30_000;

async function answerTo(
  text: string,
  asker: Asker,
  answer: ControlSocketOptions["answer"],
): Promise<ControlAnswer> {
  const request = parseRequest(text);
  if (typeof request === "string") return { ok: false, problem: request };
  try {
    return { ok: true, result: await answer(request, asker) };
  } catch (error) {
    if (error instanceof ControlProblem) return { ok: false, problem: error.message };
    return { ok: false, problem: `internal error: ${String(error)}` };
  }
}

/** Says why, and reads no more; the client has a second to take it in before it would see its own write fail. */
function dismiss(socket: Socket, problem: string): void {
  socket.pause();
  socket.end(line({ ok: false, problem }));
  setTimeout(() => socket.destroy(), DISMISSAL_MS).unref();
}

const DISMISSAL_MS = 1_000;

function line(answer: ControlAnswer): string {
  return `${JSON.stringify(answer)}\n`;
}

/** Node.js has no word for the descriptor of a socket but this one. */
function askerOf(socket: Socket): Asker | string {
  const handle: unknown = "_handle" in socket ? socket._handle : undefined;
  const fd = isObject(handle) ? handle["fd"] : undefined;
  if (typeof fd !== "number" || fd < 0) return "nobody can tell who it is";
  const found = peerCredentials(fd);
  return found instanceof SystemError ? found.message : found;
}

/** Whether a living program listens there. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection(path);
    const end = (result: boolean): void => {
      socket.destroy();
      resolve(result);
    };
    socket.setTimeout(1_000, () => end(true));
    socket.on("connect", () => end(true));
    socket.on("error", () => end(false));
  });
}
