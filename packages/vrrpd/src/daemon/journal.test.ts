import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, micros } from "@ha/base";
import { Statistics } from "../core/statistics.ts";
import { Journal } from "./journal.ts";

const PEER = ip("192.0.2.2");

function heard(journal: Journal, statistics: Statistics, priority: number, at: number): void {
  statistics.heard(PEER, priority, micros(at));
  journal.heard("VI_1", statistics.latest);
}

test("adverts that say the same are one entry, and another priority is a new one", () => {
  let now = 1_000;
  const journal = new Journal(() => now);
  const statistics = new Statistics();
  for (let i = 0; i < 100; i++) {
    now += 10;
    heard(journal, statistics, 100, i);
  }
  heard(journal, statistics, 0, 100);
  assert.deepEqual(
    journal.entries.map(({ text, count, at, until }) => [text, count, until - at]),
    [
      ["advert from 192.0.2.2 with priority 100", 100, 990],
      ["192.0.2.2 sent priority 0: it leaves", 1, 0],
    ],
  );
  const peer = statistics.latest;
  assert.ok(peer);
  assert.deepEqual(journal.priorityBefore(peer), { before: 100, since: now });
});

test("a packet that was refused is no advert heard", () => {
  const journal = new Journal();
  const statistics = new Statistics();
  heard(journal, statistics, 100, 1);
  statistics.refused(PEER, "bad-ttl");
  journal.heard("VI_1", statistics.latest);
  assert.deepEqual(
    journal.entries.map(({ count }) => count),
    [1],
  );
});

test("a flood of refused packets is one entry for each reason, and pushes nothing out", () => {
  const journal = new Journal();
  journal.note("link", "Netlink reports eth0 down");
  for (let i = 0; i < 50_000; i++) {
    const from = ip(`198.51.100.${i % 250}`);
    journal.refused("VI_1", i % 2 === 0 ? "bad-ttl" : "bad-checksum", from);
  }
  assert.deepEqual(
    journal.entries.map(({ kind, count }) => [kind, count]),
    [
      ["link", 1],
      ["refused", 25_000],
      ["refused", 25_000],
    ],
  );
});

test("notes are bounded, and transitions outlive them", () => {
  const journal = new Journal();
  journal.transition({
    instance: "VI_1",
    from: "backup",
    to: "master",
    why: "master-down",
    because: "192.0.2.2 fell silent",
  });
  for (let i = 0; i < 20_000; i++) journal.note("tracker", `script chk is ${i}`);
  assert.ok(journal.entries.length < 4_200, `${journal.entries.length} entries`);
  assert.equal(journal.entries.at(-1)?.text, "script chk is 19999");
  assert.equal(journal.transitions[0]?.because, "192.0.2.2 fell silent");
});

test("the last entry is found by instance, age and kind", () => {
  let now = 0;
  const journal = new Journal(() => now);
  journal.note("tracker", "old");
  now = 5_000;
  journal.note("tracker", "of all");
  journal.note("tracker", "of another", "VI_2");
  const find = (within: number): string | undefined =>
    journal.last("VI_1", within, ({ kind }) => kind === "tracker")?.text;
  assert.equal(find(1_000), "of all");
  now = 7_000;
  assert.equal(find(1_000), undefined);
});

test("what comes again and again is one entry until the state changes", () => {
  const journal = new Journal();
  const again = (): void => journal.repeated("advert", "lower priority", "VI_1");
  for (let i = 0; i < 1_000; i++) again();
  journal.repeated("timer", "late", "VI_1");
  again();
  journal.transition({ instance: "VI_1", from: "backup", to: "master", why: "x", because: "y" });
  again();
  assert.deepEqual(
    journal.entries.map(({ kind, count }) => [kind, count]),
    [
      ["advert", 1_001],
      ["timer", 1],
      ["state", 1],
      ["advert", 1],
    ],
  );
});
