import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress } from "@ha/base";
import { loadConfig } from "./load.ts";
import { memoryHost } from "./memory-host.ts";
import type { Config } from "./model.ts";
import { planReload } from "./reload-plan.ts";

function config(instance: string, before = ""): Config {
  const text = `${before}\nvrrp_instance ${instance}\n}`;
  const loaded = loadConfig("/c", { host: memoryHost({ "/c": text }) });
  assert.ok(loaded);
  return loaded.config;
}

const plain =
  "VI_1 {\ninterface eth0\nvirtual_router_id 51\nvirtual_ipaddress {\n10.0.0.1\n10.0.0.2\n}";

test("a file that only moved its lines changes nothing", () => {
  assert.equal(planReload(config(plain), config(plain, "# a comment\n\n")).empty, true);
});

test("an instance of another name is the same virtual router", () => {
  const { kept, added, removed } = planReload(config(plain), config(plain.replace("VI_1", "VI_9")));
  assert.equal(kept.length, 1);
  assert.deepEqual([added.length, removed.length], [0, 0]);
});

test("another router id is another instance", () => {
  const { added, removed } = planReload(config(plain), config(plain.replace("51", "52")));
  assert.deepEqual([added.length, removed.length], [1, 1]);
});

test("multicast to unicast is another instance", () => {
  const unicast = plain.replace("virtual_ip", "unicast_peer {\n10.0.0.9\n}\nvirtual_ip");
  assert.equal(planReload(config(plain), config(unicast)).kept.length, 0);
});

test("a new priority costs nothing, another address touches only itself", () => {
  const after = plain.replace("10.0.0.2", "10.0.0.3").replace("eth0", "eth0\npriority 50");
  const [kept] = planReload(config(plain), config(after)).kept;
  assert.ok(kept);
  assert.deepEqual(kept.changes, [
    { keyword: "priority", cost: "live" },
    { keyword: "virtual_ipaddress", cost: "live" },
  ]);
  assert.deepEqual(
    kept.removed.map(({ address }) => formatAddress(address)),
    ["10.0.0.2"],
  );
  assert.deepEqual(
    kept.added.map(({ address }) => formatAddress(address)),
    ["10.0.0.3"],
  );
});

test("a namespace cannot change while the daemon runs", () => {
  const { globals } = planReload(config(plain), config(plain, "net_namespace other"));
  assert.deepEqual(globals, [{ keyword: "net_namespace", cost: "fixed" }]);
});

test("scripts are compared by their names", () => {
  const script = (interval: number) => `vrrp_script a {\nscript /bin/x\ninterval ${interval}\n}`;
  const { scripts } = planReload(config(plain, script(1)), config(plain, script(2)));
  assert.deepEqual(
    scripts.changed.map(({ after }) => after.name),
    ["a"],
  );
  assert.equal(scripts.kept.length, 0);
});
