import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import type { Userlist } from "../config/section-model.ts";
import { crypt } from "./crypt.ts";
import { nodePorts } from "./haproxy-runner.test.ts";
import { encodeBytes } from "./sample.ts";
import { createUserCheck } from "./user-check.ts";

const { digests } = nodePorts();
const openssl = spawnSync("openssl", ["version"]).status === 0 ? false : "openssl is not installed";

for (const form of ["1", "5", "6"]) {
  test(`crypt's form $${form}$ gives what openssl gives`, { skip: openssl }, () => {
    for (const password of [
      "",
      "a",
      "secret",
      "a much longer password than one block of any of these digests takes, by far, really",
    ]) {
      const { stdout } = spawnSync(
        "openssl",
        ["passwd", `-${form}`, "-salt", "abcdefgh", password === "" ? "x" : password],
        { encoding: "utf8" },
      );
      assert.equal(
        crypt(encodeBytes(password === "" ? "x" : password), stdout.trim(), digests),
        stdout.trim(),
      );
    }
  });
}

test("a password with rounds of its own is right, and one with so many that it would stall is refused", () => {
  // From the test vectors of the specification.
  const known = "$5$rounds=10000$saltstringsaltst$3xv.VbSCBX41eDL9L3voZebnuaFdqPmDrJyaALEBmiC";
  const made = crypt(encodeBytes("Hello world!"), known, digests);
  assert.ok(made?.startsWith("$5$rounds=10000$saltstringsaltst$"));
  assert.equal(crypt(encodeBytes("x"), "$6$rounds=900000000$abc$zzz", digests), undefined);
});

test("groups come from both the user's line and the group's, for the right password alone", () => {
  const at = { file: "f", line: 1, column: 1 };
  const list: Userlist = {
    at,
    name: "u",
    users: new Map([["joe", { password: "pw", encrypted: false, groups: ["a"] }]]),
    groups: new Map([["b", ["joe"]]]),
  };
  const check = createUserCheck(list, digests);
  assert.deepEqual(check("joe", "pw"), ["a", "b"]);
  assert.equal(check("joe", "pW"), undefined);
  assert.equal(check("joe", ""), undefined);
  assert.equal(check("jane", "pw"), undefined);
});
