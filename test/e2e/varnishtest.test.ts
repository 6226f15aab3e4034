import { strict as assert } from "node:assert";
import { spawn, spawnSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { LBPROXY } from "../support/lbproxy.ts";
import { lacksHaproxy } from "../support/proxy-pair.ts";

// Goal: the program is driven as HAProxy's own tests drive it: inherited descriptors, half-closing CLI clients, exit
// codes, the pid in logs. Method: varnishtest, which Debian has in its package varnish, on our own .vtc files.

const FOLDER = fileURLToPath(new URL("../../../test/vtc/", import.meta.url));
const files = readdirSync(FOLDER).filter((name) => name.endsWith(".vtc"));

/** HAProxy 2.6 is lax there: a request of HTTP/1.1 without Host is served. */
const OURS_ALONE = new Set(["bad-requests.vtc"]);

const lacksVarnishtest =
  spawnSync("varnishtest", ["-h"]).error === undefined ? false : "varnishtest is not installed";

for (const file of files) {
  test(`varnishtest: ${titleOf(file)}`, { skip: lacksVarnishtest }, () => passes(file, LBPROXY));
}
for (const file of files.filter((name) => !OURS_ALONE.has(name))) {
  const skip = lacksVarnishtest || lacksHaproxy();
  test(`varnishtest with haproxy: ${titleOf(file)}`, { skip }, () => passes(file, "haproxy"));
}

/** What the file says it is about. */
function titleOf(file: string): string {
  return /^varnishtest "([^"]+)"/m.exec(readFileSync(FOLDER + file, "latin1"))?.[1] ?? file;
}

async function passes(file: string, program: string): Promise<void> {
  const child = spawn("varnishtest", ["-t", "30", FOLDER + file], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, HAPROXY_PROGRAM: program === "haproxy" ? whereIs("haproxy") : program },
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => (output += chunk.toString("latin1")));
  }
  const status = await new Promise((resolve) => child.once("exit", resolve));
  assert.equal(status, 0, output);
}

function whereIs(program: string): string {
  return spawnSync("sh", ["-c", `command -v ${program}`], { encoding: "utf8" }).stdout.trim();
}
