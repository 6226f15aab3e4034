import assert from "node:assert/strict";
import { test } from "node:test";
import { micros, readAddress } from "@ha/base";
import { COUNTED_PEERS } from "./limits.ts";
import { keepalivedStatistics, Statistics } from "./statistics.ts";

test("counters appear under keepalived's names, gathered where it has one name for several", () => {
  const statistics = new Statistics();
  const from = readAddress(new Uint8Array([192, 0, 2, 1]), 0, 4);
  statistics.heard(from, 0, micros(1));
  statistics.heard(from, 100, micros(2));
  statistics.refused(from, "too-short");
  statistics.refused(from, "bad-length");
  statistics.refused(from, "interval-mismatch");
  const named = keepalivedStatistics(statistics);
  assert.equal(named["advert_rcvd"], 2);
  assert.equal(named["pri_zero_rcvd"], 1);
  assert.equal(named["packet_len_err"], 2);
  assert.equal(named["advert_interval_err"], 1);
  assert.equal(named["ip_ttl_err"], 0);
  assert.equal([...statistics.peers()][0]?.lastPriority, 100);
  statistics.clear();
  assert.equal(keepalivedStatistics(statistics)["advert_rcvd"], 0);
});

test("forged senders are counted one by one up to the limit, and together beyond it", () => {
  const statistics = new Statistics();
  for (let i = 0; i < COUNTED_PEERS + 50; i++) {
    statistics.refused(readAddress(new Uint8Array([10, 0, 0, i]), 0, 4), "bad-ttl");
  }
  assert.equal([...statistics.peers()].length, COUNTED_PEERS);
  assert.equal(statistics.get("bad-ttl"), COUNTED_PEERS + 50);
});
