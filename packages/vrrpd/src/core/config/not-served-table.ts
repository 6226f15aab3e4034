import { integer, text } from "@ha/base/keyword";
import type { Status } from "./entry.ts";
import { global, switched } from "./global-entry.ts";
import { words } from "./schemas.ts";

const without = (name: string, status: Status, doc: string) =>
  global({ syntax: `${name} ...`, schema: words, repeated: "all", status, doc });

const SNMP = "SNMP; use /metrics or the JSON dump.";
const DBUS = "D-Bus; use the control socket.";
const LVS = "LVS, that is load balancing by IPVS in the kernel.";

/** Keywords of `global_defs` for LVS, SNMP and D-Bus: known, so that a warning can name them. */
export const notServedTable = {
  lvs_sync_daemon: {
    ...without("lvs_sync_daemon", "not served", LVS),
    schema: text,
    repeated: "first" as const,
  },
  lvs_timeouts: { ...without("lvs_timeouts", "not served", LVS), schema: text },
  lvs_flush: without("lvs_flush", "not served", LVS),
  lvs_flush_on_stop: without("lvs_flush_on_stop", "not served", LVS),
  lvs_flush_onstop: without("lvs_flush_onstop", "not served", LVS),
  lvs_notify_fifo: {
    ...without("lvs_notify_fifo", "not served", LVS),
    schema: text,
    repeated: "first" as const,
  },
  lvs_notify_fifo_script: {
    ...without("lvs_notify_fifo_script", "not served", LVS),
    schema: text,
    repeated: "first" as const,
  },
  lvs_netlink_cmd_rcv_bufs: without("lvs_netlink_cmd_rcv_bufs", "not served", LVS),
  lvs_netlink_cmd_rcv_bufs_force: without("lvs_netlink_cmd_rcv_bufs_force", "not served", LVS),
  lvs_netlink_monitor_rcv_bufs: without("lvs_netlink_monitor_rcv_bufs", "not served", LVS),
  lvs_netlink_monitor_rcv_bufs_force: without(
    "lvs_netlink_monitor_rcv_bufs_force",
    "not served",
    LVS,
  ),
  smtp_alert_checker: { ...switched("smtp_alert_checker", LVS), status: "not served" as const },
  checker_log_all_failures: {
    ...switched("checker_log_all_failures", LVS),
    status: "not served" as const,
  },
  rs_init_notifies: without("rs_init_notifies", "not served", LVS),
  no_checker_emails: without("no_checker_emails", "not served", LVS),
  nftables_ipvs: {
    ...without("nftables_ipvs", "not served", LVS),
    repeated: "first" as const,
  },
  nftables_ipvs_priority: without("nftables_ipvs_priority", "not served", LVS),
  nftables_ipvs_start_fwmark: {
    ...without("nftables_ipvs_start_fwmark", "not served", LVS),
    schema: integer({ min: 1, max: 4_294_967_295 }),
  },

  snmp_socket: {
    ...without("snmp_socket", "not supported", SNMP),
    schema: text,
    repeated: "first" as const,
  },
  enable_snmp_keepalived: without("enable_snmp_keepalived", "not supported", SNMP),
  enable_snmp_vrrp: without("enable_snmp_vrrp", "not supported", SNMP),
  enable_snmp_checker: without("enable_snmp_checker", "not supported", SNMP),
  enable_snmp_rfc: without("enable_snmp_rfc", "not supported", SNMP),
  enable_snmp_rfcv2: without("enable_snmp_rfcv2", "not supported", SNMP),
  enable_snmp_rfcv3: without("enable_snmp_rfcv3", "not supported", SNMP),
  enable_traps: without("enable_traps", "not supported", SNMP),
  snmp_vrrp_stats_update_interval: without(
    "snmp_vrrp_stats_update_interval",
    "not supported",
    SNMP,
  ),
  snmp_vs_stats_update_interval: without("snmp_vs_stats_update_interval", "not supported", SNMP),
  snmp_rs_stats_update_interval: without("snmp_rs_stats_update_interval", "not supported", SNMP),
  enable_dbus: without("enable_dbus", "not supported", DBUS),
  dbus_service_name: { ...without("dbus_service_name", "not supported", DBUS), schema: text },
  dbus_no_interface_name: without("dbus_no_interface_name", "not supported", DBUS),
};
