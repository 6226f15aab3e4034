import {
  choice,
  type IpAddress,
  integer,
  isMulticast,
  type Micros,
  parseAddress,
  parseInteger,
  reader,
  type Schema,
  seconds,
  text,
} from "@ha/base";
import { entry } from "./entry.ts";
import {
  address,
  boolean,
  decimalSeconds,
  flag,
  interfaceName,
  wholeSeconds,
  words,
} from "./schemas.ts";
import { INSTANCE, NEW } from "./sources.ts";

/** `garp_extra_if [all] <seconds>`: for the instance and as global default. */
export function garpExtra(
  min: 0 | 1,
): Schema<{ readonly interval: Micros; readonly all: boolean }> {
  return reader(([first, second], problem) => {
    const all = first === "all";
    const word = all ? second : first;
    if (word === undefined) return problem("needs a time");
    const value = parseInteger(word);
    return value === undefined || value < min || value > 86_400
      ? problem(`must be a whole number of seconds from ${min} to 86400`)
      : { interval: seconds(value), all };
  });
}

export const oneForZero = ([word]: readonly string[]): number | undefined =>
  word !== undefined && /^\+?0+$/.test(word) ? 1 : undefined;

/** Keywords inside `authentication { … }`. */
export const authenticationTable = {
  auth_type: entry({
    syntax: "auth_type PASS|AH",
    schema: reader<"PASS" | "AH">(([word], problem) =>
      word === "PASS" || word === "AH" ? word : problem("must be PASS or AH"),
    ),
    needs: 1,
    doc: "PASS: a clear text password in each advert. AH: an IPsec authentication header, IPv4 only.",
    source: `${INSTANCE}; RFC 2338 §5.3.6`,
    reload: "restart",
  }),
  auth_pass: entry({
    syntax: "auth_pass <password>",
    schema: text,
    needs: 1,
    doc: "At most 8 bytes count; the same on all routers.",
    source: INSTANCE,
    reload: "live",
  }),
};

/** Keywords inside `auth_hmac { … }`. */
export const hmacTable = {
  key: entry({
    syntax: "key <1..255> <text>|hex:<digits>|file:<path>",
    schema: reader<{ id: number; secret: string }>(([id = "", secret], problem) => {
      const value = parseInteger(id);
      if (value === undefined || value < 1 || value > 255) {
        return problem("must begin with a key id from 1 to 255");
      }
      return secret === undefined ? problem("needs a key after its id") : { id: value, secret };
    }),
    repeated: "all",
    needs: 2,
    since: "2.4",
    doc: "A secret of 32 to 64 bytes under an id; repeatable.",
    source: NEW,
    reload: "live",
  }),
  active_key: entry({
    syntax: "active_key <1..255>",
    schema: integer({ min: 1, max: 255 }),
    needs: 1,
    since: "2.4",
    doc: "The key that signs what we send. Needed.",
    source: NEW,
    reload: "live",
  }),
  anti_replay: entry<"time" | "monotonic">({
    syntax: "anti_replay time|monotonic",
    schema: choice("time", "monotonic"),
    default: "time",
    needs: 1,
    since: "2.4",
    doc: "time: the sender's clock must be within time_window of ours. monotonic: sequence numbers only grow.",
    source: NEW,
    reload: "live",
  }),
  time_window: entry({
    syntax: "time_window <1..300>",
    schema: wholeSeconds({ min: 1, max: 300 }),
    needs: 1,
    since: "2.4",
    doc: "Largest clock difference. Default: three advert intervals, at least 5 s.",
    source: NEW,
    reload: "live",
  }),
  mode: entry<"enforce" | "permissive" | "receive-only">({
    syntax: "mode enforce|permissive|receive-only",
    schema: choice("enforce", "permissive", "receive-only"),
    default: "enforce",
    needs: 1,
    since: "2.4",
    doc: "enforce: unsigned adverts are dropped. permissive: they are accepted. receive-only: the same, and ours are not signed.",
    source: NEW,
    reload: "live",
  }),
};

const script = (when: string) =>
  entry({
    syntax: "<script> [<user> [<group>]]",
    schema: words,
    command: true,
    repeated: "first",
    needs: 1,
    doc: `Runs ${when}.`,
    source: INSTANCE,
    reload: "live",
  });

const notify = (name: string, when: string) => ({
  ...script(when),
  syntax: `${name} "<path> [<argument> ...]" [<user> [<group>]]`,
});

/** Notify scripts, also of sync groups. */
export const notifyTable = {
  notify_master: notify("notify_master", "on becoming master"),
  notify_backup: notify("notify_backup", "on becoming backup, at start-up as well"),
  notify_fault: notify("notify_fault", "on entering FAULT"),
  notify_stop: notify("notify_stop", "when the daemon stops, after the addresses are gone"),
  notify: {
    ...notify("notify", "after the others on every change"),
    doc: "Runs after the others on every change, with four more arguments: INSTANCE or GROUP, name, state, priority.",
  },
  notify_priority_changes: entry({
    syntax: "notify_priority_changes [<boolean>]",
    schema: boolean,
    doc: "Writes changes of the priority to the FIFOs. Default: vrrp_notify_priority_changes.",
    source: INSTANCE,
    reload: "live",
  }),
  smtp_alert: entry({
    syntax: "smtp_alert [<boolean>]",
    schema: boolean,
    doc: "Sends a mail on each change. Default: smtp_alert_vrrp, smtp_alert.",
    source: INSTANCE,
    reload: "live",
  }),
};

const track = (kind: string, range: string) =>
  entry({
    syntax: `track_${kind} { <name> [weight <${range}> [reverse|noreverse]] ... }`,
    schema: words,
    body: "lines",
    doc: `What is tracked: without weight (and none of its own) its failure is FAULT.`,
    source: INSTANCE,
    reload: "live",
  });

/** Trackers, also of sync groups. */
export const trackTable = {
  track_interface: {
    ...track("interface", "-253..253"),
    syntax: "track_interface { <interface> [weight <-253..253> [reverse]] ... }",
  },
  track_script: track("script", "-253..253"),
  track_process: track("process", "-254..254"),
  track_file: track("file", "-254..254"),
  track_bfd: track("bfd", "-253..253"),
};

/** Keywords of `vrrp_instance NAME { … }`. */
export const instanceTable = {
  state: entry({
    syntax: "state MASTER|BACKUP",
    schema: reader<"MASTER" | "BACKUP">(([word], problem) =>
      word === "MASTER" || word === "BACKUP" ? word : problem("must be MASTER or BACKUP"),
    ),
    repair: () => "BACKUP" as const,
    repeated: "all",
    needs: 1,
    doc: "Only a hint: below priority 255 both wait for the down timer. MASTER clears nopreempt and preempt_delay and makes the default priority 255.",
    source: `${INSTANCE}; ${NEW}`,
    reload: "live",
  }),
  interface: entry({
    syntax: "interface <name>",
    schema: interfaceName,
    needs: 1,
    doc: "Where adverts go, and the addresses that name no dev. May be left out for unicast with a source address.",
    source: INSTANCE,
    reload: "restart",
  }),
  virtual_router_id: entry({
    syntax: "virtual_router_id <1..255>",
    schema: integer({ min: 1, max: 255 }),
    needs: 1,
    doc: "The virtual router. Needed; the same on all its routers, and no other's on that network.",
    source: `${INSTANCE}; RFC 9568 §5.2.3`,
    reload: "restart",
  }),
  priority: entry({
    syntax: "priority <1..255>",
    schema: integer({ min: 1, max: 255 }),
    needs: 1,
    doc: "Claim to be master; the highest wins. 255 is for the owner of the addresses. Default: 100, with state MASTER 255.",
    source: `${INSTANCE}; RFC 9568 §5.2.4`,
    reload: "live",
  }),
  advert_int: entry({
    syntax: "advert_int <0.01..255>",
    schema: decimalSeconds({ min: 0.01, max: 255 }),
    default: seconds(1),
    needs: 1,
    doc: "Seconds between adverts. Version 2: whole seconds, the same on all routers. Version 3: steps of 0.01 s, at most 40.95 s.",
    source: `${INSTANCE}; RFC 3768 §5.3.7; RFC 9568 §5.2.7`,
    reload: "live",
  }),
  version: entry({
    syntax: "version 2|3",
    schema: versionSchema(),
    needs: 1,
    doc: "Protocol version. Default: vrrp_version; always 3 for IPv6.",
    source: INSTANCE,
    reload: "live",
  }),
  authentication: entry({
    syntax: "authentication { auth_type ... auth_pass ... }",
    schema: words,
    body: authenticationTable,
    doc: "Version 2 only; dropped in version 3 and in strict mode.",
    source: INSTANCE,
    reload: "live",
  }),
  auth_hmac: entry({
    syntax: "auth_hmac { key ... active_key ... }",
    schema: words,
    body: hmacTable,
    since: "2.4",
    doc: "Signs adverts with HMAC-SHA256 against forgery and replay.",
    source: NEW,
    reload: "live",
  }),
  virtual_ipaddress: entry({
    syntax:
      "virtual_ipaddress { <address>[/<length>] [dev <interface>] [brd <address>|+|-] [scope <scope>] [label <label>] [peer <address>] [home] [-nodad] [mngtmpaddr] [noprefixroute] [autojoin] [no_track] [use_vmac] [preferred_lft <seconds>|forever] ... }",
    schema: words,
    body: "lines",
    doc: "Addresses of the virtual router, named in its adverts. One family; at most 255 and as many as fit into a packet.",
    source: INSTANCE,
    reload: "live",
  }),
  virtual_ipaddress_excluded: entry({
    syntax: "virtual_ipaddress_excluded { <as virtual_ipaddress> ... }",
    schema: words,
    body: "lines",
    doc: "Addresses that move as well, of either family, without being named in adverts.",
    source: INSTANCE,
    reload: "live",
  }),
  no_virtual_ipaddress: entry({
    syntax: "no_virtual_ipaddress",
    schema: flag,
    default: false,
    since: "2.4",
    doc: "No address is intended, as where a cloud's interface moves it.",
    source: NEW,
    reload: "live",
  }),
  virtual_routes: entry({
    syntax: "virtual_routes { <as of ip route add> [no_track] ... }",
    schema: words,
    body: "lines",
    doc: "Routes that exist while master.",
    source: INSTANCE,
    reload: "live",
  }),
  virtual_rules: entry({
    syntax: "virtual_rules { <as of ip rule add> [no_track] ... }",
    schema: words,
    body: "lines",
    doc: "Routing rules that exist while master.",
    source: INSTANCE,
    reload: "live",
  }),
  promote_secondaries: entry({
    syntax: "promote_secondaries",
    schema: flag,
    default: false,
    doc: "Sets the sysctl of that name on the interface, so that removing one address leaves the others.",
    source: INSTANCE,
    reload: "live",
  }),
  unicast_src_ip: entry({
    syntax: "unicast_src_ip <address>",
    schema: address("any"),
    needs: 1,
    doc: "Source of unicast adverts. Default: the interface's primary address.",
    source: INSTANCE,
    reload: "restart",
  }),
  mcast_src_ip: entry({
    syntax: "mcast_src_ip <address>",
    schema: address("any"),
    needs: 1,
    doc: "Source of multicast adverts. Default: the interface's primary address.",
    source: INSTANCE,
    reload: "restart",
  }),
  unicast_peer: entry({
    syntax: "unicast_peer { <address> [min_ttl <0..255>] [max_ttl <0..255>] ... }",
    schema: words,
    body: "lines",
    doc: "Adverts go to these addresses in place of a multicast group. A TTL limit turns on check_unicast_src.",
    source: INSTANCE,
    reload: "restart",
  }),
  unicast_ttl: entry({
    syntax: "unicast_ttl <0..255>",
    schema: integer({ min: 0, max: 255 }),
    default: 255,
    needs: 1,
    doc: "TTL or hop limit of unicast adverts.",
    source: INSTANCE,
    reload: "live",
  }),
  check_unicast_src: entry({
    syntax: "check_unicast_src",
    schema: flag,
    doc: "Drop adverts whose source is no peer. Default: vrrp_check_unicast_src.",
    source: INSTANCE,
    reload: "live",
  }),
  unicast_fault_no_peer: entry({
    syntax: "unicast_fault_no_peer",
    schema: flag,
    default: false,
    doc: "Unicast without peers is FAULT instead of multicast.",
    source: INSTANCE,
    reload: "restart",
  }),
  old_unicast_checksum: entry({
    syntax: "old_unicast_checksum [never]",
    schema: reader<"always" | "never">(([word], problem) => {
      if (word === undefined) return "always";
      return word === "never" ? word : problem("may be followed by never only");
    }),
    doc: "The version 3 checksum of keepalived before 1.3.7 for unicast. Default: by what the peer sends.",
    source: INSTANCE,
    reload: "live",
  }),
  v3_checksum_as_v2: entry({
    syntax: "v3_checksum_as_v2 [<boolean>]",
    schema: boolean,
    since: "2.4",
    doc: "Version 3 checksum over IPv4 without pseudo header, as RFC 9568 and Cisco have it. Default: the global one.",
    source: `${NEW}; RFC 9568 §5.2.8`,
    reload: "live",
  }),
  mcast_dst_ip: entry({
    syntax: "mcast_dst_ip <address>",
    schema: reader<IpAddress>(([word = ""], problem) => {
      const found = parseAddress(word);
      return found !== undefined && isMulticast(found)
        ? found
        : problem("must be a multicast address");
    }),
    needs: 1,
    doc: "Group of the adverts. Default: vrrp_mcast_group4 or vrrp_mcast_group6.",
    source: INSTANCE,
    reload: "restart",
  }),
  track_src_ip: entry({
    syntax: "track_src_ip",
    schema: flag,
    default: false,
    doc: "FAULT while the configured source address is not on the interface.",
    source: INSTANCE,
    reload: "live",
  }),
  nopreempt: entry({
    syntax: "nopreempt",
    schema: flag,
    default: false,
    doc: "Leave a working master in place, whatever its priority. Needs state BACKUP and a priority below 255.",
    source: `${INSTANCE}; RFC 9568 §6.1`,
    reload: "live",
  }),
  preempt: entry({
    syntax: "preempt",
    schema: flag,
    default: true,
    doc: "The default, for old files.",
    source: INSTANCE,
    reload: "live",
  }),
  preempt_delay: entry({
    syntax: "preempt_delay <0..1000>",
    schema: decimalSeconds({ min: 0, max: 1000 }),
    default: seconds(0),
    needs: 1,
    doc: "Seconds to wait, from the first advert of a lower master, before preempting it. Needs state BACKUP.",
    source: INSTANCE,
    reload: "live",
  }),
  strict_mode: entry({
    syntax: "strict_mode [<boolean>]",
    schema: boolean,
    doc: "Refuses what the RFCs do not have; without accept the addresses then answer nothing. Default: vrrp_strict.",
    source: INSTANCE,
    reload: "live",
  }),
  skip_check_adv_addr: entry({
    syntax: "skip_check_adv_addr [<boolean>]",
    schema: boolean,
    doc: "Compare address lists again only when the master changes. Default: vrrp_skip_check_adv_addr.",
    source: INSTANCE,
    reload: "live",
  }),
  lower_prio_no_advert: entry({
    syntax: "lower_prio_no_advert [<boolean>]",
    schema: boolean,
    doc: "As master, do not answer a lower advert at once. Default: vrrp_lower_prio_no_advert.",
    source: INSTANCE,
    reload: "live",
  }),
  higher_prio_send_advert: entry({
    syntax: "higher_prio_send_advert [<boolean>]",
    schema: boolean,
    doc: "Before stepping down to a higher master send one more advert, so that it announces again. Default: vrrp_higher_prio_send_advert.",
    source: INSTANCE,
    reload: "live",
  }),
  owner_ignore_adverts: entry({
    syntax: "owner_ignore_adverts [<boolean>]",
    schema: boolean,
    since: "2.4",
    doc: "The owner of the addresses drops all adverts. Default: vrrp_owner_ignore_adverts.",
    source: NEW,
    reload: "live",
  }),
  down_timer_adverts: entry({
    syntax: "down_timer_adverts <1..100>",
    schema: integer({ min: 1, max: 100 }),
    needs: 1,
    doc: "Missed adverts until a backup takes over. Default: vrrp_down_timer_adverts, 3.",
    source: INSTANCE,
    reload: "live",
  }),
  timer_expired_backup: entry({
    syntax: "timer_expired_backup [<1..254>]",
    schema: reader<number>(([word], problem) => {
      if (word === undefined) return 3;
      const value = parseInteger(word);
      return value === undefined || value < 1 || value > 254
        ? problem("must be a whole number from 1 to 254")
        : value;
    }),
    since: "2.3",
    doc: "Adverts that may be late before a master that was not scheduled steps back. Needs nopreempt.",
    source: NEW,
    reload: "live",
  }),
  accept: entry({
    syntax: "accept",
    schema: flag,
    default: true,
    doc: "Packets to the addresses are accepted though we are not their owner. The default but in strict mode.",
    source: `${INSTANCE}; RFC 9568 §6.1`,
    reload: "live",
  }),
  no_accept: entry({
    syntax: "no_accept",
    schema: flag,
    default: false,
    doc: "A firewall drops packets to the addresses, unless we are their owner.",
    source: `${INSTANCE}; RFC 9568 §6.1`,
    reload: "live",
  }),
  garp_master_delay: entry({
    syntax: "garp_master_delay <0..4294>",
    schema: wholeSeconds({ min: 0, max: 4294 }),
    needs: 1,
    doc: "Seconds from the first to the second batch of gratuitous ARPs, 0: no second. Default: vrrp_garp_master_delay.",
    source: INSTANCE,
    reload: "live",
  }),
  garp_master_repeat: entry({
    syntax: "garp_master_repeat <1..4294967295>",
    schema: integer({ min: 1, max: 4_294_967_295 }),
    repair: oneForZero,
    needs: 1,
    doc: "Gratuitous ARPs in a batch. Default: vrrp_garp_master_repeat.",
    source: INSTANCE,
    reload: "live",
  }),
  garp_master_refresh: entry({
    syntax: "garp_master_refresh <0..4294>",
    schema: wholeSeconds({ min: 0, max: 4294 }),
    needs: 1,
    doc: "Seconds between gratuitous ARPs while master, 0: none. Default: vrrp_garp_master_refresh.",
    source: INSTANCE,
    reload: "live",
  }),
  garp_master_refresh_repeat: entry({
    syntax: "garp_master_refresh_repeat <1..4294967295>",
    schema: integer({ min: 1, max: 4_294_967_295 }),
    repair: oneForZero,
    needs: 1,
    doc: "How many at each refresh. Default: vrrp_garp_master_refresh_repeat.",
    source: INSTANCE,
    reload: "live",
  }),
  garp_lower_prio_delay: entry({
    syntax: "garp_lower_prio_delay <0..4294>",
    schema: wholeSeconds({ min: 0, max: 4294 }),
    needs: 1,
    doc: "Seconds to the second batch after a lower advert. Default: vrrp_garp_lower_prio_delay.",
    source: INSTANCE,
    reload: "live",
  }),
  garp_lower_prio_repeat: entry({
    syntax: "garp_lower_prio_repeat <0..4294967295>",
    schema: integer({ min: 0, max: 4_294_967_295 }),
    needs: 1,
    doc: "Gratuitous ARPs after a lower advert. Default: vrrp_garp_lower_prio_repeat.",
    source: INSTANCE,
    reload: "live",
  }),
  garp_extra_if: entry({
    syntax: "garp_extra_if [all] <0..86400>",
    schema: garpExtra(0),
    doc: "Seconds between gratuitous ARPs on the other interfaces of the addresses; all: not only on virtual MACs. Default: vrrp_garp_extra_if.",
    source: INSTANCE,
    reload: "live",
  }),
  use_vmac: entry({
    syntax: "use_vmac [[name] <interface>] [<MAC>] [netlink_notify_msg] [group <n>]",
    schema: words,
    doc: "A macvlan with the virtual router's MAC, 00:00:5e:00:01:VRID (02 for IPv6), carries addresses and adverts. Default name: vrrp.VRID.",
    source: `${INSTANCE}; RFC 9568 §7.3`,
    reload: "restart",
  }),
  use_vmac_addr: entry({
    syntax: "use_vmac_addr",
    schema: flag,
    default: false,
    doc: "Virtual MACs for addresses on other interfaces as well.",
    source: INSTANCE,
    reload: "restart",
  }),
  vmac_xmit_base: entry({
    syntax: "vmac_xmit_base",
    schema: flag,
    default: false,
    doc: "Adverts use the base interface instead of the macvlan. Needs use_vmac.",
    source: INSTANCE,
    reload: "restart",
  }),
  use_ipvlan: entry({
    syntax: "use_ipvlan [[name] <interface>] [<address>] [bridge|private|vepa] [group <n>]",
    repeated: "first",
    schema: words,
    doc: "An ipvlan of mode L2 carries addresses and adverts. IPv4 needs the address.",
    source: INSTANCE,
    reload: "restart",
  }),
  dont_track_primary: entry({
    syntax: "dont_track_primary",
    schema: flag,
    default: false,
    doc: "Do not mind the state of the own interface.",
    source: INSTANCE,
    reload: "live",
  }),
  ...trackTable,
  ...notifyTable,
  notify_master_rx_lower_pri: notify(
    "notify_master_rx_lower_pri",
    "when as master an advert of lower priority is heard",
  ),
  notify_deleted: {
    ...notify(
      "notify_deleted",
      "when a reload removes the instance, with DELETED in place of FAULT",
    ),
    needs: 0,
  },
  vrf: entry({
    syntax: "vrf <interface>",
    schema: interfaceName,
    needs: 1,
    doc: "The VRF of a unicast instance without interface.",
    source: INSTANCE,
    reload: "restart",
  }),
  native_ipv6: entry({
    syntax: "native_ipv6",
    schema: flag,
    default: false,
    doc: "IPv6, for old files: the addresses say it.",
    source: INSTANCE,
    reload: "restart",
  }),
  debug: entry({
    syntax: "debug <0..4>",
    schema: integer({ min: 0, max: 4 }),
    default: 0,
    needs: 1,
    doc: "Reserved by keepalived; changes nothing there nor here.",
    source: INSTANCE,
    reload: "live",
  }),
  kernel_rx_buf_size: entry({
    syntax: "kernel_rx_buf_size <bytes>",
    schema: integer({ min: 0, max: 4_294_967_295 }),
    doc: "Receive buffer of the socket. Default: vrrp_rx_bufs_policy.",
    source: INSTANCE,
    reload: "restart",
  }),
  linkbeat_use_polling: entry({
    syntax: "linkbeat_use_polling",
    schema: flag,
    default: false,
    status: "deprecated",
    instead: "linkbeat_interfaces { <interface> }, outside of the instance",
    doc: "Poll the carrier of the own interface.",
    source: INSTANCE,
    reload: "live",
  }),
  lvs_sync_daemon_interface: entry({
    syntax: "lvs_sync_daemon_interface <interface>",
    schema: interfaceName,
    needs: 1,
    status: "deprecated",
    instead: "nothing: LVS is not served by vrrpd",
    doc: "The IPVS sync daemon.",
    source: INSTANCE,
    reload: "live",
  }),
  witness: entry({
    syntax: "witness <address> ...",
    schema: addressList(),
    needs: 1,
    ours: true,
    doc: "No takeover while none of these answers, so that a host that lost its network does not become a second master. Default: vrrp_witness.",
    source: "vrrpd",
    reload: "live",
  }),
};

/** One address or several. */
export function addressList(): Schema<readonly IpAddress[]> {
  return reader((all, problem) => {
    const found: IpAddress[] = [];
    for (const word of all) {
      const one = parseAddress(word);
      if (one === undefined) return problem(`must be IP addresses, '${word}' is none`);
      found.push(one);
    }
    return found;
  });
}

export function versionSchema(): Schema<2 | 3> {
  return reader(([word = ""], problem) => {
    const value = parseInteger(word);
    return value === 2 || value === 3 ? value : problem("must be 2 or 3");
  });
}
