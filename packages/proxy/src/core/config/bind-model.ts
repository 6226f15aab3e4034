import type { Micros, Position } from "@ha/base";
import type { SocketAddress } from "./address-model.ts";
import type { TlsListener } from "./tls-model.ts";

/** One socket to listen on: a `bind` line with several addresses or a port range gives several of these. HAProxy configuration manual §5.1. */
export interface Bind {
  readonly at: Position;
  /** As written, for `show stat` and error messages. */
  readonly text: string;
  readonly address: SocketAddress;
  readonly name: string | undefined;
  readonly id: number;
  readonly tls: TlsListener | undefined;
  /** `proto`: undefined is chosen by ALPN and the client's first bytes. */
  readonly protocol: string | undefined;
  readonly acceptProxy: boolean;
  /** The magic number of `accept-netscaler-cip`. */
  readonly acceptNetscalerCip: number | undefined;
  readonly backlog: number | undefined;
  /** 0 is unlimited (the frontend's limit holds). */
  readonly maxconn: number;
  readonly deferAccept: boolean;
  readonly fastOpen: boolean;
  readonly transparent: boolean;
  readonly v4v6: boolean;
  readonly v6only: boolean;
  readonly interface: string | undefined;
  readonly namespace: string | undefined;
  readonly mss: number | undefined;
  readonly userTimeout: Micros | undefined;
  readonly congestionControl: string | undefined;
  readonly mptcp: boolean;
  /** Rights of a unix socket's file, with `unix-bind` applied. */
  readonly unix: {
    readonly mode: number | undefined;
    readonly uid: number | undefined;
    readonly gid: number | undefined;
  };
  /** For stats sockets, and for what commands see. */
  readonly level: "user" | "operator" | "admin";
  readonly severityOutput: "none" | "number" | "string";
  readonly exposeFdListeners: boolean;
  /** 1-based thread sets; empty means all. */
  readonly threads: readonly {
    readonly first: number;
    readonly last: number;
    /** 2 takes every other one. */
    readonly step: number;
  }[];
  /** How many sockets share the address by SO_REUSEPORT; `by-thread` and `by-group` are resolved at start. */
  readonly shards: number | "by-thread" | "by-group";
  readonly idlePing: Micros | undefined;
}
