import type { SystemError } from "./system-error.ts";

/** A Unix datagram socket that never blocks and never grows: what cannot be sent now is counted and dropped. */
export interface DatagramSender {
  readonly path: string;
  readonly dropped: number;
  /** The error that the last `send` met; undefined after a success. */
  readonly lastError: SystemError | undefined;
  /** One datagram. Connects anew when the receiver was restarted. False when it had to be dropped. */
  send(bytes: Uint8Array): boolean;
  close(): void;
}
