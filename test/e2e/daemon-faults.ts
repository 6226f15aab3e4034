import assert from "node:assert/strict";
import process from "node:process";
import { type Frame, milliseconds, now, sleep, until } from "@ha/lab/namespaces";
import { keepalivedConf } from "../support/keepalived-conf.ts";
import { type Pair, VIRTUAL_ADDRESS } from "../support/pair.ts";
import { type Pairing, skew } from "../support/scenario.ts";
import { advertsOf, type Fault, type FaultFigures, figures } from "./fault.ts";

/** Of the backup. */
const TIMERS = { version: 2, interval: 1, priority: 100 } as const;
/**
 * Milliseconds that are no outage: a few lost packets at the probe's pace of 5 ms while the machine is busy. What these
 * faults cost where they are not met is 600 ms and more; `npm run bench:vrrp -- --faults` prints the exact figures.
 */
const NONE = 50;
/** The same for two holders at a handover: the old one lets go 10 ms after the new one's first advert. */
const HANDOVER = 250;
const OTHER_ADDRESS = "10.77.0.101";
const SECOND_ADDRESS = "10.78.0.100";

const conf = (priority: number, addresses: readonly string[] = [VIRTUAL_ADDRESS]): string =>
  keepalivedConf([{ priority, addresses }]);

const CHECK =
  'vrrp_script chk_file {\n  script "/usr/bin/test -e /tmp/good"\n  interval 0.5\n  fall 1\n  rise 1\n';
const checked = (priority: number, weight: number): string =>
  keepalivedConf(
    [{ priority, addresses: [VIRTUAL_ADDRESS], lines: ["track_script {", "  chk_file", "}"] }],
    {
      globals: ["script_user root", "enable_script_security"],
      before: `${CHECK}  weight ${weight}\n}\n`,
    },
  );

export async function startPair(
  pair: Pair,
  kinds: Pairing,
  own = conf(150),
  peer = conf(100),
): Promise<void> {
  await pair.startBoth(kinds, { lb1: own, lb2: peer });
  await sleep(1200);
}

/** SIGKILL as it hits each daemon: keepalived's two processes together, or ours, which leaves its guard. */
async function kill(pair: Pair): Promise<void> {
  const daemon = pair.daemon("lb1");
  if (daemon.kind === "keepalived") await daemon.killAll();
  else process.kill(daemon.speaker(), "SIGKILL");
}

/** What the peer did, and when the daemon that the guard started was back. */
function replaced(pair: Pair, since: number): Record<string, number> {
  const back = pair
    .daemon("lb1")
    .log.find(({ time, text }) => time >= since && /Startup complete/.test(text));
  return {
    "adverts of the peer": advertsOf(pair, "lb2", since),
    ...(back === undefined ? {} : { "back after": (back.time - since) / 1000 }),
  };
}

function holdsReplaced({ outage, twoHolders, answeredBy, more }: FaultFigures): void {
  const back = more["back after"];
  assert.ok(back !== undefined, "the daemon is started again");
  assert.ok(outage <= NONE, `outage ${outage} ms`);
  // On a busy machine Node.js may need longer than the two intervals that the guard waits; then it leaves.
  if (back > GUARD_WAITS) {
    assert.ok(twoHolders <= HANDOVER * 2, `two holders for ${twoHolders} ms`);
    return;
  }
  assert.equal(twoHolders, 0);
  assert.deepEqual(answeredBy, ["lb1"]);
  assert.equal(more["adverts of the peer"], 0);
}

/** Two intervals, less what the daemon has to do once it says that it is up. */
const GUARD_WAITS = 1800;

/** When the peer took over: after the check's file went, and after the priority 0 that ours sends first. */
function movedAfter(pair: Pair, since: number, first: Frame): Record<string, number> {
  const farewell = pair.adverts("lb1", { since }).find(({ vrrp }) => vrrp?.priority === 0);
  return {
    "moved after": (first.time - since) / 1000,
    ...(farewell === undefined
      ? {}
      : { "of it after priority 0": (first.time - farewell.time) / 1000 }),
  };
}

/** The time before it is the check's own: its interval, and how busy the machine is. */
function holdsAfterFarewell(more: Readonly<Record<string, number>>): void {
  const moved = more["of it after priority 0"];
  assert.ok(moved !== undefined, "priority 0 was sent");
  assert.ok(moved <= skew(TIMERS) + 300, `moved ${moved} ms after priority 0`);
}

/** Faults of the daemon itself, and what an operator does to it. */
export const daemonFaults: readonly Fault[] = [
  {
    title: "SIGKILL of the daemon",
    claim: "nobody notices when the daemon of the master is killed",
    run: async (pair, kinds) => {
      await startPair(pair, kinds);
      await pair.nextAdvert("lb1");
      const since = now();
      await kill(pair);
      await sleep(8000);
      return figures(pair, since, replaced(pair, since));
    },
    holds: holdsReplaced,
  },
  {
    title: "SIGKILL of everything; the next start has another address in its file",
    claim:
      "the next start after a death of everything removes an address that is no longer in the file",
    run: async (pair, kinds) => {
      await startPair(pair, kinds);
      await pair.daemon("lb1").killAll();
      await pair.answeredBy("lb2", 8000);
      const since = now();
      await pair.start("lb1", kinds.lb1, conf(50, [OTHER_ADDRESS]));
      await sleep(4000);
      const removed = pair.holders.changes.find(({ host, address, held, time }) => {
        return host === "lb1" && address === VIRTUAL_ADDRESS && !held && time >= since;
      });
      const gone = removed === undefined ? Number.POSITIVE_INFINITY : (removed.time - since) / 1000;
      return figures(pair, since, { "old address gone after": gone });
    },
    holds: ({ more }) => {
      assert.ok(
        (more["old address gone after"] ?? Number.NaN) < 2500,
        "the old address is removed",
      );
    },
  },
  {
    title: "SIGSTOP of the daemon for 6 s",
    claim: "a hung daemon is replaced in place, and nobody notices",
    run: async (pair, kinds) => {
      await startPair(pair, kinds);
      await pair.nextAdvert("lb1");
      const since = now();
      const daemon = pair.daemon("lb1");
      const frozen = daemon.kind === "keepalived" ? daemon.processes() : [daemon.speaker()];
      for (const pid of frozen) process.kill(pid, "SIGSTOP");
      await sleep(6000);
      await daemon.thaw();
      await sleep(2500);
      return figures(pair, since, replaced(pair, since));
    },
    holds: holdsReplaced,
  },
  {
    title: "SIGTERM (stop, planned switchover)",
    claim: "a stop hands the address over without a gap",
    probeEvery: 1,
    run: async (pair, kinds) => {
      await startPair(pair, kinds);
      const since = pair.daemon("lb1").signal("SIGTERM");
      await pair.settle("lb2");
      await sleep(300);
      return figures(pair, since - milliseconds(100));
    },
    holds: ({ outage, twoHolders, answeredBy }) => {
      assert.ok(outage <= NONE, `outage ${outage} ms`);
      assert.ok(twoHolders <= HANDOVER, `two holders for ${twoHolders} ms`);
      assert.deepEqual(answeredBy, ["lb1", "lb2"]);
    },
  },
  {
    title: "a check lowers the priority below the peer's",
    claim: "a lowered priority moves the address after one skew, without a gap",
    run: async (pair, kinds) => {
      pair.host("lb1").writeFile("/tmp/good", "");
      await startPair(pair, kinds, checked(110, -20));
      await sleep(1000);
      const since = now();
      await pair.host("lb1").shell("rm /tmp/good");
      const first = await pair.nextAdvert("lb2", { since, limitMs: 8000 });
      await pair.settle("lb2");
      await sleep(300);
      return figures(pair, since, movedAfter(pair, since, first));
    },
    holds: ({ outage, more }) => {
      holdsAfterFarewell(more);
      assert.ok(outage <= NONE, `outage ${outage} ms`);
    },
  },
  {
    title: "a check of weight 0 fails (FAULT), own link up",
    claim: "FAULT hands the address over without a gap while the link is up",
    run: async (pair, kinds) => {
      pair.host("lb1").writeFile("/tmp/good", "");
      await startPair(pair, kinds, checked(150, 0));
      await sleep(1000);
      const since = now();
      await pair.host("lb1").shell("rm /tmp/good");
      const first = await pair.nextAdvert("lb2", { since, limitMs: 8000 });
      await pair.settle("lb2");
      await sleep(300);
      return figures(pair, since, movedAfter(pair, since, first));
    },
    holds: ({ outage, more }) => {
      holdsAfterFarewell(more);
      assert.ok(outage <= NONE, `outage ${outage} ms`);
    },
  },
  {
    title: "one member of a sync group loses its link",
    claim: "a sync group that loses one link moves after one skew where the peer is ours",
    secondNetwork: true,
    needsOwnPeer: true,
    run: async (pair, kinds) => {
      const both = (priority: number): string =>
        keepalivedConf(
          [
            { name: "VI_1", priority, addresses: [VIRTUAL_ADDRESS] },
            { name: "VI_2", priority, interface: "eth1", vrid: 52, addresses: [SECOND_ADDRESS] },
          ],
          { before: "vrrp_sync_group G1 {\n  group {\n    VI_1\n    VI_2\n  }\n}\n" },
        );
      await startPair(pair, kinds, both(150), both(100));
      await pair.holders.wait(SECOND_ADDRESS, ["lb1"], 6000);
      const since = now();
      await pair.lan.unplug("lb1", "eth1");
      await pair.holders.wait(VIRTUAL_ADDRESS, ["lb2"], 8000);
      await pair.holders.wait(SECOND_ADDRESS, ["lb2"], 8000);
      const moved = (now() - since) / 1000;
      await pair.settle("lb2");
      await sleep(300);
      return figures(pair, since, { "moved after": moved });
    },
    holds: ({ more }) => {
      assert.ok(
        (more["moved after"] ?? Number.NaN) <= skew(TIMERS) + 800,
        `moved after ${more["moved after"]} ms`,
      );
    },
  },
  {
    title: "everything killed, and started again at once",
    claim: "a daemon that is back at once resumes as master, and nobody notices",
    run: async (pair, kinds) => {
      await startPair(pair, kinds);
      await pair.nextAdvert("lb1");
      const since = now();
      await pair.daemon("lb1").killAll();
      const daemon = await pair.start("lb1", kinds.lb1, conf(150));
      const ready = await daemon.waitForLog(/Startup complete/, 10_000);
      await pair.lan.capture.wait(
        "an advert of lb1",
        10_000,
        (frame) => pair.isAdvert(frame, "lb1", 51),
        since,
      );
      await pair.settle("lb1");
      await sleep(4500);
      return figures(pair, since, {
        "adverts of the peer": advertsOf(pair, "lb2", since),
        "back after": (ready.time - since) / 1000,
      });
    },
    holds: ({ outage, twoHolders, answeredBy, more }) => {
      // On a busy machine Node.js may need longer than the skew, and then it has to listen first, like any other start.
      if ((more["back after"] ?? 0) > skew(TIMERS)) return;
      assert.ok(outage <= NONE, `outage ${outage} ms`);
      assert.equal(twoHolders, 0);
      assert.deepEqual(answeredBy, ["lb1"]);
      assert.equal(more["adverts of the peer"], 0);
    },
  },
  {
    title: "reload of a broken file",
    claim: "a broken file on reload leaves the old configuration in force, and says so",
    run: async (pair, kinds) => {
      await startPair(pair, kinds);
      const since = now();
      pair.daemon("lb1").reload(conf(150).replace(/^.*virtual_router_id.*$/m, ""));
      await sleep(6000);
      return figures(pair, since, {
        "adverts of the peer": advertsOf(pair, "lb2", since),
        "errors logged": pair
          .daemon("lb1")
          .log.filter(
            ({ time, text }) =>
              time >= since && /keepalived\.conf:\d+:\d+: error|virtual_router_id/i.test(text),
          ).length,
      });
    },
    holds: ({ outage, twoHolders, answeredBy, more }) => {
      assert.ok(outage <= NONE, `outage ${outage} ms`);
      assert.equal(twoHolders, 0);
      assert.deepEqual(answeredBy, ["lb1"]);
      assert.equal(more["adverts of the peer"], 0);
      assert.ok((more["errors logged"] ?? 0) > 0, "the error is in the log");
    },
  },
  {
    title: "the address list differs during a rolling change",
    claim: "a backup accepts adverts with another list of addresses, and says so once",
    run: async (pair, { lb1, lb2 }) => {
      // The one that hears is the one that is tested: it runs on lb2, and its peer changes first.
      await startPair(pair, { lb1: lb2, lb2: lb1 });
      const since = now();
      pair.daemon("lb1").reload(conf(150, [VIRTUAL_ADDRESS, OTHER_ADDRESS]));
      await until(
        "the new address",
        4000,
        () => pair.holders.of(OTHER_ADDRESS).includes("lb1") || undefined,
      );
      await sleep(6000);
      return figures(pair, since, { "adverts of the peer": advertsOf(pair, "lb2", since) });
    },
    holds: ({ outage, twoHolders, more }) => {
      assert.ok(outage <= NONE, `outage ${outage} ms`);
      assert.equal(twoHolders, 0);
      assert.equal(more["adverts of the peer"], 0);
    },
  },
  {
    title: "the backup's daemon hangs for 5 s and wakes",
    claim: "a backup that wakes late listens before it judges",
    run: async (pair, kinds) => {
      // The backup is the one that is tested.
      await startPair(pair, { lb1: kinds.lb2, lb2: kinds.lb1 });
      const since = now();
      pair.daemon("lb2").freeze();
      await sleep(5300);
      await pair.daemon("lb2").thaw();
      await sleep(3000);
      return figures(pair, since, { "adverts of the backup": advertsOf(pair, "lb2", since) });
    },
    holds: ({ outage, twoHolders, more }) => {
      assert.ok(outage <= NONE, `outage ${outage} ms`);
      assert.equal(twoHolders, 0);
      assert.equal(more["adverts of the backup"], 0);
    },
  },
];
