import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { ip, type Micros, micros, milliseconds, seconds } from "@ha/base";
import { SimClock } from "@ha/base/testing";
import { addAddress } from "@ha/linux";
import { MemoryNetwork } from "@ha/linux/testing";
import { PLAIN_ROUTER } from "../core/testing/router-rig.ts";
import { type HeldInstance, HeldRecord } from "./held-record.ts";
import { holdingsOf } from "./holdings.ts";
import { Log } from "./log.ts";
import { configOf } from "./testing/runtime-rig.ts";

const folder = mkdtempSync(join(tmpdir(), "vrrpd-record-"));
after(() => rmSync(folder, { recursive: true }));
let files = 0;

const ONE = `vrrp_instance VI_1 {
  interface eth0
  virtual_router_id 51
  virtual_ipaddress {
    192.0.2.100/24
  }
}
`;

function instance(name = "VI_1"): HeldInstance {
  const [config] = configOf(ONE).instances;
  const holdings = holdingsOf(
    {
      addresses: config?.virtual_ipaddress ?? [],
      routes: [],
      rules: [],
      device: "eth0",
      lifetime: undefined,
    },
    { indexOf: () => 2, tableOf: () => undefined },
  );
  return { name, addressDevice: "eth0", router: { router: PLAIN_ROUTER }, held: { holdings } };
}

function rig(path = join(folder, `${files++}.held`), bootId = "boot") {
  const clock = new SimClock();
  const time = { now: micros(1_000_000_000) };
  const lines: string[] = [];
  const log = new Log(
    [
      {
        write: ({ message }) => lines.push(message),
        reopen: () => undefined,
        flush: () => Promise.resolve(),
        flushSync: () => undefined,
      },
    ],
    true,
  );
  const record = new HeldRecord({ path, clock, log, bootId, monotonic: () => time.now });
  const later = (by: Micros): void => {
    time.now = micros(time.now + by);
  };
  return { path, clock, time, record, lines, later };
}

/** What was asked to be written is. */
async function written(path: string, text: string): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (existsSync(path) && readFileSync(path, "utf8").includes(text)) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.fail(`${text} is not in ${path}`);
}

test("what is held is on record, and resumed by the next daemon within two adverts, once a minute", async () => {
  const { path, record } = rig();
  record.onHeld(instance(), true);
  await written(path, "192.0.2.100/24 eth0");

  for (const [after, boot, may] of [
    [milliseconds(1_900), "boot", true],
    [milliseconds(2_100), "boot", false],
    [milliseconds(100), "another boot", false],
  ] as const) {
    const next = rig(path, boot);
    next.later(after);
    assert.equal(next.record.takeResume(instance()), may, `${after} us, ${boot}`);
    assert.equal(next.record.takeResume(instance("VI_2")), false);
  }
  // The one that resumed says so, and its own successor must not at once.
  const second = rig(path);
  assert.equal(second.record.takeResume(instance()), true);
  second.record.onHeld(instance(), true);
  await written(path, "lastResume");
  assert.equal(rig(path).record.takeResume(instance()), false);
  const third = rig(path);
  third.later(seconds(61));
  assert.equal(third.record.takeResume(instance()), false, "the last advert is long ago");
});

test("many changes are one write, and an orderly end leaves no file", async () => {
  const { path, record, clock } = rig();
  for (let i = 0; i < 255; i++) record.onHeld(instance(`VI_${i}`), true);
  await written(path, "VI_254");
  record.onAdvert(instance("VI_0"));
  clock.run(seconds(1));
  for (let i = 0; i < 255; i++) record.onHeld(instance(`VI_${i}`), false);
  await record.close();
  assert.equal(existsSync(path), false);
  assert.equal(clock.pending, 0);
});

test("addresses on record that no file names any more are removed at the next start, and no others", async () => {
  const { path, record } = rig();
  record.onHeld(instance(), true);
  await written(path, "192.0.2.100");
  const network = new MemoryNetwork();
  network.setLink(2, { name: "eth0" });
  for (const last of [100, 101]) {
    const prefix = { address: ip(`192.0.2.${last}`), length: 24 };
    await network.apply(addAddress({ ifindex: 2, prefix }));
  }
  network.drain();
  await rig(path).record.removeForgotten(network, configOf(ONE));
  network.drain();
  assert.equal(network.addresses().length, 2, "still wanted");
  const next = rig(path);
  await next.record.removeForgotten(network, configOf(""));
  network.drain();
  assert.equal(network.hasAddress(ip("192.0.2.100")), false);
  assert.equal(network.hasAddress(ip("192.0.2.101")), true);
  assert.match(next.lines.join(), /removing 192\.0\.2\.100\/24 eth0, which an earlier run left/);
  network.close();
});

test("a record that is no record is none", () => {
  for (const text of ["", "{", "[]", '{"bootId":"boot","instances":[{"name":1}]}', "null"]) {
    const path = join(folder, `${files++}.held`);
    writeFileSync(path, text);
    assert.equal(rig(path).record.takeResume(instance()), false);
  }
});
