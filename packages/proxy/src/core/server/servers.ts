/**
 * What all threads share of a backend's servers: a column each, over one `SharedArrayBuffer`; the index is the
 * server, in the order of the file. Written with `Atomics` by whoever owns the field: health by the thread that
 * checks, `served` by every thread as it leases and returns, settings by the runtime API.
 */
export interface Servers {
  readonly count: number;
  /** To hand over to another thread, which calls `openServers(count, buffer)`. */
  readonly buffer: SharedArrayBuffer;
  /** Bumped by every change of `weight`, `usable` or `backup`, so that threads rebuild what they derived. */
  readonly version: Int32Array;
  /** One word: how far round robin has come, so that threads take turns together. */
  readonly position: Int32Array;
  /** What balancing uses: the user's 0–256 times 16, less during slowstart. 0 takes no new work. */
  readonly weight: Int32Array;
  /** The user's weight, 0–256. */
  readonly userWeight: Int32Array;
  /** The weight of the file, for `get weight` and `set weight 50%`. */
  readonly initialWeight: Int32Array;
  /**
   * 1 when up and not in maintenance. A server that drains (or answers 404 to its checks) is usable with weight 0:
   * persistence still finds it, balancing does not.
   */
  readonly usable: Int32Array;
  /** 1 for `backup`. */
  readonly backup: Int32Array;
  /** Requests that hold one of its slots, or connections in TCP mode. */
  readonly served: Int32Array;
  /** Requests waiting for this very server. */
  readonly queued: Int32Array;
  /** Most of the two at once since the counters were cleared: `smax` and `qmax`. */
  readonly servedMost: Int32Array;
  readonly queuedMost: Int32Array;
  /** Limits; 0 is none. */
  readonly maxconn: Int32Array;
  readonly minconn: Int32Array;
  readonly maxqueue: Int32Array;
  /** Per mille of `maxconn` during slowstart; 1000 otherwise. */
  readonly limitScale: Int32Array;
  /** The server's `id`. */
  readonly id: Int32Array;
  /** What consistent hashing places it by: the `id`, or what `hash-key` makes of the address. */
  readonly place: Int32Array;
  /** Of the whole backend: [requests served now, fullconn, waiting in the backend's queue, most that waited]. */
  readonly backend: Int32Array;
}

/** Index into `Servers.backend`. */
export const BACKEND_SERVED = 0;
export const BACKEND_FULLCONN = 1;
export const BACKEND_QUEUED = 2;
export const BACKEND_QUEUED_MOST = 3;
export const BACKEND_FIELDS = 4;

/** No server: what a choice returns when none can take the request. */
export const NONE = -1;

/** Steps of weight inside: one of the user's is 16 of these. Observed: haproxy 2.6, consistent hash positions. */
export const WEIGHT_SCALE = 16;

const COLUMNS = [
  "weight",
  "userWeight",
  "initialWeight",
  "usable",
  "backup",
  "served",
  "queued",
  "servedMost",
  "queuedMost",
  "maxconn",
  "minconn",
  "maxqueue",
  "limitScale",
  "id",
  "place",
] as const;

/** Columns over a new buffer (all zero), or over that of another thread. */
export function openServers(count: number, shared?: SharedArrayBuffer): Servers {
  const words = 2 + BACKEND_FIELDS + COLUMNS.length * count;
  const buffer = shared ?? new SharedArrayBuffer(words * 4);
  let at = 0;
  const column = (length: number): Int32Array => {
    const view = new Int32Array(buffer, at * 4, length);
    at += length;
    return view;
  };
  const version = column(1);
  const position = column(1);
  const backend = column(BACKEND_FIELDS);
  return {
    count,
    buffer,
    version,
    position,
    backend,
    weight: column(count),
    userWeight: column(count),
    initialWeight: column(count),
    usable: column(count),
    backup: column(count),
    served: column(count),
    queued: column(count),
    servedMost: column(count),
    queuedMost: column(count),
    maxconn: column(count),
    minconn: column(count),
    maxqueue: column(count),
    limitScale: column(count),
    id: column(count),
    place: column(count),
  };
}

/** Says to all threads that weights or states changed. */
export function bumpVersion(servers: Servers): void {
  Atomics.add(servers.version, 0, 1);
}

/** Whether it is up and has weight: what balancing may choose from. */
export function canTake(servers: Servers, server: number): boolean {
  return Atomics.load(servers.usable, server) !== 0 && Atomics.load(servers.weight, server) > 0;
}

/**
 * How many requests the server takes at once just now; 0 is no limit. Between `minconn` and `maxconn` it
 * follows the backend's load in proportion to `fullconn`. HAProxy configuration manual §5.2, minconn.
 */
export function connectionLimit(servers: Servers, server: number): number {
  const most = servers.maxconn[server] as number;
  if (most === 0) return 0;
  const least = servers.minconn[server] as number;
  const load = Atomics.load(servers.backend, BACKEND_SERVED);
  const full = servers.backend[BACKEND_FULLCONN] as number;
  let limit = most;
  if (least !== 0 && least !== most && load < full) {
    limit = Math.max(least, Math.floor((load * most) / full));
  }
  const scale = servers.limitScale[server] as number;
  return scale === 1000 ? limit : Math.max(1, Math.floor((limit * scale) / 1000));
}

/** Whether a request that may go elsewhere should: no free slot, or others wait for one already. */
export function isFull(servers: Servers, server: number): boolean {
  const limit = connectionLimit(servers, server);
  if (limit === 0) return false;
  return Atomics.load(servers.queued, server) > 0 || Atomics.load(servers.served, server) >= limit;
}

/** Takes a slot unless the server's limit is reached: false then. Safe between threads. */
export function takeSlot(servers: Servers, server: number): boolean {
  const limit = connectionLimit(servers, server);
  for (;;) {
    const served = Atomics.load(servers.served, server);
    if (limit !== 0 && served >= limit) return false;
    if (Atomics.compareExchange(servers.served, server, served, served + 1) === served) {
      keepMost(servers.servedMost, server, served + 1);
      break;
    }
  }
  Atomics.add(servers.backend, BACKEND_SERVED, 1);
  return true;
}

/** Takes a slot whatever the limit: for requests that persistence forces. */
export function forceSlot(servers: Servers, server: number): void {
  keepMost(servers.servedMost, server, Atomics.add(servers.served, server, 1) + 1);
  Atomics.add(servers.backend, BACKEND_SERVED, 1);
}

/** Gives a slot back. The caller then looks at its queue. */
export function freeSlot(servers: Servers, server: number): void {
  Atomics.sub(servers.served, server, 1);
  Atomics.sub(servers.backend, BACKEND_SERVED, 1);
}

/** Keeps the greatest. Two threads at once may lose the smaller of their two, never the greater by more than that. */
export function keepMost(column: Int32Array, at: number, value: number): void {
  if (value > (column[at] as number)) column[at] = value;
}
