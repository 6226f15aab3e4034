import { connect, type Socket } from "node:net";

/** How clients treat their connections. */
export interface HttpLoadOptions {
  readonly port: number;
  /** Clients that send request after request on one connection, until an answer says close. */
  readonly keepAlive: number;
  /** Of those on top, clients that pause that long between requests: their connections are idle most of the time. */
  readonly idling?: { readonly clients: number; readonly milliseconds: number };
  /** Clients that open a connection for each request. */
  readonly closing: number;
  /** Ends when that many requests were sent. */
  readonly requests: number;
  /** What every answer's body must be. */
  readonly body: string;
}

/** What became of the requests. Each was answered rightly, or failed. */
export interface HttpLoad {
  /** Answers so far. */
  readonly answered: number;
  /** What went wrong, at most 100 of them. */
  readonly failures: readonly string[];
  /** The longest wait for an answer, its connection included, in milliseconds. */
  readonly slowest: number;
  /** Sends no more requests. */
  stop(): void;
  /** All clients have ended. */
  readonly done: Promise<void>;
}

/** Clients that send requests over loopback until there are enough. A request that fails is never sent again. */
export function startHttpLoad(options: HttpLoadOptions): HttpLoad {
  const failures: string[] = [];
  let sent = 0;
  let answered = 0;
  let slowest = 0;
  let isStopped = false;

  const mayGoOn = (): boolean => !isStopped && sent < options.requests;
  const exchange = async (client: Client, closes: boolean): Promise<void> => {
    sent++;
    const begin = performance.now();
    const failure = await client.request(closes, options.body);
    slowest = Math.max(slowest, performance.now() - begin);
    if (failure === undefined) answered++;
    else if (failures.length < 100) failures.push(failure);
  };
  const run = async (closes: boolean, pause: number): Promise<void> => {
    const client = new Client(options.port);
    while (mayGoOn()) {
      await exchange(client, closes);
      if (pause > 0) await new Promise((resolve) => setTimeout(resolve, pause));
    }
    client.close();
  };
  const { idling } = options;
  const clients = [
    ...Array.from({ length: options.keepAlive }, () => run(false, 0)),
    ...Array.from({ length: idling?.clients ?? 0 }, () => run(false, idling?.milliseconds ?? 0)),
    ...Array.from({ length: options.closing }, () => run(true, 0)),
  ];
  return {
    get answered() {
      return answered;
    },
    failures,
    get slowest() {
      return slowest;
    },
    stop: () => {
      isStopped = true;
    },
    done: Promise.all(clients).then(() => undefined),
  };
}

/** One connection at a time; opened when a request needs one. */
class Client {
  readonly #port: number;
  #socket: Socket | undefined;
  #text = "";
  #settle: ((failure: string | undefined) => void) | undefined;

  constructor(port: number) {
    this.#port = port;
  }

  /** Sends a request and waits for its whole answer: what went wrong, or undefined. */
  request(closes: boolean, body: string): Promise<string | undefined> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.#finish("no answer within 10 s"), 10_000);
      this.#text = "";
      this.#settle = (failure) => {
        clearTimeout(timer);
        resolve(failure);
      };
      const socket = this.#socket ?? this.#open(body);
      socket.write(
        `GET / HTTP/1.1\r\nHost: load\r\n${closes ? "Connection: close\r\n" : ""}\r\n`,
        "latin1",
      );
    });
  }

  close(): void {
    this.#socket?.destroy();
  }

  #open(body: string): Socket {
    const socket = connect(this.#port, "127.0.0.1");
    this.#socket = socket;
    socket.setNoDelay(true);
    socket.on("data", (chunk) => {
      this.#text += chunk.toString("latin1");
      this.#look(body);
    });
    const gone = (how: string): void => {
      if (this.#socket !== socket) return;
      this.#socket = undefined;
      this.#finish(`${how} after ${this.#text.length} bytes`);
    };
    socket.on("error", (error: NodeJS.ErrnoException) => gone(error.code ?? error.message));
    socket.on("close", () => gone("closed"));
    return socket;
  }

  #look(body: string): void {
    const head = this.#text.indexOf("\r\n\r\n");
    if (head < 0) return;
    const fields = this.#text.slice(0, head);
    const length = Number(/\r\ncontent-length: (\d+)/i.exec(fields)?.[1] ?? Number.NaN);
    if (this.#text.length < head + 4 + length) return;
    if (/\r\nconnection: close/i.test(fields)) {
      this.#socket?.destroy();
      this.#socket = undefined;
    }
    const isRight = fields.startsWith("HTTP/1.1 200") && this.#text.slice(head + 4) === body;
    this.#finish(isRight ? undefined : `wrong answer: ${this.#text}`);
  }

  #finish(failure: string | undefined): void {
    const settle = this.#settle;
    this.#settle = undefined;
    if (failure !== undefined) {
      this.#socket?.destroy();
      this.#socket = undefined;
    }
    settle?.(failure);
  }
}
