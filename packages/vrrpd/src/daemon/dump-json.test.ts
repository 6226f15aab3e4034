import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, micros, seconds } from "@ha/base";
import { loadConfig } from "../core/config/load.ts";
import { memoryHost } from "../core/config/memory-host.ts";
import { jsonDump } from "./dump-json.ts";
import { dataDump, statisticsDump } from "./dump-text.ts";
import type { DaemonStatus } from "./status.ts";

const TEXT = `global_defs {
  router_id lb1
}
vrrp_script chk {
  script "/bin/true"
}
vrrp_instance VI_1 {
  state MASTER
  interface eth0
  virtual_router_id 51
  priority 101
  authentication {
    auth_type PASS
    auth_pass sesame12
  }
  virtual_ipaddress {
    192.168.1.100
    192.168.1.101/24
  }
  notify_master "/bin/echo a"
  track_script {
    chk
  }
}
`;

function statusOf(change: string): DaemonStatus {
  const loaded = loadConfig("/x.conf", {
    host: memoryHost({ "/x.conf": TEXT.replace("router_id lb1", `router_id lb1\n${change}`) }, {}),
  });
  assert.ok(loaded);
  const { config } = loaded;
  const [instance] = config.instances;
  assert.ok(instance);
  return {
    pid: 1,
    startedAt: 0,
    configFile: "/x.conf",
    refusedReload: undefined,
    config,
    instances: [
      {
        config: instance,
        state: "master",
        leaving: false,
        effectivePriority: 103,
        master: undefined,
        masterInterval: seconds(1),
        downTimer: seconds(3),
        faults: [],
        lastTransition: 1_795_556_072_297,
        source: ip("172.16.0.2"),
        device: "eth0",
        addressesSet: true,
        statistics: { advert_rcvd: 1, advert_sent: 17 },
        refused: [],
      },
    ],
    groups: [],
    scripts: [{ name: "chk", state: "up", running: false, last: undefined }],
    files: [],
    processes: [{ name: "haproxy", count: 2, up: true }],
    bfd: [],
    timers: { fired: 0, stalls: 0, worst: micros(0) },
  };
}

test("version 1 of the JSON is an array with keepalived's keys and values", () => {
  const dump: unknown = JSON.parse(jsonDump(statusOf("")));
  assert.ok(Array.isArray(dump));
  const [{ data, stats }] = dump as [{ data: Record<string, unknown>; stats: unknown }];
  assert.equal(data["iname"], "VI_1");
  assert.equal(data["state"], 2);
  assert.equal(data["ifp_ifname"], "eth0");
  assert.equal(data["last_transition"], 1_795_556_072.297);
  assert.deepEqual(data["vips"], [
    "192.168.1.100 dev eth0 scope global set",
    "192.168.1.101/24 dev eth0 scope global set",
  ]);
  assert.equal(data["script_master"], "'/bin/echo' 'a'");
  assert.deepEqual(stats, { advert_rcvd: 1, advert_sent: 17 });
});

test("version 2 of the JSON is an object with vrrp and track_process", () => {
  const dump = JSON.parse(jsonDump(statusOf("json_version 2"))) as Record<string, unknown[]>;
  assert.deepEqual(Object.keys(dump), ["vrrp", "track_process"]);
  assert.equal(dump["vrrp"]?.length, 1);
});

test("no dump has the password in it", () => {
  const status = statusOf("");
  for (const text of [jsonDump(status), dataDump(status), statisticsDump(status)]) {
    assert.doesNotMatch(text, /sesame/);
  }
});

test("the state dump has keepalived's lines for state, priority and addresses", () => {
  const lines = dataDump(statusOf("")).split("\n");
  for (const line of [
    " VRRP Instance = VI_1",
    "   State = MASTER",
    "   Effective priority = 103",
    "     192.168.1.100 dev eth0 scope global set",
    "   Status = GOOD",
  ]) {
    assert.ok(lines.includes(line), line);
  }
});

test("the statistics dump has keepalived's lines", () => {
  assert.match(
    statisticsDump(statusOf("")),
    /^VRRP Instance: VI_1\n {2}Advertisements:\n {4}Received: 1\n {4}Sent: 17\n {2}Became master: 0\n/,
  );
});
