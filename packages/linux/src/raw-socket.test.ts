import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import process from "node:process";
import { after, before, describe, test } from "node:test";
import { formatAddress, type IpAddress, ip } from "@ha/base";
import { packetEnds } from "./ip-packet.ts";
import { openVrrpSocket } from "./raw-socket.ts";
import type { SystemError } from "./system-error.ts";
import {
  advert,
  broken,
  capturedAdverts,
  GROUP4,
  GROUP6,
  HERE,
  HERE6,
  pass,
  router,
  THERE,
  THERE6,
} from "./testing/advert-fixture.ts";
import { TwoHosts, until, whyNoNamespace } from "./testing/network-fixture.ts";
import type {
  FilterRouter,
  KernelFilter,
  ReceivedPacket,
  VrrpSocket,
  VrrpSocketOptions,
} from "./vrrp-transport.ts";

describe("VRRP sockets of the kernel", { skip: whyNoNamespace() }, () => {
  let hosts: TwoHosts;
  const open: VrrpSocket[] = [];
  const errors: SystemError[] = [];
  before(() => {
    hosts = TwoHosts.create();
  });
  after(() => {
    for (const socket of open) socket.close();
    hosts.close();
  });

  function index(device: string, there: boolean): number {
    const text = there
      ? hosts.there(`ip -o link show ${device}`)
      : hosts.here(`ip -o link show ${device}`);
    return Number.parseInt(text, 10);
  }

  function socketHere(options: Partial<VrrpSocketOptions> & Pick<VrrpSocketOptions, "family">): {
    socket: VrrpSocket;
    heard: ReceivedPacket[];
  } {
    const heard: ReceivedPacket[] = [];
    const socket = openVrrpSocket({
      groups: [options.family === 4 ? GROUP4 : GROUP6],
      onPacket: (packet) => heard.push(packet),
      onError: (error) => errors.push(error),
      ...options,
      interface: options.interface ?? { name: "a0", index: index("a0", false) },
    });
    open.push(socket);
    return { socket, heard };
  }

  function socketThere(family: 4 | 6): { socket: VrrpSocket; heard: ReceivedPacket[] } {
    const device = { name: "b0", index: index("b0", true) };
    return hosts.asThere(() =>
      socketHere({ family, interface: device, authenticationHeader: true }),
    );
  }

  test("an IPv4 advert arrives with its TTL, source, destination and bytes", async () => {
    const { socket, heard } = socketHere({ family: 4 });
    const peer = socketThere(4);
    const payload = advert({ vrid: 51 });
    assert.equal(
      peer.socket.send(payload, { source: THERE, destination: GROUP4, identification: 77 }),
      undefined,
    );
    await until(() => heard.length === 1);
    const [packet] = heard;
    assert.equal(packet?.ttl, 255);
    assert.equal(formatAddress(packet?.source ?? HERE), "192.0.2.2");
    assert.equal(formatAddress(packet?.destination ?? HERE), "224.0.0.18");
    assert.equal(packet?.identification, 77);
    assert.deepEqual(packet?.payload, payload);
    assert.match(socket.description, /raw-socket to send, native with eBPF filter to receive/);
    assert.equal(peer.heard.length, 0, "our own multicast must not come back");
    socket.close();
    peer.socket.close();
  });

  test("an IPv6 advert arrives with its hop limit, from the source that was chosen", async () => {
    hosts.there("ip addr add fe80::99/64 dev b0 nodad");
    const { socket, heard } = socketHere({ family: 6 });
    const peer = socketThere(6);
    const payload = advert({ vrid: 51, version: 3, family: 6, source: ip("fe80::99") });
    for (const ttl of [255, 64]) {
      const options = { source: ip("fe80::99"), destination: GROUP6, ttl };
      assert.equal(peer.socket.send(payload, options), undefined);
    }
    await until(() => heard.length === 2);
    assert.deepEqual(
      heard.map(({ ttl, source, destination }) => [
        ttl,
        formatAddress(source),
        formatAddress(destination),
      ]),
      [
        [255, "fe80::99", "ff02::12"],
        [64, "fe80::99", "ff02::12"],
      ],
    );
    assert.deepEqual(heard[0]?.payload, payload);
    hosts.there("ip addr del fe80::99/64 dev b0");
    socket.close();
    peer.socket.close();
  });

  test("drain hands over what waits without a turn of the loop", () => {
    for (const family of [4, 6] as const) {
      const { socket, heard } = socketHere({ family });
      const peer = socketThere(family);
      const ends =
        family === 4
          ? { source: THERE, destination: GROUP4 }
          : { source: THERE6, destination: GROUP6 };
      for (let i = 0; i < 40; i++) peer.socket.send(advert({ vrid: 51 }), ends);
      assert.equal(socket.drain(30), 30);
      assert.equal(socket.drain(), 10);
      assert.equal(heard.length, 40);
      socket.close();
      peer.socket.close();
    }
  });

  test("a packet tells how long it lay in the kernel", () => {
    for (const family of [4, 6] as const) {
      const { socket, heard } = socketHere({ family });
      const peer = socketThere(family);
      const ends =
        family === 4
          ? { source: THERE, destination: GROUP4 }
          : { source: THERE6, destination: GROUP6 };
      const block = (ms: number): void => {
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
      };
      for (const ms of [0, 30, 60]) {
        peer.socket.send(advert({ vrid: 51 }), ends);
        block(ms);
        socket.drain();
      }
      const waited = heard.map((packet) => packet.waited / 1_000);
      assert.equal(waited[0], 0, "nothing to compare the clocks with");
      assert.ok((waited[1] ?? 0) >= 30 && (waited[2] ?? 0) >= 60, `waited ${waited} ms`);
      assert.ok((waited[1] ?? 0) < 1_000 && (waited[2] ?? 0) < 1_000, `waited ${waited} ms`);
      socket.close();
      peer.socket.close();
    }
  });

  test("protocol 51 is received when asked for", async () => {
    const { socket, heard } = socketHere({ family: 4, authenticationHeader: true });
    const peer = socketThere(4);
    const payload = Uint8Array.from([
      112,
      4,
      0,
      0,
      ...new Array(20).fill(7),
      ...advert({ vrid: 9 }),
    ]);
    peer.socket.send(payload, {
      source: THERE,
      destination: GROUP4,
      protocol: 51,
      identification: 5,
    });
    await until(() => heard.length === 1);
    assert.equal(heard[0]?.protocol, 51);
    assert.deepEqual(heard[0]?.payload, payload);
    socket.close();
    peer.socket.close();
  });

  test("the filter passes the adverts of our routers and counts every other by reason and sender", async () => {
    const filter: KernelFilter = {
      // Not one that is configured now: those the kernel itself drops before any socket.
      ownAddresses: [ip("192.0.2.77"), HERE6],
      routers: [
        router({ vrid: 51, version: 2, authentication: { pass: pass("secret") } }),
        router({ vrid: 52, version: 3, checksums: ["pseudo", "plain"] }),
        router({ vrid: 53, version: 2, authentication: "none", sources: [ip("192.0.2.9")] }),
        router({ vrid: 54, version: 2, authentication: "any", checksums: [] }),
        router({ vrid: 55, version: 3, checksums: [GROUP4] }),
      ],
    };
    const { socket, heard } = socketHere({ family: 4, filter });
    const peer = socketThere(4);
    const good = [
      advert({ vrid: 51, pass: "secret" }),
      advert({ vrid: 51, pass: "secret", addresses: 3 }),
      advert({ vrid: 52, version: 3 }),
      advert({ vrid: 52, version: 3, pseudo: false }),
      // Beyond what the kernel sums: left to the core.
      advert({ vrid: 52, version: 3, addresses: 255 }),
      advert({ vrid: 54, pass: "anything" }),
      advert({ vrid: 55, version: 3, destination: GROUP4 }),
      // HMAC trailer or padding after the advert.
      Uint8Array.from([...advert({ vrid: 51, pass: "secret" }), ...new Array(28).fill(9)]),
    ];
    const bad: [string, Uint8Array, { ttl?: number; source?: IpAddress }?][] = [
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
    for (const payload of good) {
      peer.socket.send(payload, { source: THERE, destination: GROUP4 });
    }
    for (const [, payload, options] of bad) {
      peer.socket.send(payload, { source: THERE, destination: GROUP4, ...options });
    }
    socket.drain();
    await until(() => heard.length >= good.length);
    assert.deepEqual(
      heard.map(({ payload }) => payload),
      good,
    );
    const { counted, total, bySender } = socket.rejected();
    assert.equal(counted, true);
    const expected = new Map<string, number>();
    for (const [reason] of bad) expected.set(reason, (expected.get(reason) ?? 0) + 1);
    assert.deepEqual(Object.fromEntries(total), Object.fromEntries(expected));
    const ours = bySender.find(({ reason }) => reason === "own-source");
    assert.deepEqual(
      { ...ours, source: formatAddress(ours?.source ?? GROUP4) },
      { source: "192.0.2.77", vrid: 51, reason: "own-source", count: 1 },
    );
    socket.close();
    peer.socket.close();
  });

  test("the filter works for IPv6", async () => {
    const filter: KernelFilter = {
      ownAddresses: [HERE6],
      routers: [router({ vrid: 51, version: 3, checksums: ["pseudo"] })],
    };
    const { socket, heard } = socketHere({ family: 6, filter });
    const peer = socketThere(6);
    const good = advert({ vrid: 51, version: 3, family: 6, source: THERE6 });
    const ends = { source: THERE6, destination: GROUP6 };
    peer.socket.send(good, ends);
    peer.socket.send(good, { ...ends, ttl: 64 });
    peer.socket.send(broken(good, 2, 9), ends);
    peer.socket.send(broken(good, 1, 9), ends);
    socket.drain();
    await until(() => heard.length >= 1);
    assert.deepEqual(heard[0]?.payload, good);
    assert.equal(heard.length, 1);
    assert.deepEqual(Object.fromEntries(socket.rejected().total), { ttl: 1, checksum: 1, vrid: 1 });
    socket.close();
    peer.socket.close();
  });

  // Goal: the filter refuses nothing that keepalived sends. Method: its captured adverts, put on the wire once more.
  test("every captured advert of the real keepalived passes the filter, and a bit flipped in it does not", async () => {
    for (const [name, more] of [
      ["v2-pass-multicast", { authentication: { pass: pass("YourPassword") } }],
      ["v2-noauth-unicast", { authentication: "none" }],
      ["v2-ah-multicast", { authentication: "ah", checksums: [] }],
      ["hmac-v2-multicast", { authentication: "none" }],
      ["v3-multicast-100ms", { version: 3, checksums: ["pseudo"] }],
      ["v3-vmac", { version: 3, checksums: ["pseudo"] }],
      ["v3-checksum-as-v2", { version: 3, checksums: ["plain"] }],
      ["hmac-v3-multicast", { version: 3, checksums: ["pseudo"] }],
      ["v3-ipv6-multicast", { version: 3, checksums: ["pseudo"] }],
    ] as const satisfies readonly (readonly [string, Partial<FilterRouter>])[]) {
      const packets = capturedAdverts(name);
      assert.ok(packets.length >= 2, name);
      const family = (packets[0]?.[0] ?? 0) >> 4 === 6 ? 6 : 4;
      const filter: KernelFilter = {
        ownAddresses: [ip("192.168.10.2"), ip("fe80::10:2")],
        routers: [router({ vrid: 51, version: 2, ...more })],
      };
      if (family === 6) {
        const source = formatAddress(packetEnds(packets[0] ?? new Uint8Array()).source);
        hosts.there(`ip addr add ${source}/64 dev b0 nodad`);
      }
      const { socket, heard } = socketHere({ family, filter, authenticationHeader: true });
      const peer = socketThere(family);
      // Unicast ones go to the group instead, which their sums do not cover.
      const send = (packet: Uint8Array): SystemError | undefined => {
        const copy = packet.slice();
        if (name.includes("unicast")) copy.set(GROUP4.bytes, 16);
        return peer.socket.sendPacket(copy);
      };
      for (const packet of packets) assert.equal(send(packet), undefined, name);
      socket.drain();
      assert.equal(heard.length, packets.length, `${name}: ${[...socket.rejected().total]}`);
      assert.deepEqual([...socket.rejected().total], [], name);
      if (!name.includes("-ah-")) {
        const flipped = (packets[0] ?? new Uint8Array()).slice();
        const at = (family === 4 ? 20 : 40) + 2;
        flipped[at] = (flipped[at] ?? 0) ^ 4;
        send(flipped);
        socket.drain();
        assert.deepEqual([...socket.rejected().total], [["checksum", 1]], name);
      }
      socket.close();
      peer.socket.close();
    }
  });

  test("without eBPF a classic filter on our own socket refuses what it can", async () => {
    const filter: KernelFilter = {
      ownAddresses: [ip("192.0.2.77"), ip("fe80::77")],
      routers: [
        router({ vrid: 51, version: 2 }),
        router({ vrid: 52, version: 3, sources: [THERE, THERE6] }),
        router({ vrid: 53, version: 3, sources: [ip("192.0.2.9"), ip("fe80::9")] }),
      ],
    };
    for (const family of [4, 6] as const) {
      const heard: ReceivedPacket[] = [];
      const socket = openVrrpSocket(
        {
          family,
          interface: { name: "a0", index: index("a0", false) },
          groups: [family === 4 ? GROUP4 : GROUP6],
          filter,
          onPacket: (packet) => heard.push(packet),
          onError: (error) => errors.push(error),
        },
        { ebpf: false },
      );
      open.push(socket);
      assert.match(socket.description, /classic filter/);
      const peer = socketThere(family);
      const source = family === 4 ? THERE : THERE6;
      const destination = family === 4 ? GROUP4 : GROUP6;
      const good = [
        advert({ vrid: 51, family }),
        advert({ vrid: 52, version: 3, family }),
        broken(advert({ vrid: 51, family }), 6, 1),
      ];
      for (const payload of good) peer.socket.send(payload, { source, destination });
      const stranger = family === 4 ? ip("192.0.2.77") : ip("fe80::77");
      if (family === 6) hosts.there("ip addr add fe80::77/64 dev b0 nodad");
      for (const failure of [
        peer.socket.send(advert({ vrid: 51, family }), { source: stranger, destination }),
        peer.socket.send(advert({ vrid: 99, family }), { source, destination }),
        peer.socket.send(advert({ vrid: 51, family }), { source, destination, ttl: 254 }),
        peer.socket.send(advert({ vrid: 51, version: 3, family }), { source, destination }),
        peer.socket.send(advert({ vrid: 53, version: 3, family }), { source, destination }),
      ]) {
        assert.equal(failure, undefined);
      }
      socket.drain();
      assert.deepEqual(
        heard.map(({ payload }) => payload),
        good,
      );
      assert.equal(socket.rejected().counted, false);
      assert.equal(
        socket.send(advert({ vrid: 51, family }), {
          source: family === 4 ? HERE : HERE6,
          destination,
        }),
        undefined,
      );
      peer.socket.drain();
      assert.equal(peer.heard.length, 1);
      socket.close();
      peer.socket.close();
    }
  });

  test("a filter of 255 virtual routers loads, and can be exchanged", async () => {
    const routers = Array.from({ length: 255 }, (_, i) =>
      router({
        vrid: i + 1,
        version: 2,
        authentication: { pass: pass(`p${i}`) },
        sources: Array.from({ length: 8 }, (_, peer) => ip(`192.0.2.${peer + 1}`)),
      }),
    );
    const { socket, heard } = socketHere({ family: 4, filter: { routers, ownAddresses: [HERE] } });
    const peer = socketThere(4);
    const ends = { source: THERE, destination: GROUP4 };
    peer.socket.send(advert({ vrid: 255, pass: "p254" }), ends);
    socket.drain();
    assert.equal(heard.length, 1);
    assert.equal(socket.setFilter({ routers: [], ownAddresses: [] }), undefined);
    peer.socket.send(advert({ vrid: 255, pass: "p254" }), ends);
    socket.drain();
    assert.equal(heard.length, 1);
    assert.equal(socket.setFilter(undefined), undefined);
    peer.socket.send(advert({ vrid: 255, pass: "p254" }), ends);
    socket.drain();
    assert.equal(heard.length, 2);
    socket.close();
    peer.socket.close();
  });

  test("a device made anew is silent until reopen, and then heard", async () => {
    hosts.here("ip link add t0 type veth peer name t1");
    hosts.here("ip link set t0 up");
    const { socket } = socketHere({
      family: 4,
      interface: { name: "t0", index: index("t0", false) },
    });
    hosts.here("ip link del t0");
    const ends = { source: HERE, destination: GROUP4 };
    const failure = socket.send(advert({ vrid: 1 }), ends);
    assert.equal(failure?.code, "ENODEV");
    hosts.here("ip link add t0 type veth peer name t1");
    hosts.here("ip link set t0 up");
    hosts.here("ip link set t1 up");
    assert.equal(socket.reopen({ name: "t0", index: index("t0", false) }), undefined);
    assert.equal(socket.send(advert({ vrid: 1 }), ends), undefined);
    socket.close();
    assert.equal(socket.send(advert({ vrid: 1 }), ends)?.code, "EBADF");
    hosts.here("ip link del t0");
  });

  test("no socket is inherited by the programs that we start", () => {
    const { socket } = socketHere({ family: 4, authenticationHeader: true });
    const six = socketHere({ family: 6 }).socket;
    const child = execFileSync("/bin/ls", ["-l", "/proc/self/fd"], { encoding: "utf8" });
    assert.doesNotMatch(child.replaceAll(/ [012] -> .*/g, ""), /socket:/);
    socket.close();
    six.close();
  });

  test("opening where the device is missing throws the kernel's code", () => {
    assert.throws(
      () => socketHere({ family: 4, interface: { name: "nosuch0", index: 99 } }),
      (error: SystemError) => error.code === "ENODEV",
    );
  });

  test("1,000 times open and close leave no descriptor behind", async () => {
    const count = (): number => readdirSync("/proc/self/fd").length;
    const filter: KernelFilter = { ownAddresses: [], routers: [router({ vrid: 1, version: 2 })] };
    socketHere({ family: 4, filter }).socket.close();
    socketHere({ family: 6, filter }).socket.close();
    const device = { name: "a0", index: index("a0", false) };
    const earlier = count();
    for (let i = 0; i < 500; i++) {
      for (const family of [4, 6] as const) {
        const socket = openVrrpSocket({
          family,
          interface: device,
          groups: [],
          filter,
          onPacket: () => undefined,
          onError: () => undefined,
        });
        socket.close();
      }
      if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(count(), earlier);
  });

  test("20,000 bogus adverts a second cost the process almost nothing", async (context) => {
    const filter: KernelFilter = {
      ownAddresses: [HERE],
      routers: [router({ vrid: 51, version: 2, authentication: { pass: pass("secret") } })],
    };
    const { socket, heard } = socketHere({ family: 4, filter });
    const peer = socketThere(4);
    const bogus = [
      advert({ vrid: 51, pass: "wrong" }),
      advert({ vrid: 77 }),
      broken(advert({ vrid: 51, pass: "secret" }), 6, 3),
    ];
    const ends = { source: THERE, destination: GROUP4 };
    // The sender is this very process, so its own cost is measured first, with nobody to receive.
    const rounds = 20_000;
    const send = (): number => {
      const start = process.cpuUsage();
      for (let i = 0; i < rounds; i++) peer.socket.send(bogus[i % 3] as Uint8Array, ends);
      const used = process.cpuUsage(start);
      return used.user + used.system;
    };
    send();
    await until(() => true);
    const idle = process.cpuUsage();
    send();
    const sending = process.cpuUsage(idle);
    const before = process.cpuUsage();
    await new Promise((resolve) => setTimeout(resolve, 100));
    const receiving = process.cpuUsage(before);
    const rest = receiving.user + receiving.system;
    context.diagnostic(
      `sending 20,000: ${(sending.user + sending.system) / 1000} ms of CPU in all; receiving after it: ${rest / 1000} ms`,
    );
    assert.equal(heard.length, 0);
    let total = 0;
    for (const count of socket.rejected().total.values()) total += count;
    assert.equal(total, 2 * rounds);
    assert.ok(rest < 100_000, `${rest} µs of CPU to receive what the kernel had refused`);
    socket.close();
    peer.socket.close();
  });

  test("no error was reported that no test expected", () => {
    assert.deepEqual(
      errors.filter(({ code }) => code !== "ENETDOWN" && code !== "ENODEV").map(String),
      [],
    );
  });
});
