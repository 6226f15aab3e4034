import {
  flag,
  type GlobalKeyword,
  ignored,
  keyword,
  notServed,
  number,
  readNumber,
  removed,
  text,
  time,
  toggle,
  tuning,
} from "./global-keyword.ts";
import { MAX_THREADS } from "./limits.ts";
import type { Line } from "./line.ts";
import { readLogTarget } from "./log-target.ts";
import type { Reading } from "./reading.ts";
import { parseWhole } from "./values.ts";

const FLAG_DOCS: Readonly<Record<string, string>> = {
  noepoll: "Poller choice: ours is the ring.",
  nopoll: "Poller choice: ours is the ring.",
  noevports: "Poller choice of another system.",
  nokqueue: "Poller choice of another system.",
  nosplice: "Splicing off; as -dS.",
  nogetaddrinfo: "Resolver choice; as -dG.",
  "expose-experimental-directives": "Experimental keywords of HAProxy need it; here none does.",
  "expose-deprecated-directives": "Deprecated keywords of HAProxy need it; here none does.",
};

/** Process, limits, logs and state files. HAProxy configuration manual §3.1 and §3.2. */
export const globalKeywords: readonly GlobalKeyword[] = [
  flag("daemon", { doc: "Go to the background." }, (g) => {
    g.daemon = true;
  }),
  keyword(
    "master-worker",
    "master-worker [no-exit-on-failure]",
    { doc: "A master that holds the sockets and workers that serve; as -W." },
    (line, { draft }) => {
      if (line.text(1) !== "" && line.text(1) !== "no-exit-on-failure") {
        line.alert("'master-worker' only supports 'no-exit-on-failure' option.");
      } else if (line.atMost(1)) draft.global.masterWorker = true;
    },
  ),
  keyword("user", "user <name>", { doc: "User to run as, once sockets are open." }, (line, r) => {
    if (!line.atMost(1)) return;
    const uid = r.host.userId(line.text(1));
    if (uid === undefined) line.alert(`cannot find user id for '${line.text(1)}' (0:Success)`);
    r.draft.global.user = line.text(1);
    r.draft.global.uid = uid;
  }),
  keyword("group", "group <name>", { doc: "Group to run as." }, (line, r) => {
    if (!line.atMost(1)) return;
    const gid = r.host.groupId(line.text(1));
    if (gid === undefined) line.alert(`cannot find group id for '${line.text(1)}' (0:Success)`);
    r.draft.global.group = line.text(1);
    r.draft.global.gid = gid;
  }),
  keyword("uid", "uid <number>", { doc: "User to run as, by number." }, (line, r) =>
    readId(line, r, "user", (value) => {
      r.draft.global.uid = value;
    }),
  ),
  keyword("gid", "gid <number>", { doc: "Group to run as, by number." }, (line, r) =>
    readId(line, r, "group", (value) => {
      r.draft.global.gid = value;
    }),
  ),
  text(
    "chroot",
    "<folder>",
    "a directory as an argument",
    { doc: "Folder that becomes the root, once all files are read." },
    (g, v) => {
      g.chroot = v;
    },
  ),
  text(
    "pidfile",
    "<path>",
    "a file name as an argument",
    { doc: "Where process ids are written." },
    (g, v) => {
      g.pidfile = v;
    },
  ),
  keyword(
    "maxconn",
    "maxconn <number>",
    { doc: "Most concurrent client connections of the process.", source: "§3.2" },
    (line, r) => {
      const value = readNumber(line);
      if (value !== undefined && r.commandLine.maxconn === undefined)
        r.draft.global.maxconn = value;
    },
  ),
  number("ulimit-n", { doc: "Limit of open files; derived from maxconn by default." }, (g, v) => {
    g.ulimitN = v;
  }),
  number(
    "fd-hard-limit",
    { doc: "Most open files ever used, whatever the system allows." },
    (g, v) => {
      g.fdHardLimit = v;
    },
  ),
  keyword(
    "nbthread",
    "nbthread <number>",
    { doc: "Threads of a worker.", default: "one for each usable CPU" },
    (line, r) => {
      if (!line.atMost(1)) return;
      const word = line.text(1);
      const value = parseWhole(word);
      if (value === undefined) {
        line.alert(`'nbthread' passed a missing or unparsable integer value in '${word}'`);
      } else if (value < 1 || value > MAX_THREADS) {
        line.alert(`'nbthread' value must be between 1 and ${MAX_THREADS} (was ${value})`);
      } else r.draft.global.nbthread = value;
    },
  ),
  number(
    "maxconnrate",
    { doc: "New connections a second over the whole process.", source: "§3.2" },
    (g, v) => {
      g.maxconnrate = v;
    },
  ),
  number("maxsessrate", { doc: "New sessions a second.", source: "§3.2" }, (g, v) => {
    g.maxsessrate = v;
  }),
  number("maxsslconn", { doc: "Concurrent TLS connections.", source: "§3.2" }, (g, v) => {
    g.maxsslconn = v;
  }),
  number("maxsslrate", { doc: "TLS handshakes a second.", source: "§3.2" }, (g, v) => {
    g.maxsslrate = v;
  }),
  number(
    "maxcomprate",
    { doc: "Kilobytes a second put through compression.", source: "§3.2", status: "later" },
    (g, v) => {
      g.maxcomprate = v;
    },
  ),
  number("maxpipes", { doc: "Pipes for splicing.", source: "§3.2", status: "tuning" }, (g, v) => {
    g.maxpipes = v;
  }),
  number("maxzlibmem", { doc: "Megabytes for zlib.", source: "§3.2", status: "tuning" }, (g, v) => {
    g.maxzlibmem = v;
  }),
  number(
    "maxcompcpuusage",
    { doc: "CPU percent from which compression rests.", source: "§3.2", status: "tuning" },
    () => {},
  ),
  keyword("node", "node <name>", { doc: "Name of this host on the stats page." }, (line, r) => {
    if (!/^[A-Za-z0-9._-]+$/.test(line.text(1))) {
      line.alertTight(
        "'node' requires valid node name - non-empty string with digits(0-9), letters(A-Z, a-z), dot(.), hyphen(-) or underscode(_).",
      );
    } else r.draft.global.node = line.text(1);
  }),
  keyword(
    "description",
    "description <text>",
    { doc: "Text about this host on the stats page." },
    (line, r) => {
      if (line.text(1) === "") line.alertTight("'description' expects a string argument.");
      else
        r.draft.global.description = line.words
          .slice(1)
          .map(({ text }) => text)
          .join(" ");
    },
  ),
  keyword(
    "localpeer",
    "localpeer <name>",
    {
      doc: "Name of this process among peers, and HAPROXY_LOCALPEER.",
      default: "the host's name",
    },
    (line, r) => {
      if (!line.atMost(1)) return;
      if (line.text(1) === "") line.alert("'localpeer' expects a name as an argument.");
      else {
        r.draft.global.localpeer = line.text(1);
        r.environment.set("HAPROXY_LOCALPEER", line.text(1));
      }
    },
  ),
  keyword(
    "log",
    "log <address> [len <n>] [format <f>] [sample <ranges>:<n>] <facility> [max level [min level]]",
    { doc: "Where logs go. `no log` forgets those above." },
    (line, r, negated) => {
      if (negated) {
        if (line.text(1) === "") r.draft.global.logTargets = [];
        else line.alert("log : 'no log' does not expect arguments");
        return;
      }
      const target = readLogTarget(line, r, false);
      if (target !== undefined) r.draft.global.logTargets.push(target);
    },
  ),
  keyword(
    "log-tag",
    "log-tag <text>",
    { doc: "Program name in log lines.", default: "haproxy" },
    (line, r) => {
      if (!line.atMost(1)) return;
      if (line.text(1) === "") line.alert("'log-tag' expects a tag for use in syslog.");
      else r.draft.global.logTag = line.text(1);
    },
  ),
  keyword(
    "log-send-hostname",
    "log-send-hostname [<text>]",
    { doc: "Puts the host's name into log headers." },
    (line, r) => {
      if (line.atMost(1)) r.draft.global.logSendHostname = line.text(1);
    },
  ),
  text(
    "server-state-base",
    "<folder>",
    "one argument: a directory path",
    { doc: "Folder of state files named without one." },
    (g, v) => {
      g.serverStateBase = v;
    },
  ),
  keyword(
    "server-state-file",
    "server-state-file <path>",
    { doc: "State of servers, read at start." },
    (line, r) => {
      if (!line.atMost(1)) return;
      if (line.text(1) === "") line.alert("'server-state-file' expects one argument: a file path.");
      else r.draft.global.serverStateFile = line.text(1);
    },
  ),
  text(
    "stats-file",
    "<path>",
    "a file path",
    { doc: "Counters written by `dump stats-file`, read at start.", status: "later" },
    (g, v) => {
      g.stats.file = v;
    },
  ),
  time(
    "hard-stop-after",
    { doc: "A stopping process closes what is left after that long." },
    (g, v) => {
      g.hardStopAfter = v;
    },
  ),
  time("grace", { doc: "Goes on accepting that long after a soft stop." }, (g, v) => {
    g.grace = v;
  }),
  keyword(
    "close-spread-time",
    "close-spread-time { <time> | infinite }",
    {
      doc: "Spreads closing of idle connections at a soft stop: here they are not closed, but end with their next answer.",
      status: "tuning",
    },
    (line, r) => {
      if (line.text(1) === "infinite") return;
      time("close-spread-time", { doc: "" }, () => {}).read(line, r, false);
    },
  ),
  keyword(
    "spread-checks",
    "spread-checks <0..50>",
    { doc: "Percent of randomness in check intervals.", default: "0" },
    (line, r) => {
      if (!line.atMost(1)) return;
      const value = parseWhole(line.text(1));
      if (line.text(1) === "")
        line.alertTight("'spread-checks' expects an integer argument (0..50).");
      else if (value === undefined || value < 0 || value > 50) {
        line.alertTight("'spread-checks' needs a positive value in range 0..50.");
      } else r.draft.global.spreadChecks = value;
    },
  ),
  time("max-spread-checks", { doc: "Longest delay by spread-checks." }, (g, v) => {
    g.maxSpreadChecks = v;
  }),
  keyword(
    "external-check",
    "external-check [preserve-env]",
    { doc: "Permits checks by programs." },
    (line, r) => {
      if (line.text(1) === "preserve-env" ? line.atMost(1) : line.atMost(0)) {
        r.draft.global.externalCheck = true;
      }
    },
  ),
  toggle(
    "insecure-fork-wanted",
    { doc: "Permits starting programs (external checks)." },
    (g, on) => {
      g.insecureForkWanted = on;
    },
  ),
  flag("insecure-setuid-wanted", {
    doc: "Permits programs that gain privileges: nothing here takes that from them.",
    status: "tuning",
  }),
  toggle("set-dumpable", {
    doc: "Permits core dumps after the change of user.",
    status: "ignored",
  }),
  toggle(
    "strict-limits",
    { doc: "Refuses to start when the limit of open files cannot be had." },
    (g, on) => {
      g.strictLimits = on;
    },
  ),
  toggle("busy-polling", { doc: "Never sleeps.", status: "tuning", source: "§3.2" }, (g, on) => {
    g.busyPolling = on;
  }),
  toggle("numa-cpu-mapping", { doc: "Threads on one NUMA node.", status: "tuning" }, () => {}),
  flag("noreuseport", { doc: "No SO_REUSEPORT; as -dR.", source: "§3.2" }, (g) => {
    g.noReusePort = true;
  }),
  ...[
    "noepoll",
    "nopoll",
    "noevports",
    "nokqueue",
    "nosplice",
    "nogetaddrinfo",
    "no-memory-trimming",
    "no-quic",
    "limited-quic",
    "expose-experimental-directives",
    "expose-deprecated-directives",
    "prealloc-fd",
  ].map((name) =>
    flag(name, {
      doc: FLAG_DOCS[name] ?? "Without effect here.",
      status: "tuning",
      source: "§3.2",
    }),
  ),
  flag("quiet", { doc: "As -q.", source: "§3.3" }, (g) => {
    g.quiet = true;
  }),
  flag("zero-warning", { doc: "Warnings are errors; as -dW.", source: "§3.3" }, (g) => {
    g.zeroWarning = true;
  }),
  ignored("debug", "", "Shows all that is exchanged; as -d.", "§3.3"),
  ignored("pp2-never-send-local", "", "PROXY version 2 in checks says PROXY, not LOCAL."),
  ignored("h1-accept-payload-with-any-method", "", "Takes bodies of GET, HEAD and DELETE."),
  ignored("h1-do-not-close-on-insecure-transfer-encoding", "", "Keeps such connections open."),
  ignored("h2-workaround-bogus-websocket-clients", "", "Does not offer websockets over HTTP/2."),
  keyword(
    "cpu-map",
    "cpu-map [auto:]<threads> <cpus>…",
    { doc: "Binds threads to CPUs.", status: "tuning" },
    (line) => {
      const set = line.text(1).replace(/^auto:/, "");
      if (!/^(all|odd|even|\d+(-\d+)?)(\/(all|odd|even|\d+(-\d+)?))?$/.test(set)) {
        line.alert(`cpu-map : '${set}' is not a valid number/range.`);
      } else if (line.text(2) === "") {
        line.alert(
          "cpu-map expects a thread group number including 'all', 'odd', 'even', or a number from 1 to 64, followed by a list of CPU ranges.",
        );
      }
    },
  ),
  tuning("cpu-policy", "<policy>", "Which CPUs are used."),
  tuning("cpu-set", "<directive>…", "Which CPUs are used."),
  tuning("cpu-affinity", "<affinity>", "How threads are bound to CPUs."),
  tuning("thread-groups", "<number>", "Groups of threads."),
  tuning("thread-group", "<group> [<threads>…]", "Which threads are in a group."),
  number("thread-hard-limit", { doc: "Most threads that are started of themselves." }, (g, v) => {
    g.threadHardLimit = v;
  }),
  tuning("max-threads-per-group", "<number>", "Threads of a group."),
  keyword(
    "mworker-max-reloads",
    "mworker-max-reloads <number>",
    { doc: "Reloads that a worker may survive." },
    (line, r) => {
      const value = parseWhole(line.text(1));
      if (!line.atMost(1)) return;
      if (line.text(1) === "") line.alert("'mworker-max-reloads' expects an integer argument.");
      else if (value !== undefined && value >= 0) r.draft.global.maxReloads = value;
      else
        line.warn(`'mworker-max-reloads' : '${line.text(1)}' is not a number, it has no effect.`);
    },
  ),
  tuning("profiling.tasks", "{ auto | on | off }", "Profiling.", "§3.2"),
  tuning("profiling.memory", "{ on | off }", "Profiling.", "§3.2"),
  tuning("force-cfg-parser-pause", "<time>", "For tests of HAProxy itself."),
  tuning("warn-blocked-traffic-after", "<time>", "Warns when a thread does not turn."),
  ignored("anonkey", "<key>", "Key of anonymised dumps."),
  ignored("setcap", "<capabilities>", "Capabilities kept after the change of user."),
  keyword(
    "harden.reject-privileged-ports.tcp",
    "harden.reject-privileged-ports.tcp { on | off }",
    { doc: "Refuses clients from ports below 1024.", default: "off" },
    (line, r) => {
      const word = line.text(1);
      if (word !== "on" && word !== "off") {
        line.alert(`'${line.name}' expects either 'on' or 'off' but got '${word}'.`);
      } else if (line.atMost(1)) r.draft.global.rejectPrivilegedPorts = word === "on";
    },
  ),
  tuning("harden.reject-privileged-ports.quic", "{ on | off }", "QUIC is not served."),
  ignored("dns-accept-family", "<families>", "Families of addresses taken from DNS."),
  ignored("shm-stats-file", "<path>", "Counters shared by processes."),
  ignored("shm-stats-file-max-objects", "<number>", "Counters shared by processes."),
  tuning("cluster-secret", "<secret>", "Secret of a cluster (QUIC)."),
  tuning("httpclient.resolvers.disabled", "<on|off>", "HAProxy's own HTTP client (Lua, OCSP)."),
  tuning("httpclient.resolvers.id", "<name>", "HAProxy's own HTTP client."),
  tuning("httpclient.resolvers.prefer", "<family>", "HAProxy's own HTTP client."),
  tuning("httpclient.retries", "<number>", "HAProxy's own HTTP client."),
  tuning("httpclient.ssl.ca-file", "<path>", "HAProxy's own HTTP client."),
  tuning("httpclient.ssl.verify", "[none|required]", "HAProxy's own HTTP client."),
  tuning("httpclient.timeout.connect", "<time>", "HAProxy's own HTTP client."),
  keyword(
    "unix-bind",
    "unix-bind [prefix <p>] [mode <m>] [user|uid <u>] [group|gid <g>]",
    { doc: "Defaults for unix sockets." },
    readUnixBind,
  ),
  notServed("lua-load", "<file> [<args>…]", "Lua"),
  notServed("lua-load-per-thread", "<file> [<args>…]", "Lua"),
  notServed("lua-prepend-path", "<path> [<type>]", "Lua"),
  notServed("51degrees-data-file", "<path>", "device detection"),
  notServed("deviceatlas-json-file", "<path>", "device detection"),
  notServed("wurfl-data-file", "<path>", "device detection"),
  notServed("acme.scheduler", "{ auto | off }", "ACME"),
  removed(
    "nbproc",
    "nbproc is not supported any more since HAProxy 2.5. Threads will automatically be used on multi-processor machines if available.",
  ),
  removed(
    "bind-process",
    "'bind-process' is not supported any more. Please use 'thread' on 'bind' lines instead.",
  ),
  removed("reqrep", "'reqrep' is not supported any more since HAProxy 2.1."),
];

function readId(
  line: Line,
  _reading: Reading,
  what: "user" | "group",
  set: (id: number) => void,
): void {
  if (!line.atMost(1)) return;
  const id = parseWhole(line.text(1));
  if (id === undefined || id < 0) {
    line.warn(
      ` ${line.name}: string '${line.text(1)}' is not a number.\n   | You might want to use the '${what}' parameter to use a system ${what} name.`,
    );
  }
  set(id ?? 0);
}

function readUnixBind(line: Line, { draft, host }: Reading): void {
  const { unixBind } = draft.global;
  for (let i = 1; line.text(i) !== ""; i += 2) {
    const value = line.text(i + 1);
    switch (line.text(i)) {
      case "prefix":
        unixBind.prefix = value;
        break;
      case "mode":
        unixBind.mode = Number.parseInt(value, 8);
        break;
      case "uid":
        unixBind.uid = parseWhole(value) ?? 0;
        break;
      case "gid":
        unixBind.gid = parseWhole(value) ?? 0;
        break;
      case "user":
        unixBind.uid = host.userId(value);
        if (unixBind.uid === undefined) line.alert(`'unix-bind' : '${value}' unknown user`);
        break;
      case "group":
        unixBind.gid = host.groupId(value);
        if (unixBind.gid === undefined) line.alert(`'unix-bind' : '${value}' unknown group`);
        break;
      default:
        line.alert(
          "'unix-bind' only supports the 'prefix', 'mode', 'uid', 'gid', 'user' and 'group' options.",
        );
        return;
    }
  }
}
