import assert from "node:assert/strict";
import { test } from "node:test";
import { metricsText } from "./metrics.ts";
import type { InstanceReport, StatusReport } from "./status-report.ts";

const INSTANCE: InstanceReport = {
  name: 'VI "1"',
  interface: "eth0",
  vrid: 51,
  family: 4,
  version: 2,
  state: "MASTER",
  since: 1_700_000_000_000,
  leaving: false,
  yields: false,
  basePriority: 100,
  effectivePriority: 102,
  trackers: [],
  addresses: ["192.0.2.1/32", "192.0.2.2/24 dev eth1"],
  excludedAddresses: ["2001:db8::1/128"],
  addressesHeld: true,
  source: "192.0.2.10",
  device: "vrrp.51",
  master: undefined,
  advertInterval: 1_000,
  downTimer: 3_609,
  garpDelay: 5_000,
  faults: [],
  splitBrain: true,
  group: undefined,
  peers: [
    {
      address: "192.0.2.11",
      configured: false,
      lastHeard: 1_500,
      lastPriority: 90,
      received: 3,
      refused: {},
    },
  ],
  counters: { advert_rcvd: 3, become_master: 1 },
  refused: { "bad-ttl": 7 },
};

const STATUS: StatusReport = {
  pid: 1,
  startedAt: 1_700_000_000_000,
  now: 1_700_000_001_000,
  configFile: "/etc/keepalived/keepalived.conf",
  problems: ["split brain"],
  guard: "running",
  timers: { fired: 100, stalls: 2, worst: 12.5 },
  instances: [INSTANCE],
  groups: [],
  scripts: [
    {
      name: "chk",
      state: "up",
      running: false,
      lastResult: "succeeded",
      lastOutput: "",
      lastDuration: 20,
    },
  ],
  files: [],
  processes: [],
  bfd: [],
  proxies: [],
};

test("every line is Prometheus text, and each metric is declared before its samples", () => {
  for (const names of ["mehdy", "gen2brain"] as const) {
    const declared = new Set<string>();
    for (const line of metricsText(STATUS, names).trimEnd().split("\n")) {
      const type = /^# TYPE (\S+) (?:gauge|counter)$/.exec(line);
      if (type !== null) {
        assert.ok(!declared.has(type[1] ?? ""), `${type[1]} is declared once`);
        declared.add(type[1] ?? "");
      } else if (!line.startsWith("# HELP ")) {
        const sample = /^([a-z_0-9]+)(?:\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? -?[\d.e+]+$/.exec(
          line,
        );
        assert.ok(sample !== null, line);
        assert.ok(declared.has(sample[1] ?? ""), `${line} is declared`);
      }
    }
  }
});

test("the names are those of the exporter that was asked for, with its labels", () => {
  const mehdy = metricsText(STATUS, "mehdy").split("\n");
  for (const line of [
    'keepalived_vrrp_state{iname="VI \\"1\\"",intf="vrrp.51",vrid="51",ip_address="192.0.2.1"} 2',
    'keepalived_vrrp_state{iname="VI \\"1\\"",intf="eth1",vrid="51",ip_address="192.0.2.2/24"} 2',
    'keepalived_vrrp_excluded_state{iname="VI \\"1\\"",intf="vrrp.51",vrid="51",ip_address="2001:db8::1"} 2',
    'keepalived_advertisements_received_total{iname="VI \\"1\\"",intf="vrrp.51",vrid="51"} 3',
    'keepalived_gratuitous_arp_delay_total{iname="VI \\"1\\"",intf="vrrp.51",vrid="51"} 5',
    'keepalived_script_status{name="chk"} 1',
    'vrrpd_split_brain{instance="VI \\"1\\""} 1',
    'vrrpd_refused_total{instance="VI \\"1\\"",reason="bad-ttl"} 7',
    "vrrpd_timer_late_seconds_max 0.0125",
  ]) {
    assert.ok(mehdy.includes(line), `${line} in\n${mehdy.join("\n")}`);
  }
  const other = metricsText(STATUS, "gen2brain");
  assert.match(
    other,
    /^keepalived_vrrp_advert_rcvd\{name="VI \\"1\\"",intf="vrrp.51",vrid="51",state="MASTER"\} 3$/m,
  );
  assert.doesNotMatch(other, /advertisements_received/);
});

test("an instance without addresses has its state all the same", () => {
  const text = metricsText({ ...STATUS, instances: [{ ...INSTANCE, addresses: [] }] }, "mehdy");
  assert.match(text, /^keepalived_vrrp_state\{[^}]*ip_address=""\} 2$/m);
});
