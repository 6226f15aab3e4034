import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { ip } from "@ha/base";
import { openEchoListener } from "./echo-listener.ts";
import { SystemError } from "./system-error.ts";

const skip = process.getuid?.() === 0 ? false : "needs root";

test("an interface that is not there is a SystemError", { skip }, () => {
  assert.throws(
    () =>
      openEchoListener({
        family: 4,
        interface: { name: "none", index: 999_999 },
        ownAddresses: [ip("192.0.2.1")],
        onPacket: () => {},
        onError: () => {},
      }),
    SystemError,
  );
});

test("addresses can be exchanged while it listens, also for none at all", {
  skip,
}, async () => {
  let heard = 0;
  const listener = openEchoListener({
    family: 4,
    interface: { name: "lo", index: 1 },
    ownAddresses: [],
    onPacket: () => heard++,
    onError: (error) => assert.fail(error),
  });
  assert.equal(listener.watch([ip("127.0.0.1"), ip("192.0.2.1")]), undefined);
  await sleep(50);
  listener.close();
  assert.equal(heard, 0);
});
