import { ABUSES } from "./http2/abuse.ts";

/**
 * Counters of one thread, each a column entry: rows are frontends, backends, servers and listeners; fields are
 * below. Every thread writes its own rows without locks; who reads adds the threads up. Floating point, so that
 * bytes do not overflow.
 */
export class Statistics {
  readonly cells: Float64Array;
  readonly layout: StatisticsLayout;

  /** @param buffer Of `layout.bytes`, shared with the thread that reads. */
  constructor(layout: StatisticsLayout, buffer: SharedArrayBuffer) {
    this.layout = layout;
    this.cells = new Float64Array(buffer);
  }

  add(row: number, field: number, value: number): void {
    const at = row * STAT_FIELDS + field;
    this.cells[at] = (this.cells[at] as number) + value;
  }

  /** Keeps the greatest. */
  max(row: number, field: number, value: number): void {
    const at = row * STAT_FIELDS + field;
    if (value > (this.cells[at] as number)) this.cells[at] = value;
  }

  set(row: number, field: number, value: number): void {
    this.cells[row * STAT_FIELDS + field] = value;
  }

  /** One more of what HTTP/2 peers were stopped from: `ABUSE_…`. Stands behind all rows. */
  countAbuse(abuse: number): void {
    const at = (this.layout.rows + 1) * STAT_FIELDS + abuse;
    this.cells[at] = (this.cells[at] as number) + 1;
  }

  abuses(abuse: number): number {
    return this.cells[(this.layout.rows + 1) * STAT_FIELDS + abuse] as number;
  }

  get(row: number, field: number): number {
    return this.cells[row * STAT_FIELDS + field] as number;
  }
}

/** Which row is whose. Proxies are numbered as in `World.proxies`. */
export interface StatisticsLayout {
  readonly bytes: number;
  readonly rows: number;
  /** Row of the proxy's frontend side. */
  readonly frontend: readonly number[];
  /** Row of the proxy's backend side; its servers follow in their order. */
  readonly backend: readonly number[];
}

/** Row of a server. */
export function serverRow(layout: StatisticsLayout, proxy: number, server: number): number {
  return (layout.backend[proxy] as number) + 1 + server;
}

/** @param servers Number of servers of each proxy. */
export function layOutStatistics(servers: readonly number[]): StatisticsLayout {
  const frontend: number[] = [];
  const backend: number[] = [];
  let rows = 0;
  for (const count of servers) {
    frontend.push(rows++);
    backend.push(rows++);
    rows += count;
  }
  // Row `rows` is the process.
  const cells = (rows + 1) * STAT_FIELDS + ABUSES.length;
  return { bytes: cells * 8, rows, frontend, backend };
}

/** Fields; names as `show stat` has them where it has one. HAProxy management guide §9.1. */
export const STAT_STOT = 0;
export const STAT_BIN = 1;
export const STAT_BOUT = 2;
export const STAT_DREQ = 3;
export const STAT_DRESP = 4;
export const STAT_EREQ = 5;
export const STAT_ECON = 6;
export const STAT_ERESP = 7;
export const STAT_WRETR = 8;
export const STAT_WREDIS = 9;
export const STAT_SMAX = 10;
export const STAT_QMAX = 11;
export const STAT_RATE_MAX = 12;
/** `hrsp_1xx` to `hrsp_5xx` follow, then `hrsp_other`. */
export const STAT_HRSP = 13;
export const STAT_HRSP_OTHER = 18;
export const STAT_REQ_TOT = 19;
export const STAT_REQ_RATE_MAX = 20;
export const STAT_CLI_ABRT = 21;
export const STAT_SRV_ABRT = 22;
export const STAT_CONN_TOT = 23;
export const STAT_CONN_RATE_MAX = 24;
export const STAT_DCON = 25;
export const STAT_DSES = 26;
export const STAT_LBTOT = 27;
export const STAT_CONNECT = 28;
export const STAT_REUSE = 29;
/** Sums behind `qtime`, `ctime`, `rtime`, `ttime` (averages over the last 1024), and their number. */
export const STAT_QTIME = 30;
export const STAT_CTIME = 31;
export const STAT_RTIME = 32;
export const STAT_TTIME = 33;
export const STAT_QT_MAX = 34;
export const STAT_CT_MAX = 35;
export const STAT_RT_MAX = 36;
export const STAT_TT_MAX = 37;
/** Monotonic milliseconds of the last session, 0 before the first: behind `lastsess`. */
export const STAT_LASTSESS = 38;
export const STAT_SCUR = 39;
export const STAT_IDLE_CONN = 40;
export const STAT_INTERCEPTED = 42;
/** Failed header rewrites: `wrew`. */
export const STAT_WREW = 43;
export const STAT_EINT = 44;
/** Of the process, in the row after all others of the first thread: bytes sent in the last second, idle percent, clients of the runtime API. */
export const STAT_BYTES_RATE = 45;
export const STAT_IDLE_PERCENT = 46;
export const STAT_API_CLIENTS = 47;
/** Of each thread, in that row too: log lines nobody took. */
export const STAT_LOGS_DROPPED = 48;
/** HTTP/2's counters, in the order of their columns in `show stat`. Of frontends and servers. */
const STAT_H2 = 49;
export const STAT_H2_HEADERS = STAT_H2;
export const STAT_H2_DATA = STAT_H2 + 1;
export const STAT_H2_SETTINGS = STAT_H2 + 2;
export const STAT_H2_RESETS = STAT_H2 + 3;
export const STAT_H2_GOAWAY = STAT_H2 + 4;
export const STAT_H2_CONNECTION_ERRORS = STAT_H2 + 5;
export const STAT_H2_STREAM_ERRORS = STAT_H2 + 6;
export const STAT_H2_RESETS_SENT = STAT_H2 + 7;
export const STAT_H2_GOAWAY_SENT = STAT_H2 + 8;
export const STAT_H2_OPEN = STAT_H2 + 9;
export const STAT_H2_STREAMS = STAT_H2 + 10;
export const STAT_H2_TOTAL = STAT_H2 + 11;
export const STAT_H2_STREAMS_TOTAL = STAT_H2 + 12;
/** TLS: handshakes done, those of them that resumed a session, and those that failed. Of frontends, backends and servers. */
export const STAT_TLS_SESSIONS = 62;
export const STAT_TLS_RESUMED = 63;
export const STAT_TLS_FAILED = 64;
export const STAT_FIELDS = 65;
