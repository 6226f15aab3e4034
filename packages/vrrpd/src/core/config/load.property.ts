// biome-ignore-all lint/suspicious/noTemplateCurlyInString: definitions of keepalived.conf look like that.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { dumpConf, toPlain } from "./dump.ts";
import { type LoadedConfig, loadConfig } from "./load.ts";
import { memoryHost } from "./memory-host.ts";
import { sameValue } from "./reload-plan.ts";
import { dumpYaml, loadYamlConfig } from "./yaml.ts";

function read(text: string, name = "/c.conf"): LoadedConfig {
  const options = { host: memoryHost({ [name]: text }) };
  const loaded = name.endsWith(".yaml") ? loadYamlConfig(name, options) : loadConfig(name, options);
  assert.ok(loaded);
  return loaded;
}

const pieces = fc.constantFrom(
  ..."global_defs vrrp_instance vrrp_script virtual_ipaddress unicast_peer track_script authentication { } \n \" ' \\ # ! $ $A $A= ${A} ~SEQ( ~LST( ) , @x @^ include 1 -1 0.5 x / : 10.0.0.1/24 fe80::1 dev eth0 weight reverse priority advert_int script virtual_routes virtual_rules via table from".split(
    " ",
  ),
  "\n",
  " ",
  "\0",
  "\ufeff",
  "\r\n",
);

test("no text makes reading throw, and it ends", () => {
  const soup = fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join(" "));
  fc.assert(
    fc.property(fc.oneof(soup, fc.string()), (text) => void read(text)),
    { numRuns: 1500 },
  );
});

test("no YAML makes reading throw", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.json(),
        fc.array(pieces).map((p) => p.join("\n")),
      ),
      (text) => {
        void read(text, "/c.yaml");
      },
    ),
    { numRuns: 500 },
  );
});

const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_]{0,8}$/);
const word = fc.stringMatching(/^[A-Za-z0-9 _#!{}.:/-]{1,12}$/);
const instance = fc.record({
  name,
  vrid: fc.integer({ min: 1, max: 255 }),
  priority: fc.integer({ min: 1, max: 255 }),
  interval: fc.integer({ min: 1, max: 10 }),
  peers: fc.uniqueArray(fc.ipV4(), { maxLength: 3 }),
  addresses: fc.uniqueArray(fc.ipV4(), { minLength: 1, maxLength: 4 }),
  password: fc.stringMatching(/^[A-Za-z0-9]{1,8}$/),
  notify: fc.option(word, { nil: undefined }),
  flags: fc.subarray(["nopreempt", "dont_track_primary", "track_src_ip", "use_vmac", "no_accept"]),
  weight: fc.option(fc.integer({ min: -253, max: 253 }), { nil: undefined }),
});
const configs = fc.record({
  router: word,
  garp: fc.integer({ min: 0, max: 100 }),
  ours: fc.boolean(),
  scriptArgs: fc.array(fc.stringMatching(/^[A-Za-z0-9 ]{1,6}$/), { maxLength: 3 }),
  instances: fc.uniqueArray(instance, { minLength: 1, maxLength: 4, selector: (one) => one.name }),
});

function write(config: typeof configs extends fc.Arbitrary<infer T> ? T : never): string {
  const lines = [
    "global_defs {",
    `router_id "${config.router}"`,
    `vrrp_garp_master_delay ${config.garp}`,
    ...(config.ours ? ["@vrrpd vrrp_guard off", "@vrrpd vrrp_witness 10.0.0.1 10.0.0.2"] : []),
    "}",
    "vrrp_script chk {",
    `script "/bin/x ${config.scriptArgs.map((arg) => `'${arg}'`).join(" ")}"`,
    "weight 10 reverse",
    "}",
  ];
  for (const one of config.instances) {
    lines.push(
      `vrrp_instance ${one.name} {`,
      "interface eth0",
      `virtual_router_id ${one.vrid}`,
      `priority ${one.priority}`,
      `advert_int ${one.interval}`,
      "authentication {",
      "auth_type PASS",
      `auth_pass ${one.password}`,
      "}",
      ...one.flags,
      ...(one.notify === undefined ? [] : [`notify_master "/bin/y '${one.notify}'" root`]),
      ...(one.peers.length === 0 ? [] : ["unicast_peer {", ...one.peers, "}"]),
      "virtual_ipaddress {",
      ...one.addresses.map((address) => `${address}/24 dev eth1`),
      "}",
      "track_script {",
      one.weight === undefined ? "chk" : `chk weight ${one.weight} noreverse`,
      "}",
      "}",
    );
  }
  return lines.join("\n");
}

test("a configuration survives conf, YAML and back", () => {
  fc.assert(
    fc.property(configs, (config) => {
      const first = read(write(config));
      const conf = read(dumpConf(first.tree, { strict: false }));
      assert.deepEqual(
        toPlain(conf.tree, { strict: false }),
        toPlain(first.tree, { strict: false }),
      );
      assert.ok(sameValue(conf.config, first.config), "conf");
      const yaml = read(dumpYaml(toPlain(first.tree, { strict: false })), "/c.yaml");
      assert.ok(sameValue(yaml.config, first.config), "yaml");
      const back = read(dumpConf(yaml.tree, { strict: false }));
      assert.deepEqual(
        toPlain(back.tree, { strict: false }),
        toPlain(first.tree, { strict: false }),
      );
    }),
    { numRuns: 200 },
  );
});

test("a strict dump has none of our own keywords", () => {
  fc.assert(
    fc.property(configs, (config) => {
      const text = dumpConf(read(write(config)).tree, { strict: true });
      assert.doesNotMatch(text, /vrrp_guard|vrrp_witness|@vrrpd/);
    }),
    { numRuns: 50 },
  );
});
