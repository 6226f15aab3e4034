import type { RouteNetlinkOptions } from "@ha/linux";
import type { Config } from "../core/config/model.ts";

/** What the configuration says of the netlink sockets: `vrrp_netlink_monitor_rcv_bufs` and its like. */
export function netlinkOptions(config: Config): Omit<RouteNetlinkOptions, "onError"> {
  const {
    vrrp_netlink_monitor_rcv_bufs: events,
    vrrp_netlink_monitor_rcv_bufs_force: force,
    vrrp_netlink_cmd_rcv_bufs: requests,
  } = config.globals;
  return {
    watchRoutes: watchesRoutes(config),
    ...(events === undefined ? {} : { eventBufferBytes: events, forceEventBuffer: force }),
    ...(requests === undefined ? {} : { requestBufferBytes: requests }),
  };
}

/** A router has many routes, and nobody here minds them otherwise. */
function watchesRoutes({ static_routes, static_rules, instances }: Config): boolean {
  return (
    static_routes.length + static_rules.length > 0 ||
    instances.some(
      ({ virtual_routes, virtual_rules }) => virtual_routes.length + virtual_rules.length > 0,
    )
  );
}
