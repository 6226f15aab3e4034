import { entry, type Table } from "./entry.ts";
import { globalTable } from "./global-table.ts";
import { instanceTable } from "./instance-table.ts";
import { proxyTable } from "./proxy-table.ts";
import { decimalSeconds, flag, interfaceName, wholeSeconds, words } from "./schemas.ts";
import { bfdTable, fileTable, processTable, scriptTable } from "./script-table.ts";
import { BFD, FILE, GLOBAL, GROUP, INSTANCE, OURS, PROCESS, SCRIPT, TOP } from "./sources.ts";
import { notifyTable, trackTable } from "./tracking-table.ts";

const members = entry({
  syntax: "group { <instance> ... }",
  schema: words,
  body: "lines",
  doc: "Names of the instances, in any order with their blocks.",
  source: GROUP,
  reload: "live",
});

/** Keywords of `vrrp_sync_group NAME { … }`. */
export const syncGroupTable = {
  group: members,
  ...trackTable,
  ...notifyTable,
  sync_group_tracking_weight: entry({
    syntax: "sync_group_tracking_weight",
    schema: flag,
    default: false,
    doc: "Members may have weighted trackers of their own.",
    source: GROUP,
    reload: "live",
  }),
  global_tracking: entry({
    syntax: "global_tracking",
    schema: flag,
    default: false,
    status: "deprecated",
    instead: "track_interface, track_script or track_file in the group",
    doc: "Trackers of one member apply to all.",
    source: GROUP,
    reload: "live",
  }),
};

/** Keywords of `track_group NAME { … }`. */
export const trackGroupTable = { group: members };

/** Keywords of `garp_group { … }`. */
export const garpGroupTable = {
  garp_interval: entry({
    syntax: "garp_interval <seconds>",
    schema: decimalSeconds({ min: 0, max: 4294.967295 }),
    needs: 1,
    doc: "Seconds between gratuitous ARPs on the interfaces of the group.",
    source: "keepalived.conf(5), garp_group",
    reload: "live",
  }),
  gna_interval: entry({
    syntax: "gna_interval <seconds>",
    schema: decimalSeconds({ min: 0, max: 4294.967295 }),
    needs: 1,
    doc: "Seconds between unsolicited neighbour advertisements.",
    source: "keepalived.conf(5), garp_group",
    reload: "live",
  }),
  interface: entry({
    syntax: "interface <name>",
    schema: interfaceName,
    needs: 1,
    doc: "The interface of the group.",
    source: "keepalived.conf(5), garp_group",
    reload: "live",
  }),
  interfaces: entry({
    syntax: "interfaces { <name> ... }",
    schema: words,
    body: "lines",
    doc: "Interfaces that share the intervals.",
    source: "keepalived.conf(5), garp_group",
    reload: "live",
  }),
};

const lvs = (syntax: string) =>
  entry({
    syntax,
    schema: words,
    body: "ignored",
    status: "not served",
    doc: "LVS, that is load balancing by IPVS in the kernel.",
    source: "keepalived.conf(5), LVS CONFIGURATION",
    reload: "live",
  });

const topWords = (syntax: string, doc: string) =>
  entry({ syntax, schema: words, doc, source: TOP, reload: "restart" });

/** Everything that may stand outside of a block. */
export const topTable = {
  global_defs: entry({
    syntax: "global_defs { ... }",
    schema: words,
    body: globalTable,
    repeated: "all",
    doc: "What holds for all; several blocks are one.",
    source: GLOBAL,
    reload: "live",
  }),
  net_namespace: topWords("net_namespace <name>", "Run in this network namespace."),
  instance: topWords("instance <name>", "Part of the names of PID files, in /run/keepalived."),
  use_pid_dir: entry({
    syntax: "use_pid_dir",
    schema: flag,
    default: false,
    doc: "PID files go to /run/keepalived.",
    source: TOP,
    reload: "restart",
  }),
  linkbeat_use_polling: entry({
    syntax: "linkbeat_use_polling",
    schema: flag,
    default: false,
    status: "not supported",
    doc: "Poll the carrier of every interface.",
    source: TOP,
    reload: "live",
  }),
  child_wait_time: entry({
    syntax: "child_wait_time <seconds>",
    schema: wholeSeconds({ min: 0, max: 4_294_967_295 }),
    needs: 1,
    doc: "How long stopping may take. Default: 5 s.",
    source: TOP,
    reload: "live",
  }),
  net_namespace_ipvs: {
    ...topWords("net_namespace_ipvs <name>", "The namespace of IPVS."),
    status: "not served" as const,
  },
  namespace_with_ipsets: {
    ...topWords("namespace_with_ipsets", "ipsets in a namespace on kernels before 3.13."),
    status: "no effect" as const,
  },
  static_ipaddress: entry({
    syntax: "static_ipaddress { <as virtual_ipaddress> [track_group <name>] ... }",
    schema: words,
    body: "lines",
    repeated: "all",
    doc: "Addresses from start to stop, whatever the state.",
    source: "keepalived.conf(5), Static routes/addresses/rules",
    reload: "live",
  }),
  static_routes: entry({
    syntax: "static_routes { <as of ip route add> [track_group <name>] ... }",
    schema: words,
    body: "lines",
    repeated: "all",
    doc: "Routes from start to stop, whatever the state.",
    source: "keepalived.conf(5), Static routes/addresses/rules",
    reload: "live",
  }),
  static_rules: entry({
    syntax: "static_rules { <as of ip rule add> [track_group <name>] ... }",
    schema: words,
    body: "lines",
    repeated: "all",
    doc: "Routing rules from start to stop, whatever the state.",
    source: "keepalived.conf(5), Static routes/addresses/rules",
    reload: "live",
  }),
  track_group: entry({
    syntax: "track_group <name> { group { <instance> ... } }",
    schema: words,
    body: trackGroupTable,
    named: true,
    repeated: "all",
    doc: "Instances that mind the loss of static entries.",
    source: "keepalived.conf(5), Static track groups",
    reload: "live",
  }),
  linkbeat_interfaces: entry({
    syntax: "linkbeat_interfaces { <interface> [MII|ETHTOOL|IOCTL] ... }",
    schema: words,
    body: "lines",
    repeated: "all",
    doc: "Interfaces whose carrier is polled instead of told by netlink.",
    source: "keepalived.conf(5), Linkbeat interfaces",
    reload: "live",
  }),
  interface_up_down_delays: entry({
    syntax: "interface_up_down_delays { <interface> <down> [<up>] ... }",
    schema: words,
    body: "lines",
    repeated: "all",
    doc: "Seconds, 0 to 255, that a change of the interface must last before it counts. up defaults to 0.",
    source: `keepalived.conf(5), Interface up/down status change debouncing; observed: keepalived 2.4.3`,
    reload: "live",
  }),
  track_file: trackFile("track_file"),
  vrrp_track_file: trackFile("vrrp_track_file"),
  vrrp_track_process: entry({
    syntax: "vrrp_track_process <name> { ... }",
    schema: words,
    body: processTable,
    named: true,
    needs: 1,
    repeated: "all",
    doc: "Processes that must (or must not) run.",
    source: PROCESS,
    reload: "live",
  }),
  vrrp_script: entry({
    syntax: "vrrp_script <name> { ... }",
    schema: words,
    body: scriptTable,
    named: true,
    needs: 1,
    repeated: "all",
    doc: "A command that is run again and again, and whose exit code counts.",
    source: SCRIPT,
    reload: "live",
  }),
  bfd_instance: entry({
    syntax: "bfd_instance <name> { ... }",
    schema: words,
    body: bfdTable,
    named: true,
    needs: 1,
    repeated: "all",
    doc: "A BFD session, which notices a dead peer in tens of milliseconds.",
    source: BFD,
    reload: "live",
  }),
  proxy: entry({
    syntax: "proxy <name> { ... }",
    schema: words,
    body: proxyTable,
    named: true,
    unique: true,
    needs: 1,
    repeated: "all",
    ours: true,
    doc: "A proxy that vrrpd starts, watches, restarts and drains. It outlives vrrpd. Track it by track_proxy.",
    source: OURS,
    reload: "live",
  }),
  garp_group: entry({
    syntax: "garp_group { ... }",
    schema: words,
    body: garpGroupTable,
    repeated: "all",
    doc: "Spaces gratuitous ARPs for switches that cannot take many at once.",
    source: "keepalived.conf(5), garp_group",
    reload: "live",
  }),
  vrrp_sync_group: entry({
    syntax: "vrrp_sync_group <name> { ... }",
    schema: words,
    body: syncGroupTable,
    named: true,
    unique: true,
    repeated: "all",
    doc: "Instances that are master together or not at all.",
    source: GROUP,
    reload: "live",
  }),
  vrrp_instance: entry({
    syntax: "vrrp_instance <name> { ... }",
    schema: words,
    body: instanceTable,
    named: true,
    unique: true,
    repeated: "all",
    doc: "A virtual router.",
    source: INSTANCE,
    reload: "live",
  }),
  virtual_server: lvs("virtual_server <address> <port> { ... }"),
  virtual_server_group: lvs("virtual_server_group <name> { ... }"),
  SSL: lvs("SSL { ... }"),
} satisfies Table;

function trackFile(name: string) {
  return entry({
    syntax: `${name} <name> { ... }`,
    schema: words,
    body: fileTable,
    named: true,
    needs: 1,
    repeated: "all",
    doc: name === "track_file" ? "A file whose number counts." : "The old name of track_file.",
    source: FILE,
    reload: "live",
  });
}
