import { CAUSE_PROXY, CAUSE_SERVER_ABORT, CAUSE_SERVER_TIMEOUT } from "../core/transaction.ts";
import type { AnswerFailure } from "./check/traffic-observer.ts";
import type { RetryOn } from "./proxy-runtime.ts";

/** A way in which a server can fail a request before it has answered. HAProxy configuration manual §4.2, retry-on. */
export interface ServerFailure {
  /** What health checks (`observe layer7`) are told. */
  readonly told: AnswerFailure;
  /** Which word of `retry-on` lets the request be sent once more. */
  readonly retriedOn: keyof Omit<RetryOn, "statuses">;
  /** Whether `eresp` counts it even when the request is sent once more. Observed: haproxy 2.6.12. */
  readonly alwaysCounts: boolean;
  /** Our answer, when it is not. */
  readonly status: number;
  /** Why, for the log: a `CAUSE_` code. */
  readonly cause: number;
}

export const SERVER_CLOSED: ServerFailure = {
  told: "Close from server (http)",
  retriedOn: "emptyResponse",
  alwaysCounts: false,
  status: 502,
  cause: CAUSE_SERVER_ABORT,
};

export const SERVER_BROKEN: ServerFailure = {
  told: "Invalid http response (headers)",
  retriedOn: "junkResponse",
  alwaysCounts: true,
  status: 502,
  cause: CAUSE_PROXY,
};

export const SERVER_SILENT: ServerFailure = {
  told: "Read timeout (http)",
  retriedOn: "responseTimeout",
  alwaysCounts: true,
  status: 504,
  cause: CAUSE_SERVER_TIMEOUT,
};
