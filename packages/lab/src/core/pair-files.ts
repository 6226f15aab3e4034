import { toSeconds } from "@ha/base";
import type { PairPlan } from "./drill.ts";
import { hostsOfRole, type Inventory } from "./inventory.ts";
import type { Programs } from "./programs.ts";
import { PRIORITIES, timesOf } from "./runner.ts";

/** VRID of the pair of every lab. */
const ROUTER_ID = 51;

/**
 * keepalived.conf of a balancer. Both daemons read the same file, but for the `proxy` block, which keepalived does not
 * know: it is on the lines of vrrpd.
 */
export function keepalivedConf(
  host: string,
  plan: PairPlan,
  { inventory, programs }: { readonly inventory: Inventory; readonly programs: Programs },
): string {
  const { interface: device, address, hosts } = inventory;
  const own = hosts[host]?.addr ?? "";
  const peers = hostsOfRole(inventory, "lb").filter((name) => name !== host);
  const isScript = plan.proxy === "script";
  const isSupervised = plan.proxy === "supervised" && programs.daemon === "vrrpd";
  const lines = [
    "global_defs {",
    `    router_id ${host}`,
    "    enable_script_security",
    "    script_user root",
    "}",
    ...(isScript
      ? [
          "vrrp_script chk_haproxy {",
          '    script "/usr/bin/killall -0 haproxy"',
          "    interval 1",
          `    weight ${plan.weight}`,
          "    fall 1",
          "    rise 1",
          "}",
        ]
      : []),
    ...(isSupervised
      ? [
          "proxy web {",
          "    config /etc/haproxy/haproxy.cfg",
          ...(programs.proxy === "haproxy"
            ? ["    program haproxy", "    stats_socket /run/haproxy/admin.sock"]
            : ["    process_name haproxy"]),
          `    restart_before_failover ${plan.restart_before_failover}`,
          `    restart_delay ${plan.restart_delay}`,
          "    down_without_servers none",
          "}",
        ]
      : []),
    "vrrp_instance VI_1 {",
    `    version ${plan.version}`,
    `    state ${plan.preempt && host === "lb1" ? "MASTER" : "BACKUP"}`,
    `    interface ${device}`,
    `    virtual_router_id ${ROUTER_ID}`,
    `    priority ${PRIORITIES[host] ?? 100}`,
    `    advert_int ${toSeconds(timesOf(plan).advert)}`,
    ...(plan.preempt ? [] : ["    nopreempt"]),
    `    unicast_src_ip ${own}`,
    `    unicast_peer { ${peers.map((name) => hosts[name]?.addr).join(" ")} }`.replace(
      /\{ (.*) \}/,
      "{\n        $1\n    }",
    ),
    "    virtual_ipaddress {",
    `        ${address}/24`,
    "    }",
    ...(isScript ? ["    track_script {", "        chk_haproxy", "    }"] : []),
    ...(isSupervised ? ["    track_proxy {", `        web weight ${-plan.weight}`, "    }"] : []),
    "}",
  ];
  return `${lines.join("\n")}\n`;
}

/** haproxy.cfg of a balancer: it says its own name, so that a client knows who answered. */
export function haproxyConf(
  host: string,
  { inventory, user }: { readonly inventory: Inventory; readonly user: string | undefined },
): string {
  const webs = hostsOfRole(inventory, "web");
  return `global
    stats socket /run/haproxy/admin.sock mode 660 level admin expose-fd listeners
${user === undefined ? "" : `    user ${user}\n    group ${user}\n`}    maxconn 2000

defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 30s
    option redispatch
    retries 2

frontend www
    bind :80
    http-response set-header X-Served-By ${host}
    default_backend web

backend web
    balance roundrobin
    option httpchk GET /health
${webs.map((web) => `    server ${web} ${inventory.hosts[web]?.addr}:80 check inter 200ms fastinter 100ms fall 2 rise 1\n`).join("")}`;
}

/** A file as nobody may take it into force: a virtual router id that there is not, a keyword that there is not. */
export function breakFile(what: "daemon" | "proxy", text: string): string {
  if (what === "proxy") return `${text}\nnot_a_keyword\n`;
  return text.replace(`virtual_router_id ${ROUTER_ID}`, "virtual_router_id 999");
}
