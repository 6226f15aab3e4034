import assert from "node:assert/strict";
import { test } from "node:test";
import { readConfig } from "./load.ts";
import { memoryConfigHost } from "./memory-host.ts";
import type { Config } from "./model.ts";
import { planReload } from "./reload-plan.ts";

function config(text: string): Config {
  const { config } = readConfig([{ name: "x.cfg", text }], {
    host: memoryConfigHost(),
    environment: new Map(),
    commandLine: { maxconn: undefined, ignoreUnresolved: false },
    noServerVerify: false,
    diagnosticMode: false,
    version: "3.5",
    features: new Map(),
    enabled: new Set(),
    sslLibrary: "OpenSSL 3.0.0",
  }).finish();
  assert.ok(config);
  return config;
}

const BASE = `global
 maxconn 100
defaults
 mode http
 timeout client 1s
 timeout connect 1s
 timeout server 1s
frontend f
 bind :80
 default_backend b
backend b
 balance roundrobin
 server s 127.0.0.1:1
`;

test("comments and blank lines change nothing", () => {
  assert.equal(planReload(config(BASE), config(`# new\n\n${BASE}`)).isEmpty, true);
});

test("a plan names the sockets, proxies, servers and global settings that differ, and no others", () => {
  const after = BASE.replace("maxconn 100", "maxconn 200")
    .replace(" bind :80\n", " bind :80\n bind :81\n")
    .replace("127.0.0.1:1\n", "127.0.0.1:1 weight 5\n server t 127.0.0.1:2\n");
  const plan = planReload(config(BASE), config(after));
  assert.deepEqual(plan.sockets, {
    added: ["0.0.0.0:81"],
    removed: [],
    changed: [],
    kept: ["0.0.0.0:80"],
  });
  assert.deepEqual(plan.proxies.changed, ["b", "f"]);
  assert.deepEqual([plan.servers.added, plan.servers.changed], [["b/t"], ["b/s"]]);
  assert.deepEqual(plan.global, ["maxconn"]);
});
