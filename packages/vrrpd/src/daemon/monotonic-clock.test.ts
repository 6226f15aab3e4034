import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { type Micros, milliseconds } from "@ha/base";
import { MonotonicClock } from "./monotonic-clock.ts";

test("timers fire in the order of their deadlines, none early, cancelled ones never", async () => {
  const clock = new MonotonicClock();
  const fired: string[] = [];
  const start = clock.now();
  let early: Micros | undefined;
  const at = (name: string, delay: Micros) =>
    clock.after(delay, () => {
      fired.push(name);
      if (clock.now() - start < delay) early = delay;
    });
  at("third", milliseconds(300));
  at("first", milliseconds(2));
  at("never", milliseconds(50)).cancel();
  at("second", milliseconds(150));
  await sleep(500);
  assert.deepEqual(fired, ["first", "second", "third"]);
  assert.equal(early, undefined);
});

test("a timer that sets the next one at once leaves turns to everything else", async () => {
  const clock = new MonotonicClock();
  let rounds = 0;
  let stop = false;
  const again = (): void => {
    rounds++;
    if (!stop) clock.after(milliseconds(0), again);
  };
  again();
  await sleep(30);
  stop = true;
  assert.ok(rounds > 2, `${rounds} rounds`);
});

test("a loop that stood still is counted and told before the late timer runs", async () => {
  const told: Micros[] = [];
  const clock = new MonotonicClock((lateness) => told.push(lateness));
  let toldAtRun = 0;
  clock.after(milliseconds(5), () => {
    toldAtRun = told.length;
  });
  const until = performance.now() + 40;
  while (performance.now() < until);
  await sleep(20);
  assert.equal(toldAtRun, 1);
  assert.equal(clock.lateness.stalls, 1);
  assert.ok(clock.lateness.worst >= milliseconds(30));
});
