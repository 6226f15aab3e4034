import { formatAddress, toSeconds } from "@ha/base";
import type { Globals, Track } from "../core/config/model.ts";
import { addressWords, routeWords, ruleWords, scriptWords } from "./config-words.ts";
import { deviceWords } from "./dump-json.ts";
import { type DaemonStatus, type InstanceStatus, STATE_WORD } from "./status.ts";

/** `/tmp/keepalived.stats`. observed: keepalived 2.2.7 */
export function statisticsDump(status: DaemonStatus): string {
  return status.instances.map(statisticsOf).join("");
}

function statisticsOf({ config, statistics: s }: InstanceStatus): string {
  return `VRRP Instance: ${config.name}
  Advertisements:
    Received: ${s["advert_rcvd"] ?? 0}
    Sent: ${s["advert_sent"] ?? 0}
  Became master: ${s["become_master"] ?? 0}
  Released master: ${s["release_master"] ?? 0}
  Packet Errors:
    Length: ${s["packet_len_err"] ?? 0}
    TTL: ${s["ip_ttl_err"] ?? 0}
    Invalid Type: ${s["invalid_type_rcvd"] ?? 0}
    Advertisement Interval: ${s["advert_interval_err"] ?? 0}
    Address List: ${s["addr_list_err"] ?? 0}
  Authentication Errors:
    Invalid Type: ${s["invalid_authtype"] ?? 0}
    Type Mismatch: ${s["authtype_mismatch"] ?? 0}
    Failure: ${s["auth_failure"] ?? 0}
  Priority Zero:
    Received: ${s["pri_zero_rcvd"] ?? 0}
    Sent: ${s["pri_zero_sent"] ?? 0}
`;
}

/** `/tmp/keepalived.data`, with keepalived's headings and keys and without passwords. observed: keepalived 2.2.7 */
export function dataDump(status: DaemonStatus): string {
  const lines = [
    "------< Global definitions >------",
    ...globalLines(status.config.globals),
    "------< VRRP Topology >------",
    ...status.instances.flatMap(instanceLines),
    ...groupLines(status),
    ...scriptLines(status),
    ...trackerLines(status),
    ...ownLines(status),
  ];
  return `${lines.join("\n")}\n`;
}

function globalLines(globals: Globals): string[] {
  const lines = [
    ["Network namespace", globals.net_namespace ?? "(default)"],
    ...(globals.instance === undefined ? [] : [["Instance", globals.instance] as const]),
    ["Router ID", globals.router_id],
    ["Dynamic interfaces", String(globals.dynamic_interfaces !== "off")],
    ["Default interface", globals.default_interface],
    ["FIFO write vrrp states on reload", String(globals.fifo_write_vrrp_states_on_reload)],
    ["VRRP IPv4 mcast group", formatAddress(globals.vrrp_mcast_group4)],
    ["VRRP IPv6 mcast group", formatAddress(globals.vrrp_mcast_group6)],
    ["Gratuitous ARP interval", toSeconds(globals.vrrp_garp_interval).toFixed(6)],
    ["Gratuitous NA interval", toSeconds(globals.vrrp_gna_interval).toFixed(6)],
    ["VRRP default protocol version", String(globals.vrrp_version)],
    ["VRRP process priority", String(globals.vrrp_priority ?? 0)],
    ["VRRP don't swap", String(globals.vrrp_no_swap)],
    ["VRRP realtime priority", String(globals.vrrp_rt_priority ?? 0)],
    ["Script security", globals.enable_script_security ? "enabled" : "disabled"],
  ] as const;
  return lines.map(([key, value]) => ` ${key} = ${value}`);
}

function instanceLines(status: InstanceStatus): string[] {
  const { config } = status;
  const device = status.device ?? "";
  const shown = deviceWords(config, device);
  const set = status.addressesSet;
  const { notify } = config;
  const yes = (value: boolean): string => (value ? "enabled" : "disabled");
  const stamp = status.lastTransition / 1_000;
  return [
    ` VRRP Instance = ${config.name}`,
    `   VRRP Version = ${config.version}`,
    ...(config.sync_group === undefined ? [] : [`   Sync group = ${config.sync_group}`]),
    `   State = ${STATE_WORD[status.state]}${status.leaving ? " (leaving)" : ""}`,
    ...(config.unicast ? ["   Flags:", "     Using unicast"] : ["   Flags: none"]),
    `   Wantstate = ${status.state === "backup" || status.state === "master" ? STATE_WORD[status.state] : config.state}`,
    `   Number of interface and track script faults = ${status.faults.length}`,
    `   Last transition = ${stamp.toFixed(6)} (${new Date(status.lastTransition).toString().slice(0, 24)})`,
    `   Master down timer = ${status.downTimer} usecs`,
    ...(config.use_vmac === undefined
      ? []
      : [`   Use VMAC, i/f name ${config.use_vmac.name}, xmit_base = ${config.vmac_xmit_base}`]),
    `   Interface = ${device}`,
    `   Using src_ip = ${status.source === undefined ? "(none)" : formatAddress(status.source)}${config.source === undefined ? "" : " (from configuration)"}`,
    `   Gratuitous ARP delay = ${toSeconds(config.garp_master_delay)}`,
    `   Gratuitous ARP repeat = ${config.garp_master_repeat}`,
    `   Gratuitous ARP refresh = ${toSeconds(config.garp_master_refresh)}`,
    `   Gratuitous ARP refresh repeat = ${config.garp_master_refresh_repeat}`,
    `   Gratuitous ARP lower priority delay = ${toSeconds(config.garp_lower_prio_delay)}`,
    `   Gratuitous ARP lower priority repeat = ${config.garp_lower_prio_repeat}`,
    `   Down timer adverts = ${config.down_timer_adverts}`,
    `   Send advert after receive lower priority advert = ${!config.lower_prio_no_advert}`,
    `   Send advert after receive higher priority advert = ${config.higher_prio_send_advert}`,
    `   Virtual Router ID = ${config.virtual_router_id}`,
    `   Priority = ${config.priority}`,
    `   Effective priority = ${status.effectivePriority}`,
    `   Advert interval = ${config.version === 2 ? `${toSeconds(config.advert_int)} sec` : `${toSeconds(config.advert_int) * 1_000} milli-sec`}`,
    ...(status.state === "backup" && status.master !== undefined
      ? [
          `   Master router = ${formatAddress(status.master.address)}`,
          `   Master priority = ${status.master.priority}`,
        ]
      : []),
    `   Accept = ${yes(config.accept)}`,
    `   Preempt = ${yes(config.preempt)}`,
    `   Promote_secondaries = ${yes(config.promote_secondaries)}`,
    `   Authentication type = ${config.authentication === undefined ? "none" : config.authentication.type === "PASS" ? "SIMPLE_PASSWORD" : "IPSEC_AH"}`,
    `   Virtual IP (${config.virtual_ipaddress.length}):`,
    ...config.virtual_ipaddress.map((address) => `     ${addressWords(address, shown, set)}`),
    ...block("Virtual IP Excluded", config.virtual_ipaddress_excluded, (address) =>
      addressWords(address, shown, set),
    ),
    ...(config.unicast
      ? [
          `   Unicast TTL = ${config.unicast_ttl}`,
          `   Check unicast src : ${config.check_unicast_src ? "yes" : "no"}`,
        ]
      : []),
    ...block(
      "Unicast Peer",
      config.unicast_peer,
      ({ address, min_ttl, max_ttl }) =>
        `${formatAddress(address)} min_ttl ${min_ttl ?? 0} max_ttl ${max_ttl ?? 255}`,
    ),
    ...block("Virtual Routes", config.virtual_routes, routeWords),
    ...block("Virtual Rules", config.virtual_rules, ruleWords),
    ...block("Tracked interfaces", config.track_interface, trackWords),
    ...block("Tracked scripts", config.track_script, trackWords),
    ...block("Tracked files", config.track_file, trackWords),
    ...block("Tracked processes", config.track_process, trackWords),
    ...block("Tracked BFDs", config.track_bfd, trackWords),
    `   Using smtp notification = ${config.smtp_alert ? "yes" : "no"}`,
    `   Notify deleted = ${notify.send_deleted ? "Deleted" : "Fault"}`,
    ...(
      [
        ["Backup", notify.backup],
        ["Master", notify.master],
        ["Fault", notify.fault],
        ["Stop", notify.stop],
        ["Deleted", notify.deleted],
        ["Generic", notify.any],
        ["Master rx lower pri", notify.master_rx_lower_pri],
      ] as const
    ).flatMap(([state, script]) =>
      script === undefined ? [] : [`   ${state} state transition script = ${scriptWords(script)}`],
    ),
    `   Notify priority changes = ${config.notify_priority_changes}`,
  ];
}

function block<T>(title: string, values: readonly T[], words: (value: T) => string): string[] {
  if (values.length === 0) return [];
  return [`   ${title} :`, ...values.map((value) => `     ${words(value)}`)];
}

function trackWords({ name, weight, reverse }: Track): string {
  return `${name} weight ${weight}${reverse ? " reverse" : ""}`;
}

function groupLines({ groups }: DaemonStatus): string[] {
  if (groups.length === 0) return [];
  return [
    "------< VRRP Sync groups >------",
    ...groups.flatMap(({ config, state }) => [
      ` VRRP Sync Group = ${config.name}, ${STATE_WORD[state]}`,
      "   VRRP member instances :",
      ...config.members.map((member) => `     ${member}`),
      `   Using smtp notification = ${config.smtp_alert ? "yes" : "no"}`,
    ]),
  ];
}

function scriptLines({ config, scripts }: DaemonStatus): string[] {
  if (scripts.length === 0) return [];
  const states = new Map(scripts.map((script) => [script.name, script]));
  return [
    "------< VRRP Scripts >------",
    ...config.scripts.flatMap((script) => {
      const status = states.get(script.name);
      if (status === undefined) return [];
      const { last } = status;
      return [
        ` VRRP Script = ${script.name}`,
        `   Command = ${scriptWords(script)}`,
        `   Interval = ${toSeconds(script.interval)} sec`,
        `   Timeout = ${toSeconds(script.timeout)} sec`,
        `   Weight = ${script.weight}${script.reverse ? " reverse" : ""}`,
        `   Rise = ${script.rise}`,
        `   Fall = ${script.fall}`,
        `   Init state = ${script.init_fail ? "failed" : "unknown"}`,
        `   Status = ${status.state === "up" ? "GOOD" : status.state === "down" ? "BAD" : "INIT"}`,
        `   Script uid:gid = ${script.user?.uid ?? 0}:${script.user?.gid ?? 0}`,
        `   State = ${status.running ? "running" : "idle"}`,
        ...(last === undefined
          ? []
          : [
              `   Last duration = ${toSeconds(last.duration)} sec`,
              `   Last output = ${JSON.stringify(last.output)}`,
            ]),
      ];
    }),
  ];
}

function trackerLines({ config, files, processes, bfd }: DaemonStatus): string[] {
  const lines: string[] = [];
  if (files.length > 0) lines.push("------< VRRP Track files >------");
  for (const { name, value } of files) {
    const file = config.track_files.find((candidate) => candidate.name === name);
    lines.push(
      ` Track file = ${name}`,
      `   File = ${file?.file ?? ""}`,
      `   Status = ${value}`,
      `   Weight = ${file?.weight ?? 0}`,
    );
  }
  if (processes.length > 0) lines.push("------< VRRP Track processes >------");
  for (const { name, count, up } of processes) {
    const tracked = config.track_processes.find((candidate) => candidate.name === name);
    lines.push(
      ` VRRP Track process = ${name}`,
      `   Process = ${tracked?.process ?? ""}`,
      `   Min processes = ${tracked?.quorum ?? 1}`,
      `   Current processes = ${count}`,
      `   Have quorum = ${up}`,
      `   Weight = ${tracked?.weight ?? 0}`,
    );
  }
  if (bfd.length > 0) lines.push("------< BFD >------");
  for (const { name, state } of bfd) lines.push(` BFD Instance = ${name}`, `   State = ${state}`);
  return lines;
}

/** What keepalived does not tell. */
function ownLines({ timers, refusedReload, instances }: DaemonStatus): string[] {
  return [
    "------< vrrpd >------",
    ` Timers fired = ${timers.fired}`,
    ` Timers late = ${timers.stalls}`,
    ` Worst lateness = ${timers.worst} usecs`,
    ` Last reload = ${refusedReload === undefined ? "in force" : `refused: ${refusedReload}`}`,
    ...instances.flatMap(({ config, refused }) =>
      refused.map(
        ({ peer, reason, count }) =>
          ` Refused = ${config.name} ${formatAddress(peer)} ${reason} ${count}`,
      ),
    ),
  ];
}
