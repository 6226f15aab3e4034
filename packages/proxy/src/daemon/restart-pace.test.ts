import assert from "node:assert/strict";
import { test } from "node:test";
import { openRestartPace } from "./restart-pace.ts";

test("the first crash is answered at once, early ones after it ever later, up to 5 s", () => {
  const pace = openRestartPace();
  const delays = Array.from({ length: 9 }, () => pace.next(50));
  assert.deepEqual(delays, [0, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
});

test("a worker that lived for 10 s is replaced at once again", () => {
  const pace = openRestartPace();
  for (let i = 0; i < 5; i++) pace.next(50);
  assert.equal(pace.next(10_000), 0);
  assert.equal(pace.next(9_999), 100);
});
