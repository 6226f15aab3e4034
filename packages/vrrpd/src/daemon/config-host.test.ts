import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { loadConfig } from "../core/config/load.ts";
import { linuxConfigHost } from "./config-host.ts";

const folder = mkdtempSync(`${tmpdir()}/vrrpd-host-`);
after(() => rmSync(folder, { recursive: true }));
const host = linuxConfigHost();
const root = { name: "root", uid: 0, gid: 0, supplementary: false };

test("the loopback interface is known for what it is, and no other name is invented", () => {
  assert.equal(host.findInterface("lo")?.loopback, true);
  assert.equal(host.findInterface("nosuchif0"), undefined);
});

test("root is found by name, and a user that is not there is not", () => {
  assert.deepEqual(host.findUser("root"), { name: "root", uid: 0, gid: 0 });
  assert.equal(host.findUser("no_such_user_here"), undefined);
});

test("a program is found in PATH, with the folder's real path", () => {
  assert.match(host.findScript("sh", root).path ?? "", /^\/.*\/sh$/);
  assert.equal(host.findScript("no_such_program_here", root).problem, "missing");
});

test("a script that everybody can change is unsafe, and names the culprit", () => {
  const path = `${folder}/open.sh`;
  writeFileSync(path, "#!/bin/sh\n");
  chmodSync(path, 0o777);
  const found = host.findScript(path, root);
  assert.match(found.unsafe?.why ?? "", /changed by everyone|belongs to user/);
});

const hostile = ["/etc/passwd/x", "a\0b", `/${"x/".repeat(5000)}`, "x".repeat(5000), "/", ".", ""];
for (const path of hostile) {
  test(`the path ${JSON.stringify(path.slice(0, 20))} makes nothing throw`, () => {
    assert.equal(host.readFile(path), undefined);
    host.glob(path, "/etc");
    host.glob(`${path}/*`, "/etc");
    host.findScript(path, root);
    host.fileProblem(path, "folder");
    host.fileMode(path);
  });
}

test("a configuration full of such paths is read to its end", () => {
  const file = `${folder}/c.conf`;
  const lines = hostile.flatMap((path, i) => [
    `include ${path}`,
    `vrrp_script s${i} {`,
    `script "${path}"`,
    "}",
    `track_file f${i} {`,
    `file ${path}`,
    "}",
  ]);
  writeFileSync(file, lines.join("\n"));
  assert.ok((loadConfig(file, { host })?.diagnostics.length ?? 0) > 0);
});
