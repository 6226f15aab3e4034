import { strict as assert } from "node:assert";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { ip, type Random, seededRandom } from "@ha/base";
import { type Executor, listenStream, openRing, RingError } from "@ha/linux/ring";
import type { Config } from "../core/config/model.ts";
import { ProcessRates } from "../core/server/process-rates.ts";
import { parseCommandLine } from "./cli.ts";
import { loadConfiguration } from "./config-check.ts";
import { createWorker, statisticsBytes } from "./worker.ts";

// Goal: whatever clients and servers do, no byte of one request's answer reaches another's client, and when all is
// over nothing is left: no buffer, slot, timer, transaction or descriptor. Method: a data plane in this very thread
// (the ring lets libuv live beside it), hostile clients and a hostile origin from a seed, short time limits.
const SEED = Number(
  process.env["FUZZ_SEED"] ?? 1 + (Math.floor(performance.now() * 1000) % 1_000_000),
);
const CLIENTS = Number(process.env["FUZZ_CLIENTS"] ?? 300);

for (const executor of ["io_uring", "epoll"] as const) {
  test(`${executor}: hostile clients and servers leave nothing behind (seed ${SEED})`, {
    skip: refusal(executor),
    timeout: 60_000,
  }, async () => {
    const random = seededRandom(SEED);
    const origin = await startOrigin(random);
    const { worker, http, tcp } = await startWorker(executor, origin.port);
    worker.start();
    try {
      let left = CLIENTS;
      const runner = async () => {
        while (left-- > 0)
          await (random.next() < 0.8 ? httpClient(http, random) : tcpClient(tcp, random));
      };
      await Promise.all(Array.from({ length: 24 }, runner));
      await until(() => worker.isDrained, "sessions end");
      worker.kill();
      const { plane, ring } = worker;
      await until(() => plane.connections.open === 0 && ring.operations === 0, "connections close");
      const rest = {
        buffers: ring.buffersHeld,
        slots: ring.slotsHeld - worker.listeners.length,
        operations: ring.operations,
        stale: ring.stale,
        exchanges: plane.exchangesHeld,
        transactions: plane.transactionsHeld,
        clients: plane.clients.size,
        served: worker.world.proxies.map(({ servers }) => Array.from(servers.served)),
        queued: worker.world.proxies.map(({ servers }) => Array.from(servers.backend)[0]),
      };
      assert.deepEqual(rest, {
        buffers: 0,
        slots: 0,
        operations: 0,
        stale: 0,
        exchanges: 0,
        transactions: 0,
        clients: 0,
        served: [[], [0, 0], [0]],
        queued: [0, 0, 0],
      });
    } finally {
      worker.ring.stop();
      origin.close();
    }
  });
}

async function startWorker(executor: Executor, origin: number) {
  const config = await configuration(`
defaults
  mode http
  timeout client 150ms
  timeout server 150ms
  timeout connect 100ms
  timeout queue 100ms
  timeout http-request 120ms
  timeout http-keep-alive 80ms
  timeout tunnel 200ms
  retries 2
frontend web
  bind 127.0.0.1:1
  default_backend app
backend app
  balance roundrobin
  http-reuse always
  option redispatch
  server s1 127.0.0.1:${origin} maxconn 6
  server s2 127.0.0.1:${origin}
listen raw
  mode tcp
  bind 127.0.0.1:2
  server s1 127.0.0.1:${origin}
`);
  const worker = createWorker({
    config,
    thread: 1,
    executor,
    limits: {
      maxconn: 1_000,
      connections: new Int32Array(new SharedArrayBuffer(4)),
      rates: new ProcessRates().buffer,
    },
    shared: undefined,
    statistics: new SharedArrayBuffer(statisticsBytes(config)),
  });
  assert.deepEqual(worker.diagnostics.list, []);
  const ports = [0, 2].map((frontend) => {
    const fd = listenStream({
      address: { kind: "inet", address: ip("127.0.0.1"), port: 0 },
      backlog: 256,
    });
    if (typeof fd !== "number") throw new Error(fd.operation);
    const listener = worker.listen({ frontend, bind: 0, fd, shard: 0, shards: 1 });
    return listener.port;
  });
  return { worker, http: ports[0] as number, tcp: ports[1] as number };
}

async function configuration(text: string): Promise<Config> {
  const loaded = await loadConfiguration(parseCommandLine(["-f", "fuzz.cfg"]), [
    { name: "fuzz.cfg", text },
  ]);
  if (loaded.config === undefined) {
    throw new Error(loaded.findings.list.map(({ message }) => message).join("\n"));
  }
  return loaded.config;
}

/** Answers `/<token>/<size>` with the token over and over, in any way that comes to mind. */
async function startOrigin(random: Random) {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    let pending = "";
    socket.on("error", () => {});
    socket.on("end", () => socket.end());
    socket.on("data", (chunk) => {
      pending += chunk.toString("latin1");
      for (;;) {
        const end = pending.indexOf("\r\n\r\n");
        if (end < 0) return;
        const head = pending.slice(0, end);
        const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? 0);
        if (pending.length < end + 4 + length) return;
        pending = pending.slice(end + 4 + length);
        const path = /^[A-Z]+ \/(\w+)\/(\d+)/.exec(head);
        respond(socket, path?.[1] ?? "none", Number(path?.[2] ?? 0), random);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

function respond(socket: Socket, token: string, size: number, random: Random): void {
  const body = token.repeat(Math.ceil(size / token.length)).slice(0, size);
  const dice = random.next();
  if (dice < 0.04) return void socket.resetAndDestroy();
  if (dice < 0.08) return void socket.end();
  if (dice < 0.1) return; // never
  if (dice < 0.13) return void socket.write("junk\r\n\r\n");
  let answer: string;
  if (dice < 0.3) {
    const cut = random.between(0, body.length);
    const chunks = [body.slice(0, cut), body.slice(cut)].filter((chunk) => chunk !== "");
    answer = `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join("")}0\r\n\r\n`;
  } else if (dice < 0.36) {
    socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`);
    return;
  } else answer = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  if (dice > 0.96) {
    socket.write(answer.slice(0, random.between(0, answer.length)));
    setTimeout(() => (random.next() < 0.5 ? socket.end() : socket.resetAndDestroy()), 2);
    return;
  }
  if (dice > 0.7) {
    const cut = random.between(1, answer.length - 1);
    socket.write(answer.slice(0, cut));
    setTimeout(() => socket.write(answer.slice(cut)), random.between(0, 5));
    return;
  }
  socket.write(answer);
}

let tokens = 0;

/** Sends some requests in pieces, may leave at any time; whatever comes must be its own. */
function httpClient(port: number, random: Random): Promise<void> {
  const token = `T${tokens++}Q`;
  const count = random.between(1, 4);
  let text = "";
  for (let i = 0; i < count; i++) {
    const size = random.next() < 0.1 ? random.between(50_000, 400_000) : random.between(0, 3_000);
    const body = random.next() < 0.3 ? "b".repeat(random.between(1, 30_000)) : "";
    const length = body === "" ? "" : `Content-Length: ${body.length}\r\n`;
    text += `${body === "" ? "GET" : "POST"} /${token}/${size} HTTP/1.1\r\nHost: a\r\n${length}\r\n${body}`;
  }
  if (random.next() < 0.05) text = text.replace("Host", "Host ");
  return converse(port, text, token, random);
}

function tcpClient(port: number, random: Random): Promise<void> {
  const token = `T${tokens++}Q`;
  const size = random.next() < 0.3 ? random.between(100_000, 600_000) : random.between(1, 2_000);
  return converse(port, `GET /${token}/${size} HTTP/1.1\r\nHost: a\r\n\r\n`, token, random);
}

function converse(port: number, text: string, token: string, random: Random): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    let got = "";
    socket.on("data", (chunk) => {
      got += chunk.toString("latin1");
      if (random.next() < 0.02) {
        socket.pause();
        setTimeout(() => socket.resume(), random.between(1, 250));
      }
    });
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      const foreign = /T\d+Q/.exec(got.replaceAll(token, ""));
      if (foreign !== null) reject(new Error(`bytes for ${foreign[0]} came to ${token}`));
      else resolve();
    });
    const timer = setTimeout(() => socket.destroy(), random.between(200, 900));
    const dice = random.next();
    const step = (at: number) => {
      if (socket.destroyed) return;
      if (at >= text.length) {
        if (dice < 0.1) socket.end();
        else if (dice < 0.2) socket.resetAndDestroy();
        return;
      }
      const next = Math.min(text.length, at + random.between(1, dice < 0.5 ? text.length : 4_000));
      socket.write(text.slice(at, next), "latin1");
      if (dice > 0.97) socket.destroy();
      else setTimeout(step, random.next() < 0.7 ? 0 : random.between(1, 6), next);
    };
    socket.once("connect", () => step(0));
  });
}

async function until(done: () => boolean, what: string): Promise<void> {
  const end = performance.now() + 8_000;
  while (!done()) {
    assert.ok(performance.now() < end, `in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function refusal(executor: Executor): string | false {
  try {
    openRing({ executor, smallCount: 64, smallLent: 8, largeCount: 4 }).destroy();
    return false;
  } catch (error) {
    if (!(error instanceof RingError)) throw error;
    return error.message;
  }
}
