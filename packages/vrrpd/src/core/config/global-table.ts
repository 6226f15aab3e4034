import { type IpAddress, ip, isMulticast, parseAddress, parseInteger, seconds } from "@ha/base";
import { integer, reader, type Schema, text } from "@ha/base/keyword";
import { global, limited, on, path, script, switched } from "./global-entry.ts";
import { notServedTable } from "./not-served-table.ts";
import { ownTable } from "./own-table.ts";
import { processKeywords } from "./process-keywords.ts";
import {
  boolean,
  decimalSeconds,
  garpExtra,
  interfaceName,
  oneForZero,
  versionSchema,
  wholeSeconds,
  words,
} from "./schemas.ts";
import { GLOBAL, NEW } from "./sources.ts";

/** Keywords of `global_defs { … }`. */
export const globalTable = {
  router_id: global({
    syntax: "router_id <text>",
    schema: text,
    doc: "Name of this host in mails; nothing on the wire. Default: the host name.",
  }),
  enable_script_security: on(
    "enable_script_security",
    "Scripts that run as root are refused when anyone else could change them.",
  ),
  script_user: global({
    syntax: "script_user <user> [[:]<group>]",
    schema: words,
    doc: "Who runs scripts that name no user; : adds the user's other groups. Default: keepalived_script if that user exists, else our own.",
  }),
  set_supplementary_groups: {
    ...on("set_supplementary_groups", "Scripts get the supplementary groups of their user."),
    since: "2.3",
  },
  vrrp_version: global({
    syntax: "vrrp_version 2|3",
    schema: versionSchema(),
    default: 2 as const,
    needs: 1,
    doc: "Version of instances that do not say; IPv6 is always 3.",
  }),
  vrrp_strict: on("vrrp_strict", "Default of strict_mode."),
  vrrp_skip_check_adv_addr: global({
    syntax: "vrrp_skip_check_adv_addr [on|off]",
    schema: reader<boolean>(([word]) => !(word === "off" || word === "no" || word === "false")),
    default: false,
    doc: "Default of skip_check_adv_addr.",
  }),
  vrrp_garp_master_delay: global({
    syntax: "vrrp_garp_master_delay <0..4294>",
    schema: wholeSeconds({ min: 0, max: 4294 }),
    default: seconds(5),
    needs: 1,
    doc: "Default of garp_master_delay.",
  }),
  vrrp_garp_master_repeat: global({
    syntax: "vrrp_garp_master_repeat <1..4294967295>",
    schema: integer({ min: 1, max: 4_294_967_295 }),
    repair: oneForZero,
    default: 5,
    needs: 1,
    doc: "Default of garp_master_repeat.",
  }),
  vrrp_garp_master_refresh: global({
    syntax: "vrrp_garp_master_refresh <0..4294>",
    schema: wholeSeconds({ min: 0, max: 4294 }),
    default: seconds(0),
    needs: 1,
    doc: "Default of garp_master_refresh.",
  }),
  vrrp_garp_master_refresh_repeat: global({
    syntax: "vrrp_garp_master_refresh_repeat <1..4294967295>",
    schema: integer({ min: 1, max: 4_294_967_295 }),
    repair: oneForZero,
    default: 1,
    needs: 1,
    doc: "Default of garp_master_refresh_repeat.",
  }),
  vrrp_garp_lower_prio_delay: global({
    syntax: "vrrp_garp_lower_prio_delay <0..4294>",
    schema: wholeSeconds({ min: 0, max: 4294 }),
    needs: 1,
    doc: "Default of garp_lower_prio_delay; its own default is vrrp_garp_master_delay.",
  }),
  vrrp_garp_lower_prio_repeat: global({
    syntax: "vrrp_garp_lower_prio_repeat <0..4294967295>",
    schema: integer({ min: 0, max: 4_294_967_295 }),
    needs: 1,
    doc: "Default of garp_lower_prio_repeat; its own default is vrrp_garp_master_repeat.",
  }),
  vrrp_garp_interval: global({
    syntax: "vrrp_garp_interval <seconds>",
    schema: decimalSeconds({ min: 0.000001, max: 4294.967295 }),
    default: seconds(0),
    needs: 1,
    doc: "Seconds between gratuitous ARPs on one interface.",
  }),
  vrrp_gna_interval: global({
    syntax: "vrrp_gna_interval <seconds>",
    schema: decimalSeconds({ min: 0.000001, max: 4294.967295 }),
    default: seconds(0),
    needs: 1,
    doc: "Seconds between unsolicited neighbour advertisements on one interface.",
  }),
  vrrp_min_garp: switched("vrrp_min_garp", "One gratuitous ARP and no second batch."),
  vrrp_garp_extra_if: global({
    syntax: "vrrp_garp_extra_if [all] <1..86400>",
    schema: garpExtra(1),
    doc: "Default of garp_extra_if.",
  }),
  notification_email: global({
    syntax: "notification_email { <address> ... }",
    schema: words,
    body: "lines",
    repeated: "all",
    doc: "Who gets the mails.",
  }),
  notification_email_from: global({
    syntax: "notification_email_from <address>",
    schema: text,
    doc: "Sender of the mails. Default: keepalived@ and the host name.",
  }),
  smtp_server: global({
    syntax: "smtp_server <host> [<1..65535>]",
    schema: reader<{ host: string; port: number }>(([host = "", word], problem) => {
      const port = word === undefined ? 25 : parseInteger(word);
      return port === undefined || port < 1 || port > 65_535
        ? problem("must end with a port from 1 to 65535, if any")
        : { host, port };
    }),
    needs: 1,
    doc: "Takes the mails. Default port: 25.",
  }),
  smtp_helo_name: global({
    syntax: "smtp_helo_name <name>",
    schema: reader<string>(([word]) => word ?? ""),
    doc: "Our name in HELO. Default: the host name.",
  }),
  smtp_connect_timeout: global({
    syntax: "smtp_connect_timeout <1..4294>",
    schema: wholeSeconds({ min: 1, max: 4294 }),
    repair: (all: readonly string[]) => (oneForZero(all) === undefined ? undefined : seconds(1)),
    default: seconds(30),
    needs: 1,
    doc: "Seconds for the connection to the mail server.",
  }),
  smtp_alert: switched("smtp_alert", "Default of all smtp_alert."),
  smtp_alert_vrrp: global({
    syntax: "smtp_alert_vrrp [<boolean>]",
    schema: boolean,
    doc: "Default of smtp_alert of instances and groups. Its own: smtp_alert.",
  }),
  no_email_faults: on("no_email_faults", "No mails about FAULT."),
  notify_fifo: global({
    syntax: "notify_fifo <path> [<user> [<group>]]",
    repeated: "first",
    schema: nameAndOwner(),
    doc: "Every event is written there, one line each. Created with mode 600 for the user.",
  }),
  notify_fifo_script: script(
    "notify_fifo_script",
    "Reads notify_fifo; its path is the last argument.",
  ),
  vrrp_notify_fifo: global({
    syntax: "vrrp_notify_fifo <path> [<user> [<group>]]",
    repeated: "first",
    schema: nameAndOwner(),
    doc: "As notify_fifo, for VRRP events only. The names must differ.",
  }),
  vrrp_notify_fifo_script: script("vrrp_notify_fifo_script", "Reads vrrp_notify_fifo."),
  vrrp_notify_priority_changes: switched(
    "vrrp_notify_priority_changes",
    "Default of notify_priority_changes.",
  ),
  fifo_write_vrrp_states_on_reload: on(
    "fifo_write_vrrp_states_on_reload",
    "A reload writes all states to the FIFOs.",
  ),
  dynamic_interfaces: global({
    syntax: "dynamic_interfaces [allow_if_changes]",
    schema: reader<"on" | "allow_if_changes">(([word], problem) => {
      if (word === undefined) return "on";
      return word === "allow_if_changes"
        ? word
        : problem("may be followed by allow_if_changes only");
    }),
    doc: "Interfaces may be missing: FAULT until they appear. Default: off.",
  }),
  default_interface: global({
    syntax: "default_interface <name>",
    schema: interfaceName,
    default: "eth0",
    needs: 1,
    doc: "For static addresses, and for addresses of instances without interface.",
  }),
  vrrp_mcast_group4: global({
    syntax: "vrrp_mcast_group4 <address>",
    schema: group(4),
    default: ip("224.0.0.18"),
    needs: 1,
    doc: "Group of IPv4 adverts.",
    source: `${GLOBAL}; RFC 9568 §5.1.1.2`,
    reload: "restart",
  }),
  vrrp_mcast_group6: global({
    syntax: "vrrp_mcast_group6 <address>",
    schema: group(6),
    default: ip("ff02::12"),
    needs: 1,
    doc: "Group of IPv6 adverts, link-local.",
    source: `${GLOBAL}; RFC 9568 §5.1.2.2`,
    reload: "restart",
  }),
  vrrp_check_unicast_src: on("vrrp_check_unicast_src", "Default of check_unicast_src."),
  vrrp_lower_prio_no_advert: switched(
    "vrrp_lower_prio_no_advert",
    "Default of lower_prio_no_advert.",
  ),
  vrrp_higher_prio_send_advert: switched(
    "vrrp_higher_prio_send_advert",
    "Default of higher_prio_send_advert.",
  ),
  vrrp_down_timer_adverts: global({
    syntax: "vrrp_down_timer_adverts <1..100>",
    schema: integer({ min: 1, max: 100 }),
    default: 3,
    needs: 1,
    doc: "Default of down_timer_adverts.",
  }),
  vrrp_owner_ignore_adverts: {
    ...switched("vrrp_owner_ignore_adverts", "Default of owner_ignore_adverts."),
    since: "2.4",
    source: NEW,
  },
  v3_checksum_as_v2: {
    ...switched("v3_checksum_as_v2", "Default of the instances' v3_checksum_as_v2."),
    since: "2.4",
    source: NEW,
  },
  vrrp_startup_delay: global({
    syntax: "vrrp_startup_delay <seconds>",
    schema: decimalSeconds({ min: 0.001, max: 4294.967295 }),
    default: seconds(0),
    needs: 1,
    doc: "No instance becomes master until then, counted from our start.",
  }),
  vrrp_delay_after_boot: global({
    syntax: "vrrp_delay_after_boot <seconds>",
    schema: decimalSeconds({ min: 0.001, max: 4294.967295 }),
    default: seconds(0),
    needs: 1,
    since: "2.4",
    source: NEW,
    doc: "No instance becomes master until the host has been up for that long.",
  }),
  vrrp_iptables: global({
    syntax: "vrrp_iptables [<in> [<out>]]",
    schema: words,
    status: "deprecated",
    instead: "nftables",
    doc: "iptables; nftables is used in its place.",
  }),
  vrrp_ipsets: global({
    syntax: "vrrp_ipsets [<name> ...]",
    schema: words,
    status: "deprecated",
    instead: "nftables",
    doc: "ipsets; nftables is used in its place.",
  }),
  nftables: global({
    syntax: "nftables [<table>]",
    repeated: "first",
    schema: reader<string>(([word]) => word ?? "keepalived"),
    default: "keepalived",
    doc: "Name of the table that no_accept and virtual MACs use.",
    reload: "restart",
  }),
  nftables_priority: global({
    syntax: "nftables_priority <n>",
    schema: integer({ min: -2_147_483_648, max: 2_147_483_647 }),
    default: -1,
    needs: 1,
    doc: "Priority of its chains.",
    reload: "restart",
  }),
  nftables_counters: on("nftables_counters", "Its rules count."),
  nftables_ifindex: on("nftables_ifindex", "Its sets hold interface indexes instead of names."),
  vmac_prefix: global({
    syntax: "vmac_prefix <text>",
    repeated: "first",
    schema: text,
    default: "vrrp",
    needs: 1,
    doc: "Begins the generated names of macvlans.",
    reload: "restart",
  }),
  vmac_addr_prefix: global({
    syntax: "vmac_addr_prefix <text>",
    repeated: "first",
    schema: text,
    needs: 1,
    doc: "The same for macvlans of addresses on other interfaces. Default: vmac_prefix.",
    reload: "restart",
  }),
  reload_check_config: global({
    syntax: "reload_check_config [<log file>]",
    schema: reader<boolean | string>(([word]) => word ?? true),
    default: false,
    doc: "Validate before a reload. Always done here; the file, when given, gets the findings.",
  }),
  reload_time_file: path(
    "reload_time_file",
    "Its first line, HH:MM:SS or [YY]YY-MM-DD HH:MM:SS with optional Z, is when to reload.",
  ),
  reload_repeat: on("reload_repeat", "Keep that file, and reload every day."),
  reload_file: global({
    syntax: "reload_file [<path>]",
    schema: reader<boolean | string>(([word]) => word ?? true),
    default: false,
    doc: "Exists while files are being read. Default name: keepalived.reload in the PID folder.",
  }),
  include_check: global({
    syntax: "include_check [[+|-]readable|match|wildcard_match|brace_match] ...",
    schema: words,
    repeated: "all",
    doc: "Which missing includes are errors from here on; without words all.",
  }),
  config_save_dir: {
    ...path("config_save_dir", "Configurations are saved there before and after a reload."),
    needs: 1,
  },
  tmp_config_directory: {
    ...path(
      "tmp_config_directory",
      "Folder for the copy that keepalived's processes share. We are one process and need none.",
    ),
    repeated: "first" as const,
  },
  data_use_instance: switched("data_use_instance", "Dump files have the instance name in theirs."),
  state_dump_file: {
    ...path("state_dump_file", "Where SIGUSR1 writes. Default: /tmp/keepalived.data."),
    since: "2.3",
  },
  stats_dump_file: {
    ...path("stats_dump_file", "Where SIGUSR2 writes. Default: /tmp/keepalived.stats."),
    since: "2.3",
  },
  json_dump_file: {
    ...path("json_dump_file", "Where the JSON signal writes. Default: /tmp/keepalived.json."),
    since: "2.3",
  },
  json_version: global({
    syntax: "json_version 1|2",
    schema: reader<1 | 2>(([word], problem) =>
      word === "1" ? 1 : word === "2" ? 2 : problem("must be 1 or 2"),
    ),
    default: 1 as const,
    since: "2.3",
    doc: "1: an array of instances. 2: an object with vrrp and track_process.",
  }),
  umask: global({
    syntax: "umask <number>|<bit>[|<bit> ...]",
    schema: umask(),
    needs: 1,
    doc: "Mode bits that created files do not get; bits are I{R|W|X}{USR|GRP|OTH}. Default: IWGRP|IWOTH. -u overrides.",
  }),
  random_seed: global({
    syntax: "random_seed <n>",
    schema: integer({ min: 0, max: 4_294_967_295 }),
    needs: 1,
    doc: "Makes the random numbers of _RANDOM repeat.",
  }),
  log_unknown_vrids: on(
    "log_unknown_vrids",
    "Log adverts of virtual routers that are not configured.",
  ),
  use_symlink_paths: {
    ...on(
      "use_symlink_paths",
      "Scripts are run by the path as written, symbolic links unresolved.",
    ),
    since: "2.4",
    source: NEW,
  },
  iproute_usr_dir: {
    ...path("iproute_usr_dir", "Folder of rt_tables and the like. Default: /usr/share/iproute2."),
    since: "2.3",
  },
  iproute_etc_dir: {
    ...path("iproute_etc_dir", "The same, first. Default: /etc/iproute2."),
    since: "2.3",
  },
  vrrp_rx_bufs_policy: global({
    syntax: "vrrp_rx_bufs_policy MTU|ADVERT|<bytes>",
    schema: reader<"MTU" | "ADVERT" | number>(([word = ""], problem) => {
      if (word === "MTU" || word === "ADVERT") return word;
      const value = parseInteger(word);
      return value === undefined || value < 0
        ? problem("must be MTU, ADVERT or a number of bytes")
        : value;
    }),
    doc: "Size of receive buffers: so many MTUs or adverts, or bytes. Default: the system's.",
    reload: "restart",
  }),
  vrrp_rx_bufs_multiplier: global({
    syntax: "vrrp_rx_bufs_multiplier <n>",
    schema: integer({ min: 1, max: 4_294_967_295 }),
    default: 3,
    doc: "How many of them.",
    reload: "restart",
  }),
  vrrp_netlink_cmd_rcv_bufs: limited(
    "vrrp_netlink_cmd_rcv_bufs",
    "Buffer of the netlink command socket.",
  ),
  vrrp_netlink_cmd_rcv_bufs_force: switched("vrrp_netlink_cmd_rcv_bufs_force", "Beyond rmem_max."),
  vrrp_netlink_monitor_rcv_bufs: limited(
    "vrrp_netlink_monitor_rcv_bufs",
    "Buffer of the netlink event socket.",
  ),
  vrrp_netlink_monitor_rcv_bufs_force: switched(
    "vrrp_netlink_monitor_rcv_bufs_force",
    "Beyond rmem_max.",
  ),
  process_monitor_rcv_bufs: limited(
    "process_monitor_rcv_bufs",
    "Buffer of the process event socket.",
  ),
  process_monitor_rcv_bufs_force: switched("process_monitor_rcv_bufs_force", "Beyond rmem_max."),
  disable_local_igmp: on("disable_local_igmp", "Sets igmp_link_local_mcast_reports to 0."),

  ...processKeywords,
  ...notServedTable,
  ...ownTable,
};

function group(family: 4 | 6): Schema<IpAddress> {
  return reader(([word = ""], problem) => {
    const found = parseAddress(word);
    const fits =
      found?.family === family &&
      isMulticast(found) &&
      (family === 4 || ((found.bytes[1] ?? 0) & 0x0f) === 2);
    return fits
      ? found
      : problem(
          family === 4
            ? "must be an IPv4 multicast address"
            : "must be a link-local IPv6 multicast address (ff02::/16)",
        );
  });
}

function nameAndOwner(): Schema<{ path: string; user?: string; group?: string }> {
  return reader(([first, user, owner], problem) =>
    first === undefined
      ? problem("needs a path")
      : {
          path: first,
          ...(user === undefined ? {} : { user }),
          ...(owner === undefined ? {} : { group: owner }),
        },
  );
}

const UMASK_BITS: Readonly<Record<string, number>> = {
  IRUSR: 0o400,
  IWUSR: 0o200,
  IXUSR: 0o100,
  IRGRP: 0o040,
  IWGRP: 0o020,
  IXGRP: 0o010,
  IROTH: 0o004,
  IWOTH: 0o002,
  IXOTH: 0o001,
};

/** Also for the `-u` option. */
export function parseUmask(written: string): number | undefined {
  const number = /^0[0-7]*$/.test(written)
    ? Number.parseInt(written, 8)
    : /^(0[xX][0-9a-fA-F]+|\d+)$/.test(written)
      ? Number(written)
      : undefined;
  if (number !== undefined) return number <= 0o777 ? number : undefined;
  let bits = 0;
  for (const word of written.split(/[|\s]+/)) {
    if (word === "") continue;
    if (!Object.hasOwn(UMASK_BITS, word)) return undefined;
    bits |= UMASK_BITS[word] ?? 0;
  }
  return bits;
}

function umask(): Schema<number> {
  return reader(
    (all, problem) =>
      parseUmask(all.join(" ")) ??
      problem("must be a number up to 0777, or bits such as IWGRP|IWOTH"),
  );
}
