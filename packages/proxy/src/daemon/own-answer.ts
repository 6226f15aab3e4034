import { NO_BUFFER } from "@ha/linux/ring";
import { frameResponse, isBodiless } from "../core/http/framing.ts";
import { parseResponseHead } from "../core/http/h1.ts";
import { clearHead, HEAD_CHUNKED, HEAD_LENGTH, METHOD_HEAD } from "../core/http/head.ts";
import { standardReply } from "../core/http/replies.ts";
import { stripHopByHop } from "../core/http/serialise.ts";
import type { Transaction } from "../core/transaction.ts";
import type { DataPlane } from "./data-plane.ts";
import type { Exchange } from "./exchange.ts";
import type { ExchangeClient } from "./exchange-client.ts";
import type { ProxyRuntime } from "./proxy-runtime.ts";

/** What `readOwnAnswer` gives in place of a buffer. */
export const ANSWER_NO_ROOM = -1;
/** The message that a rule or a page gave is no HTTP response. */
export const ANSWER_BROKEN = -2;

/**
 * The whole message with which the proxy answers by itself: the rule's own, the page that the configuration has for
 * the status, or HAProxy's text. An empty one closes in silence.
 */
export function ownAnswer(
  transaction: Transaction,
  backend: ProxyRuntime,
  frontend: ProxyRuntime,
  status: number,
): Uint8Array {
  return (
    transaction.reply?.message ??
    backend.errorPages.get(status)?.(transaction) ??
    frontend.errorPages.get(status)?.(transaction) ??
    standardReply(status)
  );
}

/**
 * Makes the message the transaction's response: its head is parsed in a buffer, which is given with one reference and
 * holds the message's beginning, or ANSWER_NO_ROOM or ANSWER_BROKEN.
 */
export function readOwnAnswer(
  plane: DataPlane,
  transaction: Transaction,
  message: Uint8Array,
): number {
  const { slab } = plane;
  const { head } = transaction.response;
  const buffer = slab.take();
  if (buffer === NO_BUFFER) return ANSWER_NO_ROOM;
  const start = slab.offsetOf(buffer);
  const size = Math.min(message.length, slab.smallSize);
  slab.bytes.set(message.subarray(0, size), start);
  clearHead(head);
  const offset = parseResponseHead(slab.bytes, start, start + size, head, plane.maxFields, true);
  if (offset < 0 || frameResponse(slab.bytes, head, transaction.request.head.method) < 0) {
    slab.release(buffer);
    return ANSWER_BROKEN;
  }
  head.end = offset;
  stripHopByHop(slab.bytes, head, false);
  transaction.hasResponse = true;
  transaction.status = head.status;
  return buffer;
}

/** Whether the answer's head tells where its body ends. */
export function tellsItsEnd({ response }: Transaction): boolean {
  const { head } = response;
  return (head.flags & (HEAD_LENGTH | HEAD_CHUNKED)) !== 0 || isBodiless(head);
}

/** Sends what `readOwnAnswer` read. False when the slab has no room for the rest: the answer is cut short. */
export function sendOwnAnswer(
  exchange: Exchange,
  buffer: number,
  message: Uint8Array,
  closing: boolean,
): boolean {
  const { plane, transaction } = exchange;
  const client = exchange.client as ExchangeClient;
  const { slab } = plane;
  const { head } = transaction.response;
  const offset = head.end;
  const hasBody = transaction.request.head.method !== METHOD_HEAD;
  if (hasBody) slab.retain(buffer);
  client.respondHead(exchange, buffer, closing);
  if (!hasBody) return true;
  const size = Math.min(message.length, slab.smallSize);
  client.respondBody(exchange, buffer, offset, slab.offsetOf(buffer) + size);
  for (let at = size; at < message.length; at += slab.smallSize) {
    const next = slab.take();
    if (next === NO_BUFFER) return false;
    const part = message.subarray(at, at + slab.smallSize);
    const start = slab.offsetOf(next);
    slab.bytes.set(part, start);
    client.respondBody(exchange, next, start, start + part.length);
  }
  return true;
}
