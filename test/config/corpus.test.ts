import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../../", import.meta.url));

function whyNot(): string | undefined {
  if (process.getuid?.() !== 0) return "needs root: it makes network, mount and UTS namespaces";
  const tried = spawnSync("unshare", ["-n", "-m", "-u", "--", "true"]);
  return tried.status === 0 ? undefined : "namespaces cannot be made here";
}

const reason = whyNot();

test(
  "vrrpd -t agrees with keepalived 2.4.3 on every file of the corpus, exit codes and lines",
  reason === undefined ? { timeout: 300_000 } : { skip: reason },
  () => {
    const { stdout, stderr } = spawnSync(`${root}test/corpus/keepalived-conf/run.sh`, {
      encoding: "utf8",
      env: {
        ...process.env,
        DAEMON: `${process.execPath} ${root}packages/vrrpd/bin/vrrpd.js`,
        REF: "new",
        METRIC: "lines",
      },
    });
    assert.match(stdout, /exit code and line numbers: (\d+) of \1\n/, `${stdout}\n${stderr}`);
  },
);
