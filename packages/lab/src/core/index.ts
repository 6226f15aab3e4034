export { type Finding, inMs, type Judgement, judge, type Verdict } from "./checker.ts";
export type { Drill, PairPlan, ProbePlan } from "./drill.ts";
export { defaultPlan, faultsOf, needsOf } from "./drill.ts";
export type { Applied, Driver, Running } from "./driver.ts";
export { describeFault, type Fault, type Need, netemWords } from "./fault.ts";
export {
  type AnswerEvent,
  type HistoryEvent,
  type Observation,
  STOPPED,
  stateInLog,
} from "./history.ts";
export { hostsOfRole, type Inventory, type LabHost } from "./inventory.ts";
export { durationOf, fixedDuration, type Limit, type PairTimes } from "./limit.ts";
export { LAB_HOSTS, loadDrill, loadInventory } from "./load-files.ts";
export { breakFile, haproxyConf, keepalivedConf } from "./pair-files.ts";
export type { DaemonName, Programs, ProxyName } from "./programs.ts";
export { type DrillRun, runDrill, timesOf } from "./runner.ts";
export { alignRows, countLine, describeFinding, summarise } from "./summary.ts";
export { drawTimeline } from "./timeline.ts";
