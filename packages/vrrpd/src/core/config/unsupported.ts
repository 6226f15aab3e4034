/**
 * Keywords of keepalived that can do nothing here, by name, and why. Each one is warned about where it is written, which
 * leaves the exit code of `-t` alone.
 */
export const withoutEffect: ReadonlyMap<string, string> = new Map([
  ...[
    "bfd_priority",
    "bfd_rt_priority",
    "bfd_cpu_affinity",
    "bfd_no_swap",
    "bfd_rlimit_rttime",
    "bfd_process_name",
  ].map((name): [string, string] => [
    name,
    `BFD runs in the VRRP process: write ${name.replace("bfd_", "vrrp_")}`,
  ]),
  ["tmp_config_directory", "it is for the copy that keepalived's processes share; vrrpd is one"],
  [
    "vrrp_netlink_cmd_rcv_bufs_force",
    "requests are answered one by one and never fill that buffer",
  ],
]);
