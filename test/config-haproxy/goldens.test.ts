import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { readCases } from "./cases.ts";
import { findingsOf, loadText } from "./load-case.ts";

// Each cases/NAME.cases has what is said about its cases in NAME.txt; UPDATE_GOLDENS=1 writes them anew, to be read
// before a commit.
const folder = fileURLToPath(new URL("../../../test/config-haproxy/cases/", import.meta.url));

for (const file of readdirSync(folder).filter((name) => name.endsWith(".cases"))) {
  test(`every line of ${file} is told what the golden says, and no more`, () => {
    const said = readCases(readFileSync(folder + file, "utf8"))
      .map(({ name, text }) => {
        const loaded = loadText("t.cfg", text);
        const verdict = loaded.config === undefined ? "rejected" : "accepted";
        return [
          `### ${name}`,
          ...findingsOf(loaded).map((line) => `    ${line}`.trimEnd()),
          `    ${verdict}`,
        ].join("\n");
      })
      .join("\n");
    const golden = folder + file.replace(/\.cases$/, ".txt");
    if (process.env["UPDATE_GOLDENS"] === "1" || !existsSync(golden))
      writeFileSync(golden, `${said}\n`);
    assert.equal(`${said}\n`, readFileSync(golden, "utf8"));
  });
}

test("the first file that a newcomer writes loads into the model as it is meant", () => {
  const name = fileURLToPath(
    new URL("../../../test/config-haproxy/two-servers.cfg", import.meta.url),
  );
  const text = readFileSync(name, "utf8").replace(/^ {2}(user|group) haproxy\n/gm, "  $1 root\n");
  const { config, findings } = loadText("two-servers.cfg", text);
  assert.deepEqual(findings.list, []);
  assert.ok(config);
  const [www] = config.frontends;
  const [backend] = config.backends;
  assert.equal(config.global.chroot, "/var/lib/haproxy");
  assert.equal(config.global.daemon, true);
  assert.equal(config.global.stats.sockets[0]?.level, "admin");
  assert.equal(config.global.stats.sockets[0]?.unix.mode, 0o660);
  assert.equal(config.global.stats.timeout, 30_000_000);
  assert.deepEqual(
    config.global.logTargets.map(({ facility, level }) => [facility, level]),
    [
      [16, 7],
      [17, 5],
    ],
  );
  assert.equal(www?.mode, "http");
  assert.equal(www?.logFormat.kind, "httplog");
  assert.ok(www?.options.on.has("dontlognull"));
  assert.equal(www?.logTargets.length, 2);
  assert.deepEqual(www?.timeouts, { connect: 5_000_000, client: 50_000_000, server: 50_000_000 });
  assert.equal(www?.defaultBackend?.name, "my_backend");
  assert.equal(backend?.balance[0]?.text, "roundrobin");
  assert.deepEqual(
    backend?.servers.map(({ name, id, check, health }) => [
      name,
      id,
      check !== undefined,
      health.inter,
    ]),
    [
      ["server1", 1, true, 2_000_000],
      ["server2", 2, true, 2_000_000],
    ],
  );
});
