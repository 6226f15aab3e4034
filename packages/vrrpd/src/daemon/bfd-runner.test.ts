import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { test } from "node:test";
import { seededRandom } from "@ha/base";
import { BfdRunner } from "./bfd-runner.ts";
import { Log } from "./log.ts";
import { MonotonicClock } from "./monotonic-clock.ts";
import { configOf } from "./testing/runtime-rig.ts";

/** Two ends on the loopback: sessions of one hop, so that TTL 255 is demanded. */
function session(own: string, peer: string, told: string[]): BfdRunner {
  const { bfd_instances } = configOf(
    `bfd_instance B {\n  neighbor_ip ${peer}\n  source_ip ${own}\n  min_rx 20\n  min_tx 20\n  multiplier 3\n  idle_tx 1000\n}\n`,
  );
  const [config] = bfd_instances;
  if (config === undefined) throw new Error("no session");
  return new BfdRunner(config, new MonotonicClock(), seededRandom(7), new Log([], false), (up) =>
    told.push(up ? "up" : "down"),
  );
}

async function until(what: string, condition: () => boolean, limit = 6_000): Promise<void> {
  const end = performance.now() + limit;
  while (!condition()) {
    if (performance.now() > end) assert.fail(`${what} did not happen`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test("two sessions come up over UDP, one that is stopped takes the other down at once, and strangers count for nothing", async () => {
  const [first, second]: [string[], string[]] = [[], []];
  const a = session("127.0.0.81", "127.0.0.82", first);
  const b = session("127.0.0.82", "127.0.0.81", second);
  a.start();
  b.start();
  await until("both up", () => a.stateName === "up" && b.stateName === "up");
  assert.deepEqual([first, second], [["up"], ["up"]]);

  const stranger = createSocket("udp4");
  await new Promise<void>((resolve) => stranger.bind(0, "127.0.0.83", resolve));
  stranger.setTTL(255);
  for (const bytes of [new Uint8Array(24).fill(7), new Uint8Array(0), new Uint8Array(3)]) {
    await new Promise((resolve) => stranger.send(bytes, 3784, "127.0.0.81", resolve));
  }
  await until("refusals", () => [...a.refused.values()].reduce((sum, n) => sum + n, 0) >= 2);
  stranger.close();
  assert.equal(a.stateName, "up");

  const asked = performance.now();
  b.stop();
  await until("the other's end", () => a.stateName !== "up");
  assert.ok(performance.now() - asked < 500, "told, not waited for");
  assert.deepEqual(first, ["up", "down"]);
  a.stop();
});
