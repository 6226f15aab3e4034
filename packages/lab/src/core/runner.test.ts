import assert from "node:assert/strict";
import { test } from "node:test";
import { type Micros, micros, milliseconds, seconds } from "@ha/base";
import type { Applied, Driver, Running } from "./driver.ts";
import { describeFault, type Fault, type Need } from "./fault.ts";
import type { Observation } from "./history.ts";
import type { Inventory } from "./inventory.ts";
import { LAB_HOSTS, loadDrill } from "./load-files.ts";
import { runDrill } from "./runner.ts";
import { drawTimeline } from "./timeline.ts";

const PROGRAMS = { daemon: "vrrpd", proxy: "lbproxy" } as const;

/**
 * A pair on virtual time: lb2 takes the address `takeover` after lb1 stops, and gives it back after the undo. A request
 * every 20 ms is answered by whoever holds it.
 */
class FakeLab implements Driver {
  readonly name = "netns";
  readonly inventory: Inventory = {
    driver: "netns",
    slack: { time_factor: 1, floor_s: 0.1 },
    interface: "eth0",
    address: "10.77.0.100",
    least_advert_s: 0.01,
    least_probe_every_s: 0.001,
    least_probe_timeout_s: 0.01,
    baseline_s: 1,
    hosts: {},
  };
  readonly undone: string[] = [];
  missing: Need | undefined;
  /** What fails when it is asked for. */
  broken: "prepare" | "apply" | undefined;
  /** Requests fail even before anything is done. */
  disturbed = false;
  readonly #takeover: Micros;
  #now: Micros = seconds(1000);
  #holder: "lb1" | "lb2" | undefined = "lb1";
  #change: { readonly at: number; readonly to: "lb1" | "lb2" } | undefined;
  #reports: ((seen: Observation) => void)[] = [];
  #answers: ((seen: Observation) => void)[] = [];

  constructor(takeover: Micros) {
    this.#takeover = takeover;
  }

  now(): Micros {
    return this.#now;
  }

  async wait(duration: Micros): Promise<void> {
    const end = this.#now + duration;
    for (; this.#now < end; this.#now = micros(Math.min(end, this.#now + 20_000))) this.#tick();
  }

  lacks(need: Need): string | undefined {
    return need === this.missing ? "not here" : undefined;
  }

  async prepare<T>(plan: T): Promise<T> {
    if (this.broken === "prepare") throw new Error("no room");
    return plan;
  }

  async follow(report: (seen: Observation) => void): Promise<Running> {
    this.#reports.push(report);
    report({ kind: "holder", at: this.#now, host: "lb1", held: true });
    return { stop: async () => void this.undone.push("follow") };
  }

  async probe(_plan: unknown, report: (seen: Observation) => void): Promise<Running> {
    this.#answers.push(report);
    return { stop: async () => void this.undone.push("probe") };
  }

  async apply(fault: Fault): Promise<Applied> {
    if (this.broken === "apply") throw new Error("no such process");
    const at = this.#now;
    this.#hold(undefined);
    this.#change = { at: at + this.#takeover, to: "lb2" };
    return {
      at,
      undo: async () => {
        this.undone.push(describeFault(fault));
        this.#hold(undefined);
        this.#change = { at: this.#now, to: "lb1" };
        return this.#now;
      },
    };
  }

  async keep(): Promise<void> {}

  #tick(): void {
    if (this.#change !== undefined && this.#now >= this.#change.at) {
      this.#hold(this.#change.to);
      this.#change = undefined;
    }
    const until = micros(this.#now + 1000);
    const base = { kind: "answer", at: this.#now, until, probe: "who" } as const;
    for (const report of this.#answers) {
      if (this.#holder === undefined || this.disturbed) report({ ...base, failure: "timeout" });
      else report({ ...base, by: this.#holder });
      if (this.disturbed && this.#holder !== undefined) report({ ...base, by: this.#holder });
    }
  }

  #hold(host: "lb1" | "lb2" | undefined): void {
    const report = (name: string, held: boolean): void => {
      for (const one of this.#reports) one({ kind: "holder", at: this.#now, host: name, held });
    };
    if (this.#holder !== undefined) report(this.#holder, false);
    this.#holder = host;
    if (host !== undefined) report(host, true);
  }
}

function drill(more = "") {
  const text = `name: d
about: lb1 stops
steady: [{vip_owner: {host: lb1}, answered_by: lb1}]
steps:
  - fault: {kind: stop, on: lb1}
  - expect: {vip_owner: {host: lb2}, answered_by: lb2, within: 500ms}
check: [{probe: who, longest_gap: 500ms}]
${more}`;
  const read = loadDrill("d.yaml", text, LAB_HOSTS);
  assert.ok(read.ok);
  return read.value;
}

test("A pair that takes over in time passes, and its fault is undone although no step does so", async () => {
  const lab = new FakeLab(milliseconds(400));
  const { judgement, history } = await runDrill(drill(), lab, PROGRAMS);
  assert.equal(judgement.verdict, "PASS", JSON.stringify(judgement));
  assert.deepEqual(lab.undone, ["stop daemon on lb1", "probe", "follow"]);
  assert.equal(history.filter(({ kind }) => kind === "heal").length, 1);
});

test("A pair that takes over too late fails, with how late it was", async () => {
  const lab = new FakeLab(seconds(1.2));
  const { judgement } = await runDrill(drill(), lab, PROGRAMS);
  assert.equal(judgement.verdict, "FAIL");
  assert.match(judgement.findings[0]?.found ?? "", /^1\.2\d s$/);
});

test("A need that the driver lacks is a skip that names it, and nothing is touched", async () => {
  const lab = new FakeLab(0 as Micros);
  lab.missing = "netem";
  const { judgement } = await runDrill(drill("needs: [netem]"), lab, PROGRAMS);
  assert.deepEqual([judgement.verdict, judgement.reason], ["SKIPPED", "netem: not here"]);
  assert.deepEqual(lab.undone, []);
});

test("A driver that cannot go on is inconclusive, and what was started is stopped", async () => {
  for (const broken of ["prepare", "apply"] as const) {
    const lab = new FakeLab(milliseconds(100));
    lab.broken = broken;
    const { judgement } = await runDrill(drill(), lab, PROGRAMS);
    assert.equal(judgement.verdict, "INCONCLUSIVE");
    assert.match(judgement.reason ?? "", /no room|no such process/);
    assert.deepEqual(lab.undone, broken === "prepare" ? [] : ["probe", "follow"]);
  }
});

test("Requests that fail before anything is done make a drill inconclusive", async () => {
  const lab = new FakeLab(milliseconds(100));
  lab.disturbed = true;
  const { judgement } = await runDrill(drill(), lab, PROGRAMS);
  assert.equal(judgement.verdict, "INCONCLUSIVE");
});

test("The picture of a drill is well-formed and short, whatever text the drill holds, also of one that never began", async () => {
  const wild = { ...drill(), about: `a <b> & "c"` };
  for (const broken of [undefined, "prepare", "apply"] as const) {
    const lab = new FakeLab(milliseconds(400));
    lab.broken = broken;
    const svg = drawTimeline(await runDrill(wild, lab, PROGRAMS));
    assert.ok(svg.length < 100_000);
    assert.doesNotMatch(svg, /<b>|NaN|undefined|Infinity/);
    const opened = svg.match(/<[a-z]+(?: [^>]*)?(?<!\/)>/g) ?? [];
    assert.equal(opened.length, svg.match(/<\/[a-z]+>/g)?.length);
  }
});
