import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const program = fileURLToPath(new URL("../../bin/vrrpd.js", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "vrrpd-exit-"));

function vrrpd(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [program, "-G", ...args], {
    encoding: "utf8",
    timeout: 30_000,
  });
  return { status, stdout, stderr };
}

const broken = join(folder, "broken.conf");
writeFileSync(broken, "vrrp_instance VI_1 {\n  interface lo\n}\n");

test("a start without configuration file is exit 6, in the foreground and in the background", () => {
  const missing = join(folder, "missing.conf");
  assert.equal(vrrpd("-n", "-f", missing).status, 6);
  assert.equal(vrrpd("-f", missing).status, 6);
});

test("a configuration that allows no start is exit 2, and the caller of a background start gets it too", () => {
  const { status, stderr } = vrrpd("-n", "-l", "-f", broken);
  assert.equal(status, 2);
  assert.match(stderr, /the configuration does not allow a start/);
  assert.equal(vrrpd("-f", broken).status, 2);
});

test("--signum prints keepalived's numbers, and an unknown name is exit 1", () => {
  for (const [name, number] of [
    ["STOP", 15],
    ["RELOAD", 1],
    ["DATA", 10],
    ["STATS", 12],
    ["STATS_CLEAR", 63],
    ["JSON", 36],
  ] as const) {
    assert.deepEqual(vrrpd(`--signum=${name}`).stdout, `${number}\n`);
  }
  assert.equal(vrrpd("--signum=FOO").status, 1);
});

test("JSON log lines have level, message and time", () => {
  const { stderr } = vrrpd("-n", "-l", "--log-format", "json", "-f", broken);
  const lines = stderr
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  assert.ok(lines.some(({ msg }) => msg === "the configuration does not allow a start"));
  assert.ok(
    lines.every(({ time, level }) => typeof time === "number" && typeof level === "number"),
  );
});
