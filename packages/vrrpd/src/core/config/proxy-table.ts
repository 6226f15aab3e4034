import { parseInteger, seconds } from "@ha/base";
import { choice, integer, reader, type Schema } from "@ha/base/keyword";
import { entry } from "./entry.ts";
import { boolean, decimalSeconds, words } from "./schemas.ts";
import { OURS } from "./sources.ts";

/** Programs that may be kept running, and how often they may die. */
export interface RestartLimit {
  readonly deaths: number;
  /** Seconds. */
  readonly within: number;
}

const restartLimit: Schema<RestartLimit> = reader(([first = "", second = "60"], problem) => {
  const deaths = parseInteger(first);
  const within = parseInteger(second);
  if (deaths === undefined || deaths < 1 || deaths > 1000)
    return problem("must be a number of deaths from 1 to 1000, and seconds");
  if (within === undefined || within < 1 || within > 86_400)
    return problem("may be followed by seconds from 1 to 86400");
  return { deaths, within };
});

/** Keywords of `proxy NAME { … }`, a program that vrrpd keeps running. */
export const proxyTable = {
  config: entry({
    syntax: "config <file> ...",
    schema: words,
    needs: 1,
    repeated: "all",
    ours: true,
    doc: "Configuration files of the proxy, in order; several lines add up. A reload looks at them. Needed unless args is written.",
    source: OURS,
    reload: "restart",
  }),
  program: entry({
    syntax: "program <path>",
    schema: words,
    needs: 1,
    ours: true,
    doc: "The program. Default: lbproxy. Another one (haproxy) tells READY by sd_notify and its end by dying, and nothing else.",
    source: OURS,
    reload: "restart",
  }),
  args: entry({
    syntax: "args <word> ...",
    schema: words,
    ours: true,
    doc: "Its arguments, instead of the default: -W -db and -f with each configuration file; -Ws for another program than lbproxy.",
    source: OURS,
    reload: "restart",
  }),
  process_name: entry({
    syntax: "process_name <name>",
    schema: reader<string>(([word = ""], problem) =>
      /^[^/\s]{1,15}$/.test(word) ? word : problem("must be a name of at most 15 bytes"),
    ),
    needs: 1,
    ours: true,
    doc: "The name that lbproxy takes, for ps and killall. Default: the name of the program's file; haproxy keeps `killall -0 haproxy` working.",
    source: OURS,
    reload: "restart",
  }),
  user: entry({
    syntax: "user <name> [<group>]",
    schema: words,
    needs: 1,
    ours: true,
    doc: "Who starts it. Default: root, which the proxy gives up by user and group of its own file.",
    source: OURS,
    reload: "restart",
  }),
  limit_nofile: entry({
    syntax: "limit_nofile <1024..1073741816>",
    schema: integer({ min: 1024, max: 1_073_741_816 }),
    needs: 1,
    ours: true,
    doc: "Open files that it may have. Default: as many as vrrpd may.",
    source: OURS,
    reload: "restart",
  }),
  limit_core: entry({
    syntax: "limit_core <bytes>|unlimited",
    schema: reader<number>(([word = ""], problem) => {
      if (word === "unlimited") return -1;
      const value = parseInteger(word);
      return value === undefined || value < 0
        ? problem("must be a number of bytes, or unlimited")
        : value;
    }),
    needs: 1,
    ours: true,
    doc: "Size of a core dump. Default: as vrrpd's.",
    source: OURS,
    reload: "restart",
  }),
  start_timeout: entry({
    syntax: "start_timeout <seconds>",
    schema: decimalSeconds({ min: 1, max: 3600 }),
    default: seconds(30),
    needs: 1,
    ours: true,
    doc: "Seconds until it must be ready; it is killed and started again when it is not.",
    source: OURS,
    reload: "live",
  }),
  heartbeat_timeout: entry({
    syntax: "heartbeat_timeout <seconds>",
    schema: reader<ReturnType<typeof seconds>>((all, problem) =>
      all[0] === "0" ? seconds(0) : readSeconds(all, { min: 0.4, max: 60 }, problem),
    ),
    default: seconds(0.9),
    needs: 1,
    ours: true,
    doc: "Seconds without a beat of lbproxy after which it counts as frozen, is killed and started again: 0.4 to 60, or 0: never.",
    source: OURS,
    reload: "live",
  }),
  restart_delay: entry({
    syntax: "restart_delay <seconds>",
    schema: decimalSeconds({ min: 0, max: 3600 }),
    default: seconds(0),
    needs: 1,
    ours: true,
    doc: "Seconds before the first restart after a death; it doubles, from one second at least, until it has run for a minute.",
    source: OURS,
    reload: "live",
  }),
  restart_delay_max: entry({
    syntax: "restart_delay_max <seconds>",
    schema: decimalSeconds({ min: 1, max: 3600 }),
    default: seconds(30),
    needs: 1,
    ours: true,
    doc: "Longest wait before a restart, in seconds.",
    source: OURS,
    reload: "live",
  }),
  restart_limit: entry({
    syntax: "restart_limit <deaths> [<seconds>]",
    schema: restartLimit,
    default: { deaths: 10, within: 60 },
    needs: 1,
    ours: true,
    doc: "After more deaths than that within so many seconds (60) it is given up; default: 10 60. Sockets that are held are closed, so that clients are refused and do not wait. A reload, or vrrpctl proxy start, tries again.",
    source: OURS,
    reload: "live",
  }),
  restart_before_failover: entry({
    syntax: "restart_before_failover <seconds>",
    schema: decimalSeconds({ min: 0, max: 60 }),
    default: seconds(0),
    needs: 1,
    ours: true,
    doc: "Seconds that a dead or frozen proxy has to be ready again before it counts as down. vrrpd holds its listening sockets meanwhile, and clients wait in their backlogs. 0: it counts as down at once, and the address moves.",
    source: OURS,
    reload: "live",
  }),
  stats_socket: entry({
    syntax: "stats_socket <path>",
    schema: words,
    needs: 1,
    ours: true,
    doc: "Stats socket of another program than lbproxy, with `expose-fd listeners`: where restart_before_failover has the listening sockets from.",
    source: OURS,
    reload: "live",
  }),
  down_without_servers: entry({
    syntax: "down_without_servers any|none|<backend> ...",
    schema: words,
    default: ["any"],
    needs: 1,
    ours: true,
    doc: "Backends that make the proxy count as down when no server is left in them. Default: any.",
    source: OURS,
    reload: "live",
  }),
  reload: entry<"on_change" | "always" | "never">({
    syntax: "reload on_change|always|never",
    schema: choice("on_change", "always", "never"),
    default: "on_change",
    needs: 1,
    ours: true,
    doc: "Whether a reload of vrrpd sends SIGUSR2 to the proxy: on_change, when its configuration files are not what it was started with.",
    source: OURS,
    reload: "live",
  }),
  drain: entry({
    syntax: "drain [<boolean>]",
    schema: boolean,
    default: true,
    ours: true,
    doc: "Whether a planned move of an address waits until the proxy has answered what is under way.",
    source: OURS,
    reload: "live",
  }),
  drain_timeout: entry({
    syntax: "drain_timeout <seconds>",
    schema: decimalSeconds({ min: 0, max: 3600 }),
    default: seconds(30),
    needs: 1,
    ours: true,
    doc: "Seconds that a drain may take; then what is left is reset, before the address goes.",
    source: OURS,
    reload: "live",
  }),
  stop_timeout: entry({
    syntax: "stop_timeout <seconds>",
    schema: decimalSeconds({ min: 0, max: 3600 }),
    default: seconds(5),
    needs: 1,
    ours: true,
    doc: "Seconds from the soft stop (SIGUSR1) of a proxy to SIGTERM, and from there to SIGKILL.",
    source: OURS,
    reload: "live",
  }),
};

function readSeconds(
  [word = ""]: readonly string[],
  { min, max }: { readonly min: number; readonly max: number },
  problem: (message: string) => undefined,
): ReturnType<typeof seconds> | undefined {
  const value = Number(word);
  return /^\d+(\.\d+)?$/.test(word) && value >= min && value <= max
    ? seconds(value)
    : problem(`must be a number of seconds from ${min} to ${max}, or 0`);
}
