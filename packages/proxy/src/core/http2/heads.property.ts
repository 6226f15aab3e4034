import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { frameRequest, frameResponse } from "../http/framing.ts";
import { parseRequestHead, parseResponseHead } from "../http/h1.ts";
import { clearHead, createHead, type Head, METHOD_GET } from "../http/head.ts";
import { createHpackWork, HpackDecoder } from "./hpack-decoder.ts";
import { MAX_LIST } from "./limits.ts";
import { writeRequestBlock } from "./request-block.ts";
import { RequestHeadReader } from "./request-head.ts";
import { writeResponseBlock } from "./response-block.ts";
import { readResponseHead } from "./response-head.ts";

const work = createHpackWork();
const reader = new RequestHeadReader();
const READING = {
  maxFields: 101,
  relaxed: false,
  webSocketKey: () => Uint8Array.from("x".repeat(24), (char) => char.charCodeAt(0)),
};
type Fields = readonly (readonly [string, string])[];

const textOf = (bytes: Uint8Array, start = 0, end = bytes.length) =>
  String.fromCharCode(...bytes.subarray(start, end));

/** A block of literals that are kept or not, in plain bytes. */
function block(fields: Fields, keeps: boolean): Uint8Array {
  const out: number[] = [];
  const put = (text: string) => {
    if (text.length < 127) out.push(text.length);
    else {
      let rest = text.length - 127;
      out.push(127);
      for (; rest >= 128; rest >>= 7) out.push((rest & 127) | 128);
      out.push(rest);
    }
    for (const char of text) out.push(char.charCodeAt(0) & 0xff);
  };
  for (const [name, value] of fields) {
    out.push(keeps ? 0x40 : 0);
    put(name);
    put(value);
  }
  return Uint8Array.from(out);
}

function readRequest(fields: Fields, endStream: boolean, keeps = false) {
  const bytes = new Uint8Array(MAX_LIST * 2);
  const head = createHead(101);
  clearHead(head);
  const decoder = new HpackDecoder(4_096, work);
  const source = block(fields, keeps);
  decoder.begin(source, 0, source.length);
  const end = reader.read(decoder, bytes, 0, MAX_LIST, head, endStream, READING);
  return { bytes, head, end };
}

const fieldsOf = (bytes: Uint8Array, head: Head): [string, string][] =>
  Array.from({ length: head.fields }, (_, i) => [
    textOf(bytes, head.nameStart[i], head.nameEnd[i]),
    textOf(bytes, head.valueStart[i], head.valueEnd[i]),
  ]);

// What smuggles where it passes: line ends, blanks, colons, capitals, controls, framing in other words.
const nasty = fc.string({
  unit: fc.oneof(
    fc.constantFrom(..."abc:;, \t\r\n\0XY/?#%@[]{}\x7f\x80\xff"),
    fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  ),
  maxLength: 12,
});
/** One of the good ones mostly, else anything. */
const mostly = (...good: readonly string[]) =>
  fc.oneof({ weight: 9, arbitrary: fc.constantFrom(...good) }, nasty);

const name = fc.oneof(
  { weight: 6, arbitrary: fc.stringMatching(/^[a-z][a-z0-9-]{0,10}$/) },
  { weight: 2, arbitrary: nasty },
  fc.constantFrom(
    "host",
    "cookie",
    "content-length",
    "transfer-encoding",
    "connection",
    "te",
    "upgrade",
    "expect",
    ":path",
    ":authority",
  ),
);
const value = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^[a-z0-9 ,;=/]{0,20}$/) },
  { weight: 2, arbitrary: nasty },
  fc.constantFrom("chunked", "0", "5", "5, 5", "trailers", "a", "close", "100-continue"),
);
const request = fc
  .record({
    method: mostly("GET", "POST", "OPTIONS", "CONNECT"),
    scheme: mostly("http", "https"),
    authority: mostly("a", "a:80", "[::1]:8", "b"),
    path: mostly("/", "/a?b=c", "*", "/x#y"),
    fields: fc.array(fc.tuple(name, value), { maxLength: 6 }),
    leaves: fc.integer({ min: 0, max: 30 }),
  })
  .map(({ method, scheme, authority, path, fields, leaves }): Fields => {
    const pseudo: [string, string][] = [
      [":method", method],
      [":scheme", scheme],
      [":authority", authority],
      [":path", path],
    ];
    return [...pseudo.filter((_, at) => leaves !== at), ...fields];
  });

let passed = 0;

test("whatever a block says, what goes on to a server is one request of HTTP/1 as strict readers read it, with nothing added", () => {
  fc.assert(
    fc.property(request, fc.boolean(), fc.boolean(), (fields, endStream, keeps) => {
      const { bytes, head, end } = readRequest(fields, endStream, keeps);
      if (end < 0) return;
      passed++;
      const again = createHead(101);
      clearHead(again);
      const stop = parseRequestHead(bytes, head.start, end, again, 101);
      assert.equal(stop, end, "all of it is the head");
      again.end = stop;
      assert.equal(frameRequest(bytes, again), 0);
      assert.deepEqual(fieldsOf(bytes, again), fieldsOf(bytes, head));
      assert.equal(again.flags & 3, head.flags & 3, "both frame alike");
      assert.equal(again.contentLength, head.contentLength);
      assert.equal(again.host, head.host);
      const sent = new Map(fields);
      assert.equal(textOf(bytes, again.methodStart, again.methodEnd), sent.get(":method"));
      const target = sent.get(":method") === "CONNECT" ? ":authority" : ":path";
      assert.equal(textOf(bytes, again.targetStart, again.targetEnd), sent.get(target));
      for (const [key, text] of fieldsOf(bytes, head)) {
        if (key === "cookie" || key === "host" || key === "transfer-encoding") continue;
        assert.ok(
          fields.some(([a, b]) => a === key && b === text),
          `${key}: ${text} was sent`,
        );
      }
    }),
    { numRuns: 5_000 },
  );
  assert.ok(passed > 100, `enough were requests: ${passed}`);
});

test("a good request passes whole: fields in order, crumbs of cookies put together, :authority as Host", () => {
  const { bytes, head, end } = readRequest(
    [
      [":method", "POST"],
      [":path", "/a?b"],
      [":authority", "example:8080"],
      [":scheme", "https"],
      ["cookie", "a=1"],
      ["x-a", "1"],
      ["cookie", "b=2"],
      ["host", "EXAMPLE:8080"],
    ],
    false,
  );
  assert.equal(
    textOf(bytes, head.start, end),
    "POST /a?b HTTP/1.1\r\nhost: example:8080\r\nx-a: 1\r\ncookie: a=1; b=2\r\ntransfer-encoding: chunked\r\n\r\n",
  );
  assert.equal(
    textOf(bytes, reader.lineStart, reader.lineEnd),
    "POST https://example:8080/a?b HTTP/2.0",
  );
});

test("a target too long to stand twice is sent by its path alone all the same", () => {
  const path = `/${"x".repeat(5_000)}`;
  const { head, end } = readRequest(
    [
      [":method", "GET"],
      [":scheme", "http"],
      [":authority", "a"],
      [":path", path],
    ],
    true,
  );
  assert.ok(end > 0);
  assert.equal(head.targetEnd - head.pathStart, path.length);
});

test("heads of HTTP/1 pass through both encoders and come back as they were", () => {
  const plain = fc.array(
    fc.tuple(
      fc.stringMatching(/^x-[a-z0-9-]{1,10}$/),
      fc.stringMatching(/^([!-~]([ -~]{0,20}[!-~])?)?$/),
    ),
    { maxLength: 10 },
  );
  fc.assert(
    fc.property(plain, (fields) => {
      const lines = fields.map(([key, text]) => `${key}: ${text}\r\n`).join("");
      const bytes = new Uint8Array(MAX_LIST * 3);
      const put = (text: string, at: number) => {
        for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
        return at + text.length;
      };
      const head = createHead(101);
      clearHead(head);
      const end = put(`GET /p HTTP/1.1\r\nhost: a\r\n${lines}\r\n`, 0);
      head.end = parseRequestHead(bytes, 0, end, head, 101);
      const out = new Uint8Array(MAX_LIST);
      const size = writeRequestBlock(bytes, head, out, 0, out.length, false, false);
      const decoder = new HpackDecoder(4_096, work);
      decoder.begin(out, 0, size);
      const back = createHead(101);
      clearHead(back);
      const stop = reader.read(decoder, bytes, MAX_LIST, MAX_LIST * 2, back, true, READING);
      assert.ok(stop > 0);
      assert.deepEqual(fieldsOf(bytes, back), fieldsOf(bytes, head));

      clearHead(head);
      const last = put(`HTTP/1.1 200 OK\r\ncontent-length: 3\r\n${lines}\r\n`, 0);
      head.end = parseResponseHead(bytes, 0, last, head, 101);
      frameResponse(bytes, head, METHOD_GET);
      const answer = writeResponseBlock(bytes, head, out, 0, out.length);
      decoder.begin(out, 0, answer);
      clearHead(back);
      const reading = {
        maxFields: 101,
        method: METHOD_GET,
        endStream: false,
        upgrade: undefined,
        accept: undefined,
      };
      assert.ok(readResponseHead(decoder, bytes, MAX_LIST, MAX_LIST * 2, back, reading) > 0);
      assert.deepEqual(fieldsOf(bytes, back), fieldsOf(bytes, head));
    }),
    { numRuns: 500 },
  );
});

test("no bytes make the readers of heads throw", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (source, endStream) => {
      const bytes = new Uint8Array(MAX_LIST * 2);
      const head = createHead(101);
      const decoder = new HpackDecoder(4_096, work);
      clearHead(head);
      decoder.begin(source, 0, source.length);
      reader.read(decoder, bytes, 0, 512, head, endStream, READING);
      clearHead(head);
      decoder.begin(source, 0, source.length);
      const reading = {
        maxFields: 101,
        method: METHOD_GET,
        endStream,
        upgrade: undefined,
        accept: undefined,
      };
      readResponseHead(decoder, bytes, 0, 512, head, reading);
    }),
    { numRuns: 3_000 },
  );
});
