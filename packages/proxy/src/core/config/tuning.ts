import type { KeywordEntry } from "./keyword.ts";
import { indexByName, warnIgnored } from "./keyword.ts";
import type { Line } from "./line.ts";
import type { Reading } from "./reading.ts";
import { parseSize, parseTime, parseWhole } from "./values.ts";

type Kind = "count" | "size" | "time" | "on-off" | "text" | "flag" | "ratio";

interface Tuning extends KeywordEntry {
  readonly kind: Kind;
  readonly min?: number;
  readonly max?: number;
}

const ARGUMENT: Readonly<Record<Kind, string>> = {
  count: "<number>",
  size: "<size>",
  time: "<time>",
  "on-off": "{ on | off }",
  text: "<value>",
  flag: "",
  ratio: "<percent>",
};

function entry(
  name: string,
  kind: Kind,
  doc: string,
  extra: Partial<Pick<Tuning, "min" | "max" | "default" | "status">> = {},
): Tuning {
  const syntax = `${name} ${ARGUMENT[kind]}`.trim();
  return { name, kind, syntax, doc, source: "§3.2", status: "tuning", ...extra };
}

const works = { status: "works" } as const;

/** `tune.*` and its neighbours: one value each. Those that are pure tuning of HAProxy's own machinery have no effect here. */
export const tuningKeywords: readonly Tuning[] = [
  entry(
    "tune.bufsize",
    "count",
    "Bytes of one buffer: the longest head, and the most read at once while parsing.",
    { min: 1, default: "16384", ...works },
  ),
  entry("tune.bufsize.small", "size", "Bytes of a small buffer (queued requests)."),
  entry("tune.bufsize.large", "size", "Bytes of a large buffer (large heads)."),
  entry(
    "tune.maxrewrite",
    "count",
    "Bytes of a buffer kept free for added headers, which have buffers of their own here.",
    {
      default: "1024",
    },
  ),
  entry("tune.http.maxhdr", "count", "Most header lines of a message.", {
    min: 1,
    max: 32767,
    default: "101",
    ...works,
  }),
  entry("tune.http.logurilen", "count", "Longest request target in a log line.", {
    min: 1,
    default: "1024",
    ...works,
  }),
  entry("tune.http.cookielen", "count", "Longest captured cookie.", {
    min: 1,
    default: "63",
    ...works,
  }),
  entry("tune.applet.zero-copy-forwarding", "on-off", "Zero-copy forwarding of internal answers."),
  entry("tune.buffers.limit", "count", "Most buffers of a process.", { min: 0 }),
  entry("tune.buffers.reserve", "count", "Buffers kept for emergencies.", { min: 0 }),
  entry("tune.chksize", "size", "Gone without successor; ignored by HAProxy itself."),
  entry("tune.cli.max-payload-size", "size", "Longest payload of a runtime command."),
  entry("tune.comp.maxlevel", "count", "Compression level.", { min: 1, max: 9 }),
  entry("tune.defaults.purge", "flag", "Frees unused defaults sections after start."),
  entry("tune.disable-fast-forward", "flag", "Turns fast forwarding off."),
  entry("tune.disable-zero-copy-forwarding", "flag", "Turns zero-copy forwarding off."),
  entry("tune.epoll.mask-events", "text", "Event bits not asked of epoll."),
  entry("tune.events.max-events-at-once", "count", "Events handled in one turn.", {
    min: 1,
    max: 10000,
  }),
  entry("tune.fail-alloc", "count", "Percent of allocations to fail, for tests.", {
    min: 0,
    max: 100,
  }),
  entry("tune.fd.edge-triggered", "on-off", "Edge-triggered polling."),
  entry(
    "tune.glitches.kill.cpu-usage",
    "count",
    "CPU use from which connections with glitches are closed.",
    { min: 0, max: 100 },
  ),
  entry("tune.h1.zero-copy-fwd-recv", "on-off", "Zero-copy receive for HTTP/1."),
  entry("tune.h1.zero-copy-fwd-send", "on-off", "Zero-copy send for HTTP/1."),
  entry(
    "tune.h1.be.glitches-threshold",
    "count",
    "Glitches after which a server connection is closed.",
  ),
  entry(
    "tune.h1.fe.glitches-threshold",
    "count",
    "Glitches after which a client connection is closed.",
  ),
  entry(
    "tune.h2.be.glitches-threshold",
    "count",
    "Glitches after which a server connection is closed.",
  ),
  entry(
    "tune.h2.be.initial-window-size",
    "count",
    "Receive window of a stream from a server.",
    works,
  ),
  entry(
    "tune.h2.be.max-concurrent-streams",
    "count",
    "Streams at once on a server connection.",
    works,
  ),
  entry("tune.h2.be.max-frames-at-once", "count", "Frames handled in one turn."),
  entry("tune.h2.be.rxbuf", "size", "Receive buffers of a server connection."),
  entry(
    "tune.h2.fe.glitches-threshold",
    "count",
    "Glitches after which a client connection is closed.",
  ),
  entry(
    "tune.h2.fe.initial-window-size",
    "count",
    "Receive window of a stream from a client.",
    works,
  ),
  entry(
    "tune.h2.fe.max-concurrent-streams",
    "count",
    "Streams at once on a client connection.",
    works,
  ),
  entry("tune.h2.fe.max-frames-at-once", "count", "Frames handled in one turn."),
  entry("tune.h2.fe.max-rst-at-once", "count", "Stream resets handled in one turn."),
  entry(
    "tune.h2.fe.max-total-streams",
    "count",
    "Streams in the life of a client connection.",
    works,
  ),
  entry("tune.h2.fe.rxbuf", "size", "Receive buffers of a client connection."),
  entry("tune.h2.header-table-size", "count", "HPACK table we decode with.", {
    min: 0,
    max: 65536,
    default: "4096",
    ...works,
  }),
  entry("tune.h2.initial-window-size", "count", "Receive window of a stream.", {
    min: 0,
    default: "65536",
    ...works,
  }),
  entry("tune.h2.log-errors", "text", "What of HTTP/2 errors is logged."),
  entry("tune.h2.max-concurrent-streams", "count", "Streams at once on a connection.", {
    min: 0,
    default: "100",
    ...works,
  }),
  entry("tune.h2.max-frame-size", "count", "Longest frame accepted.", {
    min: 16384,
    max: 16777215,
    ...works,
  }),
  entry("tune.h2.zero-copy-fwd-send", "on-off", "Zero-copy send for HTTP/2."),
  entry("tune.idle-pool.shared", "on-off", "Whether threads share idle server connections.", {
    default: "on",
  }),
  entry(
    "tune.idletimer",
    "time",
    "Silence after which a stream counts as idle (buffers then grow less).",
  ),
  entry("tune.listener.default-shards", "text", "What `shards` means where a bind line has none."),
  entry(
    "tune.listener.multi-queue",
    "text",
    "How connections spread over threads of a shared socket.",
  ),
  entry("tune.lua.bool-sample-conversion", "text", "Lua."),
  entry("tune.lua.burst-timeout", "time", "Lua."),
  entry("tune.lua.forced-yield", "count", "Lua."),
  entry("tune.lua.log.loggers", "on-off", "Lua."),
  entry("tune.lua.log.stderr", "text", "Lua."),
  entry("tune.lua.maxmem", "count", "Lua."),
  entry("tune.lua.openlibs", "text", "Lua."),
  entry("tune.lua.service-timeout", "time", "Lua."),
  entry("tune.lua.session-timeout", "time", "Lua."),
  entry("tune.lua.task-timeout", "time", "Lua."),
  entry("tune.max-checks-per-thread", "count", "Health checks at once in a thread."),
  entry("tune.max-rules-at-once", "count", "Rules judged before the loop turns.", { min: 0 }),
  entry("tune.maxaccept", "count", "Connections accepted in one turn."),
  entry("tune.maxpollevents", "count", "Events taken in one turn."),
  entry("tune.memory.hot-size", "size", "Memory of a thread's cache of objects."),
  entry("tune.notsent-lowat.client", "size", "Unsent bytes in the kernel towards clients."),
  entry("tune.notsent-lowat.server", "size", "Unsent bytes in the kernel towards servers."),
  entry("tune.pattern.cache-size", "count", "Entries of the cache of pattern lookups."),
  entry("tune.peers.max-updates-at-once", "count", "Table updates sent to a peer in one turn."),
  entry("tune.pipesize", "size", "Bytes of a splice pipe."),
  entry(
    "tune.pool-high-fd-ratio",
    "ratio",
    "Share of descriptors from which idle server connections are closed.",
    { min: 0, max: 100 },
  ),
  entry(
    "tune.pool-low-fd-ratio",
    "ratio",
    "Share of descriptors from which no more idle server connections are kept.",
    { min: 0, max: 100 },
  ),
  entry("tune.pt.zero-copy-forwarding", "on-off", "Zero-copy forwarding of TCP."),
  entry("tune.rcvbuf.backend", "size", "Receive buffer of datagram sockets towards servers."),
  entry("tune.rcvbuf.client", "size", "Kernel receive buffer of client connections."),
  entry("tune.rcvbuf.frontend", "size", "Receive buffer of datagram listeners."),
  entry("tune.rcvbuf.server", "size", "Kernel receive buffer of server connections."),
  entry("tune.recv_enough", "size", "Bytes that count as a full read."),
  entry("tune.renice.runtime", "count", "Niceness at run time.", { min: -20, max: 19 }),
  entry("tune.renice.startup", "count", "Niceness at start.", { min: -20, max: 19 }),
  entry("tune.ring.queues", "count", "Queues in front of a ring.", { min: 0 }),
  entry("tune.runqueue-depth", "count", "Tasks run in one turn."),
  entry("tune.sched.low-latency", "on-off", "Scheduling for latency."),
  entry("tune.sndbuf.backend", "size", "Send buffer of datagram sockets towards servers."),
  entry("tune.sndbuf.client", "size", "Kernel send buffer of client connections."),
  entry("tune.sndbuf.frontend", "size", "Send buffer of datagram listeners."),
  entry("tune.sndbuf.server", "size", "Kernel send buffer of server connections."),
  entry("tune.ssl.cachesize", "count", "Sessions in the TLS cache.", { min: 0, default: "20000" }),
  entry("tune.ssl.capture-buffer-size", "count", "Bytes of a ClientHello kept for fetches.", {
    min: 0,
  }),
  entry(
    "tune.ssl.capture-cipherlist-size",
    "count",
    "Bytes of a client's cipher list kept for fetches.",
    { min: 0 },
  ),
  entry("tune.ssl.certificate-compression", "text", "Certificate compression (RFC 8879)."),
  entry(
    "tune.ssl.default-dh-param",
    "count",
    "Bits of Diffie-Hellman parameters where certificates bring none.",
    { min: 1024, default: "2048" },
  ),
  entry("tune.ssl.force-private-cache", "flag", "A TLS session cache for each process."),
  entry("tune.ssl.hard-maxrecord", "count", "Longest TLS record, always."),
  entry("tune.ssl.keylog", "on-off", "Keeps TLS secrets for fetches."),
  entry(
    "tune.ssl.lifetime",
    "time",
    "Life of a TLS session in the cache, in seconds where no unit stands.",
    { default: "300" },
  ),
  entry(
    "tune.ssl.maxrecord",
    "count",
    "Longest TLS record. HAProxy: at the start of a stream only.",
  ),
  entry("tune.ssl.ocsp-update.maxdelay", "count", "OCSP updates."),
  entry("tune.ssl.ocsp-update.mindelay", "count", "OCSP updates."),
  entry("tune.ssl.ssl-ctx-cache-size", "count", "Contexts of generated certificates.", { min: 0 }),
  entry("tune.stick-counters", "count", "How many `track-sc` counters there are.", {
    min: 0,
    max: 64,
    default: "3",
    ...works,
  }),
  entry("tune.streams.max-per-conn", "count", "Streams in the life of a connection."),
  entry("tune.takeover-other-tg-connections", "text", "Idle connections of other thread groups."),
  entry("tune.vars.check-max-size", "size", "Memory of variables of a check."),
  entry("tune.vars.global-max-size", "size", "Memory of all variables."),
  entry("tune.vars.proc-max-size", "size", "Memory of variables of the process."),
  entry("tune.vars.reqres-max-size", "size", "Memory of variables of a request."),
  entry("tune.vars.sess-max-size", "size", "Memory of variables of a session."),
  entry("tune.vars.txn-max-size", "size", "Memory of variables of a transaction."),
  entry("tune.zlib.memlevel", "count", "Memory of zlib.", { min: 1, max: 9 }),
  entry("tune.zlib.windowsize", "count", "Window of zlib.", { min: 8, max: 15 }),
];

const byName = indexByName(tuningKeywords);

/** Reads a `tune.` line; false when there is no such keyword. */
export function readTuning(line: Line, reading: Reading): boolean {
  // QUIC is not served, so its knobs have nothing to turn: known, and without effect.
  if (line.name.startsWith("tune.quic.")) return true;
  const keyword = byName.get(line.name);
  if (keyword === undefined) return false;
  warnIgnored(keyword, line);
  const value = readValue(keyword, line);
  if (value !== undefined) reading.draft.global.tune.set(keyword.name, value);
  return true;
}

function readValue(keyword: Tuning, line: Line): number | string | undefined {
  const { name, kind } = keyword;
  const word = line.text(1);
  switch (kind) {
    case "flag":
      return line.atMost(0) ? 1 : undefined;
    case "text":
      if (word === "") line.alert(`'${name}' expects an argument.`);
      return word === "" ? undefined : word;
    case "on-off":
      if (word === "on" || word === "off") return word === "on" ? 1 : 0;
      line.alert(`'${name}' expects 'on' or 'off' but got '${word}'.`);
      return undefined;
    case "time": {
      const parsed = parseTime(word, name === "tune.ssl.lifetime" ? { unit: 1_000_000 } : {});
      if (parsed.kind === "ok") return parsed.value;
      line.alert(
        parsed.kind === "overflow"
          ? `timer overflow in argument '${word}' to '${name}' (maximum value is 2147483647 ms or ~24.8 days)`
          : `'${name}' expects a time but got '${word}'.`,
      );
      return undefined;
    }
    case "size":
    case "count":
    case "ratio":
      return line.atMost(1) ? numberOf(keyword, line) : undefined;
  }
}

function numberOf({ name, kind, min, max }: Tuning, line: Line): number | undefined {
  const word = line.text(1);
  if (word === "") {
    line.alert(`'${name}' expects an integer argument.`);
    return undefined;
  }
  const size = parseSize(word);
  const value = size.kind === "ok" ? size.value : kind === "size" ? undefined : parseWhole(word);
  if (value === undefined || (min === 1 && value < 1)) {
    line.alert(`'${name}' expects a positive integer argument.`);
    return undefined;
  }
  if (min !== undefined && value < min) {
    line.alert(`'${name}' expects a value >= ${min}.`);
    return undefined;
  }
  if (max !== undefined && value > max) {
    line.alert(`'${name}' expects a numeric value between ${min ?? 0} and ${max}.`);
    return undefined;
  }
  return value;
}
