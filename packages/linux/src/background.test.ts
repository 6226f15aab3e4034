import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import { milliseconds } from "@ha/base";
import { startInBackground } from "./background.ts";

const MODULE = JSON.stringify(new URL("./background.js", import.meta.url).href);

function program(text: string): readonly [string, ...string[]] {
  const source = `import { reportStart, isStartedInBackground } from ${MODULE};\n${text}`;
  return [process.execPath, "--input-type=module", "-e", source];
}

test("the verdict is the daemon's own word, and it lives on in a session of its own", async () => {
  const verdict = await startInBackground({
    argv: program("if (isStartedInBackground()) reportStart(); setTimeout(() => {}, 60000);"),
  });
  assert.equal(verdict.type, "ready");
  assert.ok(verdict.type === "ready");
  // A process group of its own is there to be signalled.
  process.kill(-verdict.pid, "SIGKILL");
});

test("a daemon that cannot serve gives its exit code, by word or by ending", async () => {
  for (const text of ["reportStart(4); setTimeout(() => {}, 300);", "process.exit(4);"]) {
    assert.deepEqual(await startInBackground({ argv: program(text) }), {
      type: "failed",
      exitCode: 4,
    });
  }
});

test("silence for too long is a failure, and no program is another", async () => {
  const silent = await startInBackground({
    argv: program("setTimeout(() => {}, 60000);"),
    timeout: milliseconds(300),
  });
  assert.deepEqual(silent, { type: "failed", exitCode: 1 });
  const missing = await startInBackground({ argv: ["/no/such/program"] });
  assert.ok(missing.type === "not-started" && missing.error.code === "ENOENT");
});
