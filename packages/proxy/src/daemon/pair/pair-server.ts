import { createServer, type Socket } from "node:net";
import {
  PAIR_LINE_VARIABLE,
  PairLines,
  type ProxyOrder,
  type ProxyWord,
  pairLine,
  parseProxyOrder,
} from "@ha/base/pair-line";
import { adoptDescriptor } from "@ha/linux/ring";
import { PROGRAM_VERSION } from "../../core/config/version.ts";
import { giveSockets } from "../handover.ts";

export interface PairServerOptions {
  readonly obey: (order: ProxyOrder) => void;
  /** What a daemon that connects must know at once, after `hello`: whether we are ready, and what is wrong. */
  readonly standing: () => readonly ProxyWord[];
  /** The listening sockets, for `_getsocks`. */
  readonly listeners: () => readonly { readonly fd: number; readonly device: string }[];
}

/** The descriptor of the line to vrrpd that this process has inherited. Nothing that it starts inherits it. */
export function takePairLine(): number | undefined {
  const text = process.env[PAIR_LINE_VARIABLE];
  delete process.env[PAIR_LINE_VARIABLE];
  const fd = text === undefined ? Number.NaN : Number(text);
  if (!Number.isInteger(fd) || fd < 3) return undefined;
  return adoptDescriptor(fd) < 0 ? undefined : fd;
}

/** Our end of the line to vrrpd: whoever can reach its path is root, or our own user. */
export class PairServer {
  readonly #options: PairServerOptions;
  readonly #clients = new Set<Socket>();

  constructor(fd: number, options: PairServerOptions) {
    this.#options = options;
    const server = createServer((socket) => this.#accept(socket));
    server.on("error", () => server.close());
    server.listen({ fd });
    server.unref();
  }

  say(word: ProxyWord): void {
    if (this.#clients.size === 0) return;
    const text = pairLine(word);
    for (const socket of this.#clients) {
      // One that does not read is dropped, and may come again.
      if (socket.writableLength > UNREAD_LIMIT) socket.destroy();
      else socket.write(text);
    }
  }

  #accept(socket: Socket): void {
    const { obey, standing, listeners } = this.#options;
    const lines = new PairLines();
    socket.setEncoding("utf8");
    socket.unref();
    socket.on("error", () => socket.destroy());
    socket.on("close", () => this.#clients.delete(socket));
    let isLine = true;
    socket.on("data", (chunk: string) => {
      if (chunk.startsWith("_getsocks")) {
        isLine = false;
        this.#clients.delete(socket);
        handOver(socket, listeners());
        socket.destroySoon();
        return;
      }
      if (!isLine) return;
      for (const line of lines.add(chunk)) {
        const order = parseProxyOrder(line);
        if (order !== undefined) obey(order);
      }
      if (lines.tooLong) socket.destroy();
    });
    // Whoever asks for sockets is answered with nothing else: so a daemon is greeted once it has said a word.
    socket.once("data", () => {
      if (!isLine) return;
      this.#clients.add(socket);
      const hello: ProxyWord = { type: "hello", pid: process.pid, version: PROGRAM_VERSION };
      socket.write([hello, ...standing()].map(pairLine).join(""));
    });
  }
}

/** Bytes that vrrpd has not read. */
const UNREAD_LIMIT = 1_048_576;

function handOver(
  socket: Socket,
  listeners: readonly { readonly fd: number; readonly device: string }[],
): void {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd: number } };
  // Node has no name of its own for a socket's descriptor.
  if (handle !== undefined && handle.fd >= 0) giveSockets(handle.fd, listeners);
}
