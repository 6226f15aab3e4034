import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "@ha/base";
import {
  bumpVersion,
  freeSlot,
  NONE,
  openServers,
  type Servers,
  takeSlot,
  WEIGHT_SCALE,
} from "../server/servers.ts";
import { algorithms, type BalanceOptions } from "./algorithm.ts";

interface Plain {
  readonly weight?: number;
  readonly usable?: number;
  readonly backup?: number;
  readonly served?: number;
  readonly maxconn?: number;
}

/** Columns of the given servers; a field left out is that of a plain server that is up. */
function servers(...list: readonly Plain[]): Servers {
  const columns = openServers(list.length);
  list.forEach(({ weight = 1, usable = 1, backup = 0, served = 0, maxconn = 0 }, i) => {
    columns.userWeight[i] = columns.initialWeight[i] = weight;
    columns.weight[i] = weight * WEIGHT_SCALE;
    columns.usable[i] = usable;
    columns.backup[i] = backup;
    columns.served[i] = served;
    columns.maxconn[i] = maxconn;
    columns.limitScale[i] = 1000;
    columns.id[i] = columns.place[i] = i + 1;
  });
  return columns;
}

function options(overrides: Partial<BalanceOptions> = {}): BalanceOptions {
  const random = seededRandom(7);
  return {
    draws: 2,
    balanceFactor: 0,
    allBackups: false,
    chance: () => Math.floor(random.next() * 2 ** 32),
    ...overrides,
  };
}

function spread(key: number): number {
  return Math.imul(key, 0x9e3779b1) >>> 0;
}

const freelyChoosing = new Set(["roundrobin", "static-rr", "leastconn", "first", "random"]);

// The contract of every algorithm in the list: a new entry is tested by being there.
for (const algorithm of algorithms) {
  test(`${algorithm.name} never picks a server that is down or has no weight`, () => {
    const balancer = algorithm.create(servers({ usable: 0 }, { weight: 0 }, {}), options());
    for (let key = 0; key < 100; key++) assert.equal(balancer.pick(spread(key), NONE), 2);
  });

  test(`${algorithm.name} picks nothing when nothing is usable`, () => {
    assert.equal(algorithm.create(servers(), options()).pick(0, NONE), NONE);
    assert.equal(algorithm.create(servers({ usable: 0 }), options()).pick(0, NONE), NONE);
  });

  test(`${algorithm.name} leaves backup servers alone until no active one is left`, () => {
    const columns = servers({ backup: 1 }, { backup: 1 }, {});
    const [one, all] = [
      algorithm.create(columns, options()),
      algorithm.create(columns, options({ allBackups: true })),
    ];
    for (let key = 0; key < 50; key++) assert.equal(one.pick(spread(key), NONE), 2);
    columns.usable[2] = 0;
    bumpVersion(columns);
    const picked = new Set<number>();
    for (let key = 0; key < 50; key++) assert.equal(one.pick(spread(key), NONE), 0);
    for (let key = 0; key < 50; key++) {
      const server = all.pick(spread(key), NONE);
      picked.add(server);
      if (algorithm.name === "leastconn")
        columns.served[server] = (columns.served[server] as number) + 1;
    }
    if (algorithm.name !== "first") assert.deepEqual([...picked].sort(), [0, 1]);
  });

  test(`${algorithm.name} follows a server that comes back`, () => {
    const columns = servers({ usable: 0 }, {});
    const balancer = algorithm.create(columns, options());
    assert.equal(balancer.pick(0, NONE), 1);
    columns.usable[0] = 1;
    columns.usable[1] = 0;
    bumpVersion(columns);
    assert.equal(balancer.pick(0, NONE), 0);
  });

  if (freelyChoosing.has(algorithm.name)) {
    test(`${algorithm.name} passes over full servers, says so when all are, and avoids one just tried`, () => {
      const columns = servers({ maxconn: 1, served: 1 }, { maxconn: 2, served: 1 });
      const balancer = algorithm.create(columns, options());
      assert.equal(balancer.pick(0, NONE), 1);
      assert.equal(balancer.pick(0, 1), 1);
      columns.served[1] = 2;
      assert.equal(balancer.pick(0, NONE), NONE);
      columns.served[0] = 0;
      columns.served[1] = 0;
      for (let i = 0; i < 10; i++) assert.equal(balancer.pick(0, 0), 1);
    });
  }

  if (algorithm.name !== "first") {
    test(`${algorithm.name} shares by weight`, () => {
      const columns = servers({ weight: 10 }, { weight: 30 }, { weight: 60 });
      const balancer = algorithm.create(columns, options());
      const counts = [0, 0, 0];
      const held: number[] = [];
      for (let key = 0; key < 20_000; key++) {
        const server = balancer.pick(spread(key), NONE);
        counts[server] = (counts[server] as number) + 1;
        if (algorithm.name !== "leastconn" && algorithm.name !== "random") continue;
        takeSlot(columns, server);
        held.push(server);
        if (held.length > 300) freeSlot(columns, held.shift() as number);
      }
      // A circle of 1600 points is not as even as turns are.
      const tolerance = algorithm.name === "hash-type consistent" ? 0.05 : 0.02;
      [0.1, 0.3, 0.6].forEach((share, i) => {
        const actual = (counts[i] as number) / 20_000;
        assert.ok(Math.abs(actual - share) < tolerance, `server ${i} got ${actual}, not ${share}`);
      });
    });
  }
}

test("round robin gives equal servers their turns in the order of the file, over all threads together", () => {
  const columns = servers({}, {}, {});
  const roundrobin = algorithms.find(({ name }) => name === "roundrobin");
  assert.ok(roundrobin !== undefined);
  const threads = [
    roundrobin.create(columns, options()),
    roundrobin.create(openServers(3, columns.buffer), options()),
  ];
  const picked = Array.from({ length: 6 }, (_, i) => threads[i % 2]?.pick(0, NONE));
  assert.deepEqual(picked, [0, 1, 2, 0, 1, 2]);
});

test("when a server goes, consistent hashing moves its own keys and no others", () => {
  const columns = servers({}, {}, {}, {}, {});
  const consistent = algorithms.find(({ name }) => name === "hash-type consistent");
  assert.ok(consistent !== undefined);
  const balancer = consistent.create(columns, options());
  const before = Array.from({ length: 5_000 }, (_, key) => balancer.pick(spread(key), NONE));
  columns.usable[2] = 0;
  bumpVersion(columns);
  before.forEach((server, key) => {
    const now = balancer.pick(spread(key), NONE);
    if (server !== 2) assert.equal(now, server);
    else assert.notEqual(now, 2);
  });
});

test("hash-balance-factor keeps every server within its share of the load", () => {
  const columns = servers({}, {}, {}, {});
  const consistent = algorithms.find(({ name }) => name === "hash-type consistent");
  assert.ok(consistent !== undefined);
  const balancer = consistent.create(columns, options({ balanceFactor: 125 }));
  // One hot key for everything: without the factor a single server would take it all.
  for (let i = 0; i < 400; i++) takeSlot(columns, balancer.pick(12345, NONE));
  for (let server = 0; server < 4; server++)
    assert.ok((columns.served[server] as number) <= 126, `${columns.served}`);
});
