import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { describe, test } from "node:test";
import { Daemon, type DaemonKind, type Host, missing, now, sleep, until } from "@ha/lab/namespaces";
import { type InstancePlan, keepalivedConf } from "../support/keepalived-conf.ts";
import { ADDRESSES, type Pair, VIRTUAL_ADDRESS } from "../support/pair.ts";
import { scenario } from "../support/scenario.ts";

// Goal: keywords and options that few files have do in the kernel and on the wire what keepalived's manual says.
// Method: a host is started with them and looked at by `ip`, /proc and the switch; where keepalived 2.2.7 knows the
// keyword, it runs on the same host before, and both must leave the same in the kernel.

const OURS = [{ lb1: "vrrpd", lb2: "vrrpd" }] as const;
const owner = (more: Partial<InstancePlan> = {}): InstancePlan => ({
  priority: 255,
  state: "MASTER",
  addresses: [VIRTUAL_ADDRESS],
  ...more,
});

/** Every address that a daemon put somewhere, as `vrrp1.51 00:00:5e:00:01:33 10.78.0.100/24`. */
async function placed(host: Host): Promise<string[]> {
  const { stdout } = await host.run("ip", ["-json", "address", "show"]);
  const links: {
    ifname: string;
    address: string;
    addr_info: { local: string; prefixlen: number; scope: string }[];
  }[] = JSON.parse(stdout);
  return links
    .flatMap(({ ifname, address, addr_info }) =>
      addr_info
        .filter(({ local }) => /\.(1\d\d)$|::1\d\d$/.test(local))
        .map(({ local, prefixlen }) => {
          const mac = ifname.startsWith("vrrp") ? address : "own";
          return `${ifname} ${mac} ${local}/${prefixlen}`;
        }),
    )
    .sort();
}

/** The PID file's, of the process that speaks. */
const pidIn = (host: Host, path: string): number => Number(host.readFile(path).trim());

describe("keywords that few have", { concurrency: 4 }, () => {
  scenario(
    "use_vmac_addr and use_vmac of a line make the macvlans that keepalived makes, and none is left",
    async (pair) => {
      const host = pair.host("lb1");
      const config = keepalivedConf([
        owner({
          lines: [
            "use_vmac",
            "use_vmac_addr",
            "virtual_ipaddress_excluded {",
            "  fd77::100/64",
            "}",
          ],
          addresses: ["10.77.0.100/24", "10.78.0.100/24 dev eth1", "10.78.0.101/24 dev eth1"],
        }),
        owner({
          name: "VI_2",
          vrid: 52,
          addresses: ["10.77.0.110/24", "10.78.0.110/24 dev eth1 use_vmac"],
        }),
      ]);
      const found: Record<string, string[]> = {};
      for (const kind of ["keepalived", "vrrpd"] satisfies DaemonKind[]) {
        const daemon = await pair.start("lb1", kind, config);
        await until(`${kind} to place its addresses`, 10_000, async () =>
          (await placed(host)).length === 6 ? true : undefined,
        );
        found[kind] = await placed(host);
        await daemon.stop();
        assert.doesNotMatch(await host.shell("ip -br link"), /vrrp/, `left by ${kind}`);
      }
      assert.deepEqual(found["vrrpd"], found["keepalived"]);
    },
    { only: [{ lb1: "keepalived", lb2: "vrrpd" }], secondNetwork: true },
  );

  scenario(
    "a static address of a track_group that cannot be put back is a fault of its instances until it is",
    async (pair) => {
      const host = pair.host("lb1");
      await host.ip("link add s0 type veth peer name s1", "link set s0 up", "link set s1 up");
      const config = keepalivedConf(
        [{ priority: 150, interval: 0.1, version: 3, addresses: [VIRTUAL_ADDRESS] }],
        {
          globals: ["dynamic_interfaces"],
          before: `track_group T {\n  group {\n    VI_1\n  }\n}\nstatic_ipaddress {\n  10.79.0.100/24 dev s0 track_group T\n}\nlinkbeat_interfaces {\n  eth0 ETHTOOL\n}\n`,
        },
      );
      const daemon = await pair.start("lb1", "vrrpd", config);
      await pair.settle("lb1");
      // Put back at once: no fault.
      const removed = now();
      await host.ip("address del 10.79.0.100/24 dev s0");
      await daemon.waitForLog(/Restoring deleted static address 10.79.0.100/, 3_000, removed);
      await sleep(300);
      assert.match(await host.shell("ip -br address show dev s0"), /10\.79\.0\.100/);
      assert.deepEqual(
        daemon.log.filter(({ text }) => /FAULT/.test(text)),
        [],
      );
      const gone = now();
      await host.ip("link del s0");
      await daemon.waitForLog(/\(VI_1\) Entering FAULT STATE/, 3_000, gone);
      await host.ip("link add s0 type veth peer name s1", "link set s0 up", "link set s1 up");
      await pair.settle("lb1");
      assert.match(await host.shell("ip -br address show dev s0"), /10\.79\.0\.100/);
    },
    { only: OURS },
  );

  scenario(
    "a reload leaves what config_save_dir and reload_check_config ask for, and options without effect say so",
    async (pair) => {
      const host = pair.host("lb1");
      const globals = ["config_save_dir /run/saved", "reload_check_config /run/reload.log"];
      const before = "bfd_instance B {\n  neighbor_ip 10.77.0.12\n  source_ip 10.77.0.11\n}\n";
      const daemon = await Daemon.start(
        "vrrpd",
        host,
        keepalivedConf([owner()], { globals, before }),
        {
          options: ["-n", "-l", "-D", "-X", "-c", "/run/c.pid", "-b", "/run/b.pid"],
        },
      );
      await daemon.waitForLog(/Startup complete/, 10_000);
      assert.ok(daemon.log.some(({ text }) => /option -X changes nothing/.test(text)));
      assert.ok(daemon.log.some(({ text }) => /option -c changes nothing/.test(text)));
      assert.equal(pidIn(host, "/run/b.pid"), pidIn(host, "/run/keepalived.pid"));
      const reloaded = daemon.reload(
        keepalivedConf([owner({ priority: 255 })], {
          globals,
          before: `${before}\nnonsense_here 5\n`,
        }),
      );
      await daemon.waitForLog(/Reload (complete|refused)/, 5_000, reloaded);
      assert.match(
        host.readFile("/run/reload.log"),
        /keepalived\.conf:\d+:\d+: \w+: .*nonsense_here/,
      );
      const changed = [
        ...globals,
        "vrrp_cpu_affinity 0",
        "vrrp_process_name ha_two",
        "vrrp_timer_thread off",
      ];
      const good = daemon.reload(
        keepalivedConf([owner({ interval: 2 })], { globals: changed, before }),
      );
      await daemon.waitForLog(/Reload complete/, 5_000, good);
      // What a running process can change is in force; what it cannot is told.
      const pid = daemon.speaker();
      assert.equal(readFileSync(`/proc/${pid}/comm`, "utf8").trim(), "ha_two");
      const { stdout } = spawnSync("taskset", ["-p", String(pid)], { encoding: "utf8" });
      assert.match(stdout, /mask: 1$/m);
      const told = daemon.log.filter(({ text }) => /takes effect at the next start/.test(text));
      assert.deepEqual(
        told.map(({ text }) => /: (\w+) has changed/.exec(text)?.[1]),
        ["vrrp_timer_thread"],
      );
      const saved = readdirSync(host.pathOutside("/run/saved")).map((name) =>
        name.replace(/\d+/, "PID"),
      );
      for (const name of [
        "keepalived.conf.PID.0",
        "keepalived.conf.PID.1",
        "keepalived_vrrp.PID.1.pre",
        "keepalived_vrrp.PID.1.post",
      ]) {
        assert.ok(saved.includes(name), `${name} is not among ${saved}`);
      }
      await daemon.stop();
      assert.equal(existsSync(host.pathOutside("/run/b.pid")), false);
    },
    { only: OURS },
  );

  scenario(
    "routes have realms of each nexthop, features and an encapsulation, and go with the address",
    async (pair) => {
      const host = pair.host("lb1");
      const daemon = await pair.start(
        "lb1",
        "vrrpd",
        keepalivedConf([
          owner({
            lines: [
              "virtual_routes {",
              "  10.90.0.0/24 nexthop via 10.77.0.2 realms 5 nexthop via 10.77.0.3 realms 7/8",
              "  10.91.0.0/24 via 10.77.0.2 features ecn",
              "  10.92.0.0/24 encap ip id 100 dst 10.77.0.9 via 10.77.0.2 dev eth0",
              "}",
            ],
          }),
        ]),
      );
      await pair.settle("lb1");
      const routes = (await host.shell("ip route")).replaceAll(/\s+/g, " ");
      assert.match(
        routes,
        /10\.90\.0\.0\/24 .*?via 10\.77\.0\.2 realm 5 .*?via 10\.77\.0\.3 realms 7\/8/,
      );
      assert.match(
        routes,
        /10\.91\.0\.0\/24 via 10\.77\.0\.2 dev eth0 proto keepalived features ecn/,
      );
      assert.match(routes, /10\.92\.0\.0\/24 encap ip id 100 .*?dst 10\.77\.0\.9/);
      await daemon.stop();
      assert.doesNotMatch(await host.shell("ip route"), /10\.9[0-2]\./);
    },
    { only: OURS },
  );

  scenario(
    "with -s the daemon works in that network namespace, with net_namespace too, and its PID files say which",
    async (pair) => {
      const host = pair.host("lb1");
      await host.shell("ip netns add blue");
      await host.shell(
        "ip link add b0 type veth peer name b1 && ip link set b0 netns blue && ip -n blue link set b0 up && ip -n blue addr add 10.80.0.1/24 dev b0 && ip link set b1 up",
      );
      const plan = owner({ interface: "b0", addresses: ["10.80.0.100/24"] });
      for (const [options, globals] of [
        [["-s", "blue"], ""],
        [[], "net_namespace blue\n"],
      ] as const) {
        const daemon = await Daemon.start("vrrpd", host, `${globals}${keepalivedConf([plan])}`, {
          options: ["-n", "-l", "-D", ...options],
        });
        await until("the address in the namespace", 10_000, async () =>
          (await host.shell("ip -n blue -br address")).includes("10.80.0.100") ? true : undefined,
        );
        const files = readdirSync(host.pathOutside("/run/keepalived"));
        assert.ok(
          files.some((name) => name.includes("blue")),
          `PID files: ${files}`,
        );
        await daemon.stop();
        assert.doesNotMatch(await host.shell("ip -n blue -br address"), /10\.80\.0\.100/);
      }
    },
    { only: OURS },
  );

  scenario(
    "vrrp_rt_priority is in force for every thread, and vrrp_cpu_affinity for the process",
    async (pair) => {
      const daemon = await pair.start(
        "lb1",
        "vrrpd",
        keepalivedConf([owner()], {
          globals: ["vrrp_rt_priority 7", "vrrp_cpu_affinity 1", "vrrp_process_name ha_vrrp"],
        }),
      );
      await pair.settle("lb1");
      const pid = daemon.speaker();
      assert.equal(readFileSync(`/proc/${pid}/comm`, "utf8").trim(), "ha_vrrp");
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, "utf8");
        // Behind the name, which may hold anything: state is field 3, rt_priority 40, policy 41.
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        assert.equal(fields[40 - 3], "7", `thread ${thread}: priority`);
        assert.equal(Number(fields[41 - 3]) & 0xff, 2, `thread ${thread}: SCHED_RR`);
      }
      const { stdout } = spawnSync("taskset", ["-p", String(pid)], { encoding: "utf8" });
      assert.match(stdout, /mask: 2$/m);
    },
    { only: OURS },
  );

  scenario(
    "with vrrp_address_lifetime the kernel removes the address of a daemon and guard that are killed",
    async (pair) => {
      const daemon = await pair.start(
        "lb1",
        "vrrpd",
        keepalivedConf([owner()], { globals: ["vrrp_address_lifetime 2"] }),
      );
      await pair.settle("lb1");
      await sleep(2_500);
      assert.equal(pair.holders.heldBy(0, VIRTUAL_ADDRESS, now() - 2_000_000, now()), 0, "renewed");
      const killed = await daemon.killAll();
      await pair.holders.wait(VIRTUAL_ADDRESS, [], 6_000);
      assert.ok((now() - killed) / 1e6 < 4, "removed within four seconds");
    },
    { only: OURS },
  );

  scenario(
    "with vrrp_witness a backup that cannot reach the witness does not take over, and does when it can",
    async (pair) => {
      const conf = (priority: number): string =>
        keepalivedConf([{ priority, version: 3, interval: 0.1, addresses: [VIRTUAL_ADDRESS] }], {
          globals: [`vrrp_witness ${ADDRESSES.client}`],
        });
      await pair.startBoth(OURS[0], { lb1: conf(150), lb2: conf(100) });
      // lb2 is alone: neither the master nor the witness can be reached.
      const cut = now();
      for (const other of ["lb1", "client"]) {
        await pair.lan.cut(other, "lb2");
        await pair.lan.cut("lb2", other);
      }
      await pair.daemon("lb2").waitForLog(/witness/, 5_000, cut);
      await sleep(1_000);
      assert.deepEqual(pair.adverts("lb2", { since: cut }), [], "lb2 is no second master");
      await pair.lan.join("client", "lb2");
      await pair.lan.join("lb2", "client");
      await pair.nextAdvert("lb2", { since: cut });
    },
    { only: OURS },
  );

  for (const [way, more] of [
    ["version 2 by multicast", { version: 2, interval: 1 }],
    ["version 3 by unicast", { version: 3, interval: 0.1 }],
  ] as const) {
    scenario(
      `auth_hmac, ${way}: two of ours follow each other, each advert has a trailer of its own, and one without is refused`,
      async (pair) => {
        const conf = (priority: number, from: "lb1" | "lb2"): string =>
          keepalivedConf([
            {
              priority,
              ...more,
              addresses: [VIRTUAL_ADDRESS],
              ...(more.version === 3
                ? {
                    unicast: {
                      from: ADDRESSES[from],
                      to: ADDRESSES[from === "lb1" ? "lb2" : "lb1"],
                    },
                  }
                : {}),
              lines: [
                "auth_hmac {",
                "  key 1 0123456789abcdef0123456789abcdef",
                "  key 2 hex:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
                `  active_key ${from === "lb1" ? 1 : 2}`,
                "}",
              ],
            },
          ]);
        await pair.startBoth(OURS[0], { lb1: conf(150, "lb1"), lb2: conf(100, "lb2") });
        const size = 8 + 4 + (more.version === 2 ? 8 : 0) + 28;
        const since = now();
        for (let i = 0; i < 3; i++) await pair.nextAdvert("lb1");
        const payloads = pair
          .adverts("lb1", { since })
          .map(({ bytes }) => Buffer.from(bytes.subarray(14 + 20, 14 + 20 + size)));
        for (const payload of payloads) {
          assert.equal(payload.length, size);
          assert.equal(payload[size - 28], 1, "type of the trailer");
          assert.equal(payload[size - 27], 1, "key");
        }
        const trailers = new Set(payloads.map((payload) => payload.subarray(-28).toString("hex")));
        assert.equal(trailers.size, payloads.length, "no two are alike");
        assert.deepEqual(pair.adverts("lb2", { since }), []);
        // The other takes over when it is told, and signs with its own key; the first hears that.
        await pair.daemon("lb1").stop();
        await pair.settle("lb2");
        const first = await pair.nextAdvert("lb2");
        assert.equal(first.bytes[14 + 20 + size - 27], 2);
        const back = now();
        await pair.start("lb1", "vrrpd", conf(90, "lb1"));
        await pair.daemon("lb1").waitForLog(/master is 10\.77\.0\.12/, 8_000, back);
        // Without a trailer: refused, whatever it claims.
        const plain = keepalivedConf([{ priority: 250, ...more, addresses: [VIRTUAL_ADDRESS] }]);
        await pair.daemon("lb1").stop();
        const joined = now();
        if (more.version === 2) {
          await pair.start("lb1", "vrrpd", plain);
          await pair.daemon("lb2").waitForLog(/HMAC|trailer|hmac/, 12_000, joined);
          assert.ok(pair.holders.of(VIRTUAL_ADDRESS).includes("lb2"));
        }
      },
      { only: OURS },
    );
  }

  scenario(
    "a unicast instance without interface speaks in its VRF's device alone",
    async (pair) => {
      // No VRF here: any device that a socket can be bound to shows which one it is.
      const host = pair.host("lb1");
      const config = keepalivedConf([
        owner({ unicast: { from: ADDRESSES.lb1, to: ADDRESSES.lb2 } }),
      ])
        .replace("interface eth0", "vrf eth0")
        .replace(`  ${VIRTUAL_ADDRESS}\n`, `  ${VIRTUAL_ADDRESS} dev eth0\n`);
      const daemon = await pair.start("lb1", "vrrpd", config);
      await daemon.waitForLog(/VRRP sockpool: \[eth0, family\(IPv4\)/, 10_000);
      await pair.nextAdvert("lb1");
      assert.ok((await host.shell("ip -br address show dev eth0")).includes(VIRTUAL_ADDRESS));
    },
    { only: OURS },
  );

  test("use_ipvlan carries the address and speaks from its own", {
    skip: missing() || whyNoIpvlan(),
  }, async () => {
    const { Pair: Lab } = await import("../support/pair.ts");
    const pair: Pair = await Lab.open();
    try {
      const config = keepalivedConf([owner({ lines: ["use_ipvlan iv0 10.77.0.51/24 bridge"] })]);
      await pair.start("lb1", "vrrpd", config);
      await until("the address on the ipvlan", 10_000, async () =>
        (await pair.host("lb1").shell("ip -br address show dev iv0")).includes(VIRTUAL_ADDRESS)
          ? true
          : undefined,
      );
      const advert = await pair.lan.capture.wait(
        "an advert",
        3_000,
        ({ vrrp }) => vrrp !== undefined,
        0,
      );
      assert.equal(advert.vrrp?.from, "10.77.0.51");
    } finally {
      await pair.close();
    }
  });
});

/** Not every kernel is built with it. */
function whyNoIpvlan(): string | false {
  const script =
    "ip link add v0 type veth peer name v1 && ip link add iv type ipvlan link v0 2>&1 || ip link add iv link v0 type ipvlan";
  const { status } = spawnSync("unshare", ["-n", "sh", "-c", script]);
  return status === 0 ? false : "this kernel has no ipvlan";
}
