import assert from "node:assert/strict";
import { test } from "node:test";
import { milliseconds, seconds } from "@ha/base";
import { durationOf, type PairTimes, parseLimit } from "./limit.ts";

function inMilliseconds(text: string, times: PairTimes): number {
  const read = parseLimit(text);
  assert.ok(read.ok, text);
  return durationOf(read.value, times) / 1000;
}

test("Skew of version 2 does not depend on the interval, that of version 3 does", () => {
  const times = { advert: milliseconds(100), priority: 100 };
  assert.equal(inMilliseconds("skew", { ...times, version: 2 }), 609.375);
  assert.equal(inMilliseconds("skew", { ...times, version: 3 }), 60.938);
});

test("Limits are sums of times and of the protocol's intervals", () => {
  const times = { version: 3, advert: seconds(1), priority: 100 } as const;
  assert.equal(inMilliseconds("master-down", times), 3609.375);
  assert.equal(inMilliseconds("2 advert + 1.5s+250ms", times), 3750);
  assert.equal(inMilliseconds("1min", times), 60_000);
});

test("What is no duration is refused with how to write one", () => {
  for (const text of ["", "soon", "5", "ms", "5 parsecs", "1s +", "1s - 1ms"]) {
    const read = parseLimit(text);
    assert.ok(!read.ok && /write 250ms/.test(read.error), text);
  }
});
