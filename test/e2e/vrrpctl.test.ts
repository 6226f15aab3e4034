import assert from "node:assert/strict";
import process from "node:process";
import { describe } from "node:test";
import { fileURLToPath } from "node:url";
import { type Host, longestOutage, now, type Output, sleep, until } from "@ha/lab/namespaces";
import { type InstancePlan, keepalivedConf } from "../support/keepalived-conf.ts";
import { ADDRESSES, type Pair, VIRTUAL_ADDRESS } from "../support/pair.ts";
import { pairings, scenario } from "../support/scenario.ts";

// Goal: an operator sees who is master and why, moves the addresses without an outage, and is told when that fails.
// Method: `vrrpctl` is run on the hosts of a pair as an operator would; a client asks the address all the time.

const VRRPCTL = fileURLToPath(new URL("../../../packages/vrrpd/bin/vrrpctl.js", import.meta.url));

function ctl(host: Host, ...words: readonly string[]): Promise<Output> {
  return host.run(process.execPath, [VRRPCTL, ...words], { check: false });
}

const conf = (priority: number, more: Partial<InstancePlan> = {}): string =>
  keepalivedConf([{ priority, addresses: [VIRTUAL_ADDRESS], ...more }]);

/** The answer of `status --json`, as far as these tests look at it. */
interface Status {
  readonly problems: readonly string[];
  readonly guard: string;
  readonly maintenance?: { readonly until?: number };
  readonly instances: readonly {
    readonly state: string;
    readonly addressesHeld: boolean;
    readonly effectivePriority: number;
    readonly master?: { readonly address: string; readonly priority: number };
    readonly yields: boolean;
    readonly peers: readonly { readonly address: string; readonly lastHeard?: number }[];
    readonly refused: Readonly<Record<string, number>>;
  }[];
}

async function status(host: Host): Promise<Status> {
  return JSON.parse((await ctl(host, "status", "--json")).stdout);
}

/** How long nobody held the address, in milliseconds. */
function withoutHolder(pair: Pair, since: number): number {
  return pair.holders.heldBy(0, pair.address, since, now());
}

describe("vrrpctl", { concurrency: 4 }, () => {
  scenario(
    "status says on both hosts who is master, since when, and what was heard of the other",
    async (pair) => {
      await pair.startBoth({ lb1: "vrrpd", lb2: "vrrpd" }, { lb1: conf(150), lb2: conf(100) });
      const [first] = (await status(pair.host("lb1"))).instances;
      assert.equal(first?.state, "MASTER");
      assert.equal(first.addressesHeld, true);
      const second = await status(pair.host("lb2"));
      assert.equal(second.guard, "running");
      assert.deepEqual(second.problems, []);
      const [backup] = second.instances;
      assert.equal(backup?.state, "BACKUP");
      assert.deepEqual(backup.master, { address: ADDRESSES.lb1, priority: 150 });
      const [peer] = backup.peers;
      assert.equal(peer?.address, ADDRESSES.lb1);
      assert.ok((peer.lastHeard ?? 9_999) < 1_500, `heard ${peer.lastHeard} ms ago`);
      const { stdout, status: code } = await ctl(pair.host("lb1"), "status");
      assert.equal(code, 0);
      assert.match(stdout, /VI_1 +MASTER +\d+ s +150 +this host +10\.77\.0\.100\/32 on eth0/);
      assert.ok(!stdout.includes("\x1b"), "no colours where nobody sees them");
      const metrics = await ctl(pair.host("lb1"), "metrics");
      assert.match(
        metrics.stdout,
        /^keepalived_vrrp_state\{iname="VI_1",intf="eth0",vrid="51",ip_address="10\.77\.0\.100"\} 2$/m,
      );
    },
    { only: [{ lb1: "vrrpd", lb2: "vrrpd" }] },
  );

  const beside = pairings().filter(({ lb1 }) => lb1 === "vrrpd");
  scenario(
    "a switchover moves the address while nobody misses it, and it stays there until --back",
    async (pair, kinds) => {
      await pair.startBoth(kinds, { lb1: conf(150), lb2: conf(100) });
      await sleep(1_200);
      const host = pair.host("lb1");
      const since = now();
      const moved = await ctl(host, "switchover");
      assert.equal(moved.status, 0, moved.stdout + moved.stderr);
      assert.match(moved.stdout, /^VI_1: handed-over after [\d.]+ ms: 10\.77\.0\.12 is master$/m);
      await pair.settle("lb2");
      // Longer than a down timer: with the better priority it would be master again.
      await sleep(5_000);
      const [instance] = (await status(host)).instances;
      assert.deepEqual([instance?.state, instance?.yields], ["BACKUP", true]);
      // Nor does a FAULT in between end it, or another process.
      await host.ip("link set eth0 down");
      await pair.daemon("lb1").waitForLog(/Entering FAULT STATE/, 5_000, since);
      await host.ip("link set eth0 up");
      await pair.daemon("lb1").stop();
      await pair.start("lb1", "vrrpd", conf(150));
      await pair.daemon("lb1").waitForLog(/Entering BACKUP STATE/, 10_000);
      await sleep(4_500);
      assert.equal((await status(host)).instances[0]?.yields, true);
      const outage = longestOutage(pair.answers(since));
      const nobody = withoutHolder(pair, since);
      console.log(
        `switchover beside ${kinds.lb2}: outage ${outage} ms, without a holder ${nobody} ms, both ${pair.holders.heldBy(2, pair.address, since, now())} ms`,
      );
      assert.ok(outage <= 50, `outage ${outage} ms`);
      assert.equal(nobody, 0);

      const backSince = now();
      const back = await ctl(host, "switchover", "VI_1", "--back");
      assert.equal(back.status, 0, back.stdout + back.stderr);
      await pair.settle("lb1");
      assert.ok(longestOutage(pair.answers(backSince)) <= 50);
      const why = await ctl(host, "why");
      assert.match(
        why.stdout,
        /BACKUP → MASTER[^\n]*\nbecause: switchover --back, asked for by user 0/,
      );
    },
    { only: beside },
  );

  scenario(
    "a switchover of one member takes its sync group along, and is what both tell as their reason",
    async (pair, kinds) => {
      const group = (priority: number): string =>
        keepalivedConf(
          [
            { name: "VI_1", priority, addresses: [VIRTUAL_ADDRESS] },
            { name: "VI_2", interface: "eth1", vrid: 52, priority, addresses: ["10.78.0.100"] },
          ],
          { before: "vrrp_sync_group G {\n  group {\n    VI_1\n    VI_2\n  }\n}\n" },
        );
      await pair.startBoth(kinds, { lb1: group(150), lb2: group(100) });
      await sleep(1_200);
      const since = now();
      const { status: code, stdout } = await ctl(pair.host("lb1"), "switchover", "VI_1");
      assert.equal(code, 0, stdout);
      assert.match(stdout, /^VI_1: handed-over .*\nVI_2: handed-over /);
      await pair.settle("lb2");
      assert.ok(longestOutage(pair.answers(since)) <= 50);
      assert.equal(withoutHolder(pair, since), 0);
      await pair.holders.wait("10.78.0.100", ["lb2"], 5_000);
      const why = await ctl(pair.host("lb1"), "why", "VI_2");
      assert.match(
        why.stdout,
        /VI_2 {2}MASTER → BACKUP .*\nbecause: switchover, asked for by user 0/,
      );
    },
    { only: beside, secondNetwork: true },
  );

  scenario(
    "a switchover that nobody takes keeps the address, and says so with exit status 1",
    async (pair) => {
      await pair.start("lb1", "vrrpd", conf(150));
      await pair.settle("lb1");
      const since = now();
      const { status: code, stdout } = await ctl(pair.host("lb1"), "switchover");
      assert.equal(code, 1);
      assert.match(stdout, /VI_1: nobody-came after \d+/);
      assert.equal(withoutHolder(pair, since), 0);
      assert.ok(longestOutage(pair.answers(since)) <= 50);
      assert.equal((await status(pair.host("lb1"))).instances[0]?.state, "MASTER");
    },
    { only: [{ lb1: "vrrpd", lb2: "vrrpd" }] },
  );

  scenario(
    "why names the failed check behind a failover, on the host that lost and on the one that won",
    async (pair, kinds) => {
      const checked = (priority: number): string =>
        keepalivedConf(
          [{ priority, addresses: [VIRTUAL_ADDRESS], lines: ["track_script {", "  chk", "}"] }],
          {
            globals: ["script_user root", "enable_script_security"],
            before:
              'vrrp_script chk {\n  script "/usr/bin/test -e /tmp/good"\n  interval 0.5\n  fall 1\n  rise 1\n  weight 20\n}\n',
          },
        );
      for (const side of ["lb1", "lb2"] as const) pair.host(side).writeFile("/tmp/good", "");
      await pair.startBoth(kinds, { lb1: checked(110), lb2: checked(100) });
      await sleep(1_500);
      await pair.host("lb1").run("rm", ["/tmp/good"]);
      await pair.settle("lb2");
      const lost = await ctl(pair.host("lb1"), "why");
      assert.equal(lost.status, 0);
      assert.match(lost.stdout, /VI_1 +MASTER → BACKUP \(higher-priority\)/);
      assert.match(
        lost.stdout,
        /because: script chk is down: it exited with status 1 after \d+ ms/,
      );
      const won = await ctl(pair.host("lb2"), "why", "VI_1");
      assert.match(won.stdout, /BACKUP → MASTER \(master-(left|down)\)/);
      assert.match(won.stdout, /because: 10\.77\.0\.11 (sent priority 0|lowered its priority)/);
      const { status: code } = await ctl(pair.host("lb1"), "status");
      assert.equal(code, 1, "a failed check is not as it should be");
    },
    { only: [{ lb1: "vrrpd", lb2: "vrrpd" }] },
  );

  scenario(
    "maintenance gives the address away, survives a restart, and ends by itself",
    async (pair, kinds) => {
      const host = pair.host("lb1");
      await host.run("mount", ["-t", "tmpfs", "tmpfs", "/var/lib"]);
      await pair.startBoth(kinds, { lb1: conf(150), lb2: conf(100) });
      const since = now();
      const begun = await ctl(host, "maintenance", "on", "--for", "14s");
      assert.equal(begun.status, 0, begun.stdout + begun.stderr);
      await pair.settle("lb2");
      assert.ok(longestOutage(pair.answers(since)) <= 50);
      await pair.daemon("lb1").stop();
      await pair.start("lb1", "vrrpd", conf(150));
      await pair.daemon("lb1").waitForLog(/Startup complete/, 10_000);
      const { instances, maintenance } = await status(host);
      assert.equal(instances[0]?.state, "FAULT");
      assert.ok(maintenance?.until !== undefined);
      assert.equal((await ctl(host, "status")).status, 1);
      await pair.settle("lb1", 25_000);
      assert.equal((await status(host)).maintenance, undefined);
    },
    { only: [{ lb1: "vrrpd", lb2: "keepalived" }] },
  );

  scenario(
    "maintenance without a peer changes nothing, unless it is forced",
    async (pair) => {
      const host = pair.host("lb1");
      await host.run("mount", ["-t", "tmpfs", "tmpfs", "/var/lib"]);
      await pair.start("lb1", "vrrpd", conf(150));
      await pair.settle("lb1");
      const since = now();
      assert.equal((await ctl(host, "maintenance", "on")).status, 1);
      assert.equal(withoutHolder(pair, since), 0);
      assert.equal((await ctl(host, "maintenance", "on", "--force")).status, 0);
      await pair.holders.wait(pair.address, [], 8_000);
      assert.equal((await ctl(host, "maintenance", "off")).status, 0);
      await pair.settle("lb1");
    },
    { only: [{ lb1: "vrrpd", lb2: "vrrpd" }] },
  );

  scenario(
    "the control socket refuses another user, bad requests and floods, and goes with the daemon",
    async (pair) => {
      const host = pair.host("lb1");
      const socket = "/run/vrrpd/control.sock";
      await pair.start("lb1", "vrrpd", conf(150));
      await pair.daemon("lb1").waitForLog(/Startup complete/, 10_000);
      assert.equal((await host.shell(`stat -c %a ${socket}`)).trim(), "600");
      const asNobody = [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        process.execPath,
        VRRPCTL,
        "status",
      ];
      const closed = await host.run("setpriv", asNobody, { check: false });
      assert.deepEqual([closed.status, /permission denied/.test(closed.stderr)], [3, true]);
      // Whatever the mode of the file: the kernel says who connects.
      await host.run("chmod", ["666", socket]);
      const refused = await host.run("setpriv", asNobody, { check: false });
      assert.match(refused.stderr, /user 65534 may not control vrrpd/);
      assert.notEqual(refused.status, 0);
      const say = (text: string): Promise<string> =>
        host.shell(`printf '%s\\n' '${text}' | socat -t 2 - UNIX-CONNECT:${socket}`);
      assert.match(await say("{]"), /"ok":false,"problem":"the request is no JSON"/);
      assert.match(await say('{"command":"explode"}'), /no such command/);
      const long = await host.shell(
        `head -c 100000 /dev/zero | tr '\\0' x | socat -t 2 - UNIX-CONNECT:${socket} || true`,
      );
      assert.match(long, /too long/);
      assert.equal((await ctl(host, "status")).status, 0);
      assert.equal((await ctl(host, "switchover", "VI_9")).status, 1);
      assert.equal((await ctl(host, "switchover", "--sideways")).status, 2);
      // A daemon that is killed with its guard leaves its socket; the next one takes its place.
      await pair.daemon("lb1").killAll();
      assert.equal((await ctl(host, "status")).status, 3);
      await pair.start("lb1", "vrrpd", conf(150));
      await pair.daemon("lb1").waitForLog(/Startup complete/, 10_000);
      assert.equal((await ctl(host, "status")).status, 0);
      pair.daemon("lb1").freeze();
      const hung = await ctl(host, "status");
      assert.deepEqual([hung.status, /no answer within 5 s/.test(hung.stderr)], [3, true]);
      await pair.daemon("lb1").thaw();
      await until("an answer again", 10_000, async () => (await ctl(host, "status")).status === 0);
      await pair.daemon("lb1").stop();
      assert.equal((await host.run("test", ["-e", socket], { check: false })).status, 1);
      assert.equal((await ctl(host, "status")).status, 3);
    },
    { only: [{ lb1: "vrrpd", lb2: "vrrpd" }], programs: ["socat", "setpriv"] },
  );

  scenario(
    "check-peers tells a peer that agrees from one that is silent, one that differs and one that is away",
    async (pair) => {
      const host = pair.host("lb1");
      const unicast = { from: ADDRESSES.lb1, to: ADDRESSES.lb2 };
      const twin = { from: ADDRESSES.lb2, to: ADDRESSES.lb1 };
      const own = (priority: number, password: string): string =>
        conf(priority, { unicast, password });
      const peer = (priority: number): string =>
        conf(priority, { unicast: twin, password: "secret" });
      await pair.startBoth(
        { lb1: "vrrpd", lb2: "vrrpd" },
        { lb1: own(150, "secret"), lb2: peer(100) },
      );
      const silent = await ctl(host, "check-peers");
      assert.match(
        silent.stdout,
        /10\.77\.0\.12 was never heard \(a backup is silent.*its host lives/,
      );
      assert.equal(silent.status, 0);
      const heard = await ctl(pair.host("lb2"), "check-peers", "VI_1");
      assert.match(heard.stdout, /10\.77\.0\.11 is heard, with priority 150: .* agree/);
      assert.equal(heard.status, 0);

      pair.daemon("lb1").reload(own(90, "other"));
      await until("a refused advert", 10_000, async () => {
        const { stdout, status: code } = await ctl(host, "check-peers");
        return (
          code === 1 &&
          /10\.77\.0\.12 \d+ of its packets were refused: auth-failure \(compare auth_pass\)/.test(
            stdout,
          )
        );
      });

      await pair.powerOff("lb2");
      await pair.daemon("lb1").stop();
      await pair.start("lb1", "vrrpd", own(150, "secret"));
      await pair.settle("lb1");
      const away = await ctl(host, "check-peers");
      assert.match(
        away.stdout,
        /10\.77\.0\.12 was never heard, and its host does not answer ARP: it is away/,
      );
      assert.equal(away.status, 1);
    },
    { only: [{ lb1: "vrrpd", lb2: "vrrpd" }] },
  );

  scenario(
    "plan tells what a reload would change, and that a held address would go",
    async (pair) => {
      const host = pair.host("lb1");
      await pair.start("lb1", "vrrpd", conf(150));
      await pair.settle("lb1");
      const same = await ctl(host, "plan");
      assert.deepEqual([same.status, /nothing would change/.test(same.stdout)], [0, true]);
      host.writeFile("/tmp/next.conf", conf(120, { addresses: ["10.77.0.101"] }));
      const { status: code, stdout } = await ctl(host, "plan", "/tmp/next.conf");
      assert.equal(code, 1);
      assert.match(stdout, /vrrp_instance VI_1 priority changes/);
      assert.match(stdout, /10\.77\.0\.100 \(VI_1\) is held by this host/);
      assert.equal((await ctl(host, "plan", "--yes", "/tmp/next.conf")).status, 0);
      assert.equal((await status(host)).instances[0]?.effectivePriority, 150);
      host.writeFile("/tmp/next.conf", "vrrp_instance VI_1 {\n  interface eth0\n");
      const broken = await ctl(host, "plan", "/tmp/next.conf", "--yes");
      assert.deepEqual([broken.status, /would be refused/.test(broken.stdout)], [1, true]);
    },
    { only: [{ lb1: "vrrpd", lb2: "vrrpd" }] },
  );

  scenario(
    "vrrp_metrics serves /metrics on the loopback, under either exporter's names, from a reload on",
    async (pair) => {
      const host = pair.host("lb1");
      await pair.start("lb1", "vrrpd", conf(150));
      await pair.settle("lb1");
      const get = (path: string): Promise<Output> =>
        host.run("curl", ["-s", "-i", "--max-time", "3", `http://127.0.0.1:9165${path}`], {
          check: false,
        });
      assert.equal((await get("/metrics")).status, 7, "off unless configured");
      const withMetrics = (line: string): string =>
        keepalivedConf([{ priority: 150, addresses: [VIRTUAL_ADDRESS] }], { globals: [line] });
      const reload = async (line: string): Promise<void> => {
        const since = pair.daemon("lb1").reload(withMetrics(line));
        await pair.daemon("lb1").waitForLog(/Reload complete/, 5_000, since);
      };
      await reload("vrrp_metrics 9165");
      const { stdout } = await get("/metrics");
      assert.match(stdout, /^HTTP\/1\.1 200/);
      assert.match(
        stdout,
        /^keepalived_become_master_total\{iname="VI_1",intf="eth0",vrid="51"\} 1$/m,
      );
      assert.match(stdout, /^vrrpd_guard_up 1$/m);
      assert.match((await get("/")).stdout, /^HTTP\/1\.1 404/);
      const elsewhere = await host.run(
        "curl",
        ["-s", "--max-time", "3", `http://${ADDRESSES.lb1}:9165/metrics`],
        { check: false },
      );
      assert.equal(elsewhere.status, 7, "on the loopback alone");
      await reload("vrrp_metrics 9165 names gen2brain");
      assert.match(
        (await get("/metrics")).stdout,
        /^keepalived_vrrp_become_master\{name="VI_1",intf="eth0",vrid="51",state="MASTER"\} 1$/m,
      );
    },
    { only: [{ lb1: "vrrpd", lb2: "vrrpd" }], programs: ["curl"] },
  );
});
