import { type ControlRequest, PROXY_ACTIONS } from "../control-protocol.ts";

/** What `vrrpctl` was asked for. */
export interface CtlArguments {
  readonly command: CommandName;
  readonly request: ControlRequest;
  readonly json: boolean;
  /** `--yes`. */
  readonly accepts: boolean;
  /** Of `support`: where to write. */
  readonly file: string | undefined;
  /** Of the control socket; undefined: by instance and namespace. */
  readonly socket: string | undefined;
  readonly instance: string | undefined;
  readonly namespace: string | undefined;
}

export type CommandName = keyof typeof COMMANDS;

/** `help` is asked for; `problem`: usage. */
export type ParsedArguments =
  | { readonly arguments: CtlArguments }
  | { readonly help: string }
  | { readonly problem: string };

interface Command {
  readonly usage: string;
  readonly summary: string;
  /** Options of its own and whether a value follows. */
  readonly options: Readonly<Record<string, boolean>>;
  readonly help: string;
  readonly request: (
    words: readonly string[],
    options: ReadonlyMap<string, string>,
  ) => ControlRequest | string;
}

/** Every command. The help is this table. */
export const COMMANDS = {
  status: {
    usage: "status",
    summary: "who is master, since when and why; peers, checks, what is wrong",
    options: {},
    help: "Exit status 1 when something is not as it should be: a FAULT, a failed check, a split brain, a refused\nreload, maintenance. Each is named.",
    request: (words) => (words.length === 0 ? { command: "status" } : tooMany(words)),
  },
  watch: {
    usage: "watch",
    summary: "the same, live in the terminal; ends with Ctrl-C",
    options: {},
    help: "With --json one line for each change. Exit status 3 when the daemon goes away.",
    request: (words) => (words.length === 0 ? { command: "status" } : tooMany(words)),
  },
  why: {
    usage: "why [INSTANCE] [--at TIME]",
    summary: "the event that decided the last change of state, and what came before it",
    options: { "--at": true },
    help: "  --at TIME   the change that was in force then: '03:12', '03:12:45', '2026-11-24T03:12' or the like, local time.\nThe journal is the daemon's own, and begins with its start.",
    request: (words, options) => {
      if (words.length > 1) return tooMany(words.slice(1));
      const [instance] = words;
      const text = options.get("--at");
      const at = text === undefined ? undefined : parseTime(text, new Date());
      if (text !== undefined && at === undefined)
        return `'${text}' is no time: write 03:12 or 2026-11-24T03:12:45`;
      return {
        command: "why",
        ...(instance === undefined ? {} : { instance }),
        ...(at === undefined ? {} : { at }),
      };
    },
  },
  switchover: {
    usage: "switchover [INSTANCE ...] [--back] [--timeout TIME] [--drain-timeout TIME]",
    summary: "give the addresses to the peer, make-before-break; all instances unless named",
    options: { "--back": false, "--timeout": true, "--drain-timeout": true },
    help: "  --back           end it: who has the higher priority becomes master again\n  --timeout TIME   how long to wait for the end, as 10s; it goes on without us. Default: until it is over\n  --drain-timeout TIME   how long the proxies that the instances track may take to answer what is under way before the\n                   addresses go; what is left then is reset, and counted. 0: no drain. Default: drain_timeout\nThe addresses stay until the peer's first advert is heard. When nobody comes, this host stays master and the exit\nstatus is 1. Afterwards this host stays backup, whatever its priority, until the peer fails, --back, or a restart of\nthe host. Instances of a sync group move together.",
    request: (words, options) => {
      const text = options.get("--timeout") ?? "0";
      const timeout = parseDuration(text);
      if (timeout === undefined) return `'${text}' is no duration: write 10s, 5m, 1h`;
      const drainText = options.get("--drain-timeout");
      const drainTimeout = drainText === undefined ? undefined : parseDuration(drainText);
      if (drainText !== undefined && drainTimeout === undefined)
        return `'${drainText}' is no duration: write 10s, 5m, 1h`;
      return {
        command: "switchover",
        instances: words,
        back: options.has("--back"),
        timeout,
        ...(drainTimeout === undefined ? {} : { drainTimeout }),
      };
    },
  },
  maintenance: {
    usage: "maintenance on|off [--for TIME] [--force]",
    summary: "take this host out of service, or back in; survives restarts",
    options: { "--for": true, "--force": false },
    help: "  --for TIME   end by itself after this, as 30m\n  --force      also when no peer takes the addresses over\n'on' is a switchover, and then FAULT everywhere until 'off': this host does not become master, even if the peer fails.\nExit status 1, and nothing changed, when nobody takes over.",
    request: ([word, ...more], options) => {
      if (more.length > 0) return tooMany(more);
      if (word !== "on" && word !== "off") return "maintenance needs 'on' or 'off'";
      const text = options.get("--for") ?? "0";
      const limit = parseDuration(text);
      if (limit === undefined) return `'${text}' is no duration: write 30m, 2h, 90s`;
      if (word === "off" && options.size > 0) return "'off' takes no option";
      return {
        command: "maintenance",
        on: word === "on",
        for: limit,
        force: options.has("--force"),
      };
    },
  },
  "check-peers": {
    usage: "check-peers [INSTANCE ...]",
    summary: "are the peers heard, and do they agree with us? Does a silent one's host live?",
    options: {},
    help: "A backup is silent by protocol: of it, only its host can be asked, by ARP or neighbour discovery.\nExit status 1 when packets of a peer are refused, settings differ, or a host does not answer.",
    request: (words) => ({ command: "check-peers", instances: words }),
  },
  metrics: {
    usage: "metrics [--names mehdy|gen2brain]",
    summary: "what Prometheus would read",
    options: { "--names": true },
    help: "  --names   of mehdy/keepalived-exporter (default) or gen2brain/keepalived_exporter\n`vrrp_metrics` in global_defs serves the same over HTTP.",
    request: (words, options) => {
      const names = options.get("--names") ?? "mehdy";
      if (words.length > 0) return tooMany(words);
      if (names !== "mehdy" && names !== "gen2brain") return "--names is mehdy or gen2brain";
      return { command: "metrics", names };
    },
  },
  plan: {
    usage: "plan [FILE] [--yes]",
    summary: "what a reload would change, without doing it",
    options: { "--yes": false },
    help: "  --yes   an address that goes is meant to\nOf the daemon's own file unless FILE is given. Exit status 1 when the reload would be refused, or, without --yes,\nwould take away an address that this host holds now: vrrpctl plan && systemctl reload vrrpd",
    request: (words) => {
      if (words.length > 1) return tooMany(words.slice(1));
      const [file] = words;
      return { command: "plan", ...(file === undefined ? {} : { file }) };
    },
  },
  proxy: {
    usage: "proxy start|stop|restart|reload [NAME ...]",
    summary: "what becomes of the proxies that vrrpd keeps running; all unless named",
    options: {},
    help: "'stop' is soft: what is under way is served, up to stop_timeout. A proxy that was stopped stays so until 'start' or a\nreload of vrrpd. 'start' also tries one again that was given up. 'stop' works without a daemon as well: it ends what\na vrrpd with --keep-proxies has left.",
    request: ([action, ...names]) => {
      const known = PROXY_ACTIONS.find((word) => word === action);
      return known === undefined
        ? `proxy needs ${PROXY_ACTIONS.join(", ")}`
        : { command: "proxy", action: known, names };
    },
  },
  support: {
    usage: "support [FILE]",
    summary:
      "a bundle for whoever helps: configuration without secrets, status, journal, logs, network",
    options: {},
    help: "Writes a .tar.gz, here unless FILE is named, readable by its owner alone. Passwords and keys are blanked; look through it\nall the same before you give it away. Without a daemon it holds what can be had.",
    request: (words) => (words.length > 1 ? tooMany(words.slice(1)) : { command: "support" }),
  },
  drill: {
    usage: "drill [OPTION ...] [NAME ...]",
    summary: "practise failover on a lab of namespaces or virtual machines; never on this pair",
    options: { "--driver": true, "--daemon": true, "--proxy": true },
    help: "Runs the lab's program with the same words: see ha-lab drill --help. Its exit status is ours.",
    request: () => "drill takes its words as they are: 'vrrpctl drill' must come first",
  },
} satisfies Readonly<Record<string, Command>>;

const COMMON: Readonly<Record<string, boolean>> = {
  "--json": false,
  "--help": false,
  "-h": false,
  "--socket": true,
  "--instance": true,
  "--namespace": true,
};

export function parseArguments(words: readonly string[]): ParsedArguments {
  const [first = "", ...rest] = words;
  if (first === "--help" || first === "-h" || first === "help" || first === "") {
    return first === "" ? { problem: "which command?" } : { help: generalHelp() };
  }
  if (first === "completion") return { help: bashCompletion() };
  // Common options may stand before the command as well.
  const at = words.findIndex((word, i) => isCommand(word) && !takesValue(words[i - 1]));
  const name = words[at];
  if (name === undefined || !isCommand(name)) return { problem: `there is no command '${first}'` };
  const command: Command = COMMANDS[name];
  const known = { ...COMMON, ...command.options };
  const options = new Map<string, string>();
  const plain: string[] = [];
  const all = at === 0 ? rest : words.filter((_, i) => i !== at);
  for (let i = 0; i < all.length; i++) {
    const word = all[i] ?? "";
    if (!word.startsWith("-")) {
      plain.push(word);
      continue;
    }
    const [key = "", joined] = word.split(/=(.*)/s, 2);
    const valued = Object.hasOwn(known, key) ? known[key] : undefined;
    if (valued === undefined) return { problem: `${name} has no option ${key}` };
    if (!valued) {
      if (joined !== undefined) return { problem: `${key} takes no value` };
      options.set(key, "");
      continue;
    }
    const value = joined ?? all[++i];
    if (value === undefined) return { problem: `${key} needs a value` };
    options.set(key, value);
  }
  if (options.has("--help") || options.has("-h")) return { help: commandHelp(command) };
  const own = new Map([...options].filter(([key]) => Object.hasOwn(command.options, key)));
  const request = command.request(plain, own);
  if (typeof request === "string") return { problem: request };
  return {
    arguments: {
      command: name,
      request,
      json: options.has("--json"),
      accepts: options.has("--yes"),
      file: name === "support" ? plain[0] : undefined,
      socket: options.get("--socket"),
      instance: options.get("--instance"),
      namespace: options.get("--namespace"),
    },
  };
}

function isCommand(word: string): word is CommandName {
  return Object.hasOwn(COMMANDS, word);
}

function takesValue(word: string | undefined): boolean {
  return word !== undefined && Object.hasOwn(COMMON, word) && COMMON[word] === true;
}

function tooMany(words: readonly string[]): string {
  return `'${words[0]}' is one word too many`;
}

const COMMON_HELP = `Options:
  --json             for programs: JSON on standard output
  --socket PATH      the daemon's control socket. Default: /run/vrrpd/control.sock
  --instance NAME    of the daemon that has 'instance NAME' in its configuration
  --namespace NAME   of the daemon that runs in this network namespace
  --help             this

Exit status: 0 as it should be, 1 not, 2 wrong usage, 3 the daemon cannot be reached.
`;

function generalHelp(): string {
  const width = Math.max(
    ...Object.values(COMMANDS).map(({ usage }) => usage.split(" ")[0]?.length ?? 0),
  );
  const lines = Object.entries(COMMANDS).map(
    ([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`,
  );
  lines.push(`  ${"completion".padEnd(width)}  for bash: source <(vrrpctl completion)`);
  return `Usage: vrrpctl COMMAND [OPTION ...]\n\n${lines.join("\n")}\n\n${COMMON_HELP}`;
}

function commandHelp({ usage, summary, help }: Command): string {
  return `Usage: vrrpctl ${usage}\n\n${summary}\n\n${help}\n\n${COMMON_HELP}`;
}

/** From the table of commands: those, and the options of each. */
function bashCompletion(): string {
  const common = Object.keys(COMMON).filter((key) => key.startsWith("--"));
  const commands = Object.entries(COMMANDS).map(([name, { options }]: [string, Command]) => {
    const words = [
      ...Object.keys(options),
      ...common,
      ...(name === "maintenance" ? ["on", "off"] : []),
      ...(name === "proxy" ? PROXY_ACTIONS : []),
    ];
    return `    ${name}) words="${words.join(" ")}" ;;`;
  });
  return `# bash completion of vrrpctl; zsh reads it after: autoload -U bashcompinit && bashcompinit
_vrrpctl() {
  local words="${Object.keys(COMMANDS).join(" ")} completion"
  [ "$COMP_CWORD" -gt 1 ] && case "\${COMP_WORDS[1]}" in
${commands.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _vrrpctl vrrpctl
`;
}

/** `90`, `10s`, `500ms`, `30m`, `2h`, `1d`, in milliseconds; without a unit seconds. */
export function parseDuration(text: string): number | undefined {
  const [, digits, unit = "s"] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  return Math.round(Number(digits) * (UNITS[unit] ?? 1_000));
}

const UNITS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** The last moment that is written so: `03:12` is 03:12:59.999 of the last day on which that has passed. */
export function parseTime(text: string, now: Date): number | undefined {
  const clock = /^(\d{1,2}):(\d{2})(?::(\d{2}))?$/.exec(text);
  if (clock !== null) {
    const [hours, minutes] = [Number(clock[1]), Number(clock[2])];
    const seconds = clock[3] === undefined ? 59 : Number(clock[3]);
    if (hours > 23 || minutes > 59 || seconds > 59) return undefined;
    const at = new Date(now);
    at.setHours(hours, minutes, seconds, 999);
    // The minute that runs counts as today's.
    if (at.getTime() > now.getTime() + 60_000) at.setDate(at.getDate() - 1);
    return at.getTime();
  }
  if (!/^\d{4}-\d{2}-\d{2}/.test(text)) return undefined;
  const at = Date.parse(text.replace(" ", "T"));
  if (Number.isNaN(at)) return undefined;
  const precise = /:\d{2}:\d{2}/.test(text);
  return at + (precise ? 999 : 59_999);
}
