export {
  type Check,
  type Condition,
  checkDrill,
  type Drill,
  needsOf,
  type PairPlan,
  type ProbePlan,
  type Step,
} from "./drill.ts";
export type { Applied, Driver, Running } from "./driver.ts";
export { describeFault, type Fault, type FaultKind, type Need } from "./fault.ts";
export { type AnswerEvent, type HistoryEvent, type Observation, stateInLog } from "./history.ts";
export { hostsOfRole, type Inventory, type LabHost } from "./inventory.ts";
export { durationOf, type Limit, type PairTimes } from "./limit.ts";
export type { DaemonName, Programs, ProxyName } from "./programs.ts";
