import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "@ha/base";
import { memoryHost } from "./memory-host.ts";
import { loadYamlConfig } from "./yaml.ts";

function load(text: string) {
  const loaded = loadYamlConfig("/c.yaml", { host: memoryHost({ "/c.yaml": text }) });
  assert.ok(loaded);
  return loaded;
}

const pair = `
global_defs: { router_id: lb1, vrrp_guard: false }
vrrp_script:
  chk: { script: killall -0 haproxy, interval: 2, weight: 2 }
vrrp_instance:
  VI_1:
    state: BACKUP
    interface: eth0
    virtual_router_id: 51
    nopreempt: true
    accept: false
    authentication: { auth_type: PASS, auth_pass: 1234 }
    virtual_ipaddress:
      - 192.168.1.100/24 dev eth0 label eth0:1
      - 192.168.1.101
    track_script: [chk weight 5]
`;

test("YAML gives the same configuration as the keywords in a file would", () => {
  const { config, diagnostics } = load(pair);
  assert.deepEqual(
    diagnostics.map(({ code }) => code),
    ["config/script-security"],
  );
  const [instance] = config.instances;
  assert.ok(instance);
  assert.equal(config.globals.vrrp_guard, false);
  assert.equal(instance.preempt, false);
  assert.deepEqual(config.scripts[0]?.command.argv, ["killall", "-0", "haproxy"]);
  assert.deepEqual(
    instance.virtual_ipaddress.map(({ address, label }) => [formatAddress(address), label]),
    [
      ["192.168.1.100", "eth0:1"],
      ["192.168.1.101", undefined],
    ],
  );
  assert.equal(instance.track_script[0]?.weight, 5);
});

test("a finding stands at the line and column of its value", () => {
  const { diagnostics } = load(pair.replace("virtual_router_id: 51", "virtual_router_id: 256"));
  const found = diagnostics.find(({ code }) => code === "config/bad-value");
  assert.deepEqual(found?.at, { file: "/c.yaml", line: 9, column: 24 });
});

test("an unknown key is told with the nearest keyword", () => {
  const { diagnostics } = load(pair.replace("interface: eth0", "interfaces: eth0"));
  assert.ok(diagnostics.some(({ hint }) => hint === "did you mean 'interface'?"));
});

test("aliases that multiply end at a limit", () => {
  const lines = ["a: &a [1.1.1.1, 1.1.1.2]"];
  for (let i = 0; i < 30; i++)
    lines.push(`k${i}: &k${i} [*${i === 0 ? "a" : `k${i - 1}`}, *${i === 0 ? "a" : `k${i - 1}`}]`);
  lines.push("static_ipaddress: *k29");
  assert.ok(load(lines.join("\n")).diagnostics.length > 0);
});

test("an alias of itself ends", () => {
  assert.ok(load("global_defs: &a\n  notification_email: *a\n").diagnostics.length > 0);
});
