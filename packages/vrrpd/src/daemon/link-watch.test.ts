import assert from "node:assert/strict";
import { test } from "node:test";
import { milliseconds, seconds } from "@ha/base";
import { SimClock } from "@ha/base/testing";
import { MemoryNetwork } from "@ha/linux/testing";
import type { InterfaceDelay } from "../core/config/model.ts";
import { LinkWatch } from "./link-watch.ts";
import { configOf } from "./testing/runtime-rig.ts";

function rig(delays: readonly InterfaceDelay[] = []) {
  const network = new MemoryNetwork();
  const clock = new SimClock();
  const told: string[] = [];
  const carrier = { eth0: true as boolean | undefined };
  const watch = new LinkWatch(
    network,
    clock,
    delays,
    (name, state) => told.push(`${(clock.now() / 1e6).toFixed(1)} ${name} ${state}`),
    () => ({ carrier: () => carrier.eth0, close: () => undefined }),
  );
  const link = (change: Parameters<MemoryNetwork["setLink"]>[1]): void => {
    network.setLink(2, change);
    network.drain();
    watch.check();
  };
  link({ name: "eth0" });
  return { watch, clock, link, told, carrier };
}

const at = { file: "x", line: 1, column: 1 };

test("a link is up only when it runs, and its end and return are told once each", () => {
  const { watch, link, told } = rig();
  assert.equal(watch.state("eth0"), "up");
  assert.equal(watch.state("eth9"), "missing");
  link({ running: false });
  link({ running: false });
  link({ running: true });
  link(undefined);
  assert.deepEqual(told, ["0.0 eth0 down", "0.0 eth0 up", "0.0 eth0 missing"]);
});

test("interface_up_down_delays hold a change back, and one that passes is never told", () => {
  const delay = { interface: "eth0", down: seconds(2), up: seconds(5), at };
  const { watch, clock, link, told } = rig([delay]);
  assert.equal(watch.state("eth0"), "up");
  link({ running: false });
  clock.run(seconds(1));
  link({ running: true });
  clock.run(seconds(5));
  assert.deepEqual(told, []);
  link({ running: false });
  clock.run(milliseconds(2_100));
  link({ running: true });
  clock.run(seconds(4));
  assert.equal(watch.state("eth0"), "down");
  clock.run(seconds(1));
  assert.deepEqual(told, ["8.0 eth0 down", "13.1 eth0 up"]);
  // A link that is gone is gone, whatever the delay.
  link(undefined);
  assert.equal(watch.state("eth0"), "missing");
});

test("a polled driver's word counts within a second, for the interfaces that are polled alone", () => {
  const { watch, clock, told, carrier } = rig();
  watch.setPolled(configOf("linkbeat_interfaces {\n  eth0 ETHTOOL\n}\n"));
  assert.equal(watch.state("eth0"), "up");
  carrier.eth0 = false;
  clock.run(milliseconds(1_100));
  carrier.eth0 = true;
  clock.run(seconds(1));
  assert.deepEqual(told, ["1.0 eth0 down", "2.0 eth0 up"]);
  watch.setPolled(configOf(""));
  carrier.eth0 = false;
  clock.run(seconds(5));
  assert.equal(told.length, 2);
  watch.close();
  assert.equal(clock.pending, 0);
});
