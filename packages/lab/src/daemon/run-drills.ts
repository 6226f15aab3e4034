import { type Drill, type DrillRun, type Driver, type Programs, runDrill } from "../core/index.ts";
import { keepArtefacts } from "./artefacts.ts";

/** What a set of drills needs to run. */
export interface DrillSession {
  readonly programs: Programs;
  /** Where artefacts go. */
  readonly folder: string;
  /** Opens another lab; each runs one drill at a time. */
  readonly openDriver: () => Promise<Driver & { close(): Promise<void> }>;
  /** Labs at once. */
  readonly jobs: number;
  /** Is told of what is done and of each verdict. */
  readonly tell: (line: string) => void;
  /** False: no further drill begins. Default: always. */
  readonly mayBegin?: () => boolean;
}

/** Runs drills, several labs at once; those that must be alone come last. The runs are in the order of the drills. */
export async function runDrills(
  drills: readonly Drill[],
  { programs, folder, openDriver, jobs, tell, mayBegin = () => true }: DrillSession,
): Promise<DrillRun[]> {
  const runs = new Map<string, DrillRun>();
  const work = async (waiting: Drill[]): Promise<void> => {
    let driver: Awaited<ReturnType<typeof openDriver>> | undefined;
    try {
      for (
        let drill = waiting.shift();
        drill !== undefined && mayBegin();
        drill = waiting.shift()
      ) {
        const { name } = drill;
        try {
          driver ??= await openDriver();
        } catch (error) {
          const reason = `no lab could be opened: ${error instanceof Error ? error.message : String(error)}`;
          tell(`${name}: INCONCLUSIVE (${reason})`);
          const judgement = { verdict: "INCONCLUSIVE", reason, findings: [] } as const;
          runs.set(name, { drill, programs, judgement, history: [] });
          continue;
        }
        const run = await runDrill(drill, driver, programs, (line) => tell(`${name}: ${line}`));
        const kept = await keepArtefacts(folder, run, driver);
        const { verdict, reason } = run.judgement;
        tell(`${name}: ${verdict}${reason === undefined ? "" : ` (${reason})`}; ${kept}`);
        runs.set(name, run);
        if (verdict === "INCONCLUSIVE") {
          // What disturbed it may still be there.
          await driver.close();
          driver = undefined;
        }
      }
    } finally {
      await driver?.close();
    }
  };
  const together = drills.filter(({ alone }) => !alone);
  await Promise.all(Array.from({ length: Math.min(jobs, together.length) }, () => work(together)));
  await work(drills.filter(({ alone }) => alone));
  return drills.flatMap(({ name }) => runs.get(name) ?? []);
}
