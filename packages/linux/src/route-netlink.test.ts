import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import { formatAddress, formatMac, ip, parseMac } from "@ha/base";
import { addAddress, removeAddress } from "./address-request.ts";
import {
  addVirtualLink,
  removeLink,
  setAddressGeneration,
  setLinkDown,
  setLinkMac,
  setLinkUp,
} from "./link-request.ts";
import type {
  AddressSpec,
  NetworkEvent,
  NetworkState,
  RouteSpec,
  RuleSpec,
} from "./network-state.ts";
import { openRouteNetlink } from "./route-netlink.ts";
import { addRoute, addRule, removeRoute, removeRule, routeKey, ruleKey } from "./route-request.ts";
import type { SystemError } from "./system-error.ts";
import { TwoHosts, until, whyNoNamespace } from "./testing/network-fixture.ts";

describe("rtnetlink", { skip: whyNoNamespace() }, () => {
  let hosts: TwoHosts;
  let network: NetworkState;
  const events: NetworkEvent[] = [];
  const errors: SystemError[] = [];
  before(() => {
    hosts = TwoHosts.create();
    network = openRouteNetlink({ watchRoutes: true, onError: (error) => errors.push(error) });
    network.listen((event) => events.push(event));
  });
  after(() => {
    network.close();
    hosts.close();
  });
  const a0 = (): number => network.linkByName("a0")?.index ?? 0;
  const spec = (text: string, length: number, more: Partial<AddressSpec> = {}): AddressSpec => ({
    ifindex: a0(),
    prefix: { address: ip(text), length },
    ...more,
  });

  test("links and addresses that exist are known at once", () => {
    const link = network.linkByName("a0");
    assert.equal(link?.kind, "veth");
    assert.equal(link?.running, true);
    assert.equal(link?.carrier, true);
    assert.equal(link?.mtu, 1500);
    assert.match(formatMac(link?.mac ?? new Uint8Array()), /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/);
    assert.equal(network.hasAddress(ip("192.0.2.1")), true);
    assert.equal(network.hasAddress(ip("fe80::1")), true);
    assert.equal(network.hasAddress(ip("192.0.2.2")), false);
  });

  test("every option of an address arrives as `ip` shows it", async () => {
    const wanted: [AddressSpec, RegExp][] = [
      [spec("198.51.100.1", 32), /inet 198.51.100.1\/32 scope global a0/],
      [
        spec("198.51.100.2", 24, { broadcast: "+", label: "a0:vip", scope: 253 }),
        /inet 198.51.100.2\/24 brd 198.51.100.255 scope link a0:vip/,
      ],
      [spec("198.51.101.2", 24, { broadcast: "-" }), /inet 198.51.101.2\/24 brd 198.51.101.0 /],
      [
        spec("198.51.102.2", 24, { broadcast: ip("198.51.102.7"), noprefixroute: true }),
        /inet 198.51.102.2\/24 brd 198.51.102.7 scope global noprefixroute a0/,
      ],
      [
        spec("198.51.103.1", 32, { peer: { address: ip("198.51.103.2"), length: 32 } }),
        /inet 198.51.103.1 peer 198.51.103.2\/32/,
      ],
      [
        spec("198.51.104.1", 32, { validLifetime: 60, preferredLifetime: 0 }),
        /inet 198.51.104.1\/32 scope global deprecated dynamic a0\s+valid_lft 60sec preferred_lft 0sec/,
      ],
      [spec("2001:db8::1", 64), /inet6 2001:db8::1\/64 scope global nodad/],
      [
        spec("2001:db8::2", 128, { preferredLifetime: 0, home: true, noprefixroute: true }),
        /inet6 2001:db8::2\/128 scope global nodad home deprecated noprefixroute/,
      ],
      [
        spec("2001:db8::3", 64, { mngtmpaddr: true, nodad: false }),
        /inet6 2001:db8::3\/64 scope global .*mngtmpaddr/,
      ],
    ];
    const results = await network.applyAll(wanted.map(([address]) => addAddress(address)));
    assert.deepEqual(
      results,
      wanted.map(() => undefined),
    );
    const shown = hosts.here("ip addr show dev a0");
    for (const [, pattern] of wanted) assert.match(shown, pattern);
    const gone = await network.applyAll(wanted.map(([address]) => removeAddress(address)));
    assert.deepEqual(
      gone,
      wanted.map(() => undefined),
    );
    const left = hosts.here("ip addr show dev a0");
    assert.doesNotMatch(left, /198\.51|2001:db8/);
  });

  test("adding what is there and removing what is not are both done", async () => {
    const address = spec("198.51.100.9", 32);
    assert.equal(await network.apply(addAddress(address)), undefined);
    assert.equal(await network.apply(addAddress(address)), undefined);
    assert.equal(await network.apply(removeAddress(address)), undefined);
    assert.equal(await network.apply(removeAddress(address)), undefined);
  });

  test("what the kernel refuses has its code and says what was wanted", async () => {
    const failure = await network.apply(addAddress({ ...spec("198.51.100.9", 32), ifindex: 9999 }));
    assert.equal(failure?.code, "ENODEV");
    assert.equal(failure?.operation, "add address 198.51.100.9/32 on interface 9999");
  });

  test("an address event tells our own changes from those of others", async () => {
    events.length = 0;
    const address = spec("198.51.100.20", 32);
    await network.apply(addAddress(address));
    hosts.here("ip addr del 198.51.100.20/32 dev a0");
    await until(() => events.some(({ type }) => type === "address-gone"));
    assert.deepEqual(
      events.map((event) =>
        "address" in event && "by" in event
          ? [event.type, formatAddress(event.address.address), event.by.ours]
          : [event.type],
      ),
      [
        ["address", "198.51.100.20", true],
        ["address-gone", "198.51.100.20", false],
      ],
    );
  });

  test("a renewed lifetime makes no event", async () => {
    const address = spec("198.51.100.21", 32, { validLifetime: 30 });
    await network.apply(addAddress(address));
    network.drain();
    events.length = 0;
    for (let i = 0; i < 5; i++) await network.apply(addAddress(address));
    network.drain();
    assert.deepEqual(events, []);
    await network.apply(removeAddress(address));
  });

  test("routes arrive as `ip` shows them, and go", async () => {
    const prefix = (text: string, length: number) => ({ address: ip(text), length });
    const routes: [RouteSpec, RegExp][] = [
      [
        {
          family: 4,
          to: prefix("203.0.113.0", 24),
          via: ip("192.0.2.254"),
          source: ip("192.0.2.1"),
        },
        /203.0.113.0\/24 via 192.0.2.254 dev a0 (table main )?proto keepalived src 192.0.2.1/,
      ],
      [
        {
          family: 4,
          to: undefined,
          via: ip("192.0.2.253"),
          ifindex: a0(),
          table: 1000,
          metric: 77,
          metrics: { mtu: 1400, advmss: 1300, rtt: 100, congctl: "reno" },
          lockedMetrics: ["mtu"],
        },
        /default via 192.0.2.253 dev a0 table 1000 proto keepalived metric 77 mtu lock 1400 rtt 100ms advmss 1300 congctl reno/,
      ],
      [
        {
          family: 4,
          to: prefix("203.0.114.0", 24),
          nexthops: [
            { via: ip("192.0.2.10"), ifindex: a0(), weight: 3 },
            { via: ip("192.0.2.11"), ifindex: a0() },
          ],
        },
        /203.0.114.0\/24 .*proto keepalived\s+nexthop via 192.0.2.10 dev a0 weight 3 *\n?\s*nexthop via 192.0.2.11 dev a0 weight 1/,
      ],
      [
        {
          family: 4,
          to: prefix("203.0.118.0", 24),
          nexthops: [
            { via: ip("192.0.2.10"), ifindex: a0(), realms: 5 },
            { via: ip("192.0.2.11"), ifindex: a0(), realms: (7 << 16) | 8 },
          ],
        },
        /203.0.118.0\/24 .*\s+nexthop via 192.0.2.10 realm 5 dev a0 weight 1 *\n?\s*nexthop via 192.0.2.11 realms 7\/8 dev a0/,
      ],
      [
        {
          family: 4,
          to: prefix("203.0.119.0", 24),
          via: ip("192.0.2.10"),
          ifindex: a0(),
          encap: {
            type: "ip",
            id: 100n,
            destination: ip("198.51.100.7"),
            source: ip("198.51.100.8"),
            ttl: 9,
            tos: 16,
          },
        },
        /203.0.119.0\/24 +encap ip id 100 src 198.51.100.8 dst 198.51.100.7 ttl 9 tos 16 via 192.0.2.10 dev a0/,
      ],
      [
        {
          family: 6,
          to: prefix("2001:db8:a::", 48),
          via: ip("fe80::2"),
          ifindex: a0(),
          encap: { type: "ip6", id: 1n << 40n, destination: ip("2001:db8::7") },
        },
        /2001:db8:a::\/48 +encap ip6 id 1099511627776 src :: dst 2001:db8::7 .*via fe80::2 dev a0/,
      ],
      [
        { family: 4, to: prefix("203.0.115.0", 24), type: "blackhole" },
        /blackhole 203.0.115.0\/24 (table main )?proto keepalived/,
      ],
      [
        {
          family: 4,
          to: prefix("203.0.116.0", 24),
          via: ip("10.9.9.9"),
          ifindex: a0(),
          onlink: true,
          tos: 16,
        },
        /203.0.116.0\/24 tos (throughput|lowdelay|0x10) via 10.9.9.9 dev a0 .*onlink/,
      ],
      [
        { family: 4, to: prefix("203.0.117.0", 24), ifindex: a0(), via: ip("fe80::2") },
        /203.0.117.0\/24 via inet6 fe80::2 dev a0/,
      ],
      [
        {
          family: 6,
          to: prefix("2001:db8:9::", 48),
          via: ip("fe80::2"),
          ifindex: a0(),
          pref: "high",
        },
        /2001:db8:9::\/48 via fe80::2 dev a0 .*proto keepalived.* pref high/,
      ],
    ];
    const results = await network.applyAll(routes.map(([route]) => addRoute(route)));
    assert.deepEqual(
      results,
      routes.map(() => undefined),
    );
    const shown = `${hosts.here("ip route show table all")}${hosts.here("ip -6 route show table all")}`;
    for (const [, pattern] of routes) assert.match(shown, pattern);
    events.length = 0;
    const gone = await network.applyAll(routes.map(([route]) => removeRoute(route)));
    assert.deepEqual(
      gone,
      routes.map(() => undefined),
    );
    assert.doesNotMatch(
      `${hosts.here("ip route show table all")}${hosts.here("ip -6 route show table all")}`,
      /keepalived/,
    );
    network.drain();
    const keys = events.flatMap((event) => (event.type === "route-gone" ? [event.key] : []));
    assert.deepEqual(
      keys,
      routes.map(([route]) => routeKey(route)),
    );
  });

  test("rules arrive as `ip` shows them, and go", async () => {
    const rules: [RuleSpec, RegExp][] = [
      [
        {
          family: 4,
          priority: 1000,
          from: { address: ip("203.0.113.0"), length: 24 },
          table: 1000,
        },
        /1000:\s+from 203.0.113.0\/24 lookup 1000 proto keepalived/,
      ],
      [
        {
          family: 4,
          priority: 1001,
          not: true,
          to: { address: ip("203.0.114.7"), length: 32 },
          iif: "a0",
          fwmark: 5,
          fwmask: 255,
          type: "blackhole",
        },
        /1001:\s+not from all to 203.0.114.7 fwmark 0x5\/0xff iif a0 blackhole/,
      ],
      [
        {
          family: 4,
          priority: 1002,
          oif: "a0",
          uidRange: { start: 10, end: 20 },
          ipproto: 6,
          sport: { start: 80, end: 90 },
          dport: { start: 443, end: 443 },
          table: 5,
          suppressPrefixLength: 0,
        },
        /1002:\s+from all oif a0 uidrange 10-20 ipproto tcp sport 80-90 dport 443 lookup 5 suppress_prefixlength 0/,
      ],
      [{ family: 4, priority: 1003, goto: 2000 }, /1003:\s+from all goto 2000/],
      [
        { family: 6, priority: 1004, from: { address: ip("2001:db8::"), length: 32 }, table: 1000 },
        /1004:\s+from 2001:db8::\/32 lookup 1000 proto keepalived/,
      ],
    ];
    const results = await network.applyAll(rules.map(([rule]) => addRule(rule)));
    assert.deepEqual(
      results,
      rules.map(() => undefined),
    );
    const shown = `${hosts.here("ip rule")}${hosts.here("ip -6 rule")}`;
    for (const [, pattern] of rules) assert.match(shown, pattern);
    assert.equal(await network.apply(addRule(rules[0]?.[0] as RuleSpec)), undefined);
    events.length = 0;
    await network.applyAll(rules.map(([rule]) => removeRule(rule)));
    assert.doesNotMatch(`${hosts.here("ip rule")}${hosts.here("ip -6 rule")}`, /100[0-4]:/);
    network.drain();
    const keys = events.flatMap((event) => (event.type === "rule-gone" ? [event.key] : []));
    assert.deepEqual(
      keys,
      rules.map(([rule]) => ruleKey(rule)),
    );
  });

  test("a macvlan is made with its MAC, brought up, renamed addresses off, and deleted", async () => {
    const mac = parseMac("00:00:5e:00:01:33") ?? new Uint8Array();
    events.length = 0;
    const failure = await network.apply(
      addVirtualLink({ kind: "macvlan", name: "vrrp.51", lowerIndex: a0(), mac }),
    );
    assert.equal(failure, undefined);
    network.drain();
    const link = network.linkByName("vrrp.51");
    assert.ok(link !== undefined);
    assert.equal(link.kind, "macvlan");
    assert.equal(link.lowerIndex, a0());
    assert.equal(link.up, false);
    assert.deepEqual(
      await network.applyAll([setAddressGeneration(link, "none"), setLinkUp(link)]),
      [undefined, undefined],
    );
    const shown = hosts.here("ip -d link show vrrp.51");
    assert.match(shown, /macvlan mode private/);
    assert.match(shown, /00:00:5e:00:01:33/);
    assert.match(shown, /addrgenmode none/);
    network.drain();
    assert.equal(network.linkByName("vrrp.51")?.running, true);
    assert.equal(
      (
        await network.apply(
          addVirtualLink({ kind: "macvlan", name: "vrrp.51", lowerIndex: a0(), mac }),
        )
      )?.code,
      "EEXIST",
    );
    assert.equal(await network.apply(setLinkMac(link, link.mac)), undefined);
    assert.equal(await network.apply(removeLink(link)), undefined);
    assert.equal(await network.apply(removeLink(link)), undefined);
    network.drain();
    assert.equal(network.linkByName("vrrp.51"), undefined);
    assert.ok(events.some((event) => event.type === "link-gone" && event.link.name === "vrrp.51"));
  });

  test("loss of carrier, down, rename and a device made anew are told", async () => {
    hosts.here("ip link add t0 type veth peer name t1");
    hosts.here("ip link set t0 up");
    hosts.here("ip link set t1 up");
    await until(() => network.linkByName("t0")?.running === true);
    const first = network.linkByName("t0");
    events.length = 0;
    const start = performance.now();
    hosts.here("ip link set t1 down");
    await until(() => network.linkByName("t0")?.carrier === false);
    assert.ok(performance.now() - start < 500);
    assert.equal(network.linkByName("t0")?.up, true);
    assert.equal(await network.apply(setLinkDown(first ?? { index: 0, name: "" })), undefined);
    await until(() => network.linkByName("t0")?.up === false);
    hosts.here("ip link set t0 name t9");
    await until(() => network.linkByName("t9")?.index === first?.index);
    hosts.here("ip link del t9");
    hosts.here("ip link add t0 type veth peer name t1");
    await until(() => (network.linkByName("t0")?.index ?? 0) > (first?.index ?? 0));
    assert.ok(events.some((event) => event.type === "link-gone" && event.link.name === "t9"));
    hosts.here("ip link del t0");
  });

  test("500 link changes while the loop is blocked, and a tiny buffer, lose nothing in the end", async () => {
    const small = openRouteNetlink({
      eventBufferBytes: 4_096,
      onError: (error) => errors.push(error),
    });
    const told: NetworkEvent[] = [];
    small.listen((event) => told.push(event));
    hosts.here("ip link add s0 type veth peer name s1");
    await until(() => small.linkByName("s0") !== undefined);
    const batch = Array.from({ length: 500 }, (_, i) =>
      i % 2 === 0 ? "link set s0 up" : "link set s0 down",
    ).join("\n");
    execFileSync("ip", ["-batch", "-"], { input: `${batch}\naddr add 198.51.100.77/32 dev s0\n` });
    await until(() => told.some(({ type }) => type === "resync"));
    assert.equal(small.linkByName("s0")?.up, false);
    assert.equal(small.hasAddress(ip("198.51.100.77")), true);
    await until(() => network.hasAddress(ip("198.51.100.77")));
    small.close();
    hosts.here("ip link del s0");
  });

  test("requests that wait when netlink is closed are settled", async () => {
    const short = openRouteNetlink({ onError: (error) => errors.push(error) });
    const pending = short.apply(addAddress(spec("198.51.100.88", 32)));
    short.close();
    const outcome = await pending;
    assert.ok(outcome === undefined || outcome.code === "ECANCELED");
    assert.equal((await short.apply(addAddress(spec("198.51.100.88", 32))))?.code, "EBADF");
    await network.apply(removeAddress(spec("198.51.100.88", 32)));
  });

  test("a listener that throws is reported and harms no other", async () => {
    const stop = network.listen(() => {
      throw new Error("listener");
    });
    events.length = 0;
    await network.apply(addAddress(spec("198.51.100.30", 32)));
    network.drain();
    stop();
    assert.equal(events.length, 1);
    assert.match(errors.pop()?.message ?? "", /listener/);
    await network.apply(removeAddress(spec("198.51.100.30", 32)));
  });

  test("300 times open and close leave no descriptor behind", async () => {
    const count = (): number => readdirSync("/proc/self/fd").length;
    openRouteNetlink({ onError: () => undefined }).close();
    await new Promise((resolve) => setTimeout(resolve, 20));
    const earlier = count();
    for (let i = 0; i < 300; i++) {
      openRouteNetlink({ onError: () => undefined }).close();
      if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(count(), earlier);
  });

  test("no error was reported that no test expected", () => {
    assert.deepEqual(errors.map(String), []);
  });
});
