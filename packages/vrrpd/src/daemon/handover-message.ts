import { createHmac, timingSafeEqual } from "node:crypto";
import type { Instance } from "../core/config/model.ts";

/*
 * How a backup that is about to preempt asks the master to drain first, where both run vrrpd. One UDP datagram each way,
 * with TTL 255, so that it comes from this very network; JSON, and its HMAC-SHA256 with the instance's own secret.
 *
 *   backup                              master
 *     request  vrid, priority, nonce ──►
 *                                    ◄── draining  the same nonce, how long at most
 *                                         (drains, sends priority 0 …)
 *
 * A master that does not answer, as keepalived does not, is preempted as ever. Whoever can forge this can forge an advert of
 * priority 255 as well, which does more: so it is trusted as much as adverts are.
 */

export interface HandoverRequest {
  readonly type: "request";
  readonly vrid: number;
  readonly family: 4 | 6;
  readonly priority: number;
  readonly nonce: string;
}

export interface HandoverReply {
  readonly type: "draining" | "refused";
  readonly vrid: number;
  readonly family: 4 | 6;
  readonly nonce: string;
  /** Milliseconds that the drain may take. */
  readonly limit: number;
}

export type HandoverMessage = HandoverRequest | HandoverReply;

/** Bytes of the longest datagram that is read. */
export const HANDOVER_LIMIT = 512;

export function encodeHandover(message: HandoverMessage, instance: Instance): Buffer {
  const text = JSON.stringify(message);
  return Buffer.from(`${macOf(text, instance)} ${text}`);
}

/** Undefined for what is none, or was not made with the secret. `find` names the instance that it is about. */
export function decodeHandover(
  data: Buffer,
  find: (vrid: number, family: 4 | 6) => Instance | undefined,
): { readonly message: HandoverMessage; readonly instance: Instance } | undefined {
  if (data.length > HANDOVER_LIMIT) return undefined;
  const [, mac = "", text = ""] = /^([0-9a-f]{64}) (.*)$/s.exec(data.toString("utf8")) ?? [];
  const message = parse(text);
  if (message === undefined) return undefined;
  const instance = find(message.vrid, message.family);
  if (instance === undefined) return undefined;
  const expected = Buffer.from(macOf(text, instance), "hex");
  return timingSafeEqual(expected, Buffer.from(mac, "hex")) ? { message, instance } : undefined;
}

function parse(text: string): HandoverMessage | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { type, vrid, family, priority, nonce, limit } = value as Readonly<Record<string, unknown>>;
  if (!isWhole(vrid, 255) || (family !== 4 && family !== 6)) return undefined;
  if (typeof nonce !== "string" || !/^[0-9a-f]{32}$/.test(nonce)) return undefined;
  if (type === "request") {
    return isWhole(priority, 255) ? { type, vrid, family, priority, nonce } : undefined;
  }
  if (type !== "draining" && type !== "refused") return undefined;
  return isWhole(limit, 3_600_000) ? { type, vrid, family, nonce, limit } : undefined;
}

function isWhole(value: unknown, most: number): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= most;
}

function macOf(text: string, { authentication, auth_hmac }: Instance): string {
  const key =
    auth_hmac?.keys.find(({ id }) => id === auth_hmac.active_key)?.key ??
    authentication?.password ??
    new Uint8Array(0);
  // A use of its own for the secret: nothing that is signed here can stand for an advert.
  return createHmac("sha256", key).update("vrrpd handover\0").update(text).digest("hex");
}
