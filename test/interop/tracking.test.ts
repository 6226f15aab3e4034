import assert from "node:assert/strict";
import { describe } from "node:test";
import { answeredBy, now, sleep } from "@ha/lab/namespaces";
import { keepalivedConf } from "../support/keepalived-conf.ts";
import { VIRTUAL_ADDRESS } from "../support/pair.ts";
import { assertBetween, masterDown, scenario, skew } from "../support/scenario.ts";

// Goal: what a router watches moves the address to the peer and back, whichever daemon watches and whichever follows.
// Method: lb1 is better and runs a check on a file every 500 ms, or has its cable pulled.

const TIMERS = { version: 2, interval: 1, priority: 100 } as const;
const CHECK = 500;
/** What running a check may take longer where many tests share two processors. */
const BUSY = 2000;

const script = (weight: number): string => `vrrp_script chk_file {
  script "/usr/bin/test -e /tmp/good"
  interval 0.5
  weight ${weight}
  fall 1
  rise 1
}
`;
const tracked = (priority: number, weight: number): string =>
  keepalivedConf(
    [{ priority, addresses: [VIRTUAL_ADDRESS], lines: ["track_script {", "  chk_file", "}"] }],
    {
      globals: ["script_user root", "enable_script_security"],
      before: script(weight),
    },
  );
const plain = keepalivedConf([{ priority: TIMERS.priority, addresses: [VIRTUAL_ADDRESS] }]);

describe("tracking", { concurrency: 6 }, () => {
  for (const { name, priority, weight } of [
    { name: "a check that adds to the priority", priority: 95, weight: 20 },
    { name: "a check whose failure lowers the priority", priority: 110, weight: -20 },
  ]) {
    scenario(
      `${name} moves the address when it fails, and back when it is good again`,
      async (pair, kinds) => {
        pair.host("lb1").writeFile("/tmp/good", "");
        await pair.startBoth(kinds, { lb1: tracked(priority, weight), lb2: plain });
        await sleep(1500);
        const bad = now();
        await pair.host("lb1").shell("rm /tmp/good");
        const first = await pair.nextAdvert("lb2", { since: bad, limitMs: 8000 });
        // Ours gives the mastership up with a priority 0, keepalived lets the peer's down timer run.
        assertBetween(
          "takeover after the failure, ms",
          (first.time - bad) / 1000,
          skew(TIMERS) - 5,
          masterDown(TIMERS) + CHECK + BUSY,
        );
        await pair.settle("lb2");
        // Whatever ours sends beside its farewell once the check has failed; keepalived goes on until it is outdone.
        const lowered = pair
          .adverts("lb1", { since: bad })
          .filter(({ vrrp }) => vrrp !== undefined && vrrp.priority > 0)
          .at(-1)?.vrrp?.priority;
        assert.ok(
          lowered === undefined || lowered < TIMERS.priority,
          `last advertised: ${lowered}`,
        );
        const good = now();
        pair.host("lb1").writeFile("/tmp/good", "");
        await pair.settle("lb1");
        assertBetween(
          "way back, ms",
          (now() - good) / 1000,
          0,
          masterDown(TIMERS) + CHECK + 1500 + BUSY,
        );
        assert.deepEqual(answeredBy(pair.answers(bad)), ["lb1", "lb2", "lb1"]);
      },
    );
  }

  scenario(
    "a check without weight puts the router into FAULT with a priority 0, and the peer takes over after its skew",
    async (pair, kinds) => {
      pair.host("lb1").writeFile("/tmp/good", "");
      await pair.startBoth(kinds, { lb1: tracked(150, 0), lb2: plain });
      await sleep(1500);
      const bad = now();
      await pair.host("lb1").shell("rm /tmp/good");
      const farewell = await pair.lan.capture.wait(
        "a priority-0 advert of lb1",
        3000,
        (frame) => pair.isAdvert(frame, "lb1", 51) && frame.vrrp?.priority === 0,
        bad,
      );
      assertBetween(
        "priority 0 after the failure, ms",
        (farewell.time - bad) / 1000,
        0,
        CHECK + BUSY,
      );
      const first = await pair.nextAdvert("lb2", { since: bad });
      assertBetween(
        "takeover after priority 0, ms",
        (first.time - farewell.time) / 1000,
        skew(TIMERS) - 30,
        skew(TIMERS) + 150,
      );
      await pair.settle("lb2");
      await pair.daemon("lb1").waitForLog(/\(VI_1\) Entering FAULT STATE/, 3000, bad);
      pair.host("lb1").writeFile("/tmp/good", "");
      await pair.settle("lb1");
    },
  );

  scenario(
    "a router whose cable is pulled lets go, the peer takes over, and it comes back with the cable",
    async (pair, kinds) => {
      const better = keepalivedConf([{ priority: 150, addresses: [VIRTUAL_ADDRESS] }]);
      await pair.startBoth(kinds, { lb1: better, lb2: plain });
      const last = await pair.nextAdvert("lb1");
      await pair.lan.unplug("lb1");
      const first = await pair.nextAdvert("lb2", { since: last.time, limitMs: 6000 });
      assertBetween(
        "takeover after the last advert, ms",
        (first.time - last.time) / 1000,
        masterDown(TIMERS) - 5,
        masterDown(TIMERS) + 150,
      );
      await pair.settle("lb2");
      assert.ok(pair.holders.heldBy(2, VIRTUAL_ADDRESS, last.time) < 50, "lb1 has let go by then");
      await pair.daemon("lb1").waitForLog(/\(VI_1\) Entering FAULT STATE/, 3000, last.time);
      const back = now();
      await pair.lan.plug("lb1");
      await pair.settle("lb1");
      assertBetween(
        "way back, ms",
        (now() - back) / 1000,
        500,
        masterDown({ ...TIMERS, priority: 150 }) + 1500,
      );
    },
  );

  scenario(
    "when one member of a sync group loses its cable, the whole group moves, and comes back with it",
    async (pair, kinds) => {
      const both = (priority: number): string =>
        keepalivedConf(
          [
            { name: "VI_1", priority, addresses: [VIRTUAL_ADDRESS] },
            { name: "VI_2", priority, interface: "eth1", vrid: 52, addresses: [SECOND_ADDRESS] },
          ],
          { before: "vrrp_sync_group G1 {\n  group {\n    VI_1\n    VI_2\n  }\n}\n" },
        );
      await pair.startBoth(kinds, { lb1: both(150), lb2: both(100) });
      await pair.holders.wait(SECOND_ADDRESS, ["lb1"], 6000);
      const since = now();
      await pair.lan.unplug("lb1", "eth1");
      await pair.holders.wait(VIRTUAL_ADDRESS, ["lb2"], 6000);
      await pair.holders.wait(SECOND_ADDRESS, ["lb2"], 6000);
      assertBetween(
        "the group on lb2 after, ms",
        (now() - since) / 1000,
        0,
        masterDown(TIMERS) + 1200,
      );
      await pair.lan.plug("lb1", "eth1");
      await pair.holders.wait(VIRTUAL_ADDRESS, ["lb1"], 8000);
      await pair.holders.wait(SECOND_ADDRESS, ["lb1"], 8000);
      await sleep(1500);
      assert.deepEqual(pair.holders.of(VIRTUAL_ADDRESS), pair.holders.of(SECOND_ADDRESS));
    },
    { secondNetwork: true },
  );
});

const SECOND_ADDRESS = "10.78.0.100";
