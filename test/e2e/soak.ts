import { readdirSync, readFileSync } from "node:fs";
import process from "node:process";
import { seededRandom } from "@ha/base";
import { now, sleep, until } from "@ha/lab/namespaces";
import { keepalivedConf } from "../support/keepalived-conf.ts";
import { other, Pair, type Side, VIRTUAL_ADDRESS } from "../support/pair.ts";
import { masterDown, type Pairing } from "../support/scenario.ts";

/** What a soak came to. */
export interface SoakReport {
  readonly steps: number;
  /** What broke a rule, with the step and its kind. */
  readonly violations: readonly string[];
  /** The worst values, in milliseconds. */
  readonly longestNone: number;
  readonly longestTwo: number;
  /** Of the processes of both hosts, at the start and at the end. */
  readonly resources: { readonly before: Resources; readonly after: Resources };
}

interface Resources {
  readonly descriptors: number;
  /** Resident, MB. */
  readonly memory: number;
}

/** One kind of fault: does it and undoes it. While `deaf` the hosts cannot hear each other, and two may hold the address. */
interface Kind {
  readonly name: string;
  readonly deaf: boolean;
  readonly act: (soak: Soak, side: Side) => Promise<void>;
}

interface Soak {
  readonly pair: Pair;
  readonly kinds: Pairing;
  readonly chance: (limit: number) => number;
  /** Whether the file of a host has the second address. */
  readonly extended: Map<Side, boolean>;
}

const TIMERS = { version: 3, interval: 0.1, priority: 100 } as const;
const SECOND_ADDRESS = "10.77.0.101";
const PRIORITY = { lb1: 150, lb2: 100 } as const;
/** What a loaded machine and the looking itself may add, in milliseconds. */
const SLACK = 250;
/** Until a host must have its daemon and the address back, in milliseconds: a guard whose daemon often dies waits up to a minute. */
const BACK = 70_000;

const KINDS: readonly Kind[] = [
  {
    name: "kill",
    deaf: false,
    act: async ({ pair }, side) => {
      process.kill(pair.daemon(side).speaker(), "SIGKILL");
      await sleep(1500);
    },
  },
  {
    name: "stop and start",
    deaf: false,
    act: async ({ pair, kinds }, side) => {
      await pair.daemon(side).stop();
      await sleep(300);
      await pair.start(side, kinds[side], configOf(side, false));
    },
  },
  {
    name: "freeze the daemon",
    deaf: false,
    act: async ({ pair, chance }, side) => {
      process.kill(pair.daemon(side).speaker(), "SIGSTOP");
      await sleep(50 + chance(1500));
      await pair.daemon(side).thaw();
    },
  },
  {
    name: "cut",
    deaf: true,
    act: async ({ pair, chance }) => {
      await Promise.all([pair.lan.cut("lb1", "lb2"), pair.lan.cut("lb2", "lb1")]);
      await sleep(100 + chance(1500));
      await Promise.all([pair.lan.join("lb1", "lb2"), pair.lan.join("lb2", "lb1")]);
    },
  },
  {
    name: "cut one way",
    deaf: true,
    act: async ({ pair, chance }, side) => {
      await pair.lan.cut(side, other(side));
      await sleep(100 + chance(1500));
      await pair.lan.join(side, other(side));
    },
  },
  {
    name: "pull the cable",
    deaf: true,
    act: async ({ pair, chance }, side) => {
      await pair.lan.unplug(side);
      await sleep(100 + chance(1500));
      await pair.lan.plug(side);
    },
  },
  {
    name: "reload",
    deaf: false,
    act: async ({ pair, extended }, side) => {
      const extend = !(extended.get(side) ?? false);
      extended.set(side, extend);
      pair.daemon(side).reload(configOf(side, extend));
      await sleep(500);
    },
  },
  {
    name: "reload of a broken file",
    deaf: false,
    act: async ({ pair, extended }, side) => {
      pair.daemon(side).reload("vrrp_instance VI_1 {\n  interface eth0\n}\n");
      await sleep(500);
      pair.daemon(side).reload(configOf(side, extended.get(side) ?? false));
      await sleep(300);
    },
  },
  {
    name: "the check fails",
    deaf: false,
    act: async ({ pair, chance }) => {
      await pair.host("lb1").shell("rm -f /tmp/good");
      await sleep(300 + chance(1500));
      pair.host("lb1").writeFile("/tmp/good", "");
    },
  },
];

/**
 * Does faults chosen by a seed to a running pair, one after another, and judges what the kernels saw.
 *
 * @param tell Called with a line for each step.
 */
export async function soak(
  { seed, steps, kinds }: { seed: number; steps: number; kinds: Pairing },
  tell: (line: string) => void,
): Promise<SoakReport> {
  const random = seededRandom(seed);
  const chance = (limit: number): number => random.between(0, limit - 1);
  const pair = await Pair.open({ probeEvery: 20 });
  const state: Soak = { pair, kinds, chance, extended: new Map() };
  const violations: string[] = [];
  let [longestNone, longestTwo] = [0, 0];
  try {
    for (const side of ["lb1", "lb2"] as const) pair.host(side).writeFile("/tmp/good", "");
    await pair.startBoth(kinds, { lb1: configOf("lb1", false), lb2: configOf("lb2", false) });
    await sleep(2000);
    const before = resourcesOf(pair);
    for (let step = 1; step <= steps; step++) {
      const kind = KINDS[chance(KINDS.length)] as Kind;
      const side: Side = chance(3) === 0 ? "lb2" : "lb1";
      const since = now();
      const what = `step ${step}, ${kind.name} on ${side}`;
      let healed: number;
      try {
        await speaking(pair);
        await kind.act(state, side);
        healed = now();
        await pair.settle("lb1", BACK);
      } catch (error) {
        violations.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
        tell(processTable(pair));
        break;
      }
      await sleep(300);
      const none = pair.holders.longestHeldBy(0, VIRTUAL_ADDRESS, since);
      const two = pair.holders.longestHeldBy(2, VIRTUAL_ADDRESS, kind.deaf ? healed : since);
      const allowed = { none: masterDown(TIMERS) + SLACK, two: TIMERS.interval * 1000 + SLACK };
      if (none > allowed.none) violations.push(`${what}: nobody held the address for ${none} ms`);
      if (two > allowed.two)
        violations.push(`${what}: two that hear each other held it for ${two} ms`);
      [longestNone, longestTwo] = [Math.max(longestNone, none), Math.max(longestTwo, two)];
      tell(`${what}: none ${none.toFixed(0)} ms, two ${two.toFixed(0)} ms`);
      pair.lan.capture.forget(now() - 5_000_000);
      pair.holders.forget();
    }
    await speaking(pair).catch(() => {});
    const after = resourcesOf(pair);
    if (after.descriptors > before.descriptors + 6) {
      violations.push(`descriptors grew from ${before.descriptors} to ${after.descriptors}`);
    }
    if (after.memory > before.memory * 1.5 + 20) {
      violations.push(`memory grew from ${before.memory} to ${after.memory} MB`);
    }
    try {
      await speaking(pair);
      await Promise.all([pair.daemon("lb1").stop(), pair.daemon("lb2").stop()]);
    } catch (error) {
      violations.push(`the end: ${error instanceof Error ? error.message : String(error)}`);
      tell(processTable(pair));
    }
    await sleep(200);
    for (const address of [VIRTUAL_ADDRESS, SECOND_ADDRESS]) {
      const left = pair.holders.of(address);
      if (left.length > 0) violations.push(`${address} is left on ${left.join(" and ")}`);
    }
    if (violations.length > 0) tell(pair.logs());
    return { steps, violations, longestNone, longestTwo, resources: { before, after } };
  } finally {
    await pair.close();
  }
}

/** Waits until both daemons run: on a loaded machine a guard may just be starting one anew, without any fault of ours. */
async function speaking(pair: Pair): Promise<void> {
  for (const side of ["lb1", "lb2"] as const) {
    await until(`a daemon on ${side}`, BACK, () => {
      try {
        return pair.daemon(side).speaker() > 0;
      } catch {
        return false;
      }
    });
  }
}

/** What runs on both hosts, for the report of a failure. */
function processTable(pair: Pair): string {
  return (["lb1", "lb2"] as const)
    .flatMap((side) =>
      pair
        .daemon(side)
        .processes()
        .map((pid) => {
          const read = (name: string): string => {
            try {
              return readFileSync(`/proc/${pid}/${name}`, "utf8").replaceAll("\0", " ").trim();
            } catch {
              return "gone";
            }
          };
          const [, state = "?"] = /^State:\s+(.*)$/m.exec(read("status")) ?? [];
          return `${side} ${pid} ${state} ${read("wchan")} ${read("cmdline")}`;
        }),
    )
    .join("\n");
}

function configOf(side: Side, extended: boolean): string {
  const addresses = extended ? [VIRTUAL_ADDRESS, SECOND_ADDRESS] : [VIRTUAL_ADDRESS];
  const lines = ["track_script {", "  chk_file", "}"];
  return keepalivedConf(
    [{ version: 3, interval: 0.1, priority: PRIORITY[side], addresses, lines }],
    {
      globals: ["script_user root", "enable_script_security"],
      before: `vrrp_script chk_file {
  script "/usr/bin/test -e /tmp/good"
  interval 0.2
  weight -60
  fall 1
  rise 1
}
`,
    },
  );
}

function resourcesOf(pair: Pair): Resources {
  let [descriptors, memory] = [0, 0];
  for (const side of ["lb1", "lb2"] as const) {
    for (const pid of pair.daemon(side).processes()) {
      try {
        descriptors += readdirSync(`/proc/${pid}/fd`).length;
        const pages = readFileSync(`/proc/${pid}/status`, "utf8");
        memory += Number(/^VmRSS:\s+(\d+)/m.exec(pages)?.[1] ?? 0) / 1024;
      } catch {
        // It ended while we looked: a check's script.
      }
    }
  }
  return { descriptors, memory: Math.round(memory) };
}
