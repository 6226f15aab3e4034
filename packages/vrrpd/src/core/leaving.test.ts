import assert from "node:assert/strict";
import { test } from "node:test";
import { milliseconds, seconds } from "@ha/base";
import { KEEPALIVED_CONDUCT } from "./router.ts";
import { PLAIN_ROUTER, RIG_PEER, RIG_SOURCE, RouterRig } from "./testing/router-rig.ts";

/** Master at 4 s. */
function master(...args: ConstructorParameters<typeof RouterRig>): RouterRig {
  const rig = new RouterRig(...args);
  rig.router.start();
  rig.run(seconds(4));
  assert.equal(rig.state, "master");
  rig.take();
  return rig;
}

const FAULT = { faults: [{ type: "tracker", tracker: "chk" }] } as const;

test("a stopped master says priority 0 twice and falls silent, and lets go 10 ms after the winner's first advert", () => {
  const rig = master();
  rig.router.handle({ type: "shutdown" });
  rig.run(milliseconds(610));
  assert.equal(rig.holds, true);
  rig.hear(90);
  rig.run(milliseconds(5));
  rig.hear(90);
  rig.run(seconds(5));
  assert.deepEqual(rig.take(), [
    "4.000 s: advert 0",
    "4.000 s: advert 0",
    "4.000 s: leaving",
    "4.610 s: winner-heard",
    "4.620 s: addresses removed",
    "4.620 s: initialize (shutdown)",
    "4.620 s: left",
  ]);
  assert.equal(rig.clock.pending, 0);
});

test("a master that nobody succeeds lets go after the longest skew and 300 ms", () => {
  const rig = master();
  rig.router.handle({ type: "shutdown" });
  rig.run(seconds(5));
  // 255/256 s, which is the skew of priority 1, and 300 ms.
  assert.equal(rig.whenFirst("initialize (shutdown)"), 5.296);
  const fast = master({ version: 3, interval: milliseconds(100) });
  fast.router.handle({ type: "shutdown" });
  fast.run(seconds(1));
  assert.equal(fast.whenFirst("initialize (shutdown)"), 4.4);
  const slow = master({ version: 3, interval: seconds(40), priority: 255 });
  slow.router.handle({ type: "shutdown" });
  slow.run(seconds(9));
  assert.equal(slow.whenFirst("initialize (shutdown)"), 9);
});

test("a leaving master answers nobody, not even a priority 0", () => {
  const rig = master();
  rig.router.handle({ type: "shutdown" });
  rig.take();
  rig.hear(0);
  rig.hear(0, { from: RIG_SOURCE });
  assert.deepEqual(rig.take(), []);
});

test("a fault with the link up leaves in the same way, and one that passes takes back what nobody took", () => {
  const left = master();
  left.update(FAULT);
  assert.equal(left.state, "leaving");
  left.hear(50);
  left.run(milliseconds(20));
  assert.equal(left.whenFirst("fault (fault)"), 4.01);

  const back = master();
  back.update(FAULT);
  back.run(milliseconds(100));
  back.update({ faults: [] });
  assert.equal(back.state, "master");
  assert.equal(back.whenFirst("advert 100"), 4.1);
  back.run(seconds(3));
  assert.equal(back.state, "master");
});

test("without a link the addresses go at once", () => {
  const rig = master();
  rig.update({ faults: [{ type: "interface-down", interface: "eth0" }], linkUp: false });
  assert.deepEqual(rig.take(), [
    "4.000 s: fault",
    "4.000 s: addresses removed",
    "4.000 s: fault (fault)",
  ]);
});

test("a link lost while leaving lets go at once", () => {
  const rig = master();
  rig.update(FAULT);
  rig.update({ linkUp: false });
  assert.equal(rig.state, "fault");
  assert.equal(rig.holds, false);
});

test("a switchover that a peer takes leaves a backup that stays one, whatever its priority", () => {
  const rig = master();
  rig.router.handle({ type: "switchover" });
  rig.hear(50);
  rig.run(milliseconds(10));
  assert.equal(rig.state, "backup");
  for (let i = 0; i < 10; i++) {
    rig.hear(50);
    rig.run(seconds(1));
  }
  assert.equal(rig.state, "backup");
  rig.router.handle({ type: "switchover-back" });
  for (let i = 0; i < 5; i++) {
    rig.hear(50);
    rig.run(seconds(1));
  }
  assert.equal(rig.state, "master");
});

test("a backup that is told of an earlier switchover stays one, and takes over when the peer dies", () => {
  const rig = new RouterRig({ priority: 100 });
  rig.router.start();
  rig.router.handle({ type: "switchover" });
  for (let i = 0; i < 10; i++) {
    rig.hear(50);
    rig.run(seconds(1));
  }
  assert.equal(rig.state, "backup");
  rig.run(seconds(10));
  assert.equal(rig.state, "master");
});

test("a switchover's backup takes over when the peer dies", () => {
  const rig = master();
  rig.router.handle({ type: "switchover" });
  rig.hear(50);
  rig.run(seconds(10));
  assert.equal(rig.whenFirst("master (master-down)"), 4.01 + 3.609);
});

test("a switchover that nobody takes is undone", () => {
  const rig = master();
  rig.router.handle({ type: "switchover" });
  rig.run(seconds(2));
  assert.deepEqual(rig.take(), [
    "4.000 s: advert 0",
    "4.000 s: advert 0",
    "4.000 s: leaving",
    "5.296 s: advert 100",
    "5.296 s: announced ×5",
    "5.296 s: took-back",
  ]);
  assert.equal(rig.holds, true);
});

test("a member of a group does not take back what another one has given away", () => {
  for (const others of [false, true]) {
    const rig = master();
    rig.update(FAULT);
    rig.run(milliseconds(100));
    if (others) rig.router.handle({ type: "group", to: "backup" });
    rig.update({ faults: [] });
    assert.equal(
      rig.take().some((line) => line.endsWith("took-back")),
      !others,
    );
    rig.run(seconds(2));
    assert.equal(rig.state, others ? "backup" : "master");
  }
});

test("a lowered priority says 0 and at once the new one, and the addresses go when the winner is heard", () => {
  const rig = master();
  rig.update({ priority: 98 });
  rig.run(milliseconds(605));
  rig.hear(100);
  rig.run(milliseconds(50));
  assert.deepEqual(rig.take(), [
    "4.000 s: effective-priority",
    "4.000 s: advert 0",
    "4.000 s: advert 98",
    "4.000 s: resigned",
    "4.605 s: leaving",
    "4.605 s: winner-heard",
    "4.615 s: addresses removed",
    "4.615 s: backup (higher-priority)",
    "4.615 s: left",
  ]);
});

test("a backup that the lowered priority still beats stays backup, one that it does not beat takes over in its skew", () => {
  for (const [priority, expected] of [
    [97, undefined],
    [99, 1.613],
  ] as const) {
    const rig = new RouterRig({ priority });
    rig.router.start();
    rig.run(seconds(1));
    rig.hear(0);
    rig.hear(98);
    for (let i = 1; i <= 5; i++) {
      rig.run(seconds(1));
      if (rig.state === "backup") rig.hear(98);
    }
    assert.equal(rig.whenFirst("master (master-left)"), expected);
  }
});

test("a priority that rises, or falls for a backup, sends nothing", () => {
  const rig = master();
  rig.update({ priority: 120 });
  assert.deepEqual(rig.take(), ["4.000 s: effective-priority"]);
  const backup = new RouterRig();
  backup.router.start();
  backup.update({ priority: 50 });
  assert.equal(backup.sent.length, 0);
});

test("a living master answers at once when its own farewell is played again, and keeps its place", () => {
  const rig = master();
  rig.hear(0, { from: RIG_SOURCE });
  assert.deepEqual(rig.take(), ["4.000 s: advert 100"]);
  assert.equal(rig.router.statistics.get("own-echo"), 1);
});

test("keepalived's conduct: one farewell, addresses gone at once, no second advert for a lowered priority", () => {
  const stopped = master({ conduct: KEEPALIVED_CONDUCT });
  stopped.router.handle({ type: "shutdown" });
  assert.deepEqual(stopped.take(), [
    "4.000 s: advert 0",
    "4.000 s: addresses removed",
    "4.000 s: initialize (shutdown)",
  ]);
  const lowered = master({ conduct: KEEPALIVED_CONDUCT });
  lowered.update({ priority: 50 });
  assert.deepEqual(lowered.take(), ["4.000 s: effective-priority"]);
});

test("an advert of the peer that was under way before the farewell is not refused as the winner's", () => {
  // Two masters that meet while one leaves: whoever speaks is there, and the addresses may go.
  const rig = master({ conduct: PLAIN_ROUTER.conduct });
  rig.router.handle({ type: "shutdown" });
  rig.hear(1, { from: RIG_PEER });
  rig.run(milliseconds(10));
  assert.equal(rig.state, "initialize");
});
