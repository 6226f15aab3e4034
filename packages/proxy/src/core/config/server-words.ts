import { type IpAddress, type Prefix, parseAddress } from "@ha/base";
import type { ServerDraft } from "./draft.ts";
import { indexByName } from "./keyword.ts";
import { readAddress } from "./reading.ts";
import { serverCheckWords } from "./server-check-words.ts";
import type { InitAddr, SendProxy, ServerPool } from "./server-model.ts";
import { serverTlsWords } from "./server-tls-words.ts";
import {
  CONNECT,
  count,
  counted,
  plain,
  type ServerWord,
  type ServerWords,
  SOURCE,
  timed,
  valued,
} from "./server-word.ts";
import { parseWhole } from "./values.ts";

const pool = (words: ServerWords, change: Partial<ServerPool>): void => {
  words.server.pool = { ...words.server.pool, ...change };
};

/** HAProxy configuration manual §5.2, without health checks and TLS. */
const trafficWords: readonly ServerWord[] = [
  plain("backup", "Used only when no other server is left.", (w) => {
    w.server.backup = true;
  }),
  plain("no-backup", "Undoes backup.", (w) => {
    w.server.backup = false;
  }),
  valued(
    "cc",
    "<algorithm>",
    "'cc' : missing congestion control algorithm",
    "Congestion control of connections to it.",
    (w, v) => {
      w.server.tcp = { ...w.server.tcp, congestionControl: v };
    },
  ),
  valued(
    "cookie",
    "<value>",
    "'cookie' expects <value> as argument..",
    "Its value in the persistence cookie.",
    (w, v) => {
      w.server.cookie = v;
    },
  ),
  plain("disabled", "Starts in maintenance.", (w) => {
    w.server.disabled = true;
  }),
  plain("enabled", "Undoes disabled.", (w) => {
    w.server.disabled = false;
  }),
  valued(
    "guid",
    "<text>",
    "'guid' : expects an argument",
    "A name that stays the same over reloads, which nothing here reads.",
    () => {},
    "tuning",
  ),
  valued(
    "hash-key",
    "<key>",
    "'hash-key' expects 'id', 'addr', or 'addr-port' value",
    "What consistent hashing places it by.",
    (w, v) => {
      if (v !== "id" && v !== "addr" && v !== "addr-port") {
        return `'hash-key' has to be 'id', 'addr', or 'addr-port'`;
      }
      w.server.hashKey = v;
      return undefined;
    },
  ),
  valued("id", "<number>", "'id' : custom id has to be > 0.", "Its number.", (w, v) => {
    const id = parseWhole(v) ?? 0;
    if (id <= 0) return "'id' : custom id has to be > 0.";
    w.server.id = id;
    return undefined;
  }),
  { ...timed("idle-ping", "Pings on idle HTTP/2 connections.", () => {}), status: "ignored" },
  valued(
    "init-addr",
    "<method>[,…]",
    "'init-addr' : missing value",
    "How its name is resolved at start: last, libc, none, or an address.",
    (w, v) => {
      const methods: InitAddr[] = [];
      for (const part of v.split(",")) {
        const address = parseAddress(part);
        if (part === "last" || part === "libc" || part === "none") methods.push({ kind: part });
        else if (address !== undefined) methods.push({ kind: "address", address });
        else {
          return `'init-addr' : unknown init-addr method '${part}', supported methods are 'libc', 'last', 'none'..`;
        }
      }
      w.server.initAddr = methods;
      return undefined;
    },
  ),
  valued(
    "log-bufsize",
    "<bytes>",
    "'log-bufsize' expects an integer argument",
    "Buffer of log lines.",
    () => {},
    "tuning",
  ),
  valued(
    "log-proto",
    "<name>",
    "'log-proto' : expects 'legacy' or 'octet-count'",
    "How log lines are told apart on a stream.",
    (w, v) => {
      if (v !== "legacy" && v !== "octet-count")
        return `'log-proto' expects one of 'octet-count' or 'legacy' but got '${v}'`;
      w.server.log = { ...w.server.log, protocol: v };
      return undefined;
    },
  ),
  counted("maxconn", "Concurrent requests.", (w, v) => {
    w.server.maxconn = v;
  }),
  counted("minconn", "Lower end of a dynamic maxconn.", (w, v) => {
    w.server.minconn = v;
  }),
  counted("maxqueue", "Requests that may wait for it.", (w, v) => {
    w.server.maxqueue = v;
  }),
  counted("max-reuse", "Uses of one connection.", (w, maxReuse) => pool(w, { maxReuse })),
  valued(
    "namespace",
    "<name>",
    "'namespace' : expects <name> as argument",
    "Network namespace to connect from.",
    (w, v) => {
      w.server.namespace = v;
    },
    "later",
  ),
  plain("non-stick", "Not entered in stick tables.", (w) => {
    w.server.nonStick = true;
  }),
  plain("stick", "Undoes non-stick.", (w) => {
    w.server.nonStick = false;
  }),
  valued(
    "pool-conn-name",
    "<expression>",
    "'pool-conn-name' expects an expression",
    "What idle connections are told apart by.",
    () => {},
    "later",
  ),
  {
    ...counted(
      "pool-low-conn",
      "Idle connections below which threads keep their own: here they always do.",
      () => {},
    ),
    status: "tuning",
  },
  counted("pool-max-conn", "Idle connections kept.", (w, maxIdle) => pool(w, { maxIdle })),
  timed("pool-purge-delay", "How often idle connections are thinned out.", (w, purgeDelay) =>
    pool(w, { purgeDelay }),
  ),
  valued(
    "proto",
    "<name>",
    "'proto' : missing value",
    "What connections speak: h1, h2, none.",
    (w, v) => {
      if (v === "fcgi") return "'proto' : FastCGI is not served by lbproxy.";
      if (!["h1", "h2", "none"].includes(v)) return `'proto' :  unknown MUX protocol '${v}'.`;
      w.server.protocol = v;
      return undefined;
    },
  ),
  valued(
    "redir",
    "<prefix>",
    "'redir' expects <prefix> as argument..",
    "Answers GET and HEAD by a redirect there.",
    (w, v) => {
      w.server.redir = v;
    },
    "later",
  ),
  valued(
    "resolvers",
    "<name>",
    "'resolvers' expects a name as argument..",
    "Resolves its name at run time.",
    (w, v, { line }) => {
      w.server.resolvers = { ...resolversOf(w), resolvers: v, at: line.at };
    },
  ),
  valued(
    "resolve-prefer",
    "ipv4|ipv6",
    "'resolve-prefer' expects either ipv4 or ipv6 as argument.",
    "Which family of addresses.",
    (w, v) => {
      if (v !== "ipv4" && v !== "ipv6")
        return "'resolve-prefer' expects either ipv4 or ipv6 as argument.";
      w.server.resolvers = { ...resolversOf(w), prefer: v };
      return undefined;
    },
  ),
  valued(
    "resolve-opts",
    "<option>[,…]",
    "'resolve-opts' expects a list of options",
    "allow-dup-ip, ignore-weight, prevent-dup-ip.",
    (w, v) => {
      for (const option of v.split(",")) {
        const use = resolversOf(w);
        if (option === "allow-dup-ip") w.server.resolvers = { ...use, allowDuplicateAddress: true };
        else if (option === "ignore-weight") w.server.resolvers = { ...use, ignoreWeight: true };
        else if (option === "prevent-dup-ip")
          w.server.resolvers = { ...use, preventDuplicateAddress: true };
        else
          return `'resolve-opts' : unknown resolve-opts option '${option}', supported methods are 'allow-dup-ip', 'ignore-weight', and 'prevent-dup-ip'.`;
      }
      return undefined;
    },
  ),
  valued(
    "resolve-net",
    "<network>[,…]",
    "'resolve-net' expects a list of networks as argument.",
    "Networks preferred.",
    (w, v) => {
      const networks = v.split(",").map(parsePrefix);
      const good = networks.filter((network) => network !== undefined);
      if (good.length < networks.length) return `'resolve-net' invalid network address '${v}'.`;
      w.server.resolvers = { ...resolversOf(w), network: good };
      return undefined;
    },
  ),
  plain("send-proxy", "PROXY protocol, version 1.", (w) => {
    w.server.sendProxy = { ...proxyOf(w), version: 1 };
  }),
  plain("send-proxy-v2", "PROXY protocol, version 2.", (w) => {
    w.server.sendProxy = { ...proxyOf(w), version: 2 };
  }),
  plain("send-proxy-v2-ssl", "Version 2 with facts of TLS.", (w) => addProxyOptions(w, ["ssl"])),
  plain("send-proxy-v2-ssl-cn", "Version 2 with the client certificate's name too.", (w) =>
    addProxyOptions(w, ["ssl", "cert-cn"]),
  ),
  ...["no-send-proxy", "no-send-proxy-v2", "no-send-proxy-v2-ssl", "no-send-proxy-v2-ssl-cn"].map(
    (name) =>
      plain(name, `Undoes ${name.slice(3)}.`, (w) => {
        w.server.sendProxy = undefined;
      }),
  ),
  valued(
    "proxy-v2-options",
    "<option>[,…]",
    "'proxy-v2-options' : missing value",
    "More TLVs in version 2.",
    (w, v, { line }) => {
      const known = [
        "ssl",
        "cert-cn",
        "ssl-cipher",
        "cert-sig",
        "cert-key",
        "authority",
        "crc32c",
        "unique-id",
      ] as const;
      const options: (typeof known)[number][] = [];
      for (const part of v.split(",")) {
        const option = known.find((name) => name === part);
        if (option === undefined) return `'${part}' : proxy v2 option not implemented.`;
        if (option === "cert-sig" || option === "cert-key")
          line.warn(`'${option}' of proxy-v2-options is not supported by lbproxy: it is not sent.`);
        options.push(option);
      }
      addProxyOptions(w, options);
      return undefined;
    },
  ),
  {
    name: "set-proxy-v2-tlv-fmt",
    syntax: "set-proxy-v2-tlv-fmt(<id>) <format>",
    doc: "One more TLV in version 2.",
    source: SOURCE,
    status: "works",
    missing: "'set-proxy-v2-tlv-fmt' : missing format",
    read: (w, _v, { line, index }) => {
      const word = line.words[index];
      const format = line.words[index + 1];
      const type = Number(/\((0x[0-9a-fA-F]+|\d+)\)$/.exec(word?.text ?? "")?.[1] ?? Number.NaN);
      if (!(type >= 0 && type <= 255))
        return "'set-proxy-v2-tlv-fmt' : TLV ID must be between 0 and 255";
      if (format === undefined) return undefined;
      const before = proxyOf(w);
      w.server.sendProxy = { ...before, version: 2, tlvs: [...before.tlvs, { type, format }] };
      return undefined;
    },
  },
  {
    ...counted(
      "shard",
      "Peers, which are not served yet: which share of the keys goes there.",
      () => {},
    ),
    status: "tuning",
  },
  timed(
    "slowstart",
    "Grows to full weight over that time.",
    (w, v) => {
      w.server.slowstart = v;
    },
    { unit: 1_000_000 },
  ),
  valued(
    "socks4",
    "<address>:<port>",
    "'socks4' expects <addr>:<port> as argument.",
    "Through that SOCKS4 proxy.",
    (w, v, { reading, line }) => {
      const parsed = readAddress(
        reading,
        v,
        { ...CONNECT, port: "required", portZero: false },
        (address) => {
          w.server.socks4 = address;
        },
        (host) => line.alert(`'socks4' : invalid address: '${host}' in '${v}'`),
      );
      return typeof parsed === "string" ? `'socks4 ${v}' : ${parsed}.` : undefined;
    },
    "later",
  ),
  valued(
    "tcp-md5sig",
    "<password>",
    "'tcp-md5sig' : missing password",
    "TCP MD5 signatures.",
    () => {},
    "later",
  ),
  timed("tcp-ut", "TCP user timeout.", (w, userTimeout) => {
    w.server.tcp = { ...w.server.tcp, userTimeout };
  }),
  plain("tfo", "TCP fast open.", (w) => {
    w.server.tcp = { ...w.server.tcp, fastOpen: true };
  }),
  plain("no-tfo", "Undoes tfo.", (w) => {
    w.server.tcp = { ...w.server.tcp, fastOpen: false };
  }),
  valued(
    "track",
    "[<backend>/]<server>",
    "'track' expects [<proxy>/]<server> as argument..",
    "Takes its state from another server.",
    (w, v, { line }) => {
      const slash = v.indexOf("/");
      w.server.track = {
        backend: slash === -1 ? undefined : v.slice(0, slash),
        server: v.slice(slash + 1),
        at: line.at,
      };
    },
  ),
  valued(
    "weight",
    "<0-256>",
    "'weight' expects a number as argument.",
    "Its share of the load.",
    (w, v, { line, name }) => {
      const weight = count(line, "weight", v);
      if (weight < 0 || weight > 256)
        return `weight of server ${name} is not within 0 and 256 (${weight})..`;
      w.server.weight = weight;
      return undefined;
    },
  ),
  valued(
    "ws",
    "auto|h1|h2",
    "'ws' : missing value",
    "What websocket requests use: HTTP/1, whatever stands here.",
    (_w, v, { line }) => {
      if (v !== "auto" && v !== "h1" && v !== "h2") return "'ws' has to be 'auto', 'h1' or 'h2'.";
      if (v === "h2") line.warn("'ws h2' is not supported by lbproxy: websockets go over HTTP/1.");
      return undefined;
    },
    "tuning",
  ),
];

export const serverWords: readonly ServerWord[] = [
  ...trafficWords,
  ...serverCheckWords,
  ...serverTlsWords,
];
export const serverWordByName = indexByName(serverWords);

function resolversOf({ server }: ServerWords): NonNullable<ServerDraft["resolvers"]> {
  return (
    server.resolvers ?? {
      resolvers: "",
      at: server.at,
      prefer: "ipv6",
      network: [],
      allowDuplicateAddress: false,
      ignoreWeight: false,
      preventDuplicateAddress: false,
    }
  );
}

function proxyOf({ server }: ServerWords): SendProxy {
  return server.sendProxy ?? { version: 1, options: new Set(), tlvs: [] };
}

type ProxyOption = SendProxy["options"] extends ReadonlySet<infer O> ? O : never;

function addProxyOptions(words: ServerWords, options: readonly ProxyOption[]): void {
  const before = proxyOf(words);
  words.server.sendProxy = {
    ...before,
    version: 2,
    options: new Set([...before.options, ...options]),
  };
}

function parsePrefix(text: string): Prefix | undefined {
  const [host, length] = text.split("/");
  const address: IpAddress | undefined = parseAddress(host ?? "");
  if (address === undefined) return undefined;
  const bits = address.family === 4 ? 32 : 128;
  const wanted = length === undefined ? bits : parseWhole(length);
  return wanted !== undefined && wanted >= 0 && wanted <= bits
    ? { address, length: wanted }
    : undefined;
}
