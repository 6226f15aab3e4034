import { type Micros, micros, milliseconds, seconds } from "@ha/base";
import { allowance, type Judgement, judge } from "./checker.ts";
import { describeCondition, holdsSince } from "./condition.ts";
import type { Condition, Drill, PairPlan, TimedCondition } from "./drill.ts";
import { needsOf } from "./drill.ts";
import type { Applied, Driver, Running } from "./driver.ts";
import { describeFault } from "./fault.ts";
import type { HistoryEvent } from "./history.ts";
import { durationOf, fixedDuration, type PairTimes } from "./limit.ts";
import type { Programs } from "./programs.ts";

/** A drill that was run, or was not. */
export interface DrillRun {
  readonly drill: Drill;
  readonly programs: Programs;
  readonly judgement: Judgement;
  readonly history: readonly HistoryEvent[];
}

/** Priorities of a lab's pair: lb1 is the better one. */
export const PRIORITIES: Readonly<Record<string, number>> = { lb1: 150, lb2: 100 };

/** What the limits of a plan follow from: the host that takes over is the one of the lower priority. */
export function timesOf({ version, advert }: PairPlan): PairTimes {
  return { version, advert: fixedDuration(advert), priority: PRIORITIES["lb2"] ?? 100 };
}

/** Runs a drill on a driver. Never rejects because of what the drilled programs do: that is judged. */
export async function runDrill(
  drill: Drill,
  driver: Driver,
  programs: Programs,
  tell: (line: string) => void = () => {},
): Promise<DrillRun> {
  const lacking = needsOf(drill).flatMap((need) => {
    const why = driver.lacks(need, programs);
    return why === undefined ? [] : [`${need}: ${why}`];
  });
  if (lacking.length > 0) {
    const judgement: Judgement = { verdict: "SKIPPED", reason: lacking.join("; "), findings: [] };
    return { drill, programs, judgement, history: [] };
  }
  return new DrillRunner(drill, driver, programs, tell).run();
}

const STEADY_LIMIT = seconds(15);
/** What went wrong just after the end would have been missed. */
const LINGER = milliseconds(300);
const LOOK_EVERY = milliseconds(20);
/** What does not come in time is waited for a while longer: how late it came says more than that it was late. */
const LATE = seconds(3);

class DrillRunner {
  readonly #drill: Drill;
  readonly #driver: Driver;
  readonly #programs: Programs;
  readonly #tell: (line: string) => void;
  readonly #history: HistoryEvent[] = [];
  readonly #running: Running[] = [];
  /** Faults in force, by their names, or by their step where they have none. */
  readonly #applied = new Map<string, { readonly what: string; readonly applied: Applied }>();
  #times: PairTimes;
  /** When the last fault or heal took effect. */
  #since: Micros;

  constructor(drill: Drill, driver: Driver, programs: Programs, tell: (line: string) => void) {
    this.#drill = drill;
    this.#driver = driver;
    this.#programs = programs;
    this.#tell = tell;
    this.#times = timesOf(drill.pair);
    this.#since = driver.now();
  }

  async run(): Promise<DrillRun> {
    let broken: string | undefined;
    try {
      broken = await this.#perform();
    } catch (error) {
      broken = `the driver could not go on: ${messageOf(error)}`;
    }
    for (const running of this.#running.reverse()) {
      try {
        await running.stop();
      } catch (error) {
        broken ??= `an observer could not be stopped: ${messageOf(error)}`;
      }
    }
    const drill = this.#drill;
    const programs = this.#programs;
    const history = [...this.#history].sort((a, b) => a.at - b.at);
    if (broken !== undefined)
      return {
        drill,
        programs,
        history,
        judgement: { verdict: "INCONCLUSIVE", reason: broken, findings: [] },
      };
    const slack = this.#driver.inventory.slack;
    const judgement = judge({ drill, programs, history, slack, times: this.#times });
    return { drill, programs, history, judgement };
  }

  /** Why no verdict can be had; undefined: the history is complete. */
  async #perform(): Promise<string | undefined> {
    const { pair, probes, steady, after, steps } = this.#drill;
    const driver = this.#driver;
    const programs =
      pair.daemon === undefined ? this.#programs : { ...this.#programs, daemon: pair.daemon };
    this.#times = timesOf(await driver.prepare(pair, programs));
    const report = (event: HistoryEvent): void => void this.#history.push(event);
    this.#running.push(await driver.follow(report));
    for (const plan of probes) this.#running.push(await driver.probe(plan, report));

    this.#since = driver.now();
    const missing = await this.#settle(steady);
    if (missing !== undefined) return `no steady state to begin with: not ${missing}`;
    const began = driver.now();
    await driver.wait(seconds(driver.inventory.baseline_s));
    this.#history.push({ kind: "baseline", at: began, until: driver.now() });

    try {
      for (const index of steps.keys()) await this.#step(index);
    } finally {
      for (const name of [...this.#applied.keys()].reverse()) await this.#heal(name);
    }
    const lost = await this.#settle(after);
    await driver.wait(LINGER);
    this.#history.push({ kind: "end", at: driver.now() });
    if (lost !== undefined) this.#history.push({ kind: "unsettled", at: driver.now(), what: lost });
    return undefined;
  }

  async #step(index: number): Promise<void> {
    const step = this.#drill.steps[index];
    if (step === undefined) return;
    if ("pause" in step) {
      await this.#driver.wait(durationOf(step.pause, this.#times));
    } else if ("heal" in step) {
      await this.#heal(step.heal);
    } else if ("fault" in step) {
      const what = describeFault(step.fault);
      this.#tell(what);
      const applied = await this.#driver.apply(step.fault);
      this.#applied.set(step.fault.as ?? `step ${index + 1}`, { what, applied });
      this.#since = applied.at;
      this.#history.push({ kind: "fault", at: applied.at, what });
    } else {
      await this.#expect(index, step.expect);
    }
  }

  async #heal(name: string): Promise<void> {
    const fault = this.#applied.get(name);
    if (fault === undefined) return;
    this.#applied.delete(name);
    this.#tell(`undo: ${fault.what}`);
    const at = await fault.applied.undo();
    this.#since = at;
    this.#history.push({ kind: "heal", at, what: fault.what });
  }

  async #expect(step: number, condition: TimedCondition): Promise<void> {
    const slack = this.#driver.inventory.slack;
    const times = this.#times;
    const allowed = allowance(condition.within, { times, slack, programs: this.#programs }) ?? LATE;
    const until = await this.#wait(condition, micros(this.#since + allowed + LATE));
    this.#history.push({ kind: "expect", at: this.#since, step, until });
  }

  /** Waits until all hold; the one that does not, when they never do. */
  async #settle(conditions: readonly Condition[]): Promise<string | undefined> {
    const { slack } = this.#driver.inventory;
    const limit = micros(
      this.#driver.now() + STEADY_LIMIT * slack.time_factor + 4 * this.#times.advert,
    );
    for (const condition of conditions) {
      if ((await this.#wait(condition, limit)) === undefined) return describeCondition(condition);
    }
    return undefined;
  }

  async #wait(condition: Condition, limit: Micros): Promise<Micros | undefined> {
    const driver = this.#driver;
    const firstProbe = this.#drill.probes[0]?.id ?? "";
    for (;;) {
      const now = driver.now();
      const holds = holdsSince(condition, {
        history: this.#history,
        times: this.#times,
        firstProbe,
        since: this.#since,
        now,
      });
      if (holds !== undefined) return holds;
      if (now > limit) return undefined;
      await driver.wait(LOOK_EVERY);
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
