import type { SystemError } from "./system-error.ts";

export type ProcessEvent =
  | { readonly type: "fork"; readonly pid: number; readonly parent: number }
  | { readonly type: "exec"; readonly pid: number }
  /** The name (comm) changed. */
  | { readonly type: "name"; readonly pid: number; readonly name: string }
  | { readonly type: "exit"; readonly pid: number; readonly code: number; readonly signal: number }
  /** Events were lost, or polling found changes it cannot name: look at /proc anew. */
  | { readonly type: "lost" };

export interface ProcessEventsOptions {
  readonly onEvent: (event: ProcessEvent) => void;
  readonly onError: (error: SystemError) => void;
  /** SO_RCVBUF of the connector socket in bytes, as `process_monitor_rcv_bufs`. */
  readonly receiveBufferBytes?: number;
}

/** Starts and ends of processes, told by the kernel; by looking where it refuses (outside its first network namespace). */
export interface ProcessEvents {
  /** `connector`, or `polling` with the reason: to be said in the log. */
  readonly kind: "connector" | "polling";
  readonly reason: string | undefined;
  close(): void;
}

/** A process as /proc shows it. */
export interface ProcessInfo {
  readonly pid: number;
  /** comm, at most 15 bytes. */
  readonly name: string;
  /** Zombies have ended: nobody counts them. */
  readonly zombie: boolean;
  /** argv; empty for kernel threads and zombies. */
  readonly command: readonly string[];
}
