import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, test } from "node:test";
import { expandBraces, findFiles } from "./find-files.ts";

const folder = mkdtempSync(`${tmpdir()}/vrrpd-find-`);
mkdirSync(`${folder}/sub`);
for (const name of ["a.conf", "b.conf", ".hidden.conf", "c.txt", "sub/d.conf"])
  writeFileSync(`${folder}/${name}`, "");
after(() => rmSync(folder, { recursive: true }));

const found = (pattern: string) =>
  findFiles(pattern, folder).files.map((file) => file.slice(folder.length + 1));

const cases: readonly (readonly [pattern: string, files: readonly string[]])[] = [
  ["a.conf", ["a.conf"]],
  ["*.conf", ["a.conf", "b.conf"]],
  [".*.conf", [".hidden.conf"]],
  ["[ab].conf", ["a.conf", "b.conf"]],
  ["[!a].conf", ["b.conf"]],
  ["?.txt", ["c.txt"]],
  ["*/d.conf", ["sub/d.conf"]],
  ["{b,a}.conf", ["b.conf", "a.conf"]],
  ["sub", []],
  ["[.conf", []],
];
for (const [pattern, files] of cases) {
  test(`${pattern} finds ${files.join(", ") || "nothing"}`, () =>
    assert.deepEqual(found(pattern), files));
}

test("braces nest and may be empty", () => {
  assert.deepEqual(expandBraces("{foo/{,cat},bar}x"), ["foo/x", "foo/catx", "barx"]);
});

test("braces that do not match are text", () => {
  assert.deepEqual(expandBraces("a{b"), ["a{b"]);
});

test("braces cannot grow without end", () => {
  assert.ok(expandBraces("{a,b}".repeat(30)).length <= 1000);
});

test("a wildcard in a folder that is not there says so", () => {
  assert.equal(findFiles("nowhere/*.conf", folder).folderMissing, true);
  assert.equal(findFiles("sub/*.none", folder).folderMissing, false);
});
