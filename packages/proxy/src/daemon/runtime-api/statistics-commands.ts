import { infoJson, infoText, infoTyped } from "../../core/stats/info-text.ts";
import { proxyRows, type RowFilter } from "../../core/stats/proxy-rows.ts";
import { findProxy } from "../../core/stats/source.ts";
import { statCsv, statJson, statSchema, statTyped } from "../../core/stats/stat-text.ts";
import { type Command, type CommandContext, refuse } from "./command.ts";

const FORMATS = ["typed", "json", "desc", "up", "no-maint", "float"] as const;

export const statisticsCommands: readonly Command[] = [
  {
    words: ["show", "info"],
    usage: "show info [desc|json|typed|float]*",
    doc: "figures of the process",
    level: "user",
    run: (args, { process }) => {
      const figures = process.figures();
      const form = { desc: args.includes("desc"), float: args.includes("float") };
      if (args.includes("json")) return infoJson(figures);
      return args.includes("typed") ? infoTyped(figures, form) : infoText(figures, form);
    },
  },
  {
    words: ["show", "stat"],
    usage: "show stat [desc|json|no-maint|typed|up]*",
    doc: "counters of proxies and servers",
    level: "user",
    run: showStat,
  },
  {
    words: ["show", "schema", "json"],
    usage: "show schema json",
    doc: "schema of the JSON outputs",
    level: "user",
    run: () => statSchema(),
  },
  {
    words: ["clear", "counters"],
    usage: "clear counters [all]",
    doc: "sets most values, or all counters, to zero",
    level: "operator",
    run: (args, { process, connection }) => {
      const all = args[0] === "all";
      if (all && connection.level !== "admin") return refuse("Permission denied");
      process.clearCounters(all);
      return "";
    },
  },
];

/** `show stat [domain proxy] [<iid> <type> <sid>] [format…]`. */
function showStat(args: readonly string[], { process }: CommandContext) {
  const { source } = process;
  let rest = args;
  if (rest[0] === "domain") {
    if (rest[1] !== "proxy" && rest[1] !== "dns" && rest[1] !== "resolvers") {
      return refuse("Invalid statistics domain.");
    }
    if (rest[1] !== "proxy")
      return "# id,pid,sent,snd_error,valid,update,cname,cname_error,any_err,nx,timeout,refused,other,invalid,too_big,truncated,outdated,\n";
    rest = rest.slice(2);
  }
  let filter: RowFilter = {};
  const isFormat = (word: string) => (FORMATS as readonly string[]).includes(word);
  if (rest.length >= 3 && !isFormat(rest[0] as string)) {
    const [proxy = "", types = "", id = ""] = rest;
    if (/^-?\d+$/.test(proxy)) {
      if (Number(proxy) > 0) filter = { proxy: findProxy(source, proxy, "any") };
    } else {
      const found = findProxy(source, proxy, "any");
      if (found < 0) return refuse("No such proxy.");
      filter = { proxy: found };
    }
    filter = { ...filter, types: toInteger(types), id: toInteger(id) };
    rest = rest.slice(3);
  }
  filter = { ...filter, up: rest.includes("up"), noMaint: rest.includes("no-maint") };
  const rows = proxyRows(source, filter);
  if (rest.includes("json")) return statJson(rows);
  return rest.includes("typed") ? statTyped(rows, rest.includes("desc")) : statCsv(rows);
}

/** As C reads a number: what is none is 0. */
function toInteger(text: string): number {
  return Number.parseInt(text, 10) || 0;
}
