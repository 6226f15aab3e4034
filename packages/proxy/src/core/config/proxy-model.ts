import type { Micros, Position, Prefix } from "@ha/base";
import type { Bind } from "./bind-model.ts";
import type { ErrorPage, LogTarget, StickTable } from "./section-model.ts";
import type { Server, SourceAddress } from "./server-model.ts";
import type { Token } from "./token.ts";

/** What frontends and backends share, after `defaults` have been applied. HAProxy configuration manual §4. */
export interface Proxy {
  readonly at: Position;
  readonly name: string;
  readonly kind: "frontend" | "backend" | "listen";
  /** The `id`, or the next free number over all proxies, from 1 (from 2 beside stats sockets); "iid" on the stats page. */
  readonly id: number;
  readonly mode: "tcp" | "http" | "log" | "spop" | "haterm";
  readonly disabled: boolean;
  readonly description: string | undefined;
  readonly options: ProxyOptions;
  readonly timeouts: Timeouts;
  /** `log global` stands resolved: the targets of the global section are in this list. */
  readonly logTargets: readonly LogTarget[];
  readonly logTag: string | undefined;
  /** Pages for statuses that we answer ourselves. In a chain frontend to backend, the backend's win. */
  readonly errorPages: ReadonlyMap<number, ErrorPage>;
  /** Present when any `stats` keyword stands in the proxy or its defaults. */
  readonly stats: StatsPage | undefined;
  readonly stickTable: StickTable | undefined;
  readonly compression: Compression | undefined;
  /** In file order, by ruleset; `acl` lines are in `acls`. */
  readonly rules: ProxyRules;
  readonly acls: readonly AclLine[];
  /** `tcp-request inspect-delay`. */
  readonly inspectDelay: Micros | undefined;
  /** `tcp-response inspect-delay`. */
  readonly responseInspectDelay: Micros | undefined;
  /** `filter` lines: name and arguments. */
  readonly filters: readonly { readonly at: Position; readonly words: readonly Token[] }[];
  readonly emailAlert: EmailAlert | undefined;
}

/** One rule line. `words` start after the ruleset's name (`http-request`), so at the action. */
export interface RuleLine {
  readonly at: Position;
  readonly words: readonly Token[];
}

/** `acl <name> <criterion> …`: `words` start at the criterion. */
export interface AclLine {
  readonly at: Position;
  readonly name: string;
  readonly words: readonly Token[];
}

export type Ruleset =
  | "tcp-request connection"
  | "tcp-request session"
  | "tcp-request content"
  | "tcp-response content"
  | "http-request"
  | "http-response"
  | "http-after-response"
  | "redirect"
  | "use_backend"
  | "use-server"
  | "stick"
  | "force-persist"
  | "force-be-switch"
  | "ignore-persist"
  | "monitor fail"
  | "stats admin"
  | "stats http-request";

export type ProxyRules = Readonly<Record<Ruleset, readonly RuleLine[]>>;

/** The side towards clients: `frontend`, or `listen`. */
export interface Frontend extends Proxy {
  readonly binds: readonly Bind[];
  /** Undefined: the global limit. */
  readonly maxconn: number | undefined;
  readonly backlog: number | undefined;
  /** New sessions a second; 0 is no limit. */
  readonly rateLimitSessions: number;
  readonly defaultBackend: { readonly name: string; readonly at: Position } | undefined;
  readonly monitorUri: string | undefined;
  readonly captures: readonly CaptureLine[];
  /** `declare capture`. */
  readonly declaredCaptures: readonly {
    readonly at: Position;
    readonly side: "request" | "response";
    readonly length: number;
  }[];
  readonly captureCookie:
    | { readonly name: string; readonly length: number; readonly exact: boolean }
    | undefined;
  /** `log-format`, or the built-in format chosen by option httplog, httpslog, tcplog; "none" when nothing says. */
  readonly logFormat: LogFormat;
  readonly errorLogFormat: Token | undefined;
  readonly logFormatSd: Token | undefined;
  readonly uniqueIdFormat: Token | undefined;
  readonly uniqueIdHeader: string | undefined;
  readonly grace: Micros | undefined;
  readonly logSteps: string | undefined;
}

export type LogFormat =
  | { readonly kind: "none" | "tcplog" | "httplog" | "httplog clf" | "httpslog" }
  | { readonly kind: "custom"; readonly format: Token };

/** `capture request|response header`. */
export interface CaptureLine {
  readonly at: Position;
  readonly side: "request" | "response";
  readonly header: string;
  readonly length: number;
}

/** The side towards servers: `backend`, or `listen`. */
export interface Backend extends Proxy {
  readonly servers: readonly Server[];
  /** Words of `balance`; its default (random, as HAProxy 3.5) when none stands. */
  readonly balance: readonly Token[];
  readonly hashType: HashType;
  /** Percent over the average that a server may take; 0 is off. */
  readonly hashBalanceFactor: number;
  readonly retries: number;
  readonly retryOn: readonly string[];
  /** Undefined: a tenth of what the frontends together may send. */
  readonly fullconn: number | undefined;
  readonly httpReuse: "never" | "safe" | "aggressive" | "always";
  /** Requests that may wait for the last server before another is preferred; -1 is any number. */
  readonly maxKeepAliveQueue: number;
  readonly cookie: PersistenceCookie | undefined;
  readonly dynamicCookieKey: string | undefined;
  readonly source: SourceAddress | undefined;
  readonly check: CheckMethod;
  /** `http-check` lines, words after the keyword. */
  readonly httpCheck: readonly RuleLine[];
  /** `tcp-check` lines. */
  readonly tcpCheck: readonly RuleLine[];
  readonly externalCheck: {
    readonly command: string | undefined;
    readonly path: string | undefined;
  };
  readonly sendNameHeader: string | undefined;
  readonly serverStateFile: {
    readonly from: "none" | "global" | "local";
    readonly name: string | undefined;
  };
  /** Name of the RDP cookie (`persist rdp-cookie`). */
  readonly persistRdpCookie: string | undefined;
  /** Servers wait for DNS or were made from a `server-template`. */
  readonly templates: number;
}

export interface HashType {
  readonly method: "map-based" | "consistent";
  readonly function: "sdbm" | "djb2" | "wt6" | "crc32" | "none";
  readonly avalanche: boolean;
}

/** `option httpchk` and its relatives. `args` are the words after the option's name. */
export interface CheckMethod {
  readonly at: Position | undefined;
  readonly kind:
    | "connect"
    | "httpchk"
    | "tcp-check"
    | "smtpchk"
    | "mysql-check"
    | "pgsql-check"
    | "redis-check"
    | "ldap-check"
    | "ssl-hello-chk"
    | "external-check"
    | "spop-check";
  readonly args: readonly string[];
}

/** `timeout …`; absent is infinite. §4.2, timeout. */
export interface Timeouts {
  readonly connect?: Micros;
  readonly client?: Micros;
  readonly server?: Micros;
  readonly queue?: Micros;
  readonly check?: Micros;
  readonly "http-request"?: Micros;
  readonly "http-keep-alive"?: Micros;
  readonly tunnel?: Micros;
  readonly "client-fin"?: Micros;
  readonly "server-fin"?: Micros;
  readonly tarpit?: Micros;
  readonly "client-hs"?: Micros;
}

/** The `option` lines that are on or off, and the few that carry values. §4.2, option. */
export interface ProxyOptions {
  /** Names of all plain options that are on, as `dontlognull`, `http-server-close`, `abortonclose`. */
  readonly on: ReadonlySet<string>;
  /** `http-keep-alive` is the default of mode http. */
  readonly connectionMode: "http-keep-alive" | "http-server-close" | "httpclose";
  readonly forwardfor: ForwardedFor | undefined;
  readonly originalto: ForwardedFor | undefined;
  /** `option forwarded`: words after it. */
  readonly forwarded: readonly Token[] | undefined;
  /** Undefined: off. Negative: every try may go elsewhere after |n| tries from the end (-1: the last); positive: every nth. */
  readonly redispatch: number | undefined;
  /** Headers forbidden from the other side, `option http-restrict-req-hdr-names`. */
  readonly restrictRequestHeaderNames: "preserve" | "delete" | "reject";
  readonly clitcpka: KeepAlive;
  readonly srvtcpka: KeepAlive;
}

export interface KeepAlive {
  readonly count: number | undefined;
  readonly idle: Micros | undefined;
  readonly interval: Micros | undefined;
}

export interface ForwardedFor {
  readonly header: string;
  readonly except: Prefix | undefined;
  readonly ifNone: boolean;
}

/** `cookie`. §4.2. */
export interface PersistenceCookie {
  readonly name: string;
  readonly mode: "rewrite" | "insert" | "prefix" | "passive";
  readonly indirect: boolean;
  readonly nocache: boolean;
  readonly postonly: boolean;
  readonly preserve: boolean;
  readonly httponly: boolean;
  readonly secure: boolean;
  readonly dynamic: boolean;
  /** Each `domain`, joined as HAProxy sends it; undefined for none. */
  readonly domain: string | undefined;
  readonly maxidle: Micros | undefined;
  readonly maxlife: Micros | undefined;
  readonly attributes: readonly string[];
}

/** `stats …` in a proxy. §4.2, stats. */
export interface StatsPage {
  readonly enabled: boolean;
  /** Default `/haproxy?stats`. */
  readonly uri: string;
  readonly realm: string;
  /** `user:password` each. */
  readonly auth: readonly { readonly user: string; readonly password: string }[];
  readonly refresh: Micros | undefined;
  readonly hideVersion: boolean;
  /** undefined: off; "" the proxy's or host's own. */
  readonly showNode: string | undefined;
  readonly showDescription: string | undefined;
  readonly showLegends: boolean;
  readonly showModules: boolean;
  readonly scope: readonly string[];
}

export interface Compression {
  readonly algorithms: {
    readonly request: readonly string[];
    readonly response: readonly string[];
  };
  readonly types: { readonly request: readonly string[]; readonly response: readonly string[] };
  readonly direction: "request" | "response" | "both";
  readonly offload: boolean;
  readonly minSizeBytes: { readonly request: number; readonly response: number };
}

export interface EmailAlert {
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly mailers: string | undefined;
  readonly level: number;
  readonly myhostname: string | undefined;
}
