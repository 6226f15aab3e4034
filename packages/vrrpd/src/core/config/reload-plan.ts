import type { Table } from "./entry.ts";
import { globalTable } from "./global-table.ts";
import { topTable } from "./group-tables.ts";
import { instanceTable } from "./instance-table.ts";
import type { Config, Instance, VirtualAddress } from "./model.ts";

/** One keyword whose value differs, and what the difference costs. */
export interface Change {
  readonly keyword: string;
  /** `restart`: what the block describes begins anew. `fixed`: a running daemon cannot change it at all. */
  readonly cost: "live" | "restart" | "fixed";
}

/** An instance that is the same virtual router before and after, whatever its name. */
export interface KeptInstance {
  readonly before: Instance;
  readonly after: Instance;
  readonly changes: readonly Change[];
  /** Addresses, excluded ones among them, that a master removes and adds; the others are not touched. */
  readonly removed: readonly VirtualAddress[];
  readonly added: readonly VirtualAddress[];
}

/** Blocks with names: `vrrp_script`, `track_file` and the like. */
export interface NamedPlan<T> {
  readonly kept: readonly T[];
  readonly changed: readonly { readonly before: T; readonly after: T }[];
  readonly added: readonly T[];
  readonly removed: readonly T[];
}

export interface ReloadPlan {
  readonly globals: readonly Change[];
  readonly kept: readonly KeptInstance[];
  readonly added: readonly Instance[];
  readonly removed: readonly Instance[];
  readonly scripts: NamedPlan<Config["scripts"][number]>;
  readonly track_processes: NamedPlan<Config["track_processes"][number]>;
  readonly track_files: NamedPlan<Config["track_files"][number]>;
  readonly bfd_instances: NamedPlan<Config["bfd_instances"][number]>;
  readonly sync_groups: NamedPlan<Config["sync_groups"][number]>;
  /** Whether anything differs at all. */
  readonly empty: boolean;
}

/**
 * What changes when a running configuration gives way to another. An instance is the same when virtual router id,
 * family, interface, way of sending (with its source or group) and use of a virtual MAC agree; the name does not
 * matter. observed: keepalived 2.4.3, reload
 */
export function planReload(before: Config, after: Config): ReloadPlan {
  const old = new Map(before.instances.map((instance) => [identityOf(instance), instance]));
  const kept: KeptInstance[] = [];
  const added: Instance[] = [];
  for (const instance of after.instances) {
    const identity = identityOf(instance);
    const match = old.get(identity);
    if (match === undefined) added.push(instance);
    else {
      old.delete(identity);
      kept.push(compareInstances(match, instance));
    }
  }
  const plan = {
    globals: changesOf(before.globals, after.globals, globalCost),
    kept,
    added,
    removed: [...old.values()],
    scripts: compareNamed(before.scripts, after.scripts),
    track_processes: compareNamed(before.track_processes, after.track_processes),
    track_files: compareNamed(before.track_files, after.track_files),
    bfd_instances: compareNamed(before.bfd_instances, after.bfd_instances),
    sync_groups: compareNamed(before.sync_groups, after.sync_groups),
  };
  return { ...plan, empty: isEmpty(plan) && sameRest(before, after) };
}

/** Equal for what a reload treats as one virtual router. */
export function identityOf(instance: Instance): string {
  const { virtual_router_id, family, interface: device, unicast, use_vmac, use_ipvlan } = instance;
  const way = unicast
    ? `unicast ${bytesOf(instance.source)}`
    : `multicast ${bytesOf(instance.mcast_dst_ip)}`;
  const mac =
    use_vmac !== undefined
      ? `vmac ${use_vmac.name}`
      : use_ipvlan !== undefined
        ? `ipvlan ${use_ipvlan.name}`
        : "";
  return [virtual_router_id, family, device ?? "", way, mac].join("|");
}

function bytesOf(address: { readonly bytes: Uint8Array } | undefined): string {
  return address === undefined ? "" : address.bytes.join(".");
}

function compareInstances(before: Instance, after: Instance): KeptInstance {
  const addresses = (instance: Instance): readonly VirtualAddress[] => [
    ...instance.virtual_ipaddress,
    ...instance.virtual_ipaddress_excluded,
  ];
  const missingIn = (list: readonly VirtualAddress[]) => (address: VirtualAddress) =>
    !list.some((other) => sameValue(other, address));
  return {
    before,
    after,
    changes: changesOf(before, after, instanceCost),
    removed: addresses(before).filter(missingIn(addresses(after))),
    added: addresses(after).filter(missingIn(addresses(before))),
  };
}

function changesOf<T extends object>(
  before: T,
  after: T,
  costOf: (keyword: string) => Change["cost"],
): Change[] {
  const old = new Map(Object.entries(before));
  const now = new Map(Object.entries(after));
  const changes: Change[] = [];
  for (const keyword of new Set([...old.keys(), ...now.keys()])) {
    if (keyword === "at" || sameValue(old.get(keyword), now.get(keyword))) continue;
    changes.push({ keyword, cost: costOf(keyword) });
  }
  return changes;
}

/** Keys of the model that are made of keywords of another name. */
const INSTANCE_KEYS: Readonly<Record<string, keyof typeof instanceTable>> = {
  source: "unicast_src_ip",
  unicast: "unicast_peer",
  preempt: "nopreempt",
  virtual_router_id: "virtual_router_id",
};

function instanceCost(key: string): Change["cost"] {
  // A peer more or less needs no new socket; only the change between unicast and multicast does, which is identity.
  if (key === "unicast_peer") return "live";
  return costIn(instanceTable, INSTANCE_KEYS[key] ?? key);
}

/** keepalived(8): neither the namespace nor the instance name can change while it runs. */
const FIXED = new Set(["net_namespace", "instance", "tmp_config_directory"]);

function globalCost(key: string): Change["cost"] {
  if (FIXED.has(key)) return "fixed";
  return Object.hasOwn(globalTable, key) ? costIn(globalTable, key) : costIn(topTable, key);
}

function costIn(table: Table, keyword: string): Change["cost"] {
  return (Object.hasOwn(table, keyword) ? table[keyword]?.reload : undefined) ?? "live";
}

function compareNamed<T extends { readonly name: string }>(
  before: readonly T[],
  after: readonly T[],
): NamedPlan<T> {
  const old = new Map(before.map((item) => [item.name, item]));
  const kept: T[] = [];
  const changed: { before: T; after: T }[] = [];
  const added: T[] = [];
  for (const item of after) {
    const match = old.get(item.name);
    old.delete(item.name);
    if (match === undefined) added.push(item);
    else if (sameValue(match, item)) kept.push(item);
    else changed.push({ before: match, after: item });
  }
  return { kept, changed, added, removed: [...old.values()] };
}

/** Equal in all but where it stands in a file. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  const first = new Map(Object.entries(a));
  const second = new Map(Object.entries(b));
  first.delete("at");
  second.delete("at");
  if (first.size !== second.size) return false;
  for (const [key, value] of first) {
    if (!second.has(key) || !sameValue(value, second.get(key))) return false;
  }
  return true;
}

function isEmpty(plan: Omit<ReloadPlan, "empty">): boolean {
  const named = [
    plan.scripts,
    plan.track_processes,
    plan.track_files,
    plan.bfd_instances,
    plan.sync_groups,
  ];
  return (
    plan.globals.length + plan.added.length + plan.removed.length === 0 &&
    plan.kept.every(({ changes }) => changes.length === 0) &&
    named.every(
      ({ changed, added, removed }) => changed.length + added.length + removed.length === 0,
    )
  );
}

/** The lists that have no names. */
function sameRest(before: Config, after: Config): boolean {
  const keys = [
    "static_addresses",
    "static_routes",
    "static_rules",
    "track_groups",
    "garp_groups",
    "interface_up_down_delays",
    "linkbeat_interfaces",
  ] as const;
  return keys.every((key) => sameValue(before[key], after[key]));
}
