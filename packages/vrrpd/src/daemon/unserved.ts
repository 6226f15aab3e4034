import type { Config } from "../core/config/model.ts";

/** What the file asks for and this daemon does not do: a line each, so that no keyword is without effect in silence. */
export function unservedKeywords(config: Config): readonly string[] {
  const { globals, instances } = config;
  const lines: string[] = [];
  const say = (present: boolean, text: string): void => {
    if (present) lines.push(text);
  };
  say(
    config.linkbeat_interfaces.length > 0 || globals.linkbeat_use_polling,
    "linkbeat_interfaces, linkbeat_use_polling: no polling, the kernel tells of every carrier change",
  );
  say(
    config.track_groups.length > 0,
    "track_group is not supported: static entries are put back whenever they go",
  );
  say(globals.disable_local_igmp, "disable_local_igmp is not supported");
  say(
    globals.bfd_priority !== undefined ||
      globals.bfd_rt_priority !== undefined ||
      globals.bfd_cpu_affinity.length > 0 ||
      globals.bfd_no_swap ||
      globals.bfd_process_name !== undefined,
    "bfd_priority, bfd_rt_priority, bfd_cpu_affinity, bfd_no_swap, bfd_process_name: BFD has no process of its own, those of vrrp_ count",
  );
  say(globals.config_save_dir !== undefined, "config_save_dir is not supported");
  say(
    globals.tmp_config_directory !== undefined,
    "tmp_config_directory has no effect: no copy of the configuration is made",
  );
  say(globals.use_symlink_paths, "use_symlink_paths has no effect");
  say(
    globals.vrrp_rx_bufs_policy === "MTU" || globals.vrrp_rx_bufs_policy === "ADVERT",
    "vrrp_rx_bufs_policy MTU and ADVERT have no effect: the kernel's default is larger",
  );
  say(
    globals.vrrp_netlink_cmd_rcv_bufs !== undefined,
    "vrrp_netlink_cmd_rcv_bufs has no effect: answers need no larger buffer",
  );
  for (const instance of instances) {
    const own = (present: boolean, text: string): void =>
      say(present, `(${instance.name}) ${text}`);
    own(instance.use_vmac_addr, "use_vmac_addr is not supported");
    own(
      [...instance.virtual_ipaddress, ...instance.virtual_ipaddress_excluded].some(
        ({ use_vmac }) => use_vmac,
      ),
      "use_vmac of an address is not supported: it goes to its dev",
    );
    own(
      instance.use_vmac?.netlink_notify_msg === true,
      "netlink_notify_msg has no effect: the kernel tells of every address",
    );
    own(instance.vrf !== undefined, "vrf is not supported: the interface's own VRF counts");
    own(
      instance.virtual_routes.some(({ hop, nexthops }) =>
        [hop, ...nexthops].some(({ encap }) => encap !== undefined),
      ),
      "encap of routes is not supported: they are added without it",
    );
  }
  return lines;
}
