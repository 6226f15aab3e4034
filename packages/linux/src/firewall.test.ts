import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { ip } from "@ha/base";
import { openFirewall } from "./firewall.ts";
import { SocketDoor } from "./socket-door.ts";
import { TwoHosts, whyNoNamespace } from "./testing/network-fixture.ts";

describe("the firewall of no_accept and VMACs", { skip: whyNoNamespace() }, () => {
  let hosts: TwoHosts;
  let a0 = 0;
  before(() => {
    hosts = TwoHosts.create();
    a0 = Number.parseInt(hosts.here("ip -o link show a0"), 10);
    for (const address of [
      "192.0.2.100/32",
      "192.0.2.101/32",
      "fe80::100/128",
      "2001:db8::100/64",
    ]) {
      hosts.here(`ip addr add ${address} dev a0${address.includes(":") ? " nodad" : ""}`);
    }
    hosts.there("ip addr add 2001:db8::2/64 dev b0 nodad");
  });
  after(() => hosts.close());
  const answers = (target: string): boolean => {
    try {
      hosts.there(`ping -n -c 1 -W 1 ${target}`);
      return true;
    } catch {
      return false;
    }
  };

  test("unserved addresses do not answer, the others and neighbour discovery do", () => {
    const firewall = openFirewall();
    assert.equal(firewall.set({ unserved: [], vmacs: [] }), undefined);
    assert.equal(hosts.here("nft list ruleset"), "", "no table before it is needed");
    const unserved = ["192.0.2.100", "fe80::100", "2001:db8::100"].map((text) => ({
      address: ip(text),
      ifindex: a0,
    }));
    assert.equal(answers("192.0.2.100"), true);
    assert.equal(answers("fe80::100%b0"), true);
    assert.equal(firewall.set({ unserved, vmacs: [a0] }), undefined);
    const shown = hosts.here("nft list ruleset");
    assert.match(shown, /table ip keepalived \{/);
    assert.match(shown, /type filter hook input priority filter - 1; policy accept;/);
    assert.match(shown, /elements = \{ 192.0.2.100 \}/);
    assert.match(shown, /ip daddr @vips drop/);
    assert.match(shown, /ip saddr @vips drop/);
    assert.match(shown, /ip6 daddr \. iif @vips_link_local drop/);
    assert.match(shown, /elements = \{ fe80::100 \. "a0" \}/);
    assert.match(shown, /icmpv6 type mld2-listener-report oif @vmac_set drop/);
    assert.match(shown, /(ip protocol igmp|meta l4proto igmp) oif @vmac_set drop/);
    assert.equal(answers("192.0.2.100"), false);
    assert.equal(answers("192.0.2.101"), true);
    hosts.there("ip -6 neigh flush dev b0");
    assert.equal(answers("fe80::100%b0"), false);
    assert.match(hosts.there("ip -6 neigh show fe80::100"), /lladdr/);
    assert.equal(answers("2001:db8::100"), false);

    assert.equal(firewall.set({ unserved: unserved.slice(1), vmacs: [] }), undefined);
    assert.equal(answers("192.0.2.100"), true);
    assert.equal(answers("fe80::100%b0"), false);

    const channel = SocketDoor.open("test", { domain: 16, type: 3, protocol: 12 });
    for (const { bytes, netlinkProtocol } of firewall.removal({ unserved, vmacs: [] })) {
      assert.equal(netlinkProtocol, 12);
      channel.send(bytes);
    }
    channel.close();
    assert.equal(answers("fe80::100%b0"), true, "the guard's removals take out what is there");
    assert.equal(firewall.close(), undefined);
    assert.equal(hosts.here("nft list ruleset"), "");
    assert.equal(firewall.close(), undefined);
  });

  test("what an earlier run has left is replaced, and other tables stay", () => {
    hosts.here("nft add table ip keepalived");
    hosts.here("nft add table ip6 keepalived");
    hosts.here("nft add table ip other");
    const firewall = openFirewall({ counters: true, priority: -10 });
    const unserved = [{ address: ip("192.0.2.100"), ifindex: a0 }];
    assert.equal(firewall.set({ unserved, vmacs: [] }), undefined);
    const shown = hosts.here("nft list ruleset");
    assert.match(shown, /priority filter - 10/);
    assert.match(shown, /counter packets 0 bytes 0 drop/);
    assert.match(shown, /table ip other/);
    assert.doesNotMatch(shown, /table ip6/, "a family that is not needed has no table");
    assert.equal(firewall.close(), undefined);
    assert.match(hosts.here("nft list ruleset"), /table ip other/);
  });
});
