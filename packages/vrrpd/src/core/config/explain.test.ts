import assert from "node:assert/strict";
import { test } from "node:test";
import { explainInstance } from "./explain.ts";
import { loadConfig } from "./load.ts";
import { memoryHost } from "./memory-host.ts";

function explain(body: string, peers: readonly number[] = [], before = "") {
  const text = `${before}\nvrrp_instance VI {\ninterface eth0\nvirtual_router_id 1\nvirtual_ipaddress {\n10.0.0.1\n}\n${body}\n}`;
  const loaded = loadConfig("/c", { host: memoryHost({ "/c": text }) });
  const [instance] = loaded?.config.instances ?? [];
  assert.ok(loaded && instance);
  return explainInstance(instance, loaded.config, peers);
}

const script = (weight: number) => `vrrp_script chk {\nscript /bin/chk\nweight ${weight}\n}`;
const tracked = "track_script {\nchk\n}";

test("the skew of version 2 does not grow with the interval, that of version 3 does", () => {
  assert.equal(explain("priority 128\nadvert_int 4").timers.takeoverAfterFarewell, 500);
  assert.equal(explain("version 3\npriority 128\nadvert_int 4").timers.takeoverAfterFarewell, 2000);
  assert.equal(explain("priority 128\nadvert_int 4").timers.takeover, 12_500);
});

test("a weight smaller than the gap is told to move nothing", () => {
  const { traps } = explain(`priority 150\n${tracked}`, [100], script(-20));
  assert.ok(traps.some((trap) => trap.includes("smaller than the gap")));
});

test("a weight larger than the gap is not complained about", () => {
  const { traps, outcomes } = explain(`priority 110\n${tracked}`, [100], script(-20));
  assert.ok(!traps.some((trap) => trap.includes("gap")));
  assert.deepEqual(
    outcomes.map(({ priority, beats }) => [priority, beats[0]]),
    [
      [110, true],
      [90, false],
    ],
  );
});

const traps: readonly (readonly [what: string, body: string, before: string, says: RegExp])[] = [
  ["weights with nopreempt", `nopreempt\n${tracked}`, script(-5), /weights \(chk\) with nopreempt/],
  ["nopreempt", "nopreempt", "", /nopreempt: while any master advertises/],
  [
    "state MASTER below 255",
    "state MASTER\npriority 100",
    "",
    /state MASTER does not make it start/,
  ],
  ["strict mode without accept", "strict_mode", "", /the addresses answer nothing/],
  ["unicast without peers", "unicast_fault_no_peer", "", /unicast without peers/],
  ["a source without peers", "unicast_src_ip 10.0.0.2", "", /adverts go by multicast/],
  [
    "a timeout above the interval",
    tracked,
    script(0).replace("weight", "timeout 9\nweight"),
    /runs are skipped/,
  ],
  [
    "a long down delay",
    "",
    "interface_up_down_delays {\neth0 2\n}",
    /a peer would take over first/,
  ],
];
for (const [what, body, before, says] of traps) {
  test(`${what} is told as a trap`, () => {
    assert.ok(explain(body, [], before).traps.some((trap) => says.test(trap)));
  });
}

test("a script that cannot run is told as a trap", () => {
  const text = `${script(0)}\nvrrp_instance VI {\ninterface eth0\nvirtual_router_id 1\n${tracked}\n}`;
  const host = memoryHost({ "/c": text }, { findScript: () => ({ problem: "missing" }) });
  const loaded = loadConfig("/c", { host });
  const [instance] = loaded?.config.instances ?? [];
  assert.ok(loaded && instance);
  const found = explainInstance(instance, loaded.config, []);
  assert.ok(found.traps.some((trap) => trap.includes("can never succeed")));
});

test("seven trackers are not combined with one another", () => {
  const names = Array.from({ length: 7 }, (_, i) => `eth${i + 1} weight 1`).join("\n");
  assert.equal(explain(`track_interface {\n${names}\n}`).outcomes.length, 9);
});
