import { parseUmask } from "../core/config/global-table.ts";

/** The command line of keepalived 2.4.3, and ours (`--json` and those after it). keepalived(8) */
export interface CliOptions {
  readonly configFile: string;
  /** `-t`: a log file to append to, or true for standard error. */
  readonly configTest: boolean | string;
  readonly foreground: boolean;
  readonly logConsole: boolean;
  readonly logDetail: boolean;
  readonly syslog: boolean;
  readonly logFacility: string;
  /** `-g`: a file to log to; true: /tmp/keepalived.log. */
  readonly logFile: boolean | string;
  readonly dumpConfigToLog: boolean;
  readonly configId?: string;
  readonly allIncludeChecks: boolean;
  readonly pidFile?: string;
  readonly vrrpPidFile?: string;
  /** Written when there are BFD instances: BFD runs in the VRRP process. */
  readonly bfdPidFile?: string;
  /** `-V`: addresses and routes stay at exit. */
  readonly keepAddresses: boolean;
  readonly respawn: boolean;
  readonly namespace?: string;
  readonly umask?: number;
  readonly logAddressChanges: boolean;
  readonly ignoreSigint: boolean;
  /** Which parts run; LVS never does. */
  readonly vrrp: boolean;
  /** Options that keepalived has and we do not serve, as written. */
  readonly unsupported: readonly string[];
  /** A line for each option that is understood and changes nothing. */
  readonly withoutEffect: readonly string[];

  readonly help: boolean;
  readonly version: boolean;
  /** `--signum=NAME`. */
  readonly signum?: string;

  /** Ours: findings of `-t`, and `--explain`, as JSON on standard output. */
  readonly json: boolean;
  /** Ours: ask for no interfaces, users or scripts. */
  readonly offline: boolean;
  /** Ours: print the configuration as a file. */
  readonly dump?: "conf" | "yaml" | "json";
  /** Ours: without our own keywords. */
  readonly strict: boolean;
  /** Ours: say what follows from the file. */
  readonly explain: boolean;
  /** Ours: priorities of the other routers, or their configuration files, for `--explain`. */
  readonly peers: readonly string[];
  readonly logFormat?: "text" | "json";
  /** Ours: proxies live on when we stop, and the next daemon finds them. */
  readonly keepProxies: boolean;
}

interface Option {
  readonly short?: string;
  readonly long?: string;
  /** Whether a value follows: always, or only when joined to it. */
  readonly value?: "needed" | "optional";
  /** As it stands in the help; undefined keeps it out. */
  readonly help?: string;
  readonly set: (options: Settable, value: string | undefined) => string | undefined;
}

type Settable = { -readonly [K in keyof CliOptions]: CliOptions[K] } & {
  unsupported: string[];
  withoutEffect: string[];
  peers: string[];
};

type Switch = {
  [K in keyof Required<CliOptions>]: Required<CliOptions>[K] extends boolean ? K : never;
}[keyof CliOptions];

const turn =
  (key: Exclude<Switch, "configTest" | "logFile">, to = true) =>
  (options: Settable): undefined => {
    options[key] = to;
    return undefined;
  };

const keep =
  (key: "pidFile" | "vrrpPidFile" | "bfdPidFile" | "configId" | "namespace" | "signum") =>
  (options: Settable, value: string | undefined): undefined => {
    options[key] = value ?? "";
    return undefined;
  };

const without = (options: Settable, name: string): undefined => {
  options.unsupported.push(name);
  return undefined;
};

const pointless =
  (why: string) =>
  (options: Settable): undefined => {
    options.withoutEffect.push(why);
    return undefined;
  };

const facilities = ["user", "daemon", "0", "1", "2", "3", "4", "5", "6", "7"];

/** Every option. The help text is this table. */
const table: readonly Option[] = [
  {
    short: "f",
    long: "use-file",
    value: "needed",
    help: "Use the given configuration file (.yaml, .yml: YAML)",
    set: (options, value) => {
      options.configFile = value ?? "";
      return undefined;
    },
  },
  { short: "P", long: "vrrp", help: "Only run VRRP (there is nothing else)", set: () => undefined },
  {
    short: "C",
    long: "check",
    help: "Only run health checkers: not served",
    set: (options) => {
      options.vrrp = false;
      return without(options, "-C");
    },
  },
  { short: "B", long: "no_bfd", set: (options) => without(options, "-B") },
  { long: "all", set: () => undefined },
  { short: "l", long: "log-console", help: "Log to the console as well", set: turn("logConsole") },
  { short: "D", long: "log-detail", help: "More log lines", set: turn("logDetail") },
  {
    short: "S",
    long: "log-facility",
    value: "needed",
    help: "Syslog facility: 0-7, local0-7, user, daemon",
    set: (options, value = "") => {
      const name = value.replace(/^local(?=[0-7]$)/, "");
      if (!facilities.includes(name)) return `invalid log facility '${value}'`;
      options.logFacility = /^\d$/.test(name) ? `local${name}` : name;
      return undefined;
    },
  },
  {
    short: "g",
    long: "log-file",
    value: "optional",
    help: "Also log to a file (default: /tmp/keepalived.log)",
    set: (options, value) => {
      options.logFile = value ?? true;
      return undefined;
    },
  },
  {
    long: "flush-log-file",
    help: "Flush the log file after each line (always done)",
    set: () => undefined,
  },
  { short: "G", long: "no-syslog", help: "Do not log to syslog", set: turn("syslog", false) },
  {
    short: "X",
    long: "release-vips",
    help: "Drop addresses on a transition by a signal (always done but for -V)",
    set: pointless("option -X changes nothing: addresses always go at the end, unless -V says no"),
  },
  {
    short: "V",
    long: "dont-release-vrrp",
    help: "Keep addresses and routes at exit",
    set: turn("keepAddresses"),
  },
  { short: "I", long: "dont-release-ipvs", set: (options) => without(options, "-I") },
  {
    short: "R",
    long: "dont-respawn",
    help: "Do not start a dead process again",
    set: turn("respawn", false),
  },
  { short: "n", long: "dont-fork", help: "Stay in the foreground", set: turn("foreground") },
  { short: "d", long: "dump-conf", help: "Log the configuration", set: turn("dumpConfigToLog") },
  {
    short: "p",
    long: "pid",
    value: "needed",
    help: "PID file of the daemon",
    set: keep("pidFile"),
  },
  {
    short: "r",
    long: "vrrp_pid",
    value: "needed",
    help: "PID file of the VRRP process",
    set: keep("vrrpPidFile"),
  },
  {
    short: "c",
    long: "checkers_pid",
    value: "needed",
    help: "PID file of the checkers: there are none",
    set: pointless("option -c changes nothing: there is no process for health checkers"),
  },
  {
    short: "b",
    long: "bfd_pid",
    value: "needed",
    help: "PID file of the BFD process: of the VRRP process, where BFD runs",
    set: keep("bfdPidFile"),
  },
  {
    short: "a",
    long: "address-monitoring",
    help: "Log every address change",
    set: turn("logAddressChanges"),
  },
  {
    short: "s",
    long: "namespace",
    value: "needed",
    help: "Run in a network namespace",
    set: keep("namespace"),
  },
  {
    short: "u",
    long: "umask",
    value: "needed",
    help: "umask of created files",
    set: (options, value = "") => {
      const mask = parseUmask(value);
      if (mask === undefined) return `invalid umask '${value}'`;
      options.umask = mask;
      return undefined;
    },
  },
  {
    short: "e",
    long: "all-config",
    help: "Error if any included file is missing",
    set: turn("allIncludeChecks"),
  },
  { short: "m", long: "core-dump", set: (options) => without(options, "-m") },
  {
    short: "M",
    long: "core-dump-pattern",
    value: "optional",
    set: (options) => without(options, "-M"),
  },
  { short: "x", long: "snmp", set: (options) => without(options, "-x") },
  {
    short: "A",
    long: "snmp-agent-socket",
    value: "needed",
    set: (options) => without(options, "-A"),
  },
  { short: "T", long: "genhash", set: (options) => without(options, "-T") },
  {
    short: "i",
    long: "config-id",
    value: "needed",
    help: "Identity for @ID lines",
    set: keep("configId"),
  },
  {
    long: "signum",
    value: "needed",
    help: "Print the number of signal STOP, RELOAD, DATA, STATS, STATS_CLEAR or JSON",
    set: keep("signum"),
  },
  {
    short: "t",
    long: "config-test",
    value: "optional",
    help: "Check the configuration; findings go to standard error or the given file",
    set: (options, value) => {
      options.configTest = value ?? true;
      return undefined;
    },
  },
  { long: "ignore-sigint", set: turn("ignoreSigint") },
  { long: "no-mem-check", set: () => undefined },
  { long: "perf", value: "optional", set: (options) => without(options, "--perf") },
  {
    long: "debug",
    value: "optional",
    set: (options) => without(options, "--debug"),
  },
  { short: "v", long: "version", help: "Show the version", set: turn("version") },
  { short: "h", long: "help", help: "Show this", set: turn("help") },

  {
    long: "offline",
    help: "With -t: ask for no interfaces, users or scripts (ours)",
    set: turn("offline"),
  },
  { long: "json", help: "With -t or --explain: JSON on standard output (ours)", set: turn("json") },
  {
    long: "dump",
    value: "needed",
    help: "Print the configuration as conf, yaml or json (ours)",
    set: (options, value) => {
      if (value !== "conf" && value !== "yaml" && value !== "json") {
        return "--dump needs conf, yaml or json";
      }
      options.dump = value;
      return undefined;
    },
  },
  { long: "strict", help: "With --dump: without our own keywords (ours)", set: turn("strict") },
  { long: "explain", help: "Say what follows from the configuration (ours)", set: turn("explain") },
  {
    long: "peer",
    value: "needed",
    help: "With --explain: a peer's priority or configuration file, repeatable (ours)",
    set: (options, value) => {
      options.peers.push(value ?? "");
      return undefined;
    },
  },
  {
    long: "log-format",
    value: "needed",
    help: "Form of the log lines: text or json (ours)",
    set: (options, value) => {
      if (value !== "text" && value !== "json") return "--log-format needs text or json";
      options.logFormat = value;
      return undefined;
    },
  },
  {
    long: "keep-proxies",
    help: "Proxies live on when this stops, for the next one to find (ours)",
    set: turn("keepProxies"),
  },
];

/** The options, or what is wrong with them (exit 1, as keepalived). */
export function parseCli(
  args: readonly string[],
): { readonly options: CliOptions } | { readonly problem: string } {
  const options: Settable = {
    configFile: "/etc/keepalived/keepalived.conf",
    configTest: false,
    foreground: false,
    logConsole: false,
    logDetail: false,
    syslog: true,
    logFacility: "daemon",
    logFile: false,
    dumpConfigToLog: false,
    allIncludeChecks: false,
    keepAddresses: false,
    respawn: true,
    logAddressChanges: false,
    ignoreSigint: false,
    vrrp: true,
    unsupported: [],
    withoutEffect: [],
    peers: [],
    help: false,
    version: false,
    json: false,
    offline: false,
    strict: false,
    explain: false,
    keepProxies: false,
  };
  const rest = [...args];
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === "--") break;
    const problem = arg.startsWith("--")
      ? takeLong(arg.slice(2), rest, options)
      : arg.startsWith("-") && arg !== "-"
        ? takeShort(arg.slice(1), rest, options)
        : `unexpected argument '${arg}'`;
    if (problem !== undefined) return { problem };
  }
  if (rest.length > 0) return { problem: `unexpected argument '${rest[0]}'` };
  return { options };
}

/** A long name may be shortened as long as it is not ambiguous, as getopt_long(3) does it. */
function takeLong(text: string, rest: string[], options: Settable): string | undefined {
  const equals = text.indexOf("=");
  const name = equals === -1 ? text : text.slice(0, equals);
  const joined = equals === -1 ? undefined : text.slice(equals + 1);
  const exact = table.find(({ long }) => long === name);
  const near = table.filter(({ long }) => long?.startsWith(name) === true);
  const option = exact ?? (near.length === 1 ? near[0] : undefined);
  if (option === undefined) {
    return near.length > 1 ? `option '--${name}' is ambiguous` : `unrecognized option '--${name}'`;
  }
  if (joined !== undefined && option.value === undefined) {
    return `option '--${option.long}' does not allow an argument`;
  }
  const value = joined ?? (option.value === "needed" ? rest.shift() : undefined);
  if (option.value === "needed" && value === undefined) {
    return `option '--${option.long}' requires an argument`;
  }
  return option.set(options, value);
}

function takeShort(text: string, rest: string[], options: Settable): string | undefined {
  for (let i = 0; i < text.length; i++) {
    const letter = text.charAt(i);
    const option = table.find(({ short }) => short === letter);
    if (option === undefined) return `invalid option -- '${letter}'`;
    if (option.value === undefined) {
      const problem = option.set(options, undefined);
      if (problem !== undefined) return problem;
      continue;
    }
    const joined = text.slice(i + 1).replace(/^=/, "");
    const value = joined !== "" ? joined : option.value === "needed" ? rest.shift() : undefined;
    if (option.value === "needed" && value === undefined) {
      return `option requires an argument -- '${letter}'`;
    }
    return option.set(options, value);
  }
  return undefined;
}

export function helpText(): string {
  const lines = table.flatMap(({ short, long, value, help }) => {
    if (help === undefined) return [];
    const names = [
      short === undefined ? "    " : `  -${short}${long === undefined ? "" : ","}`,
      long === undefined ? "" : `--${long}`,
    ].join(" ");
    const shown =
      value === undefined ? names : `${names}${value === "needed" ? "=VALUE" : "[=VALUE]"}`;
    return [`${shown.padEnd(36)} ${help}`];
  });
  return ["Usage: vrrpd [OPTION...]", ...lines, ""].join("\n");
}
