import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

// Goal: an operator's file gets HAProxy's verdict, its failing line and its warnings. Method: the corpus, judged by
// HAProxy 2.6.12 and 3.5-dev5, through the built program; files on which they differ are left to the goldens, and the
// one that needs a user `haproxy` where there is none.
test("every file of the corpus gets the verdict, the line and the warnings that HAProxy gives", () => {
  const { stdout, stderr } = spawnSync("bash", [`${root}test/corpus/haproxy-cfg/run.sh`], {
    encoding: "utf8",
    env: {
      ...process.env,
      PROXY: `${process.execPath} ${root}packages/proxy/bin/lbproxy.js`,
      VERBOSE: "1",
    },
  });
  const [, named, lines, warned, accepted] =
    /named (\d+) of (\d+); warnings as HAProxy (\d+) of (\d+)/.exec(stdout) ?? [];
  const [, agreed, all] = /agreement (\d+) of (\d+)/.exec(stdout) ?? [];
  assert.ok(Number(all) >= 83, stdout + stderr);
  assert.deepEqual([agreed, named, warned], [all, lines, accepted], stdout + stderr);
});
