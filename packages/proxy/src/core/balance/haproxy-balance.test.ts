import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { connect, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { createConfigHost, resolveNames } from "../../daemon/config-host.ts";
import { numberProxies } from "../../daemon/runtime-build.ts";
import { readConfig } from "../config/load.ts";
import type { Config } from "../config/model.ts";
import {
  createTestWorld,
  findings,
  testContext,
  testTransaction,
} from "../sample/testing/index.ts";
import { createProxyState } from "../server/proxy-state.ts";
import { NONE } from "../server/servers.ts";
import { compileBalance } from "./compile-balance.ts";

// Goal: every key finds the server that it finds with the real haproxy, so that caches stay warm when one replaces the other.
// Method: one haproxy with a backend for each way to hash, over five stub servers that answer with their port; a
// hundred requests through each, and the same requests through our own balance of the same file.

const haproxy = spawnSync("haproxy", ["-v"], { encoding: "utf8" });
const skip = haproxy.status === 0 ? false : "haproxy is not installed";

const SERVERS = 5;
const KEYS = 100;
const METHODS = ["map-based", "consistent"];
const FUNCTIONS = [
  "sdbm",
  "djb2",
  "wt6",
  "crc32",
  "sdbm avalanche",
  "djb2 avalanche",
  "wt6 avalanche",
  "crc32 avalanche",
];
const BALANCES = [
  "uri",
  "uri whole",
  "uri len 12",
  "uri depth 2",
  "uri path-only",
  "url_param k",
  "hdr(x-key)",
  "hdr(host) use_domain_only",
  "hash req.hdr(x-key),lower",
  "source",
];

interface BackendCase {
  readonly name: string;
  readonly lines: readonly string[];
}

const CASES: readonly BackendCase[] = [
  // Every function once with each method, and every kind of key once with each method.
  ...METHODS.flatMap((method) =>
    FUNCTIONS.map((hash) => ({ balance: "uri", type: `${method} ${hash}` })),
  ),
  ...METHODS.flatMap((method) =>
    BALANCES.slice(1).map((balance) => ({ balance, type: `${method} sdbm` })),
  ),
  ...METHODS.map((method) => ({ balance: "source", type: `${method} sdbm avalanche` })),
].map(({ balance, type }, i) => ({
  name: `b${i}`,
  lines: [`  balance ${balance}`, `  hash-type ${type}`],
}));

test("each key finds the server that haproxy gives it", { skip }, async () => {
  const folder = mkdtempSync(join(tmpdir(), "ha-balance-"));
  const stubs = await startStubs();
  const port = await freePort();
  const file = join(folder, "balance.cfg");
  writeFileSync(file, configuration(port, stubs.ports));
  const child = spawn("haproxy", ["-db", "-f", file], { stdio: ["ignore", "ignore", "inherit"] });
  try {
    await untilOpen(port);
    const config = await load(file);
    const proxies = numberProxies(config).map(({ frontend, backend }, index) =>
      createProxyState(index, frontend, backend),
    );
    const context = testContext(createTestWorld({ proxies }));
    const wrong: string[] = [];
    for (const { name, lines } of CASES) {
      const state = proxies.find((one) => one.name === name);
      assert.ok(state?.backend !== undefined);
      const balance = compileBalance(state.backend, state.servers, context);
      assert.ok(balance !== undefined, findings(context).join("\n"));
      const bySource = lines[0]?.includes("source") ?? false;
      let differing = 0;
      for (let key = 0; key < KEYS; key++) {
        const source = bySource ? `127.${key}.${(key * 7) % 256}.9` : "127.0.0.1";
        const request = requestFor(name, key);
        const expected = stubs.ports.indexOf(await ask(port, request, source));
        const transaction = testTransaction(request);
        transaction.session.source.address.set(source.split(".").map(Number));
        if (balance.choose(transaction, NONE) !== expected) differing++;
      }
      if (differing > 0) wrong.push(`${lines.join(";")}: ${differing} of ${KEYS} keys differ`);
    }
    assert.deepEqual(wrong, []);
  } finally {
    child.kill("SIGTERM");
    for (const server of stubs.servers) {
      server.closeAllConnections();
      server.close();
    }
    rmSync(folder, { recursive: true });
  }
});

function requestFor(backend: string, key: number): string {
  return [
    `GET /dir${key % 9}/sub${key}/leaf${key * 31}?k=v${key}&x=${key * 17} HTTP/1.1`,
    `Host: www.site${key}.example${key % 7}.org:8080`,
    `X-Backend: ${backend}`,
    `X-Key: Key-${key * 1013}`,
    "Connection: close",
    "",
    "",
  ].join("\r\n");
}

function configuration(port: number, ports: readonly number[]): string {
  return [
    "defaults",
    "  mode http",
    "  timeout client 5s",
    "  timeout server 5s",
    "  timeout connect 5s",
    "frontend f",
    `  bind 127.0.0.1:${port}`,
    "  use_backend %[req.hdr(x-backend)]",
    ...CASES.flatMap(({ name, lines }) => [
      `backend ${name}`,
      ...lines,
      ...ports.map((stub, i) => `  server s${i} 127.0.0.1:${stub} weight ${[10, 20, 30, 1, 7][i]}`),
    ]),
    "",
  ].join("\n");
}

async function startStubs(): Promise<{ servers: Server[]; ports: number[] }> {
  const servers: Server[] = [];
  const ports: number[] = [];
  for (let i = 0; i < SERVERS; i++) {
    const server = createServer((request, response) =>
      response.end(String(request.socket.localPort)),
    );
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    servers.push(server);
    ports.push(address.port);
  }
  return { servers, ports };
}

async function load(file: string): Promise<Config> {
  const pending = readConfig([{ name: file, text: readFileSync(file, "latin1") }], {
    host: createConfigHost(),
    environment: new Map(),
    commandLine: { maxconn: undefined, ignoreUnresolved: false },
    noServerVerify: false,
    diagnosticMode: false,
    version: "3.5.0",
    features: new Map(),
    enabled: new Set(),
    sslLibrary: "OpenSSL 3.0.0",
  });
  await resolveNames(pending.names);
  const { config, findings: found } = pending.finish();
  assert.ok(config !== undefined, JSON.stringify(found.list));
  return config;
}

async function freePort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(typeof address === "object" && address !== null);
  await new Promise((resolve) => server.close(resolve));
  return address.port;
}

async function untilOpen(port: number): Promise<void> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => {
        socket.destroy();
        resolve(true);
      });
      socket.on("error", () => resolve(false));
    });
    if (open) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error("haproxy did not open its port");
}

/** The port that the stub server answered with. */
function ask(port: number, request: string, localAddress: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: "127.0.0.1", localAddress }, () => socket.write(request));
    let text = "";
    socket.on("error", reject);
    socket.on("data", (data) => {
      text += data.toString("latin1");
    });
    socket.on("end", () => {
      const body = text.slice(text.indexOf("\r\n\r\n") + 4);
      const answer = /(\d{4,5})/.exec(body)?.[1];
      if (answer === undefined) reject(new Error(`no port in ${text}`));
      else resolve(Number(answer));
      socket.destroy();
    });
  });
}
