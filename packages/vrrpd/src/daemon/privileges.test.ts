import assert from "node:assert/strict";
import { test } from "node:test";
import { missingPrivileges } from "./privileges.ts";

test("what the daemon may not do is named, and where nothing is known nothing is missing", () => {
  assert.deepEqual(missingPrivileges("Name:\tx\nCapEff:\t000001ffffffffff\n"), []);
  assert.deepEqual(missingPrivileges("CapEff:\t0000000000001000\n"), ["CAP_NET_RAW"]);
  assert.deepEqual(missingPrivileges("CapEff:\t0000000000000000\n"), [
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
  ]);
  assert.deepEqual(missingPrivileges(""), []);
});
