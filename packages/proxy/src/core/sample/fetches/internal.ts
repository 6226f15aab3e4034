import { parseAddress } from "@ha/base";
import type { Token } from "../../config/token.ts";
import { parseHex } from "../../map/pattern-index.ts";
import type { ProxyState } from "../../server/proxy-state.ts";
import { canTake, connectionLimit, WEIGHT_SCALE } from "../../server/servers.ts";
import { NONE, type Transaction } from "../../transaction.ts";
import { type CompileContext, refuse } from "../compile-context.ts";
import type { Argument, Fetch, FetchKeyword } from "../fetch-keyword.ts";
import {
  ANY,
  BIN,
  BOOL,
  encodeText,
  IPV4,
  IPV6,
  METH,
  SINT,
  STR,
  setBool,
  setBytes,
  setInt,
  setText,
  setWide,
} from "../sample.ts";
import { loadValue } from "../variable.ts";
import { type Family, flag, number, plain } from "./declare.ts";

const INTERNAL: Family = {
  layer: "internal",
  source: "HAProxy configuration manual §7.3.2",
};

/** Values that need no traffic: constants, time, chance, variables, states of backends and servers. */
export const INTERNAL_FETCHES: readonly FetchKeyword[] = [
  flag(INTERNAL, "always_true", "True.", () => true),
  flag(INTERNAL, "always_false", "False.", () => false),
  constant("str", "str([<string>])", STR, "The string; empty without one.", [0, 1], (text) => {
    const bytes = encodeText(text);
    return (_transaction, sample) => setBytes(sample, STR, bytes);
  }),
  constant("int", "int(<integer>)", SINT, "The integer, 64 bits.", [1, 1], (text) => {
    if (!/^[-+]?\d+$/.test(text)) return "an integer";
    const value = BigInt(text);
    return (_transaction, sample) => setWide(sample, value);
  }),
  constant(
    "bool",
    "bool(<bool>)",
    BOOL,
    "true, yes, on and 1 are true; false, no, off and 0 false.",
    [1, 1],
    (text) => {
      if (!/^(?:true|false|yes|no|on|off|0|1)$/i.test(text)) return "a boolean: true or false";
      const value = /^(?:true|yes|on|1)$/i.test(text);
      return (_transaction, sample) => setBool(sample, value);
    },
  ),
  constant(
    "bin",
    "bin(<hex>)",
    BIN,
    "The bytes that the hexadecimal digits spell.",
    [1, 1],
    (text) => {
      const bytes = parseHex(text);
      if (bytes === undefined) return "an even number of hexadecimal digits";
      return (_transaction, sample) => setBytes(sample, BIN, bytes);
    },
  ),
  constant("ipv4", "ipv4(<ipv4>)", IPV4, "The IPv4 address.", [1, 1], (text) => {
    const address = parseAddress(text);
    if (address?.family !== 4) return "an IPv4 address";
    return (_transaction, sample) => setBytes(sample, IPV4, address.bytes);
  }),
  constant("ipv6", "ipv6(<ipv6>)", IPV6, "The IPv6 address.", [1, 1], (text) => {
    const address = parseAddress(text);
    if (address?.family !== 6) return "an IPv6 address";
    return (_transaction, sample) => setBytes(sample, IPV6, address.bytes);
  }),
  constant("meth", "meth(<method>)", METH, "The HTTP method.", [1, 1], (text) => {
    const bytes = encodeText(text);
    return (_transaction, sample) => setBytes(sample, METH, bytes);
  }),
  {
    name: "env",
    syntax: "env(<name>)",
    doc: "The environment variable's value at start; empty when it is not set.",
    ...INTERNAL,
    type: STR,
    arity: [1, 1],
    compile: ([name], { world }) => {
      const bytes = encodeText(world.ports.environment(name?.text ?? "") ?? "");
      return (_transaction, sample) => setBytes(sample, STR, bytes);
    },
  },
  {
    name: "var",
    syntax: "var(<name>[,<default>])",
    doc: "The variable's value, of the type it was set with; <default> (a string) when it is not set.",
    ...INTERNAL,
    type: ANY,
    arity: [1, 2],
    compile: ([name, fallback], context, token) => {
      const { variables } = context.world;
      const variable = variables.variable(name?.text ?? "");
      if (variable === undefined) return badVariable(context, token, name?.text ?? "");
      const standIn = fallback === undefined ? undefined : encodeText(fallback.text);
      return (transaction, sample) => {
        const value = variables.get(variable, transaction);
        if (value !== undefined) return loadValue(sample, value);
        return standIn !== undefined && setBytes(sample, STR, standIn);
      };
    },
  },
  {
    name: "date",
    syntax: "date([<offset>][,<unit>])",
    doc: "Now, in seconds since 1970 plus <offset>; <unit> s, ms or us.",
    ...INTERNAL,
    type: SINT,
    arity: [0, 2],
    compile: ([offset, unit], context, token) => {
      const scale = { s: 1_000_000, ms: 1_000, us: 1 }[unit?.text ?? "s"];
      if (scale === undefined)
        return refuse(context, token, `unit '${unit?.text}' is not s, ms or us`);
      const plus = integerOf(offset, context, token);
      if (plus === undefined) return undefined;
      const { ports } = context.world;
      return (_transaction, sample) =>
        setInt(sample, Math.floor(ports.wallMicros() / scale) + plus);
    },
  },
  plain(
    INTERNAL,
    "date_us",
    SINT,
    "The microseconds of the current second, 0 to 999999.",
    (context) => {
      const { ports } = context.world;
      return (_transaction, sample) => setInt(sample, ports.wallMicros() % 1_000_000);
    },
  ),
  {
    name: "rand",
    syntax: "rand([<range>])",
    doc: "A random integer from 0 to <range>-1; <range> is 2^32 by default.",
    ...INTERNAL,
    type: SINT,
    arity: [0, 1],
    compile: ([range], context, token) => {
      const size = range === undefined ? 2 ** 32 : integerOf(range, context, token);
      if (size === undefined) return undefined;
      if (size < 1) return refuse(context, token, `rand's range must be 1 or more, not ${size}`);
      const { random } = context.world.ports;
      return (_transaction, sample) => setInt(sample, Math.floor(random.next() * size));
    },
  },
  {
    name: "uuid",
    syntax: "uuid([<version>])",
    doc: "A random UUID of version 4 (the only one in both HAProxy 2.6 and the newest).",
    ...INTERNAL,
    type: STR,
    arity: [0, 1],
    compile: ([version], context, token) => {
      if (version !== undefined && version.text !== "4") {
        return refuse(
          context,
          token,
          `UUID version '${version.text}' is not supported`,
          "write: uuid(4)",
        );
      }
      const { random } = context.world.ports;
      return (_transaction, sample) =>
        setText(
          sample,
          uuid4(() => random.between(0, 65535)),
        );
    },
  },
  plain(INTERNAL, "hostname", STR, "This host's name.", (context) => {
    const bytes = encodeText(context.world.ports.hostname);
    return (_transaction, sample) => setBytes(sample, STR, bytes);
  }),
  plain(INTERNAL, "pid", SINT, "The process's id.", ({ world }) => {
    const { pid } = world.ports;
    return (_transaction, sample) => setInt(sample, pid);
  }),
  number(INTERNAL, "nbproc", "Number of processes: always 1.", () => 1),
  number(INTERNAL, "proc", "The process's number: always 1.", () => 1),
  plain(INTERNAL, "thread", SINT, "The thread's number, from 0.", (context) => {
    const thread = context.world.ports.thread - 1;
    return (_transaction, sample) => setInt(sample, thread);
  }),
  plain(INTERNAL, "stopping", BOOL, "Whether the process is stopping.", (context) => {
    const { ports } = context.world;
    return (_transaction, sample) => setBool(sample, ports.isStopping());
  }),
  number(
    { ...INTERNAL, layer: "client" },
    "prio_class",
    "Priority class of the transaction in queues.",
    (t) => t.priorityClass,
  ),
  number(
    { ...INTERNAL, layer: "client" },
    "prio_offset",
    "Priority offset of the transaction in queues, milliseconds.",
    (t) => t.priorityOffset,
  ),

  ofBackend("nbsrv", "Number of usable servers.", ({ servers }) => {
    let active = 0;
    let backup = 0;
    for (let i = 0; i < servers.count; i++) {
      if (!canTake(servers, i)) continue;
      if (servers.backup[i] === 0) active++;
      else backup++;
    }
    return active > 0 ? active : backup;
  }),
  ofBackend(
    "connslots",
    "Free connection slots and queue places of the usable servers; -1 when one has no limit.",
    ({ servers }) => {
      let slots = 0;
      for (let i = 0; i < servers.count; i++) {
        if (!canTake(servers, i)) continue;
        const [maxconn, maxqueue] = [servers.maxconn[i] as number, servers.maxqueue[i] as number];
        if (maxconn === 0 || maxqueue === 0) return -1;
        slots += maxconn - (servers.served[i] as number) + maxqueue - (servers.queued[i] as number);
      }
      return slots;
    },
  ),
  ofBackend("queue", "Requests that wait in the backend's queues.", ({ servers }) => {
    let sum = servers.backend[2] as number;
    for (let i = 0; i < servers.count; i++) sum += Atomics.load(servers.queued, i);
    return sum;
  }),
  ofBackend(
    "avg_queue",
    "Waiting requests divided by usable servers, rounded up; twice their number when none is usable.",
    ({ servers }) => {
      let waiting = servers.backend[2] as number;
      let able = 0;
      for (let i = 0; i < servers.count; i++) {
        waiting += Atomics.load(servers.queued, i);
        if (canTake(servers, i)) able++;
      }
      return able > 0 ? Math.floor((waiting + able - 1) / able) : waiting * 2;
    },
  ),
  ofBackend(
    "be_conn",
    "Connections that the backend handles now.",
    ({ counters }) => counters.backendConnections,
  ),
  ofBackend(
    "be_conn_free",
    "Connections that the usable servers can still take; -1 when one has no limit.",
    ({ servers }) => {
      let free = 0;
      for (let i = 0; i < servers.count; i++) {
        if (!canTake(servers, i)) continue;
        const limit = connectionLimit(servers, i);
        if (limit === 0) return -1;
        free += Math.max(0, limit - Atomics.load(servers.served, i));
      }
      return free;
    },
  ),
  ofBackend(
    "be_sess_rate",
    "Sessions that reached the backend in the last second.",
    ({ counters }, { now }) => counters.backendSessionRate(now),
  ),
  ofFrontend(
    "fe_conn",
    "Client connections of the frontend now.",
    ({ counters }) => counters.clientConnections,
  ),
  ofFrontend(
    "fe_sess_rate",
    "Sessions that the frontend accepted in the last second.",
    ({ counters }, { now }) => counters.clientSessionRate(now),
  ),
  ofFrontend(
    "fe_req_rate",
    "HTTP requests of the frontend in the last second.",
    ({ counters }, { now }) => counters.requestRate(now),
  ),
  ofServer("srv_conn", "Connections on the server now.", ({ servers }, i) =>
    Atomics.load(servers.served, i),
  ),
  ofServer(
    "srv_conn_free",
    "Connections it can still take; -1 without a limit.",
    ({ servers }, i) => {
      const limit = connectionLimit(servers, i);
      return limit === 0 ? -1 : Math.max(0, limit - Atomics.load(servers.served, i));
    },
  ),
  {
    ...ofServer("srv_is_up", "Whether it is up and not in maintenance.", () => 0),
    type: BOOL,
    compile: ([name], context, token) => {
      const found = findServer(name?.text ?? "", context, token);
      if (found === undefined) return undefined;
      const { usable } = found.proxy.servers;
      const { server } = found;
      return (_transaction, sample) => setBool(sample, Atomics.load(usable, server) !== 0);
    },
  },
  ofServer("srv_queue", "Requests waiting for this very server.", ({ servers }, i) =>
    Atomics.load(servers.queued, i),
  ),
  ofServer(
    "srv_sess_rate",
    "Sessions that reached the server in the last second.",
    ({ counters }, i, { now }) => counters.serverSessionRate(i, now),
  ),
  ofServer(
    "srv_iweight",
    "Its weight in the configuration file.",
    ({ servers }, i) => servers.initialWeight[i] as number,
  ),
  ofServer("srv_uweight", "Its weight as last set.", ({ servers }, i) =>
    Atomics.load(servers.userWeight, i),
  ),
  ofServer(
    "srv_weight",
    "Its weight in use: less than the one set during slowstart.",
    ({ servers }, i) => Math.ceil(Atomics.load(servers.weight, i) / WEIGHT_SCALE),
  ),
];

/** Reports a variable's name that is none. */
export function badVariable(context: CompileContext, token: Token, name: string): undefined {
  return refuse(
    context,
    token,
    `'${name}' is not a variable's name`,
    "write a scope (proc, sess, txn, req, res), a dot, and letters, digits, '_' or '.': txn.user",
  );
}

/** A whole number from an optional argument; 0 without one. Reports and gives undefined when it is none. */
export function integerOf(
  argument: Argument | undefined,
  context: CompileContext,
  token: Token,
): number | undefined {
  if (argument === undefined || argument.text === "") return 0;
  if (/^[-+]?\d+$/.test(argument.text)) return Number(argument.text);
  return refuse(context, token, `'${argument.text}' is not an integer`);
}

function constant(
  name: string,
  syntax: string,
  type: FetchKeyword["type"],
  doc: string,
  arity: readonly [number, number],
  make: (text: string) => Fetch | string,
): FetchKeyword {
  return {
    name,
    syntax,
    doc,
    ...INTERNAL,
    type,
    arity,
    compile: ([argument], context, token) => {
      const made = make(argument?.text ?? "");
      return typeof made === "string"
        ? refuse(context, token, `'${argument?.text}' in '${name}' is not ${made}`)
        : made;
    },
  };
}

function ofBackend(
  name: string,
  doc: string,
  read: (proxy: ProxyState, transaction: Transaction) => number,
): FetchKeyword {
  return ofProxy(name, "backend", doc, read);
}

function ofFrontend(
  name: string,
  doc: string,
  read: (proxy: ProxyState, transaction: Transaction) => number,
): FetchKeyword {
  return ofProxy(name, "frontend", doc, read);
}

function ofProxy(
  name: string,
  side: "frontend" | "backend",
  doc: string,
  read: (proxy: ProxyState, transaction: Transaction) => number,
): FetchKeyword {
  return {
    name,
    syntax: `${name}([<${side}>])`,
    doc,
    ...INTERNAL,
    type: SINT,
    arity: [0, 1],
    compile: ([argument], context, token) => {
      const { proxies } = context.world;
      if (argument === undefined) {
        return (transaction, sample) => {
          const chosen =
            side === "backend" && transaction.backend !== NONE
              ? transaction.backend
              : transaction.frontend;
          const proxy = proxies[chosen];
          return proxy !== undefined && setInt(sample, read(proxy, transaction));
        };
      }
      const proxy = proxies.find((one) => one.name === argument.text && one[side] !== undefined);
      if (proxy === undefined)
        return refuse(context, token, `unable to find ${side} '${argument.text}'`);
      return (transaction, sample) => setInt(sample, read(proxy, transaction));
    },
  };
}

function ofServer(
  name: string,
  doc: string,
  read: (proxy: ProxyState, server: number, transaction: Transaction) => number,
): FetchKeyword {
  return {
    name,
    syntax: `${name}([<backend>/]<server>)`,
    doc,
    ...INTERNAL,
    type: SINT,
    arity: [1, 1],
    compile: ([argument], context, token) => {
      const found = findServer(argument?.text ?? "", context, token);
      if (found === undefined) return undefined;
      return (transaction, sample) => setInt(sample, read(found.proxy, found.server, transaction));
    },
  };
}

/** `backend/server`, or a server of the section's own backend. Reports what is not there. */
export function findServer(
  name: string,
  context: CompileContext,
  token: Token,
): { readonly proxy: ProxyState; readonly server: number } | undefined {
  const slash = name.indexOf("/");
  const proxyName = slash === -1 ? context.proxy?.name : name.slice(0, slash);
  const proxy = context.world.proxies.find(
    (one) => one.name === proxyName && one.backend !== undefined,
  );
  if (proxy === undefined) return refuse(context, token, `unable to find backend '${proxyName}'`);
  const serverName = name.slice(slash + 1);
  const server = proxy.backend?.servers.findIndex((one) => one.name === serverName) ?? -1;
  if (server === -1)
    return refuse(
      context,
      token,
      `unable to find server '${serverName}' in backend '${proxyName}'`,
    );
  return { proxy, server };
}

function uuid4(next16: () => number): string {
  const words = Array.from({ length: 8 }, next16);
  words[3] = 0x4000 | ((words[3] as number) & 0xfff);
  words[4] = 0x8000 | ((words[4] as number) & 0x3fff);
  const hex = words.map((word) => word.toString(16).padStart(4, "0"));
  return `${hex[0]}${hex[1]}-${hex[2]}-${hex[3]}-${hex[4]}-${hex[5]}${hex[6]}${hex[7]}`;
}
