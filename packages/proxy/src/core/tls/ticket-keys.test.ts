import assert from "node:assert/strict";
import { test } from "node:test";
import { fail } from "@ha/base";
import { encodeText } from "../sample/sample.ts";
import { parseTicketKeys } from "./ticket-keys.ts";

const key = (size: number, fill: number) => Buffer.alloc(size, fill).toString("base64");
const parse = (...rows: string[]) =>
  parseTicketKeys(encodeText(rows.map((row) => `${row}\n`).join("")), "tk");

test("the last three keys of a file count", () => {
  const keys = parse(key(80, 1), key(80, 2), key(80, 3), key(80, 4));
  assert.ok(keys.ok);
  assert.deepEqual(
    keys.value.map(([first]) => first),
    [2, 3, 4],
  );
});

test("keys of another size, of two sizes, or too few are refused with their line", () => {
  assert.deepEqual(parse("junk"), fail("'tk' : wrong sized key on line 1"));
  assert.deepEqual(parse(key(48, 1), key(80, 2)), fail("'tk' : wrong sized key on line 2"));
  assert.deepEqual(
    parse(key(48, 1), key(48, 2)),
    fail("'tk' : please supply at least 3 keys in the tls-tickets-file"),
  );
});
