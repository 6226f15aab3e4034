import { toSeconds } from "@ha/base";
import type { Instance } from "../core/config/model.ts";
import { addressWords, routeWords, ruleWords, scriptWords } from "./config-words.ts";
import { type DaemonStatus, type InstanceStatus, STATE_NUMBER } from "./status.ts";

/**
 * The JSON that exporters read, with keepalived's keys. Version 1 is an array of instances, version 2 an object with
 * `vrrp` and `track_process`. The password (keepalived's `auth_data`) is left out. observed: keepalived 2.2.7; 2.4.3
 */
export function jsonDump(status: DaemonStatus): string {
  const vrrp = status.instances.map((instance) => ({
    data: dataOf(instance, status),
    stats: instance.statistics,
  }));
  if (status.config.globals.json_version === 1) return `${JSON.stringify(vrrp)}\n`;
  const track_process = status.processes.map(({ name, count, up }) => ({
    pname: name,
    cur_procs: count,
    have_quorum: up,
  }));
  return `${JSON.stringify({ vrrp, track_process })}\n`;
}

function dataOf(status: InstanceStatus, { config: { globals, scripts } }: DaemonStatus): object {
  const { config } = status;
  const device = status.device ?? "";
  const { notify } = config;
  const commandOf = new Map(scripts.map((script) => [script.name, script]));
  return {
    iname: config.name,
    dont_track_primary: flag(config.dont_track_primary),
    skip_check_adv_addr: flag(config.skip_check_adv_addr),
    strict_mode: flag(config.strict_mode),
    vmac_ifname: config.use_vmac?.name ?? "",
    ifp_ifname: device,
    master_priority: status.state === "master" ? 0 : (status.master?.priority ?? 0),
    last_transition: status.lastTransition / 1_000,
    garp_delay: toSeconds(config.garp_master_delay),
    garp_refresh: toSeconds(config.garp_master_refresh),
    garp_rep: config.garp_master_repeat,
    garp_refresh_rep: config.garp_master_refresh_repeat,
    garp_lower_prio_delay: toSeconds(config.garp_lower_prio_delay),
    garp_lower_prio_rep: config.garp_lower_prio_repeat,
    lower_prio_no_advert: flag(config.lower_prio_no_advert),
    higher_prio_send_advert: flag(config.higher_prio_send_advert),
    vrid: config.virtual_router_id,
    base_priority: config.priority,
    effective_priority: status.effectivePriority,
    vipset: status.addressesSet,
    promote_secondaries: config.promote_secondaries,
    adver_int: toSeconds(config.advert_int),
    master_adver_int: toSeconds(status.masterInterval),
    accept: flag(config.accept),
    nopreempt: !config.preempt,
    preempt_delay: toSeconds(config.preempt_delay),
    state: STATE_NUMBER[status.state],
    wantstate: wantedState(config, status),
    version: config.version,
    smtp_alert: config.smtp_alert,
    notify_deleted: notify.send_deleted,
    ...optional("script_backup", notify.backup, scriptWords),
    ...optional("script_master", notify.master, scriptWords),
    ...optional("script_fault", notify.fault, scriptWords),
    ...optional("script_stop", notify.stop, scriptWords),
    ...optional("script_deleted", notify.deleted, scriptWords),
    ...optional("script", notify.any, scriptWords),
    ...optional("script_master_rx_lower_pri", notify.master_rx_lower_pri, scriptWords),
    ...list("vips", config.virtual_ipaddress, (address) =>
      addressWords(address, deviceWords(config, device), status.addressesSet),
    ),
    ...list("evips", config.virtual_ipaddress_excluded, (address) =>
      addressWords(address, deviceWords(config, device), status.addressesSet),
    ),
    ...list("vroutes", config.virtual_routes, routeWords),
    ...list("vrules", config.virtual_rules, ruleWords),
    ...list("track_ifp", config.track_interface, ({ name }) => name),
    ...list("track_script", config.track_script, ({ name }) => {
      const script = commandOf.get(name);
      return script === undefined ? name : scriptWords(script);
    }),
    ...list("track_process", config.track_process, ({ name }) => name),
    ...list("track_file", config.track_file, ({ name }) => name),
    ...list("track_bfd", config.track_bfd, ({ name }) => name),
    auth_type:
      config.authentication === undefined ? 0 : config.authentication.type === "PASS" ? 1 : 2,
    ...(globals.instance === undefined ? {} : { instance: globals.instance }),
  };
}

/** `eth0`, or `vrrp.51@eth0` for a virtual MAC's device. */
export function deviceWords(config: Instance, device: string): string {
  const virtual = config.use_vmac?.name ?? config.use_ipvlan?.name;
  return virtual === undefined ? device : `${virtual}@${config.interface ?? ""}`;
}

/** What the configuration asks for, and once it runs, what it is. observed: keepalived 2.2.7 */
function wantedState(config: Instance, { state }: InstanceStatus): number {
  if (state === "master" || state === "backup") return STATE_NUMBER[state];
  return config.state === "MASTER" ? STATE_NUMBER.master : STATE_NUMBER.backup;
}

function flag(value: boolean): number {
  return value ? 1 : 0;
}

function optional<T>(key: string, value: T | undefined, words: (value: T) => string): object {
  return value === undefined ? {} : { [key]: words(value) };
}

function list<T>(key: string, values: readonly T[], words: (value: T) => string): object {
  return values.length === 0 ? {} : { [key]: values.map(words) };
}
