import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { needsOf } from "../core/index.ts";
import { parseArguments } from "./arguments.ts";
import { BadDrills, readDrills } from "./drill-files.ts";

test("Options that are left out are those of our own programs on namespaces", () => {
  assert.deepEqual(parseArguments(["drill", "a", "b"]), {
    command: "drill",
    names: ["a", "b"],
    driver: "netns",
    programs: { daemon: "vrrpd", proxy: "lbproxy" },
    jobs: 3,
    folder: ".lab",
    json: false,
  });
});

test("A word that the lab does not know is a problem that names it", () => {
  for (const [words, wanted] of [
    [[], "no command"],
    [["dril"], "'dril'"],
    [["drill", "--driver", "docker"], "'docker'"],
    [["drill", "--daemon", "bird"], "'bird'"],
    [["drill", "--proxy", "nginx"], "'nginx'"],
    [["drill", "--jobs", "0"], "'0'"],
    [["drill", "--fast"], "--fast"],
  ] as const) {
    const parsed = parseArguments(words);
    assert.ok("problem" in parsed && parsed.problem.includes(wanted), JSON.stringify(parsed));
  }
});

test("At least twenty drills come with the lab, all of them readable, each fault kind in one of them", () => {
  const drills = readDrills([]);
  assert.ok(drills.length >= 20);
  const kinds = new Set(
    drills.flatMap(({ steps }) =>
      steps.flatMap((step) => ("fault" in step ? [step.fault.kind] : [])),
    ),
  );
  const wanted =
    "stop kill freeze freeze-host power-off reboot link-down partition loss delay reload disk-full clock-jump cpu-load upgrade switchover";
  assert.deepEqual([...kinds].sort(), wanted.split(" ").sort());
});

test("What a drill needs follows from its faults and its pair", () => {
  const [loss, kill, rolling] = readDrills(["loss", "kill-proxy", "rolling-upgrade"]);
  assert.ok(loss !== undefined && kill !== undefined && rolling !== undefined);
  assert.deepEqual(needsOf(loss), ["netem"]);
  assert.deepEqual(needsOf(kill), ["supervised-proxy"]);
  assert.deepEqual(needsOf(rolling), ["keepalived"]);
});

test("Every drill that cannot be read is told of, with the name that was meant or the place in the file", () => {
  const folder = mkdtempSync(join(tmpdir(), "drill-files-"));
  try {
    const file = join(folder, "mine.yaml");
    writeFileSync(file, "name: mine\nsteps: []\n");
    assert.throws(
      () => readDrills(["stop-mastr", file]),
      (error) =>
        error instanceof BadDrills &&
        error.message.includes("did you mean 'stop-master'?") &&
        error.message.includes(`${file}:2:8: error: 'steps'`),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
});
