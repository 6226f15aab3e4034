import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { numberProxies } from "../../daemon/runtime-build.ts";
import { loadConfig } from "../sample/haproxy-runner.test.ts";
import {
  createTestWorld,
  findings,
  testContext,
  testTransaction,
} from "../sample/testing/index.ts";
import { createProxyState } from "../server/proxy-state.ts";
import { StickTable } from "../server/stick-table.ts";
import { NONE, type Transaction } from "../transaction.ts";
import { compilePersistence } from "./persistence.ts";

/** A backend of three servers with the lines, as our own parser reads it. */
async function backendWith(lines: readonly string[]) {
  const folder = mkdtempSync(join(tmpdir(), "ha-persist-"));
  const file = join(folder, "haproxy.cfg");
  writeFileSync(
    file,
    [
      "defaults",
      "  mode http",
      "  timeout client 5s",
      "  timeout server 5s",
      "  timeout connect 5s",
      "frontend f",
      "  bind 127.0.0.1:8080",
      "  default_backend b",
      "backend b",
      ...lines.map((line) => `  ${line}`),
      ...["s1", "s2", "s3"].map((name, i) => `  server ${name} 127.0.0.1:${8081 + i} id ${10 + i}`),
      "",
    ].join("\n"),
  );
  const config = await loadConfig(file);
  rmSync(folder, { recursive: true });
  const proxies = numberProxies(config).map(({ frontend, backend }, index) =>
    createProxyState(index, frontend, backend),
  );
  const tables = new Map(
    [...config.stickTables].map(([name, spec]) => [name, new StickTable(spec)]),
  );
  const state = proxies.find(({ name }) => name === "b");
  assert.ok(state?.backend !== undefined);
  const base = testContext(createTestWorld({ proxies, tables }));
  const context = {
    ...base,
    proxy: { ...base.proxy, name: "b", mode: "http", index: state.index },
  } as typeof base;
  const persistence = compilePersistence(state.backend, state.servers, context);
  assert.deepEqual(findings(context), []);
  return { persistence, servers: state.servers, tables };
}

function request(fields = "", source = "192.0.2.1"): Transaction {
  const transaction = testTransaction(
    `GET /a HTTP/1.1\r\nHost: h\r\n${fields}\r\n`,
    "HTTP/1.1 200 OK\r\nX-Id: 77\r\ncontent-length: 0\r\n\r\n",
  );
  transaction.hasResponse = false;
  transaction.session.source.address.set(source.split(".").map(Number));
  return transaction;
}

test("stick on a source sends it back to the server that took it first, by name or by id", async () => {
  for (const data of ["server_key", ""]) {
    const { persistence, servers } = await backendWith([
      `stick-table type ip size 100 expire 60s${data === "" ? "" : ` store ${data}`}`,
      "stick on src",
    ]);
    const first = request();
    assert.ok(persistence.request?.(first));
    assert.equal(first.wantedServer, NONE);
    first.server = 1;
    first.hasResponse = true;
    assert.ok(persistence.response?.(first));

    const again = request();
    persistence.request?.(again);
    assert.equal(again.wantedServer, 1);
    const other = request("", "192.0.2.2");
    persistence.request?.(other);
    assert.equal(other.wantedServer, NONE);

    servers.usable[1] = 0;
    const down = request();
    persistence.request?.(down);
    assert.equal(down.wantedServer, NONE);
  }
});

test("a session id that the server gives is found again in the client's cookie", async () => {
  const { persistence } = await backendWith([
    "stick-table type string len 32 size 100 expire 60s",
    "stick store-response res.hdr(X-Id)",
    "stick match req.cook(sid)",
  ]);
  const first = request();
  persistence.request?.(first);
  first.server = 2;
  first.hasResponse = true;
  persistence.response?.(first);
  const again = request("Cookie: sid=77\r\n");
  persistence.request?.(again);
  assert.equal(again.wantedServer, 2);
});

test("use-server holds when its server is up, and the next line is tried when it is not", async () => {
  const { persistence, servers } = await backendWith([
    "use-server s3 if { path /a }",
    "use-server s2 if TRUE",
    "force-persist if { hdr(x-force) yes }",
  ]);
  const plain = request();
  persistence.request?.(plain);
  assert.equal(plain.wantedServer, 2);
  servers.usable[2] = 0;
  const down = request();
  persistence.request?.(down);
  assert.equal(down.wantedServer, 1);
  const forced = request("X-Force: yes\r\n");
  persistence.request?.(forced);
  assert.equal(forced.wantedServer, 2);
});
