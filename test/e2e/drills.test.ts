import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { type DrillRun, describeFinding } from "@ha/lab";
import { NetnsDriver, readDrills, runDrills } from "@ha/lab/drills";
import { missing } from "@ha/lab/namespaces";

/** Labs at once: they wait most of their time. */
const JOBS = 4;
/** On a machine that is busy with other things, what has not begun by then is left out. A quiet one needs a minute. */
const LAST_BEGIN_MS = 170_000;
/** So many drills must come to a verdict. */
const LEAST = 20;

/**
 * Every drill that comes with the lab, on hosts made of namespaces, with our own programs. What was inconclusive, since
 * the machine stood still or was busy, runs once more and alone.
 */
describe("drills", { skip: missing("haproxy", "killall"), timeout: 230_000 }, () => {
  const drills = readDrills([]);
  const runs = new Map<string, DrillRun>();
  const folder = mkdtempSync(join(tmpdir(), "drills-"));

  before(async () => {
    const began = performance.now();
    const elapsed = (): number => performance.now() - began;
    const run = async (chosen: typeof drills, jobs: number): Promise<void> => {
      const done = await runDrills(chosen, {
        programs: { daemon: "vrrpd", proxy: "lbproxy" },
        folder,
        jobs,
        openDriver: () => NetnsDriver.open(),
        tell: (line) => console.log(`${(elapsed() / 1000).toFixed(1)} ${line}`),
        mayBegin: () => elapsed() < LAST_BEGIN_MS,
      });
      for (const one of done) runs.set(one.drill.name, one);
    };
    await run(drills, JOBS);
    await run(
      drills.filter(({ name }) => runs.get(name)?.judgement.verdict === "INCONCLUSIVE"),
      1,
    );
  });

  after(() => rmSync(folder, { recursive: true }));

  for (const { name, about } of drills) {
    test(`${name}: ${about}`, (context) => {
      const judgement = runs.get(name)?.judgement;
      if (judgement === undefined) return context.skip("not begun: the machine is too busy");
      const { verdict, reason, findings } = judgement;
      if (verdict === "SKIPPED") return context.skip(reason);
      if (verdict === "INCONCLUSIVE") return context.skip(`inconclusive: ${reason}`);
      assert.equal(verdict, "PASS", [reason ?? "", ...findings.map(describeFinding)].join("\n"));
    });
  }

  test(`at least ${LEAST} drills came to a verdict`, () => {
    const verdicts = [...runs.values()].map(({ judgement }) => judgement.verdict);
    const judged = verdicts.filter((verdict) => verdict === "PASS" || verdict === "FAIL").length;
    assert.ok(judged >= LEAST, `${judged} of ${drills.length}`);
  });
});
