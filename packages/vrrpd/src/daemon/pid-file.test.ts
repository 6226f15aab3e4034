import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { pidFilePaths, takePidFile } from "./pid-file.ts";

const folder = mkdtempSync(join(tmpdir(), "vrrpd-pid-"));

test("PID files stand in /run, and in a folder of their own with an instance or a namespace", () => {
  assert.deepEqual(pidFilePaths({ usePidDir: false }), {
    parent: "/run/keepalived.pid",
    vrrp: "/run/keepalived_vrrp.pid",
  });
  assert.deepEqual(pidFilePaths({ usePidDir: false, instance: "a", namespace: "red" }), {
    parent: "/run/keepalived/red_a_keepalived.pid",
    vrrp: "/run/keepalived/red_a_vrrp.pid",
  });
  assert.equal(pidFilePaths({ usePidDir: true, parent: "/x" }).parent, "/x");
});

test("a PID file that is held refuses a second daemon and tells whose it is", () => {
  const path = join(folder, "held");
  const first = takePidFile(path);
  assert.equal(first.type, "ours");
  assert.equal(readFileSync(path, "utf8"), `${process.pid}\n`);
  assert.deepEqual(takePidFile(path), { type: "running", pid: process.pid });
  if (first.type === "ours") first.file.remove();
  assert.equal(existsSync(path), false);
});

test("the number that a dead daemon left behind does not hinder a start", () => {
  const path = join(folder, "stale");
  writeFileSync(path, "1\n");
  const taken = takePidFile(path);
  assert.equal(taken.type, "ours");
  if (taken.type === "ours") taken.file.remove();
});

test("a link in the place of a PID file is not followed", () => {
  const victim = join(folder, "victim");
  writeFileSync(victim, "untouched");
  symlinkSync(victim, join(folder, "link"));
  assert.equal(takePidFile(join(folder, "link")).type, "unusable");
  assert.equal(readFileSync(victim, "utf8"), "untouched");
});
