import { NO_BUFFER } from "@ha/linux/ring";
import { HEAD_CHANGED } from "../core/http/head.ts";
import {
  CONNECTION_CLOSE,
  CONNECTION_KEEP_ALIVE,
  CONNECTION_SILENT,
  CONNECTION_UPGRADE,
  writeResponseHead,
} from "../core/http/serialise.ts";
import type { Transaction } from "../core/transaction.ts";
import type { Connection } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";

/**
 * Queues a response's head on the connection to a client, and counts it. A head that nobody changed goes as it came.
 * False when a head built anew has no room.
 *
 * @param buffer The one that holds the head; its reference passes.
 * @param closing The connection ends with this response, and the client is told.
 */
export function queueResponse(
  plane: DataPlane,
  transaction: Transaction,
  buffer: number,
  connection: Connection,
  closing: boolean,
): boolean {
  const { slab } = plane;
  const { head } = transaction.response;
  const spell = plane.proxies[transaction.frontend]?.frontend?.spellHeaders;
  const old = transaction.request.head.version < 11;
  const word =
    head.status === 101
      ? CONNECTION_UPGRADE
      : head.status < 200
        ? CONNECTION_SILENT
        : closing
          ? CONNECTION_CLOSE
          : old
            ? CONNECTION_KEEP_ALIVE
            : CONNECTION_SILENT;
  if ((head.flags & HEAD_CHANGED) === 0 && word === CONNECTION_SILENT) {
    transaction.bytesOut += head.end - head.start;
    spell?.(slab.bytes, head.start, head.end);
    connection.queue(buffer, head.start, head.end);
    return true;
  }
  const fresh = slab.take();
  if (fresh === NO_BUFFER) {
    slab.release(buffer);
    return false;
  }
  const start = slab.offsetOf(fresh);
  const end = writeResponseHead(slab.bytes, head, start, start + slab.smallSize, word);
  slab.release(buffer);
  if (end < 0) {
    slab.release(fresh);
    return false;
  }
  transaction.bytesOut += end - start;
  spell?.(slab.bytes, start, end);
  connection.queue(fresh, start, end);
  return true;
}
