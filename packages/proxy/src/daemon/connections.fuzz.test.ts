import { strict as assert } from "node:assert";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { test } from "node:test";
import { type Random, seededRandom } from "@ha/base";
import type { Executor } from "@ha/linux/ring";
import {
  FUZZ_SEED,
  fuzzClients,
  fuzzConfiguration,
  leftBehind,
  refusal,
  workerUnderFuzz,
} from "./testing/worker-under-fuzz.ts";

// Goal: whatever clients and servers do, no byte of one request's answer reaches another's client, and when all is
// over nothing is left: no buffer, slot, timer, transaction or descriptor. Method: a data plane in this very thread
// (the ring lets libuv live beside it), hostile clients and a hostile origin from a seed, short time limits.
const CLIENTS = fuzzClients(300);

for (const executor of ["io_uring", "epoll"] as const) {
  test(`${executor}: hostile clients and servers leave nothing behind (seed ${FUZZ_SEED})`, {
    skip: refusal(executor),
    timeout: 60_000,
  }, async () => {
    const random = seededRandom(FUZZ_SEED);
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
      const rest = await leftBehind(worker);
      assert.deepEqual(rest, Object.fromEntries(Object.keys(rest).map((name) => [name, 0])));
    } finally {
      worker.ring.stop();
      origin.close();
    }
  });
}

async function startWorker(executor: Executor, origin: number) {
  const config = await fuzzConfiguration(`
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
  const { worker, ports } = workerUnderFuzz(config, executor, [0, 2]);
  return { worker, http: ports[0] as number, tcp: ports[1] as number };
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
