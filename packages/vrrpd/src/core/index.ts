export { Admission, type AdmissionError, type Admitted, vridOf } from "./admission.ts";
export {
  type Advert,
  type AdvertError,
  advertSize,
  decodeAdvert,
  type Envelope,
  encodeAdvert,
  type WireForm,
} from "./advert.ts";
export { AdvertEncoder, type PreparedAdverts, type Sequences } from "./advert-encoder.ts";
export { AH_SIZE, type AhError, openAh, type SignedHeader, sealWithAh } from "./ah.ts";
export type { Circumstances } from "./circumstances.ts";
export { type Explanation, explainInstance } from "./config/explain.ts";
export type * from "./config/host.ts";
export { type LoadedConfig, type LoadOptions, loadConfig } from "./config/load.ts";
export { memoryHost } from "./config/memory-host.ts";
export type * from "./config/model.ts";
export { ownKeywordsTable, referencePage } from "./config/reference.ts";
export { planReload, type ReloadPlan } from "./config/reload-plan.ts";
export {
  compareSequences,
  type HmacError,
  nextSequence,
  openHmac,
  type Sequence,
  type SignedContext,
  sealWithHmac,
  TRAILER_SIZE,
} from "./hmac.ts";
export {
  type Action,
  type AdvertKind,
  type Event,
  type GroupOrder,
  type Standing,
  type Step,
  step,
} from "./machine.ts";
export type { AddressPort, Digests, IncomingPacket, OutgoingPacket, Ports } from "./ports.ts";
export type { Report, SplitEvidence, TransitionReason } from "./report.ts";
export { mayResume, type ResumeRecord } from "./resume.ts";
export * from "./router.ts";
export type {
  Backup,
  Fault,
  FaultReason,
  Initialize,
  LeaveCause,
  Leaving,
  Master,
  State,
  StateName,
  TimerName,
} from "./state.ts";
export {
  type CounterName,
  KEEPALIVED_COUNTERS,
  keepalivedStatistics,
  type PeerStatistics,
  type RefusalReason,
  Statistics,
} from "./statistics.ts";
export {
  KEEPALIVED_SUPERVISION,
  type SupervisorAction,
  type SupervisorEvent,
  type SupervisorSettings,
  type SupervisorState,
  type SupervisorStep,
  supervise,
} from "./supervisor.ts";
export { SyncGroup } from "./sync-group.ts";
export {
  type Checked,
  checked,
  contribution,
  type Tracker,
  type TrackerState,
  type TrackingResult,
  trackersInGroup,
  trackingResult,
  uncheckedTracker,
} from "./tracking.ts";
export { downTime, leaveTime, longestSkew, skewTime } from "./transition.ts";
export { VirtualRouter } from "./virtual-router.ts";
