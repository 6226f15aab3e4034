import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { promisify } from "node:util";
import { gzipSync } from "node:zlib";
import type { SupportAnswer } from "../control-plane.ts";
import { redact } from "./redact.ts";
import { type TarFile, tarOf } from "./tar.ts";

const run = promisify(execFile);

/** What the host can say of itself: a name in the bundle, and the command whose output goes there. */
const COMMANDS: Readonly<Record<string, readonly [string, ...string[]]>> = {
  "host/uname.txt": ["uname", "-a"],
  "host/os-release.txt": ["cat", "/etc/os-release"],
  "host/uptime.txt": ["uptime"],
  "host/processes.txt": ["ps", "-eo", "pid,ppid,stat,etime,rss,comm"],
  "network/links.txt": ["ip", "-details", "-statistics", "link"],
  "network/addresses.txt": ["ip", "-details", "address"],
  "network/routes.txt": ["ip", "route", "show", "table", "all"],
  "network/rules.txt": ["ip", "rule"],
  "network/neighbours.txt": ["ip", "neighbour"],
  "network/firewall.txt": ["nft", "list", "ruleset"],
  "network/sockets.txt": ["ss", "-s"],
  "network/listeners.txt": ["ss", "-lntup"],
  "logs/vrrpd.txt": [
    "journalctl",
    "-u",
    "vrrpd",
    "-u",
    "keepalived",
    "-u",
    "haproxy",
    "-n",
    "5000",
    "--no-pager",
  ],
  "versions/node.txt": [process.execPath, "-p", "JSON.stringify(process.versions, null, 2)"],
};

/**
 * Everything that somebody who helps will ask for, as one `.tar.gz` with mode 0600, without passwords and keys. What
 * cannot be had is named in its place.
 *
 * @param answer Of the daemon; undefined: it cannot be reached, which `why` tells.
 */
export async function writeSupportBundle(
  file: string,
  answer: SupportAnswer | undefined,
  why: string,
): Promise<readonly string[]> {
  const files: TarFile[] = [];
  const add = (name: string, text: string): void => {
    files.push({ name: `support/${name}`, data: Buffer.from(redact(text)) });
  };
  if (answer === undefined) add("status.txt", `${why}\n`);
  else {
    add("status.json", JSON.stringify(answer.status, undefined, 2));
    add(
      "journal.json",
      JSON.stringify({ entries: answer.entries, transitions: answer.transitions }, undefined, 2),
    );
    add("versions/vrrpd.txt", `${answer.version}\n`);
  }
  for (const path of answer?.files ?? [
    "/etc/keepalived/keepalived.conf",
    "/etc/haproxy/haproxy.cfg",
  ]) {
    const name = `config${path.startsWith("/") ? path : `/${path}`}`.slice(-88);
    try {
      add(name, readFileSync(path, "utf8"));
    } catch (error) {
      add(name, `cannot be read: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  await Promise.all(
    Object.entries(COMMANDS).map(async ([name, [command, ...args]]) => {
      try {
        const { stdout, stderr } = await run(command, args, {
          timeout: 10_000,
          maxBuffer: 32 * 1024 * 1024,
        });
        add(name, stdout + stderr);
      } catch (error) {
        add(name, `${command}: ${error instanceof Error ? error.message : String(error)}\n`);
      }
    }),
  );
  files.sort((a, b) => (a.name < b.name ? -1 : 1));
  writeFileSync(file, gzipSync(tarOf(files, Date.now() / 1_000)), { mode: 0o600, flag: "wx" });
  return files.map(({ name }) => name);
}

/** `vrrpd-support-lb1-20261125-021500.tar.gz`, here. */
export function bundleName(now: Date): string {
  const stamp = now.toISOString().replace(/[-:]/g, "").replace("T", "-").slice(0, 15);
  return `vrrpd-support-${hostname().replace(/[^\w.-]/g, "_")}-${stamp}.tar.gz`;
}
