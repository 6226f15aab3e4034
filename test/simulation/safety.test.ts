import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, seconds } from "@ha/base";
import { step } from "@ha/vrrpd/core";
import { runScenario } from "@ha/vrrpd/testing";

// Goal: whatever faults come, in whatever order, none of the safety properties is violated.
// Method: three to five routers, ours and keepalived's conduct mixed, and one virtual hour of crashes, pauses, cuts,
// loss, reloads, bad packets and more, all from one seed; the checks of `SafetyChecks` run throughout. A failing seed
// is run again with `npm run sim -- --from SEED --trace`.

const HOUR = seconds(3600);
const SEEDS = 500;

test(`no safety property is violated in ${SEEDS} hours of faults`, () => {
  const judged = new Set<number>();
  let faults = 0;
  for (let seed = 1; seed <= SEEDS; seed++) {
    const result = runScenario({ seed, duration: HOUR });
    assert.deepEqual(result.violations, []);
    faults += result.faults;
    for (const property of result.judged.keys()) judged.add(property);
  }
  assert.ok(faults > SEEDS * 20, `only ${faults} faults`);
  // A property that is never judged cannot fail. The eighth is judged when a router speaks after a pause: it never does.
  assert.deepEqual(
    [1, 2, 3, 4, 5, 6, 7, 9, 10, 12].filter((property) => !judged.has(property)),
    [],
  );
});

test("one seed gives the same trace twice, and another seed another one", () => {
  const trace = (seed: number) => runScenario({ seed, duration: HOUR }).traceHash;
  for (let seed = 1; seed <= 5; seed++) assert.equal(trace(seed), trace(seed));
  assert.notEqual(trace(1), trace(2));
});

const ALWAYS_HIGHER = ip("255.255.255.255");
const ALWAYS_LOWER = ip("0.0.0.0");

/** Bugs that each give some property away; the number of seeds is what it takes at most. */
const bugs: Record<string, { readonly machine: typeof step; readonly seeds: number }> = {
  "of two equal masters the lower address stays": {
    seeds: 60,
    machine: (standing, state, event) => {
      if (state.name !== "master" || event.type !== "advert") return step(standing, state, event);
      if (event.priority !== standing.priority) return step(standing, state, event);
      const lower = step({ ...standing, source: ALWAYS_LOWER }, state, event);
      const higher = step({ ...standing, source: ALWAYS_HIGHER }, state, event);
      const really = step(standing, state, event);
      return really.state.name === lower.state.name ? higher : lower;
    },
  },
  "a refused packet moves the timer of a master": {
    seeds: 20,
    machine: (standing, state, event) => {
      const result = step(standing, state, event);
      if (event.type !== "refused" || state.name !== "master") return result;
      const after = standing.router.interval;
      const action = { type: "set-timer", timer: "advert", after } as const;
      return { ...result, actions: [...result.actions, action] };
    },
  },
  "a backup that yields keeps its addresses": {
    seeds: 20,
    machine: (standing, state, event) => {
      const result = step(standing, state, event);
      if (state.name !== "master" || result.state.name !== "backup") return result;
      return {
        ...result,
        actions: result.actions.filter(({ type }) => type !== "remove-addresses"),
      };
    },
  },
  "a master does not yield": {
    seeds: 20,
    machine: (standing, state, event) =>
      state.name === "master" && event.type === "advert" && event.priority > 0
        ? { state, actions: [] }
        : step(standing, state, event),
  },
  "a backup ignores its equals": {
    seeds: 60,
    machine: (standing, state, event) =>
      state.name === "backup" && event.type === "advert" && event.priority === standing.priority
        ? { state, actions: [] }
        : step(standing, state, event),
  },
  "nopreempt is forgotten": {
    seeds: 60,
    machine: (standing, state, event) =>
      step({ ...standing, router: { ...standing.router, preempt: true } }, state, event),
  },
  "a woken master goes on": {
    seeds: 60,
    machine: (standing, state, event) =>
      event.type === "woke" ? { state, actions: [] } : step(standing, state, event),
  },
  "shutdown forgets to cancel timers": {
    seeds: 20,
    machine: (standing, state, event) => {
      const result = step(standing, state, event);
      if (result.state.name !== "initialize") return result;
      const after = standing.router.interval;
      const action = { type: "set-timer", timer: "advert", after: seconds(1e6 + after) } as const;
      return { ...result, actions: [...result.actions, action] };
    },
  },
};

for (const [bug, { machine, seeds }] of Object.entries(bugs)) {
  test(`the checks find a bug planted on purpose: ${bug}`, () => {
    for (let seed = 1; seed <= seeds; seed++) {
      if (runScenario({ seed, duration: HOUR, machine }).violations.length > 0) return;
    }
    assert.fail(`not found in ${seeds} seeds`);
  });
}
