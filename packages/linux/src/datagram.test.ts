import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { openDatagramSender } from "./datagram.ts";
import { AF_UNIX, SOCK_DGRAM, unixDatagramAddress } from "./kernel-address.ts";
import { openServiceNotifier } from "./service-notifier.ts";
import { createBatch, messageOf, SocketDoor } from "./socket-door.ts";
import { openSyslog } from "./syslog.ts";

const folder = mkdtempSync(join(tmpdir(), "datagram-"));
after(() => rmSync(folder, { recursive: true }));

function receiver(name: string): { path: string; read(): string[]; close(): void } {
  const path = name.startsWith("@") ? name : join(folder, name);
  const socket = SocketDoor.open("test", { domain: AF_UNIX, type: SOCK_DGRAM, protocol: 0 });
  socket.bind("test", unixDatagramAddress(path) ?? new Uint8Array());
  return {
    path,
    read() {
      const batch = createBatch(64, 2_048);
      const texts: string[] = [];
      for (;;) {
        const count = socket.receive(batch);
        if (count <= 0) return texts;
        for (let i = 0; i < count; i++) {
          texts.push(new TextDecoder().decode(messageOf(batch, i).data));
        }
      }
    },
    close() {
      socket.close();
      if (!path.startsWith("@")) rmSync(path);
    },
  };
}

test("sd_notify reaches the service manager, by path and by abstract name", () => {
  for (const name of ["notify", `@ha-test-notify-${folder}`]) {
    const manager = receiver(name);
    const notifier = openServiceNotifier({ NOTIFY_SOCKET: manager.path, WATCHDOG_USEC: "3000000" });
    assert.equal(notifier.active, true);
    assert.equal(notifier.watchdogMs, 1500);
    assert.equal(notifier.notify({ READY: 1, MAINPID: 7, STATUS: "two\nlines" }), true);
    assert.deepEqual(manager.read(), ["READY=1\nMAINPID=7\nSTATUS=two lines"]);
    notifier.close();
    manager.close();
  }
  const none = openServiceNotifier({});
  assert.equal(none.active, false);
  assert.equal(none.notify({ READY: 1 }), false);
});

test("a receiver that was restarted is found again, and a missing one costs a count only", () => {
  const first = receiver("restart");
  const sender = openDatagramSender(first.path);
  const bytes = new TextEncoder().encode("x");
  assert.equal(sender.send(bytes), true);
  first.close();
  assert.equal(sender.send(bytes), false);
  assert.equal(sender.lastError?.code, "ENOENT");
  assert.equal(sender.dropped, 1);
  const second = receiver("restart");
  assert.equal(sender.send(bytes), true);
  assert.deepEqual(second.read(), ["x"]);
  second.close();
  sender.close();
  assert.equal(sender.send(bytes), false);
  assert.equal(openDatagramSender("x".repeat(200)).send(bytes), false);
});

test("a full receiver does not block: what does not fit is dropped", () => {
  const full = receiver("full");
  const sender = openDatagramSender(full.path);
  let sent = 0;
  while (sent < 10_000 && sender.send(new Uint8Array(100))) sent++;
  assert.ok(sent < 10_000);
  assert.equal(sender.lastError?.code, "EAGAIN");
  assert.equal(full.read().length, sent);
  assert.equal(sender.send(new Uint8Array(1)), true);
  sender.close();
  full.close();
});

test("syslog lines have priority, time, ident and pid; they wait for a receiver within their limit", async () => {
  const path = join(folder, "log");
  const syslog = openSyslog({
    ident: "Keepalived_vrrp",
    facility: "local1",
    path,
    pid: 42,
    backlogLines: 3,
  });
  for (let i = 0; i < 5; i++) syslog.log("info", `early ${i}`);
  assert.equal(syslog.lost, 2);
  const log = receiver("log");
  await new Promise((resolve) => setTimeout(resolve, 500).ref());
  syslog.log("err", "(VI_1) Entering MASTER STATE");
  const lines = log.read();
  assert.equal(lines.length, 4);
  assert.match(
    lines[3] ?? "",
    /^<139>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d Keepalived_vrrp\[42\]: \(VI_1\) Entering MASTER STATE$/,
  );
  assert.match(lines[0] ?? "", /^<142>.*early 0$/);
  syslog.close();
  log.close();
});
