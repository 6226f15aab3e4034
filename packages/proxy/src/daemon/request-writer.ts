import { NO_BUFFER } from "@ha/linux/ring";
import { HEAD_CHANGED, HEAD_UPGRADE } from "../core/http/head.ts";
import {
  CONNECTION_CLOSE,
  CONNECTION_KEEP_ALIVE,
  CONNECTION_SILENT,
  CONNECTION_UPGRADE,
  stripHopByHop,
  writeRequestHead,
} from "../core/http/serialise.ts";
import type { Transaction } from "../core/transaction.ts";
import type { Connection } from "./connection.ts";
import type { DataPlane } from "./data-plane.ts";

/**
 * Queues a request's head, and what was kept of its body, on a connection to a server. A head that nobody changed goes
 * as it came. False when a head built anew has no room.
 *
 * @param buffer The one that holds the head; its reference stays the caller's.
 * @param closes The connection ends with this exchange, and the server is told.
 */
export function queueRequest(
  plane: DataPlane,
  transaction: Transaction,
  buffer: number,
  server: Connection,
  closes: boolean,
): boolean {
  const { slab } = plane;
  const { request } = transaction;
  const { head } = request;
  const spell = plane.proxies[transaction.backend]?.backend?.spellHeaders;
  const upgrades = (head.flags & HEAD_UPGRADE) !== 0;
  stripHopByHop(slab.bytes, head, upgrades);
  const word = upgrades
    ? CONNECTION_UPGRADE
    : closes
      ? CONNECTION_CLOSE
      : head.version === 10
        ? CONNECTION_KEEP_ALIVE
        : CONNECTION_SILENT;
  if ((head.flags & HEAD_CHANGED) === 0 && word === CONNECTION_SILENT) {
    slab.retain(buffer);
    spell?.(slab.bytes, head.start, head.end);
    server.queue(buffer, head.start, request.bodyEnd);
    return true;
  }
  const fresh = slab.take();
  if (fresh === NO_BUFFER) return false;
  const start = slab.offsetOf(fresh);
  const end = writeRequestHead(slab.bytes, head, start, start + slab.smallSize, word);
  if (end < 0) {
    slab.release(fresh);
    return false;
  }
  spell?.(slab.bytes, start, end);
  server.queue(fresh, start, end);
  if (request.bodyEnd > request.bodyStart) {
    slab.retain(buffer);
    server.queue(buffer, request.bodyStart, request.bodyEnd);
  }
  return true;
}
