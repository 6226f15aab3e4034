import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, micros, milliseconds, seconds } from "@ha/base";
import { KEEPALIVED_CONDUCT } from "./router.ts";
import { PLAIN_ROUTER, RIG_PEER, RouterRig } from "./testing/router-rig.ts";

// Figures are those that keepalived 2.2.7 showed, or those of the RFCs, at keepalived's default priority of 100.

/** Started, and master since its down timer ran out at 3.609 s. */
function master(...args: ConstructorParameters<typeof RouterRig>): RouterRig {
  const rig = new RouterRig(...args);
  rig.router.start();
  rig.run(seconds(4));
  assert.equal(rig.state, "master");
  rig.take();
  return rig;
}

/** Started, and following a master of this priority whose last advert is just heard. */
function backup(priority: number, ...args: ConstructorParameters<typeof RouterRig>): RouterRig {
  const rig = new RouterRig(...args);
  rig.router.start();
  rig.run(seconds(1));
  rig.hear(priority);
  assert.equal(rig.state, "backup");
  rig.take();
  return rig;
}

test("a router that hears nobody takes over after three intervals and the skew", () => {
  const rig = new RouterRig();
  rig.router.start();
  rig.run(seconds(10));
  assert.equal(rig.whenFirst("master (master-down)"), 3.609);
});

test("version 3 scales the skew with the master's interval: 361 ms at 100 ms, 36 ms at 10 ms", () => {
  for (const [interval, expected] of [
    [100, 0.361],
    [10, 0.036],
  ] as const) {
    const rig = new RouterRig({ version: 3, interval: milliseconds(interval) });
    rig.router.start();
    rig.run(seconds(1));
    assert.equal(rig.whenFirst("master (master-down)"), expected);
  }
});

test("an owner is master at once: addresses, first advert, announcement, in this order", () => {
  const rig = new RouterRig({ priority: 255 });
  rig.router.start();
  assert.deepEqual(rig.take(), [
    "0.000 s: addresses added",
    "0.000 s: advert 255",
    "0.000 s: announced ×5",
    "0.000 s: master (owner)",
  ]);
});

test("a startup delay holds back the owner as well, and nothing is listened to until then", () => {
  const rig = new RouterRig({ priority: 255, startupDelay: seconds(5) });
  rig.router.start();
  rig.hear(100);
  rig.run(seconds(6));
  assert.equal(rig.whenFirst("master (owner)"), 5);
});

test("a priority 0 leaves a backup the skew only: 609 ms", () => {
  const rig = backup(200);
  rig.hear(0);
  rig.run(seconds(2));
  assert.equal(rig.whenFirst("master (master-left)"), 1.609);
});

test("a priority 0 that somebody played again does nothing while the master is heard within the skew", () => {
  const rig = backup(200);
  rig.hear(0);
  rig.run(milliseconds(600));
  rig.hear(200);
  rig.run(milliseconds(1_400));
  rig.hear(200);
  rig.run(seconds(3));
  assert.equal(rig.state, "backup");
});

test("a lower master is preempted when the down timer runs out, an equal one is followed", () => {
  const lower = backup(200);
  const equal = backup(200);
  for (let i = 0; i < 5; i++) {
    lower.hear(99);
    equal.hear(100);
    lower.run(seconds(1));
    equal.run(seconds(1));
  }
  assert.equal(lower.whenFirst("master (master-down)"), 4.609);
  assert.equal(equal.state, "backup");
});

test("nopreempt follows any living master, and takes over from a dead one", () => {
  const rig = new RouterRig({ preempt: false });
  rig.router.start();
  for (let i = 0; i < 20; i++) {
    rig.hear(1);
    rig.run(seconds(1));
  }
  assert.equal(rig.state, "backup");
  rig.run(seconds(5));
  assert.equal(rig.state, "master");
});

test("preempt_delay counts from the first lower advert, and the normal timer follows it", () => {
  const rig = new RouterRig({ preemptDelay: seconds(3) });
  rig.router.start();
  for (let i = 0; i < 10; i++) {
    rig.run(milliseconds(500));
    rig.hear(50);
    rig.run(milliseconds(500));
  }
  // First heard at 0.5 s; heeded until 3.5 s at the latest.
  const at = rig.whenFirst("master (master-down)") ?? 0;
  assert.ok(at > 6.1 && at < 7.2, `${at} s`);
});

test("preempt_delay does not hold back the takeover from a dead master", () => {
  const rig = new RouterRig({ preemptDelay: seconds(100) });
  rig.router.start();
  rig.run(seconds(1));
  rig.hear(50);
  rig.run(seconds(5));
  assert.equal(rig.whenFirst("master (master-down)"), 4.609);
});

test("down_timer_adverts takes the place of three", () => {
  const rig = new RouterRig({ downTimerAdverts: 1 });
  rig.router.start();
  rig.run(seconds(5));
  assert.equal(rig.whenFirst("master (master-down)"), 1.609);
});

test("a version 3 backup adopts the master's interval, and says so once", () => {
  const rig = new RouterRig({ version: 3, interval: seconds(1) });
  rig.router.start();
  for (let i = 0; i < 3; i++) rig.hear(200, { interval: milliseconds(200) });
  rig.run(seconds(2));
  // 3 × 200 ms and 156/256 of 200 ms.
  assert.equal(rig.whenFirst("master (master-down)"), 0.722);
  assert.equal(rig.log.filter((line) => line.includes("interval-adopted")).length, 1);
});

test("a master answers priority 0 and lower adverts at once, and keeps its own rhythm", () => {
  const rig = master();
  rig.hear(0);
  rig.hear(50);
  assert.deepEqual(rig.take(), [
    "4.000 s: advert 100",
    "4.000 s: advert 100",
    "4.000 s: announced ×5",
    "4.000 s: lower-priority-advert",
  ]);
  rig.run(milliseconds(700));
  assert.equal(rig.whenFirst("advert"), 4.609);
});

test("lower_prio_no_advert keeps a master from answering", () => {
  const rig = master({ lowerPriorityNoAdvert: true });
  rig.hear(50);
  assert.equal(rig.whenFirst("advert"), undefined);
});

test("after a heal the winner announces again 50 ms, 200 ms, 1 s and 5 s later", () => {
  const rig = master();
  rig.run(seconds(10));
  rig.take();
  rig.hear(50);
  rig.run(seconds(8));
  const times = rig.take().filter((line) => line.includes("announced"));
  assert.deepEqual(times, [
    "14.000 s: announced ×5",
    "14.050 s: announced ×5",
    "14.200 s: announced ×5",
    "15.000 s: announced ×5",
    "19.000 s: announced ×5",
  ]);
});

test("a split brain is told once, and once that it is over", () => {
  const rig = master();
  for (let i = 0; i < 5; i++) {
    rig.hear(50);
    rig.run(seconds(1));
  }
  rig.run(seconds(12));
  const told = rig.log.filter((line) => line.includes("split-brain"));
  assert.deepEqual(told, ["5.000 s: split-brain", "18.000 s: split-brain-over"]);
});

test("the last word of a master that was preempted is no split brain", () => {
  const rig = master();
  rig.hear(50);
  rig.run(seconds(10));
  assert.equal(
    rig.log.some((line) => line.includes("split-brain")),
    false,
  );
});

test("adverts that a master must refuse, and an answer for its address by another, are a split brain", () => {
  const refused = master();
  refused.hear(100, { version: 3 });
  refused.hear(100, { version: 3 });
  assert.equal(refused.whenFirst("split-brain"), 4);
  const conflict = master();
  const address = ip("192.0.2.100");
  conflict.router.handle({ type: "address-conflict", address, mac: new Uint8Array(6) });
  assert.equal(conflict.whenFirst("split-brain"), 4);
});

test("a master yields to a higher priority, and to the higher address of equals, after a last advert", () => {
  for (const [priority, from, yields] of [
    [101, "192.0.2.0", true],
    [100, "192.0.2.2", true],
    [100, "192.0.2.0", false],
    [99, "192.0.2.2", false],
  ] as const) {
    const rig = master();
    rig.hear(priority, { from: ip(from) });
    assert.equal(rig.state, yields ? "backup" : "master", `${priority} from ${from}`);
    if (!yields) continue;
    assert.deepEqual(rig.take(), [
      "4.000 s: advert 100",
      "4.000 s: addresses removed",
      "4.000 s: backup (higher-priority)",
    ]);
  }
});

test("the batches of announcements: five, five more after 5 s, then the refresh", () => {
  const rig = new RouterRig({
    priority: 255,
    announce: { ...PLAIN_ROUTER.announce, refresh: seconds(7), refreshRepeat: 2 },
  });
  rig.router.start();
  rig.run(seconds(20));
  assert.deepEqual(
    rig.take().filter((line) => line.includes("announced")),
    [
      "0.000 s: announced ×5",
      "5.000 s: announced ×5",
      "12.000 s: announced ×2",
      "19.000 s: announced ×2",
    ],
  );
});

test("of two owners the one with the lower address falls to 254 until the other is gone", () => {
  const rig = new RouterRig({ priority: 255 });
  rig.router.start();
  rig.hear(255, { from: RIG_PEER });
  assert.equal(rig.state, "backup");
  assert.ok(rig.reports.some((report) => report.type === "two-owners" && report.yielded));
  for (let i = 0; i < 5; i++) {
    rig.run(seconds(1));
    rig.hear(255, { from: RIG_PEER });
  }
  assert.equal(rig.state, "backup");
  rig.take();
  rig.run(seconds(5));
  assert.equal(rig.whenFirst("master"), 5 + 3.008);
  assert.equal(rig.whenFirst("advert 255"), 5 + 3.008);
});

test("owner_ignore_adverts: an owner hears nobody", () => {
  const rig = new RouterRig({ priority: 255, ownerIgnoreAdverts: true });
  rig.router.start();
  rig.hear(255, { from: RIG_PEER });
  assert.equal(rig.state, "master");
});

test("an address that somebody removed is back at once; after five times in 10 s only when they are over", () => {
  const rig = master();
  for (let i = 0; i < 7; i++) {
    rig.holds = false;
    rig.router.handle({ type: "address-removed", address: undefined });
    rig.run(milliseconds(100));
  }
  const entries = rig.take().filter((line) => /addresses|address-/.test(line));
  assert.equal(entries.filter((line) => line.endsWith("addresses added")).length, 5);
  assert.equal(entries[1], "4.000 s: address-restored");
  assert.equal(entries.filter((line) => line.endsWith("address-flapping")).length, 1);
  rig.run(seconds(10));
  assert.equal(rig.whenFirst("addresses added"), 14);
});

test("by keepalived's conduct a removed address means priority 0 and an election after the skew", () => {
  const rig = master({ conduct: KEEPALIVED_CONDUCT });
  rig.router.handle({ type: "address-removed", address: undefined });
  assert.deepEqual(rig.take(), [
    "4.000 s: advert 0",
    "4.000 s: addresses removed",
    "4.000 s: backup (address-removed)",
  ]);
  rig.run(seconds(1));
  assert.equal(rig.whenFirst("master (master-down)"), 4.609);
});

test("a witness that cannot be reached keeps a backup from taking over, until it can", () => {
  const rig = new RouterRig({ conduct: { ...PLAIN_ROUTER.conduct, witness: true } });
  rig.witness = false;
  rig.router.start();
  rig.run(seconds(6));
  assert.equal(rig.state, "backup");
  assert.equal(rig.whenFirst("witness-unreachable"), 3.609);
  rig.witness = true;
  rig.run(seconds(1));
  assert.equal(rig.whenFirst("master"), 6.609);
});

test("an answer of the witness that comes after a master was heard is ignored", () => {
  const rig = new RouterRig({ conduct: { ...PLAIN_ROUTER.conduct, witness: true } });
  rig.router.start();
  rig.run(seconds(4));
  rig.hear(200);
  rig.router.handle({ type: "witness", reachable: true });
  assert.equal(rig.state, "backup");
});

test("a fault takes a backup out, and its end brings it back as backup with the full down timer", () => {
  const rig = backup(200);
  rig.update({ faults: [{ type: "tracker", tracker: "chk" }] });
  assert.equal(rig.state, "fault");
  rig.hear(200);
  rig.run(seconds(9));
  rig.take();
  rig.update({ faults: [] });
  rig.run(seconds(5));
  assert.equal(rig.whenFirst("master (master-down)"), 13.609);
});

test("after shutdown no timer is left, in any state", () => {
  const rigs = [new RouterRig(), backup(200), master(), master({ conduct: KEEPALIVED_CONDUCT })];
  rigs[0]?.router.start();
  const faulted = backup(200);
  faulted.update({ faults: [{ type: "maintenance" }] });
  for (const rig of [...rigs, faulted]) {
    rig.router.handle({ type: "shutdown" });
    rig.run(seconds(10));
    assert.equal(rig.state, "initialize");
    assert.equal(rig.holds, false);
    assert.equal(rig.clock.pending, 0);
  }
});

test("a shorter advert_int takes effect at once: peers may have been reloaded before", () => {
  const rig = master({
    interval: seconds(100),
    downTimerAdverts: 1,
    startupDelay: micros(0),
    version: 3,
    priority: 255,
  });
  rig.router.reconfigure({ ...rig.router.router, interval: seconds(1) });
  rig.run(seconds(2));
  assert.deepEqual(
    rig.take().filter((line) => line.includes("advert")),
    ["4.000 s: advert 255", "5.000 s: advert 255", "6.000 s: advert 255"],
  );
});
