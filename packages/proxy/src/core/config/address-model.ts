import type { IpAddress } from "@ha/base";

/** Where a socket is bound or connected to. HAProxy configuration manual §11 (2.6: §4.2 bind, §5.2 server). */
export type SocketAddress =
  | InetAddress
  | UnixAddress
  | AbstractAddress
  | InheritedAddress
  | SocketPairAddress;

export interface InetAddress {
  readonly kind: "inet";
  /** Absent while `host` is not resolved (`init-addr none`), never absent on a `bind`. */
  readonly address: IpAddress | undefined;
  /** The name that was written where an address would stand; absent when an address or `*` stood there. */
  readonly host: string | undefined;
  /** 0–65535; on a server 0 without `relativePort` means "the port that the client connected to". */
  readonly port: number;
  /** For a `server`: `+N` or `-N`, to be added to the port the client connected to. */
  readonly relativePort: boolean;
  readonly protocol: "stream" | "datagram";
}

export interface UnixAddress {
  readonly kind: "unix";
  /** As written, with `unix-bind prefix` in front where that applies. */
  readonly path: string;
  readonly protocol: "stream" | "datagram";
}

/** The abstract namespace of Linux; `padded` names (abns@) fill the whole field with zeros, abnsz@ ends at the name. */
export interface AbstractAddress {
  readonly kind: "abstract";
  readonly name: string;
  readonly padded: boolean;
}

/** `fd@N`: a socket that was open before we started. Already bound, and listening where it is a listener. */
export interface InheritedAddress {
  readonly kind: "fd";
  readonly fd: number;
}

export interface SocketPairAddress {
  readonly kind: "sockpair";
  readonly fd: number;
}
