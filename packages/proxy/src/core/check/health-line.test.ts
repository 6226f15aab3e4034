import assert from "node:assert/strict";
import { test } from "node:test";
import { micros, seconds } from "@ha/base";
import { initialHealth } from "../server/health.ts";
import type { HealthSettings, ServerHealth } from "../server/health-model.ts";
import type { CheckResult } from "./check-status.ts";
import { checkLine, healthLine, noServerLine, stateHeader } from "./health-line.ts";

const SETTINGS: HealthSettings = {
  rise: 2,
  fall: 3,
  inter: seconds(2),
  fastinter: undefined,
  downinter: undefined,
  observe: "none",
  errorLimit: 10,
  onError: "fail-check",
  onMarkedDown: "none",
  onMarkedUp: "none",
  initState: "up",
  slowstart: micros(0),
  checked: true,
  agent: false,
  agentRise: 1,
  agentFall: 1,
  disabled: false,
  initialWeight: 1,
};
const UP = initialHealth(SETTINGS, micros(0));
const DOWN: ServerHealth = { ...UP, operational: "stopped", health: 0 };
const MAINT: ServerHealth = { ...UP, admin: "maint" };
const FACTS = {
  proxy: "be",
  server: "s",
  backup: false,
  active: 0,
  backups: 0,
  sessions: 0,
  requeued: 0,
  queued: 0,
};
const REFUSED: CheckResult = { status: "L4CON", code: 0, info: "Connection refused", duration: 0 };
const NONE = { type: "none" } as const;

// The expected texts were written by haproxy 2.6.12 in the same situations.
test("lines of up and down are HAProxy's, word for word", () => {
  const cause = { type: "check", result: REFUSED, isLogged: false } as const;
  assert.deepEqual(healthLine("DOWN", UP, DOWN, FACTS, cause), {
    level: 1,
    text: 'Server be/s is DOWN, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.',
  });
  assert.equal(
    healthLine(
      "DOWN",
      UP,
      DOWN,
      { ...FACTS, backups: 1, backup: true, requeued: 2 },
      { ...cause, isLogged: true },
    ).text,
    "Backup Server be/s is DOWN. 0 active and 1 backup servers left. Running on backup. 0 sessions active, 2 requeued, 0 remaining in queue.",
  );
  assert.deepEqual(
    healthLine("UP", DOWN, UP, { ...FACTS, active: 1 }, { type: "told", text: "changed from CLI" }),
    {
      level: 5,
      text: "Server be/s is UP, changed from CLI. 1 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
    },
  );
  assert.equal(
    healthLine("DOWN", UP, DOWN, FACTS, { type: "track", proxy: "x", server: "y" }).text,
    "Server be/s is DOWN via x/y. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
  );
});

test("lines of what administrators do are HAProxy's, word for word", () => {
  const line = (...args: Parameters<typeof healthLine>) => healthLine(...args).text;
  assert.equal(
    line("MAINT", UP, MAINT, FACTS, NONE),
    "Server be/s is going DOWN for maintenance. 0 active and 0 backup servers left. 0 sessions active, 0 requeued, 0 remaining in queue.",
  );
  assert.equal(
    line("MAINT", DOWN, { ...DOWN, admin: "maint" }, FACTS, NONE),
    "Server be/s was DOWN and now enters maintenance.",
  );
  assert.equal(
    line("READY", MAINT, UP, FACTS, NONE),
    "Server be/s is UP/READY (leaving forced maintenance).",
  );
  assert.equal(
    line("READY", { ...DOWN, admin: "maint" }, DOWN, FACTS, NONE),
    "Server be/s is DOWN/READY (leaving forced maintenance).",
  );
  assert.equal(
    line("READY", { ...UP, admin: "drain" }, UP, FACTS, NONE),
    "Server be/s is UP (leaving forced drain).",
  );
  assert.equal(
    line("DRAIN", UP, { ...UP, admin: "drain" }, { ...FACTS, active: 5 }, NONE),
    "Server be/s enters drain state. 5 active and 0 backup servers online. 0 sessions requeued, 0 total in queue.",
  );
});

test("a backend without servers is called by its kind, in quotes on the console alone", () => {
  assert.deepEqual(noServerLine("listen", "web"), {
    level: 0,
    text: "proxy web has no server available!",
    consoleText: "proxy 'web' has no server available!",
  });
  assert.equal(noServerLine("backend", "web").text, "backend web has no server available!");
});

test("a check's own line says what it found and where the server stands", () => {
  const health = { value: 4, rise: 2, fall: 3 };
  assert.equal(
    checkLine("Health", { status: "L7OK", code: 200, info: "", duration: 3 }, health, FACTS)?.text,
    "Health check for server be/s succeeded, reason: Layer7 check passed, code: 200, check duration: 3ms, status: 3/3 UP.",
  );
  assert.equal(
    checkLine("Agent", REFUSED, { value: 0, rise: 2, fall: 3 }, { ...FACTS, backup: true })?.text,
    'Agent check for backup server be/s failed, reason: Layer4 connection problem, info: "Connection refused", check duration: 0ms, status: 0/2 DOWN.',
  );
  assert.equal(checkLine("Agent", { ...REFUSED, status: "CHECKED" }, health, FACTS), undefined);
});

test("what a server says cannot forge lines", () => {
  const result: CheckResult = {
    status: "L7STS",
    code: 500,
    info: 'a"b\r\nServer be/t is UP',
    duration: 1,
  };
  const { text } = healthLine("DOWN", UP, DOWN, FACTS, { type: "check", result, isLogged: false });
  assert.match(text, /info: "a'b#0D#0AServer be\/t is UP"/);
});

test("the state header counts health, weight and load as HAProxy does", () => {
  const facts = {
    address: "127.0.0.1",
    port: "80",
    proxy: "be",
    server: "s",
    node: "vm",
    weight: 1,
    totalWeight: 3,
    sessions: 2,
    backendSessions: 5,
    queued: 1,
    throttle: undefined,
  };
  assert.equal(
    stateHeader(UP, SETTINGS, facts),
    "UP 1/3; address=127.0.0.1; port=80; name=be/s; node=vm; weight=1/3; scur=2/5; qcur=1",
  );
  assert.match(
    stateHeader({ ...UP, health: 4, operational: "stopping" }, SETTINGS, facts),
    /^NOLB; /,
  );
  assert.match(stateHeader(DOWN, SETTINGS, { ...facts, throttle: 30 }), /^DOWN; .*; throttle=30%$/);
});
