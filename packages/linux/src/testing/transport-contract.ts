import assert from "node:assert/strict";
import { test } from "node:test";
import { formatAddress, ip } from "@ha/base";
import type {
  FilterRouter,
  InterfaceRef,
  ReceivedPacket,
  VrrpSocket,
  VrrpSocketOptions,
} from "../vrrp-transport.ts";
import {
  advert,
  broken,
  GROUP4,
  GROUP6,
  HERE,
  HERE6,
  pass,
  router,
  THERE,
  THERE6,
} from "./advert-fixture.ts";
import { until } from "./network-fixture.ts";

/** Two hosts on one link, each with an interface: 192.0.2.1 and fe80::1 here, 192.0.2.2 and fe80::2 there. */
export interface ContractWorld {
  readonly here: ContractHost;
  readonly there: ContractHost;
}

export interface ContractHost {
  readonly device: InterfaceRef;
  readonly open: (options: VrrpSocketOptions) => VrrpSocket;
}

/** What every `VrrpTransport` does, the kernel's and the one in memory alike. */
export function transportContract(world: () => ContractWorld): void {
  function open(
    side: "here" | "there",
    options: Partial<VrrpSocketOptions> & Pick<VrrpSocketOptions, "family">,
  ): { readonly socket: VrrpSocket; readonly heard: ReceivedPacket[] } {
    const host = world()[side];
    const heard: ReceivedPacket[] = [];
    const socket = host.open({
      groups: [options.family === 4 ? GROUP4 : GROUP6],
      onPacket: (packet) => heard.push(packet),
      onError: (error) => assert.fail(error.message),
      ...options,
      interface: host.device,
    });
    return { socket, heard };
  }
  const ends4 = { source: THERE, destination: GROUP4 };

  test("an advert arrives in a later turn with all that its header says, and only at the other host", async () => {
    for (const family of [4, 6] as const) {
      const { socket, heard } = open("here", { family });
      const peer = open("there", { family });
      const source = family === 4 ? THERE : THERE6;
      const destination = family === 4 ? GROUP4 : GROUP6;
      const payload = advert({ vrid: 51, version: 3, family, source });
      for (const ttl of [255, 64]) {
        const options = { source, destination, ttl, identification: 77 };
        assert.equal(peer.socket.send(payload, options), undefined);
      }
      assert.equal(heard.length, 0);
      await until(() => heard.length === 2);
      assert.deepEqual(
        heard.map((packet) => [packet.ttl, formatAddress(packet.source), packet.protocol]),
        [255, 64].map((ttl) => [ttl, formatAddress(source), 112]),
      );
      assert.equal(formatAddress(heard[0]?.destination ?? HERE), formatAddress(destination));
      assert.equal(heard[0]?.identification, family === 4 ? 77 : undefined);
      assert.equal(heard[0]?.ifindex, world().here.device.index);
      assert.deepEqual(heard[0]?.payload, payload);
      assert.deepEqual(peer.heard, [], "our own multicast does not come back");
      socket.close();
      peer.socket.close();
    }
  });

  test("a group is heard by its members alone, and unicast by the owner of the address", async () => {
    const outsider = open("here", { family: 4, groups: [] });
    const member = open("here", { family: 4 });
    const peer = open("there", { family: 4 });
    peer.socket.send(advert({ vrid: 1 }), ends4);
    peer.socket.send(advert({ vrid: 2 }), { source: THERE, destination: HERE });
    await until(() => member.heard.length === 2 && outsider.heard.length >= 1);
    assert.deepEqual(
      outsider.heard.map(({ payload }) => payload[1]),
      [2],
    );
    assert.equal(outsider.socket.join(GROUP4), undefined);
    peer.socket.send(advert({ vrid: 3 }), ends4);
    await until(() => outsider.heard.length === 2);
    assert.equal(outsider.socket.leave(GROUP4), undefined);
    member.heard.length = 0;
    peer.socket.send(advert({ vrid: 4 }), ends4);
    await until(() => member.heard.length === 1);
    outsider.socket.drain();
    assert.equal(outsider.heard.length, 2);
    for (const { socket } of [outsider, member, peer]) socket.close();
  });

  test("drain hands over at once what has arrived, in order, and as much as it may", () => {
    for (const family of [4, 6] as const) {
      const { socket, heard } = open("here", { family });
      const peer = open("there", { family });
      const ends =
        family === 4
          ? { source: THERE, destination: GROUP4 }
          : { source: THERE6, destination: GROUP6 };
      for (let vrid = 1; vrid <= 40; vrid++) peer.socket.send(advert({ vrid }), ends);
      assert.equal(socket.drain(30), 30);
      assert.equal(socket.drain(), 10);
      assert.equal(socket.drain(), 0);
      assert.deepEqual(
        heard.map(({ payload }) => payload[1]),
        Array.from({ length: 40 }, (_, i) => i + 1),
      );
      socket.close();
      peer.socket.close();
    }
  });

  test("what a packet waited for its reader is told", () => {
    const { socket, heard } = open("here", { family: 4 });
    const peer = open("there", { family: 4 });
    for (const ms of [0, 30]) {
      peer.socket.send(advert({ vrid: 51 }), ends4);
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
      socket.drain();
    }
    const waited = (heard[1]?.waited ?? 0) / 1_000;
    assert.ok(waited >= 30 && waited < 1_000, `${waited} ms`);
    socket.close();
    peer.socket.close();
  });

  test("the filter passes what is ours and counts every other by reason and sender, and can be exchanged", async () => {
    const routers: FilterRouter[] = [
      router({ vrid: 51, version: 2, authentication: { pass: pass("secret") } }),
      router({ vrid: 52, version: 3, checksums: ["pseudo"] }),
      router({ vrid: 53, version: 2, authentication: "none", sources: [ip("192.0.2.9")] }),
    ];
    const { socket, heard } = open("here", {
      family: 4,
      filter: { ownAddresses: [ip("192.0.2.77"), HERE6], routers },
    });
    const peer = open("there", { family: 4 });
    const good = [advert({ vrid: 51, pass: "secret" }), advert({ vrid: 52, version: 3 })];
    const bad: readonly [string, Uint8Array, { ttl?: number; source?: typeof THERE }?][] = [
      ["too-short", advert({ vrid: 51 }).slice(0, 7)],
      ["own-source", advert({ vrid: 51, pass: "secret" }), { source: ip("192.0.2.77") }],
      ["vrid", advert({ vrid: 99 })],
      ["ttl", advert({ vrid: 51, pass: "secret" }), { ttl: 254 }],
      ["version", advert({ vrid: 51, version: 3 })],
      ["type", broken(advert({ vrid: 51, pass: "secret" }), 0, 0x22)],
      ["length", broken(advert({ vrid: 51, pass: "secret" }), 3, 40)],
      ["auth-type", advert({ vrid: 51 })],
      ["auth-data", advert({ vrid: 51, pass: "wrong" })],
      ["source", advert({ vrid: 53 })],
      ["checksum", broken(advert({ vrid: 51, pass: "secret" }), 6, 1)],
      ["checksum", broken(advert({ vrid: 52, version: 3 }), 2, 7)],
    ];
    for (const [, payload, options] of bad) peer.socket.send(payload, { ...ends4, ...options });
    for (const payload of good) peer.socket.send(payload, ends4);
    await until(() => heard.length === good.length);
    assert.deepEqual(
      heard.map(({ payload }) => payload),
      good,
    );
    const expected: Record<string, number> = {};
    for (const [reason] of bad) expected[reason] = (expected[reason] ?? 0) + 1;
    const { total, bySender, counted } = socket.rejected();
    assert.equal(counted, true);
    assert.deepEqual(Object.fromEntries(total), expected);
    const own = bySender.find(({ reason }) => reason === "own-source");
    assert.deepEqual(
      [formatAddress(own?.source ?? HERE), own?.vrid, own?.count],
      ["192.0.2.77", 51, 1],
    );

    assert.equal(socket.setFilter(undefined), undefined);
    peer.socket.send(advert({ vrid: 99 }), ends4);
    await until(() => heard.length === good.length + 1);
    assert.deepEqual(Object.fromEntries(socket.rejected().total), expected);
    socket.close();
    peer.socket.close();
  });

  test("protocol 51 is received only where it is asked for", async () => {
    const plain = open("here", { family: 4 });
    const both = open("here", { family: 4, authenticationHeader: true });
    const peer = open("there", { family: 4, authenticationHeader: true });
    const payload = Uint8Array.from([112, 4, 0, 0, ...Array(20).fill(7), ...advert({ vrid: 9 })]);
    peer.socket.send(payload, { ...ends4, protocol: 51, identification: 5 });
    peer.socket.send(advert({ vrid: 8 }), ends4);
    await until(() => both.heard.length === 2 && plain.heard.length === 1);
    assert.equal(both.heard.find(({ protocol }) => protocol === 51)?.identification, 5);
    assert.equal(plain.heard[0]?.protocol, 112);
    for (const { socket } of [plain, both, peer]) socket.close();
  });

  test("what cannot be sent is answered in words and harms nothing", async () => {
    const { socket, heard } = open("here", { family: 4 });
    const peer = open("there", { family: 4 });
    const wrong = peer.socket.send(advert({ vrid: 1 }), { source: THERE6, destination: GROUP6 });
    assert.equal(wrong?.code, "EAFNOSUPPORT");
    assert.equal(peer.socket.send(new Uint8Array(65_536), ends4)?.code, "EMSGSIZE");
    peer.socket.send(advert({ vrid: 51 }), ends4);
    await until(() => heard.length === 1);
    peer.socket.close();
    peer.socket.close();
    assert.equal(peer.socket.closed, true);
    assert.equal(peer.socket.send(advert({ vrid: 51 }), ends4)?.code, "EBADF");
    assert.equal(peer.socket.setFilter(undefined)?.code, "EBADF");
    assert.equal(peer.socket.reopen(world().there.device)?.code, "EBADF");
    assert.equal(peer.socket.drain(), 0);
    socket.close();
  });

  test("nothing is heard after close, and opening on a device that is not there throws", () => {
    const { socket, heard } = open("here", { family: 4 });
    const peer = open("there", { family: 4 });
    peer.socket.send(advert({ vrid: 51 }), ends4);
    socket.close();
    assert.equal(socket.drain(), 0);
    assert.deepEqual(heard, []);
    peer.socket.close();
    assert.throws(
      () =>
        world().here.open({
          family: 4,
          interface: { name: "nothing0", index: 99 },
          onPacket: () => undefined,
          onError: () => undefined,
        }),
      { code: "ENODEV" },
    );
  });

  test("a socket that was opened anew hears with its groups and filter, and counts on", async () => {
    const filter = { ownAddresses: [], routers: [router({ vrid: 51, version: 2 })] };
    const { socket, heard } = open("here", { family: 4, filter });
    const peer = open("there", { family: 4 });
    peer.socket.send(advert({ vrid: 99 }), ends4);
    socket.drain();
    assert.equal(socket.reopen(world().here.device), undefined);
    peer.socket.send(advert({ vrid: 98 }), ends4);
    peer.socket.send(advert({ vrid: 51 }), ends4);
    await until(() => heard.length === 1);
    assert.equal(socket.rejected().total.get("vrid"), 2);
    socket.close();
    peer.socket.close();
  });
}
