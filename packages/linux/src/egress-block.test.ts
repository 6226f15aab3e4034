import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { blockEgress, unblockEgress } from "./egress-block.ts";
import { TwoHosts, whyNoNamespace } from "./testing/network-fixture.ts";

describe("silence of a virtual MAC", { skip: whyNoNamespace() }, () => {
  let hosts: TwoHosts;
  before(() => {
    hosts = TwoHosts.create();
    hosts.here(
      "ip link add link a0 name vrrp.51 address 00:00:5e:00:01:33 type macvlan mode private",
    );
    hosts.here("ip link set vrrp.51 up");
    // Or a0 would answer for it, as Linux does.
    hosts.here("sysctl -q -w net.ipv4.conf.a0.arp_ignore=1");
    hosts.here("ip addr add 198.51.100.1/24 dev vrrp.51");
    hosts.there("ip addr add 198.51.100.2/24 dev b0");
  });
  after(() => hosts.close());
  const reaches = (): boolean => {
    hosts.there("ip neigh flush dev b0");
    try {
      hosts.there("ping -n -c 1 -W 1 198.51.100.1");
      return true;
    } catch {
      return false;
    }
  };

  test("no frame leaves, not even an answer to ARP, until it is lifted; twice is as good as once", () => {
    assert.equal(unblockEgress("vrrp.51"), undefined, "nothing to lift is no failure");
    assert.equal(reaches(), true);
    assert.equal(blockEgress("vrrp.51"), undefined);
    assert.equal(blockEgress("vrrp.51"), undefined);
    assert.equal(reaches(), false);
    assert.doesNotMatch(hosts.there("ip neigh show 198.51.100.1"), /lladdr/);
    assert.equal(unblockEgress("vrrp.51"), undefined);
    assert.equal(reaches(), true);
    assert.equal(hosts.here("nft list ruleset"), "");
  });
});
