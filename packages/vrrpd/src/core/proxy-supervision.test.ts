import assert from "node:assert/strict";
import { test } from "node:test";
import { type Micros, micros, seconds } from "@ha/base";
import fc from "fast-check";
import {
  INITIAL_PROXY,
  type ProxyAction,
  type ProxyEvent,
  type ProxySettings,
  type ProxyState,
  proxySupervision,
  stepProxy,
} from "./proxy-supervision.ts";

const settings: ProxySettings = {
  supervision: proxySupervision({
    firstWait: micros(0),
    longestWait: seconds(30),
    deaths: 3,
    within: seconds(60),
  }),
  startTimeout: seconds(30),
  heartbeatTimeout: seconds(0.9),
  restartBeforeFailover: micros(0),
  stopTimeout: seconds(5),
  downWithoutServers: "any",
};
const patient: ProxySettings = { ...settings, restartBeforeFailover: seconds(1) };
const death: ProxyEvent = { type: "exited", code: undefined, words: "Killed" };

/** Takes the events one second apart. */
function run(
  events: readonly ProxyEvent[],
  from: ProxyState = INITIAL_PROXY,
  by = settings,
): { readonly state: ProxyState; readonly actions: readonly ProxyAction[] } {
  let state = from;
  let actions: readonly ProxyAction[] = [];
  let now: Micros = seconds(100);
  for (const event of events) {
    ({ state, actions } = stepProxy(by, state, event, now));
    now = micros(now + seconds(1));
  }
  return { state, actions };
}

const serving = run([{ type: "start" }, { type: "ready" }]).state;
const kinds = (actions: readonly ProxyAction[]): string[] =>
  actions.map((action) =>
    action.type === "report"
      ? `report ${action.up}`
      : action.type === "signal"
        ? action.signal
        : "timer" in action
          ? `${action.type} ${action.timer}`
          : action.type,
  );

test("a proxy is up once it says that it is ready, and not before", () => {
  assert.equal(run([{ type: "start" }]).state.up, false);
  assert.equal(serving.up, true);
});

test("a death is reported before anything else is done, and the next one is started at once", () => {
  const { state, actions } = run([death], serving);
  assert.equal(kinds(actions)[0], "report false");
  assert.ok(kinds(actions).includes("spawn"));
  assert.equal(state.why, "died and is starting");
  assert.equal(run([{ type: "ready" }], state).state.up, true);
});

test("with restart_before_failover a death is not reported unless it stays away", () => {
  const first = run([death], serving, patient);
  assert.equal(first.state.up, true);
  assert.ok(kinds(first.actions).includes("set-timer grace"));
  const back = run([{ type: "ready" }], first.state, patient);
  assert.equal(back.state.up, true);
  assert.deepEqual(kinds(back.actions), ["cancel-timer start", "cancel-timer grace"]);
  const late = run([{ type: "timer", timer: "grace" }], first.state, patient);
  assert.equal(late.state.up, false);
  assert.deepEqual(kinds(late.actions), ["report false"]);
});

test("a lost listener is told at once, whatever restart_before_failover says", () => {
  const { state } = run([{ type: "listener", name: "www", up: false }], serving, patient);
  assert.equal(state.why, "does not listen on www");
  assert.equal(run([{ type: "listener", name: "www", up: true }], state, patient).state.up, true);
});

test("only the backends that count make it down", () => {
  const gone: ProxyEvent = { type: "backend", name: "api", up: false };
  assert.equal(run([gone], serving).state.why, "has no server left in api");
  assert.equal(run([gone], serving, { ...settings, downWithoutServers: "none" }).state.up, true);
  assert.equal(run([gone], serving, { ...settings, downWithoutServers: ["web"] }).state.up, true);
});

test("a frozen one is killed, and counts as down meanwhile", () => {
  const { state, actions } = run([{ type: "timer", timer: "heartbeat" }], serving);
  assert.equal(state.why, "is frozen");
  assert.deepEqual(kinds(actions), ["report false", "SIGKILL"]);
});

test("one that is not ready in time is killed", () => {
  const { actions } = run([{ type: "start" }, { type: "timer", timer: "start" }]);
  assert.deepEqual(kinds(actions), ["SIGKILL"]);
});

test("after too many deaths it is given up, and what is held for it is closed", () => {
  const trace = run(
    [
      death,
      { type: "timer", timer: "restart" },
      death,
      { type: "timer", timer: "restart" },
      death,
      { type: "timer", timer: "restart" },
      death,
    ],
    serving,
  );
  assert.equal(trace.state.process.name, "given-up");
  assert.ok(kinds(trace.actions).includes("close-sockets"));
});

test("a stop is soft first, then SIGTERM, then SIGKILL", () => {
  const soft = run([{ type: "stop" }], serving);
  assert.ok(kinds(soft.actions).includes("SIGUSR1"));
  const harder = run([{ type: "timer", timer: "stop" }], soft.state);
  assert.ok(kinds(harder.actions).includes("SIGTERM"));
  const hardest = run([{ type: "timer", timer: "stop" }], harder.state);
  assert.ok(kinds(hardest.actions).includes("SIGKILL"));
  const end = run([death], hardest.state);
  assert.deepEqual(kinds(end.actions).slice(-2), ["close-sockets", "stopped"]);
});

test("whatever comes, in whatever order: up means ready and alive, and nothing is started twice", () => {
  const name = fc.constantFrom("a", "b");
  const event: fc.Arbitrary<ProxyEvent> = fc.oneof(
    fc.constantFrom<ProxyEvent>(
      { type: "start" },
      { type: "stop" },
      { type: "adopted", ready: true },
      { type: "ready" },
      { type: "beat" },
      { type: "worker-crashed" },
      death,
      { type: "exited", code: 1, words: "Exit" },
    ),
    fc.record({ type: fc.constant("listener" as const), name, up: fc.boolean() }),
    fc.record({ type: fc.constant("backend" as const), name, up: fc.boolean() }),
    fc.record({
      type: fc.constant("timer" as const),
      timer: fc.constantFrom("restart", "start", "heartbeat", "grace", "stop"),
    }),
  );
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), fc.boolean(), (events, grace) => {
      const by = grace ? patient : settings;
      let state = INITIAL_PROXY;
      let lives = false;
      let now = seconds(10);
      for (const one of events) {
        now = micros(now + 300_000);
        if (one.type === "exited") lives = false;
        if (one.type === "adopted") {
          if (state.process.name !== "stopped") continue;
          lives = true;
        }
        const { state: next, actions } = stepProxy(by, state, one, now);
        for (const action of actions) {
          if (action.type !== "spawn") continue;
          assert.equal(lives, false, "started while one lives");
          lives = true;
        }
        state = next;
        if (state.up && !state.inGrace) {
          assert.equal(state.ready, true);
          assert.equal(state.process.name, "running");
        }
      }
    }),
  );
});
