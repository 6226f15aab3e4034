import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type DrillRun, type Driver, drawTimeline } from "../core/index.ts";

/**
 * Keeps what a drill left, in a folder of its name: `verdict.json`, `history.jsonl` (an event a line), `timeline.svg`,
 * and what the driver recorded (logs, `capture.pcap`).
 */
export async function keepArtefacts(
  folder: string,
  run: DrillRun,
  driver: Driver,
): Promise<string> {
  const own = join(folder, run.drill.name);
  mkdirSync(own, { recursive: true });
  const { programs, judgement, history } = run;
  const verdict = { drill: run.drill.name, driver: driver.name, programs, ...judgement };
  writeFileSync(join(own, "verdict.json"), `${JSON.stringify(verdict, undefined, 2)}\n`);
  if (history.length === 0) return own;
  writeFileSync(
    join(own, "history.jsonl"),
    history.map((event) => `${JSON.stringify(event)}\n`).join(""),
  );
  writeFileSync(join(own, "timeline.svg"), drawTimeline(run));
  await driver.keep(own);
  return own;
}
