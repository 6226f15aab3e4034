import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import { ip, milliseconds, toMilliseconds } from "@ha/base";
import { type Beacon, type BeaconOptions, type PreparedAdvert, startBeacon } from "./beacon.ts";
import { ipPacket } from "./ip-packet.ts";
import { openVrrpSocket } from "./raw-socket.ts";
import { TwoHosts, until, whyNoNamespace } from "./testing/network-fixture.ts";
import type { VrrpSocket } from "./vrrp-transport.ts";

describe("the beacon", { skip: whyNoNamespace() }, () => {
  let hosts: TwoHosts;
  let ifindex = 0;
  const sockets: VrrpSocket[] = [];
  const heard: { readonly family: number; readonly mark: number }[] = [];
  before(() => {
    hosts = TwoHosts.create();
    ifindex = Number.parseInt(hosts.here("ip -o link show a0"), 10);
    const index = Number.parseInt(hosts.there("ip -o link show b0"), 10);
    for (const [family, group] of [
      [4, "224.0.0.18"],
      [6, "ff02::12"],
    ] as const) {
      sockets.push(
        hosts.asThere(() =>
          openVrrpSocket({
            family,
            interface: { name: "b0", index },
            groups: [ip(group)],
            onPacket: ({ payload, ttl }) => {
              assert.equal(ttl, 255);
              heard.push({ family, mark: payload[2] as number });
            },
            onError: () => undefined,
          }),
        ),
      );
    }
  });
  after(() => {
    for (const socket of sockets) socket.close();
    hosts.close();
  });
  const running: Beacon[] = [];
  const start = (options: BeaconOptions): Beacon => {
    const beacon = startBeacon(options);
    running.push(beacon);
    return beacon;
  };
  afterEach(() => {
    for (const beacon of running.splice(0)) beacon.stop();
    drain();
  });
  const advert = (mark: number, family: 4 | 6 = 4): PreparedAdvert => [
    {
      ifindex,
      packet: ipPacket(
        {
          source: ip(family === 4 ? "192.0.2.1" : "fe80::1"),
          destination: ip(family === 4 ? "224.0.0.18" : "ff02::12"),
          protocol: 112,
          ttl: 255,
        },
        Uint8Array.of(0x31, 51, mark, 0, 0, 1, 0, 0),
      ),
    },
  ];
  /** Stops the loop as a long garbage collection does. */
  const block = (ms: number): void => {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  };
  const drain = (): number[] => {
    for (const socket of sockets) socket.drain();
    return heard.splice(0).map(({ mark }) => mark);
  };

  test("adverts go on while the loop is blocked, for both families", (context) => {
    const beacon = start({
      interval: milliseconds(10),
      lease: milliseconds(2_000),
      adverts: [[...advert(1), ...advert(2, 6)]],
    });
    drain();
    block(500);
    const figures = beacon.figures();
    beacon.stop();
    const marks = drain();
    context.diagnostic(
      `${figures.sent / 2} adverts in 500 ms at 10 ms, ${toMilliseconds(figures.maxLateness)} ms late at worst`,
    );
    assert.ok(marks.filter((mark) => mark === 1).length >= 20, `${marks.length}`);
    assert.equal(
      marks.filter((mark) => mark === 1).length,
      marks.filter((mark) => mark === 2).length,
    );
    assert.equal(figures.failed, 0);
    block(50);
    assert.deepEqual(drain(), [], "nothing is sent after stop");
  });

  test("without renewal it falls silent, and only resume brings it back", () => {
    const beacon = start({
      interval: milliseconds(10),
      lease: milliseconds(100),
      adverts: [advert(3)],
    });
    block(500);
    const count = drain().length;
    // Busy machines make it late, never more.
    assert.ok(count >= 1 && count <= 10, `${count}`);
    assert.equal(beacon.figures().silent, true);
    assert.equal(beacon.figures().leaseExpired, 1);
    assert.equal(beacon.renew(), false);
    block(50);
    assert.deepEqual(drain(), []);
    beacon.resume();
    assert.equal(beacon.renew(), true);
    block(80);
    assert.ok(drain().length >= 1);
    beacon.stop();
    assert.equal(beacon.renew(), false);
  });

  test("prepared adverts go out in order, end when they are used up, and can be replaced", async () => {
    const beacon = start({
      interval: milliseconds(10),
      lease: milliseconds(2_000),
      adverts: [advert(11), advert(12), advert(13)],
      repeat: false,
      firstAfter: milliseconds(1),
    });
    await until(() => beacon.figures().silent);
    assert.deepEqual(drain(), [11, 12, 13]);
    assert.equal(beacon.replace([advert(14)]), undefined);
    await until(() => beacon.figures().sent === 4);
    assert.deepEqual(drain(), [14]);
    beacon.stop();
  });

  test("what cannot be sent is counted with its error", async () => {
    const [packet] = advert(20);
    const beacon = start({
      interval: milliseconds(5),
      lease: milliseconds(1_000),
      adverts: [[{ ifindex: 9_999, packet: packet?.packet ?? new Uint8Array() }]],
    });
    await until(() => beacon.figures().failed > 0);
    const { sent, failed, errno } = beacon.figures();
    beacon.stop();
    assert.equal(sent, 0);
    assert.ok(failed > 0);
    assert.equal(errno, 19);
  });

  test("1,000 beacons come and go, and the 1,025th is refused", () => {
    const options = {
      interval: milliseconds(1_000),
      lease: milliseconds(1_000),
      adverts: [advert(1)],
    };
    const many = Array.from({ length: 1_024 }, () => start(options));
    assert.throws(() => start(options), /ENOSPC/);
    for (const beacon of many) beacon.stop();
    start(options).stop();
  });
});
