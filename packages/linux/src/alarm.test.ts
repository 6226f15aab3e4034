import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { milliseconds } from "@ha/base";
import { openAlarm } from "./alarm.ts";

test("an alarm rings once, not before its time, and again only when set again", async () => {
  let rings = 0;
  let rungAt = 0;
  const alarm = openAlarm(() => {
    rings++;
    rungAt = performance.now();
  });
  const start = performance.now();
  alarm.set(milliseconds(30));
  await sleep(120);
  assert.equal(rings, 1);
  assert.ok(rungAt - start >= 29.9, `rang after ${rungAt - start} ms`);
  alarm.set(milliseconds(5));
  await sleep(60);
  assert.equal(rings, 2);
  alarm.close();
  alarm.close();
});

test("an alarm that is cleared or set later does not ring at the first time", async () => {
  let rings = 0;
  const alarm = openAlarm(() => rings++);
  alarm.set(milliseconds(5));
  alarm.clear();
  await sleep(40);
  assert.equal(rings, 0);
  alarm.set(milliseconds(5));
  alarm.set(milliseconds(500));
  await sleep(60);
  assert.equal(rings, 0);
  alarm.close();
});
