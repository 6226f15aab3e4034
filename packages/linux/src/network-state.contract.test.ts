import { after, before, describe } from "node:test";
import { formatAddress, ip } from "@ha/base";
import { addAddress, removeAddress } from "./address-request.ts";
import { openRouteNetlink } from "./route-netlink.ts";
import { MemoryNetwork } from "./testing/memory-network.ts";
import { type NetworkWorld, networkContract } from "./testing/network-contract.ts";
import { TwoHosts, whyNoNamespace } from "./testing/network-fixture.ts";

// Goal: what tests play in memory is what rtnetlink does.
// Method: one suite over both.

describe("rtnetlink's state", { skip: whyNoNamespace() }, () => {
  let hosts: TwoHosts;
  let world: NetworkWorld;
  before(() => {
    hosts = TwoHosts.create();
    world = {
      network: openRouteNetlink({
        watchRoutes: true,
        onError: (error) => {
          throw error;
        },
      }),
      removeBySomebody: async ({ prefix: { address, length } }) => {
        hosts.here(`ip address del ${formatAddress(address)}/${length} dev a0`);
      },
    };
  });
  after(() => {
    world.network.close();
    hosts.close();
  });
  networkContract(() => world);
});

describe("the state in memory", () => {
  const network = new MemoryNetwork();
  before(async () => {
    network.setLink(2, { name: "a0" });
    const own = { ifindex: 2, prefix: { address: ip("192.0.2.1"), length: 24 } };
    await network.apply(addAddress(own));
    network.drain();
  });
  after(() => network.close());
  networkContract(() => ({
    network,
    removeBySomebody: (spec) => network.applyBySomebody(removeAddress(spec)),
  }));
});
