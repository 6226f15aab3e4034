export {
  connectUnix,
  type DescriptorMessage,
  receiveDescriptors,
  sendDescriptors,
  socketPair,
} from "./descriptor-passing.ts";
export { changeRoot, setProcessName } from "./own-process.ts";
export {
  type Executor,
  openRing,
  Ring,
  RingError,
  type RingOptions,
  type RingOwner,
} from "./ring.ts";
export * from "./ring-abi.ts";
export { ringDoor } from "./ring-door.ts";
export { NO_BUFFER, Slab, type SlabLayout } from "./slab.ts";
export {
  AF_INET,
  AF_INET6,
  AF_UNIX,
  decodeInetAddress,
  encodeSocketAddress,
  readSocketAddress,
  SOCKADDR_ROOM,
  type StreamAddress,
} from "./socket-address.ts";
export {
  adoptDescriptor,
  bindOutgoing,
  closeDescriptor,
  familyOf,
  type KeepaliveOptions,
  type ListenOptions,
  listenStream,
  type OutgoingOptions,
  openDatagram,
  openStream,
  raiseDescriptorLimit,
  type SocketRefusal,
  sendDatagram,
  sendDatagrams,
  sendNow,
  setAbortive,
  setKeepalive,
  setNoDelay,
  setOutgoing,
  setQuickAck,
  shutdownStream,
  socketName,
  socketNameRoom,
  waitingConnections,
  writeNow,
} from "./stream-socket.ts";
export { errnoName, errnoNumber, SystemError } from "./system-error.ts";
