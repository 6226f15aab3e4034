import { strict as assert } from "node:assert";
import { test } from "node:test";
import { TLS_ACTIVITY_WORDS, TlsActivity } from "./tls-activity.ts";

const fresh = () => new TlsActivity(new Int32Array(new SharedArrayBuffer(TLS_ACTIVITY_WORDS * 4)));

test("connections beyond maxsslconn are refused until one is closed", () => {
  const activity = fresh();
  activity.limit(2, 0);
  assert.deepEqual([activity.opened(), activity.opened(), activity.opened()], [true, true, false]);
  assert.deepEqual([activity.open, activity.total], [2, 2]);
  assert.equal(activity.mayShake(0), false);
  activity.closed();
  assert.equal(activity.mayShake(0), true);
  assert.equal(activity.opened(), true);
  assert.deepEqual([activity.open, activity.total], [2, 3]);
});

test("without a limit any number is open", () => {
  const activity = fresh();
  for (let i = 0; i < 100; i++) assert.ok(activity.opened());
});

test("maxsslrate lets so many clients in a second, and more in the next", () => {
  const activity = fresh();
  activity.limit(0, 3);
  for (let i = 0; i < 3; i++) {
    assert.ok(activity.mayShake(1_000));
    activity.shook(1_000);
  }
  assert.ok(!activity.mayShake(1_100));
  assert.ok(activity.mayShake(3_500));
});

test("the most of a rate stays when it has passed", () => {
  const activity = fresh();
  for (let i = 0; i < 5; i++) activity.keyed("server", 1_000);
  assert.deepEqual(activity.keys("server", 1_000), { now: 5, most: 5 });
  assert.deepEqual(activity.keys("server", 9_000), { now: 0, most: 5 });
  assert.deepEqual(activity.keys("client", 1_000), { now: 0, most: 0 });
});
