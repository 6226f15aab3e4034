import assert from "node:assert/strict";
import { describe } from "node:test";
import {
  announces,
  answeredBy,
  longestOutage,
  lost,
  milliseconds,
  now,
  sleep,
  until,
} from "@ha/lab/namespaces";
import { keepalivedConf } from "../support/keepalived-conf.ts";
import { VIRTUAL_ADDRESS } from "../support/pair.ts";
import { assertBetween, masterDown, scenario, skew } from "../support/scenario.ts";

// Goal: stopping, killing, freezing and reloading a daemon does beside the other what the operator expects.
// Method: lb1 is the better one and is acted upon; what the client, the switch and the kernels saw decides.

const TIMERS = { version: 2, interval: 1, priority: 100 } as const;
const EXTRA = "10.77.0.101";
const conf = (priority: number, addresses: readonly string[] = [VIRTUAL_ADDRESS]): string =>
  keepalivedConf([{ priority, addresses, lines: ["skip_check_adv_addr"] }]);

describe("life of a daemon", { concurrency: 6 }, () => {
  scenario(
    "SIGTERM to the master: priority 0 at once, the peer takes over after its skew, the end is clean",
    async (pair, kinds) => {
      await pair.startBoth(kinds, { lb1: conf(150), lb2: conf(100) });
      await sleep(1200);
      const daemon = pair.daemon("lb1");
      const asked = daemon.signal("SIGTERM");
      const farewell = await pair.nextAdvert("lb1", { since: asked });
      const first = await pair.nextAdvert("lb2", { since: asked });
      assert.equal(farewell.vrrp?.priority, 0);
      assertBetween("priority 0 after SIGTERM, ms", (farewell.time - asked) / 1000, 0, 50);
      assertBetween(
        "takeover after priority 0, ms",
        (first.time - farewell.time) / 1000,
        skew(TIMERS) - 5,
        skew(TIMERS) + 100,
      );
      await daemon.waitForEnd(8000);
      assert.equal(daemon.exitCode, 0);
      await pair.settle("lb2");
      const answers = pair.answers(asked - milliseconds(500));
      assert.deepEqual(answeredBy(answers), ["lb1", "lb2"]);
      assertBetween("the client's outage, ms", longestOutage(answers), 0, skew(TIMERS) + 150);
      assert.deepEqual(await addressesOf("lb1"), [], "no address is left");

      async function addressesOf(side: "lb1"): Promise<string[]> {
        const { stdout } = await pair.host(side).run("ip", ["-o", "addr", "show", "dev", "eth0"]);
        return stdout.split("\n").filter((line) => line.includes(VIRTUAL_ADDRESS));
      }
    },
  );

  scenario(
    "after SIGKILL of everything and a new start, the better host is the only holder again",
    async (pair, kinds) => {
      await pair.startBoth(kinds, { lb1: conf(150), lb2: conf(100) });
      const last = await pair.nextAdvert("lb1");
      await pair.daemon("lb1").killAll();
      const first = await pair.nextAdvert("lb2", { since: last.time, limitMs: 6000 });
      assertBetween(
        "takeover after the last advert, ms",
        (first.time - last.time) / 1000,
        skew(TIMERS) - 5,
        masterDown(TIMERS) + 150,
      );
      await pair.answeredBy("lb2", 3000);
      const started = now();
      await pair.start("lb1", kinds.lb1, conf(150));
      await pair.lan.capture.wait(
        "an advert of lb1",
        10_000,
        (frame) => pair.isAdvert(frame, "lb1", 51),
        started,
      );
      await pair.settle("lb1");
      await sleep(1500);
      assert.deepEqual(pair.holders.of(VIRTUAL_ADDRESS), ["lb1"]);
      assert.deepEqual(answeredBy(pair.answers(now() - milliseconds(500))), ["lb1"]);
    },
  );

  scenario(
    "a frozen master is replaced, and once awake there is one master and one holder",
    async (pair, kinds) => {
      await pair.startBoth(kinds, { lb1: conf(150), lb2: conf(100) });
      const last = await pair.nextAdvert("lb1");
      pair.daemon("lb1").freeze();
      const first = await pair.nextAdvert("lb2", { since: last.time, limitMs: 6000 });
      assertBetween(
        "takeover after the last advert, ms",
        (first.time - last.time) / 1000,
        masterDown(TIMERS) - 5,
        masterDown(TIMERS) + 150,
      );
      await sleep(1500);
      const awake = await pair.daemon("lb1").thaw();
      await pair.settle("lb1");
      await sleep(2500);
      assert.deepEqual(pair.holders.of(VIRTUAL_ADDRESS), ["lb1"]);
      assertBetween(
        "two holders after the thaw, ms",
        pair.holders.heldBy(2, VIRTUAL_ADDRESS, awake),
        0,
        1200,
      );
      assert.deepEqual(answeredBy(pair.answers(now() - milliseconds(500))), ["lb1"]);
    },
  );

  scenario("a frozen backup that wakes does not disturb the master", async (pair, kinds) => {
    await pair.startBoth(kinds, { lb1: conf(150), lb2: conf(100) });
    const since = now();
    pair.daemon("lb2").freeze();
    await sleep(5500);
    await pair.daemon("lb2").thaw();
    await sleep(2500);
    assert.deepEqual(pair.holders.of(VIRTUAL_ADDRESS), ["lb1"]);
    assert.ok(lost(pair.answers(since)) <= 2, "the client is served all the time");
  });

  scenario(
    "a reload of the same file changes nothing; one that adds and removes an address changes that alone",
    async (pair, kinds) => {
      await pair.startBoth(kinds, { lb1: conf(150), lb2: conf(100) });
      const since = now();
      for (const addresses of [[VIRTUAL_ADDRESS], [VIRTUAL_ADDRESS, EXTRA], [VIRTUAL_ADDRESS]]) {
        const asked = now();
        pair.daemon("lb1").reload(conf(150, addresses));
        pair.daemon("lb2").reload(conf(100, addresses));
        await until("the addresses of the new file", 4000, () => {
          return (
            pair.holders.of(EXTRA).join() === (addresses.includes(EXTRA) ? "lb1" : "") || undefined
          );
        });
        if (addresses.includes(EXTRA)) {
          await pair.lan.capture.wait(
            "the new address to be announced",
            2000,
            (frame) => announces(frame, EXTRA),
            asked,
          );
        }
        await sleep(2200);
      }
      const changes = pair.holders.changes.filter(
        ({ time, address }) => time >= since && address === VIRTUAL_ADDRESS,
      );
      assert.deepEqual(changes, [], "the address that stays is not touched");
      assert.equal(pair.adverts("lb2", { since }).length, 0, "lb2 stays backup");
      const adverts = pair.adverts("lb1", { since });
      assert.ok(
        adverts.every(({ vrrp }) => vrrp?.priority === 150),
        "no priority 0",
      );
      const gaps = adverts
        .slice(1)
        .map(({ time }, i) => (time - (adverts[i]?.time ?? time)) / 1000);
      assertBetween("the longest silence of the master, ms", Math.max(...gaps), 900, 1300);
      assert.ok(lost(pair.answers(since)) <= 2, "the client is served all the time");
    },
  );

  scenario(
    "a reload that lowers the priority hands the address to the peer",
    async (pair, kinds) => {
      await pair.startBoth(kinds, { lb1: conf(150), lb2: conf(100) });
      const since = pair.daemon("lb1").reload(conf(50));
      await pair.settle("lb2");
      assertBetween(
        "takeover after SIGHUP, ms",
        (now() - since) / 1000,
        0,
        masterDown(TIMERS) + 1500,
      );
      assert.deepEqual(answeredBy(pair.answers(since - milliseconds(300))), ["lb1", "lb2"]);
    },
  );
});
