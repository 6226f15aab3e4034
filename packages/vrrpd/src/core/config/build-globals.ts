import type { Diagnostics } from "@ha/base";
import { ip, micros, parseDecimal, type Statement, seconds } from "@ha/base";
import { type Block, readBlock } from "./block.ts";
import { type BuildContext, findScriptUser } from "./build-context.ts";
import { buildNotifyScript } from "./build-script.ts";
import { globalTable } from "./global-table.ts";
import type { ConfigHost } from "./host.ts";
import type { Globals, NotifyFifo, NotifyScript, ScriptUser } from "./model.ts";

type GlobalBlock = Block<typeof globalTable>;

/** Reads every `global_defs` and the words outside of blocks. Scripts come later: they need the result. */
export function buildGlobals(
  top: readonly Statement[],
  { host, diagnostics }: { readonly host: ConfigHost; readonly diagnostics: Diagnostics },
): { globals: Globals; block: GlobalBlock; scriptUserBroken: boolean } {
  const statements = top.flatMap(({ words, body }) =>
    words[0].text === "global_defs" ? (body ?? []) : [],
  );
  const block = readBlock(globalTable, statements, diagnostics);
  const user = readScriptUser(block, host, diagnostics);
  const nopts = <K extends string, T>(key: K, value: T | undefined): { [P in K]?: T } =>
    value === undefined ? {} : ({ [key]: value } as { [P in K]?: T });
  const globals: Globals = {
    router_id: block.get("router_id") ?? host.hostName,
    ...topWords(top, diagnostics),
    enable_script_security: block.get("enable_script_security") ?? false,
    ...(user.user === undefined ? {} : { script_user: user.user }),
    set_supplementary_groups: block.get("set_supplementary_groups") ?? false,
    default_interface: block.take("default_interface") ?? "eth0",
    dynamic_interfaces: block.get("dynamic_interfaces") ?? "off",
    vrrp_version: block.take("vrrp_version") ?? 2,
    vrrp_mcast_group4: block.take("vrrp_mcast_group4") ?? ip("224.0.0.18"),
    vrrp_mcast_group6: block.take("vrrp_mcast_group6") ?? ip("ff02::12"),
    vrrp_garp_interval: block.get("vrrp_garp_interval") ?? micros(0),
    vrrp_gna_interval: block.get("vrrp_gna_interval") ?? micros(0),
    vrrp_startup_delay: block.get("vrrp_startup_delay") ?? micros(0),
    vrrp_delay_after_boot: block.get("vrrp_delay_after_boot") ?? micros(0),
    log_unknown_vrids: block.get("log_unknown_vrids") ?? false,
    disable_local_igmp: block.get("disable_local_igmp") ?? false,
    vmac_prefix: block.take("vmac_prefix") ?? "vrrp",
    vmac_addr_prefix: block.get("vmac_addr_prefix") ?? block.take("vmac_prefix") ?? "vrrp",
    notification_email: block.lines("notification_email").map(({ words }) => words[0].text),
    ...nopts("notification_email_from", block.get("notification_email_from")),
    ...nopts("smtp_server", block.get("smtp_server")),
    ...nopts("smtp_helo_name", block.get("smtp_helo_name") || undefined),
    smtp_connect_timeout: block.take("smtp_connect_timeout") ?? seconds(30),
    no_email_faults: block.get("no_email_faults") ?? false,
    fifo_write_vrrp_states_on_reload: block.get("fifo_write_vrrp_states_on_reload") ?? false,
    startup_script_timeout: block.take("startup_script_timeout") ?? seconds(10),
    shutdown_script_timeout: block.take("shutdown_script_timeout") ?? seconds(10),
    ...nopts("vrrp_priority", block.get("vrrp_priority")),
    ...nopts("vrrp_rt_priority", block.get("vrrp_rt_priority")),
    vrrp_cpu_affinity: block.get("vrrp_cpu_affinity") ?? [],
    vrrp_no_swap: block.get("vrrp_no_swap") ?? false,
    vrrp_rlimit_rttime: block.take("vrrp_rlimit_rttime") ?? micros(10_000),
    max_auto_priority: block.take("max_auto_priority") ?? 0,
    min_auto_priority_delay: block.take("min_auto_priority_delay") ?? seconds(1),
    ...nopts("bfd_priority", block.get("bfd_priority")),
    ...nopts("bfd_rt_priority", block.get("bfd_rt_priority")),
    bfd_cpu_affinity: block.get("bfd_cpu_affinity") ?? [],
    bfd_no_swap: block.get("bfd_no_swap") ?? false,
    bfd_rlimit_rttime: block.take("bfd_rlimit_rttime") ?? micros(10_000),
    ...processNames(block),
    nftables: {
      table: block.take("nftables") ?? "keepalived",
      priority: block.take("nftables_priority") ?? -1,
      counters: block.get("nftables_counters") ?? false,
      ifindex: block.get("nftables_ifindex") ?? false,
    },
    reload_check_config: block.take("reload_check_config") ?? false,
    ...nopts("reload_time_file", block.get("reload_time_file")),
    reload_repeat: block.get("reload_repeat") ?? false,
    reload_file: block.take("reload_file") ?? false,
    ...nopts("config_save_dir", block.get("config_save_dir")),
    ...nopts("tmp_config_directory", block.get("tmp_config_directory")),
    data_use_instance: block.get("data_use_instance") ?? false,
    ...nopts("state_dump_file", block.get("state_dump_file")),
    ...nopts("stats_dump_file", block.get("stats_dump_file")),
    ...nopts("json_dump_file", block.get("json_dump_file")),
    json_version: block.take("json_version") ?? 1,
    ...nopts("umask", block.get("umask")),
    use_symlink_paths: block.get("use_symlink_paths") ?? false,
    ...nopts("iproute_usr_dir", block.get("iproute_usr_dir")),
    ...nopts("iproute_etc_dir", block.get("iproute_etc_dir")),
    ...nopts("vrrp_rx_bufs_policy", block.get("vrrp_rx_bufs_policy")),
    vrrp_rx_bufs_multiplier: block.take("vrrp_rx_bufs_multiplier") ?? 3,
    ...nopts("vrrp_netlink_cmd_rcv_bufs", block.get("vrrp_netlink_cmd_rcv_bufs")),
    vrrp_netlink_cmd_rcv_bufs_force: block.get("vrrp_netlink_cmd_rcv_bufs_force") ?? false,
    ...nopts("vrrp_netlink_monitor_rcv_bufs", block.get("vrrp_netlink_monitor_rcv_bufs")),
    vrrp_netlink_monitor_rcv_bufs_force: block.get("vrrp_netlink_monitor_rcv_bufs_force") ?? false,
    ...nopts("process_monitor_rcv_bufs", block.get("process_monitor_rcv_bufs")),
    process_monitor_rcv_bufs_force: block.get("process_monitor_rcv_bufs_force") ?? false,
    ...ownGlobals(block),
  };
  checkAffinity(block, host, diagnostics);
  const server = block.get("smtp_server");
  if (server !== undefined && !host.resolves(server.host)) {
    diagnostics.error(
      "config/bad-value",
      block.written("smtp_server")?.statement.words[1]?.at,
      `smtp_server: the name ${server.host} is not known`,
    );
  }
  return { globals, block, scriptUserBroken: user.broken };
}

/** FIFOs and scripts, which need to know the users. */
export function withScripts(block: GlobalBlock, context: BuildContext): Globals {
  const script = (
    name: "startup_script" | "shutdown_script" | "notify_fifo_script" | "vrrp_notify_fifo_script",
  ): NotifyScript | undefined => {
    const written = block.written(name);
    return written === undefined ? undefined : buildNotifyScript(written.statement, context);
  };
  const startup = script("startup_script");
  const shutdown = script("shutdown_script");
  const all = fifo(block, "notify_fifo", script("notify_fifo_script"), context);
  const vrrp = fifo(block, "vrrp_notify_fifo", script("vrrp_notify_fifo_script"), context);
  if (all !== undefined && vrrp !== undefined && all.path === vrrp.path) {
    context.diagnostics.warning(
      "config/fifo-names",
      block.positionOf("vrrp_notify_fifo"),
      "notify_fifo and vrrp_notify_fifo have one name; events would be written twice",
    );
  }
  return {
    ...context.globals,
    ...(startup === undefined ? {} : { startup_script: startup }),
    ...(shutdown === undefined ? {} : { shutdown_script: shutdown }),
    ...(all === undefined ? {} : { notify_fifo: all }),
    ...(vrrp === undefined ? {} : { vrrp_notify_fifo: vrrp }),
  };
}

function fifo(
  block: GlobalBlock,
  name: "notify_fifo" | "vrrp_notify_fifo",
  script: NotifyScript | undefined,
  { host, diagnostics }: BuildContext,
): NotifyFifo | undefined {
  const written = block.written(name);
  if (written === undefined) return undefined;
  const [, , user, group] = written.statement.words;
  const found = user === undefined ? undefined : findScriptUser(host, user, group, false);
  if (found !== undefined && "problem" in found) {
    diagnostics.warning(
      "config/script-dropped",
      found.at,
      `${name}: ${found.problem}; it stays ours`,
    );
  }
  return {
    path: written.value.path,
    ...(found === undefined || "problem" in found ? {} : { uid: found.uid, gid: found.gid }),
    ...(script === undefined ? {} : { script }),
  };
}

function readScriptUser(
  block: GlobalBlock,
  host: ConfigHost,
  diagnostics: Diagnostics,
): { user?: ScriptUser; broken: boolean } {
  const written = block.written("script_user");
  const supplementary = block.get("set_supplementary_groups") ?? false;
  if (written === undefined) {
    const known = host.findUser("keepalived_script");
    return known === undefined
      ? { broken: false }
      : { user: { ...known, supplementary }, broken: false };
  }
  const [keyword, user, group] = written.statement.words;
  if (user === undefined) {
    diagnostics.error("config/bad-value", keyword.at, "script_user lacks its user");
    return { broken: true };
  }
  const found = findScriptUser(host, user, group, supplementary);
  if (!("problem" in found)) return { user: found, broken: false };
  diagnostics.error("config/script-user", found.at, `script_user: ${found.problem}`);
  return { broken: true };
}

function checkAffinity(block: GlobalBlock, host: ConfigHost, diagnostics: Diagnostics): void {
  for (const name of ["vrrp_cpu_affinity", "bfd_cpu_affinity", "checker_cpu_affinity"] as const) {
    const cpu = block.get(name)?.find((number) => number >= host.cpus);
    if (cpu === undefined) continue;
    diagnostics.error(
      "config/bad-value",
      block.positionOf(name),
      `there is no CPU ${cpu}: this host has 0 to ${host.cpus - 1}`,
    );
  }
}

function processNames(
  block: GlobalBlock,
): Pick<Globals, "process_name" | "vrrp_process_name" | "bfd_process_name"> {
  const on = block.get("process_names") === true;
  const main = block.get("process_name") ?? (on ? "keepalived" : undefined);
  const vrrp = block.get("vrrp_process_name") ?? (on ? "keepalived_vrrp" : undefined);
  const bfd = block.get("bfd_process_name") ?? (on ? "keepalived_bfd" : undefined);
  return {
    ...(main === undefined ? {} : { process_name: main }),
    ...(vrrp === undefined ? {} : { vrrp_process_name: vrrp }),
    ...(bfd === undefined ? {} : { bfd_process_name: bfd }),
  };
}

/** `net_namespace`, `instance` and the other words outside of blocks. */
function topWords(
  top: readonly Statement[],
  diagnostics: Diagnostics,
): Pick<
  Globals,
  "net_namespace" | "instance" | "use_pid_dir" | "linkbeat_use_polling" | "child_wait_time"
> {
  let namespace: string | undefined;
  let instance: string | undefined;
  let pidFolder = false;
  let polling = false;
  let wait = seconds(5);
  for (const { words } of top) {
    const [keyword, value] = words;
    switch (keyword.text) {
      case "net_namespace":
      case "instance":
        if (value === undefined) {
          diagnostics.error("config/bad-value", keyword.at, `${keyword.text} lacks its name`);
        } else if (keyword.text === "instance") instance = value.text;
        else namespace = value.text;
        break;
      case "use_pid_dir":
        pidFolder = true;
        break;
      case "linkbeat_use_polling":
        polling = true;
        break;
      case "child_wait_time": {
        const time = parseDecimal(value?.text ?? "", 0);
        if (time !== undefined && time >= 0) wait = seconds(time);
        break;
      }
    }
  }
  return {
    ...(namespace === undefined ? {} : { net_namespace: namespace }),
    ...(instance === undefined ? {} : { instance }),
    use_pid_dir: pidFolder,
    linkbeat_use_polling: polling,
    child_wait_time: wait,
  };
}

function ownGlobals(block: GlobalBlock) {
  const on = (name: OwnSwitch): boolean => block.get(name) ?? true;
  const lifetime = block.get("vrrp_address_lifetime");
  const metrics = block.get("vrrp_metrics");
  return {
    vrrp_guard: on("vrrp_guard"),
    vrrp_guard_heartbeat: on("vrrp_guard_heartbeat"),
    vrrp_leave_make_before_break: on("vrrp_leave_make_before_break"),
    vrrp_resign_priority_zero: on("vrrp_resign_priority_zero"),
    vrrp_sync_group_resign: on("vrrp_sync_group_resign"),
    vrrp_resume: on("vrrp_resume"),
    vrrp_address_record: on("vrrp_address_record"),
    vrrp_listen_after_wake: on("vrrp_listen_after_wake"),
    vrrp_packet_filter: on("vrrp_packet_filter"),
    vrrp_replay_answer: on("vrrp_replay_answer"),
    vrrp_ignore_reflected: on("vrrp_ignore_reflected"),
    vrrp_reload_keep_on_error: on("vrrp_reload_keep_on_error"),
    vrrp_accept_differing_addresses: on("vrrp_accept_differing_addresses"),
    vrrp_heal_announce: on("vrrp_heal_announce"),
    vrrp_detect_split_brain: on("vrrp_detect_split_brain"),
    vrrp_timer_thread: on("vrrp_timer_thread"),
    vrrp_restore_addresses: on("vrrp_restore_addresses"),
    vrrp_script_cannot_run_fails: on("vrrp_script_cannot_run_fails"),
    vrrp_script_jitter: on("vrrp_script_jitter"),
    vrrp_notify_serialize: on("vrrp_notify_serialize"),
    vrrp_notify_timeout: block.take("vrrp_notify_timeout") ?? seconds(60),
    ...(lifetime === undefined ? {} : { vrrp_address_lifetime: lifetime }),
    vrrp_witness: block.take("vrrp_witness") ?? [],
    ...(metrics === undefined ? {} : { vrrp_metrics: metrics }),
    vrrp_handover_port: block.take("vrrp_handover_port") ?? 112,
    log_format: block.take("log_format") ?? ("text" as const),
  };
}

type OwnSwitch = {
  [K in keyof typeof globalTable & string]: (typeof globalTable)[K] extends {
    ours?: true;
    default?: boolean;
  }
    ? K
    : never;
}[keyof typeof globalTable & `vrrp_${string}`];
