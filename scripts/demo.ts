import process from "node:process";
import { parseArgs } from "node:util";
import { longestOutage, missing, now, sleep } from "@ha/lab/namespaces";
import {
  DemoLab,
  HTTP_PACE_MS,
  HTTP_TIMEOUT_MS,
  PACE_MS,
  type Programs,
  type Side,
  VIRTUAL_ADDRESS,
} from "./demo-lab.ts";
import { DemoView, stripOf } from "./demo-view.ts";

const USAGE = `usage: ./scripts/demo [options]

Builds two load balancers, two web servers, a client and a switch from network namespaces, runs the files of
scripts/demo-files on them, and shows who is master while things break; for each it prints how long the client's pings
had no answer, and how many of its HTTP requests failed. Needs root. Takes under a minute and leaves nothing behind.

  --keepalived  the real keepalived on lb2: ours and it as one pair
  --reference   the real keepalived and haproxy on both
  --compare     ours, then the real ones, and one table of both
  --help        this text`;

interface Step {
  readonly title: string;
  readonly act: (lab: DemoLab) => Promise<void> | void;
  /** Who must hold the address afterwards. */
  readonly holder: Side;
}

const STEPS: readonly Step[] = [
  {
    title: "The proxy on lb1 is killed; its check takes 2 off the priority",
    act: (lab) => lab.killProxy("lb1"),
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

const OURS: Programs = { daemon: "vrrpd", proxy: "lbproxy" };
const THE_REAL_ONES: Programs = { daemon: "keepalived", proxy: "haproxy" };

const { values } = parseArgs({
  options: {
    keepalived: { type: "boolean" },
    reference: { type: "boolean" },
    compare: { type: "boolean" },
    help: { type: "boolean", short: "h" },
  },
});
if (values.help) {
  console.log(USAGE);
} else {
  process.exitCode = await demo();
}

/** What a step did to the client. */
interface StepResult {
  readonly title: string;
  readonly holder: Side;
  /** Milliseconds until that host held the address; not positive: it did before. */
  readonly moved: number;
  readonly waited: number;
  readonly heldByTwo: number;
  readonly failed: number;
  readonly sent: number;
}

async function demo(): Promise<number> {
  const lb1 = values.reference ? THE_REAL_ONES : OURS;
  const lb2 =
    values.reference || values.keepalived ? { ...lb1, daemon: "keepalived" as const } : OURS;
  const isReal = values.reference || values.compare;
  const needed = [
    ...(isReal || values.keepalived ? ["keepalived"] : []),
    ...(isReal ? ["haproxy"] : []),
  ];
  const reason = missing("killall", ...needed);
  if (reason !== false) {
    console.error(`the demo cannot run here: ${reason}`);
    return 1;
  }
  const view = new DemoView();
  const began = now();
  introduce(view, { lb1, lb2 });
  const results = await performOn({ lb1, lb2 }, view);
  if (results === undefined) return 1;
  if (values.compare) {
    view.line();
    view.title("The same with keepalived and haproxy on both");
    view.line();
    view.header();
    const reference = await performOn({ lb1: THE_REAL_ONES, lb2: THE_REAL_ONES }, view);
    if (reference === undefined) return 1;
    view.line();
    view.table(compared(results, reference));
  } else {
    view.line();
    view.table(tabled(results));
  }
  view.faint(
    `  (pings every ${PACE_MS} ms, two HTTP clients every ${HTTP_PACE_MS} ms: what is shorter they do not see)`,
  );
  view.line();
  view.line(
    `${((now() - began) / 1e6).toFixed(0)} s; namespaces, switch and processes are gone with this program`,
  );
  return 0;
}

/** Undefined: it did not go as it should, and the view has shown why. */
async function performOn(
  programs: Readonly<Record<Side, Programs>>,
  view: DemoView,
): Promise<StepResult[] | undefined> {
  const lab = await DemoLab.open(programs);
  // The namespaces end with this process in any case; so does the living line.
  const interrupted = (): void => void lab.close().then(() => process.exit(130));
  process.once("SIGINT", interrupted);
  try {
    return await perform(view, lab);
  } finally {
    process.removeListener("SIGINT", interrupted);
    await lab.close();
  }
}

function introduce(view: DemoView, { lb1, lb2 }: Readonly<Record<Side, Programs>>): void {
  const named = ({ daemon, proxy }: Programs): string => `${daemon} + ${proxy}`;
  view.title(`One address, ${VIRTUAL_ADDRESS}, and two hosts that share it`);
  view.line();
  view.line("        client  172.16.0.9           web1, web2");
  view.line("          │                              │");
  view.line("    ──────┴─────┬───────────────────┬────┴── switch");
  view.line("               lb1                 lb2");
  view.line(`               ${named(lb1).padEnd(20)}${named(lb2)}`);
  view.line("               172.16.0.2          172.16.0.3");
  view.line("               priority 101 + 2    priority 100 + 2   (+ 2 while haproxy runs)");
  view.line();
  view.header();
}

async function perform(view: DemoView, lab: DemoLab): Promise<StepResult[] | undefined> {
  const began = now();
  await Promise.all([lab.startProxy("lb1"), lab.startProxy("lb2")]);
  await Promise.all([lab.startDaemon("lb1"), lab.startDaemon("lb2")]);
  if (!(await watch(view, lab, "lb1", began))) return giveUp(view, lab, "no master came up");

  const steps: (Omit<StepResult, "failed" | "sent"> & { since: number; end: number })[] = [];
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
    const { failed } = lab.requests(since, end);
    view.result(`pings waited ${duration(waited)}, and ${failed} HTTP requests failed`);
    steps.push({ title, holder, moved, waited, heldByTwo: lab.heldByTwo(since, end), since, end });
  }
  // What was asked last may still fail.
  await sleep(HTTP_TIMEOUT_MS);
  return steps.map(({ since, end, ...step }) => ({ ...step, ...lab.requests(since, end) }));
}

function tabled(results: readonly StepResult[]): string[][] {
  return [
    ["what happened", "address on", "after", "pings waited", "two held it", "failed requests"],
    ...results.map(({ title, holder, moved, waited, heldByTwo, failed, sent }) => [
      title,
      holder,
      moved <= 0 ? "-" : duration(moved),
      duration(waited),
      duration(heldByTwo),
      `${failed} of ${sent}`,
    ]),
  ];
}

function compared(ours: readonly StepResult[], theirs: readonly StepResult[]): string[][] {
  return [
    ["", "", "ours", "", "keepalived +", "haproxy"],
    [
      "what happened",
      "address on",
      "pings waited",
      "failed requests",
      "pings waited",
      "failed requests",
    ],
    ...ours.map(({ title, holder, waited, failed, sent }, i) => {
      const their = theirs[i];
      return [
        title,
        holder,
        duration(waited),
        `${failed} of ${sent}`,
        their === undefined ? "" : duration(their.waited),
        their === undefined ? "" : `${their.failed} of ${their.sent}`,
      ];
    }),
  ];
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

function giveUp(view: DemoView, lab: DemoLab, why: string): undefined {
  view.line(`\n${why}. The logs, with seconds since each start:`);
  view.line(lab.logs());
  return undefined;
}

function duration(ms: number): string {
  return ms < 1000 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`;
}
