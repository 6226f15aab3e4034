import type { ProxyState } from "../../server/proxy-state.ts";
import { type Endpoint, NONE, type Transaction } from "../../transaction.ts";
import type { Fetch, FetchKeyword } from "../fetch-keyword.ts";
import {
  ADDR,
  encodeText,
  IPV4,
  IPV6,
  type Sample,
  SINT,
  STR,
  setBytes,
  setInt,
  setRange,
} from "../sample.ts";
import { type Family, flag, number, plain } from "./declare.ts";

const CLIENT: Family = { layer: "client", source: "HAProxy configuration manual §7.3.3" };
const BACKEND: Family = { ...CLIENT, layer: "backend" };
const SERVER: Family = { ...CLIENT, layer: "server" };

/** Addresses, ports, names and numbers of the two connections, and timeouts. */
export const CLIENT_FETCHES: readonly FetchKeyword[] = [
  address(
    CLIENT,
    "src",
    "The client's address, as PROXY protocol or set-src left it.",
    (t) => t.session.source,
  ),
  port(CLIENT, "src_port", "The client's port.", (t) => t.session.source),
  address(CLIENT, "dst", "The address that the client connected to.", (t) => t.session.destination),
  port(CLIENT, "dst_port", "The port that the client connected to.", (t) => t.session.destination),
  address(
    CLIENT,
    "fc_src",
    "The client connection's own source address.",
    (t) => t.session.peerSource,
  ),
  port(
    CLIENT,
    "fc_src_port",
    "The client connection's own source port.",
    (t) => t.session.peerSource,
  ),
  address(
    CLIENT,
    "fc_dst",
    "The client connection's own destination address.",
    (t) => t.session.peerDestination,
  ),
  port(
    CLIENT,
    "fc_dst_port",
    "The client connection's own destination port.",
    (t) => t.session.peerDestination,
  ),
  local(
    CLIENT,
    "src_is_local",
    "Whether the client's address is loopback or the one that it connected to.",
    (t) => t.session.source,
    (t) => t.session.destination,
  ),
  local(
    CLIENT,
    "dst_is_local",
    "Whether the destination is an address of this host (loopback, or what the connection really came in on).",
    (t) => t.session.destination,
    (t) => t.session.peerDestination,
  ),
  local(
    CLIENT,
    "fc_src_is_local",
    "As src_is_local, of the connection's own addresses.",
    (t) => t.session.peerSource,
    (t) => t.session.peerDestination,
  ),
  local(
    CLIENT,
    "fc_dst_is_local",
    "As dst_is_local, of the connection's own addresses.",
    (t) => t.session.peerDestination,
    (t) => t.session.peerDestination,
  ),
  address(SERVER, "bc_src", "Our address on the connection to the server.", (t) => t.serverSource),
  port(SERVER, "bc_src_port", "Our port on the connection to the server.", (t) => t.serverSource),
  address(
    SERVER,
    "bc_dst",
    "The server's address on the connection to it.",
    (t) => t.serverDestination,
  ),
  port(
    SERVER,
    "bc_dst_port",
    "The server's port on the connection to it.",
    (t) => t.serverDestination,
  ),
  number(CLIENT, "fc_http_major", "1 or 2: the HTTP version on the client connection.", (t) =>
    t.requestHead.version === 20 ? 2 : 1,
  ),
  number(
    SERVER,
    "bc_http_major",
    "1 or 2: the HTTP version on the connection to the server.",
    (t) => (t.hasResponse ? (t.responseHead.version === 20 ? 2 : 1) : undefined),
  ),
  flag(
    CLIENT,
    "fc_rcvd_proxy",
    "Whether the client connection began with a PROXY protocol header.",
    (t) => t.session.proxyTlvs !== undefined,
  ),
  tlv("fc_pp_authority", "The host name that PROXY protocol version 2 brought (TLV 2).", 2),
  tlv("fc_pp_unique_id", "The unique id that PROXY protocol version 2 brought (TLV 5).", 5),
  {
    name: "fc_pp_tlv",
    syntax: "fc_pp_tlv(<id>)",
    doc: "The value of that TLV of the PROXY protocol header (a number, or AUTHORITY, UNIQUE_ID, ALPN, CRC32C, NETNS).",
    source: "HAProxy configuration manual §7.3.3 (3.5)",
    layer: "client",
    type: STR,
    arity: [1, 1],
    compile: ([id], _context, _token) =>
      tlvFetch(TLV_NAMES[id?.text.toUpperCase() ?? ""] ?? Number(id?.text)),
  },
  plain(
    CLIENT,
    "dst_conn",
    SINT,
    "Connections of the frontend now (of its listener in HAProxy).",
    ({ world }) =>
      (t, sample) => {
        const proxy = world.proxies[t.frontend];
        return proxy !== undefined && setInt(sample, proxy.counters.clientConnections);
      },
  ),
  number(
    CLIENT,
    "so_id",
    "Number of the `bind` in its frontend, from 1.",
    (t) => t.session.listener + 1,
  ),
  plain(CLIENT, "so_name", STR, "Name of the `bind`.", ({ world }) => (t, sample) => {
    const name = world.proxies[t.session.frontend]?.frontend?.binds[t.session.listener]?.name;
    return name !== undefined && setBytes(sample, STR, encodeText(name));
  }),
  ofProxy(
    CLIENT,
    "fe_id",
    "The frontend's id.",
    SINT,
    (t) => t.frontend,
    (proxy) => proxy.frontend?.id,
  ),
  ofProxy(
    CLIENT,
    "fe_name",
    "The frontend's name.",
    STR,
    (t) => t.frontend,
    (proxy) => proxy.name,
  ),
  ofProxy(
    CLIENT,
    "fe_defbe",
    "The frontend's default backend.",
    STR,
    (t) => t.frontend,
    (proxy) => proxy.frontend?.defaultBackend?.name,
  ),
  ofProxy(
    CLIENT,
    "fe_client_timeout",
    "The frontend's client timeout in milliseconds.",
    SINT,
    (t) => t.frontend,
    (proxy) => milliseconds(proxy.frontend?.timeouts.client),
  ),
  ofProxy(
    BACKEND,
    "be_id",
    "The backend's id.",
    SINT,
    (t) => t.backend,
    (proxy) => proxy.backend?.id,
  ),
  ofProxy(
    BACKEND,
    "be_name",
    "The backend's name.",
    STR,
    (t) => t.backend,
    (proxy) => proxy.name,
  ),
  ofProxy(
    BACKEND,
    "be_server_timeout",
    "The backend's server timeout in milliseconds.",
    SINT,
    (t) => t.backend,
    (proxy) => milliseconds(proxy.backend?.timeouts.server),
  ),
  ofProxy(
    BACKEND,
    "be_tunnel_timeout",
    "The backend's tunnel timeout in milliseconds.",
    SINT,
    (t) => t.backend,
    (proxy) => milliseconds(proxy.backend?.timeouts.tunnel),
  ),
  ofProxy(
    BACKEND,
    "be_connect_timeout",
    "The backend's connect timeout in milliseconds.",
    SINT,
    (t) => t.backend,
    (proxy) => milliseconds(proxy.backend?.timeouts.connect),
  ),
  plain(
    CLIENT,
    "cur_client_timeout",
    SINT,
    "The client timeout in force, milliseconds.",
    ({ world }) =>
      (t, sample) => {
        const value =
          t.timeoutClient > 0
            ? t.timeoutClient
            : milliseconds(world.proxies[t.frontend]?.frontend?.timeouts.client);
        return value !== undefined && setInt(sample, value);
      },
  ),
  plain(
    BACKEND,
    "cur_server_timeout",
    SINT,
    "The server timeout in force, milliseconds.",
    ({ world }) =>
      (t, sample) => {
        const value =
          t.timeoutServer > 0
            ? t.timeoutServer
            : milliseconds(world.proxies[t.backend]?.backend?.timeouts.server);
        return value !== undefined && setInt(sample, value);
      },
  ),
  plain(
    BACKEND,
    "cur_tunnel_timeout",
    SINT,
    "The tunnel timeout in force, milliseconds.",
    ({ world }) =>
      (t, sample) => {
        const value =
          t.timeoutTunnel > 0
            ? t.timeoutTunnel
            : milliseconds(world.proxies[t.backend]?.backend?.timeouts.tunnel);
        return value !== undefined && setInt(sample, value);
      },
  ),
  plain(SERVER, "srv_id", SINT, "The server's id.", ({ world }) => (t, sample) => {
    const id = world.proxies[t.backend]?.backend?.servers[t.server]?.id;
    return id !== undefined && setInt(sample, id);
  }),
  plain(SERVER, "srv_name", STR, "The server's name.", ({ world }) => {
    const names = new Map<object, Uint8Array>();
    return (t, sample) => {
      const server = world.proxies[t.backend]?.backend?.servers[t.server];
      if (server === undefined) return false;
      let bytes = names.get(server);
      if (bytes === undefined) {
        bytes = encodeText(server.name);
        names.set(server, bytes);
      }
      return setBytes(sample, STR, bytes);
    };
  }),
];

const TLV_NAMES: Readonly<Record<string, number>> = {
  ALPN: 1,
  AUTHORITY: 2,
  CRC32C: 3,
  UNIQUE_ID: 5,
  NETNS: 0x30,
};

function milliseconds(time: number | undefined): number | undefined {
  return time === undefined ? undefined : time / 1000;
}

type EndpointOf = (transaction: Transaction) => Endpoint;

function address(family: Family, name: string, doc: string, of: EndpointOf): FetchKeyword {
  return plain(
    family,
    name,
    ADDR,
    doc,
    () => (transaction, sample) => setAddress(sample, of(transaction)),
  );
}

/** The endpoint's address; none for a unix socket or one not known. */
export function setAddress(sample: Sample, endpoint: Endpoint): boolean {
  if (endpoint.family === 0) return false;
  return endpoint.family === 4
    ? setRange(sample, IPV4, endpoint.address, 0, 4)
    : setRange(sample, IPV6, endpoint.address, 0, 16);
}

function port(family: Family, name: string, doc: string, of: EndpointOf): FetchKeyword {
  return number(family, name, doc, (transaction) => {
    const endpoint = of(transaction);
    return endpoint.family === 0 ? undefined : endpoint.port;
  });
}

function local(
  family: Family,
  name: string,
  doc: string,
  of: EndpointOf,
  own: EndpointOf,
): FetchKeyword {
  return flag(family, name, doc, (transaction) => {
    const a = of(transaction);
    if (a.family === 0) return true;
    if (isLoopback(a)) return true;
    const b = own(transaction);
    return (
      a.family === b.family &&
      a.address.every((byte, i) => i >= (a.family === 4 ? 4 : 16) || byte === b.address[i])
    );
  });
}

function isLoopback({ family, address }: Endpoint): boolean {
  if (family === 4) return address[0] === 127;
  return address[15] === 1 && address.subarray(0, 15).every((byte) => byte === 0);
}

function tlv(name: string, doc: string, type: number): FetchKeyword {
  return plain(CLIENT, name, STR, doc, () => tlvFetch(type));
}

function tlvFetch(type: number): Fetch {
  return (transaction, sample) => {
    const value = transaction.session.proxyTlvs?.get(type);
    return value !== undefined && setBytes(sample, STR, value);
  };
}

function ofProxy(
  family: Family,
  name: string,
  doc: string,
  type: typeof SINT | typeof STR,
  index: (transaction: Transaction) => number,
  read: (proxy: ProxyState) => number | string | undefined,
): FetchKeyword {
  return plain(family, name, type, doc, ({ world }) => {
    const made: (Uint8Array | undefined)[] = [];
    return (transaction, sample) => {
      const at = index(transaction);
      const proxy = world.proxies[at];
      if (at === NONE || proxy === undefined) return false;
      const known = made[at];
      if (known !== undefined) return setBytes(sample, STR, known);
      const value = read(proxy);
      if (typeof value === "number") return setInt(sample, value);
      if (value === undefined) return false;
      const bytes = encodeText(value);
      made[at] = bytes;
      return setBytes(sample, STR, bytes);
    };
  });
}
