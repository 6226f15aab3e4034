/**
 * Keywords that are read and checked but do nothing yet, by name. Each one is warned about where it is written, which
 * leaves the exit code of `-t` alone. A keyword leaves this list with the change that makes it work.
 */
export const unsupported: ReadonlySet<string> = new Set<string>([
  // BFD runs in the VRRP process, whose keywords hold for it.
  "bfd_priority",
  "bfd_rt_priority",
  "bfd_cpu_affinity",
  "bfd_no_swap",
  "bfd_rlimit_rttime",
  "bfd_process_name",
  // Carrier is told by netlink alone.
  "linkbeat_interfaces",
  // Lost static entries are put back at once, so that no instance has to mind them.
  "track_group",
  "nftables_ifindex",
  "use_vmac_addr",
  "vmac_addr_prefix",
  "vrf",
  "config_save_dir",
  "tmp_config_directory",
  "iproute_usr_dir",
  "iproute_etc_dir",
  "vrrp_netlink_cmd_rcv_bufs",
  "vrrp_netlink_cmd_rcv_bufs_force",
  "vrrp_netlink_monitor_rcv_bufs_force",
  "process_monitor_rcv_bufs_force",
]);
