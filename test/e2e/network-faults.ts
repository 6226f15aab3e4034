import assert from "node:assert/strict";
import { announces, milliseconds, now, sleep } from "@ha/lab/namespaces";
import { type AdvertPlan, advertFrame, bogusAdverts, claimFrame } from "../support/advert-frame.ts";
import { Injector } from "../support/injector.ts";
import { keepalivedConf } from "../support/keepalived-conf.ts";
import {
  ADDRESSES,
  ADDRESSES_6,
  type Pair,
  VIRTUAL_ADDRESS,
  VIRTUAL_ADDRESS_6,
} from "../support/pair.ts";
import { processorTime } from "../support/process-cost.ts";
import { masterDown } from "../support/scenario.ts";
import { startPair } from "./daemon-faults.ts";
import { advertsOf, type Fault, type FaultFigures, figures, longestSilence } from "./fault.ts";

const PASSWORD = "secret";
const conf = (priority: number): string =>
  keepalivedConf([{ priority, addresses: [VIRTUAL_ADDRESS], password: PASSWORD }]);
const PAIR = [conf(150), conf(100)] as const;
/**
 * What the master says, but for where it comes from: the kernel drops what has an address of the host itself as its
 * source, and the master has to hear these.
 */
const GOOD: AdvertPlan = {
  priority: 150,
  from: "10.77.0.66",
  addresses: [VIRTUAL_ADDRESS],
  password: PASSWORD,
};
/** Milliseconds that are no outage; see `daemonFaults`. */
const NONE = 50;

/** Runs with a way to put frames on the client's wire. */
async function injecting<T>(pair: Pair, use: (injector: Injector) => Promise<T>): Promise<T> {
  const injector = await Injector.open(pair.lan.host("client"));
  try {
    return await use(injector);
  } finally {
    injector.close();
  }
}

/** The capture holds what was injected as well: what the master itself sent came from its own hardware address. */
function isOwn(pair: Pair, since: number): { silence: number } {
  const times = pair
    .adverts("lb1", { since })
    .filter((frame) => pair.lan.senderOf(frame) === "lb1")
    .map(({ time }) => time);
  return {
    silence: Math.max(
      ...[since, ...times, now()].map((time, i, all) => (time - (all[i - 1] ?? time)) / 1000),
    ),
  };
}

function undisturbed({ outage, twoHolders, more }: FaultFigures): void {
  assert.ok(outage <= NONE, `outage ${outage} ms`);
  assert.equal(twoHolders, 0);
  assert.equal(more["adverts of the peer"], 0);
  const silence = more["silence of the master"] ?? 0;
  assert.ok(silence <= 2000, `the master was silent for ${silence} ms`);
}

/** Faults of the network, and what strangers send. */
export const networkFaults: readonly Fault[] = [
  {
    title: "bogus adverts, 16 kinds, 2 a second",
    claim: "bogus adverts have no effect at all",
    programs: ["socat"],
    run: async (pair, kinds) => {
      await startPair(pair, kinds, ...PAIR);
      return injecting(pair, async (injector) => {
        const since = now();
        for (const frame of bogusAdverts(GOOD).values()) {
          injector.send(frame);
          await sleep(500);
        }
        return figures(pair, since, {
          "adverts of the peer": advertsOf(pair, "lb2", since),
          "silence of the master": isOwn(pair, since).silence,
        });
      });
    },
    holds: undisturbed,
  },
  {
    title: "bogus adverts, 20,000 a second for 5 s",
    claim: "a flood of bogus adverts has no effect but on the counters",
    programs: ["socat"],
    run: async (pair, kinds) => {
      await startPair(pair, kinds, ...PAIR);
      return injecting(pair, async (injector) => {
        const daemon = pair.daemon("lb1");
        const processes = daemon.processes();
        const [before, logged, since] = [processorTime(processes), daemon.log.length, now()];
        const sent = await injector.flood([...bogusAdverts(GOOD).values()], 20_000, 5000);
        const [used, elapsed] = [processorTime(processes) - before, (now() - since) / 1000];
        await sleep(1500);
        return figures(pair, since, {
          "adverts of the peer": advertsOf(pair, "lb2", since),
          "silence of the master": isOwn(pair, since).silence,
          "packets sent": sent,
          "CPU of the master, %": (used / elapsed) * 100,
          "log lines": daemon.log.length - logged,
        });
      });
    },
    holds: (result) => {
      undisturbed(result);
      assert.ok((result.more["packets sent"] ?? 0) > 20_000, "it was a flood");
      assert.ok(
        (result.more["CPU of the master, %"] ?? 100) <= 30,
        `CPU ${result.more["CPU of the master, %"]} %`,
      );
      assert.ok((result.more["log lines"] ?? 1000) <= 60, `${result.more["log lines"]} log lines`);
    },
  },
  {
    title: "a genuine priority-0 advert replayed",
    claim: "a replayed farewell of the living master moves nothing",
    programs: ["socat"],
    run: async (pair, kinds) => {
      await startPair(pair, kinds, ...PAIR);
      return injecting(pair, async (injector) => {
        // Right after an advert: the next one comes later than the skew.
        await pair.nextAdvert("lb1");
        const since = now();
        injector.send(advertFrame({ ...GOOD, from: ADDRESSES.lb1, priority: 0 }));
        await sleep(4000);
        return figures(pair, since, { "adverts of the peer": advertsOf(pair, "lb2", since) });
      });
    },
    holds: undisturbed,
  },
  {
    title: "the backup hears its own adverts, reflected, while the master dies (IPv6)",
    claim: "reflected adverts do not hold a takeover off",
    programs: ["socat"],
    address: VIRTUAL_ADDRESS_6,
    run: async (pair, kinds) => {
      const conf6 = (priority: number): string =>
        keepalivedConf([{ version: 3, priority, addresses: ["fe80::100", VIRTUAL_ADDRESS_6] }]);
      // The backup is the one that is tested.
      await startPair(pair, { lb1: kinds.lb2, lb2: kinds.lb1 }, conf6(150), conf6(100));
      return injecting(pair, async (injector) => {
        const last = await pair.nextAdvert("lb1");
        await pair.powerOff("lb1");
        const reflected = advertFrame({
          version: 3,
          priority: 100,
          from: ADDRESSES_6.lb2,
          addresses: ["fe80::100", VIRTUAL_ADDRESS_6],
        });
        const flood = injector.flood([reflected], 4, 8000);
        const first = await pair.answeredBy("lb2", 8000, last.time).catch(() => undefined); // Held off: the figure says so.
        await flood;
        const takeover =
          first === undefined ? Number.POSITIVE_INFINITY : (first.time - last.time) / 1000;
        return figures(pair, last.time, { "takeover after": takeover });
      });
    },
    holds: ({ more }) => {
      const limit = masterDown({ version: 3, interval: 1, priority: 100 });
      assert.ok(
        (more["takeover after"] ?? Number.NaN) <= limit + 300,
        `takeover after ${more["takeover after"]} ms`,
      );
    },
  },
  {
    title: "another host claims the address by ARP",
    claim: "a second holder that announces itself is told of in the log",
    programs: ["socat"],
    run: async (pair, kinds) => {
      await startPair(pair, kinds);
      return injecting(pair, async (injector) => {
        const since = now();
        for (let i = 0; i < 5; i++) {
          injector.send(claimFrame(VIRTUAL_ADDRESS));
          await sleep(300);
        }
        const told = pair
          .daemon("lb1")
          .log.find(({ time, text }) => time >= since && /split brain/i.test(text));
        const after = told === undefined ? Number.POSITIVE_INFINITY : (told.time - since) / 1000;
        return figures(pair, since, { "told after": after });
      });
    },
    holds: ({ more }) => {
      assert.ok((more["told after"] ?? Number.NaN) <= 2000, "the log tells of the other holder");
    },
  },
  {
    title: "another host has the address and says nothing",
    claim: "a second holder that keeps silent is told of in the log, since the master asks",
    run: async (pair, kinds) => {
      await startPair(pair, kinds);
      const since = now();
      await pair.host("lb2").run("ip", ["addr", "add", `${VIRTUAL_ADDRESS}/32`, "dev", "eth0"]);
      await sleep(5000);
      const told = pair
        .daemon("lb1")
        .log.find(({ time, text }) => time >= since && /split brain/i.test(text));
      const after = told === undefined ? Number.POSITIVE_INFINITY : (told.time - since) / 1000;
      return figures(pair, since, { "told after": after });
    },
    holds: ({ more }) => {
      assert.ok((more["told after"] ?? Number.NaN) <= 5000, "the log tells of the other holder");
    },
  },
  {
    title: "a partition of 6 s heals",
    claim:
      "once a partition heals the winner announces the address again, after the loser's last word",
    run: async (pair, kinds) => {
      await startPair(pair, kinds);
      await Promise.all([pair.lan.cut("lb1", "lb2"), pair.lan.cut("lb2", "lb1")]);
      await sleep(6000);
      const since = now();
      await Promise.all([pair.lan.join("lb1", "lb2"), pair.lan.join("lb2", "lb1")]);
      await pair.holders.wait(VIRTUAL_ADDRESS, ["lb1"], 5000);
      await sleep(2500);
      const announced = pair.lan.capture
        .between(since)
        .filter((frame) => announces(frame, VIRTUAL_ADDRESS));
      const last = announced.at(-1);
      return figures(pair, since, {
        "announcements of the winner": announced.filter(
          (frame) => pair.lan.senderOf(frame) === "lb1",
        ).length,
        "the last word is the winner's":
          last !== undefined && pair.lan.senderOf(last) === "lb1" ? 1 : 0,
        "silence of the winner": longestSilence(pair, "lb1", since - milliseconds(1)),
      });
    },
    holds: ({ twoHolders, answeredBy, more }) => {
      assert.ok(twoHolders <= 1100, `two holders for ${twoHolders} ms after the heal`);
      assert.ok((more["announcements of the winner"] ?? 0) > 0, "the winner announces");
      assert.equal(more["the last word is the winner's"], 1);
      assert.equal(answeredBy.at(-1), "lb1");
    },
  },
];
