import { standardReply } from "../core/http/replies.ts";
import * as stat from "../core/statistics.ts";
import {
  PHASE_REQUEST,
  type Session,
  TIME_ACCEPT,
  TIME_END,
  TIME_FIRST_BYTE,
  TIME_HANDSHAKE,
  type Transaction,
} from "../core/transaction.ts";
import { closingReply } from "./closing-reply.ts";
import type { DataPlane } from "./data-plane.ts";
import { statisticsOfEnd } from "./exchange-statistics.ts";
import type { FrontendRuntime, ProxyRuntime } from "./proxy-runtime.ts";

/** What came where a request was expected, and was none. */
export interface BadRequest {
  readonly session: Session;
  readonly frontend: ProxyRuntime;
  /** A `CAUSE_` code. */
  readonly cause: number;
  /** When the connection was accepted, or the request before it was over. */
  readonly since: number;
}

/** Counts and logs a request that never came to be, and gets no answer. */
export function logBadRequest(plane: DataPlane, bad: BadRequest): void {
  const transaction = begin(plane, bad, 400);
  write(plane, bad, transaction);
}

/**
 * Counts and logs it, and gives the answer to send: the frontend's page for the status, or HAProxy's text.
 *
 * @param firstByte When its first byte came.
 * @param size Bytes of it that came.
 */
export function refuseRequest(
  plane: DataPlane,
  bad: BadRequest,
  status: number,
  firstByte: number,
  size: number,
): Uint8Array {
  const { frontend, session } = bad;
  const transaction = begin(plane, bad, status);
  session.transactions++;
  transaction.times[TIME_FIRST_BYTE] = firstByte;
  transaction.bytesIn = size;
  const page = frontend.errorPages.get(status)?.(transaction) ?? standardReply(status);
  const answer = closingReply(page);
  transaction.bytesOut = answer.length;
  statisticsOfEnd(plane, transaction, frontend, frontend);
  write(plane, bad, transaction);
  return answer;
}

function begin(plane: DataPlane, bad: BadRequest, status: number): Transaction {
  const { frontend, session, cause, since } = bad;
  plane.statistics.add(frontend.frontendRow, stat.STAT_EREQ, 1);
  const transaction = plane.takeTransaction();
  transaction.session = session;
  transaction.http = true;
  transaction.frontend = frontend.index;
  transaction.status = status;
  transaction.cause = cause;
  transaction.phase = PHASE_REQUEST;
  transaction.times[TIME_ACCEPT] = transaction.times[TIME_HANDSHAKE] = since;
  transaction.times[TIME_END] = transaction.now = plane.now;
  return transaction;
}

function write(plane: DataPlane, { frontend }: BadRequest, transaction: Transaction): void {
  (frontend.frontend as FrontendRuntime).log?.write(transaction, plane.ring.wallTime);
  plane.giveTransaction(transaction);
}
