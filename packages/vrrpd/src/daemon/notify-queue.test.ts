import assert from "node:assert/strict";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { milliseconds, seconds } from "@ha/base";
import { Log, type LogEvent } from "./log.ts";
import { type Notification, NotifyQueue } from "./notify-queue.ts";

const folder = mkdtempSync(join(tmpdir(), "vrrpd-notify-"));

function memoryLog(): { log: Log; lines: string[] } {
  const lines: string[] = [];
  const sink = {
    write: ({ message }: LogEvent) => void lines.push(message),
    reopen: () => {},
    flush: () => Promise.resolve(),
    flushSync: () => {},
  };
  return { log: new Log([sink], true), lines };
}

function append(file: string, word: string, delay: string): Notification {
  const script = `sleep ${delay}; echo ${word} >> ${file}`;
  return { kind: `notify_${word}`, command: { argv: ["/bin/sh", "-c", script] } };
}

test("a slow master script is not overtaken by the backup script that follows", async () => {
  const file = join(folder, "order");
  const queue = new NotifyQueue("VI_1", memoryLog().log, () => seconds(10));
  queue.push([append(file, "master", "0.3")]);
  queue.push([append(file, "backup", "0")]);
  await queue.idle();
  assert.equal(readFileSync(file, "utf8"), "master\nbackup\n");
});

test("of several changes that wait only the newest is told", async () => {
  const file = join(folder, "newest");
  const { log, lines } = memoryLog();
  const queue = new NotifyQueue("VI_1", log, () => seconds(10));
  queue.push([append(file, "master", "0.2")]);
  queue.push([append(file, "fault", "0")]);
  queue.push([append(file, "backup", "0")]);
  await queue.idle();
  assert.equal(readFileSync(file, "utf8"), "master\nbackup\n");
  assert.ok(lines.some((line) => line.includes("notify_fault not run")));
});

test("a notify script that fails is logged with its status and what it said", async () => {
  const { log, lines } = memoryLog();
  const queue = new NotifyQueue("VI_1", log, () => seconds(10));
  queue.push([
    { kind: "notify_master", command: { argv: ["/bin/sh", "-c", "echo no route; exit 4"] } },
  ]);
  await queue.idle();
  assert.deepEqual(lines, ["(VI_1) notify_master script /bin/sh exited with status 4: no route"]);
});

test("a notify script that hangs is ended at its limit and the next one runs", async () => {
  const file = join(folder, "hang");
  const { log, lines } = memoryLog();
  const queue = new NotifyQueue("VI_1", log, () => milliseconds(200));
  queue.push([append(file, "never", "30"), append(file, "after", "0")]);
  await queue.idle();
  assert.equal(readFileSync(file, "utf8"), "after\n");
  assert.ok(lines.some((line) => line.includes("timed out")));
});
