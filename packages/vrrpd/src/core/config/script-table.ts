import { type Micros, milliseconds, seconds } from "@ha/base";
import { integer, reader, type Schema, text } from "@ha/base/keyword";
import { entry } from "./entry.ts";
import {
  address,
  decimalMilliseconds,
  decimalSeconds,
  flag,
  milliSeconds,
  weight,
  words,
} from "./schemas.ts";
import { BFD, FILE, PROCESS, SCRIPT } from "./sources.ts";

/** Keywords of `vrrp_script NAME { … }`. */
export const scriptTable = {
  script: entry({
    syntax: 'script "<path> [<argument> ...]"',
    schema: words,
    command: true,
    doc: "What to run: exit 0 is success, all else is failure. A bare name is looked up in PATH; `</path` only tests that a file can be opened. Quote a command with arguments: words outside of the quotes are not read.",
    source: SCRIPT,
    reload: "restart",
  }),
  interval: entry({
    syntax: "interval <seconds>",
    schema: scriptSeconds(),
    repair: zeroIsOne,
    default: seconds(1),
    needs: 1,
    doc: "Time between the starts of two runs, 0.001 to 4294 seconds.",
    source: SCRIPT,
    reload: "live",
  }),
  timeout: entry({
    syntax: "timeout <seconds>",
    schema: scriptSeconds(),
    repair: zeroIsOne,
    needs: 1,
    doc: "A run that takes longer is ended and counts as failed. Default: interval.",
    source: SCRIPT,
    reload: "live",
  }),
  weight: entry({
    syntax: "weight <-253..253> [reverse]",
    schema: weight(253),
    default: { weight: 0, reverse: false },
    needs: 1,
    doc: "Added to the priority while up if positive, taken from it while down if negative; 0: down means FAULT. reverse turns it round.",
    source: SCRIPT,
    reload: "live",
  }),
  rise: entry({
    syntax: "rise <1..2147483647>",
    schema: integer({ min: 1, max: 2_147_483_647 }),
    default: 1,
    needs: 1,
    doc: "Successes in a row that make it up.",
    source: SCRIPT,
    reload: "live",
  }),
  fall: entry({
    syntax: "fall <1..2147483647>",
    schema: integer({ min: 1, max: 2_147_483_647 }),
    default: 1,
    needs: 1,
    doc: "Failures in a row that make it down.",
    source: SCRIPT,
    reload: "live",
  }),
  user: entry({
    syntax: "user <name> [<group>]",
    schema: words,
    needs: 1,
    doc: "Who runs it. Default: script_user.",
    source: SCRIPT,
    reload: "live",
  }),
  init_fail: entry({
    syntax: "init_fail",
    schema: flag,
    default: false,
    doc: "Starts as failed: rise successes are needed first.",
    source: SCRIPT,
    reload: "live",
  }),
};

/** Keywords of `vrrp_track_process NAME { … }`. */
export const processTable = {
  process: entry({
    syntax: "process <name> [<parameter> ...]",
    schema: words,
    command: true,
    needs: 1,
    doc: "The process by its name in /proc/PID/comm, or with full_command by its command line.",
    source: PROCESS,
    reload: "restart",
  }),
  param_match: entry({
    syntax: "param_match [initial|partial]",
    schema: reader<"exact" | "initial" | "partial">(([word], problem) => {
      if (word === undefined) return "exact";
      return word === "initial" || word === "partial"
        ? word
        : problem("must be initial or partial");
    }),
    doc: "How parameters must agree: initial, the last one may go on; partial, more may follow; without a word, all of them exactly.",
    source: PROCESS,
    reload: "restart",
  }),
  weight: entry({
    syntax: "weight <-254..254> [reverse]",
    repeated: "first",
    schema: weight(254),
    default: { weight: 0, reverse: false },
    doc: "As in vrrp_script.",
    source: PROCESS,
    reload: "live",
  }),
  quorum: entry({
    syntax: "quorum <1..65535>",
    schema: integer({ min: 1, max: 65_535 }),
    default: 1,
    needs: 1,
    doc: "How many such processes make it up.",
    source: PROCESS,
    reload: "live",
  }),
  quorum_max: entry({
    syntax: "quorum_max <0..65535>",
    schema: integer({ min: 0, max: 65_535 }),
    needs: 1,
    doc: "More than that many make it down. Default: no limit.",
    source: PROCESS,
    reload: "live",
  }),
  delay: entry({
    syntax: "delay <seconds>",
    schema: decimalSeconds({ min: 0.000001, max: 3600 }),
    needs: 1,
    doc: "Sets fork_delay and terminate_delay.",
    source: PROCESS,
    reload: "live",
  }),
  fork_delay: entry({
    syntax: "fork_delay <seconds>",
    schema: decimalSeconds({ min: 0.000001, max: 3600 }),
    needs: 1,
    doc: "How long the quorum must hold after a fork before it counts. Default: 0.",
    source: PROCESS,
    reload: "live",
  }),
  terminate_delay: entry({
    syntax: "terminate_delay <seconds>",
    schema: decimalSeconds({ min: 0.000001, max: 3600 }),
    needs: 1,
    doc: "How long the quorum must be lost before it counts. Default: 0.",
    source: PROCESS,
    reload: "live",
  }),
  full_command: entry({
    syntax: "full_command",
    schema: flag,
    default: false,
    doc: "Compare the whole command line instead of the name.",
    source: PROCESS,
    reload: "restart",
  }),
};

/** Keywords of `track_file NAME { … }`. */
export const fileTable = {
  file: entry({
    syntax: "file <path>",
    schema: text,
    command: true,
    repeated: "first",
    doc: "The file whose number is the value. Read whenever it changes.",
    source: FILE,
    reload: "restart",
  }),
  weight: entry({
    syntax: "weight <-254..254> [reverse]",
    repeated: "first",
    schema: weight(254),
    default: { weight: 1, reverse: false },
    doc: "The number in the file times this is added to the priority; -254 and less is FAULT. 0: any number but 0 is FAULT.",
    source: FILE,
    reload: "live",
  }),
  init_file: entry({
    syntax: "init_file [<value>] [overwrite]",
    schema: reader<{ value: number; overwrite: boolean }>((all, problem) => {
      const rest = [...all];
      const value = /^[+-]?\d+$/.test(rest[0] ?? "") ? Number(rest.shift()) : 0;
      const overwrite = rest[0] === "overwrite";
      if (overwrite) rest.shift();
      if (rest.length > 0) return problem("must be a whole number, overwrite, or both");
      return { value, overwrite };
    }),
    doc: "Creates the file with this number (0) at start; overwrite also when it exists.",
    source: FILE,
    reload: "live",
  }),
};

const neighbour = entry({
  syntax: "neighbor_ip <address>",
  schema: address("any"),
  needs: 1,
  doc: "The peer of the session. neighbour_ip is the same.",
  source: BFD,
  reload: "restart",
});

const hops = entry({
  syntax: "ttl <1..255>",
  schema: integer({ min: 1, max: 255 }),
  needs: 1,
  doc: "TTL or hop limit of what is sent. Default: 255, for IPv6 64. hoplimit is the same.",
  source: BFD,
  reload: "restart",
});

/** Keywords of `bfd_instance NAME { … }`. */
export const bfdTable = {
  neighbor_ip: neighbour,
  neighbour_ip: neighbour,
  source_ip: entry({
    syntax: "source_ip <address>",
    schema: address("any"),
    needs: 1,
    doc: "Our own address for the session.",
    source: BFD,
    reload: "restart",
  }),
  min_rx: entry({
    syntax: "min_rx <milliseconds>",
    schema: decimalMilliseconds({ min: 1, max: 4_294_967 }),
    default: milliseconds(10),
    needs: 1,
    doc: "Shortest interval between packets that we can take.",
    source: BFD,
    reload: "restart",
  }),
  min_tx: entry({
    syntax: "min_tx <milliseconds>",
    schema: decimalMilliseconds({ min: 1, max: 4_294_967 }),
    default: milliseconds(10),
    needs: 1,
    doc: "Shortest interval at which we want to send.",
    source: BFD,
    reload: "restart",
  }),
  idle_tx: entry({
    syntax: "idle_tx <milliseconds>",
    schema: decimalMilliseconds({ min: 1000, max: 4_294_967 }),
    default: seconds(1),
    needs: 1,
    doc: "Interval of packets while the session is down, at least one second.",
    source: BFD,
    reload: "restart",
  }),
  multiplier: entry({
    syntax: "multiplier <1..255>",
    schema: integer({ min: 1, max: 255 }),
    default: 5,
    needs: 1,
    doc: "How many packets must be missed before the session is down.",
    source: BFD,
    reload: "restart",
  }),
  passive: entry({
    syntax: "passive",
    schema: flag,
    default: false,
    doc: "Do not begin; wait until the peer has sent.",
    source: BFD,
    reload: "restart",
  }),
  ttl: hops,
  hoplimit: hops,
  max_hops: entry({
    syntax: "max_hops <-1..255>",
    schema: integer({ min: -1, max: 255 }),
    default: 0,
    needs: 1,
    doc: "How many hops a received packet may have taken; -1 and 255 mean any number.",
    source: BFD,
    reload: "restart",
  }),
  multihop: entry({
    syntax: "multihop",
    schema: flag,
    default: false,
    since: "2.4",
    doc: "Multihop session on UDP port 4784.",
    source: "observed: keepalived 2.4.3; RFC 5883",
    reload: "restart",
  }),
  weight: entry({
    syntax: "weight <-253..253> [reverse]",
    schema: weight(253),
    default: { weight: 0, reverse: false },
    needs: 1,
    doc: "As in vrrp_script.",
    source: BFD,
    reload: "live",
  }),
  vrrp: entry({
    syntax: "vrrp",
    schema: flag,
    default: false,
    doc: "Tell state changes to VRRP only.",
    source: BFD,
    reload: "live",
  }),
  checker: entry({
    syntax: "checker",
    schema: flag,
    default: false,
    doc: "Tell state changes to the health checkers of LVS only: then VRRP cannot track it.",
    source: BFD,
    reload: "live",
  }),
};

function scriptSeconds(): Schema<Micros> {
  return milliSeconds({ min: 0.001, max: 4294.967 });
}

function zeroIsOne([word]: readonly string[]): Micros | undefined {
  return word !== undefined && /^\+?0+(\.0*)?$/.test(word) ? seconds(1) : undefined;
}
