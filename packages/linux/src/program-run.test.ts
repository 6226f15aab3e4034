import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { milliseconds } from "@ha/base";
import { cleanEnvironment, runProgram } from "./program-run.ts";

const folder = mkdtempSync(join(tmpdir(), "program-run-"));
after(() => rmSync(folder, { recursive: true }));

function script(name: string, text: string, mode = 0o755): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  chmodSync(path, mode);
  return path;
}

describe("running scripts", () => {
  test("exit code, output of both streams and arguments come back", async () => {
    const path = script("plain", '#!/bin/sh\necho "out $1"\necho "err $2" >&2\nexit 7\n');
    const run = runProgram({ argv: [path, "a b", "c"] });
    assert.ok(run.pid > 0);
    const result = await run.done;
    assert.equal(result.type, "exited");
    assert.ok(result.type === "exited" && result.code === 7);
    assert.match(result.output, /out a b/);
    assert.match(result.output, /err c/);
    assert.equal(run.kill("SIGTERM"), false);
  });

  test("what cannot be executed is not an exit code", async () => {
    const cases: [string, string][] = [
      [join(folder, "missing"), "ENOENT"],
      [script("no-right", "#!/bin/sh\n", 0o644), "EACCES"],
      [script("no-interpreter", "#!/no/such/interpreter\n"), "ENOENT"],
      [script("no-format", "\u0001\u0002 nothing"), "ENOEXEC"],
    ];
    for (const [path, code] of cases) {
      const result = await runProgram({ argv: [path] }).done;
      assert.equal(result.type, "not-executed", path);
      assert.ok(
        result.type === "not-executed" && result.error.code === code,
        JSON.stringify(result),
      );
      assert.match(result.error.operation, /\(execute\)/);
    }
  });

  test("a script of its own exit code 127 has exited", async () => {
    const result = await runProgram({ argv: [script("own-127", "#!/bin/sh\nexit 127\n")] }).done;
    assert.deepEqual(result, { type: "exited", code: 127, output: "" });
  });

  test("a signal is told by its name", async () => {
    const result = await runProgram({ argv: [script("kill", "#!/bin/sh\nkill -USR1 $$\n")] }).done;
    assert.deepEqual(result, { type: "signalled", signal: "SIGUSR1", output: "" });
  });

  test("a timeout ends the whole group, also one that ignores SIGTERM", async () => {
    const path = script(
      "stubborn",
      `#!/bin/sh\ntrap '' TERM\nsleep 300 &\necho $! > ${folder}/grandchild\nsleep 300\nsleep 300\n`,
    );
    const start = performance.now();
    const run = runProgram({
      argv: [path],
      timeout: milliseconds(200),
      killAfter: milliseconds(150),
    });
    const result = await run.done;
    assert.equal(result.type, "timed-out");
    const took = performance.now() - start;
    assert.ok(took > 300 && took < 3_000, `${took}`);
    const grandchild = Number(readFileSync(join(folder, "grandchild"), "utf8"));
    const state = (): string => {
      try {
        return (
          /^State:\s+(\S)/m.exec(readFileSync(`/proc/${grandchild}/status`, "utf8"))?.[1] ?? ""
        );
      } catch {
        return "gone";
      }
    };
    for (let i = 0; i < 200 && state() !== "gone" && state() !== "Z"; i++) {
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
    assert.match(state(), /gone|Z/);
  });

  test("only the end of much output is kept, and it does not block the script", async () => {
    const path = script("much", "#!/bin/sh\nseq 1 200000\necho last\n");
    const result = await runProgram({ argv: [path], outputBytes: 100 }).done;
    assert.ok(result.type === "exited" && result.code === 0);
    assert.ok(result.output.length <= 100);
    assert.match(result.output, /last\n$/);
  });

  test("the script has a session of its own, no descriptors but 0, 1 and 2, and a clean environment", async () => {
    const path = script(
      "look",
      "#!/bin/sh\necho fds $(ls /proc/self/fd | tr '\\n' ' ')\nps -o pid=,pgid=,sid= -p $$\nenv\n",
    );
    const environment = cleanEnvironment({
      PATH: process.env["PATH"],
      LD_PRELOAD: "x",
      IFS: ":",
      KEEP: "yes",
      NOTIFY_SOCKET: "/x",
    });
    const run = runProgram({ argv: [path], environment });
    const result = await run.done;
    assert.ok(result.type === "exited");
    // `ls` itself has 3 open: the folder that it lists.
    assert.match(result.output, /^fds 0 1 2 3 ?$/m);
    const ids = /^\s*(\d+)\s+(\d+)\s+(\d+)\s*$/m.exec(result.output);
    assert.deepEqual(ids?.slice(1).map(Number), [run.pid, run.pid, run.pid]);
    assert.match(result.output, /^KEEP=yes$/m);
    assert.doesNotMatch(result.output, /LD_PRELOAD|NOTIFY_SOCKET/);
  });

  const notRoot = process.getuid?.() === 0 ? false : "needs root";
  test("user, groups and umask are as asked", { skip: notRoot }, async () => {
    chmodSync(folder, 0o755);
    const path = script("id", "#!/bin/sh\nid -u; id -g; id -G; umask\n");
    const result = await runProgram({
      argv: [path],
      credentials: { uid: 65534, gid: 65534, groups: [10, 20] },
      umask: 0o077,
    }).done;
    assert.deepEqual(result, {
      type: "exited",
      code: 0,
      output: "65534\n65534\n65534 10 20\n0077\n",
    });
    const denied = await runProgram({
      argv: ["/bin/true"],
      credentials: { uid: 4_294_967_295, gid: 65534 },
    }).done;
    assert.equal(denied.type, "not-executed");
  });

  test("300 runs leave no descriptor and no zombie behind", async () => {
    const count = (): number => readdirSync("/proc/self/fd").length;
    const earlier = count();
    for (let i = 0; i < 30; i++) {
      const runs = Array.from({ length: 10 }, () => runProgram({ argv: ["/bin/true"] }));
      for (const run of runs) {
        assert.deepEqual(await run.done, { type: "exited", code: 0, output: "" });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(count(), earlier);
    const zombies = readdirSync("/proc").filter((name) => {
      if (!/^\d+$/.test(name)) return false;
      try {
        const status = readFileSync(`/proc/${name}/status`, "utf8");
        return status.includes(`PPid:\t${process.pid}\n`) && status.includes("State:\tZ");
      } catch {
        return false;
      }
    });
    assert.deepEqual(zombies, []);
  });
});
