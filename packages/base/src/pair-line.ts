/*
 * The line between vrrpd and the proxy that it keeps running: a unix stream socket, one JSON object a line, in both
 * directions. vrrpd binds a listening socket and hands it down (`PAIR_LINE_VARIABLE` names its descriptor); whichever
 * vrrpd runs connects to its path. So the line is there before the proxy says a word, and outlives either side.
 *
 *   vrrpd                                  lbproxy
 *     connect                         ──►    accept, on the inherited socket
 *                                     ◄──    hello, ready, beat, beat, backend …
 *     drain, cut, vrrp                ──►
 *                                     ◄──    drain, drain, … cut
 *   "_getsocks\n" on a second connection gives the listening sockets, as on HAProxy's stats socket.
 */

/** Environment variable that names the descriptor of the listening socket. */
export const PAIR_LINE_VARIABLE = "LBPROXY_PAIR_FD";

/** Milliseconds between two beats of a proxy that lives. */
export const PAIR_BEAT_MS = 200;

/** Bytes that one line may have; a peer that writes more is cut off. */
export const PAIR_LINE_LIMIT = 1_048_576;

/** From the proxy. Numbers are whole and not negative. */
export type ProxyWord =
  /** First on every connection. `pid`: of the process to signal, the master where there is one. */
  | { readonly type: "hello"; readonly pid: number; readonly version: string }
  /** It accepts connections; again after each reload. */
  | { readonly type: "ready" }
  /** The loop that serves clients turns. */
  | { readonly type: "beat"; readonly sessions: number }
  /** A listening socket is gone, or is back. */
  | {
      readonly type: "listener";
      readonly name: string;
      readonly up: boolean;
      readonly why: string;
    }
  /** No server is left in a backend, or one is again. */
  | { readonly type: "backend"; readonly name: string; readonly up: boolean }
  /** A worker ended that should not; `ready` says when there is another. */
  | { readonly type: "worker-crashed"; readonly pid: number; readonly words: string }
  /** It is ending because somebody told it to. */
  | { readonly type: "stopping" }
  /** Where a drain stands. `drained`: nothing is under way, and nothing waits. */
  | {
      readonly type: "drain";
      readonly state: "draining" | "drained" | "off";
      /**
       * Connections to the drained addresses; of them those with a request (or a tunnel) that was under way when the
       * drain began; idle ones; and those not yet accepted.
       */
      readonly sessions: number;
      readonly old: number;
      readonly idle: number;
      readonly waiting: number;
    }
  /** So many were reset, on order. */
  | { readonly type: "cut"; readonly sessions: number }
  /** For operators, every second. */
  | { readonly type: "status"; readonly status: ProxyStatus };

/** What an operator wants to see of a proxy in one look. */
export interface ProxyStatus {
  readonly sessions: number;
  /** Since its start. */
  readonly requests: number;
  readonly listeners: readonly { readonly name: string; readonly up: boolean }[];
  readonly backends: readonly BackendStatus[];
}

export interface BackendStatus {
  readonly name: string;
  /** HAProxy's word: `UP`, `DOWN` … */
  readonly status: string;
  readonly sessions: number;
  readonly servers: readonly ServerStatus[];
}

export interface ServerStatus {
  readonly name: string;
  /** HAProxy's word: `UP`, `DOWN`, `MAINT`, `no check` … */
  readonly status: string;
  readonly weight: number;
  readonly sessions: number;
  /** What the last check found, in HAProxy's words; empty without checks. */
  readonly check: string;
}

/** From vrrpd. */
export type ProxyOrder =
  /**
   * `on`: every answer says `Connection: close`; with `closeIdle` connections without a request end as well.
   * `addresses`: the virtual addresses that are about to go, in their usual text; connections to others do not count.
   */
  | {
      readonly type: "drain";
      readonly on: boolean;
      readonly closeIdle: boolean;
      readonly addresses: readonly string[];
    }
  /** Resets what is left to those addresses. Answered by `cut`. */
  | { readonly type: "cut"; readonly addresses: readonly string[] }
  /** For the statistics page. */
  | { readonly type: "vrrp"; readonly view: VrrpView };

/** The VRRP daemon as the proxy's statistics page shows it. Times are milliseconds since 1970. */
export interface VrrpView {
  readonly host: string;
  readonly at: number;
  readonly instances: readonly VrrpInstanceView[];
  /** Newest first, a handful. */
  readonly transitions: readonly VrrpTransitionView[];
}

export interface VrrpInstanceView {
  readonly name: string;
  readonly state: string;
  readonly since: number;
  readonly priority: number;
  readonly addresses: readonly string[];
  /** What is known of the others, in words. */
  readonly peers: readonly {
    readonly address: string;
    readonly words: string;
    readonly good: boolean;
  }[];
  /** What is not as it should be. */
  readonly problems: readonly string[];
}

export interface VrrpTransitionView {
  readonly at: number;
  readonly instance: string;
  readonly from: string;
  readonly to: string;
  readonly because: string;
}

/** One word or order as a line, its end included. */
export function pairLine(message: ProxyWord | ProxyOrder): string {
  return `${JSON.stringify(message)}\n`;
}

/** What a proxy said; undefined when it is none of its words. It is not trusted: texts are cut, lists bounded. */
export function parseProxyWord(line: string): ProxyWord | undefined {
  const value = parseObject(line);
  if (value === undefined) return undefined;
  switch (value["type"]) {
    case "hello": {
      const pid = count(value["pid"]);
      const version = text(value["version"]);
      return pid === undefined || version === undefined
        ? undefined
        : { type: "hello", pid, version };
    }
    case "ready":
      return { type: "ready" };
    case "stopping":
      return { type: "stopping" };
    case "beat": {
      const sessions = count(value["sessions"]);
      return sessions === undefined ? undefined : { type: "beat", sessions };
    }
    case "listener": {
      const name = text(value["name"]);
      const why = text(value["why"]) ?? "";
      const up = value["up"];
      return name === undefined || typeof up !== "boolean"
        ? undefined
        : { type: "listener", name, up, why };
    }
    case "backend": {
      const name = text(value["name"]);
      const up = value["up"];
      return name === undefined || typeof up !== "boolean"
        ? undefined
        : { type: "backend", name, up };
    }
    case "worker-crashed": {
      const pid = count(value["pid"]);
      const words = text(value["words"]) ?? "";
      return pid === undefined ? undefined : { type: "worker-crashed", pid, words };
    }
    case "drain": {
      const { state } = value;
      const [sessions, idle, waiting] = [value["sessions"], value["idle"], value["waiting"]].map(
        count,
      );
      if (state !== "draining" && state !== "drained" && state !== "off") return undefined;
      const old = count(value["old"]);
      if (sessions === undefined || old === undefined) return undefined;
      if (idle === undefined || waiting === undefined) return undefined;
      return { type: "drain", state, sessions, old, idle, waiting };
    }
    case "cut": {
      const sessions = count(value["sessions"]);
      return sessions === undefined ? undefined : { type: "cut", sessions };
    }
    case "status": {
      const status = proxyStatus(value["status"]);
      return status === undefined ? undefined : { type: "status", status };
    }
    default:
      return undefined;
  }
}

/** What vrrpd ordered; undefined when it is none of its orders. */
export function parseProxyOrder(line: string): ProxyOrder | undefined {
  const value = parseObject(line);
  if (value === undefined) return undefined;
  switch (value["type"]) {
    case "drain": {
      const addresses = list(value["addresses"], text);
      const { on, closeIdle } = value;
      if (addresses === undefined || typeof on !== "boolean" || typeof closeIdle !== "boolean")
        return undefined;
      return { type: "drain", on, closeIdle, addresses };
    }
    case "cut": {
      const addresses = list(value["addresses"], text);
      return addresses === undefined ? undefined : { type: "cut", addresses };
    }
    case "vrrp": {
      const view = vrrpView(value["view"]);
      return view === undefined ? undefined : { type: "vrrp", view };
    }
    default:
      return undefined;
  }
}

/** Cuts a stream of text into lines; `tooLong` once a line has more than `PAIR_LINE_LIMIT` characters. */
export class PairLines {
  #rest = "";
  tooLong = false;

  add(chunk: string): string[] {
    if (this.tooLong) return [];
    const lines = (this.#rest + chunk).split("\n");
    this.#rest = lines.pop() ?? "";
    if (this.#rest.length > PAIR_LINE_LIMIT) {
      this.tooLong = true;
      this.#rest = "";
    }
    return lines.filter((line) => line !== "");
  }
}

type Fields = { readonly [name: string]: unknown; readonly state?: unknown } & {
  readonly on?: unknown;
  readonly closeIdle?: unknown;
};

function parseObject(line: string): Fields | undefined {
  try {
    return fields(JSON.parse(line));
  } catch {
    return undefined;
  }
}

function fields(value: unknown): Fields | undefined {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Fields)
    : undefined;
}

/** Characters of a name or reason that are kept. */
const TEXT_LIMIT = 512;
/** Entries of a list that are kept: servers of a backend, say. */
const LIST_LIMIT = 4_096;

function text(value: unknown): string | undefined {
  // Control characters would reach terminals and logs.
  return typeof value === "string"
    ? value.slice(0, TEXT_LIMIT).replace(/\p{Cc}/gu, " ")
    : undefined;
}

function count(value: unknown): number | undefined {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** Every entry must be good. */
function list<T>(value: unknown, read: (entry: unknown) => T | undefined): T[] | undefined {
  if (!Array.isArray(value) || value.length > LIST_LIMIT) return undefined;
  const entries = value.map(read).filter((entry) => entry !== undefined);
  return entries.length === value.length ? entries : undefined;
}

function proxyStatus(value: unknown): ProxyStatus | undefined {
  const all = fields(value);
  if (all === undefined) return undefined;
  const sessions = count(all["sessions"]);
  const requests = count(all["requests"]);
  const listeners = list(all["listeners"], (entry) => {
    const name = text(fields(entry)?.["name"]);
    const up = fields(entry)?.["up"];
    return name === undefined || typeof up !== "boolean" ? undefined : { name, up };
  });
  const backends = list(all["backends"], backendStatus);
  if (sessions === undefined || requests === undefined) return undefined;
  if (listeners === undefined || backends === undefined) return undefined;
  return { sessions, requests, listeners, backends };
}

function backendStatus(value: unknown): BackendStatus | undefined {
  const all = fields(value);
  const name = text(all?.["name"]);
  const status = text(all?.["status"]);
  const sessions = count(all?.["sessions"]);
  const servers = list(all?.["servers"], serverStatus);
  if (name === undefined || status === undefined) return undefined;
  if (sessions === undefined || servers === undefined) return undefined;
  return { name, status, sessions, servers };
}

function serverStatus(value: unknown): ServerStatus | undefined {
  const all = fields(value);
  const name = text(all?.["name"]);
  const status = text(all?.["status"]);
  const weight = count(all?.["weight"]);
  const sessions = count(all?.["sessions"]);
  const check = text(all?.["check"]);
  if (name === undefined || status === undefined || check === undefined) return undefined;
  if (weight === undefined || sessions === undefined) return undefined;
  return { name, status, weight, sessions, check };
}

function vrrpView(value: unknown): VrrpView | undefined {
  const all = fields(value);
  const host = text(all?.["host"]);
  const at = count(all?.["at"]);
  const instances = list(all?.["instances"], instanceView);
  const transitions = list(all?.["transitions"], transitionView);
  if (host === undefined || at === undefined) return undefined;
  if (instances === undefined || transitions === undefined) return undefined;
  return { host, at, instances, transitions };
}

function instanceView(value: unknown): VrrpInstanceView | undefined {
  const all = fields(value);
  const name = text(all?.["name"]);
  const state = text(all?.["state"]);
  const since = count(all?.["since"]);
  const priority = count(all?.["priority"]);
  const addresses = list(all?.["addresses"], text);
  const problems = list(all?.["problems"], text);
  const peers = list(all?.["peers"], (entry) => {
    const peer = fields(entry);
    const address = text(peer?.["address"]);
    const words = text(peer?.["words"]);
    const good = peer?.["good"];
    return address === undefined || words === undefined || typeof good !== "boolean"
      ? undefined
      : { address, words, good };
  });
  if (name === undefined || state === undefined || since === undefined) return undefined;
  if (priority === undefined || addresses === undefined) return undefined;
  if (peers === undefined || problems === undefined) return undefined;
  return { name, state, since, priority, addresses, peers, problems };
}

function transitionView(value: unknown): VrrpTransitionView | undefined {
  const all = fields(value);
  const at = count(all?.["at"]);
  const [instance, from, to, because] = ["instance", "from", "to", "because"].map((key) =>
    text(all?.[key]),
  );
  if (at === undefined || instance === undefined || from === undefined) return undefined;
  if (to === undefined || because === undefined) return undefined;
  return { at, instance, from, to, because };
}
