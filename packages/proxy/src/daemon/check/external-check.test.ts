import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Finding } from "../../core/check/check-run.ts";
import { backendOf } from "../../core/check/testing/checked-backend.ts";
import { runExternalCheck } from "./external-check.ts";

const folder = mkdtempSync(join(tmpdir(), "external-check-"));
after(() => rmSync(folder, { recursive: true }));

/** Runs a shell script as the check of a server. */
async function check(script: string, milliseconds = 3_000): Promise<Finding> {
  const command = join(folder, "check.sh");
  writeFileSync(command, `#!/bin/sh\n${script}\n`);
  chmodSync(command, 0o755);
  const backend = backendOf(
    [
      "mode tcp",
      "option external-check",
      `external-check command ${command}`,
      "external-check path /usr/bin:/bin",
    ],
    "server s 192.0.2.7:81 check maxconn 9",
  );
  const [server] = backend.servers;
  assert.ok(server !== undefined);
  return await new Promise((resolve) => {
    runExternalCheck(
      {
        backend,
        server,
        address: server.address,
        port: 81,
        frontend: undefined,
        connections: 4,
        maxconn: 9,
        timeoutMilliseconds: milliseconds,
      },
      resolve,
    );
  });
}

test("a program's exit status is the check's code", async () => {
  assert.deepEqual(await check("exit 0"), { status: "PROCOK", code: 0, info: "" });
  assert.deepEqual(await check("exit 3"), { status: "PROCERR", code: 3, info: "" });
});

test("a program that takes too long is killed", async () => {
  assert.equal((await check("exec sleep 30", 100)).status, "PROCTOUT");
});

test("a program that cannot be started is a failed check", async () => {
  const backend = backendOf(["option external-check", "external-check command /nonexistent/x"]);
  const [server] = backend.servers;
  assert.ok(server !== undefined);
  const found = await new Promise<Finding>((resolve) => {
    runExternalCheck(
      {
        backend,
        server,
        address: server.address,
        port: 80,
        frontend: undefined,
        connections: 0,
        maxconn: 0,
        timeoutMilliseconds: 1_000,
      },
      resolve,
    );
  });
  assert.deepEqual([found.status, found.code], ["PROCERR", 127]);
});

// The arguments and the environment that haproxy 2.6.12 gave the same script.
test("a program gets HAProxy's arguments and environment, and nothing else", async () => {
  const out = join(folder, "out");
  await check(`{ echo "$@"; env | sort; } > ${out}`);
  const text = readFileSync(out, "utf8")
    .split("\n")
    .filter((line) => !/^(PWD|OLDPWD|SHLVL|_)=/.test(line));
  assert.deepEqual(text, [
    "NOT_USED NOT_USED 192.0.2.7 81",
    "HAPROXY_PROXY_ADDR=",
    "HAPROXY_PROXY_ID=1",
    "HAPROXY_PROXY_NAME=b",
    "HAPROXY_PROXY_PORT=",
    "HAPROXY_SERVER_ADDR=192.0.2.7",
    "HAPROXY_SERVER_CURCONN=4",
    "HAPROXY_SERVER_ID=1",
    "HAPROXY_SERVER_MAXCONN=9",
    "HAPROXY_SERVER_NAME=s",
    "HAPROXY_SERVER_PORT=81",
    "HAPROXY_SERVER_PROTO=tcp",
    "HAPROXY_SERVER_SSL=0",
    "PATH=/usr/bin:/bin",
    "",
  ]);
});
