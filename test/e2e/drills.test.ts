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

/**
 * Every drill that comes with the lab, on hosts made of namespaces, with our own programs. What was inconclusive, since
 * the machine stood still or was busy, runs once more and alone.
 */
describe("drills", { skip: missing("haproxy", "killall"), timeout: 230_000 }, () => {
  const drills = readDrills([]);
  const runs = new Map<string, DrillRun>();
  const folder = mkdtempSync(join(tmpdir(), "drills-"));

  before(async () => {
    const run = async (chosen: typeof drills, jobs: number): Promise<void> => {
      const session = { programs, folder, jobs, openDriver: () => NetnsDriver.open(), tell };
      for (const one of await runDrills(chosen, session)) runs.set(one.drill.name, one);
    };
    const programs = { daemon: "vrrpd", proxy: "lbproxy" } as const;
    const began = performance.now();
    const tell = (line: string): void => {
      console.log(`${((performance.now() - began) / 1000).toFixed(1)} ${line}`);
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
      assert.ok(judgement !== undefined, "it was not run");
      const { verdict, reason, findings } = judgement;
      if (verdict === "SKIPPED") {
        context.skip(reason);
        return;
      }
      assert.equal(verdict, "PASS", [reason ?? "", ...findings.map(describeFinding)].join("\n"));
    });
  }
});
