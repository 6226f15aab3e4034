import { memoryUsage } from "node:process";
import { formatAddress, micros } from "@ha/base";
import { NOT_CHECKED } from "../../core/check/check-status.ts";
import { serverStateOf } from "../../core/check/server-state.ts";
import { writeServerStates } from "../../core/config/server-state-file.ts";
import { COMPATIBLE_VERSION } from "../../core/config/version.ts";
import * as stat from "../../core/statistics.ts";
import { serverRow } from "../../core/statistics.ts";
import { findProxy, sumOf } from "../../core/stats/source.ts";
import { RESOLVER_COUNTERS } from "../dns/name-servers.ts";
import { type Command, type CommandContext, type Refusal, refuse } from "./command.ts";

/** What tells of the process and its parts, and changes the connection's own settings. */
export const processCommands: readonly Command[] = [
  {
    words: ["show", "version"],
    usage: "show version",
    doc: "version of the process",
    level: "user",
    run: () => COMPATIBLE_VERSION,
  },
  {
    words: ["show", "backend"],
    usage: "show backend",
    doc: "lists backends",
    level: "user",
    run: (_args, { process }) => {
      const names = process.source.proxies.flatMap(({ backend }) =>
        backend === undefined ? [] : `${backend.name}\n`,
      );
      return `# name\n${names.join("")}`;
    },
  },
  {
    words: ["show", "servers", "state"],
    usage: "show servers state [<backend>]",
    doc: "states of servers, as a state file has them",
    level: "user",
    run: ([name], context) =>
      onBackends(name, context, (proxies) => serversState(proxies, context)),
  },
  {
    words: ["show", "servers", "conn"],
    usage: "show servers conn [<backend>]",
    doc: "connections of servers",
    level: "user",
    run: ([name], context) =>
      onBackends(name, context, (proxies) => serversConnections(proxies, context)),
  },
  {
    words: ["show", "cli", "sockets"],
    usage: "show cli sockets",
    doc: "lists the sockets of this API",
    level: "user",
    run: (_args, { process }) =>
      `# socket lvl processes\n${process.sockets.map(({ text, level }) => `${text} ${level} all\n`).join("")}`,
  },
  {
    words: ["show", "cli", "level"],
    usage: "show cli level",
    doc: "level of this connection",
    level: "user",
    run: (_args, { connection }) => connection.level,
  },
  {
    words: ["show", "env"],
    usage: "show env [var]",
    doc: "environment of the process",
    level: "operator",
    run: ([name], { process }) => {
      const { environment } = process.config.global;
      if (name === undefined)
        return [...environment].map(([key, value]) => `${key}=${value}\n`).join("");
      const value = environment.get(name);
      return value === undefined ? refuse("Variable not found") : `${name}=${value}`;
    },
  },
  {
    words: ["show", "errors"],
    usage: "show errors [<px>] [request|response]",
    doc: "protocol errors that were captured: none are, they are counted by proxy",
    level: "operator",
    run: ([name], { process }) => {
      if (name !== undefined && name !== "-1" && findProxy(process.source, name, "any") < 0) {
        return refuse("No such proxy.");
      }
      return `Total events captured on [${errorDate(process.world.ports.wallMicros() / 1000)}] : 0\n`;
    },
  },
  {
    words: ["show", "startup-logs"],
    usage: "show startup-logs",
    doc: "what was said at start",
    level: "user",
    run: (_args, { process }) => process.startupLog,
  },
  {
    words: ["show", "peers"],
    usage: "show peers [dict|-] [section]",
    doc: "peers: none are connected by lbproxy yet",
    level: "user",
    run: () => "",
  },
  {
    words: ["show", "resolvers"],
    usage: "show resolvers [id]",
    doc: "resolvers sections and their name servers",
    level: "user",
    run: ([name], { process }) => {
      const { sections } = process.resolver;
      if (name !== undefined && !sections.has(name))
        return refuse("Can't find that resolvers section");
      return [...sections]
        .filter(([section]) => name === undefined || section === name)
        .map(([section, { counters: servers }]) => {
          const texts = servers.map(({ name: server, counters }) => {
            const lines = RESOLVER_COUNTERS.map(
              (counter) => `  ${`${counter}:`.padEnd(13)}${counters.get(counter) ?? 0}\n`,
            );
            return ` nameserver ${server}:\n${lines.join("")}`;
          });
          return `Resolvers section ${section}\n${texts.join("")}\n`;
        })
        .join("");
    },
  },
  {
    words: ["show", "pools"],
    usage: "show pools",
    doc: "memory in use",
    level: "user",
    run: (_args, { process }) => {
      const { rss, heapTotal, heapUsed, external } = memoryUsage();
      const { poolBytes, threads } = process.figures();
      return [
        "Dumping pools usage.",
        `  - Pool slab (${poolBytes / threads} bytes) : ${threads} allocated (${poolBytes} bytes), ${threads} used, 0 failures`,
        `  - Pool heap (1 bytes) : ${heapTotal} allocated (${heapTotal} bytes), ${heapUsed} used, 0 failures`,
        `  - Pool external (1 bytes) : ${external} allocated (${external} bytes), ${external} used, 0 failures`,
        `Total: 3 pools, ${poolBytes + heapTotal + external} bytes allocated, ${poolBytes + heapUsed + external} used (resident ${rss} bytes).`,
        "",
      ].join("\n");
    },
  },
  {
    words: ["show", "activity"],
    usage: "show activity",
    doc: "work of the process so far",
    level: "user",
    run: (_args, { process }) => {
      const figures = process.figures();
      const usage = globalThis.process.cpuUsage();
      return [
        `thread_id: 1 (1..${figures.threads})`,
        `date_now: ${(process.world.ports.wallMicros() / 1e6).toFixed(6)}`,
        `cpust_ms_tot: ${Math.floor((usage.user + usage.system) / 1000)}`,
        `accepted: ${figures.connectionsTotal}`,
        `requests: ${figures.requestsTotal}`,
        `bytes_out: ${figures.bytesOut}`,
        "",
      ].join("\n");
    },
  },
  {
    words: ["show", "threads"],
    usage: "show threads",
    doc: "threads and what they hold",
    level: "operator",
    run: async (_args, { process }) => {
      const answers = await process.fleet.ask({ kind: "sessions" });
      return answers
        .map(
          (answer, i) =>
            `${i === 0 ? "*" : " "} Thread ${i + 1} : sessions=${Array.isArray(answer) ? answer.length : 0}\n`,
        )
        .join("");
    },
  },
  {
    words: ["show", "fd"],
    usage: "show fd [num]",
    doc: "listening sockets by descriptor",
    level: "operator",
    run: (_args, { process }) =>
      process.listeners
        .map(
          ({ fd, frontend, text }) =>
            `${String(fd).padStart(7)} : l.st=RDY fe=${frontend} bind=${text}\n`,
        )
        .join(""),
  },
  {
    words: ["show", "tasks"],
    usage: "show tasks",
    doc: "tasks under way",
    level: "operator",
    run: (_args, { process }) => {
      const { tasks, threads } = process.figures();
      return `Running tasks: ${tasks} (${threads} threads)\n`;
    },
  },
  {
    words: ["set", "timeout", "cli"],
    usage: "set timeout [cli] <delay>",
    doc: "silence after which this connection is closed, in seconds",
    level: "user",
    run: ([text], { connection }) => {
      const match = /^(\d+)(ms|s|m|h|d|)$/.exec(text ?? "");
      const unit = UNITS[match?.[2] ?? ""];
      if (match === null || unit === undefined) return refuse("Expects an integer value.");
      connection.timeout = Math.min(Number(match[1]) * unit, 2 ** 31 - 1);
      return "";
    },
  },
  {
    words: ["set", "timeout"],
    usage: "set timeout cli <delay>",
    doc: "the only one is 'cli'",
    level: "user",
    run: () => refuse("'set timeout' only supports 'cli'."),
  },
  {
    words: ["set", "rate-limit"],
    usage: "set rate-limit <setting> <value>",
    doc: "changes a limit by second: connections global, sessions global, ssl-sessions global",
    level: "admin",
    run: ([what, scope, value], { process }) => {
      if (what === "http-compression")
        return refuse(`lbproxy has no limit of ${what} that could be changed at run time.`);
      if (what !== "connections" && what !== "sessions" && what !== "ssl-sessions") {
        return refuse(
          "'set rate-limit' supports 'connections', 'sessions', 'ssl-sessions', and 'http-compression'.",
        );
      }
      if (scope !== "global") return refuse(`'set rate-limit ${what}' only supports 'global'.`);
      if (value === undefined || !/^\d+$/.test(value)) return refuse("Integer value expected.");
      if (what === "connections") process.rates.connectionLimit = Number(value);
      else if (what === "sessions") process.rates.sessionLimit = Number(value);
      else process.rates.tls.rateLimit = Number(value);
      void process.fleet.ask({ kind: "proceed" });
      return "";
    },
  },
  {
    words: ["get", "var"],
    usage: "get var <name>",
    doc: "the value of a 'proc' variable in the first thread",
    level: "user",
    run: ([name], { process }) => {
      if (name === undefined) return refuse("Missing process-wide variable identifier.");
      const value = process.world.variables.processValue(name);
      if (value === undefined) return refuse("Variable not found.");
      if ("number" in value) return `${name}: type=${value.type} value=<${value.number}>\n`;
      const { type, bytes } = value;
      const text =
        type === "ipv4" || type === "ipv6"
          ? formatAddress({ family: type === "ipv4" ? 4 : 6, bytes })
          : Buffer.from(bytes).toString("latin1");
      return `${name}: type=${type} value=<${text}>\n`;
    },
  },
  {
    words: ["set", "severity-output"],
    usage: "set severity-output [none|number|string]",
    doc: "whether refusals are marked with their severity",
    level: "user",
    run: ([form], { connection }) => {
      if (form !== "none" && form !== "number" && form !== "string") {
        return refuse("one of 'none', 'number', 'string' is a required argument");
      }
      connection.severity = form;
      return "";
    },
  },
  {
    words: ["expert-mode"],
    usage: "expert-mode [on|off]",
    doc: "permits commands for experts; there are none",
    level: "admin",
    run: ([word], { connection }) => {
      if (word === undefined) return `expert-mode is ${connection.isExpert ? "ON" : "OFF"}\n`;
      connection.isExpert = word === "on";
      return "";
    },
  },
  {
    words: ["experimental-mode"],
    usage: "experimental-mode [on|off]",
    doc: "permits experimental commands; there are none",
    level: "admin",
    run: ([word], { connection }) => {
      if (word === undefined)
        return `experimental-mode is ${connection.isExperimental ? "ON" : "OFF"}\n`;
      connection.isExperimental = word === "on";
      return "";
    },
  },
  ...(["operator", "user"] as const).map(
    (level): Command => ({
      words: [level],
      usage: level,
      doc: `lowers the level of this connection to ${level}`,
      level,
      run: (_args, { connection }) => {
        connection.level = level;
        return "";
      },
    }),
  ),
  {
    words: ["wait"],
    usage: "wait <delay>",
    doc: "waits so many milliseconds (or with a unit)",
    level: "user",
    run: async ([text]) => {
      const match = /^(\d+)(ms|s|m|h|d|)$/.exec(text ?? "");
      if (match === null) return refuse("Expects a duration in milliseconds.");
      const time = Number(match[1]) * (match[2] === "" ? 1 : (UNITS[match[2] as string] ?? 1));
      await new Promise((resolve) => setTimeout(resolve, Math.min(time, 86_400_000)));
      return "Done.\n";
    },
  },
  {
    words: ["prompt"],
    usage: "prompt",
    doc: "keeps the connection open and shows a prompt",
    level: "user",
    run: (_args, { connection }) => {
      connection.isInteractive = !connection.isInteractive;
      return "";
    },
  },
  {
    words: ["quit"],
    usage: "quit",
    doc: "ends the connection",
    level: "user",
    run: (_args, { connection }) => {
      connection.isClosing = true;
      return "";
    },
  },
];

const UNITS: Readonly<Record<string, number>> = {
  "": 1000,
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

function onBackends(
  name: string | undefined,
  { process }: CommandContext,
  then: (proxies: readonly number[]) => string,
): string | Refusal {
  if (name === undefined) return then(process.source.proxies.map(({ index }) => index));
  const proxy = findProxy(process.source, name, "backend");
  return proxy < 0 ? refuse("Can't find backend.") : then([proxy]);
}

function serversState(proxies: readonly number[], { process }: CommandContext): string {
  const now = micros(process.source.now() * 1000);
  const rows = proxies.flatMap((proxy) => {
    const backend = process.source.proxies[proxy]?.backend;
    return (backend?.servers ?? []).flatMap((server, i) => {
      if (backend === undefined) return [];
      const life = process.lives.server(proxy, i);
      const { state: health, check, address, checkPort } = life;
      const row = serverStateOf({
        backend,
        server: life.server ?? server,
        address,
        health,
        check: check ?? NOT_CHECKED,
        now,
      });
      return [checkPort === 0 ? row : { ...row, checkPort }];
    });
  });
  return writeServerStates(rows, formatAddress);
}

/** Observed: haproxy 2.6.12. */
function serversConnections(proxies: readonly number[], { process }: CommandContext): string {
  const { source } = process;
  let text = `# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[${source.threads.length}]\n`;
  for (const proxy of proxies) {
    const state = source.proxies[proxy];
    const backend = state?.backend;
    if (state === undefined || backend === undefined) continue;
    for (const [i, server] of backend.servers.entries()) {
      const { address } = process.lives.server(proxy, i);
      const where =
        address.kind === "inet" && address.address !== undefined
          ? `${formatAddress(address.address)} ${address.port}`
          : "- -";
      const row = serverRow(source.layout, proxy, i);
      const idle = sumOf(source, row, stat.STAT_IDLE_CONN);
      const used = Atomics.load(state.servers.served, i);
      const most = Atomics.load(state.servers.servedMost, i);
      const each = source.threads.map((thread) => thread.get(row, stat.STAT_IDLE_CONN)).join(" ");
      text += `${backend.name}/${server.name} ${backend.id}/${server.id} ${where} - ${server.pool.purgeDelay / 1000} ${used} ${most} ${Math.max(used, idle)} 0 ${idle} ${server.pool.maxIdle} ${idle} ${each}\n`;
    }
  }
  return text;
}

/** `24/Nov/2026:22:51:31.686`. */
function errorDate(milliseconds: number): string {
  const date = new Date(milliseconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const month = [
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
  ][date.getMonth()];
  return `${two(date.getDate())}/${month}/${date.getFullYear()}:${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}
