import assert from "node:assert/strict";
import { test } from "node:test";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";
import { seconds } from "@ha/base";
import { freeSlot, openServers, takeSlot } from "./servers.ts";
import { NO_ENTRY, StickTable, type StickTableSpec } from "./stick-table.ts";

// Goal: threads that share a table and server columns neither lose counts nor exceed limits.
// Method: this file is also the program of the workers, which all do the same to the shared memory at once.

const THREADS = 3;
const ROUNDS = 20_000;
const KEYS = 50;
const LIMIT = 2;

const SPEC: StickTableSpec = {
  name: "t",
  type: "integer",
  keySize: 4,
  // Smaller than the number of keys: entries come and go all the time.
  size: 32,
  expire: seconds(60),
  nopurge: false,
  store: [{ name: "gpc0", period: undefined, elements: 1 }],
};

interface Shared {
  readonly table: SharedArrayBuffer;
  readonly servers: SharedArrayBuffer;
  readonly totals: SharedArrayBuffer;
}

if (isMainThread) {
  test("threads that share a table and servers lose no count and exceed no limit", {
    timeout: 60_000,
  }, async () => {
    const table = new StickTable(SPEC);
    const servers = openServers(1);
    servers.maxconn[0] = LIMIT;
    servers.limitScale[0] = 1000;
    const totals = new SharedArrayBuffer(4 * KEYS);
    const shared: Shared = { table: table.buffer, servers: servers.buffer, totals };
    const workers = Array.from(
      { length: THREADS },
      () => new Worker(new URL(import.meta.url), { workerData: shared }),
    );
    const most = await Promise.all(
      workers.map(
        (worker) =>
          new Promise<number>((resolve, reject) => {
            worker.once("message", resolve);
            worker.once("error", reject);
          }),
      ),
    );
    assert.ok(Math.max(...most) <= LIMIT, `a thread saw ${most} requests on the server`);
    assert.equal(servers.served[0], 0);
    // Key 0 is held throughout by all, so no count of it may be lost.
    const gpc = table.field("gpc0");
    assert.ok(gpc !== undefined);
    const entry = table.find(Uint8Array.of(0, 0, 0, 0), 0, 4, 1);
    assert.notEqual(entry, NO_ENTRY);
    assert.equal(table.read(entry, gpc, 0, 1), new Int32Array(totals)[0]);
    assert.equal(table.references(entry), 1);
    assert.ok(table.used <= SPEC.size);
    assert.equal([...table.entries(1)].length, table.used);
  });
} else {
  const shared = workerData as Shared;
  const table = new StickTable(SPEC, shared.table);
  const servers = openServers(1, shared.servers);
  const totals = new Int32Array(shared.totals);
  const gpc = table.field("gpc0");
  const kept = table.obtain(Uint8Array.of(0, 0, 0, 0), 0, 4, 1);
  let most = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const key = (round * 7) % KEYS;
    const entry = table.obtain(Uint8Array.of(0, 0, 0, key), 0, 4, 1);
    if (entry !== NO_ENTRY && gpc !== undefined) {
      table.add(entry, gpc, 0, 1, 1);
      Atomics.add(totals, key, 1);
      table.release(entry);
    }
    if (takeSlot(servers, 0)) {
      most = Math.max(most, Atomics.load(servers.served, 0));
      freeSlot(servers, 0);
    }
  }
  // The last to let go leaves the entry itself: it is the newest.
  table.release(kept, 1);
  parentPort?.postMessage(most);
}
