import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { realtimeSignals, unwatchSignal, watchSignal } from "./signals.ts";

const kill = (number: number): void => {
  spawnSync("kill", [`-${number}`, String(process.pid)]);
};

test("a real-time signal reaches its callback, each time it is sent", async () => {
  const { min } = realtimeSignals();
  let count = 0;
  assert.equal(
    watchSignal(min + 2, () => count++),
    undefined,
  );
  kill(min + 2);
  await sleep(50);
  kill(min + 2);
  await sleep(50);
  unwatchSignal(min + 2);
  assert.equal(count, 2);
});

test("a second callback for a signal replaces the first", async () => {
  const { max } = realtimeSignals();
  const seen: string[] = [];
  watchSignal(max - 1, () => seen.push("first"));
  watchSignal(max - 1, () => seen.push("second"));
  kill(max - 1);
  await sleep(50);
  unwatchSignal(max - 1);
  assert.deepEqual(seen, ["second"]);
});

test("a watched signal does not keep a process alive", async () => {
  const script = `import("${new URL("./signals.js", import.meta.url).href}").then(({ watchSignal }) => watchSignal(40, () => {}));`;
  const { spawn } = await import("node:child_process");
  const child = spawn(process.execPath, ["-e", script], { stdio: "inherit" });
  const [code] = await once(child, "exit");
  assert.equal(code, 0);
});
