import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  linkSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { writeDump } from "./dump-file.ts";

/** A folder with a file that a dump must not change, and the name that the dump goes to. */
function planted(): { folder: string; victim: string; dump: string } {
  const folder = mkdtempSync(join(tmpdir(), "vrrpd-dump-"));
  const victim = join(folder, "victim");
  writeFileSync(victim, "untouched");
  return { folder, victim, dump: join(folder, "keepalived.data") };
}

test("a dump replaces a symbolic link and leaves its target alone", async () => {
  const { victim, dump } = planted();
  symlinkSync(victim, dump);
  await writeDump(dump, "dump");
  assert.equal(readFileSync(victim, "utf8"), "untouched");
  assert.ok(lstatSync(dump).isFile());
  assert.equal(readFileSync(dump, "utf8"), "dump");
});

test("a dump replaces a hard link and leaves the other name alone", async () => {
  const { victim, dump } = planted();
  linkSync(victim, dump);
  await writeDump(dump, "dump");
  assert.equal(readFileSync(victim, "utf8"), "untouched");
});

test("a dump over a FIFO without reader neither waits nor writes into it", async () => {
  const { dump } = planted();
  execFileSync("mkfifo", [dump]);
  await writeDump(dump, "dump");
  assert.equal(readFileSync(dump, "utf8"), "dump");
});

test("whoever had the old file open learns nothing of the new dump", async () => {
  const { dump } = planted();
  writeFileSync(dump, "");
  const spy = openSync(dump, "r");
  await writeDump(dump, "secret");
  assert.equal(readSync(spy, Buffer.alloc(10), 0, 10, 0), 0);
});

test("a dump has mode 0600 whatever the umask", async () => {
  const { dump } = planted();
  const old = process.umask(0);
  try {
    await writeDump(dump, "dump");
  } finally {
    process.umask(old);
  }
  assert.equal(statSync(dump).mode & 0o777, 0o600);
});

test("a dump that cannot take its name leaves no draft behind", async () => {
  const { folder } = planted();
  await assert.rejects(writeDump(join(folder, "missing", "x"), "dump"));
  await assert.rejects(writeDump(folder, "dump"));
  assert.deepEqual(readdirSync(folder), ["victim"]);
});
