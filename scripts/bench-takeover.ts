import {
  announces,
  type DaemonKind,
  longestOutage,
  milliseconds,
  now,
  sleep,
} from "@ha/lab/namespaces";
import { type InstancePlan, keepalivedConf } from "../test/support/keepalived-conf.ts";
import { Pair, VIRTUAL_ADDRESS } from "../test/support/pair.ts";
import { masterDown } from "../test/support/scenario.ts";
import { median, ms, type Section } from "./bench-section.ts";

type Timing = Pick<InstancePlan, "version" | "interval"> & { version: 2 | 3; interval: number };

const TIMINGS: readonly Timing[] = [
  { version: 2, interval: 1 },
  { version: 3, interval: 1 },
  { version: 3, interval: 0.1 },
  { version: 3, interval: 0.01 },
];
const PRIORITY = 100;
const RUNS = 3;

const nameOf = ({ version, interval }: Timing): string => `v${version}, ${interval * 1000} ms`;

export const takeover: Section = {
  name: "takeover",
  title: "Takeover after a power loss",
  method: `Two hosts of the same daemon; the master's power goes right after an advert. Times from that advert to what the
switch's kernel stamped on entry: the first announcement (gratuitous ARP) and the first answer to the client. Median of ${RUNS}.`,
  columns: ["RFC's limit", "announced", "over the limit", "client served", "two holders"],
  cases: TIMINGS.map((timing) => ({
    name: nameOf(timing),
    measure: async (kind) => {
      const runs = [];
      for (let run = 0; run < RUNS; run++) runs.push(await powerLoss(kind, timing));
      const limit = masterDown({ ...timing, priority: PRIORITY });
      const announced = median(runs.map((run) => run.announced));
      const served = median(runs.map((run) => run.served));
      const two = Math.max(...runs.map((run) => run.two));
      return [ms(limit), ms(announced), ms(announced - limit), ms(served), ms(two)];
    },
  })),
};

export const stop: Section = {
  name: "stop",
  title: "Planned stop (SIGTERM to the master)",
  method: `Two hosts of the same daemon; SIGTERM to the master. From the signal to its priority-0 advert at the switch, to the
first advert of the other, and the longest time in which the client (every ms) had no answer. Median of ${RUNS}.`,
  columns: ["priority 0", "takeover", "client's outage", "two holders"],
  cases: TIMINGS.map((timing) => ({
    name: nameOf(timing),
    measure: async (kind) => {
      const runs = [];
      for (let run = 0; run < RUNS; run++) runs.push(await plannedStop(kind, timing));
      return [
        ms(median(runs.map(({ farewell }) => farewell))),
        ms(median(runs.map(({ moved }) => moved))),
        ms(median(runs.map(({ outage }) => outage))),
        ms(Math.max(...runs.map(({ two }) => two))),
      ];
    },
  })),
};

async function withPair<T>(
  kind: DaemonKind,
  timing: Timing,
  use: (pair: Pair) => Promise<T>,
): Promise<T> {
  const pair = await Pair.open({ probeEvery: 1 });
  try {
    const conf = (priority: number): string =>
      keepalivedConf([{ ...timing, priority, addresses: [VIRTUAL_ADDRESS] }]);
    await pair.startBoth({ lb1: kind, lb2: kind }, { lb1: conf(150), lb2: conf(PRIORITY) });
    await sleep(500);
    return await use(pair);
  } finally {
    await pair.close();
  }
}

function powerLoss(
  kind: DaemonKind,
  timing: Timing,
): Promise<{ announced: number; served: number; two: number }> {
  return withPair(kind, timing, async (pair) => {
    const before = await pair.nextAdvert("lb1");
    await pair.powerOff("lb1");
    const announced = await pair.lan.capture.wait(
      "an announcement of lb2",
      8000,
      (frame) => announces(frame, VIRTUAL_ADDRESS) && pair.lan.senderOf(frame) === "lb2",
      before.time,
    );
    const served = await pair.answeredBy("lb2", 3000, before.time);
    // At 10 ms another advert may have left before the cable was down.
    const last = pair.adverts("lb1").at(-1)?.time ?? before.time;
    return {
      announced: (announced.time - last) / 1000,
      served: (served.time - last) / 1000,
      two: pair.holders.heldBy(2, VIRTUAL_ADDRESS, last),
    };
  });
}

function plannedStop(
  kind: DaemonKind,
  timing: Timing,
): Promise<{ farewell: number; moved: number; outage: number; two: number }> {
  return withPair(kind, timing, async (pair) => {
    const asked = pair.daemon("lb1").signal("SIGTERM");
    const farewell = await pair.lan.capture.wait(
      "priority 0 of lb1",
      3000,
      (frame) => pair.isAdvert(frame, "lb1", 51) && frame.vrrp?.priority === 0,
      asked,
    );
    const first = await pair.nextAdvert("lb2", { since: asked });
    await pair.settle("lb2");
    await sleep(200);
    return {
      farewell: (farewell.time - asked) / 1000,
      moved: (first.time - asked) / 1000,
      outage: longestOutage(pair.answers(asked - milliseconds(200), now())),
      two: pair.holders.heldBy(2, VIRTUAL_ADDRESS, asked),
    };
  });
}
