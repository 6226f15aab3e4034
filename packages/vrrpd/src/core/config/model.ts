import type { Family, IpAddress, Micros, Position, Prefix } from "@ha/base";
import type { ProxyProgram } from "./proxy-model.ts";

/**
 * What `keepalived.conf` comes to once it is read, checked and every default is resolved: the one input of the daemon.
 * Keys that are keywords keep keepalived's spelling (keepalived.conf(5)); a time is `Micros`; a value that keepalived
 * would have taken from `global_defs` is filled in already. Nothing here needs further checking.
 */
export interface Config {
  readonly globals: Globals;
  readonly static_addresses: readonly VirtualAddress[];
  readonly static_routes: readonly VirtualRoute[];
  readonly static_rules: readonly VirtualRule[];
  readonly track_groups: readonly TrackGroup[];
  readonly scripts: readonly TrackScript[];
  readonly track_processes: readonly TrackProcess[];
  readonly track_files: readonly TrackFile[];
  readonly bfd_instances: readonly BfdInstance[];
  /** Ours. */
  readonly proxies: readonly ProxyProgram[];
  readonly sync_groups: readonly SyncGroup[];
  readonly instances: readonly Instance[];
  readonly garp_groups: readonly GarpGroup[];
  readonly interface_up_down_delays: readonly InterfaceDelay[];
  readonly linkbeat_interfaces: readonly LinkbeatInterface[];
}

/** `global_defs` and the keywords outside of every block. */
export interface Globals extends OwnGlobals {
  /** Text for mails; the host name when not written. */
  readonly router_id: string;
  readonly net_namespace?: string;
  readonly instance?: string;
  readonly use_pid_dir: boolean;
  /** Poll carrier of every interface instead of listening to netlink. */
  readonly linkbeat_use_polling: boolean;
  /** How long stopping children may take. Default 5 s. */
  readonly child_wait_time: Micros;
  readonly enable_script_security: boolean;
  /** The default user of scripts: `script_user`, else `keepalived_script` if it exists, else our own. */
  readonly script_user?: ScriptUser;
  /** Supplementary groups for scripts as well. */
  readonly set_supplementary_groups: boolean;
  readonly default_interface: string;
  readonly dynamic_interfaces: "off" | "on" | "allow_if_changes";

  /** Which version instances speak that do not say. IPv6 instances always speak 3. */
  readonly vrrp_version: 2 | 3;
  readonly vrrp_mcast_group4: IpAddress;
  readonly vrrp_mcast_group6: IpAddress;
  /** Pause between gratuitous ARPs (neighbour advertisements) on one interface. 0: none. */
  readonly vrrp_garp_interval: Micros;
  readonly vrrp_gna_interval: Micros;
  readonly vrrp_startup_delay: Micros;
  readonly vrrp_delay_after_boot: Micros;
  readonly log_unknown_vrids: boolean;
  readonly disable_local_igmp: boolean;
  readonly vmac_prefix: string;
  readonly vmac_addr_prefix: string;

  readonly notification_email: readonly string[];
  readonly notification_email_from?: string;
  readonly smtp_server?: { readonly host: string; readonly port: number };
  readonly smtp_helo_name?: string;
  readonly smtp_connect_timeout: Micros;
  readonly no_email_faults: boolean;

  /** Gets instance, group (and in keepalived virtual server) events. */
  readonly notify_fifo?: NotifyFifo;
  /** Gets instance and group events only. */
  readonly vrrp_notify_fifo?: NotifyFifo;
  readonly fifo_write_vrrp_states_on_reload: boolean;

  readonly startup_script?: NotifyScript;
  readonly startup_script_timeout: Micros;
  readonly shutdown_script?: NotifyScript;
  readonly shutdown_script_timeout: Micros;

  /** nice(2) value, -20 to 19. */
  readonly vrrp_priority?: number;
  /** SCHED_RR priority, 1 to 99. */
  readonly vrrp_rt_priority?: number;
  /** CPU numbers; empty when not restricted. */
  readonly vrrp_cpu_affinity: readonly number[];
  readonly vrrp_no_swap: boolean;
  readonly vrrp_rlimit_rttime: Micros;
  /** -1: off and no warning; 0: off; else the highest real-time priority that late timers may raise us to. */
  readonly max_auto_priority: number;
  readonly min_auto_priority_delay: Micros;
  readonly bfd_priority?: number;
  readonly bfd_rt_priority?: number;
  readonly bfd_cpu_affinity: readonly number[];
  readonly bfd_no_swap: boolean;
  readonly bfd_rlimit_rttime: Micros;

  /** Names of the processes; undefined leaves them alone. */
  readonly process_name?: string;
  readonly vrrp_process_name?: string;
  readonly bfd_process_name?: string;

  /** Firewall for `no_accept` and virtual MACs. */
  readonly nftables: {
    readonly table: string;
    readonly priority: number;
    readonly counters: boolean;
    readonly ifindex: boolean;
  };
  /** Validate before a reload; the file to log to, or true for the log. */
  readonly reload_check_config: boolean | string;
  readonly reload_time_file?: string;
  readonly reload_repeat: boolean;
  /** Exists while configuration is being read; true is the default name in the PID folder. */
  readonly reload_file: boolean | string;
  readonly config_save_dir?: string;
  readonly tmp_config_directory?: string;
  readonly data_use_instance: boolean;
  readonly state_dump_file?: string;
  readonly stats_dump_file?: string;
  readonly json_dump_file?: string;
  readonly json_version: 1 | 2;
  /** File mode bits to clear. */
  readonly umask?: number;
  readonly use_symlink_paths: boolean;
  readonly iproute_usr_dir?: string;
  readonly iproute_etc_dir?: string;
  readonly vrrp_rx_bufs_policy?: "MTU" | "ADVERT" | number;
  readonly vrrp_rx_bufs_multiplier: number;
  readonly vrrp_netlink_cmd_rcv_bufs?: number;
  readonly vrrp_netlink_cmd_rcv_bufs_force: boolean;
  readonly vrrp_netlink_monitor_rcv_bufs?: number;
  readonly vrrp_netlink_monitor_rcv_bufs_force: boolean;
  readonly process_monitor_rcv_bufs?: number;
  readonly process_monitor_rcv_bufs_force: boolean;
}

/** Keywords that keepalived does not have. Each of the booleans is on by default; `off` is keepalived's conduct. */
export interface OwnGlobals {
  /** A small process that keeps addresses and adverts alive while a crashed or hung daemon is started again. */
  readonly vrrp_guard: boolean;
  /** The guard kills and restarts a daemon whose loop has stopped. */
  readonly vrrp_guard_heartbeat: boolean;
  /** Leave mastership by priority 0 with the addresses in place until the winner is heard. */
  readonly vrrp_leave_make_before_break: boolean;
  /** A master whose priority a tracker lowered sends priority 0 and then the lowered priority at once. */
  readonly vrrp_resign_priority_zero: boolean;
  /** Priority 0 from every member of a sync group that can still send, when one cannot. */
  readonly vrrp_sync_group_resign: boolean;
  /** A daemon that restarts within the skew resumes as master. */
  readonly vrrp_resume: boolean;
  /** Keep a record of held addresses, so that the next start removes what was left behind. */
  readonly vrrp_address_record: boolean;
  /** After waking up later than the down timer, listen before speaking. */
  readonly vrrp_listen_after_wake: boolean;
  /** Drop foreign packets in the kernel. */
  readonly vrrp_packet_filter: boolean;
  /** A living master answers a priority 0 that claims to be its own or a peer's at once; as backup it waits one skew. */
  readonly vrrp_replay_answer: boolean;
  /** Ignore adverts that carry our own source address. */
  readonly vrrp_ignore_reflected: boolean;
  /** A reload of a broken file keeps the old configuration in force. */
  readonly vrrp_reload_keep_on_error: boolean;
  /** An advert whose address list differs is logged once and accepted (keepalived 2.4.3 as well; 2.2.7 drops it). */
  readonly vrrp_accept_differing_addresses: boolean;
  /** After a healed partition the winner announces its addresses again, and the loser's last advert comes first. */
  readonly vrrp_heal_announce: boolean;
  readonly vrrp_detect_split_brain: boolean;
  /** Adverts under 100 ms come from a native timer thread. */
  readonly vrrp_timer_thread: boolean;
  /** An address that somebody else removed is put back at once instead of giving up mastership. */
  readonly vrrp_restore_addresses: boolean;
  /** A check that cannot be executed counts as failed. */
  readonly vrrp_script_cannot_run_fails: boolean;
  /** Spread the first runs of check scripts over their interval. */
  readonly vrrp_script_jitter: boolean;
  /** Notify scripts of one instance run one after the other. */
  readonly vrrp_notify_serialize: boolean;
  /** How long a notify script may run before it is killed. Default 60 s; 0: for ever, as keepalived. */
  readonly vrrp_notify_timeout: Micros;
  /** The kernel removes our addresses by itself after this long without renewal. Undefined: never. */
  readonly vrrp_address_lifetime?: Micros;
  /** No takeover while none of these can be reached. */
  readonly vrrp_witness: readonly IpAddress[];
  /** Where metrics are served. Undefined: nowhere. */
  readonly vrrp_metrics?: MetricsAddress;
  /** UDP; 0: none. */
  readonly vrrp_handover_port: number;
  /** Form of the log lines; `--log-format` overrides. */
  readonly log_format: "text" | "json";
}

export interface MetricsAddress {
  /** IPv6 without brackets. */
  readonly host: string;
  readonly port: number;
  /** Of mehdy/keepalived-exporter, or of gen2brain/keepalived_exporter. */
  readonly names: "mehdy" | "gen2brain";
}

/** One virtual router. */
export interface Instance {
  readonly name: string;
  readonly at: Position;
  /** That of the first virtual address, else of the unicast or multicast source, else 4. */
  readonly family: Family;
  /** Only a hint unless the priority is 255: keepalived.conf(5), vrrp_instance. */
  readonly state: "MASTER" | "BACKUP";
  /** Absent only for unicast with a source address. */
  readonly interface?: string;
  /** The VRF that a unicast instance without interface speaks in. */
  readonly vrf?: string;
  /** 1–255. */
  readonly virtual_router_id: number;
  /** 1–255; 255 is the owner of the addresses. */
  readonly priority: number;
  readonly advert_int: Micros;
  readonly version: 2 | 3;
  readonly authentication?: Authentication;
  readonly auth_hmac?: AuthHmac;

  /** In adverts. One family, at most 255. */
  readonly virtual_ipaddress: readonly VirtualAddress[];
  /** Added, but not in adverts; any family. Includes what did not fit into an advert. */
  readonly virtual_ipaddress_excluded: readonly VirtualAddress[];
  readonly no_virtual_ipaddress: boolean;
  readonly virtual_routes: readonly VirtualRoute[];
  readonly virtual_rules: readonly VirtualRule[];
  readonly promote_secondaries: boolean;

  /** True: adverts go to `unicast_peer` (which may be empty with `unicast_fault_no_peer`). */
  readonly unicast: boolean;
  readonly unicast_peer: readonly UnicastPeer[];
  /** Of `unicast_src_ip` or `mcast_src_ip`; undefined: the interface's primary address. */
  readonly source?: IpAddress;
  readonly mcast_dst_ip?: IpAddress;
  /** 0–255, of sent unicast packets. */
  readonly unicast_ttl: number;
  readonly check_unicast_src: boolean;
  readonly unicast_fault_no_peer: boolean;
  readonly old_unicast_checksum: "auto" | "always" | "never";
  readonly v3_checksum_as_v2: boolean;
  readonly track_src_ip: boolean;

  readonly preempt: boolean;
  readonly preempt_delay: Micros;
  readonly strict_mode: boolean;
  readonly skip_check_adv_addr: boolean;
  readonly lower_prio_no_advert: boolean;
  readonly higher_prio_send_advert: boolean;
  readonly owner_ignore_adverts: boolean;
  /** 1–100, default 3. */
  readonly down_timer_adverts: number;
  /** Undefined: off; else adverts, 1–254. */
  readonly timer_expired_backup?: number;
  readonly accept: boolean;

  readonly garp_master_delay: Micros;
  readonly garp_master_repeat: number;
  readonly garp_master_refresh: Micros;
  readonly garp_master_refresh_repeat: number;
  readonly garp_lower_prio_delay: Micros;
  readonly garp_lower_prio_repeat: number;
  readonly garp_extra_if?: { readonly interval: Micros; readonly all: boolean };

  readonly use_vmac?: Vmac;
  readonly use_vmac_addr: boolean;
  readonly vmac_xmit_base: boolean;
  readonly use_ipvlan?: Ipvlan;

  readonly dont_track_primary: boolean;
  readonly linkbeat_use_polling: boolean;
  readonly track_interface: readonly Track[];
  readonly track_script: readonly Track[];
  readonly track_process: readonly Track[];
  readonly track_file: readonly Track[];
  readonly track_bfd: readonly Track[];
  /** Ours. */
  readonly track_proxy: readonly Track[];

  readonly notify: Notify;
  readonly notify_priority_changes: boolean;
  readonly smtp_alert: boolean;
  readonly kernel_rx_buf_size?: number;
  readonly debug: number;

  /** Ours: instance witness, else the global ones. */
  readonly witness: readonly IpAddress[];
  /** Name of the sync group this instance is in. */
  readonly sync_group?: string;
}

export interface Authentication {
  readonly type: "PASS" | "AH";
  /** At most 8 bytes; shorter ones are padded with zeros on the wire. */
  readonly password: Uint8Array;
}

/** keepalived 2.4, `auth_hmac`. */
export interface AuthHmac {
  readonly keys: readonly HmacKey[];
  /** Id of the key that signs. */
  readonly active_key: number;
  readonly anti_replay: "time" | "monotonic";
  readonly time_window: Micros;
  readonly mode: "enforce" | "permissive" | "receive-only";
}
export interface HmacKey {
  readonly id: number;
  /** 32–64 bytes. Never print it. */
  readonly key: Uint8Array;
}

export interface UnicastPeer {
  readonly address: IpAddress;
  readonly min_ttl?: number;
  readonly max_ttl?: number;
  readonly at: Position;
}

/** `use_vmac`: a macvlan with the virtual router's MAC. */
export interface Vmac {
  readonly name: string;
  /** 00:00:5e:00:01:VRID, 02 in place of 01 for IPv6, or the written one. */
  readonly mac: Uint8Array;
  readonly netlink_notify_msg: boolean;
  readonly group?: number;
}

/** A macvlan for addresses that are not on the instance's interface, or not of its family. */
export interface AddressVmac {
  readonly name: string;
  /** The device below. */
  readonly parent: string;
  /** 00:00:5e:00:01:VRID, 02 in place of 01 for IPv6. */
  readonly mac: Uint8Array;
}

export interface Ipvlan {
  readonly name: string;
  readonly address?: Prefix;
  readonly mode: "bridge" | "private" | "vepa";
  readonly group?: number;
}

/** One line of `virtual_ipaddress`, `virtual_ipaddress_excluded` or `static_ipaddress`: `ip address add`. */
export interface VirtualAddress {
  readonly address: IpAddress;
  readonly length: number;
  /** Undefined: the instance's (virtual MAC) interface. Always set for static addresses. */
  readonly dev?: string;
  readonly broadcast?: IpAddress;
  /** rtnetlink number: 0 global, 200 site, 253 link, 254 host. */
  readonly scope: number;
  readonly label?: string;
  readonly peer?: Prefix;
  readonly home: boolean;
  /** IPv6: true unless written otherwise. */
  readonly nodad: boolean;
  readonly mngtmpaddr: boolean;
  readonly noprefixroute: boolean;
  readonly autojoin: boolean;
  readonly no_track: boolean;
  readonly use_vmac: boolean;
  /** The macvlan that it goes on, in the place of `dev`: `use_vmac` of the line, or `use_vmac_addr`. */
  readonly vmac?: AddressVmac;
  /** Seconds; undefined is for ever; 0 is deprecated (default of IPv6 /128). */
  readonly preferred_lft?: number;
  readonly track_group?: string;
  readonly at: Position;
}

/** One `nexthop` of a route, or the route's own way. */
export interface RouteHop {
  readonly via?: IpAddress;
  readonly dev?: string;
  readonly weight?: number;
  readonly onlink: boolean;
  readonly realms?: number;
  readonly encap?: RouteEncap;
}
export type RouteEncap =
  | {
      readonly type: "ip" | "ip6";
      readonly id?: bigint;
      readonly destination?: IpAddress;
      readonly source?: IpAddress;
      readonly ttl?: number;
      readonly tos?: number;
      readonly flags?: number;
    }
  | { readonly type: "mpls"; readonly labels: readonly number[] }
  | { readonly type: "ila"; readonly locator: bigint };

/** One line of `virtual_routes` or `static_routes`: `ip route add`. */
export interface VirtualRoute {
  readonly family: Family;
  readonly type:
    | "unicast"
    | "local"
    | "broadcast"
    | "anycast"
    | "multicast"
    | "blackhole"
    | "unreachable"
    | "prohibit"
    | "throw"
    | "nat";
  readonly to: Prefix;
  readonly src?: IpAddress;
  /** IPv6 `from` selector. */
  readonly from?: Prefix;
  readonly hop: RouteHop;
  readonly nexthops: readonly RouteHop[];
  /** rtnetlink numbers throughout, names resolved. Undefined: the kernel's default. */
  readonly table?: number;
  readonly protocol: number;
  readonly scope?: number;
  readonly metric?: number;
  readonly tos?: number;
  readonly realms?: number;
  readonly pref?: "low" | "medium" | "high";
  /** Seconds. */
  readonly expires?: number;
  readonly vrf?: string;
  readonly ttl_propagate?: boolean;
  readonly append: boolean;
  /** RTAX_* by their `ip route` name: mtu, advmss, window, rtt (ms) …; `lock` bits apart. */
  readonly metrics: Readonly<Record<string, number | string>>;
  readonly lock: readonly string[];
  readonly no_track: boolean;
  readonly track_group?: string;
  readonly at: Position;
}

/** One line of `virtual_rules` or `static_rules`: `ip rule add`. */
export interface VirtualRule {
  readonly family: Family;
  readonly from?: Prefix;
  readonly to?: Prefix;
  readonly not: boolean;
  readonly iif?: string;
  readonly oif?: string;
  readonly tos?: number;
  readonly fwmark?: number;
  readonly fwmask?: number;
  /** Always set: invented from 16384 down when not written. */
  readonly priority: number;
  readonly action: "table" | "goto" | "nop" | "blackhole" | "unreachable" | "prohibit";
  readonly table?: number;
  readonly goto?: number;
  readonly realms?: number;
  readonly suppress_prefixlength?: number;
  readonly suppress_ifgroup?: number;
  readonly uidrange?: readonly [number, number];
  readonly sport?: readonly [number, number];
  readonly dport?: readonly [number, number];
  readonly ipproto?: number;
  readonly l3mdev: boolean;
  readonly tun_id?: number;
  readonly protocol?: number;
  readonly no_track: boolean;
  readonly track_group?: string;
  readonly at: Position;
}

/** One line of `track_script`, `track_interface` … : who is tracked and what its state does. */
export interface Track {
  readonly name: string;
  /** The tracking line's own, else the tracker's. 0: down means FAULT (or, reversed, up does). */
  readonly weight: number;
  readonly reverse: boolean;
  readonly at: Position;
}

/** A command, split into words as keepalived does it, and who runs it. */
export interface Command {
  readonly argv: readonly string[];
  /** As written, for logs. */
  readonly text: string;
  /** The resolved file to execute, which may differ from `argv[0]`; undefined when it could not be resolved. */
  readonly path?: string;
  readonly at: Position;
}

export interface ScriptUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  /** `user:group` or set_supplementary_groups: initgroups(3) as well. */
  readonly supplementary: boolean;
}

export interface NotifyScript {
  readonly command: Command;
  /** Undefined: our own user. */
  readonly user?: ScriptUser;
}

/** Scripts by the event they are for; absent where none is written. */
export interface Notify {
  readonly master?: NotifyScript;
  readonly backup?: NotifyScript;
  readonly fault?: NotifyScript;
  readonly stop?: NotifyScript;
  readonly deleted?: NotifyScript;
  readonly master_rx_lower_pri?: NotifyScript;
  /** After the others, with four more arguments. */
  readonly any?: NotifyScript;
  /** Send DELETED in place of FAULT for an instance that a reload removes. */
  readonly send_deleted: boolean;
}

export interface NotifyFifo {
  readonly path: string;
  readonly uid?: number;
  readonly gid?: number;
  readonly script?: NotifyScript;
}

/** `vrrp_script`. Only those that can run and are tracked by somebody are run. */
export interface TrackScript {
  readonly name: string;
  readonly at: Position;
  /** Either a command, or a file of which only opening is tested (`</path`). */
  readonly command: Command;
  readonly test_file?: string;
  readonly user?: ScriptUser;
  readonly interval: Micros;
  readonly timeout: Micros;
  readonly weight: number;
  readonly reverse: boolean;
  readonly rise: number;
  readonly fall: number;
  readonly init_fail: boolean;
  /** Why it can never run, in words: then it counts as failed. Such a script is in no list with vrrp_script_cannot_run_fails off. */
  readonly cannot_run?: string;
}

export interface TrackProcess {
  readonly name: string;
  readonly at: Position;
  /** `/proc/PID/comm`, or with `full_command` the command line's first word. */
  readonly process: string;
  readonly params: readonly string[];
  /** Undefined: parameters do not matter. `exact` also means: none, when none is written. */
  readonly param_match?: "exact" | "initial" | "partial";
  readonly full_command: boolean;
  readonly weight: number;
  readonly reverse: boolean;
  readonly quorum: number;
  readonly quorum_max?: number;
  readonly fork_delay: Micros;
  readonly terminate_delay: Micros;
}

export interface TrackFile {
  readonly name: string;
  readonly at: Position;
  readonly file: string;
  readonly weight: number;
  readonly reverse: boolean;
  readonly init_file?: { readonly value: number; readonly overwrite: boolean };
}

/** RFC 5880/5881. Times are `Micros`; the file has milliseconds. */
export interface BfdInstance {
  readonly name: string;
  readonly at: Position;
  readonly neighbor_ip: IpAddress;
  readonly source_ip?: IpAddress;
  readonly min_rx: Micros;
  readonly min_tx: Micros;
  readonly idle_tx: Micros;
  readonly multiplier: number;
  readonly passive: boolean;
  /** IPv4 TTL or IPv6 hop limit of sent packets, 1–255. */
  readonly ttl: number;
  /** How many hops a received packet may have taken; -1 or 255: any number. */
  readonly max_hops: number;
  readonly multihop: boolean;
  readonly weight: number;
  readonly reverse: boolean;
}

export interface SyncGroup {
  readonly name: string;
  readonly at: Position;
  /** Names of instances; all exist. */
  readonly members: readonly string[];
  readonly sync_group_tracking_weight: boolean;
  readonly track_interface: readonly Track[];
  readonly track_script: readonly Track[];
  readonly track_process: readonly Track[];
  readonly track_file: readonly Track[];
  readonly track_bfd: readonly Track[];
  /** Ours. */
  readonly track_proxy: readonly Track[];
  readonly notify: Notify;
  readonly notify_priority_changes: boolean;
  readonly smtp_alert: boolean;
}

export interface TrackGroup {
  readonly name: string;
  readonly at: Position;
  readonly members: readonly string[];
}

export interface GarpGroup {
  readonly at: Position;
  readonly garp_interval?: Micros;
  readonly gna_interval?: Micros;
  readonly interfaces: readonly string[];
}

export interface InterfaceDelay {
  readonly interface: string;
  readonly down: Micros;
  readonly up: Micros;
  readonly at: Position;
}

export interface LinkbeatInterface {
  readonly interface: string;
  readonly type?: "MII" | "ETHTOOL" | "IOCTL";
  readonly at: Position;
}
