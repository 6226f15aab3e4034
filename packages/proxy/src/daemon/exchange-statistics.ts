import { countEvent } from "../core/server/counters.ts";
import * as stat from "../core/statistics.ts";
import {
  CAUSE_LOCAL,
  NONE,
  TIME_ACCEPT,
  TIME_CONNECTED,
  TIME_END,
  TIME_FIRST_BYTE,
  TIME_QUEUED,
  TIME_REQUEST,
  TIME_RESPONSE,
  type Transaction,
} from "../core/transaction.ts";
import type { ClientEnd, DataPlane } from "./data-plane.ts";
import type { ProxyRuntime } from "./proxy-runtime.ts";

/** Counts what is known only at the end of an exchange: bytes, the status, times. */
export function statisticsOfEnd(
  plane: DataPlane,
  transaction: Transaction,
  frontend: ProxyRuntime,
  backend: ProxyRuntime,
): void {
  const { statistics } = plane;
  countInTables(transaction);
  const front = frontend.frontendRow;
  statistics.add(front, stat.STAT_BIN, transaction.bytesIn - transaction.countedIn);
  statistics.add(front, stat.STAT_BOUT, transaction.bytesOut - transaction.countedOut);
  const hasStatus = transaction.http && transaction.status > 0;
  if (hasStatus) statistics.add(front, statusField(transaction.status), 1);
  const failures = transaction.failedRewrites;
  if (failures > 0) statistics.add(front, stat.STAT_WREW, failures);
  if (transaction.backend === NONE || backend.backend === undefined) return;
  const back = backend.backendRow;
  countSide(plane, back, transaction, hasStatus);
  if (transaction.server !== NONE)
    countSide(plane, back + 1 + transaction.server, transaction, hasStatus);
}

/**
 * Counts the bytes of what is under way so far: `option contstats`. Streams of HTTP/2 and what an upgraded connection
 * carries count at their end.
 */
export function countSoFar(plane: DataPlane, client: ClientEnd): void {
  const { transaction, connection } = client;
  if (transaction === undefined) return;
  const bytesIn = transaction.http ? transaction.bytesIn : connection.bytesIn;
  const bytesOut = transaction.http ? transaction.bytesOut : connection.bytesOut;
  const moreIn = bytesIn - transaction.countedIn;
  const moreOut = bytesOut - transaction.countedOut;
  if (moreIn <= 0 && moreOut <= 0) return;
  const { statistics, proxies } = plane;
  const add = (row: number | undefined) => {
    if (row === undefined) return;
    statistics.add(row, stat.STAT_BIN, moreIn);
    statistics.add(row, stat.STAT_BOUT, moreOut);
  };
  const backend = transaction.backend === NONE ? undefined : proxies[transaction.backend];
  // Before there is a server there is little to count, and nobody to count it for.
  if (backend?.backend === undefined || transaction.server === NONE) return;
  add(proxies[transaction.frontend]?.frontendRow);
  add(backend.backendRow);
  add(backend.backendRow + 1 + transaction.server);
  transaction.countedIn = bytesIn;
  transaction.countedOut = bytesOut;
}

/** Counts a client that left: for the frontend, and for what had the request by then. */
export function countClientAbort(
  plane: DataPlane,
  transaction: Transaction,
  frontend: ProxyRuntime,
  backend: ProxyRuntime,
): void {
  const { statistics } = plane;
  statistics.add(frontend.frontendRow, stat.STAT_CLI_ABRT, 1);
  if (transaction.backend === NONE) return;
  statistics.add(backend.backendRow, stat.STAT_CLI_ABRT, 1);
  if (transaction.server === NONE) return;
  statistics.add(backend.backendRow + 1 + transaction.server, stat.STAT_CLI_ABRT, 1);
}

/** What stick tables store of a transaction's end, for the entries that it and its session track. */
function countInTables(transaction: Transaction): void {
  const { session, tracked, http, status, bytesIn, bytesOut, cause } = transaction;
  let isTracked = false;
  const count = Math.max(tracked.length, session.tracked.length);
  for (let i = 0; i < count; i++) {
    if (tracked[i] !== undefined || session.tracked[i] !== undefined) isTracked = true;
  }
  if (!isTracked) return;
  countEvent(transaction, "bytes-in", bytesIn);
  countEvent(transaction, "bytes-out", bytesOut);
  // What a rule answered is no error of the client's. Observed: haproxy 2.6.12.
  if (!http || cause === CAUSE_LOCAL) return;
  if (status >= 400 && status < 500) countEvent(transaction, "error");
  else if (status >= 500 && status !== 501 && status !== 505) countEvent(transaction, "failure");
}

function countSide(
  plane: DataPlane,
  row: number,
  transaction: Transaction,
  hasStatus: boolean,
): void {
  const { statistics } = plane;
  statistics.add(row, stat.STAT_BIN, transaction.bytesIn - transaction.countedIn);
  statistics.add(row, stat.STAT_BOUT, transaction.bytesOut - transaction.countedOut);
  if (hasStatus) statistics.add(row, statusField(transaction.status), 1);
  if (transaction.failedRewrites > 0)
    statistics.add(row, stat.STAT_WREW, transaction.failedRewrites);
  const { times } = transaction;
  const request = times[TIME_REQUEST] as number;
  const queued = times[TIME_QUEUED] as number;
  const connected = times[TIME_CONNECTED] as number;
  const response = times[TIME_RESPONSE] as number;
  const start = request >= 0 ? request : (times[TIME_ACCEPT] as number);
  if (queued >= 0) time(plane, row, stat.STAT_QTIME, stat.STAT_QT_MAX, queued - start);
  if (connected >= 0) time(plane, row, stat.STAT_CTIME, stat.STAT_CT_MAX, connected - queued);
  if (response >= 0) time(plane, row, stat.STAT_RTIME, stat.STAT_RT_MAX, response - connected);
  const first = times[TIME_FIRST_BYTE] as number;
  const begin = first >= 0 ? first : (times[TIME_ACCEPT] as number);
  time(plane, row, stat.STAT_TTIME, stat.STAT_TT_MAX, (times[TIME_END] as number) - begin);
}

/** A sliding sum over the last 1024: what HAProxy's averages are made of. */
function time(plane: DataPlane, row: number, field: number, most: number, value: number): void {
  const { statistics } = plane;
  const sum = statistics.get(row, field);
  statistics.set(row, field, sum - sum / WINDOW + value);
  statistics.max(row, most, value);
}

const WINDOW = 1024;

/** `hrsp_1xx` … */
export function statusField(status: number): number {
  const hundreds = Math.floor(status / 100);
  return hundreds >= 1 && hundreds <= 5 ? stat.STAT_HRSP + hundreds - 1 : stat.STAT_HRSP_OTHER;
}
