export { type MemoryHost, MemoryLan } from "./memory-lan.ts";
export { MemoryNetwork } from "./memory-network.ts";
