import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  checked,
  type Tracker,
  trackersInGroup,
  trackingResult,
  uncheckedTracker,
} from "./tracking.ts";

const tracker = (change: Partial<Tracker>): Tracker => ({
  name: "chk",
  state: "up",
  weight: 0,
  reverse: false,
  ...change,
});

test("weights count as the manual's table says", () => {
  for (const [weight, reverse, up, down] of [
    [2, false, 102, 100],
    [2, true, 98, 100],
    [-20, false, 100, 80],
    [-20, true, 100, 120],
  ] as const) {
    const priority = (state: "up" | "down") =>
      trackingResult(100, [tracker({ weight, reverse, state })]).priority;
    assert.deepEqual([priority("up"), priority("down")], [up, down], `weight ${weight} ${reverse}`);
  }
});

test("a weight of 0 means a fault when down, or when up if reversed", () => {
  const faults = (change: Partial<Tracker>) => trackingResult(100, [tracker(change)]).faults;
  assert.deepEqual(faults({ state: "down" }), [{ type: "tracker", tracker: "chk" }]);
  assert.deepEqual(faults({ state: "up" }), []);
  assert.deepEqual(faults({ state: "up", reverse: true }), [{ type: "tracker", tracker: "chk" }]);
  assert.deepEqual(faults({ state: "down", reverse: true }), []);
  assert.deepEqual(faults({ state: "unknown" }), [{ type: "not-checked-yet", tracker: "chk" }]);
});

test("the effective priority stays within 1 and 254, and an owner's never changes", () => {
  const weights = fc.array(fc.integer({ min: -253, max: 253 }), { maxLength: 5 });
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 255 }), weights, (base, list) => {
      const trackers = list.map((weight) => tracker({ weight, state: weight > 0 ? "up" : "down" }));
      const { priority } = trackingResult(base, trackers);
      const sum = list.reduce((a, b) => a + b, base);
      assert.equal(priority, base === 255 ? 255 : Math.min(254, Math.max(1, sum)));
    }),
  );
});

test("a file's number is multiplied by the weight, and −254 or less is a fault", () => {
  assert.equal(trackingResult(100, [tracker({ value: 5, weight: 3 })]).priority, 115);
  assert.equal(trackingResult(100, [tracker({ value: 5, weight: 3, reverse: true })]).priority, 85);
  assert.equal(trackingResult(100, [tracker({ value: -127, weight: 2 })]).faults.length, 1);
  assert.equal(trackingResult(100, [tracker({ value: -126, weight: 2 })]).faults.length, 0);
  assert.equal(trackingResult(100, [tracker({ value: 1, weight: 0 })]).faults.length, 1);
  assert.equal(trackingResult(100, [tracker({ value: 0, weight: 0 })]).faults.length, 0);
});

test("in a group a member's weights are left out, unless they are wanted", () => {
  const own = [
    tracker({ weight: 5 }),
    tracker({ name: "fault" }),
    tracker({ name: "file", weight: 1, value: 3 }),
  ];
  const shared = [tracker({ name: "shared", weight: 7 })];
  const names = (trackingWeight: boolean, hasOwner: boolean) =>
    trackersInGroup(own, { trackers: shared, trackingWeight, hasOwner }).map(
      ({ name, weight }) => `${name} ${weight}`,
    );
  assert.deepEqual(names(false, false), ["fault 0", "file 0", "shared 7"]);
  assert.deepEqual(names(true, false), ["chk 5", "fault 0", "file 1", "shared 7"]);
  assert.deepEqual(names(false, true), ["fault 0", "file 0", "shared 0"]);
});

test("the first result counts at once, later ones after rise and fall", () => {
  const limits = { rise: 2, fall: 3 };
  const states = (results: string, initFail = false) => {
    let state = uncheckedTracker({ initFail });
    return [...results].map((result) => {
      state = checked(state, result === "+", limits);
      return state.state;
    });
  };
  assert.deepEqual(states("-"), ["down"]);
  assert.deepEqual(states("+--+---"), ["up", "up", "up", "up", "up", "up", "down"]);
  assert.deepEqual(states("-+-++"), ["down", "down", "down", "down", "up"]);
  assert.deepEqual(states("++", true), ["down", "up"]);
});
