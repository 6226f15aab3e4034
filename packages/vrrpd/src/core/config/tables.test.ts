import assert from "node:assert/strict";
import { test } from "node:test";
import { lookUp, type Table } from "./entry.ts";
import { topTable } from "./group-tables.ts";

/** Every table with the names that lead to it. */
function* tables(table: Table = topTable, path = "top"): Generator<[string, Table]> {
  yield [path, table];
  for (const [name, { body }] of Object.entries(table)) {
    if (typeof body === "object") yield* tables(body, name);
  }
}

const aliases = new Set(["neighbour_ip", "hoplimit"]);

for (const [path, table] of tables()) {
  for (const [name, known] of Object.entries(table)) {
    if (aliases.has(name)) continue;
    test(`${path}: ${name} says how it is written, what it means and who says so`, () => {
      assert.equal(known.syntax.split(" ")[0], name);
      assert.match(known.doc, /\.$/);
      assert.notEqual(known.source, "");
    });
  }
}

// keepalived.conf(5), and what keepalived 2.4.3 was seen to accept beyond it.
const expected: Readonly<Record<string, string>> = {
  top: "net_namespace net_namespace_ipvs namespace_with_ipsets instance use_pid_dir linkbeat_use_polling child_wait_time global_defs static_ipaddress static_routes static_rules track_group linkbeat_interfaces interface_up_down_delays track_file vrrp_track_file vrrp_track_process vrrp_script bfd_instance garp_group vrrp_sync_group vrrp_instance virtual_server virtual_server_group SSL",
  global_defs:
    "router_id enable_script_security script_user vrrp_version vrrp_strict vrrp_skip_check_adv_addr vrrp_garp_master_delay vrrp_garp_master_repeat vrrp_garp_master_refresh vrrp_garp_master_refresh_repeat vrrp_garp_lower_prio_repeat vrrp_garp_lower_prio_delay vrrp_garp_interval vrrp_gna_interval vrrp_min_garp vrrp_garp_extra_if notification_email notification_email_from smtp_server smtp_helo_name smtp_connect_timeout smtp_alert smtp_alert_vrrp no_email_faults notify_fifo notify_fifo_script vrrp_notify_fifo vrrp_notify_fifo_script vrrp_notify_priority_changes fifo_write_vrrp_states_on_reload dynamic_interfaces default_interface vrrp_mcast_group4 vrrp_mcast_group6 vrrp_check_unicast_src vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_down_timer_adverts vrrp_owner_ignore_adverts vrrp_startup_delay vrrp_delay_after_boot vrrp_priority vrrp_rt_priority vrrp_cpu_affinity vrrp_no_swap vrrp_rlimit_rttime bfd_priority bfd_rt_priority bfd_cpu_affinity bfd_no_swap bfd_rlimit_rttime checker_priority checker_rt_priority checker_cpu_affinity checker_no_swap checker_rlimit_rttime max_auto_priority min_auto_priority_delay vrrp_iptables vrrp_ipsets nftables nftables_priority nftables_counters nftables_ifindex vmac_prefix vmac_addr_prefix v3_checksum_as_v2 process_names process_name vrrp_process_name checker_process_name bfd_process_name startup_script startup_script_timeout shutdown_script shutdown_script_timeout reload_check_config reload_time_file reload_repeat reload_file include_check config_save_dir tmp_config_directory data_use_instance state_dump_file stats_dump_file json_dump_file json_version umask random_seed log_unknown_vrids use_symlink_paths set_supplementary_groups iproute_usr_dir iproute_etc_dir vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier vrrp_netlink_cmd_rcv_bufs vrrp_netlink_cmd_rcv_bufs_force vrrp_netlink_monitor_rcv_bufs vrrp_netlink_monitor_rcv_bufs_force process_monitor_rcv_bufs process_monitor_rcv_bufs_force disable_local_igmp enable_snmp_vrrp enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3 enable_snmp_checker enable_traps snmp_socket enable_dbus dbus_service_name dbus_no_interface_name rs_init_notifies no_checker_emails nftables_ipvs lvs_flush lvs_sync_daemon lvs_timeouts",
  vrrp_instance:
    "state interface virtual_router_id priority advert_int authentication auth_hmac virtual_ipaddress virtual_ipaddress_excluded no_virtual_ipaddress unicast_src_ip unicast_peer unicast_ttl check_unicast_src unicast_fault_no_peer old_unicast_checksum mcast_src_ip mcast_dst_ip track_src_ip nopreempt preempt preempt_delay track_script track_interface track_process track_file track_bfd dont_track_primary notify_master notify_backup notify_fault notify_stop notify_deleted notify notify_master_rx_lower_pri smtp_alert notify_priority_changes garp_master_delay garp_master_repeat garp_master_refresh garp_master_refresh_repeat garp_lower_prio_delay garp_lower_prio_repeat garp_extra_if version use_vmac vmac_xmit_base use_vmac_addr use_ipvlan accept no_accept virtual_routes virtual_rules promote_secondaries skip_check_adv_addr strict_mode lower_prio_no_advert higher_prio_send_advert owner_ignore_adverts v3_checksum_as_v2 down_timer_adverts timer_expired_backup vrf native_ipv6 debug kernel_rx_buf_size linkbeat_use_polling lvs_sync_daemon_interface",
  vrrp_sync_group:
    "group track_interface track_script track_process track_file track_bfd notify_master notify_backup notify_fault notify_stop notify smtp_alert notify_priority_changes sync_group_tracking_weight global_tracking",
  vrrp_script: "script interval timeout weight rise fall user init_fail",
  vrrp_track_process:
    "process param_match weight quorum quorum_max delay fork_delay terminate_delay full_command",
  track_file: "file weight init_file",
  bfd_instance:
    "neighbor_ip neighbour_ip source_ip min_rx min_tx idle_tx multiplier passive ttl hoplimit max_hops multihop weight vrrp checker",
  garp_group: "garp_interval gna_interval interface interfaces",
  authentication: "auth_type auth_pass",
  auth_hmac: "key active_key anti_replay time_window mode",
};

for (const [path, table] of tables()) {
  const names = expected[path];
  if (names === undefined) continue;
  test(`every keyword of keepalived in ${path} is known`, () => {
    assert.deepEqual(
      names.split(" ").filter((name) => lookUp(table, name) === undefined),
      [],
    );
  });
  test(`every keyword in ${path} that keepalived does not have is marked as ours`, () => {
    const own = Object.entries(table).filter(([, known]) => known.ours === true);
    for (const [name] of own) assert.ok(!names.split(" ").includes(name), name);
  });
}

test("names of Object are no keywords", () => {
  assert.equal(lookUp(topTable, "constructor"), undefined);
  assert.equal(lookUp(topTable, "__proto__"), undefined);
});
