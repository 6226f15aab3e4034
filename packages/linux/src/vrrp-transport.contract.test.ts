import { after, before, describe } from "node:test";
import { openVrrpSocket } from "./raw-socket.ts";
import { HERE, HERE6, THERE, THERE6 } from "./testing/advert-fixture.ts";
import { MemoryLan } from "./testing/memory-lan.ts";
import { TwoHosts, whyNoNamespace } from "./testing/network-fixture.ts";
import { type ContractWorld, transportContract } from "./testing/transport-contract.ts";

// Goal: what tests and simulations play in memory is what the kernel does.
// Method: one suite over both.

describe("the kernel's transport", { skip: whyNoNamespace() }, () => {
  let hosts: TwoHosts;
  let world: ContractWorld;
  before(() => {
    hosts = TwoHosts.create();
    const index = (line: string): number => Number.parseInt(line, 10);
    world = {
      here: {
        device: { name: "a0", index: index(hosts.here("ip -o link show a0")) },
        open: (options) => openVrrpSocket(options),
      },
      there: {
        device: { name: "b0", index: index(hosts.there("ip -o link show b0")) },
        open: (options) => hosts.asThere(() => openVrrpSocket(options)),
      },
    };
  });
  after(() => hosts.close());
  transportContract(() => world);
});

describe("the transport in memory", () => {
  const lan = new MemoryLan();
  const here = lan.plug({ name: "a0", index: 2 }, [HERE, HERE6]);
  const there = lan.plug({ name: "b0", index: 3 }, [THERE, THERE6]);
  const host = ({ interface: device, transport }: typeof here) => ({
    device,
    open: transport.open,
  });
  transportContract(() => ({ here: host(here), there: host(there) }));
});
