import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import process from "node:process";
import { test } from "node:test";
import {
  listProcesses,
  openProcessEvents,
  type ProcessEvent,
  readProcess,
  readProcessEvent,
} from "./process-events.ts";
import { until } from "./testing/network-fixture.ts";

const notRoot = process.getuid?.() === 0 ? false : "needs root";

test("starts and ends of processes are told, or polling says why", {
  skip: notRoot,
}, async (context) => {
  const told: ProcessEvent[] = [];
  const events = await openProcessEvents({
    pollMs: 20,
    onEvent: (event) => told.push(event),
    onError: (error) => assert.fail(error),
  });
  context.diagnostic(`${events.kind} ${events.reason ?? ""}`);
  const child = spawn("sh", ["-c", "exit 3"], { stdio: "ignore" });
  if (events.kind === "connector") {
    await until(() => told.some((event) => event.type === "exit" && event.pid === child.pid));
    const types = told.flatMap((event) =>
      "pid" in event && event.pid === child.pid ? [event.type] : [],
    );
    assert.ok(types.includes("exec") && types.includes("fork"));
    const exit = told.find((event) => event.type === "exit" && event.pid === child.pid);
    assert.ok(exit?.type === "exit" && exit.code === 3 && exit.signal === 0);
  } else {
    assert.notEqual(events.reason, undefined);
    await until(() => told.some(({ type }) => type === "lost"));
  }
  events.close();
});

test("outside the first network namespace polling stands in, and says so", {
  skip: notRoot,
}, () => {
  const program = `
    import { openProcessEvents } from ${JSON.stringify(new URL("./process-events.js", import.meta.url).href)};
    const events = await openProcessEvents({ pollMs: 10, onEvent: (event) => {
      console.log(events.kind, "|", events.reason, "|", event.type);
      events.close();
      process.exit(0);
    }, onError: console.error });
  `;
  const run = spawnSync("unshare", ["-n", process.execPath, "--input-type=module", "-e", program], {
    encoding: "utf8",
    timeout: 10_000,
  });
  assert.match(run.stdout, /^polling \| .+ \| lost/);
});

test("processes are read from /proc with name, arguments and zombie state", async () => {
  const own = await readProcess(process.pid);
  assert.equal(own?.zombie, false);
  assert.equal(own?.command[0]?.includes("node"), true);
  assert.equal(await readProcess(4_194_305), undefined);
  const all = await listProcesses();
  assert.ok(all.some(({ pid }) => pid === process.pid));
});

test("no bytes make the event reader throw", () => {
  for (let length = 0; length < 80; length++) {
    const bytes = new Uint8Array(length).fill(0);
    for (const what of [0, 1, 2, 0x200, 0x80000000]) {
      if (length >= 4) new DataView(bytes.buffer).setUint32(0, what, true);
      readProcessEvent(bytes);
    }
  }
});
