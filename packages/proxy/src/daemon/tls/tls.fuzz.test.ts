import { strict as assert } from "node:assert";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { createServer as createTlsServer, connect as tlsConnect } from "node:tls";
import { type Random, seededRandom } from "@ha/base";
import type { Executor } from "@ha/linux/ring";
import { tlsHeld } from "@ha/linux/tls";
import { createConfigHost } from "../config-host.ts";
import {
  FUZZ_SEED,
  fuzzClients,
  fuzzConfiguration,
  leftBehind,
  refusal,
  workerUnderFuzz,
} from "../testing/worker-under-fuzz.ts";
import { openTls } from "./open-tls.ts";

// Goal: whatever comes over a connection with TLS, and whatever a server with TLS does, nothing throws, no byte reaches
// another's client, and nothing is left when all is over. Method: a data plane in this thread, TLS on both sides of it;
// clients reach it through a relay that flips, cuts, delays and drops bytes, from a seed.
const CLIENTS = fuzzClients(200);

const folder = mkdtempSync(join(tmpdir(), "tls-fuzz-"));
const pem = join(folder, "both.pem");

before(() => {
  const words =
    "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=a -keyout key -out crt";
  execFileSync("openssl", words.split(" "), { cwd: folder, stdio: "pipe" });
  writeFileSync(
    pem,
    readFileSync(join(folder, "crt"), "utf8") + readFileSync(join(folder, "key"), "utf8"),
  );
});

after(() => rmSync(folder, { recursive: true, force: true }));

for (const executor of ["io_uring", "epoll"] as const) {
  test(`${executor}: TLS that is cut, flipped and dropped leaves nothing behind (seed ${FUZZ_SEED})`, {
    skip: refusal(executor),
    timeout: 60_000,
  }, async () => {
    const random = seededRandom(FUZZ_SEED);
    const origin = await startOrigin(random);
    const before = tlsHeld().sessions;
    const { worker, ports } = await startWorker(executor, origin.port);
    worker.start();
    const relay = await startRelay(ports, random);
    let answered = 0;
    try {
      let left = CLIENTS;
      const runner = async () => {
        while (left-- > 0) {
          const isWhole = await client(relay.port, random);
          if (isWhole) answered++;
        }
      };
      await Promise.all(Array.from({ length: 16 }, runner));
      relay.close();
      const rest = {
        ...(await leftBehind(worker)),
        tls: tlsHeld().sessions - before,
        counted: worker.rates.tls.open,
      };
      const nothing = Object.fromEntries(Object.keys(rest).map((name) => [name, 0]));
      assert.deepEqual(rest, nothing);
      assert.ok(answered > CLIENTS / 10, `${answered} clients of ${CLIENTS} had whole answers`);
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
  timeout client 200ms
  timeout server 200ms
  timeout connect 200ms
  timeout queue 100ms
  timeout http-request 200ms
  timeout http-keep-alive 80ms
  retries 2
frontend web
  bind 127.0.0.1:1 ssl crt ${pem}
  default_backend app
backend app
  http-reuse always
  option redispatch
  server s1 127.0.0.1:${origin} ssl verify none sni req.hdr(host)
listen raw
  mode tcp
  bind 127.0.0.1:2 ssl crt ${pem}
  server s1 127.0.0.1:${origin} ssl verify none
`);
  const tls = openTls(config, createConfigHost());
  assert.ok(tls.ok);
  return workerUnderFuzz(config, executor, [0, 2], tls.value.share);
}

/** Answers `/<token>/<size>` with the token over and over; leaves, resets or writes to the wire past TLS now and then. */
async function startOrigin(random: Random) {
  const options = {
    key: readFileSync(join(folder, "key")),
    cert: readFileSync(join(folder, "crt")),
  };
  const sockets = new Set<Socket>();
  const server = createTlsServer(options, (socket) => {
    socket.on("error", () => {});
    let pending = "";
    socket.on("data", (chunk) => {
      pending += chunk.toString("latin1");
      for (let end = pending.indexOf("\r\n\r\n"); end >= 0; end = pending.indexOf("\r\n\r\n")) {
        const [, token = "none", size = "0"] = /^GET \/(\w+)\/(\d+)/.exec(pending) ?? [];
        pending = pending.slice(end + 4);
        const body = token.repeat(Math.ceil(Number(size) / token.length)).slice(0, Number(size));
        const answer = `HTTP/1.1 200 OK\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
        const dice = random.next();
        if (dice < 0.03) socket.destroy();
        else if (dice < 0.06) socket.end(answer.slice(0, answer.length / 2));
        else socket.write(answer);
      }
    });
  });
  server.on("tlsClientError", () => {});
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
    socket.on("error", () => {});
    const dice = random.next();
    if (dice < 0.05) socket.destroy();
    else if (dice < 0.1) socket.write("HTTP/1.1 400 Bad Request\r\n\r\n");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    close: () => {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Between the clients and the proxy: copies, mostly. */
async function startRelay(ports: readonly number[], random: Random) {
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const port = ports[random.next() < 0.7 ? 0 : 1] as number;
    const far = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const mood = random.next();
    // Half of the connections are left alone; where the others break is a matter of bytes so far.
    const breaksAt =
      mood < 0.5 ? Number.POSITIVE_INFINITY : random.between(0, mood < 0.75 ? 2_000 : 60_000);
    let seen = 0;
    near.on("data", (chunk) => {
      seen += chunk.length;
      if (seen <= breaksAt) {
        if (random.next() < 0.2) {
          const cut = random.between(0, chunk.length);
          far.write(chunk.subarray(0, cut));
          near.pause();
          setTimeout(
            () => {
              far.write(chunk.subarray(cut));
              near.resume();
            },
            random.between(0, 4),
          );
        } else far.write(chunk);
        return;
      }
      const dice = random.next();
      const at = random.between(0, chunk.length - 1);
      if (dice < 0.4) {
        chunk[at] = (chunk[at] as number) ^ (1 << random.between(0, 7));
        far.write(chunk);
      } else if (dice < 0.6) far.write(chunk.subarray(0, at));
      else if (dice < 0.7) far.end(chunk.subarray(0, at));
      else if (dice < 0.8) far.resetAndDestroy();
      else if (dice < 0.9) far.write(Buffer.concat([chunk, chunk]));
      else far.destroy();
    });
    far.on("data", (chunk) => near.write(chunk));
    near.on("end", () => far.end());
    far.on("end", () => near.end());
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      one.on("error", () => {});
      one.on("close", () => other.destroy());
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { port: (server.address() as AddressInfo).port, close: () => server.close() };
}

let tokens = 0;

/** True when whole answers came; whatever comes must be its own. */
function client(port: number, random: Random): Promise<boolean> {
  const token = `T${tokens++}Q`;
  if (random.next() < 0.1) return noise(port, random);
  const sizes = Array.from({ length: random.between(1, 3) }, () =>
    random.next() < 0.15 ? random.between(50_000, 400_000) : random.between(1, 3_000),
  );
  return new Promise((resolve, reject) => {
    let got = "";
    const socket = tlsConnect({
      port,
      host: "127.0.0.1",
      rejectUnauthorized: false,
      maxVersion: random.next() < 0.3 ? "TLSv1.2" : "TLSv1.3",
    });
    const timer = setTimeout(() => socket.destroy(), random.between(300, 1_200));
    const wanted = sizes.reduce((sum, size) => sum + size, 0);
    const body = () => got.replaceAll(/HTTP\/1\.1 [\s\S]*?\r\n\r\n/g, "").length;
    socket.on("secureConnect", () => {
      for (const size of sizes)
        socket.write(`GET /${token}/${size} HTTP/1.1\r\nHost: h${size % 3}\r\n\r\n`);
    });
    socket.on("data", (chunk) => {
      got += chunk.toString("latin1");
      if (random.next() < 0.02) {
        socket.pause();
        setTimeout(() => socket.resume(), random.between(1, 200));
      }
      if (got.length > wanted && body() >= wanted) socket.end();
    });
    socket.on("error", () => {});
    socket.on("close", () => {
      clearTimeout(timer);
      const foreign = /T\d+Q/.exec(got.replaceAll(token, ""));
      if (foreign !== null) reject(new Error(`bytes for ${foreign[0]} came to ${token}`));
      else resolve(body() >= wanted);
    });
  });
}

/** No TLS at all, or the beginning of some. */
function noise(port: number, random: Random): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.on("close", () => resolve(false));
    const bytes = Buffer.from(
      Array.from({ length: random.between(0, 400) }, () => random.between(0, 255)),
    );
    if (random.next() < 0.5)
      bytes.set([0x16, 0x03, 0x01, random.between(0, 66)].slice(0, bytes.length));
    socket.write(bytes);
    socket.resume();
    setTimeout(() => socket.destroy(), random.between(1, 300));
  });
}
