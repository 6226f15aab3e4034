import { strict as assert } from "node:assert";
import { createServer, type Http2Server } from "node:http2";
import { type AddressInfo, connect, createServer as createTcp, type Socket } from "node:net";
import { test } from "node:test";
import { type Random, seededRandom } from "@ha/base";
import type { Executor } from "@ha/linux/ring";
import {
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FRAME_DATA,
  FRAME_HEADERS,
  FRAME_PING,
  FRAME_RST_STREAM,
  FRAME_SETTINGS,
  FRAME_WINDOW_UPDATE,
  PREFACE,
  writeFrameHeader,
} from "../../core/http2/frame.ts";
import {
  EVENT_BROKEN,
  EVENT_DATA,
  EVENT_NONE,
  FrameReader,
} from "../../core/http2/frame-reader.ts";
import {
  FUZZ_SEED,
  fuzzClients,
  fuzzConfiguration,
  leftBehind,
  refusal,
  workerUnderFuzz,
} from "../testing/worker-under-fuzz.ts";

// Goal: whatever clients and servers of HTTP/2 do, no byte of one stream's answer reaches another stream, and when all
// is over nothing is left. Method: as in connections.fuzz.test.ts, with clients that send frames of every kind, in any
// pieces, and with one origin that speaks HTTP/1 and one that speaks HTTP/2.
const CLIENTS = fuzzClients(200);
const LIMITS = { frameSize: 16_384, blockSize: 65_536, continuations: 100 };

for (const executor of ["io_uring", "epoll"] as const) {
  test(`${executor}: hostile HTTP/2 clients leave nothing behind (seed ${FUZZ_SEED})`, {
    skip: refusal(executor),
    timeout: 60_000,
  }, async () => {
    const random = seededRandom(FUZZ_SEED);
    const http1 = await startHttp1(random);
    const http2 = await startHttp2(random);
    const { worker, port } = await startWorker(
      executor,
      (http1.address() as AddressInfo).port,
      (http2.address() as AddressInfo).port,
    );
    worker.start();
    try {
      let left = CLIENTS;
      const runner = async () => {
        while (left-- > 0) await converse(port, random);
      };
      await Promise.all(Array.from({ length: 16 }, runner));
      const rest = await leftBehind(worker);
      assert.deepEqual(rest, Object.fromEntries(Object.keys(rest).map((name) => [name, 0])));
    } finally {
      worker.ring.stop();
      http1.close();
      http2.close();
    }
  });
}

async function startWorker(executor: Executor, http1: number, http2: number) {
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
  bind 127.0.0.1:1 proto h2
  use_backend two if { path_beg /two }
  default_backend one
backend one
  http-reuse always
  server s1 127.0.0.1:${http1}
backend two
  http-reuse always
  server s1 127.0.0.1:${http2} proto h2
`);
  const { worker, ports } = workerUnderFuzz(config, executor, [0]);
  return { worker, port: ports[0] as number };
}

/** `/<where>/<token>/<size>` */
function answerOf(path: string): { body: string } {
  const [, , token = "none", size = "0"] = path.split("/");
  const length = Number.parseInt(size, 10) || 0;
  return { body: token.repeat(Math.ceil(length / token.length)).slice(0, length) };
}

async function startHttp1(random: Random) {
  const server = createTcp({ allowHalfOpen: true }, (socket) => {
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
        let stop = end + 4 + length;
        if (/transfer-encoding: chunked/i.test(head)) {
          const last = pending.indexOf("0\r\n\r\n", end + 2);
          if (last < 0) return;
          stop = last + 5;
        }
        if (pending.length < stop) return;
        pending = pending.slice(stop);
        respond(socket, answerOf(head.split(" ")[1] ?? "").body, random);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

function respond(socket: Socket, body: string, random: Random): void {
  const dice = random.next();
  if (dice < 0.03) return void socket.resetAndDestroy();
  if (dice < 0.05) return; // never
  if (dice < 0.07) return void socket.write("junk\r\n\r\n");
  if (dice < 0.3) {
    const size = body.length.toString(16);
    const chunk = body === "" ? "" : `${size}\r\n${body}\r\n`;
    socket.write(
      `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk}0\r\n${dice < 0.2 ? "x-sum: 1\r\n" : ""}\r\n`,
    );
    return;
  }
  if (dice < 0.35) return void socket.end(`HTTP/1.1 200 OK\r\n\r\n${body}`);
  const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  if (dice > 0.96) {
    socket.write(answer.slice(0, random.between(0, answer.length)));
    setTimeout(() => socket.resetAndDestroy(), 2);
  } else socket.write(answer);
}

async function startHttp2(random: Random): Promise<Http2Server> {
  const server = createServer();
  server.on("sessionError", () => {});
  server.on("session", (session) => {
    session.on("error", () => {});
    if (random.next() < 0.3)
      setTimeout(() => session.destroyed || session.goaway(0), random.between(1, 100));
    if (random.next() < 0.1) setTimeout(() => session.destroy(), random.between(1, 200));
  });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    stream.resume();
    const { body } = answerOf(String(headers[":path"]));
    const dice = random.next();
    if (dice < 0.03) return;
    if (dice < 0.08) return void stream.close(random.between(0, 13));
    stream.respond({ ":status": dice < 0.1 ? 204 : 200 }, { endStream: dice < 0.1 });
    if (dice < 0.1) return;
    if (dice < 0.2) {
      stream.write(body.slice(0, body.length >> 1));
      setTimeout(
        () => (dice < 0.15 ? stream.close(2) : stream.end(body.slice(body.length >> 1))),
        3,
      );
    } else stream.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return server;
}

let tokens = 0;

/** A client's frames: requests with tokens of their own, and all kinds of things between. */
function script(random: Random, mine: Map<number, string>): Uint8Array {
  const parts: Uint8Array[] = [PREFACE, frame(FRAME_SETTINGS, 0, 0, settings(random))];
  const count = random.between(1, 12);
  for (let i = 0; i < count; i++) {
    const id = 1 + i * 2;
    const token = `T${tokens++}Q`;
    mine.set(id, token);
    const size = random.next() < 0.1 ? random.between(20_000, 200_000) : random.between(0, 3_000);
    const path = `/${random.next() < 0.5 ? "two" : "one"}/${token}/${size}`;
    const hasBody = random.next() < 0.3;
    const block = [0x80 | (hasBody ? 3 : 2), 0x86, 0x41, 1, 0x61, 0x04, path.length];
    const end = hasBody ? 0 : FLAG_END_STREAM;
    parts.push(frame(FRAME_HEADERS, FLAG_END_HEADERS | end, id, [...block, ...Buffer.from(path)]));
    if (hasBody) {
      const pieces = random.between(0, 3);
      for (let p = 0; p <= pieces; p++) {
        const data = new Uint8Array(random.between(0, 8_000)).fill(0x62);
        parts.push(frame(FRAME_DATA, p === pieces ? FLAG_END_STREAM : 0, id, data));
      }
    }
    const dice = random.next();
    if (dice < 0.1) parts.push(frame(FRAME_RST_STREAM, 0, id, [0, 0, 0, 8]));
    else if (dice < 0.2) parts.push(frame(FRAME_PING, 0, 0, new Uint8Array(8)));
    else if (dice < 0.3)
      parts.push(frame(FRAME_WINDOW_UPDATE, 0, id, [0, 0, random.between(0, 255), 9]));
    else if (dice < 0.4) parts.push(frame(FRAME_WINDOW_UPDATE, 0, 0, [0, 1, 0, 0]));
    else if (dice < 0.42)
      parts.push(frame(random.between(0, 12), random.between(0, 255), id, [1, 2, 3, 4]));
    else if (dice < 0.45) parts.push(frame(FRAME_SETTINGS, 0, 0, settings(random)));
  }
  return Buffer.concat(parts);
}

function settings(random: Random): number[] {
  return random.next() < 0.5 ? [] : [0, 4, 0, 0, random.between(0, 255), random.between(0, 255)];
}

function frame(
  type: number,
  flags: number,
  stream: number,
  payload: ArrayLike<number>,
): Uint8Array {
  const bytes = new Uint8Array(9 + payload.length);
  writeFrameHeader(bytes, 0, payload.length, type, flags, stream);
  bytes.set(payload, 9);
  return bytes;
}

/** Sends the script in pieces, may leave at any time; what comes for a stream must be that stream's. */
function converse(port: number, random: Random): Promise<void> {
  const mine = new Map<number, string>();
  const bytes = script(random, mine);
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const reader = new FrameReader(LIMITS);
    const got = new Map<number, string>();
    let fault: Error | undefined;
    socket.on("data", (chunk: Buffer) => {
      for (let at = 0; at < chunk.length; ) {
        at = reader.take(chunk, at, chunk.length);
        if (reader.event === EVENT_BROKEN)
          fault ??= new Error(`a frame of ours is broken: ${reader.code}`);
        if (reader.event === EVENT_NONE || reader.event === EVENT_BROKEN) break;
        if (reader.event !== EVENT_DATA) continue;
        const text = Buffer.from(reader.source.subarray(reader.start, reader.end)).toString(
          "latin1",
        );
        got.set(reader.stream, (got.get(reader.stream) ?? "") + text);
        if (random.next() < 0.5 && !socket.destroyed) {
          socket.write(frame(FRAME_WINDOW_UPDATE, 0, 0, [0, 0, 0x40, 0]));
          socket.write(frame(FRAME_WINDOW_UPDATE, 0, reader.stream, [0, 0, 0x40, 0]));
        }
      }
    });
    socket.on("end", () => socket.end());
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      for (const [id, text] of got) {
        const foreign = /T\d+Q/.exec(text.replaceAll(mine.get(id) ?? "", ""));
        if (foreign !== null)
          fault ??= new Error(`bytes for ${foreign[0]} came to ${mine.get(id)}`);
      }
      if (fault === undefined) resolve();
      else reject(fault);
    });
    const timer = setTimeout(() => socket.destroy(), random.between(100, 600));
    const dice = random.next();
    const step = (at: number) => {
      if (socket.destroyed) return;
      if (at >= bytes.length) {
        if (dice < 0.1) socket.end();
        else if (dice < 0.2) socket.resetAndDestroy();
        return;
      }
      const next = Math.min(bytes.length, at + random.between(1, dice < 0.5 ? bytes.length : 600));
      socket.write(bytes.subarray(at, next));
      if (dice > 0.97) socket.destroy();
      else setTimeout(step, random.next() < 0.7 ? 0 : random.between(1, 6), next);
    };
    socket.once("connect", () => step(0));
  });
}
