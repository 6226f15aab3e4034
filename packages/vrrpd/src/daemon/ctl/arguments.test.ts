import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { parseArguments, parseDuration, parseTime } from "./arguments.ts";

function requestOf(line: string): unknown {
  const parsed = parseArguments(line.split(" "));
  return "arguments" in parsed ? parsed.arguments.request : parsed;
}

test("each command becomes the request it stands for, wherever its options stand", () => {
  assert.deepEqual(requestOf("status --json"), { command: "status" });
  assert.deepEqual(requestOf("--json status"), { command: "status" });
  assert.deepEqual(requestOf("--socket status status"), { command: "status" });
  assert.deepEqual(requestOf("switchover VI_1 --timeout=2m VI_2 --back"), {
    command: "switchover",
    instances: ["VI_1", "VI_2"],
    back: true,
    timeout: 120_000,
  });
  assert.deepEqual(requestOf("maintenance on --for 30m"), {
    command: "maintenance",
    on: true,
    for: 1_800_000,
    force: false,
  });
  assert.deepEqual(requestOf("plan /etc/next.conf"), { command: "plan", file: "/etc/next.conf" });
});

test("what is not understood is refused and named", () => {
  for (const [line, problem] of [
    ["", "which command?"],
    ["sttus", "there is no command 'sttus'"],
    ["status --back", "status has no option --back"],
    ["status now", "'now' is one word too many"],
    ["switchover --timeout", "--timeout needs a value"],
    ["switchover --timeout soon", "'soon' is no duration: write 10s, 5m, 1h"],
    ["maintenance", "maintenance needs 'on' or 'off'"],
    ["maintenance off --force", "'off' takes no option"],
    ["why --at yesterday", "'yesterday' is no time: write 03:12 or 2026-11-24T03:12:45"],
    ["metrics --names mine", "--names is mehdy or gen2brain"],
    ["status --json=1", "--json takes no value"],
    ["status --__proto__", "status has no option --__proto__"],
  ] as const) {
    assert.deepEqual(requestOf(line), { problem }, line);
  }
});

test("durations have units, and are seconds without one", () => {
  assert.equal(parseDuration("90"), 90_000);
  assert.equal(parseDuration("500ms"), 500);
  assert.equal(parseDuration("1.5h"), 5_400_000);
  assert.equal(parseDuration("-1s"), undefined);
  assert.equal(parseDuration("1w"), undefined);
});

test("a time of day is the last one that has passed, to its end", () => {
  const now = new Date(2026, 10, 24, 12, 0, 0);
  assert.equal(parseTime("03:12", now), new Date(2026, 10, 24, 3, 12, 59, 999).getTime());
  assert.equal(parseTime("23:10:05", now), new Date(2026, 10, 23, 23, 10, 5, 999).getTime());
  assert.equal(
    parseTime("2026-11-20T03:12", now),
    new Date(2026, 10, 20, 3, 12, 59, 999).getTime(),
  );
  assert.equal(parseTime("25:00", now), undefined);
  assert.equal(parseTime("noon", now), undefined);
});

test("bash completes commands, and the options of the command at hand", () => {
  const parsed = parseArguments(["completion"]);
  assert.ok("help" in parsed);
  const complete = (...words: readonly string[]): string[] => {
    const script = `${parsed.help}
COMP_WORDS=(vrrpctl ${words.join(" ")} ""); COMP_CWORD=$(( \${#COMP_WORDS[@]} - 1 )); _vrrpctl; printf '%s\\n' "\${COMPREPLY[@]}"`;
    const { stdout, stderr, status } = spawnSync("bash", ["--norc", "-c", script], {
      encoding: "utf8",
    });
    assert.deepEqual([status, stderr], [0, ""]);
    return stdout.trim().split("\n");
  };
  assert.ok(complete().includes("switchover"));
  assert.ok(complete("switchover").includes("--back"));
  assert.ok(!complete("status").includes("--back"));
  assert.ok(complete("maintenance").includes("off"));
});
