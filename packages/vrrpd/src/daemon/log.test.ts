import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { closeSync, constants, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { seconds } from "@ha/base";
import { SimClock } from "@ha/base/testing";
import { Log } from "./log.ts";
import { FAMILY_KINDS, LogLimiter, MAX_KINDS } from "./log-limiter.ts";
import { consoleText, DescriptorSink, plainText, SyslogSink } from "./log-sink.ts";

test("a thousand refused packets make three lines and one that counts the rest", () => {
  const clock = new SimClock();
  const lines: string[] = [];
  const limiter = new LogLimiter(clock, (line) => lines.push(line));
  for (let i = 0; i < 1_000; i++) limiter.write("peer", "advert refused");
  clock.run(seconds(61));
  assert.deepEqual(lines, [
    "advert refused",
    "advert refused",
    "advert refused",
    "advert refused (997 more in the last minute)",
  ]);
});

test("forged senders beyond the first of a family share one budget, and leave the others theirs", () => {
  const clock = new SimClock();
  const lines: string[] = [];
  const limiter = new LogLimiter(clock, (line) => lines.push(line), { burst: 1 });
  for (let i = 0; i < 10_000; i++) limiter.write(`V bad ${i}`, "refused", "V bad");
  assert.equal(lines.length, FAMILY_KINDS + 1);
  limiter.write("V farewell", "farewell");
  assert.equal(lines.length, FAMILY_KINDS + 2);
  clock.run(seconds(61));
  assert.equal(lines.length, FAMILY_KINDS + 3, "one line counts what the others sent");
  limiter.write("V bad 1", "refused", "V bad");
  assert.equal(lines.length, FAMILY_KINDS + 4, "room comes back");
  limiter.close();
});

test("a kind that stays quiet for a minute is logged at once when it comes back", () => {
  const clock = new SimClock();
  const lines: string[] = [];
  const limiter = new LogLimiter(clock, (line) => lines.push(line), { burst: 1 });
  limiter.write("peer", "first");
  clock.run(seconds(61));
  limiter.write("peer", "second");
  assert.deepEqual(lines, ["first", "second"]);
  limiter.close();
  assert.equal(clock.pending, 0);
});

test("a flood from forged senders makes a bounded number of lines", () => {
  const clock = new SimClock();
  let lines = 0;
  const limiter = new LogLimiter(clock, () => lines++, { burst: 1 });
  for (let i = 0; i < 100_000; i++) limiter.write(`peer ${i}`, "refused");
  assert.ok(lines <= MAX_KINDS + 2, `${lines} lines`);
  limiter.close();
});

test("a syslog datagram has facility, severity, ident and process id as syslog(3) writes them", () => {
  const sent: string[] = [];
  const sink = new SyslogSink({
    open: () => ({
      send: (bytes) => sent.push(Buffer.from(bytes).toString()) > 0,
      close: () => {},
    }),
    facility: 3,
    ident: "Keepalived_vrrp",
    format: plainText,
  });
  new Log([sink], false).info("(VI_1) Entering MASTER STATE");
  assert.match(
    sent[0] ?? "",
    new RegExp(
      `^<30>[A-Z][a-z]{2} [ \\d]\\d \\d\\d:\\d\\d:\\d\\d Keepalived_vrrp\\[${process.pid}\\]: \\(VI_1\\) Entering MASTER STATE$`,
    ),
  );
});

test("lines lost while the logger was away are counted when it is back", () => {
  const sent: string[] = [];
  let away = true;
  const sink = new SyslogSink({
    open: () => {
      if (away) throw new Error("ECONNREFUSED");
      return { send: (bytes) => sent.push(Buffer.from(bytes).toString()) > 0, close: () => {} };
    },
    facility: 3,
    ident: "x",
    format: plainText,
  });
  const event = { level: "info", fields: {} } as const;
  sink.write({ ...event, time: 0, message: "one" });
  sink.write({ ...event, time: 1, message: "two" });
  away = false;
  sink.write({ ...event, time: 2_000, message: "three" });
  assert.match(sent[0] ?? "", /2 log lines were lost/);
  assert.match(sent[1] ?? "", /three$/);
});

test("a message cannot forge a second log line", () => {
  const event = { time: 0, level: "info", fields: {}, message: "a\nb\0c" } as const;
  assert.equal(plainText(event), "a b c");
  assert.match(consoleText(event), /: a b c$/);
});

test("detail lines are written with -D only", () => {
  const lines: string[] = [];
  const sink = {
    write: ({ message }: { readonly message: string }) => void lines.push(message),
    reopen: () => {},
    flush: () => Promise.resolve(),
    flushSync: () => {},
  };
  new Log([sink], false).detail("hidden");
  new Log([sink], true).detail("shown");
  assert.deepEqual(lines, ["shown"]);
});

test("a pipe that nobody empties costs lines and no memory, and never blocks", async () => {
  const path = join(mkdtempSync(join(tmpdir(), "vrrpd-log-")), "pipe");
  execFileSync("mkfifo", [path]);
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  const sink = new DescriptorSink({ descriptor: fd }, plainText);
  const log = new Log([sink], false);
  const begin = performance.now();
  for (let i = 0; i < 50_000; i++) log.info("x".repeat(100));
  assert.ok(performance.now() - begin < 2_000);
  // Somebody reads at last: what was kept comes, and the number of what was not.
  const reader = spawn("cat", [path], { stdio: ["ignore", "pipe", "ignore"] });
  let text = "";
  reader.stdout.on("data", (chunk: Buffer) => {
    text += chunk.toString();
  });
  await new Promise((resolve) => setTimeout(resolve, 500));
  log.info("after");
  await log.flush(2_000);
  await new Promise((resolve) => setTimeout(resolve, 200));
  reader.kill();
  closeSync(fd);
  assert.match(text.slice(-300), /\d+ log lines were lost/);
});

test("a log file is opened anew after it was rotated", async () => {
  const folder = mkdtempSync(join(tmpdir(), "vrrpd-log-"));
  const path = join(folder, "log");
  const log = new Log([new DescriptorSink({ path }, plainText)], false);
  log.info("one");
  await log.flush();
  execFileSync("mv", [path, `${path}.1`]);
  log.reopen();
  log.info("two");
  await log.flush();
  assert.equal(readFileSync(path, "utf8"), "two\n");
  assert.equal(readFileSync(`${path}.1`, "utf8"), "one\n");
});
