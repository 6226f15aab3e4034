import process from "node:process";
import { parseArgs } from "node:util";
import { type DaemonKind, longestOutage, missing, now, sleep } from "@ha/lab/namespaces";
import { DemoLab, PACE_MS, type Side, VIRTUAL_ADDRESS } from "./demo-lab.ts";
import { DemoView, stripOf } from "./demo-view.ts";

const USAGE = `usage: ./scripts/demo [options]

Builds two load balancers, a client and a switch from network namespaces, runs the two files of scripts/demo-files on
them, and shows who is master while things break; for each it prints how long the client had no answer. Needs root.
Takes under a minute and leaves nothing behind.

  --keepalived  the real keepalived on lb2: ours and it as one pair
  --reference   the real keepalived on both, to compare with
  --help        this text`;

interface Step {
  readonly title: string;
  readonly act: (lab: DemoLab) => Promise<void> | void;
  /** Who must hold the address afterwards. */
  readonly holder: Side;
}

const STEPS: readonly Step[] = [
  {
    title: "The proxy on lb1 dies; its check takes 2 off the priority",
    act: (lab) => lab.stopProxy("lb1"),
    holder: "lb2",
  },
  { title: "The proxy on lb1 is back", act: (lab) => lab.startProxy("lb1"), holder: "lb1" },
  {
    title: "The daemon on lb1 is stopped (SIGTERM)",
    act: (lab) => lab.stopDaemon("lb1"),
    holder: "lb2",
  },
  { title: "The daemon on lb1 is started", act: (lab) => lab.startDaemon("lb1"), holder: "lb1" },
  {
    title: "The daemon on lb1 is killed (kill -9); its supervisor lives",
    act: (lab) => lab.killSpeaker("lb1"),
    holder: "lb1",
  },
  {
    title: "Every process of the daemon on lb1 is killed (SIGKILL)",
    act: (lab) => lab.killDaemon("lb1"),
    holder: "lb2",
  },
  {
    title: "The daemon on lb1 is started again",
    act: (lab) => lab.startDaemon("lb1"),
    holder: "lb1",
  },
  { title: "The cable of lb1 is pulled", act: (lab) => lab.pullCable("lb1"), holder: "lb2" },
  {
    title: "The cable of lb1 is plugged in again",
    act: (lab) => lab.plugCable("lb1"),
    holder: "lb1",
  },
];

/** What takes longer did not work. */
const STEP_LIMIT_MS = 12_000;
const LOOK_EVERY_MS = 100;
/** How long the client has to be answered by the right host until a step is over. */
const CALM_MS = 700;

const { values } = parseArgs({
  options: {
    keepalived: { type: "boolean" },
    reference: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(USAGE);
} else {
  process.exitCode = await demo({
    lb1: values.reference ? "keepalived" : "vrrpd",
    lb2: values.reference || values.keepalived ? "keepalived" : "vrrpd",
  });
}

async function demo(kinds: Readonly<Record<Side, DaemonKind>>): Promise<number> {
  const needed = Object.values(kinds).includes("keepalived")
    ? ["killall", "keepalived"]
    : ["killall"];
  const reason = missing(...needed);
  if (reason !== false) {
    console.error(`the demo cannot run here: ${reason}`);
    return 1;
  }
  const view = new DemoView();
  const lab = await DemoLab.open(kinds);
  // The namespaces end with this process in any case; so does the living line.
  process.once("SIGINT", () => void lab.close().then(() => process.exit(130)));
  try {
    introduce(view, kinds);
    return (await perform(view, lab)) ? 0 : 1;
  } finally {
    await lab.close();
  }
}

function introduce(view: DemoView, kinds: Readonly<Record<Side, DaemonKind>>): void {
  view.title(`One address, ${VIRTUAL_ADDRESS}, and two hosts that share it`);
  view.line();
  view.line(`        client  172.16.0.9, asks the address every ${PACE_MS} ms`);
  view.line("          │");
  view.line("    ──────┴─────┬───────────────────┬─────── switch");
  view.line("               lb1                 lb2");
  view.line(`               ${kinds.lb1.padEnd(20)}${kinds.lb2}`);
  view.line("               172.16.0.2          172.16.0.3");
  view.line("               priority 101 + 2    priority 100 + 2   (+ 2 while haproxy runs)");
  view.line();
  view.header();
}

async function perform(view: DemoView, lab: DemoLab): Promise<boolean> {
  const began = now();
  await Promise.all([lab.startProxy("lb1"), lab.startProxy("lb2")]);
  await Promise.all([lab.startDaemon("lb1"), lab.startDaemon("lb2")]);
  if (!(await watch(view, lab, "lb1", began))) return giveUp(view, lab, "no master came up");

  const rows = [["what happened", "address on", "after", "client waited", "two held it"]];
  for (const [index, { title, act, holder }] of STEPS.entries()) {
    view.line();
    view.title(`${index + 1}. ${title}`);
    const since = now();
    await act(lab);
    if (!(await watch(view, lab, holder, since)))
      return giveUp(view, lab, `the address did not come to ${holder}`);
    const end = now();
    const moved = ((lab.heldSince(holder, since) ?? since) - since) / 1000;
    const waited = longestOutage(lab.answers(since - 200_000, end));
    view.line(`          ${view.strip(stripOf(lab.answers(since), since, end))}`);
    view.result(`the client waited ${duration(waited)}`);
    rows.push([
      title,
      holder,
      moved <= 0 ? "-" : duration(moved),
      duration(waited),
      duration(lab.heldByTwo(since, end)),
    ]);
  }
  view.line();
  view.table(rows);
  view.faint(`  (the client asks every ${PACE_MS} ms: what is shorter it does not see)`);
  view.line();
  view.line(
    `${((now() - began) / 1e6).toFixed(0)} s; namespaces, switch and processes are gone with this program`,
  );
  return true;
}

/** Shows what happens until `side` alone has answered the client for a while. False: it did not come to that. */
async function watch(view: DemoView, lab: DemoLab, side: Side, since: number): Promise<boolean> {
  const end = performance.now() + STEP_LIMIT_MS;
  let good = 0;
  while (performance.now() < end) {
    await sleep(LOOK_EVERY_MS);
    const time = now();
    const strip = stripOf(lab.answers(since), since, time - 30_000);
    const recent = time - 130_000;
    const answerer = stripOf(lab.answers(recent), recent, time - 30_000).at(-1) ?? "nobody";
    const states = { lb1: lab.state("lb1"), lb2: lab.state("lb2") };
    view.show({ seconds: (time - lab.startedAt) / 1e6, states, answerer, strip });
    good = answerer === side && states[side] === "MASTER" ? good + 1 : 0;
    if (good * LOOK_EVERY_MS >= CALM_MS) return true;
  }
  return false;
}

function giveUp(view: DemoView, lab: DemoLab, why: string): false {
  view.line(`\n${why}. The logs, with seconds since each start:`);
  view.line(lab.logs());
  return false;
}

function duration(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
