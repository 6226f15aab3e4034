import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  decodeAnswer,
  encodeQuestion,
  isDnsName,
  TYPE_A,
  TYPE_AAAA,
  TYPE_CNAME,
  TYPE_SRV,
} from "./dns-message.ts";

const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9-]{0,20}[a-z0-9])?$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join("."));

/** An answer's bytes: the question with other flags, records behind it. */
function answer(question: Uint8Array, records: readonly number[][], rcode = 0): Uint8Array {
  const bytes = [...question];
  bytes[2] = 0x81;
  bytes[3] = 0x80 | rcode;
  bytes[7] = records.length;
  return Uint8Array.from([...bytes, ...records.flat()]);
}

function record(owner: readonly number[], type: number, data: readonly number[]): number[] {
  return [...owner, 0, type, 0, 1, 0, 0, 0, 60, data.length >> 8, data.length & 255, ...data];
}

const encoded = (text: string): number[] => [
  ...text.split(".").flatMap((part) => [part.length, ...Buffer.from(part)]),
  0,
];
/** Points to the question's name. */
const ASKED = [0xc0, 12];

test("no bytes make the decoder of DNS answers throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), name, (bytes, asked) => {
      decodeAnswer(bytes, { name: asked, type: TYPE_A });
    }),
  );
  fc.assert(
    fc.property(name, fc.uint8Array({ maxLength: 300 }), (asked, tail) => {
      const bytes = answer(encodeQuestion(1, asked, TYPE_SRV, 512), [[...tail]]);
      decodeAnswer(bytes, { name: asked, type: TYPE_SRV });
    }),
  );
});

test("addresses come out of an answer as they went in, whatever the name", () => {
  fc.assert(
    fc.property(name, fc.uint8Array({ minLength: 4, maxLength: 4 }), (asked, address) => {
      const bytes = answer(encodeQuestion(7, asked, TYPE_A, 512), [
        record(ASKED, TYPE_A, [...address]),
      ]);
      const decoded = decodeAnswer(bytes, { name: asked.toUpperCase(), type: TYPE_A });
      assert.ok(decoded.ok);
      assert.deepEqual(decoded.value.records, [
        { type: "address", name: asked, address: { family: 4, bytes: address } },
      ]);
    }),
  );
});

test("an alias's addresses bear the name that was asked for", () => {
  const bytes = answer(encodeQuestion(7, "www.example", TYPE_AAAA, 4096), [
    record(ASKED, TYPE_CNAME, encoded("real.example")),
    record(
      encoded("real.example"),
      TYPE_AAAA,
      Array.from({ length: 16 }, (_, i) => i),
    ),
  ]);
  const decoded = decodeAnswer(bytes, { name: "www.example", type: TYPE_AAAA });
  assert.ok(decoded.ok);
  assert.deepEqual(
    decoded.value.records.map((found) => found.name),
    ["www.example"],
  );
});

test("aliases in a ring and an answer to another question are refused", () => {
  const question = encodeQuestion(7, "a.example", TYPE_A, 512);
  const ring = answer(question, [
    record(ASKED, TYPE_CNAME, encoded("b.example")),
    record(encoded("b.example"), TYPE_CNAME, encoded("a.example")),
  ]);
  assert.deepEqual(decodeAnswer(ring, { name: "a.example", type: TYPE_A }), {
    ok: false,
    error: "cname_error",
  });
  const other = answer(question, []);
  assert.equal(decodeAnswer(other, { name: "b.example", type: TYPE_A }).ok, false);
  assert.equal(decodeAnswer(other, { name: "a.example", type: TYPE_AAAA }).ok, false);
});

test("names that cannot be asked for are told", () => {
  for (const good of ["a", "a.b.", "_http._tcp.example"]) assert.equal(isDnsName(good), true);
  for (const bad of ["", ".", "a..b", "a b", `${"a".repeat(64)}.b`, "é.b"]) {
    assert.equal(isDnsName(bad), false);
  }
});
