import { MESSAGE_BYTES, PART_BYTES, type Ring, type Slab } from "@ha/linux/ring";
import type { TlsEngine } from "@ha/linux/tls";
import type { TlsActivity } from "../core/server/tls-activity.ts";
import { Connection } from "./connection.ts";

/** Parts of one gathered send. */
export const MAX_PARTS = 8;
const MESSAGE_SLOT = MESSAGE_BYTES + MAX_PARTS * PART_BYTES + 8;

/** What the connections of a thread share. */
export class ConnectionShared {
  readonly ring: Ring;
  readonly slab: Slab;
  readonly starts = new Int32Array(MAX_PARTS);
  readonly ends = new Int32Array(MAX_PARTS);
  /** Set before the first connection with TLS. */
  tls: TlsEngine | undefined = undefined;
  /** Told of each; set with it. */
  tlsActivity: TlsActivity | undefined = undefined;
  /** Connections whose descriptor is open or closing. A leak counter. */
  open = 0;
  readonly #messages: number[] = [];

  /** @param messagesAt Slab offset of room for `messages` gathered sends, aligned to 8. */
  constructor(ring: Ring, messagesAt: number, messages: number) {
    this.ring = ring;
    this.slab = ring.slab;
    for (let i = messages - 1; i >= 0; i--) this.#messages.push(messagesAt + i * MESSAGE_SLOT);
  }

  /**
   * A connection to be opened. Never one that was used: who still holds that must find it closed, not another's.
   */
  create(): Connection {
    return new Connection(this);
  }

  takeMessage(): number {
    return this.#messages.pop() ?? -1;
  }

  giveMessage(offset: number): void {
    this.#messages.push(offset);
  }
}

/** Bytes of slab that gathered sends need. */
export function messageRoom(messages: number): number {
  return messages * MESSAGE_SLOT;
}
