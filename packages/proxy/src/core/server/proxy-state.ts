import type { Backend, Frontend } from "../config/proxy-model.ts";
import type { Server } from "../config/server-model.ts";
import { KEY_HASHES } from "../hash/key-hash.ts";
import { addToRate, RATE_WORDS, readRate } from "./rate.ts";
import { BACKEND_FULLCONN, keepMost, openServers, type Servers, WEIGHT_SCALE } from "./servers.ts";

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
    const now = Atomics.add(this.#words, BACKEND, change) + change;
    keepMost(this.#words, BACKEND_MOST, now);
  }

  /** Most of them at once: `smax`. */
  get backendConnectionsMost(): number {
    return Atomics.load(this.#words, BACKEND_MOST);
  }

  /** `clear counters`: what is most begins anew with what is now. */
  clearMost(): void {
    Atomics.store(this.#words, BACKEND_MOST, this.backendConnections);
  }

  /** The frontend's limit of connections, as the file or `set maxconn frontend` has it; 0 is the process's. */
  get maxconn(): number {
    return Atomics.load(this.#words, MAXCONN);
  }

  set maxconn(limit: number) {
    Atomics.store(this.#words, MAXCONN, limit);
  }

  /** `disable frontend`: its sockets accept nothing for the time being. */
  get isPaused(): boolean {
    return Atomics.load(this.#words, CONDITION) === PAUSED;
  }

  /** `shutdown frontend`: its sockets are closed for good. */
  get isShutDown(): boolean {
    return Atomics.load(this.#words, CONDITION) === SHUT_DOWN;
  }

  setCondition(condition: "running" | "paused" | "shut down"): void {
    const value = condition === "running" ? 0 : condition === "paused" ? PAUSED : SHUT_DOWN;
    Atomics.store(this.#words, CONDITION, value);
  }

  /** Counts for `conn_rate`: a connection, before any rule. */
  countConnection(now: number): void {
    addToRate(this.#words, CONNECTION_RATE, SECOND, now, 1);
  }

  connectionRate(now: number): number {
    return readRate(this.#words, CONNECTION_RATE, SECOND, now);
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
const BACKEND_MOST = 3;
const MAXCONN = 4;
const CONDITION = 5;
const CLIENT_RATE = 6;
const REQUEST_RATE = CLIENT_RATE + RATE_WORDS;
const BACKEND_RATE = REQUEST_RATE + RATE_WORDS;
const CONNECTION_RATE = BACKEND_RATE + RATE_WORDS;
const SERVER_RATES = CONNECTION_RATE + RATE_WORDS;
const PAUSED = 1;
const SHUT_DOWN = 2;
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
  if (shared === undefined) {
    fillServers(servers, backend);
    counters.maxconn = frontend?.maxconn ?? 0;
  }
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
    servers.place[i] = placeOf(server);
  });
  servers.backend[BACKEND_FULLCONN] = backend?.fullconn ?? DEFAULT_FULLCONN;
}

/**
 * What consistent hashing places a server by: its `id`, or with `hash-key` a number made of its address, so that
 * proxies that know the same servers under other names and orders agree. The places differ from HAProxy's.
 */
function placeOf({ id, hashKey, address }: Server): number {
  if (hashKey === "id" || address.kind !== "inet" || address.address === undefined) return id;
  const { bytes } = address.address;
  const { port } = address;
  const key = hashKey === "addr" ? bytes : Uint8Array.from([...bytes, port >> 8, port & 255]);
  return KEY_HASHES.crc32(key, 0, key.length) | 0;
}

function startsDown(state: string): boolean {
  return state === "down" || state === "fully-down";
}

/** Used where neither `fullconn` stands nor a frontend's maxconn is known to take a tenth of. */
const DEFAULT_FULLCONN = 200;
