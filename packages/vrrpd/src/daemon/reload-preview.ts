import { type Diagnostic, formatAddress, formatDiagnostic } from "@ha/base";
import type { LoadedConfig } from "../core/config/load.ts";
import type { Config } from "../core/config/model.ts";
import { planReload } from "../core/config/reload-plan.ts";
import type { InstanceRuntime } from "./instance-runtime.ts";

/** `vrrpctl plan --json`. */
export interface ReloadPreview {
  readonly file: string;
  /** A reload of this file would be refused, and why. */
  readonly refused?: string;
  /** As `vrrpd -t` words them. */
  readonly findings: readonly string[];
  readonly empty: boolean;
  /** In words, one line each. */
  readonly changes: readonly string[];
  /** Addresses that this host holds now and would let go. */
  readonly heldAddressesLost: readonly string[];
}

/** What a reload would do to the running configuration, without doing it. */
export function previewReload(
  file: string,
  loaded: LoadedConfig,
  running: { readonly config: Config; readonly instances: readonly InstanceRuntime[] },
): ReloadPreview {
  const plan = planReload(running.config, loaded.config);
  const keepOnError = running.config.globals.vrrp_reload_keep_on_error;
  const refuses = loaded.refusesStart || (keepOnError && loaded.hasErrors);
  const changes: string[] = plan.globals.map(
    ({ keyword, cost }) => `global_defs ${keyword} changes${COSTS[cost]}`,
  );
  const lost: string[] = [];
  const held = (name: string): boolean =>
    running.instances.some((instance) => instance.name === name && instance.held.held);
  for (const instance of plan.added) changes.push(`vrrp_instance ${instance.name} is new`);
  for (const { name, virtual_ipaddress, virtual_ipaddress_excluded } of plan.removed) {
    const loses = held(name);
    changes.push(
      `vrrp_instance ${name} goes${loses ? ": it is master here, and leaves with priority 0" : ""}`,
    );
    if (loses) {
      for (const { address } of [...virtual_ipaddress, ...virtual_ipaddress_excluded]) {
        lost.push(`${formatAddress(address)} (${name})`);
      }
    }
  }
  for (const { before, after, changes: own, added, removed } of plan.kept) {
    if (before.name !== after.name)
      changes.push(`vrrp_instance ${before.name} is called ${after.name}`);
    for (const { keyword, cost } of own) {
      changes.push(`vrrp_instance ${after.name} ${keyword} changes${COSTS[cost]}`);
    }
    const loses = held(before.name);
    for (const { address } of added) changes.push(`${after.name}: ${formatAddress(address)} comes`);
    for (const { address } of removed) {
      changes.push(`${after.name}: ${formatAddress(address)} goes`);
      if (loses) lost.push(`${formatAddress(address)} (${after.name})`);
    }
  }
  for (const [block, { added, changed, removed }] of [
    ["vrrp_sync_group", plan.sync_groups],
    ["vrrp_script", plan.scripts],
    ["vrrp_track_process", plan.track_processes],
    ["vrrp_track_file", plan.track_files],
    ["bfd_instance", plan.bfd_instances],
  ] as const) {
    for (const { name } of added) changes.push(`${block} ${name} is new`);
    for (const { after } of changed) changes.push(`${block} ${after.name} changes`);
    for (const { name } of removed) changes.push(`${block} ${name} goes`);
  }
  return {
    file,
    ...(refuses ? { refused: "errors in the configuration" } : {}),
    findings: loaded.diagnostics.map((diagnostic: Diagnostic) => formatDiagnostic(diagnostic)),
    empty: plan.empty,
    changes: plan.empty || changes.length > 0 ? changes : ["static routes, rules or delays change"],
    heldAddressesLost: lost,
  };
}

const COSTS = {
  live: "",
  restart: " (what it describes begins anew)",
  fixed: " (a running daemon cannot: needs a restart)",
} as const;
