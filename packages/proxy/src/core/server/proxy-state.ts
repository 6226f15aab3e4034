import type { Backend, Frontend } from "../config/proxy-model.ts";
import { addToRate, RATE_WORDS, readRate } from "./rate.ts";
import { BACKEND_FULLCONN, openServers, type Servers, WEIGHT_SCALE } from "./servers.ts";

/** What runs of one proxy: its servers' columns and its counters, both shared between threads. */
export interface ProxyState {
  /** Position in `World.proxies`. */
  readonly index: number;
  readonly name: string;
  readonly frontend: Frontend | undefined;
  readonly backend: Backend | undefined;
  /** Of a frontend alone: no servers. */
  readonly servers: Servers;
  readonly counters: ProxyCounters;
}

/**
 * Counters that samples, limits and logs read, over a `SharedArrayBuffer`. Statistics that only the stats page
 * shows are the daemon's.
 */
export class ProxyCounters {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  /** @param servers Number of servers, each of which has a session rate. */
  constructor(servers: number, shared?: SharedArrayBuffer) {
    this.buffer = shared ?? new SharedArrayBuffer(4 * (SERVER_RATES + servers * RATE_WORDS));
    this.#words = new Int32Array(this.buffer);
  }

  /** Client connections on the frontend side now: `fe_conn`, `%fc`. */
  get clientConnections(): number {
    return Atomics.load(this.#words, CLIENTS);
  }

  /** Transactions on the backend side now: `be_conn`, `%bc`. */
  get backendConnections(): number {
    return Atomics.load(this.#words, BACKEND);
  }

  addClient(change: 1 | -1): void {
    Atomics.add(this.#words, CLIENTS, change);
  }

  addBackend(change: 1 | -1): void {
    Atomics.add(this.#words, BACKEND, change);
  }

  /** Counts for `fe_sess_rate`, `fe_req_rate` and `be_sess_rate`, events a second. `now` in milliseconds. */
  countClientSession(now: number): void {
    addToRate(this.#words, CLIENT_RATE, SECOND, now, 1);
  }

  countRequest(now: number): void {
    addToRate(this.#words, REQUEST_RATE, SECOND, now, 1);
  }

  countBackendSession(now: number): void {
    addToRate(this.#words, BACKEND_RATE, SECOND, now, 1);
  }

  /** The number of the log line about to be written, from 0: `%lc`. */
  nextLogLine(): number {
    return Atomics.add(this.#words, LOG_LINES, 1) >>> 0;
  }

  countServerSession(server: number, now: number): void {
    addToRate(this.#words, SERVER_RATES + server * RATE_WORDS, SECOND, now, 1);
  }

  clientSessionRate(now: number): number {
    return readRate(this.#words, CLIENT_RATE, SECOND, now);
  }

  requestRate(now: number): number {
    return readRate(this.#words, REQUEST_RATE, SECOND, now);
  }

  backendSessionRate(now: number): number {
    return readRate(this.#words, BACKEND_RATE, SECOND, now);
  }

  serverSessionRate(server: number, now: number): number {
    return readRate(this.#words, SERVER_RATES + server * RATE_WORDS, SECOND, now);
  }
}

const CLIENTS = 0;
const BACKEND = 1;
const LOG_LINES = 2;
const CLIENT_RATE = 3;
const REQUEST_RATE = CLIENT_RATE + RATE_WORDS;
const BACKEND_RATE = REQUEST_RATE + RATE_WORDS;
const SERVER_RATES = BACKEND_RATE + RATE_WORDS;
const SECOND = 1000;

/** Shared memory of one proxy, for `createProxyState` in another thread. */
export interface ProxyBuffers {
  readonly servers: SharedArrayBuffer;
  readonly counters: SharedArrayBuffer;
}

/** States as the configuration has them: weights and limits of the file, servers up unless `disabled`. */
export function createProxyState(
  index: number,
  frontend: Frontend | undefined,
  backend: Backend | undefined,
  shared?: ProxyBuffers,
): ProxyState {
  const configured = backend?.servers ?? [];
  const servers = openServers(configured.length, shared?.servers);
  const counters = new ProxyCounters(configured.length, shared?.counters);
  if (shared === undefined) fillServers(servers, backend);
  return {
    index,
    name: frontend?.name ?? backend?.name ?? "",
    frontend,
    backend,
    servers,
    counters,
  };
}

function fillServers(servers: Servers, backend: Backend | undefined): void {
  backend?.servers.forEach((server, i) => {
    servers.userWeight[i] = server.weight;
    servers.initialWeight[i] = server.weight;
    servers.weight[i] = server.weight * WEIGHT_SCALE;
    servers.usable[i] = server.disabled || startsDown(server.health.initState) ? 0 : 1;
    servers.backup[i] = server.backup ? 1 : 0;
    servers.maxconn[i] = server.maxconn;
    // A minconn without maxconn is no limit; one above it is the limit itself.
    servers.minconn[i] = Math.min(server.minconn, server.maxconn);
    servers.maxqueue[i] = server.maxqueue;
    servers.limitScale[i] = 1000;
    servers.id[i] = server.id;
  });
  servers.backend[BACKEND_FULLCONN] = backend?.fullconn ?? DEFAULT_FULLCONN;
}

function startsDown(state: string): boolean {
  return state === "down" || state === "fully-down";
}

/** Used where neither `fullconn` stands nor a frontend's maxconn is known to take a tenth of. */
const DEFAULT_FULLCONN = 200;
