import { type Command, type CommandContext, type Refusal, refuse } from "./command.ts";

/** What shows the inside of the process to who looks for a fault, and what HAProxy has of that kind and we do not. */
export const observingCommands: readonly Command[] = [
  {
    words: ["show", "events"],
    usage: "show events [<sink>] [-n]",
    doc: "lists the rings of log lines, or the lines of one",
    level: "user",
    run: (args, context) => showEvents(args, context),
  },
  {
    words: ["show", "profiling"],
    usage: "show profiling [<what>|<#lines>|byaddr]*",
    doc: "profiling of tasks and memory: always off, node's own --cpu-prof does it",
    level: "operator",
    run: () =>
      "Per-task CPU profiling              : off           # not in lbproxy: node --cpu-prof\nMemory usage profiling              : off           # not in lbproxy: node --heap-prof\n",
  },
  {
    words: ["set", "profiling"],
    usage: "set profiling <what> {auto|on|off}",
    doc: "not in lbproxy: see 'show profiling'",
    level: "admin",
    run: ([what, mode]) => {
      if (what !== "tasks" && what !== "memory") {
        return refuse("Expects either 'tasks' or 'memory'.");
      }
      if (mode === "off" || mode === "auto") return "";
      if (mode !== "on") return refuse("Expects 'on', 'auto', or 'off'.");
      return refuse(`lbproxy has no profiling of ${what}: start it with node's --cpu-prof.`);
    },
  },
  {
    words: ["show", "cache"],
    usage: "show cache",
    doc: "caches: none are served by lbproxy yet",
    level: "user",
    run: () => "",
  },
  {
    words: ["show", "libs"],
    usage: "show libs",
    doc: "what the process consists of, with versions",
    level: "user",
    run: () => {
      const { versions } = globalThis.process;
      return Object.entries(versions)
        .map(([name, version]) => `${name} ${version}\n`)
        .join("");
    },
  },
  {
    words: ["show", "trace"],
    usage: "show trace [<module>]",
    doc: "sources of traces: there are none",
    level: "admin",
    run: () => "Supported trace sources and states (.=stopped, w=waiting, R=running) :\n",
  },
  {
    words: ["trace"],
    usage: "trace [<module>|0] [cmd [args...]]",
    doc: "not in lbproxy: it has no sources of traces",
    level: "admin",
    run: ([source]) =>
      source === undefined
        ? "Supported trace sources and states (.=stopped, w=waiting, R=running) :\n [.] 0          : not a source, will immediately stop all traces\n"
        : source === "0"
          ? ""
          : refuse(`No such trace source '${source}': lbproxy has none.`),
  },
  ...(["enable", "disable"] as const).map(
    (verb): Command => ({
      words: [verb, "dynamic-cookie", "backend"],
      usage: `${verb} dynamic-cookie backend <bk>`,
      doc: "not in lbproxy: see 'dynamic-cookie-key', and reload",
      level: "admin",
      run: ([name], context) => changesCookies(name, context),
    }),
  ),
  {
    words: ["set", "dynamic-cookie-key", "backend"],
    usage: "set dynamic-cookie-key backend <bk> <k>",
    doc: "not in lbproxy: see 'dynamic-cookie-key', and reload",
    level: "admin",
    run: ([name, key], context) =>
      key === undefined ? refuse("String value expected.") : changesCookies(name, context),
  },
];

function changesCookies(name: string | undefined, { process }: CommandContext): Refusal {
  const isKnown = process.world.proxies.some(({ backend }) => backend?.name === name);
  return refuse(
    isKnown
      ? "lbproxy cannot change dynamic cookies at run time: change the file and reload."
      : "No such backend.",
  );
}

/** Lists and texts: observed, haproxy 2.6.12. */
async function showEvents(
  [name, ...options]: readonly string[],
  { process }: CommandContext,
): Promise<string | Refusal> {
  const { rings } = process.config;
  if (name === undefined) {
    const rows = [
      ["stdout", "fd, 0 dropped, standard output (fd#1)"],
      ["stderr", "fd, 0 dropped, standard output (fd#2)"],
      ...[...rings.values()].map((ring) => [
        ring.name,
        `buffer, 0 dropped, ${ring.description ?? ring.name}`,
      ]),
    ];
    return `Supported events sinks are listed below. Add -w(wait), -n(new). Any key to stop\n${rows
      .map(([sink = "", what]) => `    ${sink.padEnd(10)} : type=${what}\n`)
      .join("")}`;
  }
  if (!rings.has(name)) return refuse("No such event sink");
  let isNew = false;
  for (const option of options) {
    if (!/^-[nw]+$/.test(option)) return refuse("unknown option");
    if (option.includes("w")) {
      return refuse("lbproxy shows what the ring holds: '-w' is not served, ask again.");
    }
    isNew ||= option.includes("n");
  }
  if (isNew) return "";
  const answers = await process.fleet.ask({ kind: "ring-lines", ring: name });
  const lines = answers.flatMap((answer) => (isLines(answer) ? answer : []));
  return lines
    .sort((a, b) => a.at - b.at)
    .map(({ text }) => text)
    .join("");
}

/** One line of a ring: its text with the line feed, and when it came. */
export interface RingLine {
  readonly at: number;
  readonly text: string;
}

function isLines(answer: unknown): answer is readonly RingLine[] {
  return Array.isArray(answer);
}
