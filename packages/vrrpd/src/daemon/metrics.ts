import type { MetricNames } from "./control-protocol.ts";
import { STATE_NUMBER } from "./status.ts";
import type { InstanceReport, StatusReport } from "./status-report.ts";

/** Prometheus' text format, version 0.0.4: the names of one of the exporters, and ours (`vrrpd_…`) after them. */
export function metricsText(status: StatusReport, names: MetricNames): string {
  const page = new MetricsPage();
  page.add("keepalived_up", "gauge", "Whether the daemon answers.", [[{}, 1]]);
  if (names === "mehdy") mehdyMetrics(page, status);
  else gen2brainMetrics(page, status);
  ownMetrics(page, status);
  return page.text;
}

export const METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [Labels, number];

class MetricsPage {
  text = "";

  add(name: string, type: "gauge" | "counter", help: string, samples: readonly Sample[]): void {
    if (samples.length === 0) return;
    this.text += `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
    for (const [labels, value] of samples) {
      const words = Object.entries(labels).map(([key, text]) => `${key}="${escapeLabel(text)}"`);
      this.text += `${name}${words.length === 0 ? "" : `{${words.join(",")}}`} ${value}\n`;
    }
  }
}

function escapeLabel(text: string): string {
  return text.replace(/["\\]/g, "\\$&").replaceAll("\n", "\\n");
}

/** keepalived's counters under mehdy/keepalived-exporter's names. */
const MEHDY: Readonly<Record<string, string>> = {
  advert_rcvd: "advertisements_received",
  advert_sent: "advertisements_sent",
  become_master: "become_master",
  release_master: "release_master",
  packet_len_err: "packet_length_errors",
  advert_interval_err: "advertisements_interval_errors",
  ip_ttl_err: "ip_ttl_errors",
  invalid_type_rcvd: "invalid_type_received",
  addr_list_err: "address_list_errors",
  invalid_authtype: "authentication_invalid",
  authtype_mismatch: "authentication_mismatch",
  auth_failure: "authentication_failure",
  pri_zero_rcvd: "priority_zero_received",
  pri_zero_sent: "priority_zero_sent",
};

function mehdyMetrics(page: MetricsPage, { instances, scripts }: StatusReport): void {
  for (const [name, state] of [
    ["keepalived_vrrp_state", (instance: InstanceReport) => instance.addresses],
    ["keepalived_vrrp_excluded_state", (instance: InstanceReport) => instance.excludedAddresses],
  ] as const) {
    page.add(
      name,
      "gauge",
      "State: 0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT.",
      instances.flatMap((instance) => {
        const addresses = state(instance);
        // One series without an address, so that the state is told all the same.
        const all = addresses.length === 0 && name === "keepalived_vrrp_state" ? [""] : addresses;
        return all.map((text): Sample => {
          const [prefix = "", dev] = text.split(" dev ");
          const labels = mehdyLabels(instance);
          const intf = dev ?? deviceOf(instance);
          return [
            { ...labels, intf, ip_address: withoutHostLength(prefix) },
            stateNumber(instance),
          ];
        });
      }),
    );
  }
  for (const [counter, name] of Object.entries(MEHDY)) {
    page.add(
      `keepalived_${name}_total`,
      "counter",
      `keepalived's statistic ${counter}.`,
      instances.map((instance) => [mehdyLabels(instance), instance.counters[counter] ?? 0]),
    );
  }
  page.add(
    "keepalived_gratuitous_arp_delay_total",
    "counter",
    "garp_master_delay in seconds, as the exporter has it.",
    instances.map((instance) => [mehdyLabels(instance), instance.garpDelay / 1_000]),
  );
  page.add(
    "keepalived_script_status",
    "gauge",
    "Verdict of a vrrp_script: 0 bad, 1 good.",
    scripts.map(({ name, state }) => [{ name }, state === "up" ? 1 : 0]),
  );
  page.add(
    "keepalived_script_state",
    "gauge",
    "Whether a vrrp_script runs: 0 idle, 1 running.",
    scripts.map(({ name, running }) => [{ name }, running ? 1 : 0]),
  );
}

function mehdyLabels(instance: InstanceReport): Labels {
  const { name, vrid } = instance;
  return { iname: name, intf: deviceOf(instance), vrid: String(vrid) };
}

/** As the exporters have it from keepalived's `ifp_ifname`: with use_vmac the macvlan. */
function deviceOf(instance: InstanceReport): string {
  return instance.device ?? instance.interface ?? "";
}

/** keepalived shows the length of an address only when it is not a host's. */
function withoutHostLength(text: string): string {
  return text.replace(/(?<=\..*)\/32$|(?<=:.*)\/128$/, "");
}

function stateNumber({ state }: InstanceReport): number {
  switch (state) {
    case "BACKUP":
      return STATE_NUMBER.backup;
    case "MASTER":
      return STATE_NUMBER.master;
    case "FAULT":
      return STATE_NUMBER.fault;
    default:
      return STATE_NUMBER.initialize;
  }
}

function gen2brainMetrics(page: MetricsPage, { instances }: StatusReport): void {
  for (const counter of Object.keys(MEHDY)) {
    page.add(
      `keepalived_vrrp_${counter}`,
      "counter",
      `keepalived's statistic ${counter}.`,
      instances.map((instance) => [
        {
          name: instance.name,
          intf: deviceOf(instance),
          vrid: String(instance.vrid),
          state: instance.state,
        },
        instance.counters[counter] ?? 0,
      ]),
    );
  }
}

/** What neither exporter has. */
function ownMetrics(page: MetricsPage, status: StatusReport): void {
  const { instances, timers, scripts, lastReload, guard } = status;
  const each = (value: (instance: InstanceReport) => number): Sample[] =>
    instances.map((instance) => [{ instance: instance.name }, value(instance)]);
  page.add("vrrpd_start_time_seconds", "gauge", "When the daemon started, since 1970.", [
    [{}, status.startedAt / 1_000],
  ]);
  page.add("vrrpd_problems", "gauge", "What `vrrpctl status` complains of.", [
    [{}, status.problems.length],
  ]);
  page.add("vrrpd_state", "gauge", "0 INIT, 1 BACKUP, 2 MASTER, 3 FAULT.", each(stateNumber));
  page.add(
    "vrrpd_state_since_seconds",
    "gauge",
    "When the present state began, since 1970.",
    each(({ since }) => since / 1_000),
  );
  page.add(
    "vrrpd_base_priority",
    "gauge",
    "As configured.",
    each((it) => it.basePriority),
  );
  page.add(
    "vrrpd_effective_priority",
    "gauge",
    "With trackers.",
    each((it) => it.effectivePriority),
  );
  page.add(
    "vrrpd_split_brain",
    "gauge",
    "1: another master is there while we are master.",
    each(({ splitBrain }) => Number(splitBrain)),
  );
  page.add(
    "vrrpd_yields",
    "gauge",
    "1: backup by a switchover.",
    each(({ yields }) => Number(yields)),
  );
  page.add(
    "vrrpd_refused_total",
    "counter",
    "Packets refused, by reason.",
    instances.flatMap((instance) =>
      Object.entries(instance.refused).map(
        ([reason, count]): Sample => [{ instance: instance.name, reason }, count],
      ),
    ),
  );
  page.add(
    "vrrpd_peer_last_heard_seconds",
    "gauge",
    "Age of the last accepted advert. A backup is silent.",
    instances.flatMap((instance) =>
      instance.peers.flatMap(({ address, lastHeard }): Sample[] =>
        lastHeard === undefined
          ? []
          : [[{ instance: instance.name, peer: address }, lastHeard / 1_000]],
      ),
    ),
  );
  page.add(
    "vrrpd_script_duration_seconds",
    "gauge",
    "Of the last run of a vrrp_script.",
    scripts.flatMap(({ name, lastDuration }): Sample[] =>
      lastDuration === undefined ? [] : [[{ name }, lastDuration / 1_000]],
    ),
  );
  page.add("vrrpd_timers_total", "counter", "Timers that fired.", [[{}, timers.fired]]);
  page.add("vrrpd_timer_stalls_total", "counter", "Timers late by more than 2 ms.", [
    [{}, timers.stalls],
  ]);
  page.add("vrrpd_timer_late_seconds_max", "gauge", "The latest timer since the start.", [
    [{}, timers.worst / 1_000],
  ]);
  if (guard !== "off") {
    page.add("vrrpd_guard_up", "gauge", "Whether the guard process is there.", [
      [{}, Number(guard === "running")],
    ]);
  }
  const { proxies } = status;
  page.add(
    "vrrpd_proxy_up",
    "gauge",
    "Whether a supervised proxy can serve: what track_proxy sees.",
    proxies.map(({ name, up }): Sample => [{ proxy: name }, Number(up)]),
  );
  page.add(
    "vrrpd_proxy_restarts_total",
    "counter",
    "Starts of a supervised proxy after its death.",
    proxies.map(({ name, restarts }): Sample => [{ proxy: name }, restarts]),
  );
  page.add(
    "vrrpd_proxy_held_sockets",
    "gauge",
    "Listening sockets held for a proxy's successor.",
    proxies.map(({ name, heldSockets }): Sample => [{ proxy: name }, heldSockets]),
  );
  page.add(
    "vrrpd_proxy_connections",
    "gauge",
    "Connections of a supervised proxy.",
    proxies.flatMap(({ name, status: told }): Sample[] =>
      told === undefined ? [] : [[{ proxy: name }, told.sessions]],
    ),
  );
  page.add(
    "vrrpd_proxy_backend_up",
    "gauge",
    "Whether a backend of a supervised proxy has a server.",
    proxies.flatMap(({ name, status: told }) =>
      (told?.backends ?? []).map(
        (backend): Sample => [
          { proxy: name, backend: backend.name },
          Number(!backend.status.startsWith("DOWN")),
        ],
      ),
    ),
  );
  page.add("vrrpd_maintenance", "gauge", "1: this host is in maintenance.", [
    [{}, Number(status.maintenance !== undefined)],
  ]);
  if (lastReload !== undefined) {
    page.add("vrrpd_reload_success", "gauge", "0: the last reload was refused.", [
      [{}, Number(lastReload.problem === undefined)],
    ]);
    page.add("vrrpd_reload_time_seconds", "gauge", "When the last reload was, since 1970.", [
      [{}, lastReload.at / 1_000],
    ]);
  }
}
