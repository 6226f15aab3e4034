import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { type Host, type Output, until } from "@ha/lab/namespaces";
import { keepalivedConf } from "./keepalived-conf.ts";
import { type Pair, type Side, VIRTUAL_ADDRESS } from "./pair.ts";

// A pair of balancers whose proxies vrrpd keeps running, with a web server on each host that names it.

const VRRPCTL = fileURLToPath(new URL("../../../packages/vrrpd/bin/vrrpctl.js", import.meta.url));

export function ctl(host: Host, ...words: readonly string[]): Promise<Output> {
  return host.run(process.execPath, [VRRPCTL, ...words], { check: false });
}

/** haproxy.cfg of both hosts. */
export const PROXY_CONFIG = `global
  nbthread 1
  maxconn 2000
  stats socket /run/admin.sock level admin expose-fd listeners
defaults
  mode http
  timeout connect 2s
  timeout client 20s
  timeout server 20s
frontend www
  bind *:80
  default_backend web
frontend statistics
  bind *:8404
  stats enable
  stats uri /
backend web
  server web1 127.0.0.1:8080 check inter 200 fall 2 rise 1
`;

/** Our own blocks, as `@vrrpd` lines. */
export function proxyBlock(lines: readonly string[] = [], name = "web"): string {
  return [
    "proxy NAME {",
    "    config /etc/keepalived/haproxy.cfg",
    ...lines.map((line) => `    ${line}`),
    "}",
  ]
    .map((line) => `@vrrpd ${line.replace("NAME", name)}`)
    .join("\n");
}

export const TRACK = ["@vrrpd track_proxy {", "@vrrpd     web weight -20", "@vrrpd }"] as const;

export function proxiedConf(
  priority: number,
  {
    block = proxyBlock(),
    globals = [],
    password,
  }: { block?: string; globals?: readonly string[]; password?: string } = {},
): string {
  const instance = { priority, addresses: [VIRTUAL_ADDRESS], lines: TRACK };
  return keepalivedConf([password === undefined ? instance : { ...instance, password }], {
    before: block,
    globals,
  });
}

/** Writes haproxy.cfg and starts the web server of a host. */
export async function prepareHost(pair: Pair, side: Side): Promise<void> {
  const host = pair.host(side);
  host.writeFile("/etc/keepalived/haproxy.cfg", PROXY_CONFIG);
  await startWeb(host, side);
}

export async function startWeb(host: Host, name: string): Promise<void> {
  host.spawnBeside(process.execPath, ["-e", WEB, name]);
  await until(`the web server of ${name}`, 10_000, async () => {
    const { status } = await host.run("curl", ["-s", "-m", "1", "http://127.0.0.1:8080/"], {
      check: false,
    });
    return status === 0;
  });
}

const WEB = `
require("node:http").createServer((request, response) => {
  if (request.url === "/long") {
    let left = 40;
    const timer = setInterval(() => {
      response.write("x".repeat(1000));
      if (--left === 0) { clearInterval(timer); response.end("end"); }
    }, 100);
    return;
  }
  setTimeout(() => response.end(process.argv[1] + "\\n"), request.url === "/slow" ? 300 : 2);
}).listen(8080, "127.0.0.1");
`;

/** Process id of a proxy inside of its host. */
export function proxyPid(host: Host, name = "web"): number {
  const { proxies } = JSON.parse(host.readFile("/run/vrrpd/proxy.json")) as {
    readonly proxies: readonly { readonly name: string; readonly pid: number }[];
  };
  return proxies.find((proxy) => proxy.name === name)?.pid ?? 0;
}

/** The same process as this one sees it, so that it can be killed at a moment that is known. */
export function pidOutside(host: Host, inside: number): number {
  const namespace = readlinkSync(`/proc/${host.pid}/ns/pid`);
  const found = readdirSync("/proc").find((name) => {
    if (!/^\d+$/.test(name)) return false;
    try {
      if (readlinkSync(`/proc/${name}/ns/pid`) !== namespace) return false;
      const numbers = /^NSpid:\s+(.*)$/m.exec(readFileSync(`/proc/${name}/status`, "utf8"))?.[1];
      return numbers?.split(/\s+/).at(-1) === String(inside);
    } catch {
      return false; // It ended meanwhile.
    }
  });
  if (found === undefined) throw new Error(`process ${inside} of ${host.name} is gone`);
  return Number(found);
}
