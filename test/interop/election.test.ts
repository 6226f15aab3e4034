import assert from "node:assert/strict";
import { describe } from "node:test";
import { answeredBy, now, sleep } from "@ha/lab/namespaces";
import { type InstancePlan, keepalivedConf } from "../support/keepalived-conf.ts";
import { VIRTUAL_ADDRESS } from "../support/pair.ts";
import { assertBetween, masterDown, scenario } from "../support/scenario.ts";

// Goal: both daemons agree who is master: when a better or an equal one starts, when preemption is off or delayed, and
// when two masters meet.
// Method: lb1 or lb2 is started alone, then the other; or the switch is cut between them and joined again.

const conf = (plan: Partial<InstancePlan> & { priority: number }): string =>
  keepalivedConf([{ addresses: [VIRTUAL_ADDRESS], password: "secret", ...plan }]);
const DOWN_150 = masterDown({ version: 2, interval: 1, priority: 150 });

describe("election", { concurrency: 6 }, () => {
  scenario(
    "a better router that starts takes over, and the client hardly notices",
    async (pair, kinds) => {
      await pair.start("lb2", kinds.lb2, conf({ priority: 100 }));
      await pair.settle("lb2");
      const since = now();
      await pair.start("lb1", kinds.lb1, conf({ priority: 150 }));
      const first = await pair.nextAdvert("lb1", { since, limitMs: 8000 });
      await pair.settle("lb1");
      await sleep(300);

      assertBetween(
        "preemption after exec, ms",
        (first.time - since) / 1000,
        DOWN_150 - 5,
        DOWN_150 + 1500,
      );
      assert.deepEqual(answeredBy(pair.answers(since)), ["lb2", "lb1"]);
      assert.equal(
        pair.adverts("lb2", { since: first.time + 1_000_000 }).length,
        0,
        "lb2 has yielded",
      );
      assert.ok(
        pair.holders.heldBy(2, VIRTUAL_ADDRESS, since) < 50,
        "two holders only while the advert is under way",
      );
    },
  );

  scenario(
    "with nopreempt a better router that starts stays backup, and takes over when the master is gone",
    async (pair, kinds) => {
      const own = { priority: 150, lines: ["nopreempt"] };
      await pair.start("lb2", kinds.lb2, conf({ priority: 100 }));
      await pair.settle("lb2");
      const since = now();
      await pair.start("lb1", kinds.lb1, conf(own));
      await sleep(6000);
      assert.deepEqual(pair.holders.of(VIRTUAL_ADDRESS), ["lb2"]);
      assert.equal(pair.adverts("lb1", { since }).length, 0, "lb1 is silent");
      await pair.powerOff("lb2");
      await pair.settle("lb1");
    },
  );

  scenario("preempt_delay puts preemption off by that time", async (pair, kinds) => {
    await pair.start("lb2", kinds.lb2, conf({ priority: 100 }));
    await pair.settle("lb2");
    const since = now();
    await pair.start("lb1", kinds.lb1, conf({ priority: 150, lines: ["preempt_delay 3"] }));
    const first = await pair.nextAdvert("lb1", { since, limitMs: 12_000 });
    // The delay counts from the first lower advert that it hears, up to one interval after its start; then the down timer.
    assertBetween(
      "first advert after exec, ms",
      (first.time - since) / 1000,
      3000 + DOWN_150 - 1005,
      3000 + DOWN_150 + 2500,
    );
    await pair.settle("lb1");
  });

  scenario(
    "of two equal routers the higher address wins, whoever was first, once they meet as masters",
    async (pair, kinds) => {
      await pair.start("lb1", kinds.lb1, conf({ priority: 100 }));
      await pair.settle("lb1");
      await pair.start("lb2", kinds.lb2, conf({ priority: 100 }));
      await sleep(4500);
      assert.deepEqual(pair.holders.of(VIRTUAL_ADDRESS), ["lb1"], "an equal master is respected");
      await Promise.all([pair.lan.cut("lb1", "lb2"), pair.lan.cut("lb2", "lb1")]);
      await pair.holders.wait(VIRTUAL_ADDRESS, ["lb1", "lb2"], 6000);
      const healed = now();
      await Promise.all([pair.lan.join("lb1", "lb2"), pair.lan.join("lb2", "lb1")]);
      await pair.holders.wait(VIRTUAL_ADDRESS, ["lb2"], 4000);
      // keepalived puts its own advert off by a second when it hears an equal one: up to two intervals.
      assertBetween(
        "two holders after the heal, ms",
        pair.holders.heldBy(2, VIRTUAL_ADDRESS, healed),
        0,
        2200,
      );
      await pair.answeredBy("lb2", 3000);
      await sleep(2500);
      assert.deepEqual(pair.holders.of(VIRTUAL_ADDRESS), ["lb2"]);
    },
  );

  scenario(
    "a partition makes two masters, and its end leaves the better one alone",
    async (pair, kinds) => {
      await pair.startBoth(kinds, { lb1: conf({ priority: 150 }), lb2: conf({ priority: 100 }) });
      const last = await pair.nextAdvert("lb1");
      await Promise.all([pair.lan.cut("lb1", "lb2"), pair.lan.cut("lb2", "lb1")]);
      const first = await pair.nextAdvert("lb2", { since: last.time, limitMs: 6000 });
      const limit = masterDown({ version: 2, interval: 1, priority: 100 });
      assertBetween(
        "second master after the last advert heard, ms",
        (first.time - last.time) / 1000,
        limit - 5,
        limit + 300,
      );
      await pair.holders.wait(VIRTUAL_ADDRESS, ["lb1", "lb2"], 2000);
      const healed = now();
      await Promise.all([pair.lan.join("lb1", "lb2"), pair.lan.join("lb2", "lb1")]);
      await pair.settle("lb1");
      assertBetween(
        "two holders after the heal, ms",
        pair.holders.heldBy(2, VIRTUAL_ADDRESS, healed),
        0,
        1200,
      );
      await sleep(2500);
      assert.deepEqual(pair.holders.of(VIRTUAL_ADDRESS), ["lb1"]);
      assert.deepEqual(
        answeredBy(pair.answers(now() - 1_000_000)),
        ["lb1"],
        "the client is back with lb1",
      );
    },
  );

  scenario(
    "one that cannot be heard does not disturb the master that it hears",
    async (pair, kinds) => {
      await pair.startBoth(kinds, { lb1: conf({ priority: 150 }), lb2: conf({ priority: 100 }) });
      const since = now();
      await pair.lan.cut("lb2", "lb1");
      await sleep(4500);
      assert.deepEqual(pair.holders.of(VIRTUAL_ADDRESS), ["lb1"]);
      assert.equal(pair.adverts("lb2", { since }).length, 0, "lb2 stays silent");
    },
  );
});
