export { Capture } from "./capture.ts";
export { CONFIG_PATH, commandOf, Daemon, type DaemonKind, type LogLine } from "./daemon.ts";
export { announces, type Frame, readFrame, type VrrpFields } from "./frame.ts";
export { type AddressChange, Holders } from "./holders.ts";
export { childrenOf, Host, type HostProcess, type Output, programOf } from "./host.ts";
export { type HostPlan, Lan } from "./lan.ts";
export { type Answer, answeredBy, longestOutage, lost, Probe } from "./probe.ts";
export { isInstalled, missing } from "./requirements.ts";
export { milliseconds, now, sleep, until } from "./wall-clock.ts";
