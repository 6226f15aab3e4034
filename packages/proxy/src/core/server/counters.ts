import type { Transaction } from "../transaction.ts";
import { Tracked } from "./stick-table.ts";

/**
 * Counts the beginning of tracking: the connection, and the request too when an HTTP rule tracks. HAProxy configuration manual §4.2, tcp-request connection track-sc0.
 */
export function countTracked(
  { table, entry }: Tracked,
  by: "connection" | "content",
  transaction: Transaction,
): void {
  const { now } = transaction;
  const names = by === "content" && transaction.http ? HTTP_CONTENT : CONNECTION;
  for (const name of names) {
    const field = table.field(name);
    if (field !== undefined) table.add(entry, field, 0, 1, now);
  }
}

const CONNECTION = ["conn_cnt", "conn_rate", "conn_cur"] as const;
const HTTP_CONTENT = [...CONNECTION, "http_req_cnt", "http_req_rate"] as const;
const SESSION = ["sess_cnt", "sess_rate"] as const;
const REQUEST = ["http_req_cnt", "http_req_rate"] as const;

/** What happens to a session or transaction that stick tables count. */
export type CountedEvent = "session" | "request" | "error" | "failure" | "bytes-in" | "bytes-out";

const FIELDS: Readonly<Record<CountedEvent, readonly string[]>> = {
  session: SESSION,
  request: REQUEST,
  /** 4xx answers and broken requests. */
  error: ["http_err_cnt", "http_err_rate"],
  /** 5xx answers other than 501 and 505, and broken responses. */
  failure: ["http_fail_cnt", "http_fail_rate"],
  "bytes-in": ["bytes_in_cnt", "bytes_in_rate"],
  "bytes-out": ["bytes_out_cnt", "bytes_out_rate"],
};

/** Counts an event in every entry that the transaction and its session track. The data plane calls it. */
export function countEvent(transaction: Transaction, event: CountedEvent, amount = 1): void {
  const { tracked: own, session } = transaction;
  const count = Math.max(own.length, session.tracked.length);
  for (let counter = 0; counter < count; counter++) {
    const tracked = transaction.tracked[counter] ?? transaction.session.tracked[counter];
    if (!(tracked instanceof Tracked)) continue;
    for (const name of FIELDS[event]) {
      const field = tracked.table.field(name);
      if (field !== undefined) tracked.table.add(tracked.entry, field, 0, amount, transaction.now);
    }
  }
}
