import assert from "node:assert/strict";
import process from "node:process";
import { describe } from "node:test";
import { type Host, now, sleep, until } from "@ha/lab/namespaces";
import { keepalivedConf } from "../support/keepalived-conf.ts";
import { VIRTUAL_ADDRESS } from "../support/pair.ts";
import { failures, loadText, startLoad } from "../support/pair-load.ts";
import {
  ctl,
  pidOutside,
  prepareHost,
  proxiedConf,
  proxyBlock,
  proxyPid,
} from "../support/proxied-pair.ts";
import { scenario } from "../support/scenario.ts";

// Goal: a proxy that fails is noticed at once, moves the address or is back before anybody notices, and outlives vrrpd.
// Method: lbproxy and haproxy are killed, frozen and left alone under clients; times are those of packets on the wire.

const MIXED = [{ lb1: "vrrpd", lb2: "keepalived" }] as const;
const OWN = [{ lb1: "vrrpd", lb2: "vrrpd" }] as const;

/** Beside the deadlines (20, 650 and 1,000 ms), since other tests may load this machine; the figures are printed. */
const SLACK_MS = 150;
/** In a configuration; in nothing that is given away. */
const SECRET = "hunter2Q";

describe("a supervised proxy", { concurrency: 2 }, () => {
  scenario(
    "the address of a killed proxy is answered by an unmodified peer within 0.65 s, and the priority falls within 20 ms",
    async (pair) => {
      await prepareHost(pair, "lb1");
      await pair.startBoth(
        { lb1: "vrrpd", lb2: "keepalived" },
        {
          lb1: proxiedConf(101, { block: proxyBlock(["process_name haproxy", "restart_delay 8"]) }),
          lb2: keepalivedConf([{ priority: 100, addresses: [VIRTUAL_ADDRESS] }]),
        },
      );
      const host = pair.host("lb1");
      await host.run("killall", ["-0", "haproxy"]);
      await pair.nextAdvert("lb1");
      const pid = pidOutside(host, proxyPid(host));
      const since = now();
      process.kill(pid, "SIGKILL");
      const lowered = await pair.lan.capture.wait(
        "priority 0 of lb1",
        2_000,
        (frame) => pair.isAdvert(frame, "lb1", 51) && frame.vrrp?.priority === 0,
        since,
      );
      const answer = await pair.answeredBy("lb2", 3_000, since);
      const fell = (lowered.time - since) / 1000;
      const answered = (answer.time - since) / 1000;
      console.log(
        `proxy killed: priority 0 on the wire after ${fell.toFixed(1)} ms, the peer answers after ${answered.toFixed(1)} ms`,
      );
      assert.ok(fell < 20 + SLACK_MS, `priority 0 after ${fell} ms`);
      assert.ok(answered < 650 + SLACK_MS, `answered after ${answered} ms`);
      const why = await ctl(host, "why");
      assert.match(why.stdout, /proxy web died/);
    },
    { only: MIXED, programs: ["killall"] },
  );

  scenario(
    "a frozen proxy is noticed within a second, and replaced",
    async (pair) => {
      await prepareHost(pair, "lb1");
      await pair.startBoth(
        { lb1: "vrrpd", lb2: "keepalived" },
        {
          lb1: proxiedConf(101, { password: SECRET }),
          lb2: keepalivedConf([{ priority: 100, addresses: [VIRTUAL_ADDRESS], password: SECRET }]),
        },
      );
      const host = pair.host("lb1");
      const pid = proxyPid(host);
      const since = now();
      await host.shell(`kill -STOP $(pgrep -P ${pid})`);
      const line = await pair.daemon("lb1").waitForLog(/proxy web: is frozen/, 4_000, since);
      const noticed = (line.time - since) / 1000;
      console.log(`proxy frozen: noticed after ${noticed.toFixed(0)} ms`);
      assert.ok(noticed < 1_000 + SLACK_MS, `noticed after ${noticed} ms`);
      await pair.daemon("lb1").waitForLog(/proxy web: up/, 8_000, line.time);
      assert.notEqual(proxyPid(host), pid);
      await lookAround(host);
    },
    { only: MIXED, programs: ["pgrep"] },
  );

  scenario(
    "with restart_before_failover a killed proxy is back before anybody is refused, and the address does not move",
    async (pair) => {
      await prepareHost(pair, "lb1");
      await pair.startBoth(
        { lb1: "vrrpd", lb2: "keepalived" },
        {
          lb1: proxiedConf(101, { block: proxyBlock(["restart_before_failover 5"]) }),
          lb2: keepalivedConf([{ priority: 100, addresses: [VIRTUAL_ADDRESS] }]),
        },
      );
      const host = pair.host("lb1");
      await pair.daemon("lb1").waitForLog(/2 listening sockets are held/, 5_000);
      const load = startLoad(pair.lan.host("client"), VIRTUAL_ADDRESS);
      await sleep(700);
      const since = now();
      const pid = proxyPid(host);
      // Its worker as well: nobody but vrrpd has the sockets then.
      await host.shell(`kill -9 $(pgrep -P ${pid}) ${pid}`);
      await pair.daemon("lb1").waitForLog(/proxy web: .*Loading success/, 8_000, since);
      await sleep(700);
      const result = await load.stop();
      console.log(`proxy killed, sockets held: ${loadText(result)}`);
      assert.equal(result.failed["ECONNREFUSED"] ?? 0, 0);
      assert.ok(failures(result) <= 50, "only what was under way is lost");
      assert.equal(pair.adverts("lb2", { since }).length, 0);
      const text = pair.daemon("lb1").text();
      assert.doesNotMatch(text, /Changing effective priority from 101 to 81/);
    },
    { only: MIXED, programs: ["pgrep"] },
  );

  scenario(
    "the proxy outlives a killed and a restarted vrrpd, with its connections, and stops with it, last",
    async (pair) => {
      await prepareHost(pair, "lb1");
      const conf = proxiedConf(101, { globals: ["@vrrpd vrrp_guard off"] });
      const host = pair.host("lb1");
      const first = await pair.start("lb1", "vrrpd", conf);
      await pair.settle("lb1", 15_000);
      const pid = proxyPid(host);
      const download = pair.lan
        .host("client")
        .run("curl", ["-s", "-m", "20", `http://${VIRTUAL_ADDRESS}/long`], { check: false });
      first.signal("SIGKILL");
      await until("the end of vrrpd", 5_000, () => first.exitCode !== undefined || true);
      const second = await pair.start("lb1", "vrrpd", conf);
      await second.waitForLog(/found running \(pid \d+\)/, 8_000);
      await second.waitForLog(/Entering MASTER STATE/, 8_000);
      assert.equal(proxyPid(host), pid, "another proxy was started");
      const { status, stdout } = await download;
      assert.equal(status, 0, "the connection was cut");
      assert.match(stdout, /^x{40000}end$/);
      second.signal("SIGTERM");
      await second.waitForLog(/proxy web: is stopped/, 15_000);
      const lines = second.log.map(({ text }) => text);
      const at = (pattern: RegExp): number => lines.findIndex((line) => pattern.test(line));
      assert.ok(at(/removing VIPs/) < at(/proxy web: is being stopped/), "the proxy goes last");
      const { stdout: left } = await host.run("ps", ["-eo", "args"]);
      assert.doesNotMatch(left, /lbproxy/);
    },
    { only: OWN },
  );

  scenario(
    "a proxy that cannot start is given up after its limit, and clients are refused instead of kept waiting",
    async (pair) => {
      await prepareHost(pair, "lb1");
      const host = pair.host("lb1");
      const block = proxyBlock(["restart_limit 2 60", "restart_before_failover 30"]);
      const daemon = await pair.start("lb1", "vrrpd", proxiedConf(101, { block }));
      await daemon.waitForLog(/2 listening sockets are held/, 15_000);
      // From here on nothing that is started can live.
      host.writeFile("/etc/keepalived/haproxy.cfg", "nonsense\n");
      const pid = proxyPid(host);
      await host.shell(`kill -9 $(pgrep -P ${pid}) ${pid}`);
      const line = await daemon.waitForLog(/proxy web: given up/, 20_000);
      const { status } = await host.run("curl", ["-s", "-m", "3", "http://127.0.0.1/"], {
        check: false,
      });
      assert.equal(status, 7, "refused, by curl's words");
      const { stdout } = await ctl(host, "status");
      assert.match(stdout, /web .*given up/);
      assert.ok(line.time > 0);
    },
    { only: OWN, programs: ["pgrep"] },
  );

  scenario(
    "the real haproxy is kept running as well: ready by its own word, and its sockets held over a death",
    async (pair) => {
      await prepareHost(pair, "lb1");
      const host = pair.host("lb1");
      const block = proxyBlock([
        "program /usr/sbin/haproxy",
        "stats_socket /run/admin.sock",
        "restart_before_failover 5",
      ]);
      const daemon = await pair.start("lb1", "vrrpd", proxiedConf(101, { block }));
      await daemon.waitForLog(/proxy web: up/, 10_000);
      // Its stats socket is one of them.
      await daemon.waitForLog(/3 listening sockets are held/, 5_000);
      await pair.settle("lb1", 15_000);
      const since = now();
      const pid = proxyPid(host);
      await host.shell(`kill -9 $(pgrep -P ${pid}) ${pid}`);
      const { stdout, status } = await host.run(
        "curl",
        ["-s", "-m", "5", `http://${VIRTUAL_ADDRESS}/`],
        {
          check: false,
        },
      );
      assert.equal(status, 0, "a client that comes meanwhile waits and is served");
      assert.equal(stdout, "lb1\n");
      const again = await daemon.waitForLog(/proxy web: started/, 5_000, since);
      console.log(
        `haproxy killed: started again after ${((again.time - since) / 1000).toFixed(0)} ms`,
      );
      assert.doesNotMatch(daemon.text(), /from 101 to 81/);
    },
    { only: OWN, programs: ["haproxy", "pgrep"] },
  );
});

/** What an operator sees of a proxy that serves, in every place where it is to be seen. */
async function lookAround(host: Host): Promise<void> {
  const { proxies } = JSON.parse((await ctl(host, "status", "--json")).stdout) as {
    readonly proxies: readonly {
      readonly up: boolean;
      readonly status?: { readonly backends: readonly { readonly servers: readonly object[] }[] };
    }[];
  };
  assert.equal(proxies[0]?.up, true);
  assert.equal(proxies[0].status?.backends[0]?.servers.length, 1);
  const { stdout: status } = await ctl(host, "status");
  assert.match(status, /PROXIES\nweb +up +pid \d+/);
  assert.match(status, /web\/web\/web1 +UP/);
  const { stdout: metrics } = await ctl(host, "metrics");
  assert.match(metrics, /^vrrpd_proxy_up\{proxy="web"\} 1$/m);
  assert.match(metrics, /^vrrpd_proxy_restarts_total\{proxy="web"\} 1$/m);
  await until("the statistics page to show the state", 5_000, async () => {
    const { stdout } = await host.run("curl", ["-s", "http://127.0.0.1:8404/"], { check: false });
    return /High availability: VRRP on [\s\S]*VI_1[\s\S]*Because/.test(stdout);
  });
  const { stdout: said, status: code } = await ctl(host, "support", "/run/bundle.tar.gz");
  assert.equal(code, 0, said);
  const { stdout: bundle } = await host.run("tar", ["-xzOf", "/run/bundle.tar.gz"]);
  assert.match(bundle, /vrrp_instance VI_1/);
  assert.match(bundle, /is frozen/);
  assert.doesNotMatch(bundle, new RegExp(SECRET));
}
