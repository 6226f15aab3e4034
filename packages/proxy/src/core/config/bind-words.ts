import type { Bind } from "./bind-model.ts";
import { bindTlsWords } from "./bind-tls-words.ts";
import type { Mutable } from "./draft.ts";
import { indexByName, type KeywordEntry } from "./keyword.ts";
import { MAX_THREADS } from "./limits.ts";
import type { Line } from "./line.ts";
import type { Reading } from "./reading.ts";
import type { TlsListener, TlsVersion } from "./tls-model.ts";
import { parseTime, parseWhole } from "./values.ts";

/** The words of one `bind` line while they are read; its addresses get a copy each. */
export interface BindDraft extends Mutable<Bind> {
  /** Kept whether or not `ssl` stands: settings alone turn nothing on. */
  settings: Mutable<TlsListener>;
  ssl: boolean;
  refusedVersions: Set<TlsVersion>;
  levelSet: boolean;
}

export interface BindWordContext {
  readonly reading: Reading;
  readonly line: Line;
}

/** One word of a `bind` line, `stats socket` or `peers` bind. `read` returns what is wrong, in HAProxy's words. */
export interface BindWord extends KeywordEntry {
  /** Whether a value follows; `missing` is the message when none does. */
  readonly missing?: string;
  readonly read: (
    bind: BindDraft,
    value: string,
    context: BindWordContext,
    // biome-ignore lint/suspicious/noConfusingVoidType: most readers find nothing wrong and return nothing
  ) => string | undefined | void;
}

const plain = (
  name: string,
  doc: string,
  read: (bind: BindDraft) => void,
  status: BindWord["status"] = "works",
): BindWord => ({ name, syntax: name, doc, source: "§5.1", status, read });

const valued = (
  name: string,
  value: string,
  missing: string,
  doc: string,
  read: BindWord["read"],
  status: BindWord["status"] = "works",
): BindWord => ({ name, syntax: `${name} ${value}`, doc, source: "§5.1", status, missing, read });

/** HAProxy configuration manual §5.1, without TLS. */
const plainWords: readonly BindWord[] = [
  plain("accept-proxy", "A PROXY protocol header, version 1 or 2, must come first.", (b) => {
    b.acceptProxy = true;
  }),
  valued(
    "accept-netscaler-cip",
    "<magic>",
    "missing Netscaler Client IP insertion protocol magic number expected",
    "A NetScaler client IP header must come first.",
    (b, v) => {
      b.acceptNetscalerCip = Number(v);
      return Number.isInteger(b.acceptNetscalerCip)
        ? undefined
        : `'accept-netscaler-cip' : invalid number '${v}'`;
    },
    "later",
  ),
  valued("backlog", "<number>", "missing value", "Connections waiting in the kernel.", (b, v) => {
    b.backlog = parseWhole(v) ?? 0;
    return b.backlog < 0 ? `'backlog' : invalid value ${v}, must be > 0` : undefined;
  }),
  valued(
    "cc",
    "<algorithm>",
    "missing congestion control algorithm",
    "Congestion control of its connections.",
    (b, v) => {
      b.congestionControl = v;
    },
  ),
  plain("defer-accept", "Waits for data in the kernel.", (b) => {
    b.deferAccept = true;
  }),
  valued(
    "expose-fd",
    "listeners",
    "missing fd type, use 'listeners'",
    "On a stats socket: hands listening sockets to who asks (-x).",
    (b, v) => {
      if (v !== "listeners") return `'expose-fd' : unknown fd type '${v}'; use 'listeners'`;
      b.exposeFdListeners = true;
      return undefined;
    },
  ),
  valued("gid", "<number>", "missing value", "Group of a unix socket, by number.", (b, v) => {
    b.unix = { ...b.unix, gid: parseWhole(v) ?? 0 };
  }),
  valued(
    "group",
    "<name>",
    "missing group name",
    "Group of a unix socket.",
    (b, v, { reading }) => {
      const gid = reading.host.groupId(v);
      if (gid === undefined) return `'group' : unknown group name '${v}'`;
      b.unix = { ...b.unix, gid };
      return undefined;
    },
  ),
  valued(
    "guid-prefix",
    "<text>",
    "missing value",
    "Prefix of the listeners' guids, which nothing here reads.",
    () => {},
    "tuning",
  ),
  valued("id", "<number>", "expects an integer argument", "Number of the listener.", (b, v) => {
    const id = parseWhole(v);
    if (id === undefined) return `'id' : expects an integer argument, found '${v}'`;
    if (id <= 0) return `'id' : custom id has to be > 0`;
    b.id = id;
    return undefined;
  }),
  valued(
    "idle-ping",
    "<time>",
    "missing time",
    "HTTP/2 pings on idle connections.",
    (b, v) => {
      const time = parseTime(v);
      if (time.kind !== "ok") return `'idle-ping' : invalid time '${v}'`;
      b.idlePing = time.value;
      return undefined;
    },
    "later",
  ),
  valued("interface", "<name>", "missing interface name", "Only what comes in there.", (b, v) => {
    b.interface = v;
  }),
  valued("label", "<text>", "missing label", "Label of the listener.", () => {}, "ignored"),
  valued(
    "level",
    "<level>",
    "missing level",
    "What a stats socket may do: user, operator, admin.",
    (b, v) => {
      if (v !== "user" && v !== "operator" && v !== "admin") {
        return `'level' only supports 'user', 'operator', and 'admin' (got '${v}')`;
      }
      b.level = v;
      return undefined;
    },
  ),
  valued(
    "severity-output",
    "<format>",
    "missing severity-output",
    "How a stats socket marks the severity of answers: none, number, string.",
    (b, v) => {
      if (v !== "none" && v !== "number" && v !== "string") {
        return `'severity-output' only supports 'none', 'number', and 'string' (got '${v}')`;
      }
      b.severityOutput = v;
      return undefined;
    },
  ),
  valued(
    "maxconn",
    "<number>",
    "missing value",
    "Most concurrent connections of this listener.",
    (b, v) => {
      b.maxconn = parseWhole(v) ?? 0;
      return b.maxconn < 0 ? `'maxconn' : invalid value ${b.maxconn}, must be >= 0` : undefined;
    },
  ),
  valued(
    "mode",
    "<octal>",
    "missing or invalid mode '' (octal integer expected)",
    "Rights of a unix socket.",
    (b, v) => {
      if (!/^[0-7]+$/.test(v)) {
        return `'mode' : missing or invalid mode '${v}' (octal integer expected)`;
      }
      b.unix = { ...b.unix, mode: Number.parseInt(v, 8) };
      return undefined;
    },
  ),
  valued("mss", "<number>", "missing MSS", "Maximum segment size.", (b, v) => {
    const mss = parseWhole(v);
    if (mss === undefined || mss === 0 || Math.abs(mss) > 65_535) {
      return "'mss' : expects an MSS with and absolute value between 1 and 65535";
    }
    b.mss = mss;
    return undefined;
  }),
  valued("name", "<text>", "missing name", "Name on the stats page.", (b, v) => {
    b.name = v;
  }),
  valued(
    "namespace",
    "<name>",
    "missing namespace id",
    "Network namespace to listen in.",
    (b, v) => {
      b.namespace = v;
    },
    "later",
  ),
  valued(
    "nice",
    "<number>",
    "missing value",
    "Priority of its connections among others.",
    () => {},
    "tuning",
  ),
  valued(
    "process",
    "<set>",
    "missing value",
    "Deprecated form of thread.",
    (_b, v, { line }) => {
      const [, thread] = v.split("/");
      line.warn(
        `'${line.name} ${line.text(1)}' in section 'frontend' : 'process ${v}' on 'bind' lines is deprecated and will be removed in 2.7.${thread === undefined ? "" : ` Please use 'thread ${thread}' instead.`}`,
      );
    },
    "tuning",
  ),
  valued(
    "proto",
    "<name>",
    "missing value",
    "What clients speak, without asking: h1, h2, none.",
    (b, v) => {
      if (!["h1", "h2", "none"].includes(v)) return `'proto' :  unknown MUX protocol '${v}'`;
      b.protocol = v;
      return undefined;
    },
  ),
  valued(
    "shards",
    "<number>",
    "missing value",
    "Sockets that share the address; by-thread, by-group.",
    (b, v) => {
      const number = parseWhole(v) ?? 0;
      if (v === "by-thread" || v === "by-group") b.shards = v;
      else if (number < 1 || number > MAX_THREADS) {
        return `'shards' : invalid value ${number}, allowed range is 1..${MAX_THREADS} or 'by-thread'`;
      } else b.shards = number;
      return undefined;
    },
  ),
  valued(
    "tcp-md5sig",
    "<password>",
    "missing password",
    "TCP MD5 signatures (RFC 2385).",
    () => {},
    "later",
  ),
  valued("tcp-ss", "<0|1>", "missing value", "Saves the SYN.", () => {}, "tuning"),
  valued("tcp-ut", "<time>", "missing TCP User Timeout value", "TCP user timeout.", (b, v) => {
    const time = parseTime(v);
    if (time.kind !== "ok") {
      return `'tcp-ut' : expects a positive delay in milliseconds`;
    }
    b.userTimeout = time.value;
    return undefined;
  }),
  plain("tfo", "TCP fast open.", (b) => {
    b.fastOpen = true;
  }),
  valued(
    "thread",
    "[<group>/]<set>",
    "missing value",
    "Threads that serve this listener; all where none of them runs.",
    (b, v) => {
      for (const part of v.split(",")) {
        const match = /^(?:\d+\/)?(?:(\d+)(?:-(\d+)?)?|(all|odd|even))$/.exec(part);
        if (match === null) return `'${v}' : '${part}' is not a valid number/range.`;
        const [, from, to, word] = match;
        const first = word === undefined ? Number(from) : word === "even" ? 2 : 1;
        const isOpen = word !== undefined || part.endsWith("-");
        const last = isOpen ? MAX_THREADS : Number(to ?? from);
        b.threads.push({ first, last, step: word === "odd" || word === "even" ? 2 : 1 });
      }
      return undefined;
    },
  ),
  plain("transparent", "Takes connections to addresses that are not ours.", (b) => {
    b.transparent = true;
  }),
  valued("uid", "<number>", "missing value", "Owner of a unix socket, by number.", (b, v) => {
    b.unix = { ...b.unix, uid: parseWhole(v) ?? 0 };
  }),
  valued("user", "<name>", "missing user name", "Owner of a unix socket.", (b, v, { reading }) => {
    const uid = reading.host.userId(v);
    if (uid === undefined) return `'user' : unknown user name '${v}'`;
    b.unix = { ...b.unix, uid };
    return undefined;
  }),
  plain("v4v6", "IPv4 as well on an IPv6 socket.", (b) => {
    b.v4v6 = true;
  }),
  plain("v6only", "IPv6 alone on an IPv6 socket.", (b) => {
    b.v6only = true;
  }),
  valued("quic-cc-algo", "<name>", "missing control algorithm", "QUIC.", () => {}, "not served"),
  plain("quic-force-retry", "QUIC.", () => {}, "not served"),
  valued("quic-socket", "<mode>", "missing value", "QUIC.", () => {}, "not served"),
];

export const bindWords: readonly BindWord[] = [...bindTlsWords, ...plainWords];
export const bindWordByName = indexByName(bindWords);
