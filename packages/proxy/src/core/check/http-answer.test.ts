import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { readHttpAnswer } from "./http-answer.ts";

test("an answer is read as far as it has come", () => {
  assert.equal(readHttpAnswer(""), "incomplete");
  assert.equal(readHttpAnswer("HTTP/1.1 200 O"), "incomplete");
  assert.equal(readHttpAnswer("HTTP/1.1 200 OK\r\nA: b\r\n"), "incomplete");
  const part = readHttpAnswer("HTTP/1.1 200 OK\r\nA:  b \r\nContent-Length: 4\r\n\r\nab");
  assert.deepEqual(part, {
    status: 200,
    reason: "OK",
    headers: [
      { name: "a", value: "b" },
      { name: "content-length", value: "4" },
    ],
    body: "ab",
    isWhole: false,
  });
});

test("what is no HTTP is known at once", () => {
  assert.equal(readHttpAnswer("220 mail.example.org\r\n"), "invalid");
  assert.equal(readHttpAnswer("SSH"), "invalid");
  assert.equal(readHttpAnswer("HTTP/1.1 2x0 OK\r\n"), "invalid");
});

test("a status line without reason and lines that end in LF alone are taken", () => {
  const answer = readHttpAnswer("HTTP/1.1 204\nA: b\n\n");
  assert.ok(typeof answer === "object" && answer.status === 204 && answer.isWhole);
});

test("chunks are joined, and interim answers skipped", () => {
  const text =
    "HTTP/1.1 103 Early\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
  const answer = readHttpAnswer(text);
  assert.ok(typeof answer === "object");
  assert.deepEqual([answer.body, answer.isWhole], ["abc", true]);
});

test("no bytes make the reader throw", () => {
  const start = fc.constantFrom(
    "",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
  );
  fc.assert(
    fc.property(start, fc.string({ maxLength: 400 }), (head, tail) => {
      readHttpAnswer(head + tail);
    }),
  );
});
