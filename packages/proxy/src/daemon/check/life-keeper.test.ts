import assert from "node:assert/strict";
import { afterEach, mock, test } from "node:test";
import { type Micros, micros, seconds } from "@ha/base";
import type { CheckResult } from "../../core/check/check-status.ts";
import { configOf } from "../../core/check/testing/checked-backend.ts";
import { createTestWorld } from "../../core/sample/testing/index.ts";
import { createProxyState } from "../../core/server/proxy-state.ts";
import { connectionLimit } from "../../core/server/servers.ts";
import { LifeKeeper } from "./life-keeper.ts";

const GOOD: CheckResult = { status: "L4OK", code: 0, info: "", duration: 0 };
const BAD: CheckResult = { status: "L4CON", code: 0, info: "Connection refused", duration: 0 };

afterEach(() => mock.timers.reset());

/** A keeper over the backends of a text, and what it did. */
function keep(text: string) {
  const { backends } = configOf(text);
  const proxies = backends.map((backend, i) => createProxyState(i, undefined, backend));
  const said: string[] = [];
  const clock = { now: seconds(10) as Micros };
  const keeper = new LifeKeeper(createTestWorld({ proxies }), {
    now: () => clock.now,
    log: (_proxy, { text: line }) => said.push(line.replace(/[,.].*/, "")),
    redistribute: (proxy, server) => {
      said.push(`redistribute ${proxy}/${server}`);
      return 0;
    },
    wake: (proxy) => said.push(`wake ${proxy}`),
    shutdownSessions: (proxy, server) => said.push(`shut down ${proxy}/${server}`),
  });
  keeper.begin();
  const servers = (proxy: number) => proxies[proxy]?.servers ?? assert.fail();
  return { keeper, said, clock, servers };
}

test("a server that goes down is not chosen any more, and its waiting requests move before the line is written", () => {
  const { keeper, said, servers } = keep("backend b\n server s 192.0.2.1:80 check\n");
  keeper.checked(0, 0, BAD);
  assert.equal(servers(0).usable[0], 0);
  assert.deepEqual(said, [
    "redistribute 0/0",
    "Server b/s is DOWN",
    "backend b has no server available!",
  ]);
  assert.deepEqual([keeper.backend(0).isDown, keeper.backend(0).timesDown], [true, 1]);
});

test("servers that track go the same way, through several steps", () => {
  const { keeper, said, servers } = keep(
    "backend a\n server s 192.0.2.1:80 check\nbackend b\n server t 192.0.2.1:80 track a/s\nbackend c\n server u 192.0.2.1:80 track b/t\n",
  );
  keeper.checked(0, 0, BAD);
  assert.deepEqual([servers(1).usable[0], servers(2).usable[0]], [0, 0]);
  assert.ok(said.includes("Server c/u is DOWN via b/t"));
  keeper.checked(0, 0, GOOD);
  keeper.checked(0, 0, GOOD);
  assert.deepEqual([servers(1).usable[0], servers(2).usable[0]], [1, 1]);
});

test("a server that tracks a disabled one is in maintenance from the start, without a word", () => {
  const { said, servers, keeper } = keep(
    "backend a\n server s 192.0.2.1:80 check disabled\nbackend b\n server t 192.0.2.1:80 track a/s\n",
  );
  assert.equal(said.length, 0);
  assert.equal(servers(1).usable[0], 0);
  keeper.apply(0, 0, { type: "admin", state: "ready", at: seconds(11) });
  assert.equal(servers(1).usable[0], 1);
  assert.ok(said.includes("Server b/t is UP/READY (leaving maintenance)"));
});

test("slowstart lets weight and limit grow step by step to their full size", () => {
  mock.timers.enable({ apis: ["setTimeout"] });
  const { keeper, clock, servers } = keep(
    "backend b\n server s 192.0.2.1:80 check slowstart 10s weight 100 maxconn 50\n server t 192.0.2.2:80\n",
  );
  keeper.checked(0, 0, BAD);
  keeper.checked(0, 0, GOOD);
  keeper.checked(0, 0, GOOD);
  const grown: number[] = [];
  for (let i = 0; i < 11; i++) {
    clock.now = micros(clock.now + seconds(1));
    mock.timers.tick(1_000);
    grown.push(servers(0).weight[0] ?? -1);
  }
  assert.deepEqual(
    grown,
    [...grown].sort((a, b) => a - b),
  );
  assert.ok((grown[0] ?? 0) < 400 && grown.at(-1) === 1_600);
  assert.equal(connectionLimit(servers(0), 0), 50);
  assert.equal(keeper.server(0, 0).state.operational, "running");
});

test("an agent's weight and limit are in force at once, and a weight of 0% takes no new work", () => {
  const { keeper, servers } = keep(
    "backend b\n server s 192.0.2.1:80 weight 40 maxconn 9 agent-check agent-port 1\n",
  );
  const report = { state: undefined, admin: undefined, reason: "" };
  const result: CheckResult = { status: "CHECKED", code: 0, info: "", duration: 0 };
  keeper.agentChecked(0, 0, result, { ...report, weightPercent: 50, maxconn: 3 });
  assert.equal(servers(0).weight[0], 20 * 16);
  assert.equal(servers(0).maxconn[0], 3);
  keeper.agentChecked(0, 0, result, { ...report, weightPercent: 0, maxconn: undefined });
  assert.equal(servers(0).weight[0], 0);
  assert.equal(servers(0).usable[0], 1);
});

test("an agent that cannot be reached changes nothing", () => {
  const { keeper, servers, said } = keep(
    "backend b\n server s 192.0.2.1:80 agent-check agent-port 1\n",
  );
  keeper.agentChecked(0, 0, BAD, undefined);
  assert.equal(servers(0).usable[0], 1);
  assert.deepEqual(said, []);
  assert.equal(keeper.server(0, 0).agent?.status, "L4CON");
});

test("marking down and up end the sessions that the server's line says", () => {
  const { keeper, said } = keep(
    "backend b\n server s 192.0.2.1:80 check on-marked-down shutdown-sessions on-marked-up shutdown-backup-sessions\n server t 192.0.2.2:80 backup\n",
  );
  keeper.checked(0, 0, BAD);
  assert.ok(said.includes("shut down 0/0"));
  said.length = 0;
  keeper.checked(0, 0, GOOD);
  keeper.checked(0, 0, GOOD);
  assert.ok(said.includes("shut down 0/1") && said.includes("wake 0"));
});

test("log-health-checks writes a line when a result changes, not for each check", () => {
  const { keeper, said } = keep(
    "backend b\n option log-health-checks\n server s 192.0.2.1:80 check\n",
  );
  keeper.checked(0, 0, GOOD);
  keeper.checked(0, 0, GOOD);
  keeper.checked(0, 0, BAD);
  keeper.checked(0, 0, BAD);
  assert.deepEqual(said, [
    "Health check for server b/s succeeded",
    "Health check for server b/s failed",
    "Health check for server b/s failed",
  ]);
});

test("maintenance is said once, and checks that come late change nothing", () => {
  const { keeper, said, servers } = keep(
    "backend b\n server s 192.0.2.1:80 check\n server t 192.0.2.2:80\n",
  );
  keeper.apply(0, 0, { type: "admin", state: "maint", at: seconds(11) });
  keeper.checked(0, 0, BAD);
  assert.equal(servers(0).usable[0], 0);
  assert.deepEqual(
    said.filter((line) => line.startsWith("Server")),
    ["Server b/s is going DOWN for maintenance"],
  );
});

test("a server whose name has no address is in maintenance until it is given one", () => {
  const { keeper, servers, said } = keep(
    "backend b\n server-template t 2 nowhere.invalid:80 check init-addr none\n",
  );
  assert.equal(servers(0).usable[0], 0);
  assert.equal(said.length, 0);
  assert.deepEqual(
    keeper.states().map(({ adminState, operationalState }) => [adminState, operationalState]),
    [
      [32, 0],
      [32, 0],
    ],
  );
  const { address } = keeper.server(0, 0);
  assert.ok(address.kind === "inet");
  keeper.moveTo(0, 0, { ...address, address: { family: 4, bytes: Uint8Array.of(192, 0, 2, 1) } });
  assert.deepEqual([servers(0).usable[0], servers(0).usable[1]], [1, 0]);
});
