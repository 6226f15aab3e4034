import { type Micros, micros, milliseconds, parseInteger, seconds } from "@ha/base";
import { integer, reader, type Schema } from "@ha/base/keyword";
import { global, on, script } from "./global-entry.ts";
import { flag, wholeSeconds } from "./schemas.ts";

/** `vrrp_`, `bfd_` and `checker_` keywords of one process. */
function scheduling<const P extends "vrrp" | "bfd" | "checker">(prefix: P) {
  const status = prefix === "checker" ? ({ status: "not served" } as const) : {};
  const own = `the ${prefix} part`;
  return {
    priority: global({
      syntax: `${prefix}_priority <-20..19>`,
      schema: integer({ min: -20, max: 19 }),
      doc: `nice(2) value of ${own}.`,
      ...status,
    }),
    rtPriority: global({
      syntax: `${prefix}_rt_priority <1..99>`,
      schema: integer({ min: 1, max: 99 }),
      repair: ([word = ""]: readonly string[]) => {
        const value = parseInteger(word);
        return value === undefined ? undefined : Math.min(99, Math.max(1, value));
      },
      doc: `Real-time priority (SCHED_RR) of ${own}.`,
      ...status,
    }),
    affinity: global({
      syntax: `${prefix}_cpu_affinity <cpu> ...`,
      schema: cpuList(),
      doc: `CPUs that ${own} may run on.`,
      ...status,
    }),
    noSwap: global({
      syntax: `${prefix}_no_swap`,
      schema: flag,
      default: false,
      doc: `Keeps ${own} out of swap. Here it is the guard that is locked into memory, never a whole V8.`,
      ...status,
    }),
    rttime: global({
      syntax: `${prefix}_rlimit_rttime <microseconds>`,
      schema: microseconds({ min: 0, max: 4_294_967_295 }),
      default: milliseconds(10),
      needs: 1,
      doc: `CPU time that ${own} may use at real-time priority without a blocking call.`,
      ...status,
    }),
  };
}

const vrrp = scheduling("vrrp");
const bfd = scheduling("bfd");
const checker = scheduling("checker");

const processName = (name: string) =>
  global({
    syntax: `${name} <name>`,
    schema: reader<string>(([word = ""], problem) =>
      word.length > 15 ? problem("must have at most 15 characters") : word,
    ),
    repair: ([word = ""]: readonly string[]) => word.slice(0, 15),
    needs: 1,
    doc: "Name of the process, as ps shows it.",
  });

/** Keywords of `global_defs` about our processes: scheduling, names, start and end. */
export const processKeywords = {
  vrrp_priority: vrrp.priority,
  vrrp_rt_priority: vrrp.rtPriority,
  vrrp_cpu_affinity: vrrp.affinity,
  vrrp_no_swap: vrrp.noSwap,
  vrrp_rlimit_rttime: vrrp.rttime,
  bfd_priority: bfd.priority,
  bfd_rt_priority: bfd.rtPriority,
  bfd_cpu_affinity: bfd.affinity,
  bfd_no_swap: bfd.noSwap,
  bfd_rlimit_rttime: bfd.rttime,
  checker_priority: checker.priority,
  checker_rt_priority: checker.rtPriority,
  checker_cpu_affinity: checker.affinity,
  checker_no_swap: checker.noSwap,
  checker_rlimit_rttime: checker.rttime,
  max_auto_priority: global({
    syntax: "max_auto_priority [<-1..99>]",
    schema: reader<number>(([word], problem) => {
      if (word === undefined) return 99;
      const value = parseInteger(word);
      return value === undefined || value < -1 || value > 99
        ? problem("must be a whole number from -1 to 99")
        : value;
    }),
    default: 0,
    doc: "How far late timers may raise the real-time priority; 0 and -1: not at all.",
  }),
  min_auto_priority_delay: global({
    syntax: "min_auto_priority_delay <microseconds>",
    schema: microseconds({ min: 1, max: 10_000_000 }),
    default: seconds(1),
    doc: "How late a timer must be for that.",
  }),
  process_names: {
    ...on("process_names", "The default names: keepalived, keepalived_vrrp, keepalived_bfd."),
    reload: "restart" as const,
  },
  process_name: processName("process_name"),
  vrrp_process_name: processName("vrrp_process_name"),
  bfd_process_name: processName("bfd_process_name"),
  checker_process_name: { ...processName("checker_process_name"), status: "not served" as const },
  startup_script: script("startup_script", "Runs once before anything else."),
  startup_script_timeout: global({
    syntax: "startup_script_timeout <1..1000>",
    schema: wholeSeconds({ min: 1, max: 1000 }),
    default: seconds(10),
    doc: "Seconds it may take.",
  }),
  shutdown_script: script("shutdown_script", "Runs once after all else has stopped."),
  shutdown_script_timeout: global({
    syntax: "shutdown_script_timeout <1..1000>",
    schema: wholeSeconds({ min: 1, max: 1000 }),
    default: seconds(10),
    doc: "Seconds it may take.",
  }),
};

function microseconds({ min, max }: { min: number; max: number }): Schema<Micros> {
  return reader(([word = ""], problem) => {
    const value = parseInteger(word);
    return value === undefined || value < min || value > max
      ? problem(`must be a whole number of microseconds from ${min} to ${max}`)
      : micros(value);
  });
}

function cpuList(): Schema<readonly number[]> {
  return reader((all, problem) => {
    const cpus = all.map((word) => parseInteger(word) ?? -1);
    return cpus.length === 0 || cpus.some((cpu) => cpu < 0 || cpu > 8191)
      ? problem("must be CPU numbers")
      : cpus;
  });
}
