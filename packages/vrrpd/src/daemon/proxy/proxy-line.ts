import { createConnection, type Socket } from "node:net";
import {
  PairLines,
  type ProxyOrder,
  type ProxyWord,
  pairLine,
  parseProxyWord,
} from "@ha/base/pair-line";

export interface ProxyLineEvents {
  readonly word: (word: ProxyWord) => void;
  /** It is over: nobody listens, or the proxy has ended or broken the rules. `why` is for the log. */
  readonly closed: (why: string) => void;
}

/** vrrpd's end of the line to a proxy. What comes from it is not trusted. */
export class ProxyLine {
  readonly #socket: Socket;
  readonly #lines = new PairLines();
  #closed = false;
  /** Words that were none. */
  refused = 0;

  /** Connects; orders that are given before it is connected wait. */
  constructor(path: string, events: ProxyLineEvents) {
    const socket = createConnection(path);
    this.#socket = socket;
    socket.setEncoding("utf8");
    socket.unref();
    // A word makes it a line: whoever says nothing may want the sockets.
    socket.write("\n");
    const close = (why: string): void => {
      if (this.#closed) return;
      this.#closed = true;
      socket.destroy();
      events.closed(why);
    };
    socket.on("data", (chunk: string) => {
      for (const line of this.#lines.add(chunk)) {
        if (this.#closed) return;
        const word = parseProxyWord(line);
        if (word === undefined) this.refused++;
        else events.word(word);
      }
      if (this.#lines.tooLong) close("it sent a line without end");
    });
    socket.on("error", (error) => close(error.message));
    socket.on("close", () => close("it closed the line"));
  }

  send(order: ProxyOrder): void {
    if (this.#closed) return;
    // A proxy that does not read is frozen: its heartbeat tells.
    if (this.#socket.writableLength > UNREAD_LIMIT) return;
    this.#socket.write(pairLine(order));
  }

  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }
}

/** Bytes of orders that a proxy has not read; what is beyond is dropped. */
const UNREAD_LIMIT = 4_194_304;
