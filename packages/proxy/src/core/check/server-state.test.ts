import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, micros, seconds } from "@ha/base";
import { readServerStates, writeServerStates } from "../config/server-state-file.ts";
import { initialHealth } from "../server/health.ts";
import type { HealthSettings, ServerHealth } from "../server/health-model.ts";
import { NOT_CHECKED } from "./check-status.ts";
import { restoreHealth, serverStateOf } from "./server-state.ts";
import { backendOf } from "./testing/checked-backend.ts";

const BACKEND = backendOf([], "server s 192.0.2.1:80 check weight 10 rise 2 fall 3");
const NOW = seconds(100);

function fresh(): ServerHealth {
  const [server] = BACKEND.servers;
  assert.ok(server !== undefined);
  const settings: HealthSettings = {
    ...server.health,
    slowstart: micros(0),
    checked: true,
    agent: false,
    agentRise: 1,
    agentFall: 1,
    disabled: server.disabled,
    initialWeight: server.weight,
  };
  return initialHealth(settings, NOW);
}

/** The health after it went through a file into the next process. */
function handedOver(change: Partial<ServerHealth>, next = BACKEND): ServerHealth {
  const [server] = BACKEND.servers;
  const [later] = next.servers;
  assert.ok(server !== undefined && later !== undefined);
  const row = serverStateOf({
    backend: BACKEND,
    server,
    address: server.address,
    health: { ...fresh(), ...change },
    check: NOT_CHECKED,
    now: seconds(130),
  });
  const [read] = readServerStates(writeServerStates([row], formatAddress))?.states ?? [];
  assert.ok(read !== undefined);
  return restoreHealth(read, later, fresh(), NOW);
}

test("a line of show servers state is HAProxy's", () => {
  const [server] = BACKEND.servers;
  assert.ok(server !== undefined);
  const row = serverStateOf({
    backend: { id: 2, name: "b" },
    server,
    address: server.address,
    health: { ...fresh(), health: 4 },
    check: { status: "L4OK", code: 0, info: "", duration: 1 },
    now: seconds(102),
  });
  const text = writeServerStates([row], formatAddress);
  assert.equal(text.split("\n")[2], "2 b 1 s 192.0.2.1 2 0 10 10 2 6 3 4 6 0 0 0 - 80 - 0 0 - - 0");
});

test("what an administrator set stays set in the next process", () => {
  assert.equal(handedOver({ admin: "maint" }).admin, "maint");
  assert.equal(handedOver({ admin: "drain" }).admin, "drain");
  assert.equal(handedOver({ weight: 77 }).weight, 77);
});

test("a weight that the new file changes wins over the one that was set at run time", () => {
  const next = backendOf([], "server s 192.0.2.1:80 check weight 20 rise 2 fall 3");
  assert.equal(handedOver({ weight: 77 }, next).weight, 20);
});

test("a server that was down is down, with the health and the age that it had", () => {
  const down = handedOver({ operational: "stopped", health: 1, changedAt: seconds(90) });
  assert.deepEqual([down.operational, down.health], ["stopped", 1]);
  assert.equal(down.changedAt, seconds(60));
});

test("health never exceeds what the new thresholds allow", () => {
  const next = backendOf([], "server s 192.0.2.1:80 check weight 10 rise 1 fall 1");
  assert.equal(handedOver({ health: 4 }, next).health, 1);
  assert.equal(handedOver({ operational: "stopped", health: 1 }, next).health, 0);
});
