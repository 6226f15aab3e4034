import assert from "node:assert/strict";
import { test } from "node:test";
import { commandOf, Host, missing, until } from "@ha/lab/namespaces";

// Goal: a daemon that went to the background, as without -n, is as safe from a kill -9 as one in the foreground.

const CONFIG = `vrrp_instance VI_1 {
  interface v0
  virtual_router_id 51
  priority 255
  virtual_ipaddress { 192.0.2.100/24 }
}
`;

test("a daemon in the background is started again in place and resumes as master", {
  skip: missing(),
  timeout: 60_000,
}, async () => {
  const host = await Host.open("lb1");
  // The host's own process does not hold our loop, and no child of ours runs here.
  const alive = setInterval(() => {}, 1_000);
  try {
    await host.ip(
      "link add v0 type veth peer name v1",
      "address add 192.0.2.1/24 dev v0",
      "link set v0 up",
      "link set v1 up",
    );
    host.writeFile("/etc/keepalived/keepalived.conf", CONFIG);
    const command = commandOf("vrrpd", ["-D", "-G", "-g/run/vrrpd.log"]);
    await host.shell(command.join(" "));
    const log = (): string => host.readFile("/run/vrrpd_vrrp.log");
    const pid = (): number => Number(host.readFile("/run/keepalived_vrrp.pid"));
    await until("mastership", 5_000, () => log().includes("Entering MASTER STATE"));
    const first = pid();
    await host.shell(`kill -KILL ${first}`);
    await until("a successor", 10_000, () => log().includes("started again by the guard"));
    await until("its PID file", 5_000, () => pid() !== first);
    const addresses = await host.shell("ip address show dev v0");
    assert.match(addresses, /192\.0\.2\.100/, log());
    await host.shell(`kill -TERM ${pid()}`);
    await until("the end", 10_000, () => log().includes("Stopped"));
    assert.doesNotMatch(await host.shell("ip address show dev v0"), /192\.0\.2\.100/);
  } finally {
    await host.close();
    clearInterval(alive);
  }
});
