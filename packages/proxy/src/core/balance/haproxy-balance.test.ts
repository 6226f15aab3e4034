import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { test } from "node:test";
import { numberProxies } from "../../daemon/runtime-build.ts";
import {
  ask,
  DEFAULTS,
  type RunningHaproxy,
  runHaproxy,
  withoutHaproxy,
} from "../sample/haproxy-runner.test.ts";
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
// sixty requests through each, and the same requests through our own balance of the same file.

const SERVERS = 5;
const KEYS = 60;
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

test("each key finds the server that haproxy gives it", { skip: withoutHaproxy }, async () => {
  const stubs = await startStubs();
  let haproxy: RunningHaproxy | undefined;
  try {
    haproxy = await runHaproxy(configuration(stubs.ports));
    const proxies = numberProxies(haproxy.config).map(({ frontend, backend }, index) =>
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
        const { body } = await ask(haproxy.port, request, source);
        const expected = stubs.ports.indexOf(Number(body));
        assert.notEqual(expected, -1);
        const transaction = testTransaction(request);
        transaction.session.source.address.set(source.split(".").map(Number));
        if (balance.choose(transaction, NONE) !== expected) differing++;
      }
      if (differing > 0) wrong.push(`${lines.join(";")}: ${differing} of ${KEYS} keys differ`);
    }
    assert.deepEqual(wrong, []);
  } finally {
    haproxy?.stop();
    for (const server of stubs.servers) {
      server.closeAllConnections();
      server.close();
    }
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

function configuration(ports: readonly number[]): string[] {
  return [
    ...DEFAULTS,
    "frontend f",
    "  bind 127.0.0.1:PORT",
    "  use_backend %[req.hdr(x-backend)]",
    ...CASES.flatMap(({ name, lines }) => [
      `backend ${name}`,
      ...lines,
      ...ports.map((stub, i) => `  server s${i} 127.0.0.1:${stub} weight ${[10, 20, 30, 1, 7][i]}`),
    ]),
  ];
}

async function startStubs(): Promise<{ servers: Server[]; ports: number[] }> {
  const servers: Server[] = [];
  const ports: number[] = [];
  for (let i = 0; i < SERVERS; i++) {
    const server = createServer((request, response) => {
      const body = String(request.socket.localPort);
      response.writeHead(200, { "content-length": body.length }).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const address = server.address();
    assert.ok(typeof address === "object" && address !== null);
    servers.push(server);
    ports.push(address.port);
  }
  return { servers, ports };
}
