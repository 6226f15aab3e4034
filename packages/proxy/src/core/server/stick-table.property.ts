import assert from "node:assert/strict";
import { test } from "node:test";
import { seconds } from "@ha/base";
import fc from "fast-check";
import { NO_ENTRY, StickTable, type StickTableSpec } from "./stick-table.ts";

const SPEC: StickTableSpec = {
  name: "t",
  type: "string",
  keySize: 8,
  size: 8,
  expire: seconds(10),
  nopurge: false,
  store: [
    { name: "gpc0", period: undefined, elements: 1 },
    { name: "conn_cur", period: undefined, elements: 1 },
    { name: "bytes_in_cnt", period: undefined, elements: 1 },
    { name: "http_req_rate", period: seconds(10), elements: 1 },
    { name: "gpc", period: undefined, elements: 3 },
  ],
};

function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

function obtain(table: StickTable, key: string, now: number): number {
  return table.obtain(bytes(key), 0, key.length, now);
}

function find(table: StickTable, key: string, now: number): number {
  return table.find(bytes(key), 0, key.length, now);
}

// Goal: the table is a map with expiry and least-recently-used eviction, whatever is done to it.
// Method: random operations on it and on a plain list in order of use, which must agree after each.
test("a table agrees with a plain list in order of use", () => {
  const operation = fc.record({
    kind: fc.constantFrom("obtain", "find", "remove", "wait", "hold"),
    key: fc.constantFrom(..."abcdefghijklmnop"),
    wait: fc.integer({ min: 0, max: 4_000 }),
  });
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 120 }), (operations) => {
      const table = new StickTable(SPEC);
      let model: { key: string; count: number; until: number }[] = [];
      let now = 0xffff_f000 | 0;
      for (const { kind, key, wait } of operations) {
        if (kind === "wait") now = (now + wait) | 0;
        model = model.filter(({ until }) => ((until - now) | 0) > 0);
        table.sweep(now, 100);
        const known = model.find((entry) => entry.key === key);
        if (kind === "obtain") {
          const entry = obtain(table, key, now);
          assert.notEqual(entry, NO_ENTRY);
          const gpc = table.field("gpc0");
          assert.ok(gpc !== undefined);
          table.add(entry, gpc, 0, 1, now);
          table.release(entry);
          if (known === undefined && model.length === SPEC.size) model.shift();
          model = model.filter((entry) => entry.key !== key);
          model.push({ key, count: (known?.count ?? 0) + 1, until: (now + 10_000) | 0 });
        } else if (kind === "remove" && known !== undefined) {
          assert.ok(table.remove(find(table, key, now)));
          model = model.filter((entry) => entry !== known);
        } else if (kind === "find") {
          const entry = find(table, key, now);
          assert.equal(entry !== NO_ENTRY, known !== undefined);
          if (entry !== NO_ENTRY) table.release(entry);
        }
        assert.equal(table.used, model.length);
        const seen = [...table.entries(now)].map((entry) => {
          const gpc = table.field("gpc0");
          assert.ok(gpc !== undefined);
          return [String.fromCharCode(...table.key(entry)), table.read(entry, gpc, 0, now)];
        });
        assert.deepEqual(
          seen,
          model.map((entry) => [entry.key, entry.count]),
        );
      }
    }),
    { numRuns: 300 },
  );
});

test("a full table without room to make gives nothing, and a held entry is never forgotten", () => {
  const full = new StickTable({ ...SPEC, size: 2, nopurge: true });
  full.release(obtain(full, "a", 0));
  full.release(obtain(full, "b", 0));
  assert.equal(obtain(full, "c", 1), NO_ENTRY);
  assert.notEqual(obtain(full, "c", 20_000), NO_ENTRY);

  const held = new StickTable({ ...SPEC, size: 1 });
  const entry = obtain(held, "a", 0);
  assert.equal(obtain(held, "b", 1), NO_ENTRY);
  held.release(entry);
  assert.notEqual(obtain(held, "b", 1), NO_ENTRY);
});

test("bytes count beyond 32 bits and conn_cur never goes below zero", () => {
  const table = new StickTable(SPEC);
  const entry = obtain(table, "a", 0);
  const [wide, current] = [table.field("bytes_in_cnt"), table.field("conn_cur")];
  assert.ok(wide !== undefined && current !== undefined);
  for (let i = 0; i < 5; i++) table.add(entry, wide, 0, 2 ** 31, 0);
  assert.equal(table.read(entry, wide, 0, 0), 5 * 2 ** 31);
  table.decrement(entry, current);
  assert.equal(table.read(entry, current, 0, 0), 0);
});

test("a rate slides: it counts the whole of one period and fades over the next", () => {
  const table = new StickTable(SPEC);
  const entry = obtain(table, "a", 1_000);
  const rate = table.field("http_req_rate");
  assert.ok(rate !== undefined);
  for (let i = 0; i < 100; i++) table.add(entry, rate, 0, 1, 1_000 + i * 10);
  assert.equal(table.read(entry, rate, 0, 2_000), 100);
  table.add(entry, rate, 0, 1, 11_000);
  // Periods begin at multiples of ten seconds here: half of the second one leaves half of the first.
  assert.equal(table.read(entry, rate, 0, 15_000), 51);
  assert.equal(table.read(entry, rate, 0, 60_000), 0);
});

test("another thread's view of the buffer sees the same entries", () => {
  const table = new StickTable(SPEC);
  const other = new StickTable(SPEC, table.buffer);
  const entry = obtain(table, "a", 0);
  const gpc = other.field("gpc");
  assert.ok(gpc !== undefined);
  other.add(entry, gpc, 2, 7, 0);
  assert.equal(find(other, "a", 1), entry);
  assert.equal(table.read(entry, gpc, 2, 0), 7);
  assert.equal(table.read(entry, gpc, 1, 0), 0);
});
