import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { createSocket, type Socket as DatagramSocket } from "node:dgram";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Why the comparison with the real program cannot run here; false when it can. */
export function lacksHaproxy(): string | false {
  return spawnSync("haproxy", ["-v"]).error === undefined ? false : "haproxy is not installed";
}

const LBPROXY = fileURLToPath(new URL("../../../packages/proxy/bin/lbproxy.js", import.meta.url));

export type ProgramName = "haproxy" | "lbproxy";

/** One of the two programs, running one configuration. */
export interface RunningProxy {
  readonly program: ProgramName;
  readonly process: ChildProcess;
  /** Ports of the frontends, by the name written as `{name}` in the configuration. */
  readonly ports: Readonly<Record<string, number>>;
  /** Syslog lines so far, without priority and time. */
  readonly logs: string[];
  /** What it wrote to stdout and stderr. */
  output(): string;
  stop(): Promise<void>;
}

/**
 * Starts a program on a configuration in which `{name}` stands for a free port of its own (the same name the
 * same port), and `{log}` for a syslog sink.
 */
export async function startProxy(
  program: ProgramName,
  configuration: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<RunningProxy> {
  const folder = mkdtempSync(join(tmpdir(), "proxy-pair-"));
  const logs: string[] = [];
  const sink = createSocket("udp4");
  await new Promise<void>((resolve) => sink.bind(0, "127.0.0.1", resolve));
  sink.on("message", (message) => {
    logs.push(
      message
        .toString("latin1")
        .replace(/^<\d+>.*?\[\d+\]: /s, "")
        .trimEnd(),
    );
  });
  const names = new Set(
    [...configuration.matchAll(/\{(\w+)\}/g)].map(([, name]) => name as string),
  );
  const ports: Record<string, number> = {};
  for (const name of names) ports[name] = name === "log" ? sink.address().port : await freePort();
  const file = join(folder, "proxy.cfg");
  writeFileSync(
    file,
    configuration.replaceAll(/\{(\w+)\}/g, (_all, name: string) => `127.0.0.1:${ports[name]}`),
  );
  const [command, args] =
    program === "haproxy"
      ? ["haproxy", ["-db", "-f", file]]
      : [process.execPath, [LBPROXY, "-db", "-f", file]];
  const child = spawn(command as string, args as string[], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, ...environment },
  });
  let output = "";
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString("latin1")));
  child.stderr?.on("data", (chunk: Buffer) => (output += chunk.toString("latin1")));
  const listening = [...names].filter((name) => name !== "log" && isBound(configuration, name));
  try {
    for (const name of listening) await waitForPort(ports[name] as number, () => output);
  } catch (error) {
    // A program that does not come up must not keep the tests from ending.
    await stop(child, sink, folder);
    throw error;
  }
  // The probes above leave lines of their own, which a busy machine writes late.
  for (let seen = 0, rounds = 0; rounds < 12; rounds++) {
    await pause(250);
    if (seen === logs.length && (seen >= listening.length || rounds > 2)) break;
    seen = logs.length;
  }
  logs.length = 0;
  return {
    program,
    process: child,
    ports,
    logs,
    output: () => output,
    stop: () => stop(child, sink, folder),
  };
}

function isBound(configuration: string, name: string): boolean {
  return new RegExp(`^\\s*bind\\s+\\{${name}\\}`, "m").test(configuration);
}

async function stop(child: ChildProcess, sink: DatagramSocket, folder: string): Promise<void> {
  const gone = new Promise<void>((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) resolve();
    else child.once("exit", () => resolve());
  });
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), 3_000);
  await gone;
  clearTimeout(timer);
  sink.close();
  rmSync(folder, { recursive: true });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return port;
}

async function waitForPort(port: number, output: () => string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    const ok = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (ok) return;
    await pause(50);
  }
  throw new Error(`nothing listens on port ${port}:\n${output()}`);
}

export function pause(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

/** An origin whose connections the test scripts: gets each request's bytes, answers with bytes. */
export interface Origin {
  readonly port: number;
  /** Each request as it came, whole (by Content-Length, chunked end, or the head alone). */
  readonly requests: string[];
  /** Connections so far. */
  connections(): number;
  close(): Promise<void>;
}

/** How an origin answers: by the request's text; undefined is never, "close" ends the connection at once, "reset" cuts it. */
export type Answer = (
  request: string,
  socket: Socket,
) => string | Buffer | undefined | "close" | "reset";

export async function startOrigin(answer: Answer): Promise<Origin> {
  const requests: string[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  const server: Server = createServer((socket) => {
    connections++;
    sockets.add(socket);
    let pending = "";
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    socket.on("data", (chunk) => {
      pending += chunk.toString("latin1");
      for (let size = requestSize(pending); size > 0; size = requestSize(pending)) {
        const request = pending.slice(0, size);
        pending = pending.slice(size);
        requests.push(request);
        const reply = answer(request, socket);
        if (reply === "close") socket.end();
        else if (reply === "reset") socket.resetAndDestroy();
        else if (reply !== undefined) socket.write(reply as string, "latin1");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    requests,
    connections: () => connections,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function requestSize(text: string): number {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return 0;
  const head = text.slice(0, end).toLowerCase();
  const length = /\r\ncontent-length: *(\d+)/.exec(head);
  if (length !== null) {
    const size = end + 4 + Number(length[1]);
    return text.length >= size ? size : 0;
  }
  if (/\r\ntransfer-encoding: *chunked/.test(head)) {
    const last = /(^|\r\n)0\r\n(.*?\r\n)?\r\n/s.exec(text.slice(end + 2));
    return last === null ? 0 : end + 2 + last.index + last[0].length;
  }
  return end + 4;
}

/** Sends pieces over one connection (a number is a pause in ms) and gives everything that came back till the end or `quiet` ms of silence. */
export async function talk(
  port: number,
  pieces: readonly (string | number | "FIN")[],
  quiet = 300,
): Promise<{ readonly text: string; readonly ended: boolean }> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  let text = "";
  let ended = false;
  let last = performance.now();
  socket.on("data", (chunk) => {
    text += chunk.toString("latin1");
    last = performance.now();
  });
  socket.on("end", () => (ended = true));
  socket.on("error", () => (ended = true));
  socket.on("close", () => (ended = true));
  await new Promise<void>((resolve) => {
    socket.once("connect", () => resolve());
    // A connection that is reset at once may never be reported as made, and one that nobody takes must end.
    socket.once("close", () => resolve());
    socket.setTimeout(5000, () => socket.destroy());
  });
  socket.setTimeout(0);
  for (const piece of pieces) {
    if (typeof piece === "number") await pause(piece);
    else if (piece === "FIN") socket.end();
    else socket.write(piece, "latin1");
  }
  last = performance.now();
  while (!ended && performance.now() - last < quiet) await pause(10);
  socket.destroy();
  return { text, ended };
}

/** An HTTP stream without what may differ: names in lower case and in order, chunks joined. */
export function normalised(stream: string): string {
  return joinChunks(stream).replaceAll(
    /(HTTP\/1\.[01] \d{3}[^\r\n]*|[A-Z]+ [^\r\n ]+ HTTP\/1\.[01])\r\n((?:[^\r\n]+\r\n)*)\r\n/g,
    (_all, line: string, fields: string) => {
      const lines = fields
        .split("\r\n")
        .filter((field) => field !== "")
        .map((field) => field.replace(/^[^:]*:/, (name) => name.toLowerCase()))
        .sort();
      return `${line}\n${lines.map((field) => `${field}\n`).join("")}\n`;
    },
  );
}

/**
 * A log line without what differs between runs: ports, times, timers that are not -1, and the byte count (HAProxy
 * counts its inner form of heads, we the bytes on the wire).
 */
export function normalisedLog(line: string): string {
  return line
    .replace(/^127\.0\.0\.1:\d+/, "CLIENT")
    .replace(/\[[^\]]*\]/, "[TIME]")
    .replace(/(?<= )\+?-?\d+(\/\+?-?\d+)+(?= )/, (timers) =>
      timers.replaceAll(/(?<![\d-])\d+/g, "T"),
    )
    .replace(/( T?[-\d/T]+ (?:-?\d+ )?)\d+ (?=(- - )?[A-Za-z-]{2,4} )/, "$1BYTES ");
}

/** Two readers may cut a body into different chunks: what matters is the whole. */
function joinChunks(stream: string): string {
  return stream.replaceAll(
    /(?<=\r\n\r\n)((?:[0-9a-f]{1,6}\r\n[^\r\n]*\r\n)+)0\r\n\r\n/gi,
    (_all, chunks: string) => {
      const data = chunks.replaceAll(/[0-9a-f]{1,6}\r\n([^\r\n]*)\r\n/gi, "$1");
      return `CHUNKS(${data})`;
    },
  );
}
