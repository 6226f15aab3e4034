import assert from "node:assert/strict";
import { type AddressInfo, createServer } from "node:net";
import { test } from "node:test";
import { seconds } from "@ha/base";
import { Log, type LogEvent } from "./log.ts";
import { Mailer, stateMail } from "./smtp-alert.ts";

test("a mail's subject has router, instance and state, and one header line only", () => {
  const { subject, text } = stateMail({
    routerId: "lb1\r\nBcc: all",
    kind: "Instance",
    name: "VI_1",
    state: "MASTER",
  });
  assert.equal(subject, "[lb1 Bcc: all] VRRP Instance VI_1 - Entering MASTER state");
  assert.equal(text, "=> VRRP Instance VI_1 is now owning VRRP IPs <=\n");
});

test("an alert reaches the mail server with sender, recipients and subject", async () => {
  const words: string[] = [];
  const server = createServer((socket) => {
    let data = false;
    socket.write("220 test\r\n");
    socket.on("data", (chunk) => {
      for (const line of chunk.toString().split("\r\n").slice(0, -1)) {
        words.push(line);
        if (data) {
          if (line === ".") {
            data = false;
            socket.write("250 taken\r\n");
          }
        } else if (line === "DATA") {
          data = true;
          socket.write("354 go on\r\n");
        } else if (line === "QUIT") socket.end("221 bye\r\n");
        else socket.write("250 fine\r\n");
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const sent = new Promise<string>((resolve) => {
    const log = new Log(
      [
        {
          write: ({ message }: LogEvent) => resolve(message),
          reopen: () => {},
          flush: () => Promise.resolve(),
          flushSync: () => {},
        },
      ],
      false,
    );
    new Mailer(
      {
        recipients: ["ops@example.org", "noc@example.org"],
        from: "lb1@example.org",
        host: "127.0.0.1",
        port,
        helo: "lb1.example.org",
        connectTimeout: seconds(5),
      },
      log,
    ).send({ subject: "[lb1] subject", text: "text\n" });
  });
  assert.equal(await sent, "SMTP alert successfully sent.");
  server.close();
  assert.ok(words.includes("EHLO lb1.example.org"));
  assert.ok(words.some((word) => word.startsWith("MAIL FROM:<lb1@example.org>")));
  assert.ok(words.some((word) => word.startsWith("RCPT TO:<noc@example.org>")));
  assert.ok(words.includes("Subject: [lb1] subject"));
});

test("a mail server that is not there costs a log line and nothing else", async () => {
  const line = await new Promise<string>((resolve) => {
    const log = new Log(
      [
        {
          write: ({ message }: LogEvent) => resolve(message),
          reopen: () => {},
          flush: () => Promise.resolve(),
          flushSync: () => {},
        },
      ],
      false,
    );
    new Mailer(
      {
        recipients: ["a@example.org"],
        from: "b@example.org",
        host: "127.0.0.1",
        port: 1,
        connectTimeout: seconds(2),
      },
      log,
    ).send({ subject: "x", text: "y" });
  });
  assert.match(line, /^SMTP alert to 127\.0\.0\.1 failed: /);
});
