import type { KeepaliveOptions } from "@ha/linux/ring";
import type { Backend, Frontend } from "../core/config/proxy-model.ts";
import type { HeaderSpeller } from "../core/http/header-case.ts";
import type { Rule } from "../core/rule/rule.ts";
import type { ProxyState } from "../core/server/proxy-state.ts";
import type { Transaction } from "../core/transaction.ts";
import type { AccessLog } from "./access-log.ts";
import type { Dispatcher } from "./dispatcher.ts";
import type { ProxyHeader } from "./proxy-header.ts";
import type { ServerPool } from "./server-pool.ts";
import type { ServerTls } from "./tls/server-tls.ts";

/** One proxy as a thread runs it: everything compiled, nothing left to look up by name. */
export interface ProxyRuntime {
  /** Its number in `World.proxies`. */
  readonly index: number;
  readonly name: string;
  readonly http: boolean;
  readonly state: ProxyState;
  readonly frontend: FrontendRuntime | undefined;
  readonly backend: BackendRuntime | undefined;
  readonly rules: RuntimeRules;
  /** Answers for statuses that the configuration words itself. */
  readonly errorPages: ReadonlyMap<number, ErrorPage>;
  readonly timeouts: RuntimeTimeouts;
  /** Row of the frontend side and of the backend side in the statistics. */
  readonly frontendRow: number;
  readonly backendRow: number;
  /** Milliseconds that content rules may wait; 0 is not at all. */
  readonly inspectDelay: number;
  readonly responseInspectDelay: number;
  /** `monitor-uri`'s bytes, and whether a `monitor fail` rule holds. */
  readonly monitorUri: Uint8Array | undefined;
  readonly monitorFails: ((transaction: Transaction) => boolean) | undefined;
  /** Answers `stats uri` requests; undefined when the proxy has no stats page. Set when statistics are there. */
  statsPage: Service | undefined;
  /** `stats admin`: whether the page may change anything. */
  readonly statsAdmin: ((transaction: Transaction) => boolean) | undefined;
  /** `stats http-request`. */
  readonly statsRules: readonly Rule[];
}

/** The whole message for a status; an empty one closes in silence. */
export type ErrorPage = (transaction: Transaction) => Uint8Array;

/** Something that answers requests in place of a server: the stats page, a `use-service`. */
export interface Service {
  /** Whether the request is for it. */
  matches(transaction: Transaction): boolean;
  /**
   * The whole answer, head and body; the body may need the request's (`needsBody`), which then stands at
   * `transaction.request.bodyStart`.
   */
  answer(transaction: Transaction): Uint8Array;
  /** Whether the answer waits for the request's body. */
  needsBody(transaction: Transaction): boolean;
}

/** Rulesets of one proxy, each empty when there is none. */
export interface RuntimeRules {
  readonly connection: readonly Rule[];
  readonly session: readonly Rule[];
  readonly content: readonly Rule[];
  readonly request: readonly Rule[];
  readonly redirect: readonly Rule[];
  readonly response: readonly Rule[];
  readonly afterResponse: readonly Rule[];
  readonly responseContent: readonly Rule[];
}

/** Milliseconds; Infinity where the configuration sets none. */
export interface RuntimeTimeouts {
  readonly client: number;
  readonly server: number;
  readonly connect: number;
  readonly queue: number;
  readonly httpRequest: number;
  readonly httpKeepAlive: number;
  readonly tunnel: number;
  readonly clientFin: number;
  /** `timeout client-hs`: without it the client's holds. */
  readonly clientHandshake: number;
  readonly serverFin: number;
  readonly tarpit: number;
}

export interface FrontendRuntime {
  readonly config: Frontend;
  /** The proxy's number of the backend that takes the request, or NONE when nothing says. */
  readonly chooseBackend: (transaction: Transaction) => number;
  readonly log: AccessLog | undefined;
  readonly mode: ConnectionMode;
  readonly dontLogNull: boolean;
  readonly logAsap: boolean;
  readonly relaxed: boolean;
  readonly bufferRequest: boolean;
  readonly ignoreProbes: boolean;
  readonly abortOnClose: boolean;
  /** Captures of the section, run on each request or response head. */
  readonly captureRequest: ((transaction: Transaction) => void) | undefined;
  readonly captureResponse: ((transaction: Transaction) => void) | undefined;
  /** `option forwardfor` and its relatives: fields added before the request goes out. */
  readonly addFields: ((transaction: Transaction) => boolean) | undefined;
  /** `option clitcpka` with its timers. */
  readonly keepaliveClients: KeepaliveOptions | undefined;
  /** `option h1-case-adjust-bogus-client`. */
  readonly spellHeaders: HeaderSpeller | undefined;
  readonly noLinger: boolean;
  readonly dropsTrailers: boolean;
}

export interface BackendRuntime {
  readonly config: Backend;
  readonly dispatcher: Dispatcher;
  /** `use-server`, cookies, stick tables, `force-persist`: sets `wantedServer` and the like. */
  readonly persist: ((transaction: Transaction) => boolean) | undefined;
  /** Cookies and stick rules of the response. */
  readonly persistResponse: ((transaction: Transaction) => boolean) | undefined;
  readonly addFields: ((transaction: Transaction) => boolean) | undefined;
  /** `option srvtcpka` with its timers. */
  readonly keepaliveServers: KeepaliveOptions | undefined;
  /** `option h1-case-adjust-bogus-server`. */
  readonly spellHeaders: HeaderSpeller | undefined;
  /** By server, where it is spoken to in TLS. */
  readonly tls: readonly (ServerTls | undefined)[];
  /** By server, where it is sent a PROXY header first. */
  readonly proxyHeaders: readonly (ProxyHeader | undefined)[];
  /** `send-name-header`, once the server is known. */
  readonly nameServer: ((transaction: Transaction) => boolean) | undefined;
  readonly pools: readonly ServerPool[];
  readonly mode: ConnectionMode;
  readonly reuse: "never" | "safe" | "aggressive" | "always";
  readonly relaxed: boolean;
  readonly bufferRequest: boolean;
  readonly abortOnClose: boolean;
  readonly pretendKeepalive: boolean;
  readonly preferLastServer: boolean;
  readonly noLinger: boolean;
  readonly dropsTrailers: boolean;
  readonly retries: number;
  /** Undefined: never to another server. See `ProxyOptions.redispatch`. */
  readonly redispatch: number | undefined;
  readonly retryOn: RetryOn;
}

export type ConnectionMode = "http-keep-alive" | "http-server-close" | "httpclose";

/** `retry-on`, taken apart. HAProxy configuration manual §4.2, retry-on. */
export interface RetryOn {
  readonly connectionFailure: boolean;
  readonly emptyResponse: boolean;
  readonly junkResponse: boolean;
  readonly responseTimeout: boolean;
  readonly statuses: ReadonlySet<number>;
}
