import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { milliseconds, seconds } from "@ha/base";
import { OUTPUT_BYTES, runScript, scriptEnvironment } from "./script-runner.ts";

const folder = mkdtempSync(join(tmpdir(), "vrrpd-script-"));

function script(name: string, text: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

test("a script's status and the output of both streams are kept", async () => {
  const path = script("status", "#!/bin/sh\necho out; echo err >&2; exit 3\n");
  const result = await runScript({ argv: [path] }, seconds(5)).done;
  assert.deepEqual(result.outcome, { type: "exited", status: 3 });
  assert.match(result.output, /out\n/);
  assert.match(result.output, /err\n/);
});

test("a script that ignores SIGTERM is killed with all it started, 2 s after its limit", async () => {
  const path = script("stubborn", "#!/bin/sh\ntrap '' TERM\nsleep 60 & echo $!\nwait; sleep 60\n");
  const begin = performance.now();
  const { outcome, output } = await runScript({ argv: [path] }, milliseconds(100)).done;
  const took = performance.now() - begin;
  assert.deepEqual(outcome, { type: "timeout" });
  assert.ok(took > 2_000 && took < 4_000, `took ${took} ms`);
  assert.ok(hasEnded(Number(output.trim())), "what the script started lives on");
});

/** A zombie has ended as well: whether init reaps it is not ours. */
function hasEnded(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
    return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z");
  } catch {
    return true;
  }
}

for (const [what, path] of [
  ["that does not exist", join(folder, "nothing")],
  ["without execute permission", script("plain", "#!/bin/sh\nexit 0\n", 0o644)],
  ["with a missing interpreter", script("interpreter", "#!/no/such/shell\nexit 0\n")],
] as const) {
  test(`a script ${what} cannot run, and that is no success`, async () => {
    const { outcome } = await runScript({ argv: [path] }, seconds(5)).done;
    assert.equal(outcome.type, "cannot-run");
  });
}

test("a shell's 127 means that the command could not be run", async () => {
  const { outcome } = await runScript({ argv: ["/bin/sh", "-c", "nosuchcommand"] }, seconds(5))
    .done;
  assert.equal(outcome.type, "cannot-run");
});

test("a script gets the three standard descriptors and no other", async () => {
  const path = script("descriptors", "#!/bin/sh\nls /proc/$$/fd\n");
  const { output } = await runScript({ argv: [path] }, seconds(5)).done;
  const open = output.trim().split("\n");
  // A shell keeps the script itself open, at 10 or above.
  assert.deepEqual(
    open.filter((fd) => Number(fd) < 10),
    ["0", "1", "2"],
  );
});

test("a script is in a session and group of its own", async () => {
  const { output } = await runScript({ argv: ["/bin/cat", "/proc/self/stat"] }, seconds(5)).done;
  const [pid, , , , group, session] = output.split(" ");
  assert.equal(group, pid);
  assert.equal(session, pid);
});

test("a script's environment has nothing of the loader, of Node or of systemd", () => {
  const env = scriptEnvironment({
    PATH: "/bin",
    LD_PRELOAD: "x",
    IFS: "x",
    NODE_OPTIONS: "x",
    NOTIFY_SOCKET: "x",
    CREDENTIALS_DIRECTORY: "x",
  });
  assert.deepEqual(env, { PATH: "/bin" });
});

test("only the end of a long output is kept", async () => {
  const { output } = await runScript(
    { argv: ["/bin/sh", "-c", "yes line | head -c 100000; echo last"] },
    seconds(5),
  ).done;
  assert.ok(output.length <= OUTPUT_BYTES);
  assert.match(output, /last\n$/);
});

test("a daemon that a script leaves behind does not hold its result back", async () => {
  const begin = performance.now();
  await runScript({ argv: ["/bin/sh", "-c", "sleep 5 &"] }, seconds(10)).done;
  assert.ok(performance.now() - begin < 2_000);
});

test("a hundred runs leave no zombie", async () => {
  await Promise.all(
    Array.from({ length: 100 }, () => runScript({ argv: ["/bin/true"] }, seconds(10)).done),
  );
  const zombies = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
        const [state, parent] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return state === "Z" && Number(parent) === process.pid;
      } catch {
        return false;
      }
    });
  assert.deepEqual(zombies, []);
});

test("a file test succeeds when the file can be opened and fails otherwise", async () => {
  const path = script("exists", "");
  const found = await runScript({ argv: [`<${path}`] }, undefined).done;
  const missing = await runScript({ argv: [`<${path}x`] }, undefined).done;
  assert.deepEqual(found.outcome, { type: "exited", status: 0 });
  assert.deepEqual(missing.outcome, { type: "exited", status: 1 });
});
