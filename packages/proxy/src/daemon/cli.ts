/** What the command line asks for. Options and their meaning are HAProxy's. HAProxy management guide §3. */
export interface CommandLine {
  readonly mode: "version" | "build" | "usage" | "condition" | "check" | "dump" | "run";
  /** `-f`, and what follows `--`, in order. Folders stand for their `*.cfg`. */
  readonly files: readonly string[];
  /** `-cc`. */
  readonly condition: string;
  /** `-V`: says that a configuration is valid, and what is done. */
  readonly verbose: boolean;
  /** `-q`: says nothing. */
  readonly quiet: boolean;
  /** `-d`: foreground with traces of traffic. */
  readonly debug: boolean;
  /** `-db`. */
  readonly foreground: boolean;
  /** `-D`. */
  readonly daemon: boolean;
  /** `-W`, `-Ws`. */
  readonly masterWorker: boolean;
  readonly notifySystemd: boolean;
  /** `-S`: the bind line of the master's socket; several times. */
  readonly masterSockets: readonly string[];
  readonly pidfile: string | undefined;
  /** `-sf`: these finish their work. */
  readonly finish: readonly number[];
  /** `-st`: these end at once. */
  readonly terminate: readonly number[];
  /** `-x`: takes listening sockets from the process behind this socket. */
  readonly takeOver: string | undefined;
  /** `-n`. */
  readonly maxconn: number | undefined;
  /** `-N`. */
  readonly proxyMaxconn: number | undefined;
  /** `-m`, in megabytes. */
  readonly memory: number | undefined;
  /** `-L`. */
  readonly localPeer: string | undefined;
  /** `-C`. */
  readonly folder: string | undefined;
  /** `-dW`. */
  readonly warningsAreErrors: boolean;
  /** `-dD`. */
  readonly diagnostic: boolean;
  /** `-dV`: servers' certificates are not verified. */
  readonly noServerVerify: boolean;
  /** `-dr`. */
  readonly ignoreUnresolved: boolean;
  /** `-de`: no epoll; for us: no io_uring wins over it. */
  readonly without: ReadonlySet<"epoll" | "poll" | "splice" | "getaddrinfo" | "reuseport">;
  /** Other `-d…` words, taken and without effect: HAProxy's own debugging. */
  readonly otherDebug: readonly string[];
  /** Ours: `--dump json` prints the model. */
  readonly dump: "json" | undefined;
  /** What cannot be understood; usage is shown, exit status 1. */
  readonly error: string | undefined;
}

type Draft = { -readonly [K in keyof CommandLine]: CommandLine[K] };

type Change = (line: CommandLine, value: string) => Partial<CommandLine>;

const SWITCHES: ReadonlyMap<string, Change> = new Map<string, Change>([
  ["-v", (line) => ({ mode: line.mode === "build" ? "build" : "version" })],
  ["-vq", () => ({ mode: "version" })],
  ["-vqs", () => ({ mode: "version" })],
  ["-vqb", () => ({ mode: "version" })],
  ["-vv", () => ({ mode: "build" })],
  ["-c", () => ({ mode: "check" })],
  ["-V", () => ({ verbose: true, quiet: false })],
  ["-q", () => ({ quiet: true, verbose: false })],
  ["-d", () => ({ debug: true, foreground: true })],
  ["-db", () => ({ foreground: true })],
  ["-D", () => ({ daemon: true })],
  ["-W", () => ({ masterWorker: true })],
  ["-Ws", () => ({ masterWorker: true, notifySystemd: true, foreground: true })],
  ["-dW", () => ({ warningsAreErrors: true })],
  ["-dD", () => ({ diagnostic: true })],
  ["-dV", () => ({ noServerVerify: true })],
  ["-dr", () => ({ ignoreUnresolved: true })],
  ["-de", ({ without }) => ({ without: new Set([...without, "epoll"] as const) })],
  ["-dp", ({ without }) => ({ without: new Set([...without, "poll"] as const) })],
  ["-dS", ({ without }) => ({ without: new Set([...without, "splice"] as const) })],
  ["-dG", ({ without }) => ({ without: new Set([...without, "getaddrinfo"] as const) })],
  ["-dR", ({ without }) => ({ without: new Set([...without, "reuseport"] as const) })],
]);

const VALUES: ReadonlyMap<string, Change> = new Map<string, Change>([
  ["-f", ({ files }, value) => ({ files: [...files, value] })],
  ["-cc", (_line, condition) => ({ mode: "condition", condition })],
  ["-p", (_line, pidfile) => ({ pidfile })],
  ["-x", (_line, takeOver) => ({ takeOver })],
  ["-S", ({ masterSockets }, value) => ({ masterSockets: [...masterSockets, value] })],
  ["-n", (_line, value) => ({ maxconn: leadingNumber(value) })],
  ["-N", (_line, value) => ({ proxyMaxconn: leadingNumber(value) })],
  ["-m", (_line, value) => ({ memory: leadingNumber(value) })],
  ["-L", (_line, localPeer) => ({ localPeer })],
  ["-C", (_line, folder) => ({ folder })],
]);

/** As C's atol: the digits in front, 0 when none stand there. */
function leadingNumber(text: string): number {
  return Number(/^\d{1,15}/.exec(text)?.[0] ?? 0);
}

/** Reads the words after the program's name. Never throws; `error` says what is wrong. */
export function parseCommandLine(args: readonly string[]): CommandLine {
  const line: Draft = {
    mode: "run",
    files: [],
    condition: "",
    verbose: false,
    quiet: false,
    debug: false,
    foreground: false,
    daemon: false,
    masterWorker: false,
    notifySystemd: false,
    masterSockets: [],
    pidfile: undefined,
    finish: [],
    terminate: [],
    takeOver: undefined,
    maxconn: undefined,
    proxyMaxconn: undefined,
    memory: undefined,
    localPeer: undefined,
    folder: undefined,
    warningsAreErrors: false,
    diagnostic: false,
    noServerVerify: false,
    ignoreUnresolved: false,
    without: new Set(),
    otherDebug: [],
    dump: undefined,
    error: undefined,
  };
  for (let i = 0; i < args.length; i++) {
    const word = args[i] as string;
    if (word === "--") {
      line.files = [...line.files, ...args.slice(i + 1)];
      break;
    }
    if (word === "--dump") {
      if (args[++i] !== "json") return usage(line, "--dump knows one format: json");
      line.dump = "json";
      line.mode = "dump";
      continue;
    }
    const plain = SWITCHES.get(word);
    if (plain !== undefined) {
      Object.assign(line, plain(line, ""));
      continue;
    }
    const valued = VALUES.get(word);
    if (valued !== undefined) {
      const value = args[++i];
      if (value === undefined) return usage(line, `option ${word} needs a value`);
      Object.assign(line, valued(line, value));
      continue;
    }
    if (word === "-sf" || word === "-st") {
      const pids: number[] = [];
      while (i + 1 < args.length && /^\d+$/.test(args[i + 1] as string))
        pids.push(Number(args[++i]));
      if (word === "-sf") line.finish = pids;
      else line.terminate = pids;
      continue;
    }
    if (/^-d[A-Za-z]/.test(word)) {
      line.otherDebug = [...line.otherDebug, word];
      continue;
    }
    return usage(line, word === "-h" || word === "--help" ? undefined : `unknown option '${word}'`);
  }
  const needsFiles = line.mode === "check" || line.mode === "run" || line.mode === "dump";
  if (needsFiles && line.files.length === 0) return usage(line, undefined);
  return line;
}

function usage(line: Draft, error: string | undefined): CommandLine {
  return { ...line, mode: "usage", error };
}

/** The options, for the usage text; in HAProxy's order, what only HAProxy needs last. */
export const USAGE = `Usage : lbproxy [-f <cfgfile|cfgdir>]* [ -vdVD ] [ -n <maxconn> ] [ -N <maxpconn> ]
        [ -p <pidfile> ] [ -m <max megs> ] [ -C <dir> ] [-- <cfgfile>*]
        -v displays version ; -vv shows build and feature details.
        -d enters debug mode ; -db only disables background mode.
        -V enters verbose mode (disables quiet mode)
        -D goes daemon ; -C changes to <dir> before loading files.
        -W master-worker mode.
        -Ws master-worker mode with systemd notify support.
        -q quiet mode : don't display messages
        -c check mode : only check config files and exit
        -cc check condition : evaluate a condition and exit
        --dump json : print what the configuration means and exit
        -n sets the maximum total # of connections (uses ulimit -n)
        -m limits the usable amount of memory (in MB)
        -N sets the default, per-proxy maximum # of connections
        -L set local peer name (default to hostname)
        -p writes pids of all children to this file
        -dR disables SO_REUSEPORT usage
        -dr ignores server address resolution failures
        -dV disables SSL verify on servers side
        -dW fails if any warning is emitted
        -dD diagnostic mode : warn about suspicious configuration statements
        -dM -dI -dS -dG -de -dp -dZ -dF -dT -dt -dK -dC -dL are taken and change nothing
        -sf/-st [pid ]* finishes/terminates old pids.
        -x <unix_socket> get listening sockets from a unix socket
        -S <bind>[,<bind options>...] new master CLI
`;
