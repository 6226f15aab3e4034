import { formatAddress } from "@ha/base";
import type { CompileContext } from "../sample/compile-context.ts";
import { encodeText } from "../sample/sample.ts";
import {
  type Endpoint,
  NONE,
  TIME_ACCEPT,
  TIME_FIRST_BYTE,
  type Transaction,
} from "../transaction.ts";
import { logDate, zoneText } from "./log-date.ts";
import { bytesWriter, putByte, writeMissing } from "./log-format.ts";
import { captured, captureList, captures, line, pathStart, queryStart } from "./log-request.ts";
import { isEarly, TIMERS, wallTime } from "./log-timers.ts";
import { type VariableWriter, withContext } from "./log-variable.ts";
import { putHex, putNumber, putText } from "./number-text.ts";
import { uniqueIdOf } from "./unique-id.ts";

const VARIABLES: readonly VariableWriter[] = [
  ...Object.entries(TIMERS).map(([name, { doc, read, asap }]) => early(name, doc, read, asap)),
  early("B", "Bytes from the server to the client, heads included.", (t) => t.bytesOut, true),
  count("U", "Bytes from the client, heads included.", (t) => t.bytesIn),
  count("ST", "Status sent to the client; -1 without one.", (t) => t.status),
  count("sq", "Requests before this one in the server's queue.", (t) => t.serverQueue),
  count("bq", "Requests before this one in the backend's queue.", (t) => t.backendQueue),
  withContext(
    "rc",
    "Connection retries; a + before it after a redispatch.",
    () => (t, out, at, limit) =>
      putNumber(
        out,
        t.redispatched ? putByte(out, at, limit, PLUS) : at,
        limit,
        Math.abs(t.retries),
      ),
  ),
  ofWorld("ac", "Client connections of the process.", ({ world }) => () => {
    let sum = 0;
    for (const { counters } of world.proxies) sum += counters.clientConnections;
    return sum;
  }),
  ofWorld(
    "fc",
    "Client connections of the frontend.",
    ({ world }) =>
      (t) =>
        world.proxies[t.frontend]?.counters.clientConnections ?? 0,
  ),
  ofWorld(
    "bc",
    "Connections of the backend.",
    ({ world }) =>
      (t) =>
        world.proxies[backendOf(t)]?.counters.backendConnections ?? 0,
  ),
  ofWorld(
    "sc",
    "Connections of the server.",
    ({ world }) =>
      (t) =>
        t.server === NONE ? 0 : (world.proxies[t.backend]?.servers.served[t.server] ?? 0),
  ),
  ofWorld(
    "lc",
    "Number of this line among those of the frontend.",
    ({ world }) =>
      (t) =>
        world.proxies[t.frontend]?.counters.nextLogLine() ?? 0,
  ),
  hexable(
    "pid",
    "Process id.",
    4,
    ({ world }) =>
      () =>
        world.ports.pid,
  ),
  hexable("rt", "Request counter.", 4, () => (t) => t.session.id + t.session.transactions),
  hexable(
    "ms",
    "Milliseconds of the accept's second, three digits.",
    0,
    ({ world }) =>
      (t) =>
        Math.floor(accepted(t, world.ports.wallMicros())) % 1000,
    3,
  ),
  hexable(
    "Ts",
    "Accept, seconds since 1970.",
    0,
    ({ world }) =>
      (t) =>
        Math.floor(accepted(t, world.ports.wallMicros()) / 1000),
  ),

  date("t", "Accept, local time with milliseconds.", TIME_ACCEPT, "milliseconds"),
  date(
    "tr",
    "Start of the request, local time with milliseconds.",
    TIME_FIRST_BYTE,
    "milliseconds",
  ),
  date("T", "Accept, GMT.", TIME_ACCEPT, "gmt"),
  date("trg", "Start of the request, GMT.", TIME_FIRST_BYTE, "gmt"),
  date("Tl", "Accept, local time.", TIME_ACCEPT, "local"),
  date("trl", "Start of the request, local time.", TIME_FIRST_BYTE, "local"),

  address("ci", "Client's address.", (t) => t.session.source),
  port("cp", "Client's port.", (t) => t.session.source),
  address("fi", "Address that the client connected to.", (t) => t.session.destination),
  port("fp", "Port that the client connected to.", (t) => t.session.destination),
  address("bi", "Our address towards the server.", (t) => t.serverSource),
  port("bp", "Our port towards the server.", (t) => t.serverSource),
  address("si", "Server's address.", (t) => t.serverDestination),
  port("sp", "Server's port.", (t) => t.serverDestination),

  name(
    "f",
    "Frontend.",
    ({ world }) =>
      (t) =>
        world.proxies[t.frontend]?.name ?? "",
  ),
  name("ft", "Frontend; a ~ follows when the client speaks TLS.", ({ world }) => (t) => {
    const own = world.proxies[t.frontend]?.name ?? "";
    return t.session.tls === undefined ? own : `${own}~`;
  }),
  name(
    "b",
    "Backend; the frontend's name before the choice.",
    ({ world }) =>
      (t) =>
        world.proxies[backendOf(t)]?.name ?? "",
  ),
  name(
    "s",
    "Server; <NOSRV> without one.",
    ({ world }) =>
      (t) =>
        t.server === NONE
          ? "<NOSRV>"
          : (world.proxies[t.backend]?.backend?.servers[t.server]?.name ?? "<NOSRV>"),
  ),
  name(
    "H",
    "This host's name.",
    ({ world }) =>
      () =>
        world.ports.hostname,
  ),
  name("sslv", "TLS version of the client connection.", () => (t) => t.session.tls?.version ?? ""),
  name("sslc", "TLS cipher of the client connection.", () => (t) => t.session.tls?.cipher ?? ""),
  withContext(
    "ts",
    "Termination state, two letters.",
    () => (t, out, at, limit) => putByte(out, putByte(out, at, limit, t.cause), limit, t.phase),
  ),
  withContext(
    "tsc",
    "Termination state with that of the cookies, four letters.",
    () => (t, out, at, limit) => {
      const two = putByte(out, putByte(out, at, limit, t.cause), limit, t.phase);
      return putByte(out, putByte(out, two, limit, t.cookieRequest), limit, t.cookieResponse);
    },
  ),
  withContext("ID", "The unique id.", (context, flags, options) => {
    const write = bytesWriter(flags, options);
    return (t, out, at, limit) => {
      const id = uniqueIdOf(t, context.world);
      return id === undefined
        ? writeMissing(out, at, limit, flags, options)
        : write(out, at, limit, id, 0, id.length);
    };
  }),
  line("r", "Request line as it came; <BADREQ> without one.", (range) => range),
  line("HM", "Method.", ({ start, spaces: [first] }) => ({ start, end: first })),
  line("HU", "Request target.", ({ spaces: [first, last] }) => ({ start: first + 1, end: last })),
  line("HV", "Version.", ({ end, spaces: [, last] }) => ({ start: last + 1, end })),
  line("HP", "Request target without its query.", ({ spaces: [first, last] }, bytes) => ({
    start: first + 1,
    end: queryStart(bytes, first + 1, last),
  })),
  line("HPO", "Path alone.", ({ spaces: [first, last] }, bytes) => ({
    start: pathStart(bytes, first + 1, last),
    end: queryStart(bytes, first + 1, last),
  })),
  line("HQ", "Query with its question mark.", ({ spaces: [first, last] }, bytes) => ({
    start: queryStart(bytes, first + 1, last),
    end: last,
  })),
  captured("CC", "Captured cookie of the request.", (t) => t.requestCookieCapture),
  captured("CS", "Captured cookie of the response.", (t) => t.responseCookieCapture),
  captures("hr", "Captured headers of the request: {a|b}.", "request"),
  captures("hs", "Captured headers of the response: {a|b}.", "response"),
  captureList(
    "hrl",
    "Captured headers of the request, with blanks between: a b; in quotes with +Q.",
    "request",
  ),
  captureList("hsl", "Captured headers of the response, with blanks between.", "response"),
];

/** By name, without the percent sign. */
export const LOG_VARIABLES: ReadonlyMap<string, VariableWriter> = new Map(
  VARIABLES.map((variable) => [variable.name, variable]),
);

const PLUS = 0x2b;

function count(name: string, doc: string, read: (t: Transaction) => number): VariableWriter {
  return withContext(name, doc, () => (t, out, at, limit) => putNumber(out, at, limit, read(t)));
}

/** Numbers that grow till the end: a `+` before them says that the line was written early. */
function early(
  name: string,
  doc: string,
  read: (t: Transaction) => number,
  grows: boolean,
): VariableWriter {
  return withContext(name, doc, (context) => {
    const proxy = context.world.proxies[context.proxy?.index ?? NONE];
    const asap = grows && (proxy?.frontend?.options.on.has("logasap") ?? false);
    if (!asap) return (t, out, at, limit) => putNumber(out, at, limit, read(t));
    return (t, out, at, limit) =>
      putNumber(out, isEarly(t) ? putByte(out, at, limit, PLUS) : at, limit, read(t));
  });
}

function ofWorld(
  name: string,
  doc: string,
  make: (context: CompileContext) => (t: Transaction) => number,
): VariableWriter {
  return withContext(name, doc, (context) => {
    const read = make(context);
    return (t, out, at, limit) => putNumber(out, at, limit, read(t));
  });
}

function hexable(
  name: string,
  doc: string,
  hexDigits: number,
  make: (context: CompileContext) => (t: Transaction) => number,
  digits = 0,
): VariableWriter {
  return withContext(name, doc, (context, flags) => {
    const read = make(context);
    if (flags.hexadecimal && digits === 0) {
      return (t, out, at, limit) => putHex(out, at, limit, read(t), hexDigits);
    }
    return (t, out, at, limit) =>
      digits === 0
        ? putNumber(out, at, limit, read(t))
        : putText(out, at, limit, String(read(t)).padStart(digits, "0"));
  });
}

function accepted(t: Transaction, wallMicros: number): number {
  return wallTime(t, TIME_ACCEPT, wallMicros / 1000);
}

/** A date's text changes once a second: it is kept till then. */
function date(
  name: string,
  doc: string,
  index: number,
  form: "milliseconds" | "gmt" | "local",
): VariableWriter {
  return withContext(name, doc, ({ world }) => {
    let second = Number.NaN;
    let text = "";
    return (t, out, from, limit) => {
      const wall = Math.floor(wallTime(t, index, world.ports.wallMicros() / 1000));
      const now = Math.floor(wall / 1000);
      if (now !== second) {
        second = now;
        const offset = form === "gmt" ? 0 : world.ports.zoneAt(now).offset;
        text = logDate(now, offset) + (form === "milliseconds" ? "." : ` ${zoneText(offset)}`);
      }
      const at = putText(out, from, limit, text);
      if (form !== "milliseconds" || at + 3 > limit) return at;
      const rest = wall - now * 1000;
      out[at] = 0x30 + Math.floor(rest / 100);
      out[at + 1] = 0x30 + (Math.floor(rest / 10) % 10);
      out[at + 2] = 0x30 + (rest % 10);
      return at + 3;
    };
  });
}

function address(name: string, doc: string, of: (t: Transaction) => Endpoint): VariableWriter {
  return withContext(name, doc, (_context, flags, options) => {
    // Addresses are written by the family; a unix socket is "unix", as in HAProxy.
    return (t, out, from, limit) => {
      const endpoint = of(t);
      if (endpoint.family === 0) {
        return of(t) === t.session.source || of(t) === t.session.destination
          ? putText(out, from, limit, "unix")
          : writeMissing(out, from, limit, flags, options);
      }
      const size = endpoint.family === 4 ? 4 : 16;
      if (flags.hexadecimal) {
        let at = from;
        for (let i = 0; i < size; i++)
          at = putHex(out, at, limit, endpoint.address[i] as number, 2);
        return at;
      }
      if (endpoint.family === 6) {
        return putText(
          out,
          from,
          limit,
          formatAddress({ family: 6, bytes: endpoint.address.slice() }),
        );
      }
      let at = from;
      for (let i = 0; i < 4; i++) {
        if (i > 0) at = putByte(out, at, limit, 0x2e);
        at = putNumber(out, at, limit, endpoint.address[i] as number);
      }
      return at;
    };
  });
}

function port(name: string, doc: string, of: (t: Transaction) => Endpoint): VariableWriter {
  return withContext(name, doc, (_context, flags, options) => {
    const listener = name === "cp";
    return (t, out, at, limit) => {
      const endpoint = of(t);
      if (endpoint.family === 0) {
        // Of a unix socket: the listener's number.
        return listener || name === "fp"
          ? putNumber(out, at, limit, t.session.listener + 1)
          : writeMissing(out, at, limit, flags, options);
      }
      return flags.hexadecimal
        ? putHex(out, at, limit, endpoint.port, 4)
        : putNumber(out, at, limit, endpoint.port);
    };
  });
}

function backendOf(t: Transaction): number {
  return t.backend === NONE ? t.frontend : t.backend;
}

/** Names come from the configuration: each one's bytes are made once. */
function name(
  variable: string,
  doc: string,
  make: (context: CompileContext) => (t: Transaction) => string,
): VariableWriter {
  return withContext(variable, doc, (context, flags, options) => {
    const read = make(context);
    const write = bytesWriter(flags, options);
    const made = new Map<string, Uint8Array>();
    return (t, out, at, limit) => {
      const text = read(t);
      let bytes = made.get(text);
      if (bytes === undefined) {
        bytes = encodeText(text);
        if (made.size < NAMES_KEPT) made.set(text, bytes);
      }
      return write(out, at, limit, bytes, 0, bytes.length);
    };
  });
}

/** More names than a configuration has of one kind are not kept: TLS ciphers come from peers. */
const NAMES_KEPT = 4096;
