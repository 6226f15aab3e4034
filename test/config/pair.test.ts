import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { formatAddress, toSeconds } from "@ha/base";
import { explainInstance, loadConfig, memoryHost } from "@ha/vrrpd/core";

function load(name: string) {
  const path = fileURLToPath(new URL(`../../../test/config/${name}`, import.meta.url));
  const loaded = loadConfig(name, {
    host: memoryHost({ [name]: readFileSync(path, "utf8") }, { hostName: "haproxy2.example" }),
  });
  assert.ok(loaded);
  const [instance] = loaded.config.instances;
  assert.ok(instance);
  return { ...loaded, instance };
}

test("the master's file of the pair is read unchanged", () => {
  const { config, instance, refusesStart } = load("pair-master.conf");
  assert.equal(refusesStart, false);
  assert.equal(config.globals.router_id, "haproxy2");
  assert.equal(instance.state, "MASTER");
  assert.equal(instance.priority, 101);
  assert.equal(toSeconds(instance.advert_int), 1);
  assert.equal(instance.version, 2);
  assert.deepEqual(
    instance.unicast_peer.map(({ address }) => formatAddress(address)),
    ["172.16.0.3"],
  );
  assert.deepEqual(
    instance.virtual_ipaddress.map(({ address, length }) => `${formatAddress(address)}/${length}`),
    ["192.168.1.100/32"],
  );
  assert.deepEqual(config.scripts[0]?.command.argv, ["killall", "-0", "haproxy"]);
  assert.deepEqual(
    instance.track_script.map(({ name, weight }) => [name, weight]),
    [["chk_haproxy", 2]],
  );
});

test("a password of more than eight bytes is cut to eight, with a complaint", () => {
  const { instance, diagnostics } = load("pair-master.conf");
  assert.equal(String.fromCharCode(...(instance.authentication?.password ?? [])), "YourPass");
  assert.ok(diagnostics.some(({ message }) => message.includes("only the first 8 count")));
});

test("a failed check gives the pair's address to the peer, and both well keep it", () => {
  const master = load("pair-master.conf");
  const backup = load("pair-backup.conf");
  const [peer] = explainInstance(backup.instance, backup.config, []).outcomes;
  assert.equal(peer?.priority, 102);
  const { outcomes, timers } = explainInstance(master.instance, master.config, [102]);
  assert.deepEqual(
    outcomes.map(({ up, priority, beats }) => [up[0], priority, beats[0]]),
    [
      [true, 103, true],
      [false, 101, false],
    ],
  );
  assert.equal(Math.round(timers.takeover), 3605);
});
