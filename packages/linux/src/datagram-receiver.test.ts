import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { openDatagramSender } from "./datagram.ts";
import { openDatagramReceiver } from "./datagram-receiver.ts";
import { whenReadable } from "./descriptor-watch.ts";
import { openProcessDescriptor } from "./own-process.ts";
import { SystemError } from "./system-error.ts";

test("what is sent to a receiver arrives whole and in order, until it is closed", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "receiver-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const path = join(folder, "notify");
  const texts: string[] = [];
  let arrived = (): void => {};
  const all = new Promise<void>((resolve) => {
    arrived = resolve;
  });
  const receiver = openDatagramReceiver(path, (text) => {
    texts.push(text);
    if (texts.length === 2) arrived();
  });
  const sender = openDatagramSender(path);
  const keep = setInterval(() => undefined, 1_000);
  sender.send(new TextEncoder().encode("READY=1\nSTATUS=x"));
  sender.send(new TextEncoder().encode("STOPPING=1"));
  await all;
  clearInterval(keep);
  receiver.close();
  assert.deepEqual(texts, ["READY=1\nSTATUS=x", "STOPPING=1"]);
  assert.equal(sender.send(new Uint8Array(1)), false);
  sender.close();
});

test("the end of a process is seen by whoever has its descriptor; one that does not exist has none", async () => {
  const child = spawn("sleep", ["30"]);
  const fd = openProcessDescriptor(child.pid ?? 0);
  assert.equal(typeof fd, "number");
  const ended = new Promise<void>((resolve) => {
    const close = whenReadable(fd as number, () => {
      close();
      resolve();
    });
  });
  child.kill("SIGKILL");
  await ended;
  assert.ok(openProcessDescriptor(0x3fff_ff) instanceof SystemError);
});
