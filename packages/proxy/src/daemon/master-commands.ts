import { COMPATIBLE_VERSION, PROGRAM_VERSION } from "../core/config/version.ts";
import type { Master } from "./master.ts";

interface MasterCommand {
  readonly usage: string;
  readonly doc: string;
  readonly run: (master: Master) => string | Promise<string>;
}

/** What the master itself answers. HAProxy management guide §9.4; words observed with haproxy 2.6.12. */
const COMMANDS: ReadonlyMap<string, MasterCommand> = new Map<string, MasterCommand>([
  ["reload", { usage: "reload", doc: "reload haproxy", run: reload }],
  ["show proc", { usage: "show proc", doc: "show processes status", run: showProcesses }],
  [
    "show startup-logs",
    {
      usage: "show startup-logs",
      doc: "report logs emitted during HAProxy startup",
      run: (master) => `${master.startupLines.join("")}\n`,
    },
  ],
  [
    "show version",
    {
      usage: "show version",
      doc: "show version of the current process",
      run: () => `${COMPATIBLE_VERSION} (lbproxy ${PROGRAM_VERSION})\n\n`,
    },
  ],
  [
    "help",
    {
      usage: "help [<command>]",
      doc: "list matching or all commands",
      run: () => help("The following commands are valid at this level:\n"),
    },
  ],
]);

const PREFIXES: readonly (readonly [string, string])[] = [
  ["@!<pid>", "send a command to the <pid> process"],
  ["@<relative pid>", "send a command to the <relative pid> process"],
  ["@master", "send a command to the master process"],
];

/** The answer to a command without a worker's prefix. */
export async function masterAnswer(master: Master, line: string): Promise<string> {
  const words = line.split(/\s+/).join(" ");
  const name = words.startsWith("help ") ? "help" : words;
  const command = COMMANDS.get(name);
  if (command !== undefined) return command.run(master);
  return help("Unknown command. Please enter one of the following commands only:\n");
}

function help(title: string): string {
  const lines = [
    ...PREFIXES,
    ...[...COMMANDS.values()].map(({ usage, doc }) => [usage, doc] as const),
    ["prompt", "toggle interactive mode with prompt"] as const,
    ["quit", "disconnect"] as const,
  ];
  return `${title}${lines.map(([usage, doc]) => `  ${usage.padEnd(40)}: ${doc}\n`).join("")}\n`;
}

/** `Success=0|1`, then what was said, after a line of two dashes. HAProxy management guide §9.4, reload. */
async function reload(master: Master): Promise<string> {
  const { success, lines } = await master.reload();
  return `Success=${success ? 1 : 0}\n--\n${lines.join("")}\n`;
}

function showProcesses({ workers, startedAt, reloads, failedReloads }: Master): string {
  const now = performance.now();
  const row = (pid: number, type: string, reloaded: string, since: number) =>
    `${String(pid).padEnd(15)} ${type.padEnd(15)} ${reloaded.padEnd(15)} ${uptime(now - since).padEnd(15)} ${COMPATIBLE_VERSION}\n`;
  const list = (old: boolean) =>
    workers
      .filter(({ isLeaving }) => isLeaving === old)
      .map(({ pid, reloads: since, startedAt: at }) => row(pid, "worker", String(since), at))
      .join("");
  const former = list(true);
  return [
    `${"#<PID>".padEnd(15)} ${"<type>".padEnd(15)} ${"<reloads>".padEnd(15)} ${"<uptime>".padEnd(15)} ${"<version>".padEnd(15)}\n`,
    row(process.pid, "master", `${reloads + failedReloads} [failed: ${failedReloads}]`, startedAt),
    `# workers\n${list(false)}`,
    former === "" ? "" : `# old workers\n${former}`,
    "# programs\n\n",
  ].join("");
}

function uptime(milliseconds: number): string {
  const seconds = Math.floor(milliseconds / 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  const days = Math.floor(seconds / 86_400);
  return `${days}d${two(Math.floor(seconds / 3600) % 24)}h${two(Math.floor(seconds / 60) % 60)}m${two(seconds % 60)}s`;
}
