import { strict as assert } from "node:assert";
import { test } from "node:test";
import { ChunkedDecoder } from "./chunked.ts";
import { frameRequest, frameResponse } from "./framing.ts";
import { parseRequestHead, parseResponseHead } from "./h1.ts";
import { clearHead, createHead } from "./head.ts";

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));

/** 200, or the status that the head is refused with. */
function request(text: string, relaxed = false): number {
  const bytes = latin1(text);
  const head = createHead(101);
  clearHead(head);
  const offset = parseRequestHead(bytes, 0, bytes.length, head, 101, relaxed);
  if (offset < 0) return -offset;
  head.end = offset;
  const framing = frameRequest(bytes, head, relaxed);
  return framing < 0 ? -framing : 200;
}

function response(text: string): number {
  const bytes = latin1(text);
  const head = createHead(101);
  clearHead(head);
  const offset = parseResponseHead(bytes, 0, bytes.length, head, 101);
  if (offset < 0) return -offset;
  const framing = frameResponse(bytes, head, 1);
  return framing < 0 ? -framing : 200;
}

const get = (fields: string) => `GET / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;
const post = (fields: string) => `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n`;

// Each line is a way to make two readers see two different messages, or one that no client has a reason for.
const REFUSED: readonly (readonly [string, string, number])[] = [
  [
    "Content-Length beside Transfer-Encoding",
    post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"),
    400,
  ],
  ["Content-Length twice, the same", post("Content-Length: 5\r\nContent-Length: 5\r\n"), 400],
  ["Content-Length as a list", post("Content-Length: 5, 5\r\n"), 400],
  ["Content-Length with a sign", post("Content-Length: +5\r\n"), 400],
  ["Content-Length below zero", post("Content-Length: -5\r\n"), 400],
  ["Content-Length in hexadecimal", post("Content-Length: 0x5\r\n"), 400],
  ["Content-Length with a blank inside", post("Content-Length: 5 0\r\n"), 400],
  ["Content-Length without digits", post("Content-Length: \r\n"), 400],
  ["Content-Length beyond 2^53", post("Content-Length: 9007199254740993\r\n"), 400],
  ["Content-Length of many digits", post("Content-Length: 00000000000000000000005\r\n"), 400],
  [
    "Transfer-Encoding twice",
    post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n"),
    400,
  ],
  ["Transfer-Encoding of another coding", post("Transfer-Encoding: gzip\r\n"), 422],
  ["Transfer-Encoding of two codings", post("Transfer-Encoding: gzip, chunked\r\n"), 422],
  [
    "Transfer-Encoding with something behind",
    post("Transfer-Encoding: chunked, identity\r\n"),
    422,
  ],
  ["Transfer-Encoding misspelt", post("Transfer-Encoding: xchunked\r\n"), 422],
  ["Transfer-Encoding with a vertical tab", post("Transfer-Encoding:\vchunked\r\n"), 400],
  [
    "HTTP/1.0 with Transfer-Encoding",
    "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
    400,
  ],
  ["a blank before the colon", get("X : y\r\n"), 400],
  ["a name that is empty", get(": y\r\n"), 400],
  ["a line without colon", get("nothing\r\n"), 400],
  ["a folded line", get("X: y\r\n z\r\n"), 400],
  ["a fold in front of the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400],
  ["a bare LF after a field", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400],
  ["a bare LF at the end", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400],
  ["a bare CR in a value", get("X: y\rz\r\n"), 400],
  ["NUL in a value", get("X: y\0z\r\n"), 400],
  ["NUL in a name", get("X\0: y\r\n"), 400],
  ["a control character in the target", "GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["a byte above 127 in the target", "GET /é HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["a fragment in the target", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["two blanks before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["a tab in the request line", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["a target without slash", "GET a HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["an asterisk with GET", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["CONNECT without port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["CONNECT with a path", "CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["userinfo in an absolute target", "GET http://u@a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["Host against an absolute target", "GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
  ["no Host in HTTP/1.1", "GET / HTTP/1.1\r\n\r\n", 400],
  ["Host twice", get("Host: a\r\n"), 400],
  ["Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400],
  ["Host as a list", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400],
  ["Host with a blank inside", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400],
  ["a version in lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", 400],
  ["HTTP/1.2", "GET / HTTP/1.2\r\nHost: a\r\n\r\n", 400],
  ["HTTP/0.9", "GET /\r\n", 400],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400],
  ["a TLS hello", "\x16\x03\x01\x02\x00\x01\x00", 400],
];
for (const [what, text, status] of REFUSED) {
  test(`${what} is refused with ${status}`, () => assert.equal(request(text), status));
}

const TAKEN: readonly (readonly [string, string])[] = [
  ["a plain request", get("")],
  ["an empty line in front", `\r\n${get("")}`],
  ["bytes above 127 in a value", get("X: caf\xe9\r\n")],
  ["a tab in a value", get("X: a\tb\r\n")],
  ["Transfer-Encoding in capitals", post("TRANSFER-ENCODING: CHUNKED\r\n")],
  ["an absolute target with the default port", "GET http://a:80/ HTTP/1.1\r\nHost: A\r\n\r\n"],
  ["an IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"],
  ["OPTIONS of the whole server", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n"],
  ["CONNECT to a port", "CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"],
  ["HTTP/1.0 without Host", "GET / HTTP/1.0\r\n\r\n"],
];
for (const [what, text] of TAKEN) test(`${what} is taken`, () => assert.equal(request(text), 200));

test("the option for unsafe violations lets bare line feeds and a missing Host pass, nothing that frames", () => {
  assert.equal(request("GET / HTTP/1.1\nX: y\n\n", true), 200);
  assert.equal(request(post("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n"), true), 400);
  assert.equal(request(get("X: y\0\r\n"), true), 400);
});

test("a field more than the limit is 431", () => {
  assert.equal(request(get("X: y\r\n".repeat(100))), 200);
  assert.equal(request(get("X: y\r\n".repeat(101))), 431);
});

test("a response is held to the same framing", () => {
  assert.equal(
    response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"),
    400,
  );
  assert.equal(response("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n"), 400);
  assert.equal(response("HTTP/1.1 20 OK\r\n\r\n\r\n"), 400);
  assert.equal(response("HTTP/1.1 200\r\n\r\n"), 200);
  assert.equal(response("HTTP/1.1 200 \r\n\r\n"), 200);
  assert.equal(response("HTTP/1.1 200 OK\n\n\n\n"), 400);
});

const chunks = (text: string): number => {
  const bytes = latin1(text);
  const decoder = new ChunkedDecoder();
  const stop = decoder.decode(bytes, 0, bytes.length, false);
  return stop < 0 ? 400 : decoder.isDone ? 200 : 0;
};

for (const [what, text] of [
  ["a size without digits", "\r\n\r\n"],
  ["a size with a sign", "+5\r\nhello\r\n0\r\n\r\n"],
  ["a size with 0x", "0x5\r\nhello\r\n0\r\n\r\n"],
  ["a size of fourteen digits", "00000000000005\r\nhello\r\n0\r\n\r\n"],
  ["a size that ends in a bare LF", "5\nhello\r\n0\r\n\r\n"],
  ["a blank after the size", "5 \r\nhello\r\n0\r\n\r\n"],
  ["data longer than its size", "5\r\nhello!\r\n0\r\n\r\n"],
  ["a bare LF in an extension", "5;a\nb\r\nhello\r\n0\r\n\r\n"],
  ["an extension without end", `5;${"a".repeat(2_000)}\r\nhello\r\n0\r\n\r\n`],
  ["a trailer that frames", "0\r\nContent-Length: 5\r\n\r\n"],
  ["a trailer with a blank before the colon", "0\r\nX : y\r\n\r\n"],
  ["a trailer that folds", "0\r\nX: y\r\n z\r\n\r\n"],
  ["trailers without end", `0\r\n${"X: y\r\n".repeat(3_000)}\r\n`],
] as const) {
  test(`in the chunked coding, ${what} is refused`, () => assert.equal(chunks(text), 400));
}

test("trailers pass, extensions are dropped", () => {
  assert.equal(chunks("5;name=value\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"), 200);
});
