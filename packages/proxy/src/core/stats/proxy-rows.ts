import { formatAddress, type Micros } from "@ha/base";
import { CHECK_STATUSES, type CheckResult } from "../check/check-status.ts";
import type { SocketAddress } from "../config/address-model.ts";
import type { Backend, Frontend } from "../config/proxy-model.ts";
import type { Server } from "../config/server-model.ts";
import { effectiveWeight, inMaintenance, statusText } from "../server/health-view.ts";
import type { ProxyState } from "../server/proxy-state.ts";
import {
  BACKEND_FULLCONN,
  BACKEND_QUEUED,
  BACKEND_QUEUED_MOST,
  canTake,
  type Servers,
  WEIGHT_SCALE,
} from "../server/servers.ts";
import * as stat from "../statistics.ts";
import type { RowValues, StatRow } from "./row.ts";
import type { ServerLife } from "./server-life.ts";
import { mostOf, type StatsSource, sumOf } from "./source.ts";

/** What to show. HAProxy management guide §9.3, show stat. */
export interface RowFilter {
  /** Numbers of proxies; undefined is all. */
  readonly proxy?: number;
  /** Bits of the kinds as the column `type` numbers them (1 frontend, 2 backend, 4 server, 8 listener); -1 for all. */
  readonly types?: number;
  /** Server or listener id, -1 for all. */
  readonly id?: number;
  /** `up`: servers that are down are left out, and backends say how many are up. */
  readonly up?: boolean;
  /** `no-maint`: servers in maintenance are left out. */
  readonly noMaint?: boolean;
  /** `stats scope`: names, `.` being `own`. Empty is all. */
  readonly scope?: ReadonlySet<string>;
  /** `?scope=`: a part of the name. */
  readonly part?: string;
}

/** The lines of `show stat`: each proxy's frontend, its listeners (`option socket-stats`), its servers, its backend. */
export function proxyRows(source: StatsSource, filter: RowFilter = {}): StatRow[] {
  const rows: StatRow[] = [];
  const types = filter.types ?? -1;
  const id = filter.id ?? -1;
  const wants = (object: number) => (types & (1 << object)) !== 0;
  for (const state of source.proxies) {
    if (filter.proxy !== undefined && filter.proxy !== state.index) continue;
    const { scope, part } = filter;
    if (scope !== undefined && scope.size > 0 && !scope.has(state.name)) continue;
    if (part !== undefined && !state.name.includes(part)) continue;
    const { frontend, backend } = state;
    if (frontend !== undefined) {
      if (wants(0) && id <= 0) rows.push(frontendRow(source, state, frontend));
      if (wants(3) && frontend.options.on.has("socket-stats")) {
        for (const [number, bind] of frontend.binds.entries()) {
          if (id >= 0 && bind.id !== id) continue;
          rows.push(listenerRow(source, state, frontend, number));
        }
      }
    }
    if (backend === undefined) continue;
    if (wants(2)) {
      for (const [number, server] of backend.servers.entries()) {
        if (id >= 0 && server.id !== id) continue;
        const life = source.lives.server(state.index, number);
        if (filter.noMaint && inMaintenance(life.state)) continue;
        if (filter.up && (inMaintenance(life.state) || life.state.operational === "stopped"))
          continue;
        rows.push(serverRow(source, state, number, server, life));
      }
    }
    if (wants(1) && id <= 0) rows.push(backendRow(source, state, backend, filter.up === true));
  }
  return rows;
}

function frontendRow(source: StatsSource, state: ProxyState, frontend: Frontend): StatRow {
  const row = source.layout.frontend[state.index] as number;
  const sum = (field: number) => sumOf(source, row, field);
  const now = source.now();
  const { counters } = state;
  const http = frontend.mode === "http";
  const rate = counters.clientSessionRate(now);
  const requestRate = counters.requestRate(now);
  const connectionRate = counters.connectionRate(now);
  const most = (field: number, current: number) => Math.max(current, mostOf(source, row, field));
  return {
    object: "frontend",
    proxy: state.index,
    proxyId: frontend.id,
    id: 0,
    values: {
      pxname: frontend.name,
      svname: "FRONTEND",
      scur: counters.clientConnections,
      smax: mostOf(source, row, stat.STAT_SMAX),
      slim: counters.maxconn === 0 ? source.maxconn : counters.maxconn,
      stot: sum(stat.STAT_STOT),
      bin: sum(stat.STAT_BIN),
      bout: sum(stat.STAT_BOUT),
      dreq: sum(stat.STAT_DREQ),
      dresp: sum(stat.STAT_DRESP),
      ereq: sum(stat.STAT_EREQ),
      status: counters.isShutDown || frontend.disabled ? "STOP" : "OPEN",
      pid: 1,
      iid: frontend.id,
      sid: 0,
      type: 0,
      rate,
      rate_lim: frontend.rateLimitSessions,
      rate_max: most(stat.STAT_RATE_MAX, rate),
      ...(http ? responses(sum) : {}),
      req_rate: requestRate,
      req_rate_max: most(stat.STAT_REQ_RATE_MAX, requestRate),
      req_tot: sum(stat.STAT_REQ_TOT),
      ...COMPRESSION,
      mode: frontend.mode,
      conn_rate: connectionRate,
      conn_rate_max: most(stat.STAT_CONN_RATE_MAX, connectionRate),
      conn_tot: sum(stat.STAT_CONN_TOT),
      ...(http ? { intercepted: sum(stat.STAT_INTERCEPTED), ...CACHE } : {}),
      dcon: sum(stat.STAT_DCON),
      dses: sum(stat.STAT_DSES),
      wrew: sum(stat.STAT_WREW),
      eint: sum(stat.STAT_EINT),
      ...tlsCounters(sum),
      ...h2Counters(sum),
      ...h1Counters(http, {
        connections: counters.clientConnections,
        streams: sum(stat.STAT_SCUR),
        totalConnections: sum(stat.STAT_CONN_TOT),
        totalStreams: sum(stat.STAT_REQ_TOT),
        bytesIn: sum(stat.STAT_BIN),
        bytesOut: sum(stat.STAT_BOUT),
      }),
    },
  };
}

/**
 * Differs from HAProxy: sessions and bytes are counted by frontend, not by socket, so that the sockets of a
 * frontend with several show 0 there; with one socket the frontend's figures are the socket's.
 */
function listenerRow(
  source: StatsSource,
  state: ProxyState,
  frontend: Frontend,
  number: number,
): StatRow {
  const bind = frontend.binds[number] as Frontend["binds"][number];
  const row = source.layout.frontend[state.index] as number;
  const alone = frontend.binds.length === 1;
  const sum = (field: number) => (alone ? sumOf(source, row, field) : 0);
  return {
    object: "listener",
    proxy: state.index,
    proxyId: frontend.id,
    id: bind.id,
    values: {
      pxname: frontend.name,
      svname: bind.name ?? `sock-${number + 1}`,
      scur: alone ? state.counters.clientConnections : 0,
      smax: alone ? mostOf(source, row, stat.STAT_SMAX) : 0,
      slim: bind.maxconn,
      stot: sum(stat.STAT_STOT),
      bin: sum(stat.STAT_BIN),
      bout: sum(stat.STAT_BOUT),
      dreq: sum(stat.STAT_DREQ),
      dresp: sum(stat.STAT_DRESP),
      ereq: sum(stat.STAT_EREQ),
      status: state.counters.isShutDown || state.counters.isPaused ? "WAITING" : "OPEN",
      pid: 1,
      iid: frontend.id,
      sid: bind.id,
      type: 3,
      addr: addressText(bind.address),
      mode: frontend.mode,
      dcon: sum(stat.STAT_DCON),
      dses: sum(stat.STAT_DSES),
      wrew: sum(stat.STAT_WREW),
      eint: sum(stat.STAT_EINT),
      ...TLS_COUNTERS,
    },
  };
}

function serverRow(
  source: StatsSource,
  state: ProxyState,
  number: number,
  server: Server,
  life: ServerLife,
): StatRow {
  const row = stat.serverRow(source.layout, state.index, number);
  const sum = (field: number) => sumOf(source, row, field);
  const now = source.now();
  const { servers, counters } = state;
  const backend = state.backend as Backend;
  const http = backend.mode === "http";
  const { state: health, settings } = life;
  const rate = counters.serverSessionRate(number, now);
  const isPaused = inMaintenance(health);
  const idle = sum(stat.STAT_IDLE_CONN);
  const served = Atomics.load(servers.served, number);
  const since = Math.max(0, Math.floor(now - health.changedAt / 1000) / 1000);
  return {
    object: "server",
    proxy: state.index,
    proxyId: backend.id,
    id: server.id,
    values: {
      pxname: backend.name,
      svname: server.name,
      qcur: Atomics.load(servers.queued, number),
      qmax: Atomics.load(servers.queuedMost, number),
      scur: served,
      smax: Atomics.load(servers.servedMost, number),
      ...present("slim", servers.maxconn[number] as number),
      stot: sum(stat.STAT_STOT),
      bin: sum(stat.STAT_BIN),
      bout: sum(stat.STAT_BOUT),
      dresp: sum(stat.STAT_DRESP),
      econ: sum(stat.STAT_ECON),
      eresp: sum(stat.STAT_ERESP),
      wretr: sum(stat.STAT_WRETR),
      wredis: sum(stat.STAT_WREDIS),
      status: statusOf(life),
      weight: weightInForce(servers, number),
      act: server.backup ? 0 : 1,
      bck: server.backup ? 1 : 0,
      ...(settings.checked || settings.agent
        ? {
            chkfail: health.failedChecks,
            chkdown: health.timesDown,
            downtime:
              seconds(health.downtime) + (health.operational === "stopped" ? Math.floor(since) : 0),
          }
        : {}),
      lastchg: Math.floor(since),
      ...present("qlimit", servers.maxqueue[number] as number),
      pid: 1,
      iid: backend.id,
      sid: server.id,
      ...(health.operational === "starting" && !isPaused
        ? { throttle: throttleOf(life, now) }
        : {}),
      lbtot: sum(stat.STAT_LBTOT),
      ...(life.tracks === undefined ? {} : { tracked: life.tracks }),
      type: 2,
      rate,
      rate_max: Math.max(rate, mostOf(source, row, stat.STAT_RATE_MAX)),
      ...(http ? { ...responses(sum), req_tot: sum(stat.STAT_STOT) } : {}),
      ...(settings.checked && health.checksEnabled && !isPaused && life.check !== undefined
        ? {
            ...checkValues(life.check),
            check_rise: settings.rise,
            check_fall: settings.fall,
            check_health: health.health,
          }
        : {}),
      cli_abrt: sum(stat.STAT_CLI_ABRT),
      srv_abrt: sum(stat.STAT_SRV_ABRT),
      lastsess: lastSession(source, row),
      ...times(source, row),
      ...(settings.agent && health.agentEnabled && !isPaused && life.agent !== undefined
        ? {
            ...agentValues(life.agent),
            agent_rise: settings.agentRise,
            agent_fall: settings.agentFall,
            agent_health: health.agentHealth,
          }
        : {}),
      addr: addressText(life.address),
      ...(server.cookie === undefined ? {} : { cookie: server.cookie }),
      mode: backend.mode,
      wrew: sum(stat.STAT_WREW),
      connect: sum(stat.STAT_CONNECT),
      reuse: sum(stat.STAT_REUSE),
      srv_icur: idle,
      ...(server.pool.maxIdle < 0 ? {} : { src_ilim: server.pool.maxIdle }),
      eint: sum(stat.STAT_EINT),
      idle_conn_cur: 0,
      safe_conn_cur: idle,
      used_conn_cur: served,
      need_conn_est: Math.max(served, idle),
      uweight: health.weight,
      ...tlsCounters(sum),
    },
  };
}

function backendRow(
  source: StatsSource,
  state: ProxyState,
  backend: Backend,
  tellsCount: boolean,
): StatRow {
  const row = source.layout.backend[state.index] as number;
  const sum = (field: number) => sumOf(source, row, field);
  const now = source.now();
  const { servers, counters } = state;
  const http = backend.mode === "http";
  const rate = counters.backendSessionRate(now);
  const life = source.lives.backend(state.index);
  const usable = usableServers(state);
  const isUp = backend.servers.length === 0 || usable.active + usable.backup > 0;
  const since = Math.max(0, Math.floor((now - life.changedAt / 1000) / 1000));
  let queued = Atomics.load(servers.backend, BACKEND_QUEUED);
  let idle = 0;
  for (let i = 0; i < servers.count; i++) {
    queued += Atomics.load(servers.queued, i);
    idle += sumOf(source, row + 1 + i, stat.STAT_IDLE_CONN);
  }
  const count = tellsCount ? ` (${usable.active + usable.backup}/${backend.servers.length})` : "";
  return {
    object: "backend",
    proxy: state.index,
    proxyId: backend.id,
    id: 0,
    values: {
      pxname: backend.name,
      svname: "BACKEND",
      qcur: queued,
      qmax: Math.max(queued, Atomics.load(servers.backend, BACKEND_QUEUED_MOST)),
      scur: counters.backendConnections,
      smax: counters.backendConnectionsMost,
      slim: servers.backend[BACKEND_FULLCONN] as number,
      stot: sum(stat.STAT_STOT),
      bin: sum(stat.STAT_BIN),
      bout: sum(stat.STAT_BOUT),
      dreq: sum(stat.STAT_DREQ),
      dresp: sum(stat.STAT_DRESP),
      econ: sum(stat.STAT_ECON),
      eresp: sum(stat.STAT_ERESP),
      wretr: sum(stat.STAT_WRETR),
      wredis: sum(stat.STAT_WREDIS),
      status: `${isUp ? "UP" : "DOWN"}${count}`,
      weight: usable.weight,
      act: usable.active,
      bck: usable.backup,
      chkdown: life.timesDown,
      lastchg: since,
      ...(backend.servers.length === 0
        ? {}
        : { downtime: seconds(life.downtime) + (life.isDown ? since : 0) }),
      pid: 1,
      iid: backend.id,
      sid: 0,
      lbtot: sum(stat.STAT_LBTOT),
      type: 1,
      rate,
      rate_max: Math.max(rate, mostOf(source, row, stat.STAT_RATE_MAX)),
      ...(http ? { ...responses(sum), req_tot: sum(stat.STAT_REQ_TOT) } : {}),
      cli_abrt: sum(stat.STAT_CLI_ABRT),
      srv_abrt: sum(stat.STAT_SRV_ABRT),
      ...COMPRESSION,
      lastsess: lastSession(source, row),
      ...times(source, row),
      ...(backend.cookie === undefined ? {} : { cookie: backend.cookie.name }),
      mode: backend.mode,
      algo: algorithmOf(backend),
      wrew: sum(stat.STAT_WREW),
      connect: sum(stat.STAT_CONNECT),
      reuse: sum(stat.STAT_REUSE),
      ...(http ? CACHE : {}),
      eint: sum(stat.STAT_EINT),
      uweight: usable.userWeight,
      agg_server_status: 0,
      agg_server_check_status: 0,
      agg_check_status: 0,
      ...tlsCounters(sum),
      ...h2Counters(sum),
      ...h1Counters(http, {
        connections: idle + Atomics.load(servers.backend, 0),
        streams: counters.backendConnections,
        totalConnections: sum(stat.STAT_CONNECT),
        totalStreams: sum(stat.STAT_CONNECT) + sum(stat.STAT_REUSE),
        bytesIn: sum(stat.STAT_BOUT),
        bytesOut: sum(stat.STAT_BIN),
      }),
    },
  };
}

/** What is in force but for draining, which takes nothing from it. Observed: haproxy 2.6.12. */
function weightInForce(servers: Servers, number: number): number {
  const weight = Math.ceil((servers.weight[number] as number) / WEIGHT_SCALE);
  return weight === 0 ? (servers.userWeight[number] as number) : weight;
}

/** Servers that balancing can choose from, their weight in all, in force and as configured. */
function usableServers({ servers, backend }: ProxyState) {
  const total = { active: 0, backup: 0, weight: 0, userWeight: 0 };
  const spare = { weight: 0, userWeight: 0 };
  const all = backend?.options.on.has("allbackups") ?? false;
  for (let i = 0; i < servers.count; i++) {
    if (!canTake(servers, i)) continue;
    const weight = Math.ceil((servers.weight[i] as number) / WEIGHT_SCALE);
    const userWeight = servers.userWeight[i] as number;
    if (servers.backup[i] === 0) {
      total.active++;
      total.weight += weight;
      total.userWeight += userWeight;
    } else {
      total.backup++;
      if (all || total.backup === 1) {
        spare.weight += weight;
        spare.userWeight += userWeight;
      }
    }
  }
  return total.active > 0 ? total : { ...total, ...spare };
}

/** The word of `status`. A server that tracks one in maintenance names it. */
function statusOf({ state, settings, tracks }: ServerLife): string {
  if (state.inheritedMaint && state.admin !== "maint" && tracks !== undefined) {
    return `MAINT (via ${tracks})`;
  }
  return statusText(state, settings);
}

function throttleOf({ state, settings }: ServerLife, now: number): number {
  const weight = effectiveWeight({ ...state, weight: 256 }, settings, (now * 1000) as Micros);
  return Math.max(1, Math.min(100, Math.floor((100 * weight) / (256 * WEIGHT_SCALE))));
}

function checkValues({ status, code, info, duration }: CheckResult): RowValues {
  const { text, hasCode } = CHECK_STATUSES[status];
  return {
    check_status: status,
    ...(hasCode ? { check_code: code } : {}),
    ...(duration < 0 ? {} : { check_duration: duration }),
    last_chk: oneLine(info),
    check_desc: text,
  };
}

function agentValues({ status, code, info, duration }: CheckResult): RowValues {
  const { text, hasCode } = CHECK_STATUSES[status];
  return {
    agent_status: status,
    ...(hasCode ? { agent_code: code } : {}),
    ...(duration < 0 ? {} : { agent_duration: duration }),
    last_agt: oneLine(info),
    agent_desc: text,
  };
}

/** What a server said must not begin a new line of the statistics. */
function oneLine(text: string): string {
  let shown = "";
  for (const character of text)
    shown += character < " " || character === "\u007f" ? " " : character;
  return shown;
}

function responses(sum: (field: number) => number): RowValues {
  return {
    hrsp_1xx: sum(stat.STAT_HRSP),
    hrsp_2xx: sum(stat.STAT_HRSP + 1),
    hrsp_3xx: sum(stat.STAT_HRSP + 2),
    hrsp_4xx: sum(stat.STAT_HRSP + 3),
    hrsp_5xx: sum(stat.STAT_HRSP + 4),
    hrsp_other: sum(stat.STAT_HRSP_OTHER),
  };
}

/** The sums are of the last 1024: `exchange-statistics.ts`. */
function times(source: StatsSource, row: number): RowValues {
  const sessions = sumOf(source, row, stat.STAT_STOT);
  const window = Math.max(1, Math.min(1024, sessions));
  const average = (field: number) => Math.round(sumOf(source, row, field) / window);
  const most = (field: number) => Math.round(mostOf(source, row, field));
  return {
    qtime: average(stat.STAT_QTIME),
    ctime: average(stat.STAT_CTIME),
    rtime: average(stat.STAT_RTIME),
    ttime: average(stat.STAT_TTIME),
    qtime_max: most(stat.STAT_QT_MAX),
    ctime_max: most(stat.STAT_CT_MAX),
    rtime_max: most(stat.STAT_RT_MAX),
    ttime_max: most(stat.STAT_TT_MAX),
  };
}

function lastSession(source: StatsSource, row: number): number {
  const last = mostOf(source, row, stat.STAT_LASTSESS);
  return last === 0 ? -1 : Math.max(0, Math.floor((source.now() - last) / 1000));
}

function present(name: "slim" | "qlimit", value: number): RowValues {
  return value === 0 ? {} : { [name]: value };
}

function seconds(time: Micros): number {
  return Math.floor(time / 1_000_000);
}

function algorithmOf({ balance }: Backend): string {
  const [word] = balance;
  if (word === undefined) return "random";
  return word.text.replace(/\(.*$/, "");
}

/** As the columns `addr` have it. */
export function addressText(address: SocketAddress): string {
  switch (address.kind) {
    case "inet": {
      if (address.address === undefined) return "";
      const text = formatAddress(address.address);
      return address.address.family === 6 ? `[${text}]:${address.port}` : `${text}:${address.port}`;
    }
    case "unix":
      return "unix";
    case "abstract":
      return "abns";
    default:
      return "fd";
  }
}

/** Nothing is compressed or cached by this program yet, and TLS is not told by listener: these cannot be anything else. */
const COMPRESSION: RowValues = { comp_in: 0, comp_out: 0, comp_byp: 0, comp_rsp: 0 };
const CACHE: RowValues = { cache_lookups: 0, cache_hits: 0 };
const TLS_COUNTERS: RowValues = { ssl_sess: 0, ssl_reused_sess: 0, ssl_failed_handshake: 0 };

function tlsCounters(sum: (field: number) => number): RowValues {
  return {
    ssl_sess: sum(stat.STAT_TLS_SESSIONS),
    ssl_reused_sess: sum(stat.STAT_TLS_RESUMED),
    ssl_failed_handshake: sum(stat.STAT_TLS_FAILED),
  };
}

function h2Counters(sum: (field: number) => number): RowValues {
  const of = (place: number) => sum(stat.STAT_H2_HEADERS + place);
  return {
    h2_headers_rcvd: of(0),
    h2_data_rcvd: of(1),
    h2_settings_rcvd: of(2),
    h2_rst_stream_rcvd: of(3),
    h2_goaway_rcvd: of(4),
    h2_detected_conn_protocol_errors: of(5),
    h2_detected_strm_protocol_errors: of(6),
    h2_rst_stream_resp: of(7),
    h2_goaway_resp: of(8),
    h2_open_connections: of(9),
    h2_backend_open_streams: of(10),
    h2_total_connections: of(11),
    h2_backend_total_streams: of(12),
  };
}

function h1Counters(
  http: boolean,
  given: {
    readonly connections: number;
    readonly streams: number;
    readonly totalConnections: number;
    readonly totalStreams: number;
    readonly bytesIn: number;
    readonly bytesOut: number;
  },
): RowValues {
  const of = (value: number) => (http ? value : 0);
  return {
    h1_open_connections: of(given.connections),
    h1_open_streams: of(given.streams),
    h1_total_connections: of(given.totalConnections),
    h1_total_streams: of(given.totalStreams),
    h1_bytes_in: of(given.bytesIn),
    h1_bytes_out: of(given.bytesOut),
    h1_spliced_bytes_in: 0,
    h1_spliced_bytes_out: 0,
  };
}
