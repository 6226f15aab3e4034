import assert from "node:assert/strict";
import { answeredBy, longestOutage, milliseconds, now, sleep } from "@ha/lab/namespaces";
import { keepalivedConf } from "../support/keepalived-conf.ts";
import { VIRTUAL_ADDRESS } from "../support/pair.ts";
import { assertBetween, masterDown, scenario, skew } from "../support/scenario.ts";

// Goal: at 10 ms, the shortest interval there is, a power loss costs tens of milliseconds, and calm stays calm.
// Method: one pair at a time, since 36 ms leave no room for the start of others.

const TIMERS = { version: 3, interval: 0.01, priority: 100 } as const;
const conf = (priority: number): string =>
  keepalivedConf([{ version: 3, interval: 0.01, priority, addresses: [VIRTUAL_ADDRESS] }]);

scenario(
  "adverts every 10 ms: three calm seconds, then the backup takes over within the RFC's limit",
  async (pair, kinds) => {
    await pair.startBoth(kinds, { lb1: conf(150), lb2: conf(100) });
    await sleep(500);
    const calm = now();
    await sleep(3000);
    const adverts = pair.adverts("lb1", { since: calm });
    assertBetween("adverts in 3 s", adverts.length, 270, 302);
    assert.equal(pair.adverts("lb2", { since: calm }).length, 0, "no false takeover");

    await pair.powerOff("lb1");
    const first = await pair.nextAdvert("lb2", { since: calm });
    const last = pair.adverts("lb1", { since: calm }).at(-1);
    assert.ok(last !== undefined);
    assertBetween(
      "takeover after the last advert, ms",
      (first.time - last.time) / 1000,
      masterDown(TIMERS) - 2,
      masterDown(TIMERS) + 40,
    );
    await pair.answeredBy("lb2", 2000, last.time);
    const answers = pair.answers(calm);
    assert.deepEqual(answeredBy(answers), ["lb1", "lb2"]);
    // A lost packet is asked for again only by the next one, since the client's own ARP entry has to change.
    assertBetween("the client's outage, ms", longestOutage(answers), 0, masterDown(TIMERS) + 150);
  },
  { probeEvery: 2 },
);

scenario(
  "adverts every 10 ms: SIGTERM hands over within a skew of 6 ms",
  async (pair, kinds) => {
    await pair.startBoth(kinds, { lb1: conf(150), lb2: conf(100) });
    await sleep(500);
    const asked = pair.daemon("lb1").signal("SIGTERM");
    const first = await pair.nextAdvert("lb2", { since: asked });
    assertBetween("takeover after SIGTERM, ms", (first.time - asked) / 1000, 0, skew(TIMERS) + 60);
    await pair.settle("lb2");
    assertBetween(
      "the client's outage, ms",
      longestOutage(pair.answers(asked - milliseconds(200))),
      0,
      150,
    );
  },
  { probeEvery: 2 },
);
