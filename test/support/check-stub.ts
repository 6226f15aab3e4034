import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/**
 * What a checked server does with a connection: `ask` is what has come so far, and the answer is sent once; undefined
 * waits for more. `greet` is said first.
 */
export interface StubManner {
  readonly greet?: string;
  readonly answer?: (ask: string) => string | undefined;
  /** Ends the connection after its answer (or at once, without one). */
  readonly ends?: boolean;
}

/** A server for checks, whose manners change while it runs. */
export interface CheckStub {
  readonly port: number;
  /** What was asked, whole connections. */
  readonly asked: string[];
  /** Answers so from now on. "refuse" closes the port, "silence" says nothing. */
  behave(manner: StubManner | "refuse" | "silence"): Promise<void>;
  /** Refuses new connections; those that stand go on. */
  stopListening(): void;
  close(): Promise<void>;
}

export async function startCheckStub(first: StubManner): Promise<CheckStub> {
  let manner: StubManner = first;
  let server: Server | undefined;
  const sockets = new Set<Socket>();
  const asked: string[] = [];
  const take = (socket: Socket): void => {
    sockets.add(socket);
    let ask = "";
    const { greet, answer, ends } = manner;
    socket.on("close", () => {
      sockets.delete(socket);
      asked.push(ask);
    });
    socket.on("error", () => undefined);
    if (greet !== undefined) socket.write(greet, "latin1");
    if (answer === undefined && ends) socket.end();
    socket.on("data", (data) => {
      ask += data.toString("latin1");
      const reply = answer?.(ask);
      if (reply === undefined) return;
      socket.write(reply, "latin1");
      if (ends) socket.end();
    });
  };
  const listen = async (port: number): Promise<number> => {
    const made = createServer(take);
    await new Promise<void>((resolve, reject) => {
      made.once("error", reject);
      made.listen(port, "127.0.0.1", resolve);
    });
    server = made;
    return (made.address() as AddressInfo).port;
  };
  const refuse = async (): Promise<void> => {
    const closing = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    if (closing !== undefined) await new Promise<void>((resolve) => closing.close(() => resolve()));
  };
  const port = await listen(0);
  return {
    port,
    asked,
    behave: async (next) => {
      if (next === "refuse") return refuse();
      manner = next === "silence" ? {} : next;
      if (server === undefined) await listen(port);
    },
    stopListening: () => {
      server?.close();
      server = undefined;
    },
    close: refuse,
  };
}

/** An HTTP answer that ends the connection. */
export function httpManner(status: number, reason: string, body = ""): StubManner {
  return {
    answer: (ask) =>
      ask.includes("\r\n\r\n")
        ? `HTTP/1.1 ${status} ${reason}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`
        : undefined,
    ends: true,
  };
}
