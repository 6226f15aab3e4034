import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, type Micros, milliseconds, toMilliseconds } from "@ha/base";
import { SimClock } from "@ha/base/testing";
import { type Announcement, Announcements } from "./announcements.ts";

const announcement = (address: string, device = "eth0"): Announcement => ({
  address: ip(address),
  ifindex: 2,
  device,
  mac: new Uint8Array(6),
});

function recorder(interval: Micros): {
  clock: SimClock;
  sent: string[];
  announcements: Announcements;
} {
  const clock = new SimClock();
  const sent: string[] = [];
  const spacing = { groupOf: (device: string) => device, intervalOf: () => interval };
  const announcements = new Announcements(clock, spacing, ({ address, device }) => {
    sent.push(`${toMilliseconds(clock.now())} ${device} ${address.bytes.join(".")}`);
  });
  return { clock, sent, announcements };
}

test("without an interval all announcements go out at once, each address in turn", () => {
  const { sent, announcements } = recorder(milliseconds(0));
  announcements.announce("a", [announcement("10.0.0.1"), announcement("10.0.0.2")], 2);
  assert.deepEqual(sent, [
    "0 eth0 10.0.0.1",
    "0 eth0 10.0.0.2",
    "0 eth0 10.0.0.1",
    "0 eth0 10.0.0.2",
  ]);
});

test("with an interval announcements on one interface are spaced, those on two are not", () => {
  const { clock, sent, announcements } = recorder(milliseconds(100));
  announcements.announce("a", [announcement("10.0.0.1")], 2);
  announcements.announce("b", [announcement("10.0.0.9", "eth1")], 1);
  clock.run(milliseconds(500));
  assert.deepEqual(sent, ["0 eth0 10.0.0.1", "0 eth1 10.0.0.9", "100 eth0 10.0.0.1"]);
});

test("an instance that yields does not send what it still had queued", () => {
  const { clock, sent, announcements } = recorder(milliseconds(100));
  announcements.announce("a", [announcement("10.0.0.1")], 5);
  announcements.announce("b", [announcement("10.0.0.2")], 1);
  announcements.cancel("a");
  clock.run(milliseconds(1_000));
  assert.deepEqual(sent, ["0 eth0 10.0.0.1", "100 eth0 10.0.0.2"]);
  assert.equal(clock.pending, 0);
});
