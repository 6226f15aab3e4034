import { renameSync, unlinkSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { formatAddress } from "@ha/base";
import type { Bind } from "../../core/config/bind-model.ts";
import type { Config } from "../../core/config/model.ts";
import { bindOne } from "../bind-sockets.ts";
import { bytesOf } from "../config-text.ts";
import { giveSockets } from "../handover.ts";
import { ApiConnection } from "./api-connection.ts";
import type { Command, ProcessControl } from "./command.ts";

/** A bound stats socket: before rights are given up, and without a client yet. */
export interface BoundApiSocket {
  readonly bind: Bind;
  readonly fd: number;
}

/**
 * Binds every `stats socket`. A path is bound under another name and then renamed, so that one that a process before
 * us serves is replaced at once, and never missing. Gives the first refusal as text.
 */
export function bindApiSockets(
  config: Config,
): readonly BoundApiSocket[] | { readonly refusal: string } {
  const bound: BoundApiSocket[] = [];
  for (const bind of config.global.stats.sockets) {
    const fd = bindSocket(bind);
    if (typeof fd !== "number") {
      return {
        refusal: `Binding [${bind.at.file}:${bind.at.line}] for frontend GLOBAL: ${fd.what} [${bind.text}]`,
      };
    }
    bound.push({ bind, fd });
  }
  return bound;
}

function bindSocket(bind: Bind): number | { readonly what: string } {
  const { address } = bind;
  if (address.kind !== "unix") return bindOne(bind, BACKLOG);
  const temporary = `${address.path}.${process.pid}.tmp`;
  const fd = bindOne({ ...bind, address: { ...address, path: temporary } }, BACKLOG);
  if (typeof fd !== "number") return fd;
  try {
    renameSync(bytesOf(temporary), bytesOf(address.path));
    return fd;
  } catch (error) {
    unlinkSync(bytesOf(temporary));
    const code = error instanceof Error && "code" in error ? String(error.code) : String(error);
    return { what: `cannot rename UNIX socket (${code})` };
  }
}

/** HAProxy management guide §9.3; `stats maxconn` is how many clients are served at once, the rest waits. */
const BACKLOG = 10;

/** Serves the runtime API on sockets that are bound. */
export class RuntimeApi {
  readonly #servers: Server[] = [];
  readonly #process: ProcessControl;
  readonly #commands: readonly Command[];
  readonly #count: () => void;

  /** @param count Called for each client: `CumConns` and `CumReq` count them too. */
  constructor(process: ProcessControl, commands: readonly Command[], count: () => void) {
    this.#process = process;
    this.#commands = commands;
    this.#count = count;
  }

  listen({ bind, fd }: BoundApiSocket): void {
    const { stats } = this.#process.config.global;
    const server = createServer({ allowHalfOpen: true }, (socket) => this.accept(socket, bind));
    server.maxConnections = stats.maxconn;
    server.listen({ fd });
    this.#servers.push(server);
  }

  /** Serves one client. Without a `bind` it is one of the master's CLI, which may do everything. */
  accept(socket: Socket, bind?: Bind): void {
    this.#count();
    socket.allowHalfOpen = true;
    const { listeners, config, ticketSecret } = this.#process;
    new ApiConnection(socket, this.#commands, this.#process, {
      level: bind?.level ?? "admin",
      timeout: config.global.stats.timeout / 1000,
      severity: bind?.severityOutput ?? "none",
      ...(bind?.exposeFdListeners
        ? { handOver: () => handOver(socket, listeners), ticketSecret }
        : {}),
    });
  }

  /** What its commands work on. */
  get control(): ProcessControl {
    return this.#process;
  }

  /** Accepts no more clients. */
  close(): void {
    for (const server of this.#servers) server.close();
  }
}

/** `_getsocks`: the listening sockets go to the process that is to follow us. */
function handOver(
  socket: Socket,
  listeners: readonly { readonly fd: number; readonly device: string }[],
): void {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd: number } };
  // Node has no name of its own for a socket's descriptor.
  if (handle !== undefined && handle.fd >= 0) giveSockets(handle.fd, listeners);
}

/** As `show cli sockets` writes it. */
export function socketText({ address }: Bind): string {
  switch (address.kind) {
    case "unix":
      return `unix@${address.path}`;
    case "abstract":
      return `abns@${address.name}`;
    case "inet": {
      const text = address.address === undefined ? "" : formatAddress(address.address);
      return address.address?.family === 6
        ? `ipv6@[${text}]:${address.port}`
        : `ipv4@${text}:${address.port}`;
    }
    default:
      return `fd@${address.fd}`;
  }
}
