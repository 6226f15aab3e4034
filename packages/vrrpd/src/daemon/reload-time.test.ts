import assert from "node:assert/strict";
import { test } from "node:test";
import { reloadMoment } from "./reload-time.ts";

const now = Date.UTC(2026, 10, 24, 12, 0, 0);

test("a time of day that is still to come is today, one that is past is tomorrow", () => {
  assert.equal(reloadMoment("13:00:00Z", now), Date.UTC(2026, 10, 24, 13));
  assert.equal(reloadMoment("11:00:00Z\n", now), Date.UTC(2026, 10, 25, 11));
});

test("a date may have two or four digits of the year, and one that is past is none", () => {
  assert.equal(reloadMoment("26-12-01 01:02:03Z", now), Date.UTC(2026, 11, 1, 1, 2, 3));
  assert.equal(reloadMoment("2026-12-01 01:02:03Z", now), Date.UTC(2026, 11, 1, 1, 2, 3));
  assert.equal(reloadMoment("2025-12-01 01:02:03Z", now), undefined);
});

test("anything else than a time is none", () => {
  for (const text of ["", "soon", "25:00:00", "12:60:00", "2026-12-01", "12:00"]) {
    assert.equal(reloadMoment(text, now), undefined);
  }
});
