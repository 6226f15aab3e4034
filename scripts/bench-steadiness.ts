import { type DaemonKind, type HostProcess, now, sleep, until } from "@ha/lab/namespaces";
import { keepalivedConf } from "../test/support/keepalived-conf.ts";
import { Pair } from "../test/support/pair.ts";
import { memory, processorTime } from "../test/support/process-cost.ts";
import { ms, percentile, type Section } from "./bench-section.ts";

interface Load {
  readonly instances: number;
  /** Seconds. */
  readonly interval: number;
  readonly busy: boolean;
  /** With real-time priority, as the configuration can ask. */
  readonly realtime?: boolean;
}

const LOADS: readonly Load[] = [
  { instances: 1, interval: 1, busy: false },
  { instances: 1, interval: 0.1, busy: false },
  { instances: 1, interval: 0.1, busy: true, realtime: true },
  { instances: 255, interval: 1, busy: false },
  { instances: 255, interval: 1, busy: true, realtime: true },
  { instances: 50, interval: 0.05, busy: false },
  { instances: 50, interval: 0.05, busy: true },
  { instances: 50, interval: 0.05, busy: true, realtime: true },
];
const SECONDS = 20;
const BUSY_LOOPS = 4;

export const steadiness: Section = {
  name: "steadiness",
  title: "Steadiness and cost",
  method: `Two hosts of the same daemon, version 3, all virtual routers on one interface; ${SECONDS} s once lb1 owns all. Jitter is how
far the time between two adverts of a router is from its interval. "Busy" are ${BUSY_LOOPS} endless loops beside the daemons;
"rt" is \`vrrp_priority -20\`, \`vrrp_rt_priority 50\`, \`vrrp_rlimit_rttime 5000000\`. Memory is PSS of all processes of one host.`,
  columns: [
    "jitter p50 / p99 / max",
    "false failovers",
    "CPU master / backup",
    "memory master / backup",
    "all up after",
  ],
  cases: LOADS.map((load) => ({
    name: `${load.instances} × ${load.interval * 1000} ms${load.busy ? ", busy" : ""}${load.realtime === true ? ", rt" : ""}`,
    measure: (kind) => measure(kind, load),
  })),
};

async function measure(kind: DaemonKind, load: Load): Promise<string[]> {
  const pair = await Pair.open({ probeEvery: 100 });
  const loops: HostProcess[] = [];
  try {
    const began = now();
    await Promise.all([
      pair.start("lb1", kind, configOf(load, 150)),
      pair.start("lb2", kind, configOf(load, 100)),
    ]);
    const addresses = Array.from({ length: load.instances }, (_, i) => addressOf(i));
    await until("lb1 to own every address", 30_000, () => {
      return addresses.every((address) => pair.holders.of(address).join() === "lb1") || undefined;
    });
    const up = (now() - began) / 1e6;
    await sleep(2000);
    for (let i = 0; load.busy && i < BUSY_LOOPS; i++) {
      loops.push(pair.lan.host("client").spawn("sh", ["-c", "while :; do :; done"]));
    }
    await sleep(200);

    const processes = { lb1: pair.daemon("lb1").processes(), lb2: pair.daemon("lb2").processes() };
    const usedBefore = { lb1: processorTime(processes.lb1), lb2: processorTime(processes.lb2) };
    const since = now();
    await sleep(SECONDS * 1000);
    const end = now();
    const share = (side: "lb1" | "lb2"): string =>
      `${(((processorTime(processes[side]) - usedBefore[side]) / (end - since)) * 1e5).toFixed(1)} %`;

    const jitter = jitterOf(pair, load, since, end);
    const failovers = new Set(
      pair.lan.capture
        .between(since, end)
        .flatMap(({ vrrp }) => (vrrp?.from === "10.77.0.12" ? [vrrp.vrid] : [])),
    );
    return [
      [0.5, 0.99, 1].map((at) => ms(percentile(jitter, at), 2)).join(" / "),
      String(failovers.size),
      `${share("lb1")} / ${share("lb2")}`,
      `${memory(processes.lb1).toFixed(1)} MB / ${memory(processes.lb2).toFixed(1)} MB`,
      `${up.toFixed(2)} s`,
    ];
  } finally {
    for (const loop of loops) loop.kill("SIGKILL");
    await pair.close();
  }
}

function configOf({ instances, interval, realtime = false }: Load, priority: number): string {
  return keepalivedConf(
    Array.from({ length: instances }, (_, i) => ({
      name: `VI_${i + 1}`,
      vrid: i + 1,
      version: 3 as const,
      interval,
      priority,
      addresses: [addressOf(i)],
    })),
    {
      globals: realtime
        ? ["vrrp_priority -20", "vrrp_rt_priority 50", "vrrp_rlimit_rttime 5000000"]
        : [],
    },
  );
}

function addressOf(index: number): string {
  return `10.77.1.${index + 1}`;
}

/** In milliseconds, of every virtual router. */
function jitterOf(pair: Pair, { interval }: Load, since: number, end: number): number[] {
  const last = new Map<number, number>();
  const jitter: number[] = [];
  for (const { vrrp, time } of pair.lan.capture.between(since, end)) {
    if (vrrp === undefined || vrrp.from !== "10.77.0.11") continue;
    const before = last.get(vrrp.vrid);
    if (before !== undefined) jitter.push(Math.abs((time - before) / 1000 - interval * 1000));
    last.set(vrrp.vrid, time);
  }
  return jitter;
}
