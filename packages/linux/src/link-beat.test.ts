import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openLinkBeat } from "./link-beat.ts";
import { TwoHosts, whyNoNamespace } from "./testing/network-fixture.ts";

describe("the carrier as drivers tell it", { skip: whyNoNamespace() }, () => {
  let hosts: TwoHosts;
  before(() => {
    hosts = TwoHosts.create();
  });
  after(() => hosts.close());

  test("every method sees a pulled cable; one that the driver does not know gives way", () => {
    const beat = openLinkBeat();
    // A veth has no transceiver: MII gives way.
    const ask = () =>
      (["MII", "ETHTOOL", "IOCTL", undefined] as const).map((method) => beat.carrier("a0", method));
    assert.deepEqual(ask(), [true, true, true, true]);
    hosts.there("ip link set b0 down");
    assert.deepEqual(ask(), [false, false, false, false]);
    hosts.there("ip link set b0 up");
    assert.deepEqual(ask(), [true, true, true, true]);
    assert.equal(beat.carrier("nothing"), undefined);
    beat.close();
  });
});
