import { checkDrill, type Drill, drillSchema } from "./drill.ts";
import { type Inventory, inventorySchema } from "./inventory.ts";
import { readYamlFile, type YamlRead } from "./yaml-file.ts";

/** Reads a drill; `hosts` are the names that it may speak of. Every error of the file comes back at once. */
export function loadDrill(file: string, text: string, hosts: ReadonlySet<string>): YamlRead<Drill> {
  return readYamlFile(file, text, drillSchema, {
    words: DRILL_WORDS,
    check: (drill) => checkDrill(drill, hosts),
  });
}

/** Reads what `lab up` wrote, or what somebody wrote for machines of their own. */
export function loadInventory(file: string, text: string): YamlRead<Inventory> {
  return readYamlFile(file, text, inventorySchema, { words: INVENTORY_WORDS });
}

/** Hosts of every lab that `lab up` builds. */
export const LAB_HOSTS: ReadonlySet<string> = new Set(["lb1", "lb2", "web1", "web2", "client"]);

const DRILL_WORDS = [
  ...["name", "about", "needs", "alone", "known_to_fail", "pair", "probes", "steady", "steps"],
  ...["check", "after", "version", "advert", "preempt", "proxy", "weight", "daemon", "id", "http"],
  ...[
    "restart_before_failover",
    "from",
    "every",
    "timeout",
    "keep_alive",
    "fault",
    "expect",
    "heal",
  ],
  ...["pause", "vip_owner", "host", "count", "answered_by", "probe_ok", "for", "probe", "state"],
  ...["served_by", "log", "on", "matches", "within", "longest_gap", "failed", "slowest"],
  ...["two_answerers", "two_owners", "no_owner", "vrrp_transitions", "kind", "what", "as"],
  ...["between", "one_way", "percent", "by", "jitter", "file", "back", "loops", "to"],
  ...["ours", "keepalived", "haproxy"],
];

const INVENTORY_WORDS = [
  ...["driver", "slack", "time_factor", "floor_s", "interface", "address", "least_advert_s"],
  ...[
    "baseline_s",
    "least_probe_every_s",
    "least_probe_timeout_s",
    "hosts",
    "role",
    "addr",
    "exec",
    "domain",
    "netns",
    "pid",
    "ssh",
    "config",
  ],
];
