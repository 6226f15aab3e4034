import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { formatAddress, formatMac, ip, parseMac } from "@ha/base";
import type { Announcer, ArpMessage, NeighbourAdvertisement } from "./announcer.ts";
import { openPacketSocket, readAdvertisement, readArp } from "./packet-socket.ts";
import type { SystemError } from "./system-error.ts";
import { TwoHosts, until, whyNoNamespace } from "./testing/network-fixture.ts";

const VMAC = parseMac("00:00:5e:00:01:33") ?? new Uint8Array();

test("no bytes make the ARP and advertisement readers throw or believe", () => {
  const frame = new Uint8Array(90);
  for (let length = 0; length <= frame.length; length++) {
    assert.equal(readArp(frame.subarray(0, length)), undefined);
    assert.equal(readAdvertisement(frame.subarray(0, length)), undefined);
  }
});

describe("ARP and neighbour discovery", { skip: whyNoNamespace() }, () => {
  let hosts: TwoHosts;
  const arps: ArpMessage[] = [];
  const neighbours: NeighbourAdvertisement[] = [];
  const errors: SystemError[] = [];
  let here: Announcer;
  let there: Announcer;
  before(() => {
    hosts = TwoHosts.create();
    const index = (line: string) => Number.parseInt(line, 10);
    const a0 = { name: "a0", index: index(hosts.here("ip -o link show a0")) };
    const b0 = { name: "b0", index: index(hosts.there("ip -o link show b0")) };
    const options = {
      onArp: (message: ArpMessage) => arps.push(message),
      onNeighbour: (message: NeighbourAdvertisement) => neighbours.push(message),
      onError: (error: SystemError) => errors.push(error),
    };
    here = openPacketSocket({ interface: a0, ...options });
    there = hosts.asThere(() => openPacketSocket({ interface: b0, ...options }));
  });
  after(() => {
    here.close();
    there.close();
    hosts.close();
  });

  test("a gratuitous ARP is a broadcast request with sender and target alike, and moves neighbours", async () => {
    hosts.there("ip neigh replace 192.0.2.50 lladdr 02:00:00:00:00:99 dev b0 nud stale");
    assert.equal(here.announce(ip("192.0.2.50"), VMAC), undefined);
    await until(() => arps.length > 0);
    const [heard] = arps.splice(0);
    assert.equal(heard?.operation, "request");
    assert.equal(formatAddress(heard?.senderAddress ?? ip("::")), "192.0.2.50");
    assert.equal(formatAddress(heard?.targetAddress ?? ip("::")), "192.0.2.50");
    assert.equal(formatMac(heard?.senderMac ?? VMAC), "00:00:5e:00:01:33");
    assert.equal(formatMac(heard?.targetMac ?? VMAC), "ff:ff:ff:ff:ff:ff");
    assert.equal(formatMac(heard?.frameSource ?? VMAC), "00:00:5e:00:01:33");
    assert.match(hosts.there("ip neigh show 192.0.2.50"), /00:00:5e:00:01:33/);
  });

  test("an unsolicited advertisement has override set and moves neighbours", async () => {
    hosts.there("ip neigh replace fe80::50 lladdr 02:00:00:00:00:99 dev b0 nud stale");
    assert.equal(here.announce(ip("fe80::50"), VMAC), undefined);
    await until(() => neighbours.length > 0);
    const [heard] = neighbours.splice(0);
    assert.equal(formatAddress(heard?.target ?? ip("::")), "fe80::50");
    assert.equal(formatMac(heard?.mac ?? new Uint8Array()), "00:00:5e:00:01:33");
    assert.equal(heard?.override, true);
    assert.equal(heard?.solicited, false);
    assert.match(hosts.there("ip -6 neigh show fe80::50"), /00:00:5e:00:01:33/);
  });

  test("asking for an address brings the answer of its holder, for probes too", async () => {
    const own = /link\/ether (\S+)/.exec(hosts.here("ip link show a0"))?.[1] ?? "";
    const theirs = /link\/ether (\S+)/.exec(hosts.there("ip link show b0"))?.[1];
    for (const [source, target] of [
      ["192.0.2.1", "192.0.2.2"],
      ["0.0.0.0", "192.0.2.2"],
      ["fe80::1", "fe80::2"],
      ["::", "fe80::2"],
    ] as const) {
      arps.length = 0;
      neighbours.length = 0;
      assert.equal(
        here.ask(ip(target), { source: ip(source), mac: parseMac(own) ?? VMAC }),
        undefined,
      );
      const answer = (): Uint8Array | undefined =>
        arps.find(({ operation }) => operation === "reply")?.senderMac ?? neighbours[0]?.mac;
      await until(() => answer() !== undefined);
      assert.equal(formatMac(answer() ?? VMAC), theirs, `${source} asks for ${target}`);
    }
  });

  test("only messages about watched addresses are heard", async () => {
    assert.equal(there.watch([ip("192.0.2.61"), ip("fe80::61")]), undefined);
    arps.length = 0;
    neighbours.length = 0;
    for (const address of ["192.0.2.60", "192.0.2.61", "fe80::60", "fe80::61"]) {
      here.announce(ip(address), VMAC);
    }
    there.drain();
    assert.deepEqual(
      arps.map(({ senderAddress }) => formatAddress(senderAddress)),
      ["192.0.2.61"],
    );
    assert.deepEqual(
      neighbours.map(({ target }) => formatAddress(target)),
      ["fe80::61"],
    );
  });

  test("after close nothing is sent, and that is said", () => {
    here.close();
    assert.equal(here.announce(ip("192.0.2.50"), VMAC)?.code, "EBADF");
    assert.deepEqual(errors.map(String), []);
  });
});
