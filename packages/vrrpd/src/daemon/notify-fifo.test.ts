import assert from "node:assert/strict";
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Log, type LogEvent } from "./log.ts";
import { fifoLine, NotifyFifo } from "./notify-fifo.ts";

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

const folder = mkdtempSync(join(tmpdir(), "vrrpd-fifo-"));

test("a FIFO line has kind, quoted name, event and priority", () => {
  assert.equal(fifoLine("INSTANCE", "VI_1", "MASTER", 101), 'INSTANCE "VI_1" MASTER 101\n');
});

test("a FIFO that is not there is made for its owner alone, takes lines, and is removed at the end", async () => {
  const path = join(folder, "made");
  const fifo = await NotifyFifo.open(path, undefined, memoryLog().log);
  assert.ok(fifo);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  fifo.write("one\n");
  fifo.write("two\n");
  const buffer = Buffer.alloc(100);
  assert.equal(buffer.toString("utf8", 0, readSync(reader, buffer)), "one\ntwo\n");
  closeSync(reader);
  fifo.close();
  assert.equal(existsSync(path), false);
});

test("a full FIFO loses events, says so once, and never blocks", async () => {
  const { log, lines } = memoryLog();
  const fifo = await NotifyFifo.open(join(folder, "full"), undefined, log);
  assert.ok(fifo);
  for (let i = 0; i < 10_000; i++) fifo.write(fifoLine("INSTANCE", "VI_1", "MASTER", 100));
  fifo.close();
  assert.equal(lines.filter((line) => line.includes("is full")).length, 1);
});

test("a file or a link in the place of a FIFO is refused and not written to", async () => {
  const { log, lines } = memoryLog();
  const file = join(folder, "file");
  writeFileSync(file, "untouched");
  symlinkSync(file, join(folder, "link"));
  assert.equal(await NotifyFifo.open(file, undefined, log), undefined);
  assert.equal(await NotifyFifo.open(join(folder, "link"), undefined, log), undefined);
  assert.equal(lines.length, 2);
});
