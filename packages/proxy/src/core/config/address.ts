import { formatAddress, type IpAddress, parseAddress } from "@ha/base";
import type { SocketAddress } from "./address-model.ts";

/** What kinds of addresses a keyword takes. */
export interface AddressRules {
  /** A port must be there (bind), may be (server), or must not be. */
  readonly port: "required" | "optional" | "none";
  /** `80-89`. */
  readonly portRange?: boolean;
  /** `+1000`, `-1000`: added to the client's. */
  readonly portOffset?: boolean;
  /** Port 0 is an address as any other. */
  readonly portZero?: boolean;
  readonly stream: boolean;
  readonly datagram: boolean;
  /** `fd@N`, `sockpair@N`. */
  readonly inherited: boolean;
  /** Unix and abstract sockets. */
  readonly local: boolean;
  /** Put before the path of a unix socket. */
  readonly unixPrefix?: string;
  /** Names are taken, to be resolved by the caller. */
  readonly names: boolean;
  /** Which transport `udp@`-less addresses mean. */
  readonly defaultProtocol?: "stream" | "datagram";
}

export interface ParsedAddress {
  readonly address: SocketAddress;
  /** Greater than the port where a range was written. */
  readonly lastPort: number;
  /** A name is to be resolved to an address of this family. */
  readonly unresolved: { readonly host: string; readonly family: 4 | 6 | undefined } | undefined;
}

export type AddressResult =
  | { readonly ok: true; readonly value: ParsedAddress }
  | { readonly ok: false; readonly message: string };

/** Families and transports that a prefix names. HAProxy configuration manual §11.2 (2.6: bind in §4.2). */
const PREFIXES: ReadonlyMap<
  string,
  {
    readonly kind: "inet" | "unix" | "abns" | "abnsz" | "fd" | "sockpair" | "refused";
    readonly family?: 4 | 6;
    readonly protocol?: "stream" | "datagram";
  }
> = new Map([
  ["ipv4", { kind: "inet", family: 4 }],
  ["ipv6", { kind: "inet", family: 6 }],
  ["tcp", { kind: "inet", protocol: "stream" }],
  ["tcp4", { kind: "inet", family: 4, protocol: "stream" }],
  ["tcp6", { kind: "inet", family: 6, protocol: "stream" }],
  ["mptcp", { kind: "inet", protocol: "stream" }],
  ["mptcp4", { kind: "inet", family: 4, protocol: "stream" }],
  ["mptcp6", { kind: "inet", family: 6, protocol: "stream" }],
  ["udp", { kind: "inet", protocol: "datagram" }],
  ["udp4", { kind: "inet", family: 4, protocol: "datagram" }],
  ["udp6", { kind: "inet", family: 6, protocol: "datagram" }],
  ["unix", { kind: "unix" }],
  ["uxst", { kind: "unix", protocol: "stream" }],
  ["uxdg", { kind: "unix", protocol: "datagram" }],
  ["abns", { kind: "abns" }],
  ["abnsz", { kind: "abnsz" }],
  ["fd", { kind: "fd" }],
  ["sockpair", { kind: "sockpair" }],
  ["quic4", { kind: "refused" }],
  ["quic6", { kind: "refused" }],
  ["quic", { kind: "refused" }],
  ["rhttp", { kind: "refused" }],
  ["rev", { kind: "refused" }],
] as const);

/**
 * Reads one address as HAProxy's `str2sa_range`: `[PREFIX@]HOST[:PORT]`, a path, `fd@N`. Messages are HAProxy's.
 * A name is left unresolved; the caller has it resolved.
 */
export function parseSocketAddress(text: string, rules: AddressRules): AddressResult {
  if (text === "") {
    return refuse(`'${text}' resolves to an empty address (environment variable missing?)`);
  }
  let rest = text;
  let protocol: "stream" | "datagram" =
    rules.defaultProtocol ?? (rules.stream ? "stream" : "datagram");
  // `stream+fd@3`, `dgram+127.0.0.1:514`: the newest spelling of the transport.
  const transport = /^(stream|dgram|quic)\+/.exec(rest);
  if (transport !== null) {
    if (transport[1] === "quic") return refuse(quicMessage(text));
    protocol = transport[1] === "stream" ? "stream" : "datagram";
    rest = rest.slice(transport[0].length);
  }
  const at = rest.indexOf("@");
  let family: 4 | 6 | undefined;
  let kind: "inet" | "unix" | "abns" | "abnsz" | "fd" | "sockpair" | "refused" = rest.startsWith(
    "/",
  )
    ? "unix"
    : "inet";
  if (at !== -1) {
    const prefix = PREFIXES.get(rest.slice(0, at));
    if (prefix !== undefined) {
      kind = prefix.kind;
      family = prefix.family;
      if (prefix.protocol !== undefined) protocol = prefix.protocol;
      rest = rest.slice(at + 1);
    }
  }
  if (kind === "refused") {
    return text.startsWith("quic")
      ? refuse(quicMessage(text))
      : refuse(`reverse connections ('${text}') are not served by lbproxy.`);
  }
  if (protocol === "datagram" && !rules.datagram) {
    return refuse(`dgram-type address not acceptable in '${text}'`);
  }
  if (protocol === "stream" && !rules.stream) {
    return refuse(`stream-type address not acceptable in '${text}'`);
  }
  switch (kind) {
    case "unix":
      if (!rules.local) return refuse(`unix sockets are not acceptable in '${text}'`);
      return done({ kind: "unix", path: (rules.unixPrefix ?? "") + rest, protocol });
    case "abns":
    case "abnsz":
      if (!rules.local) return refuse(`unix sockets are not acceptable in '${text}'`);
      return done({ kind: "abstract", name: rest, padded: kind === "abns" });
    case "fd":
    case "sockpair": {
      if (!rules.inherited) return refuse(`a file descriptor is not acceptable here in '${text}'`);
      const fd = /^\d{1,7}$/.test(rest) ? Number(rest) : undefined;
      if (fd === undefined)
        return refuse(`file descriptor '${rest}' is not a valid integer in '${text}'`);
      return done({ kind, fd });
    }
    case "inet":
      return parseInet(text, rest, family, protocol, rules);
  }
}

function parseInet(
  text: string,
  rest: string,
  family: 4 | 6 | undefined,
  protocol: "stream" | "datagram",
  rules: AddressRules,
): AddressResult {
  // The port is after the last colon, unless brackets close after it; an IPv6 address without port ends in a colon.
  let host = rest;
  let portText = "";
  const colon = rest.lastIndexOf(":");
  if (colon > rest.lastIndexOf("]")) {
    host = rest.slice(0, colon);
    portText = rest.slice(colon + 1);
  }
  const port = parsePort(text, portText, rules);
  if (typeof port === "string") return refuse(port);

  if (host.startsWith("[") && host.endsWith("]")) host = host.slice(1, -1);
  const make = (address: IpAddress | undefined, name: string | undefined): SocketAddress => ({
    kind: "inet",
    address,
    host: name,
    port: port.first,
    relativePort: port.relative,
    protocol,
  });
  const found = literalAddress(host, family);
  if (found !== undefined) return done(make(found, undefined), port.last);
  if (!rules.names || !isHostName(host)) return refuse(`invalid address: '${host}' in '${text}'`);
  return {
    ok: true,
    value: { address: make(undefined, host), lastPort: port.last, unresolved: { host, family } },
  };
}

/** `*`, nothing, or an address in figures. */
function literalAddress(host: string, family: 4 | 6 | undefined): IpAddress | undefined {
  if (host === "" || host === "*") {
    return { family: family ?? 4, bytes: new Uint8Array(family === 6 ? 16 : 4) };
  }
  const address = parseAddress(host);
  if (address === undefined || (family !== undefined && address.family !== family))
    return undefined;
  return address;
}

/** The manual asks for RFC 1035 names; underscores occur in service names. */
function isHostName(host: string): boolean {
  return /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,252})?$/.test(host) && !/^\d+(\.\d+){0,3}$/.test(host);
}

interface Ports {
  readonly first: number;
  readonly last: number;
  readonly relative: boolean;
}

function parsePort(text: string, port: string, rules: AddressRules): Ports | string {
  if (port === "") {
    if (rules.port === "required") return `missing port specification in '${text}'`;
    return { first: 0, last: 0, relative: false };
  }
  if (rules.port === "none") return `port specification not permitted here in '${text}'`;
  const sign = port[0];
  if (sign === "+" || sign === "-") {
    if (rules.portOffset !== true) return `port offset not permitted here in '${text}'`;
    const offset = readPort(port.slice(1), text);
    if (typeof offset === "string") return offset;
    return { first: sign === "-" ? -offset : offset, last: 0, relative: true };
  }
  const dash = port.indexOf("-");
  if (dash !== -1) {
    if (rules.portRange !== true) return `port range not permitted here in '${text}'`;
    const [low, high] = [port.slice(0, dash), port.slice(dash + 1)];
    const first = readPort(low, text);
    const last = readPort(high, text);
    if (typeof first === "string") return first;
    if (typeof last === "string") return last;
    if (first < 1) return `invalid port '${low}'`;
    if (last < 1) return `invalid port '${high}'`;
    if (first > last) return `invalid port range '${port}'`;
    return { first, last, relative: false };
  }
  const number = readPort(port, text);
  if (typeof number === "string") return number;
  if (number === 0 && rules.portZero !== true) return `invalid port '${port}'`;
  return { first: number, last: number, relative: false };
}

function readPort(port: string, text: string): number | string {
  const bad = /[^0-9]/.exec(port);
  if (bad !== null) return `invalid character '${bad[0]}' in port number '${port}' in '${text}'`;
  const number = Number(port);
  if (port === "" || number > 65_535) return `invalid port '${port}'`;
  return number;
}

function quicMessage(text: string): string {
  return `unsupported stream protocol for datagram family 2 address '${text}'; QUIC is not compiled in if this is what you were looking for.`;
}

function refuse(message: string): AddressResult {
  return { ok: false, message };
}

function done(address: SocketAddress, lastPort?: number): AddressResult {
  const port = address.kind === "inet" ? address.port : 0;
  return { ok: true, value: { address, lastPort: lastPort ?? port, unresolved: undefined } };
}

/** As HAProxy writes it: `127.0.0.1:80`, `[::1]:80`, a path, `fd@3`. */
export function formatSocketAddress(address: SocketAddress): string {
  switch (address.kind) {
    case "inet": {
      const host =
        address.address === undefined ? (address.host ?? "*") : formatAddress(address.address);
      const bracketed = host.includes(":") ? `[${host}]` : host;
      const sign = address.relativePort && address.port >= 0 ? "+" : "";
      return `${bracketed}:${sign}${address.port}`;
    }
    case "unix":
      return address.path;
    case "abstract":
      return `${address.padded ? "abns" : "abnsz"}@${address.name}`;
    case "fd":
      return `fd@${address.fd}`;
    case "sockpair":
      return `sockpair@${address.fd}`;
  }
}
