import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, type Micros, micros, milliseconds, seconds } from "@ha/base";
import { SimClock } from "@ha/base/testing";
import { mayResume } from "./resume.ts";
import { type Destination, PRIORITY_LEAVING, type Router } from "./router.ts";
import { SyncGroup } from "./sync-group.ts";
import { advertFrom, PLAIN_ROUTER, RIG_PEER, RIG_SOURCE, RouterRig } from "./testing/router-rig.ts";

function master(...args: ConstructorParameters<typeof RouterRig>): RouterRig {
  const rig = new RouterRig(...args);
  rig.router.start();
  rig.run(seconds(4));
  assert.equal(rig.state, "master");
  rig.take();
  return rig;
}

/** A clock whose process was stopped: it is later than all timers by so much when the next one fires. */
class StallingClock extends SimClock {
  lag = micros(0);
  override now(): Micros {
    return micros(super.now() + this.lag);
  }
}

test("sixteen kinds of bad packets move no timer, change no state and are not answered, and each is counted", () => {
  const pass: Router = {
    ...PLAIN_ROUTER,
    authentication: { type: "pass", password: new Uint8Array([1, 2, 3]) },
  };
  const good = advertFrom(pass, { from: RIG_PEER, priority: 250 });
  const other = (change: Partial<Router>) =>
    advertFrom({ ...pass, ...change }, { from: RIG_PEER, priority: 250 });
  const bytes = (change: (bytes: Uint8Array) => Uint8Array | undefined) => {
    const copy = good.bytes.slice();
    return { ...good, bytes: change(copy) ?? copy };
  };
  const set = (at: number, value: number) =>
    bytes((copy) => {
      copy[at] = value;
      return copy;
    });
  const bad = {
    "bad-ttl": [
      { ...good, ttl: 254 },
      { ...good, ttl: 1 },
      { ...good, ttl: 0 },
    ],
    "too-short": [bytes(() => new Uint8Array(0)), bytes((copy) => copy.subarray(0, 7))],
    "bad-version": [other({ version: 3 }), set(0, 0x41)],
    "bad-type": [set(0, 0x22)],
    "bad-length": [bytes((copy) => copy.subarray(0, 12)), set(3, 200)],
    "bad-checksum": [set(6, 0x55), set(2, 0)],
    "wrong-vrid": [other({ vrid: 52 })],
    "interval-mismatch": [other({ interval: seconds(2) })],
    "bad-interval": [other({ interval: seconds(0) })],
    "auth-type-mismatch": [other({ authentication: { type: "none" } }), { ...good, protocol: 51 }],
    "auth-failure": [
      other({ authentication: { type: "pass", password: new Uint8Array([1, 2, 4]) } }),
    ],
    "own-echo": [{ ...good, from: RIG_SOURCE }],
  } as const;
  const backup = new RouterRig(pass);
  backup.router.start();
  backup.run(seconds(1));
  for (const rig of [master(pass), backup]) {
    const look = () =>
      JSON.stringify([
        rig.state,
        [...rig.router.timers()].filter(([name]) => name !== "split-quiet"),
        rig.sent.length,
      ]);
    const before = look();
    for (const [reason, packets] of Object.entries(bad)) {
      const counter = reason as keyof typeof bad;
      for (const packet of packets) rig.router.receive(packet);
      assert.equal(look(), before, reason);
      assert.equal(rig.router.statistics.get(counter), packets.length, reason);
    }
    const [peer] = rig.router.statistics.peers();
    assert.equal(peer?.refused.get("bad-ttl"), 3);
    assert.equal(peer?.received, 0);
  }
  backup.router.receive(good);
  assert.equal(backup.router.statistics.get("adverts-received"), 1);
});

test("only the first refusal of a kind is told as such, until the master changes", () => {
  const rig = new RouterRig();
  rig.router.start();
  const refuse = () =>
    rig.router.receive({ ...advertFrom(PLAIN_ROUTER, { from: RIG_PEER, priority: 1 }), ttl: 3 });
  refuse();
  refuse();
  rig.hear(200);
  refuse();
  const firsts = rig.reports.flatMap((report) => (report.type === "refused" ? [report.first] : []));
  assert.deepEqual(firsts, [true, false, true]);
});

test("a list of other addresses is accepted and told once for a master; refused where that is switched off", () => {
  const rig = new RouterRig();
  rig.router.start();
  for (let i = 0; i < 3; i++) rig.hear(200, { addresses: [ip("192.0.2.77")] });
  assert.equal(rig.reports.filter(({ type }) => type === "addresses-differ").length, 1);
  assert.equal(rig.router.statistics.get("addresses-differ"), 3);
  assert.equal(rig.router.statistics.get("adverts-received"), 3);
  const strict = new RouterRig({
    conduct: { ...PLAIN_ROUTER.conduct, acceptDifferingAddresses: false },
  });
  strict.router.start();
  strict.hear(200, { addresses: [ip("192.0.2.77")] });
  assert.equal(strict.router.statistics.get("addresses-refused"), 1);
});

test("the same addresses in another order are the same list", () => {
  const addresses = ["192.0.2.100", "192.0.2.101"].map(ip);
  const rig = new RouterRig({ addresses });
  rig.router.start();
  rig.hear(200, { addresses: addresses.toReversed() });
  assert.equal(
    rig.reports.some(({ type }) => type === "addresses-differ"),
    false,
  );
});

const unicast = (change: Partial<Destination & { type: "unicast" }> = {}): Destination => ({
  type: "unicast",
  peers: [{ address: RIG_PEER }, { address: ip("192.0.2.3"), minTtl: 60, maxTtl: 64 }],
  checkSource: false,
  ttl: 255,
  oldChecksum: "fall-back",
  ...change,
});

test("unicast goes to each peer with its TTL, and a TTL limit of any peer turns on the source check", () => {
  const rig = new RouterRig({ priority: 255, destination: unicast({ ttl: 64 }) });
  rig.router.start();
  assert.deepEqual(
    rig.sent.map(({ to, ttl }) => [to.bytes[3], ttl]),
    [
      [2, 64],
      [3, 64],
    ],
  );
  const packet = advertFrom(rig.router.router, { from: ip("192.0.2.9"), priority: 1 });
  rig.router.receive(packet);
  assert.equal(rig.router.statistics.get("not-a-peer"), 1);
  for (const [ttl, ok] of [
    [59, false],
    [60, true],
    [64, true],
    [65, false],
  ] as const) {
    const refused = rig.router.statistics.get("bad-ttl");
    rig.router.receive({ ...packet, from: ip("192.0.2.3"), ttl });
    assert.equal(rig.router.statistics.get("bad-ttl") === refused, ok, `TTL ${ttl}`);
  }
});

test("the down timer counts from an advert's arrival, not from when we came to read it", () => {
  for (const [priority, first] of [
    [200, 3.609 - 0.25],
    [PRIORITY_LEAVING, 0.609 - 0.25],
  ] as const) {
    const rig = new RouterRig();
    rig.router.start();
    const advert = advertFrom(PLAIN_ROUTER, { from: RIG_PEER, priority });
    rig.router.receive({ ...advert, waited: milliseconds(250) });
    rig.run(seconds(4));
    assert.equal(rig.whenFirst("master (")?.toFixed(3), first.toFixed(3));
  }
  // What lay there for longer than an interval may be the last that a full socket took: nothing is known of the time since.
  const rig = new RouterRig();
  rig.router.start();
  const old = advertFrom(PLAIN_ROUTER, { from: RIG_PEER, priority: 200 });
  rig.router.receive({ ...old, waited: seconds(4) });
  const farewell = advertFrom(PLAIN_ROUTER, { from: RIG_PEER, priority: PRIORITY_LEAVING });
  rig.router.receive({ ...farewell, waited: seconds(4) });
  rig.run(seconds(4));
  assert.equal(rig.whenFirst("master (")?.toFixed(3), "3.609");
});

test("a version 3 peer that sums in the old way is understood, and answered in the same way", () => {
  const settings = { ...PLAIN_ROUTER, version: 3, destination: unicast() } as const;
  const group = ip("224.0.0.18");
  const old = {
    ...advertFrom(settings, { from: RIG_PEER, priority: 50, to: group }),
    to: RIG_SOURCE,
  };
  const rig = master(settings);
  const modern = rig.sent.at(-2)?.bytes.slice();
  rig.router.receive(old);
  assert.equal(rig.router.statistics.get("bad-checksum"), 0);
  rig.run(seconds(1));
  const [toOld, toOther] = rig.sent.slice(-2);
  assert.notDeepEqual(toOld?.bytes, modern);
  assert.equal(toOther?.to.bytes[3], 3);

  const never = master({ ...settings, destination: unicast({ oldChecksum: "never" }) });
  never.router.receive(old);
  assert.equal(never.router.statistics.get("bad-checksum"), 1);
});

test("a reflected IPv6 advert is no advert either", () => {
  const settings: Router = {
    ...PLAIN_ROUTER,
    version: 3,
    family: 6,
    addresses: [ip("fe80::100")],
    destination: { type: "multicast", group: ip("ff02::12") },
  };
  const source = ip("fe80::1");
  const rig = new RouterRig(settings, { circumstances: { source } });
  rig.router.start();
  for (let i = 0; i < 10; i++) {
    rig.hear(100, { from: source });
    rig.run(milliseconds(500));
  }
  assert.equal(rig.whenFirst("master (master-down)"), 3.609);
  assert.equal(rig.router.statistics.get("own-echo"), 10);
});

test("what has arrived is heard before a master counts as dead", () => {
  const rig = new RouterRig();
  rig.router.start();
  rig.unread.push(advertFrom(PLAIN_ROUTER, { from: RIG_PEER, priority: 200 }));
  rig.run(seconds(4));
  assert.equal(rig.state, "backup");
  rig.run(seconds(4));
  assert.equal(rig.whenFirst("master"), 7.219);
});

test("a backup that slept longer than the master's interval listens for an interval and the skew first", () => {
  const clock = new StallingClock();
  const rig = new RouterRig({}, { clock });
  rig.router.start();
  rig.run(seconds(3));
  clock.lag = seconds(30);
  rig.run(seconds(2));
  assert.equal(rig.state, "backup");
  assert.ok(rig.reports.some((report) => report.type === "late" && report.listens));
  rig.run(seconds(2));
  assert.equal(rig.state, "master");
});

test("a master that slept past its down timer is backup before it speaks again; within it, it goes on", () => {
  for (const [lag, expected] of [
    [3, "master"],
    [10, "backup"],
  ] as const) {
    const clock = new StallingClock();
    const rig = master({}, { clock });
    clock.lag = seconds(lag);
    const sent = rig.sent.length;
    rig.run(seconds(1));
    assert.equal(rig.state, expected, `${lag} s`);
    if (expected === "backup") {
      assert.equal(rig.sent.length, sent);
      assert.equal(rig.holds, false);
    }
  }
});

test("whatever comes first after a pause, the router wakes before it obeys it", () => {
  for (const what of ["advert", "priority"]) {
    const clock = new StallingClock();
    const rig = master({}, { clock });
    clock.lag = seconds(10);
    const sent = rig.sent.length;
    if (what === "advert") rig.hear(50);
    else rig.update({ priority: 50 });
    assert.equal(rig.state, "backup", what);
    assert.equal(rig.sent.length, sent, what);
  }
});

test("a priority 0 that waited in the socket during a pause does not cut the listening short", () => {
  const clock = new StallingClock();
  const rig = master({}, { clock });
  clock.lag = seconds(10);
  rig.hear(0);
  rig.run(milliseconds(1_500));
  assert.equal(rig.state, "backup");
});

test("timer_expired_backup steps back after so many adverts already", () => {
  const clock = new StallingClock();
  const rig = master({ timerExpiredBackup: 2, preempt: false }, { clock });
  clock.lag = micros(2_100_000);
  rig.run(seconds(1));
  assert.equal(rig.state, "backup");
});

test("a beacon that spoke in our place makes a late loop no pause", () => {
  const clock = new StallingClock();
  const rig = master({}, { clock });
  clock.lag = seconds(10);
  rig.router.sentElsewhere(10, clock.now());
  rig.run(seconds(1));
  assert.equal(rig.state, "master");
});

test("adverts keep their rhythm when each timer is late", () => {
  class LateClock extends SimClock {
    override after(delay: Micros, callback: () => void) {
      return super.after(micros(delay + 3_000), callback);
    }
  }
  const rig = new RouterRig({ priority: 255 }, { clock: new LateClock() });
  rig.router.start();
  rig.run(seconds(60));
  // By its own lateness of 3 ms each, the last of 60 would be 180 ms late.
  assert.equal(rig.sent.length, 60);
  assert.equal(rig.log.filter((line) => line.includes("advert")).at(-1), "59.003 s: advert 255");
});

test("a resumed master goes on in place without an election, but not when another has spoken", () => {
  const rig = new RouterRig();
  rig.holds = true;
  rig.router.start({ resume: true });
  assert.deepEqual(rig.take(), [
    "0.000 s: advert 100",
    "0.000 s: announced ×5",
    "0.000 s: master (resumed)",
  ]);
  const disputed = new RouterRig();
  disputed.holds = true;
  disputed.unread.push(advertFrom(PLAIN_ROUTER, { from: RIG_PEER, priority: 50 }));
  disputed.router.start({ resume: true });
  assert.equal(disputed.state, "backup");
  assert.equal(disputed.holds, false);
});

test("a record lets a daemon resume within two adverts, on the same boot, once a minute", () => {
  const may = (silence: number, change: { bootId?: string; lastResume?: number } = {}) =>
    mayResume(
      {
        bootId: "a",
        lastAdvert: seconds(100),
        lastResume: change.lastResume === undefined ? undefined : seconds(change.lastResume),
      },
      { router: PLAIN_ROUTER, now: seconds(100 + silence), bootId: change.bootId ?? "a" },
    );
  assert.equal(may(0.5), true);
  assert.equal(may(2), true);
  assert.equal(may(2.1), false);
  assert.equal(may(-1), false);
  assert.equal(may(0.5, { bootId: "b" }), false);
  assert.equal(may(0.5, { lastResume: 50 }), false);
  assert.equal(may(0.5, { lastResume: 30 }), true);
});

test("prepared adverts are what would be sent, and a successor's sequences come after them", () => {
  const hmac = {
    keys: new Map([[1, new Uint8Array(32)]]),
    activeKey: 1,
    antiReplay: "monotonic",
    timeWindow: seconds(5),
    mode: "enforce",
  } as const;
  const rig = master({ hmac });
  const prepared = rig.router.prepare(3);
  assert.equal(prepared.repeatable, false);
  assert.equal(prepared.adverts.length, 3);
  assert.deepEqual(
    prepared.farewell.map(([packet]) => packet?.bytes[2]),
    [PRIORITY_LEAVING, PRIORITY_LEAVING],
  );
  const peer = new RouterRig({ hmac }, { circumstances: { source: RIG_PEER } });
  peer.router.start();
  for (const [packet] of [...prepared.adverts, ...prepared.farewell]) {
    if (packet !== undefined) peer.router.receive(packet);
  }
  assert.equal(peer.router.statistics.get("adverts-received"), 5);

  const successor = new RouterRig({ hmac });
  successor.router.continueFrom(prepared.sequences);
  successor.router.start({ resume: true });
  for (const packet of successor.sent) peer.router.receive(packet);
  assert.equal(peer.router.statistics.get("hmac-replay"), 0);
  assert.equal(peer.router.statistics.get("adverts-received"), 6);
  assert.equal(master().router.prepare(3).repeatable, true);
});

test("reconfiguring leaves state, timers and addresses alone, and counts from the next advert on", () => {
  const rig = master();
  const before = JSON.stringify([...rig.router.timers()]);
  rig.router.reconfigure({
    ...rig.router.router,
    addresses: [ip("192.0.2.100"), ip("192.0.2.101")],
  });
  assert.deepEqual([rig.take(), JSON.stringify([...rig.router.timers()])], [[], before]);
  rig.run(seconds(1));
  assert.equal(rig.sent.at(-1)?.bytes[3], 2);
});

function pair(priority: number): { a: RouterRig; b: RouterRig; group: SyncGroup } {
  const group = new SyncGroup("G");
  const clock = new SimClock();
  const a = new RouterRig({ name: "A", priority }, { clock, group });
  const b = new RouterRig({ name: "B", priority }, { clock, group });
  a.router.start();
  b.router.start();
  return { a, b, group };
}

test("a group's member becomes master only when all want to", () => {
  const { a, b } = pair(100);
  for (let i = 0; i < 10; i++) {
    b.hear(200);
    a.run(seconds(1));
  }
  assert.deepEqual([a.state, b.state], ["backup", "backup"]);
  assert.ok(a.whenFirst("held-by-group") !== undefined);
  a.run(seconds(5));
  assert.deepEqual([a.state, b.state], ["master", "master"]);
});

test("one member in fault puts all in fault, and they come back together", () => {
  const { a, b } = pair(100);
  a.run(seconds(5));
  a.update({ faults: [{ type: "interface-down", interface: "eth1" }], linkUp: false });
  assert.deepEqual([a.state, b.state], ["fault", "leaving"]);
  assert.equal(b.sent.at(-1)?.bytes[2], 0);
  assert.deepEqual(b.router.faults, [{ type: "sync-group", member: "A" }]);
  a.run(seconds(3));
  assert.deepEqual([a.state, b.state], ["fault", "fault"]);
  a.update({ faults: [], linkUp: true });
  assert.deepEqual([a.state, b.state], ["backup", "backup"]);
});

test("one member that yields takes all along", () => {
  const { a, b } = pair(100);
  a.run(seconds(5));
  a.hear(200);
  assert.deepEqual([a.state, b.state], ["backup", "backup"]);
  assert.deepEqual([a.holds, b.holds], [false, false]);
});

test("priority 0 for one member, and silence for the rest, moves the group in the skew", () => {
  const { a, b } = pair(100);
  a.run(seconds(1));
  a.hear(200);
  b.hear(200);
  a.hear(0);
  a.run(seconds(3));
  assert.equal(a.whenFirst("master"), 1.609);
  assert.equal(b.whenFirst("master"), 1.609);
});

test("a group starts as master only if all its members are owners", () => {
  const { a, b } = pair(255);
  assert.deepEqual([a.state, b.state], ["master", "master"]);
  const group = new SyncGroup("G");
  const owner = new RouterRig({ priority: 255 }, { group });
  new RouterRig({ priority: 100 }, { group });
  owner.router.start();
  assert.equal(owner.state, "backup");
});
