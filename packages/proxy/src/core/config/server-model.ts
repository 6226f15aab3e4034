import type { IpAddress, Micros, Position, Prefix } from "@ha/base";
import type { SocketAddress } from "./address-model.ts";
import type { TlsClient } from "./tls-model.ts";
import type { Token } from "./token.ts";

/** One `server` line, or one instance of a `server-template`, with every default applied. HAProxy configuration manual §5.2. */
export interface Server {
  readonly at: Position;
  readonly name: string;
  /** The `id`, or the next free number of the backend, from 1. */
  readonly id: number;
  readonly address: SocketAddress;
  /** Order in which a host name is turned into an address at start. */
  readonly initAddr: readonly InitAddr[];
  /** 0–256; default 1. */
  readonly weight: number;
  readonly backup: boolean;
  readonly disabled: boolean;
  /** Concurrent requests; 0 is unlimited. */
  readonly maxconn: number;
  /** Lower bound of the dynamic limit between it and `maxconn`; 0 when not dynamic. */
  readonly minconn: number;
  /** Requests waiting for this very server; 0 is unlimited. */
  readonly maxqueue: number;
  /** Zero: full weight at once. */
  readonly slowstart: Micros;
  readonly cookie: string | undefined;
  /** Prefix of a redirect that replaces connecting, for GET and HEAD. */
  readonly redir: string | undefined;
  readonly source: SourceAddress | undefined;
  readonly sendProxy: SendProxy | undefined;
  readonly socks4: SocketAddress | undefined;
  readonly tls: TlsClient | undefined;
  /** How health checks speak TLS: as the traffic does, or by `check-ssl` alone. */
  readonly checkTls: TlsClient | undefined;
  /** What connections speak: undefined is chosen by ALPN, else HTTP/1. */
  readonly protocol: string | undefined;
  /** Present when the server is checked (`check`). `connect` in it says how, beside the backend's check type. */
  readonly check: HealthCheck | undefined;
  readonly agent: AgentCheck | undefined;
  /** Thresholds and what follows from state changes; present whether checked or not. */
  readonly health: HealthPolicy;
  /** `track backend/server`: state comes from that one. */
  readonly track:
    | { readonly backend: string | undefined; readonly server: string; readonly at: Position }
    | undefined;
  readonly resolvers: ResolverUse | undefined;
  readonly pool: ServerPool;
  /** Not entered in stick tables. */
  readonly nonStick: boolean;
  /** Congestion control and TCP options for the connections to it. */
  readonly tcp: {
    readonly userTimeout: Micros | undefined;
    readonly fastOpen: boolean;
    readonly congestionControl: string | undefined;
    readonly mptcp: boolean;
  };
  readonly namespace: string | undefined;
  /** For `log-bufsize` and `log-proto` of `mode log` and rings. */
  readonly log: { readonly protocol: "legacy" | "octet-count" };
  readonly hashKey: "id" | "addr" | "addr-port";
  /** Where the instance of a `server-template` came from. */
  readonly template: boolean;
}

export type InitAddr =
  | { readonly kind: "last" | "libc" | "none" }
  | { readonly kind: "address"; readonly address: IpAddress };

/** Which local address connections come from. HAProxy configuration manual §4.2, source. */
export interface SourceAddress {
  readonly address: SocketAddress | undefined;
  /** Ports to take the local one from, both ends included. */
  readonly ports: { readonly first: number; readonly last: number } | undefined;
  /** `usesrc`: what address the server sees, by transparent proxying. */
  readonly useSource:
    | { readonly kind: "client" | "clientip" }
    | { readonly kind: "address"; readonly address: SocketAddress }
    | { readonly kind: "header"; readonly name: string; readonly occurrence: number }
    | undefined;
  readonly interface: string | undefined;
}

/** `send-proxy`, `send-proxy-v2…` and `proxy-v2-options`. */
export interface SendProxy {
  readonly version: 1 | 2;
  /** TLVs sent in version 2. */
  readonly options: ReadonlySet<
    | "ssl"
    | "cert-cn"
    | "ssl-cipher"
    | "cert-sig"
    | "cert-key"
    | "authority"
    | "crc32c"
    | "unique-id"
  >;
  readonly tlvs: readonly { readonly type: number; readonly format: Token }[];
}

/** HAProxy configuration manual §5.2, check and its relatives. */
export interface HealthCheck {
  /** 0: the server's own port. */
  readonly port: number;
  readonly address: SocketAddress | undefined;
  /** `check-ssl`: TLS for checks where traffic has none; undefined follows the server's `ssl` unless `port` or `addr` differ. */
  readonly ssl: boolean | undefined;
  readonly sni: string | undefined;
  readonly alpn: string | undefined;
  readonly protocol: string | undefined;
  readonly sendProxy: boolean;
  readonly viaSocks4: boolean;
}

export interface AgentCheck {
  readonly port: number;
  readonly address: SocketAddress | undefined;
  readonly interval: Micros;
  readonly send: string | undefined;
}

export interface HealthPolicy {
  /** Between two checks; default 2 s. */
  readonly inter: Micros;
  /** While going up or down; falls back to `inter`. */
  readonly fastinter: Micros | undefined;
  /** While down; falls back to `inter`. */
  readonly downinter: Micros | undefined;
  /** Good checks in a row that make a server up; default 2. */
  readonly rise: number;
  /** Bad checks in a row that make it down; default 3. */
  readonly fall: number;
  readonly observe: "none" | "layer4" | "layer7";
  /** Errors seen by `observe` that trigger `onError`; default 10. */
  readonly errorLimit: number;
  readonly onError: "fastinter" | "fail-check" | "sudden-death" | "mark-down";
  readonly onMarkedDown: "none" | "shutdown-sessions";
  readonly onMarkedUp: "none" | "shutdown-backup-sessions";
  readonly initState: "fully-up" | "up" | "down" | "fully-down";
}

export interface ResolverUse {
  readonly resolvers: string;
  readonly at: Position;
  readonly prefer: "ipv4" | "ipv6";
  readonly network: readonly Prefix[];
  readonly allowDuplicateAddress: boolean;
  readonly ignoreWeight: boolean;
  readonly preventDuplicateAddress: boolean;
}

export interface ServerPool {
  /** Idle connections kept; -1 unlimited (default). */
  readonly maxIdle: number;
  /** How often half of the idle ones are closed; default 5 s. */
  readonly purgeDelay: Micros;
  /** Uses of one connection; -1 unlimited. */
  readonly maxReuse: number;
}
