import type { Diagnostics, Statement } from "@ha/base";
import { readBlock } from "./block.ts";
import type { BuildContext } from "./build-context.ts";
import { buildGlobals, withScripts } from "./build-globals.ts";
import {
  buildGarpGroup,
  buildSyncGroup,
  buildTrackGroup,
  checkTrackGroup,
  finishSyncGroups,
  readInterfaceDelays,
  readLinkbeat,
  readStaticAddresses,
  type WrittenGroup,
} from "./build-groups.ts";
import { buildInstance, readRoutes, readRules } from "./build-instance.ts";
import { buildProxy } from "./build-proxy.ts";
import { buildBfd, buildTrackFile, buildTrackProcess, buildTrackScript } from "./build-trackers.ts";
import type { Trackers } from "./build-tracks.ts";
import { topTable } from "./group-tables.ts";
import type { ConfigHost } from "./host.ts";
import type {
  BfdInstance,
  Config,
  GarpGroup,
  Globals,
  Instance,
  InterfaceDelay,
  LinkbeatInterface,
  TrackFile,
  TrackGroup,
  TrackProcess,
  TrackScript,
  VirtualAddress,
  VirtualRoute,
  VirtualRule,
} from "./model.ts";
import type { ProxyProgram } from "./proxy-model.ts";
import { IPROUTE_ETC, IPROUTE_USR, routingNumbers } from "./routing-names.ts";
import { RulePriorities } from "./rule-line.ts";

/**
 * The last stage: statements to the configuration. Blocks are taken in the order of the file, since keepalived finds
 * only trackers that stand above; what `global_defs` says holds wherever it stands.
 */
export function buildConfig(
  top: readonly Statement[],
  { host, diagnostics }: { readonly host: ConfigHost; readonly diagnostics: Diagnostics },
): Config {
  readBlock(topTable, top, diagnostics);
  const { globals, block: global, scriptUserBroken } = buildGlobals(top, { host, diagnostics });
  const context: BuildContext = {
    host: withIproute(host, globals),
    diagnostics,
    globals,
    scriptUserBroken,
    security: {},
    vmacNames: new Map(),
  };
  const builder = new Builder(top, context, global);
  for (const statement of top) builder.add(statement);
  const config = builder.finish(withScripts(global, context));
  tellSecurity(context);
  return config;
}

/** `iproute_usr_dir`, `iproute_etc_dir`. */
function withIproute(host: ConfigHost, { iproute_usr_dir, iproute_etc_dir }: Globals): ConfigHost {
  if (iproute_usr_dir === undefined && iproute_etc_dir === undefined) return host;
  const usr = iproute_usr_dir === undefined ? IPROUTE_USR : [iproute_usr_dir];
  return {
    ...host,
    routingNumber: routingNumbers(host.readFile, [...usr, iproute_etc_dir ?? IPROUTE_ETC]),
  };
}

class Builder {
  readonly #context: BuildContext;
  readonly #global: Parameters<typeof withScripts>[0];
  readonly #trackers: Trackers;
  readonly #priorities = new RulePriorities();
  readonly #scripts: TrackScript[] = [];
  readonly #processes: TrackProcess[] = [];
  readonly #files: TrackFile[] = [];
  readonly #bfds: BfdInstance[] = [];
  readonly #proxies: ProxyProgram[] = [];
  readonly #trackGroups: TrackGroup[] = [];
  readonly #garpGroups: GarpGroup[] = [];
  readonly #garpInterfaces = new Set<string>();
  readonly #delays: InterfaceDelay[] = [];
  readonly #linkbeat: LinkbeatInterface[] = [];
  readonly #addresses: VirtualAddress[] = [];
  readonly #routes: VirtualRoute[] = [];
  readonly #rules: VirtualRule[] = [];
  readonly #groups: WrittenGroup[] = [];
  readonly #instances = new Map<string, Instance>();

  constructor(
    top: readonly Statement[],
    context: BuildContext,
    global: Parameters<typeof withScripts>[0],
  ) {
    this.#context = context;
    this.#global = global;
    this.#trackers = {
      scripts: new Map(),
      processes: new Map(),
      files: new Map(),
      bfds: new Map(),
      proxies: new Map(),
      later: new Set(
        top.map(({ words: [keyword, name] }) => `${keyword.text} ${name?.text ?? ""}`),
      ),
    };
  }

  add(statement: Statement): void {
    const context = this.#context;
    const lines = statement.body ?? [];
    switch (statement.words[0].text) {
      case "vrrp_script":
        keep(buildTrackScript(statement, context), this.#scripts, this.#trackers.scripts);
        return;
      case "vrrp_track_process":
        keep(buildTrackProcess(statement, context), this.#processes, this.#trackers.processes);
        return;
      case "track_file":
      case "vrrp_track_file":
        keep(buildTrackFile(statement, context), this.#files, this.#trackers.files);
        return;
      case "bfd_instance":
        keep(buildBfd(statement, this.#bfds, context), this.#bfds, this.#trackers.bfds);
        return;
      case "proxy":
        keep(buildProxy(statement, context), this.#proxies, this.#trackers.proxies);
        return;
      case "track_group": {
        const group = buildTrackGroup(statement, this.#trackGroups, context);
        if (group !== undefined) this.#trackGroups.push(group);
        return;
      }
      case "garp_group": {
        const group = buildGarpGroup(statement, this.#garpInterfaces, context);
        if (group !== undefined) this.#garpGroups.push(group);
        return;
      }
      case "interface_up_down_delays":
        this.#delays.push(...readInterfaceDelays(lines, context));
        return;
      case "linkbeat_interfaces":
        this.#linkbeat.push(...readLinkbeat(lines, context));
        return;
      case "static_ipaddress":
        this.#addresses.push(...readStaticAddresses(lines, this.#trackGroups, context));
        return;
      case "static_routes":
        this.#routes.push(...this.#tracked(readRoutes(lines, context, true)));
        return;
      case "static_rules":
        this.#rules.push(...this.#tracked(readRules(lines, context, true, this.#priorities)));
        return;
      case "vrrp_sync_group": {
        const group = buildSyncGroup(statement, this.#trackers, context, {
          smtp_alert:
            this.#global.get("smtp_alert_vrrp") ?? this.#global.get("smtp_alert") ?? false,
          notify_priority_changes: this.#global.get("vrrp_notify_priority_changes") ?? false,
        });
        if (group !== undefined) this.#groups.push(group);
        return;
      }
      case "vrrp_instance": {
        const instance = buildInstance(statement, {
          context,
          global: this.#global,
          trackers: this.#trackers,
          priorities: this.#priorities,
        });
        if (instance !== undefined) this.#instances.set(instance.name, instance);
      }
    }
  }

  finish(globals: Config["globals"]): Config {
    const sync_groups = finishSyncGroups(this.#groups, this.#instances, this.#context);
    const instances = [...this.#instances.values()];
    checkDuplicates(instances, this.#context.diagnostics);
    const scripts = globals.vrrp_script_cannot_run_fails
      ? this.#scripts
      : this.#scripts.filter(({ cannot_run }) => cannot_run === undefined);
    return {
      globals,
      static_addresses: this.#addresses,
      static_routes: this.#routes,
      static_rules: this.#rules,
      track_groups: this.#trackGroups,
      scripts,
      track_processes: this.#processes,
      track_files: this.#files,
      bfd_instances: this.#bfds,
      proxies: this.#proxies,
      sync_groups,
      instances,
      garp_groups: this.#garpGroups,
      interface_up_down_delays: this.#delays,
      linkbeat_interfaces: this.#linkbeat,
    };
  }

  #tracked<T extends { readonly track_group?: string; readonly at: VirtualAddress["at"] }>(
    entries: T[],
  ): T[] {
    for (const entry of entries) checkTrackGroup(entry, this.#trackGroups, this.#context);
    return entries;
  }
}

/** The first of a name wins on lookup, as in keepalived, and the later ones are never used. */
function keep<T extends { readonly name: string }>(
  found: T | undefined,
  list: T[],
  byName: Map<string, T>,
): void;
function keep<T extends { readonly name: string }, U extends T>(
  found: U | undefined,
  list: T[],
  byName: Map<string, U>,
): void;
function keep<T extends { readonly name: string }>(
  found: T | undefined,
  list: T[],
  byName: Map<string, T>,
): void {
  if (found === undefined || byName.has(found.name)) return;
  byName.set(found.name, found);
  list.push(found);
}

/** Two instances hear each other's adverts: same id, family and interface, and the same way of sending. */
function checkDuplicates(instances: readonly Instance[], diagnostics: Diagnostics): void {
  const seen = new Map<string, Instance[]>();
  for (const instance of instances) {
    const key = `${instance.virtual_router_id} ${instance.family} ${instance.interface ?? ""}`;
    const others = seen.get(key);
    if (others === undefined) {
      seen.set(key, [instance]);
      continue;
    }
    const other = others.find((candidate) => collides(candidate, instance));
    others.push(instance);
    if (other === undefined || instance.virtual_router_id === 0) continue;
    diagnostics.error(
      "config/duplicate-vrid",
      instance.at,
      `(${instance.name}) and (${other.name}, line ${other.at.line}) both use virtual_router_id ${instance.virtual_router_id} on ${instance.interface ?? "no interface"}`,
      "give one of them another id",
    );
  }
}

function collides(a: Instance, b: Instance): boolean {
  if (a.unicast !== b.unicast) return false;
  if (a.unicast) {
    const peers = new Set(a.unicast_peer.map(({ address }) => address.bytes.join(".")));
    return b.unicast_peer.some(({ address }) => peers.has(address.bytes.join(".")));
  }
  return a.mcast_dst_ip?.bytes.join(".") === b.mcast_dst_ip?.bytes.join(".");
}

function tellSecurity({ security, diagnostics }: BuildContext): void {
  if (security.at === undefined) return;
  diagnostics.warning(
    "config/script-security",
    security.at,
    security.unsafe === undefined
      ? "scripts run without enable_script_security, which would refuse those that others can change"
      : `scripts run without enable_script_security, and ${security.unsafe}`,
    "write enable_script_security and script_user <name> in global_defs",
  );
}
