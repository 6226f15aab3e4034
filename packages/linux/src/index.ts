export { addAddress, removeAddress } from "./address-request.ts";
export type {
  Announcer,
  AnnouncerOptions,
  ArpMessage,
  NeighbourAdvertisement,
} from "./announcer.ts";
export type {
  Beacon,
  BeaconFigures,
  BeaconOptions,
  PreparedAdvert,
  PreparedPacket,
} from "./beacon.ts";
export type { DatagramSender } from "./datagram.ts";
export type {
  Guard,
  GuardedRouter,
  GuardOptions,
  HeldRouter,
  WinnerFilter,
} from "./guard.ts";
export { type IpHeader, ipPacket } from "./ip-packet.ts";
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
  setCloseOnExec,
  setCpuAffinity,
  setDumpable,
  setParentDeathSignal,
  setProcessName,
  setRealtimePriority,
  setResourceLimit,
  unshareNetwork,
} from "./own-process.ts";
export type {
  ProcessEvent,
  ProcessEvents,
  ProcessEventsOptions,
  ProcessInfo,
} from "./process-events.ts";
export type { Credentials, ProgramRun, RunOptions, RunResult } from "./program-run.ts";
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
export { realtimeSignals, unwatchSignal, watchSignal } from "./signals.ts";
export { errnoName, errnoNumber, SystemError, systemError, wrapError } from "./system-error.ts";
export { winnerProgram } from "./vrrp-filter.ts";
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
