import assert from "node:assert/strict";
import { test } from "node:test";
import { micros, seconds } from "@ha/base";
import fc from "fast-check";
import { initialHealth, stepHealth } from "./health.ts";
import type { HealthAction, HealthEvent, HealthSettings, ServerHealth } from "./health-model.ts";
import { checkInterval, effectiveWeight, isUsable, statusText } from "./health-view.ts";

const SETTINGS: HealthSettings = {
  rise: 2,
  fall: 3,
  inter: seconds(2),
  fastinter: seconds(1),
  downinter: seconds(5),
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
  initialWeight: 10,
};

/** Runs events one second apart; gives the last state and all actions. */
function run(
  events: readonly (Omit<HealthEvent, "at"> | "pass" | "fail" | "condpass")[],
  settings: HealthSettings = SETTINGS,
): { state: ServerHealth; actions: HealthAction[]; texts: string[] } {
  let state = initialHealth(settings, micros(0));
  const actions: HealthAction[] = [];
  const texts = [statusText(state, settings)];
  events.forEach((event, i) => {
    const at = seconds(i + 1);
    const full =
      typeof event === "string" ? { type: "check", result: event, at } : { ...event, at };
    const step = stepHealth(settings, state, full as HealthEvent);
    state = step.state;
    actions.push(...step.actions);
    texts.push(statusText(state, settings));
  });
  return { state, actions, texts };
}

test("a server starts up with so little health that its first failed check takes it down", () => {
  const { texts, actions } = run(["fail"]);
  assert.deepEqual(texts, ["UP 1/3", "DOWN"]);
  assert.deepEqual(
    actions.map(({ type }) => type),
    ["publish", "log", "redistribute"],
  );
});

test("later it takes fall failed checks in a row, and rise good ones to come back", () => {
  const { texts } = run(["pass", "pass", "fail", "fail", "fail", "pass", "pass"]);
  assert.deepEqual(texts, ["UP 1/3", "UP", "UP", "UP 2/3", "UP 1/3", "DOWN", "DOWN 1/2", "UP"]);
});

test("a failed check on the way up starts again at the bottom", () => {
  const { texts } = run(["fail", "pass", "fail", "pass"]);
  assert.deepEqual(texts, ["UP 1/3", "DOWN", "DOWN 1/2", "DOWN", "DOWN 1/2"]);
});

test("checks are quicker while the state changes and have their own pace while down", () => {
  let state = initialHealth(SETTINGS, micros(0));
  assert.equal(checkInterval(state, SETTINGS), seconds(1));
  for (let i = 0; i < 3; i++) {
    state = stepHealth(SETTINGS, state, { type: "check", result: "pass", at: seconds(i) }).state;
  }
  assert.equal(checkInterval(state, SETTINGS), seconds(2));
  for (let i = 0; i < 3; i++) {
    state = stepHealth(SETTINGS, state, { type: "check", result: "fail", at: seconds(i) }).state;
  }
  assert.equal(checkInterval(state, SETTINGS), seconds(5));
});

test("a server in maintenance says nothing of its checks and comes back up, with little health", () => {
  const { texts, actions } = run([
    "pass",
    "pass",
    { type: "admin", state: "maint" } as HealthEvent,
    "fail",
    "fail",
    "fail",
    { type: "admin", state: "ready" } as HealthEvent,
  ]);
  assert.deepEqual(texts.slice(2), ["UP", "MAINT", "MAINT", "MAINT", "MAINT", "UP 1/3"]);
  assert.deepEqual(
    actions.flatMap((action) => (action.type === "log" ? [action.change] : [])),
    ["MAINT", "READY"],
  );
});

test("a draining server stays usable for persistence, without weight", () => {
  const { state, texts } = run(["pass", "pass", { type: "admin", state: "drain" } as HealthEvent]);
  assert.equal(texts.at(-1), "DRAIN");
  assert.ok(isUsable(state));
  assert.equal(effectiveWeight(state, SETTINGS, seconds(9)), 0);
});

test("a 404 with disable-on-404 takes no new work, and a good check ends that", () => {
  const { texts, state } = run(["pass", "pass", "condpass", "pass"]);
  assert.deepEqual(texts.slice(2), ["UP", "NOLB", "UP"]);
  assert.equal(effectiveWeight(state, SETTINGS, seconds(9)), 160);
});

test("weight grows with slowstart and is whole at its end", () => {
  const settings: HealthSettings = { ...SETTINGS, slowstart: seconds(10) };
  let { state } = run(["fail", "pass", "pass"], settings);
  assert.equal(state.operational, "starting");
  assert.equal(effectiveWeight(state, settings, seconds(3)), 1);
  assert.equal(effectiveWeight(state, settings, seconds(8)), 80);
  state = stepHealth(settings, state, { type: "tick", at: seconds(13) }).state;
  assert.equal(state.operational, "running");
  assert.equal(effectiveWeight(state, settings, seconds(13)), 160);
});

test("errors in traffic count only in a row, and then do what on-error says", () => {
  const observing: HealthSettings = {
    ...SETTINGS,
    observe: "layer7",
    errorLimit: 2,
    onError: "mark-down",
  };
  const bad = { type: "observed", good: false } as HealthEvent;
  const good = { type: "observed", good: true } as HealthEvent;
  assert.equal(run(["pass", "pass", bad, good, bad], observing).texts.at(-1), "UP");
  assert.equal(run(["pass", "pass", bad, bad], observing).texts.at(-1), "DOWN");
  const sudden: HealthSettings = { ...observing, onError: "sudden-death" };
  assert.equal(run(["pass", "pass", bad, bad], sudden).texts.at(-1), "UP 1/3");
});

test("an agent's weight, drain and down are its own, and up ends down", () => {
  const settings: HealthSettings = { ...SETTINGS, agent: true };
  const report = (fields: object): HealthEvent =>
    ({
      type: "agent",
      report: {
        state: undefined,
        admin: undefined,
        weightPercent: undefined,
        maxconn: undefined,
        reason: "",
        ...fields,
      },
    }) as HealthEvent;
  assert.equal(run([report({ weightPercent: 50 })], settings).state.weight, 5);
  assert.equal(run(["pass", "pass", report({ admin: "drain" })], settings).texts.at(-1), "DRAIN");
  assert.equal(
    run(["pass", "pass", report({ state: "down" })], settings).texts.at(-1),
    "DOWN (agent)",
  );
  assert.equal(
    run(["pass", "pass", report({ state: "down" }), report({ state: "up" })], settings).texts.at(
      -1,
    ),
    "UP",
  );
});

test("a server that tracks goes down, drains and comes back with the one it tracks", () => {
  const settings: HealthSettings = { ...SETTINGS, checked: false };
  const tracked = run(["fail"]).state;
  const down = stepHealth(settings, initialHealth(settings, micros(0)), {
    type: "tracked",
    tracked,
    at: seconds(1),
  });
  assert.equal(isUsable(down.state), false);
  const up = stepHealth(settings, down.state, {
    type: "tracked",
    tracked: run(["pass"]).state,
    at: seconds(2),
  });
  assert.ok(isUsable(up.state));
});

test("whatever happens, health stays between 0 and rise+fall-1 and a stopped server is not usable", () => {
  const event = fc.oneof(
    fc.constantFrom("pass" as const, "fail" as const, "condpass" as const),
    fc.constantFrom("ready", "drain", "maint").map((state) => ({ type: "admin", state })),
    fc.boolean().map((good) => ({ type: "observed", good })),
    fc.record({
      type: fc.constant("force"),
      of: fc.constantFrom("check", "agent"),
      to: fc.constantFrom("up", "stopping", "down"),
    }),
    fc.constant({ type: "tick" }),
  );
  const settings: HealthSettings = {
    ...SETTINGS,
    observe: "layer4",
    errorLimit: 2,
    slowstart: seconds(3),
  };
  fc.assert(
    fc.property(fc.array(event, { maxLength: 40 }), (events) => {
      const { state } = run(events as Parameters<typeof run>[0], settings);
      assert.ok(state.health >= 0 && state.health <= 4);
      if (state.operational === "stopped") assert.equal(isUsable(state), false);
    }),
  );
});
