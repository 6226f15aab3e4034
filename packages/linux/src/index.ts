export { addAddress, removeAddress } from "./address-request.ts";
export { type Alarm, openAlarm } from "./alarm.ts";
export type {
  Announcer,
  AnnouncerOptions,
  ArpMessage,
  NeighbourAdvertisement,
} from "./announcer.ts";
export {
  type BackgroundOptions,
  type BackgroundVerdict,
  isStartedInBackground,
  reportStart,
  startInBackground,
} from "./background.ts";
export {
  type Beacon,
  type BeaconFigures,
  type BeaconOptions,
  type PreparedAdvert,
  type PreparedPacket,
  setBeaconPriority,
  startBeacon,
} from "./beacon.ts";
export { winnerProgram } from "./classic-filter.ts";
export { type DatagramSender, openDatagramSender } from "./datagram.ts";
export { openDatagramReceiver } from "./datagram-receiver.ts";
export { whenReadable } from "./descriptor-watch.ts";
export { type EchoListener, type EchoListenerOptions, openEchoListener } from "./echo-listener.ts";
export { blockEgress, egressMessages, unblockEgress } from "./egress-block.ts";
export {
  type Firewall,
  type FirewallOptions,
  type FirewallRules,
  openFirewall,
} from "./firewall.ts";
export {
  adoptGuard,
  type Guard,
  type GuardedRouter,
  type GuardOptions,
  type HeldRouter,
  type PreparedHold,
  prepareHold,
  type RawNetlinkMessage,
  startGuard,
  type WinnerFilter,
} from "./guard.ts";
export { type IpHeader, ipPacket } from "./ip-packet.ts";
export { type LinkBeat, type LinkBeatMethod, openLinkBeat } from "./link-beat.ts";
export {
  addVirtualLink,
  removeLink,
  setAddressGeneration,
  setLinkDown,
  setLinkMac,
  setLinkUp,
} from "./link-request.ts";
export { setMinimumTtl } from "./minimum-ttl.ts";
export {
  ADDRESS_FLAGS,
  type AddressEvent,
  type AddressSpec,
  type InterfaceAddress,
  type Link,
  type LinkEvent,
  type NetlinkRequest,
  type NetworkEvent,
  type NetworkState,
  type NextHop,
  type ResyncEvent,
  type RouteEncapsulation,
  type RouteEvent,
  type RouteMetric,
  type RouteSpec,
  type RouteType,
  type RuleSpec,
  type VirtualLinkSpec,
} from "./network-state.ts";
export {
  becomeSubreaper,
  changeRoot,
  enterNetworkNamespace,
  lockFile,
  networkNamespacePath,
  openProcessDescriptor,
  setCloseOnExec,
  setCpuAffinity,
  setDumpable,
  setParentDeathSignal,
  setProcessName,
  setRealtimePriority,
  setResourceLimit,
  unshareNetwork,
} from "./own-process.ts";
export { openPacketSocket } from "./packet-socket.ts";
export { type PeerCredentials, peerCredentials } from "./peer-credentials.ts";
export {
  listProcesses,
  openProcessEvents,
  type ProcessEvent,
  type ProcessEvents,
  type ProcessEventsOptions,
  type ProcessInfo,
  readProcess,
} from "./process-events.ts";
export {
  type Credentials,
  cleanEnvironment,
  type ProgramRun,
  type RunOptions,
  type RunResult,
  runProgram,
} from "./program-run.ts";
export { linuxTransport, openVrrpSocket } from "./raw-socket.ts";
export { openRouteNetlink, type RouteNetlinkOptions } from "./route-netlink.ts";
export {
  addRoute,
  addRule,
  RTPROT_KEEPALIVED,
  removeRoute,
  removeRule,
  routeKey,
  ruleKey,
} from "./route-request.ts";
export { openServiceNotifier, type ServiceNotifier } from "./service-notifier.ts";
export { realtimeSignals, unwatchSignal, watchSignal } from "./signals.ts";
export { SynBlock } from "./syn-block.ts";
export {
  type AppliedSysctls,
  applySysctls,
  promoteSecondaries,
  readSysctl,
  type SysctlChange,
  vmacSysctls,
  writeSysctl,
} from "./sysctl.ts";
export {
  openSyslog,
  SYSLOG_FACILITIES,
  SYSLOG_LEVELS,
  type Syslog,
  type SyslogFacility,
  type SyslogLevel,
  type SyslogOptions,
} from "./syslog.ts";
export { errnoName, errnoNumber, SystemError, systemError, wrapError } from "./system-error.ts";
export {
  type FilterRouter,
  type InterfaceRef,
  IPPROTO_AH,
  IPPROTO_VRRP,
  type KernelFilter,
  REJECT_REASONS,
  type ReceivedPacket,
  type RejectedCounts,
  type RejectedSender,
  type RejectReason,
  type SendOptions,
  type VrrpSocket,
  type VrrpSocketOptions,
  type VrrpTransport,
} from "./vrrp-transport.ts";
