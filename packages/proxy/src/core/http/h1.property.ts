import { strict as assert } from "node:assert";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { ChunkedDecoder } from "./chunked.ts";
import { frameRequest, frameResponse } from "./framing.ts";
import { parseRequestHead, parseResponseHead } from "./h1.ts";
import { clearHead, createHead, type Head, INCOMPLETE } from "./head.ts";
import {
  CONNECTION_SILENT,
  stripHopByHop,
  writeRequestHead,
  writeResponseHead,
} from "./serialise.ts";

const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const textOf = (bytes: Uint8Array, start = 0, end = bytes.length) =>
  String.fromCharCode(...bytes.subarray(start, end));

const TOKEN_CHARS = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const token = fc.string({ unit: fc.constantFrom(...TOKEN_CHARS), minLength: 1, maxLength: 12 });
const valueChar = fc.integer({ min: 0x21, max: 0xff }).filter((code) => code !== 0x7f);
const value = fc
  .array(fc.oneof(valueChar, fc.constantFrom(0x20, 0x09)), { maxLength: 20 })
  .map((codes) => String.fromCharCode(...codes).replace(/^[ \t]+|[ \t]+$/g, ""));
const FRAMING =
  /^(content-length|transfer-encoding|connection|host|upgrade|keep-alive|proxy-connection|http2-settings|expect)$/i;
const field = fc.tuple(
  token.filter((name) => !FRAMING.test(name)),
  value,
);
const target = fc
  .array(
    fc.integer({ min: 0x21, max: 0x7e }).filter((code) => code !== 0x23),
    { maxLength: 20 },
  )
  .map((codes) => `/${String.fromCharCode(...codes)}`);
const head = fc.record({
  method: token.filter((name) => name !== "CONNECT"),
  target,
  fields: fc.array(field, { maxLength: 8 }),
});

const write = ({
  method,
  target,
  fields,
}: {
  method: string;
  target: string;
  fields: [string, string][];
}) =>
  `${method} ${target} HTTP/1.1\r\nHost: example\r\n${fields.map(([n, v]) => `${n}: ${v}\r\n`).join("")}\r\n`;

/** What a parser said: the result, and every column as text. */
function read(bytes: Uint8Array, cuts: readonly number[]) {
  const parsed = createHead(101);
  clearHead(parsed);
  let result = INCOMPLETE;
  for (const end of [...cuts, bytes.length]) {
    result = parseRequestHead(bytes, 0, end, parsed, 101);
    if (result !== INCOMPLETE) break;
  }
  return {
    result,
    fields: result > 0 ? fieldsOf(bytes, parsed) : [],
    target: result > 0 ? textOf(bytes, parsed.targetStart, parsed.targetEnd) : "",
  };
}

function fieldsOf(bytes: Uint8Array, parsed: Head): [string, string][] {
  return Array.from({ length: parsed.fields }, (_, i) => [
    textOf(bytes, parsed.nameStart[i], parsed.nameEnd[i]),
    textOf(bytes, parsed.valueStart[i], parsed.valueEnd[i]),
  ]);
}

const cutsOf = (size: number, picks: readonly number[]) =>
  [...new Set(picks.map((pick) => pick % (size + 1)))].sort((a, b) => a - b);

test("a head parses alike however its bytes are split", () => {
  fc.assert(
    fc.property(head, fc.array(fc.nat(), { maxLength: 6 }), (message, picks) => {
      const bytes = latin1(write(message));
      assert.deepEqual(read(bytes, cutsOf(bytes.length, picks)), read(bytes, []));
    }),
  );
});

test("byte by byte, a head is complete at its last byte and not before", () => {
  fc.assert(
    fc.property(head, (message) => {
      const bytes = latin1(write(message));
      const parsed = createHead(101);
      clearHead(parsed);
      for (let end = 0; end < bytes.length; end++) {
        assert.equal(parseRequestHead(bytes, 0, end, parsed, 101), INCOMPLETE);
      }
      assert.equal(parseRequestHead(bytes, 0, bytes.length, parsed, 101), bytes.length);
    }),
    { numRuns: 50 },
  );
});

test("any bytes at all parse alike however they are split, and never throw", () => {
  const noise = fc.array(
    fc.constantFrom(..."GET /HTP1.0:\r\n \t\0aé".split("").map((c) => c.charCodeAt(0))),
    { maxLength: 60 },
  );
  fc.assert(
    fc.property(noise, fc.array(fc.nat(), { maxLength: 5 }), (codes, picks) => {
      const bytes = Uint8Array.from(codes);
      const whole = read(bytes, []);
      const split = read(bytes, cutsOf(bytes.length, picks));
      assert.equal(split.result, whole.result);
    }),
    { numRuns: 2_000 },
  );
});

test("parsing what was written from a parsed head gives the same head", () => {
  fc.assert(
    fc.property(head, (message) => {
      const text = write(message);
      const bytes = new Uint8Array(8_192);
      bytes.set(latin1(text));
      const first = createHead(101);
      clearHead(first);
      first.end = parseRequestHead(bytes, 0, text.length, first, 101);
      assert.equal(first.end, text.length);
      assert.equal(frameRequest(bytes, first), 0);
      stripHopByHop(bytes, first, false);
      const end = writeRequestHead(bytes, first, 4_096, 8_192, CONNECTION_SILENT);
      assert.ok(end > 0);
      const second = createHead(101);
      clearHead(second);
      assert.equal(parseRequestHead(bytes, 4_096, end, second, 101), end);
      assert.deepEqual(fieldsOf(bytes, second), fieldsOf(bytes, first));
      assert.equal(textOf(bytes, 4_096, end), text);
    }),
  );
});

test("a response parses alike however it is split, and writes back as it was", () => {
  const response = fc.record({
    status: fc.integer({ min: 200, max: 599 }),
    reason: value,
    fields: fc.array(field, { maxLength: 6 }),
  });
  fc.assert(
    fc.property(
      response,
      fc.array(fc.nat(), { maxLength: 5 }),
      ({ status, reason, fields }, picks) => {
        const text = `HTTP/1.1 ${status} ${reason}\r\n${fields.map(([n, v]) => `${n}: ${v}\r\n`).join("")}\r\n`;
        const bytes = new Uint8Array(8_192);
        bytes.set(latin1(text));
        const parsed = createHead(101);
        clearHead(parsed);
        let result = INCOMPLETE;
        for (const end of [...cutsOf(text.length, picks), text.length]) {
          result = parseResponseHead(bytes, 0, end, parsed, 101);
          if (result !== INCOMPLETE) break;
        }
        assert.equal(result, text.length);
        assert.equal(frameResponse(bytes, parsed, 1), 0);
        const end = writeResponseHead(bytes, parsed, 4_096, 8_192, CONNECTION_SILENT);
        assert.equal(textOf(bytes, 4_096, end), text);
      },
    ),
  );
});

test("chunks decode alike however they are split, and leave what follows them", () => {
  const chunk = fc.record({
    data: fc.uint8Array({ minLength: 1, maxLength: 40 }),
    extension: fc.constantFrom("", ";a", "; a=b", ';q="x y"'),
  });
  fc.assert(
    fc.property(
      fc.array(chunk, { maxLength: 5 }),
      fc.array(fc.nat(), { maxLength: 6 }),
      (chunks, picks) => {
        const coded = `${chunks.map(({ data, extension }) => `${data.length.toString(16)}${extension}\r\n${textOf(data)}\r\n`).join("")}0\r\n\r\n`;
        const plain = `${chunks.map(({ data }) => `${data.length.toString(16)}\r\n${textOf(data)}\r\n`).join("")}0\r\n\r\n`;
        const stream = `${coded}GET / HTTP/1.1\r\n`;
        for (const dataOnly of [false, true]) {
          const decoder = new ChunkedDecoder();
          let out = "";
          let consumed = 0;
          const cuts = [...cutsOf(stream.length, picks), stream.length];
          let start = 0;
          for (const end of cuts) {
            const bytes = latin1(stream.slice(start, end));
            const stop = decoder.decode(bytes, 0, bytes.length, dataOnly);
            assert.ok(stop >= 0);
            out += textOf(bytes, 0, stop);
            consumed += decoder.consumed;
            start = end;
            if (decoder.isDone) break;
          }
          assert.equal(consumed, coded.length);
          assert.equal(out, dataOnly ? chunks.map(({ data }) => textOf(data)).join("") : plain);
        }
      },
    ),
  );
});

test("what our parser takes as a head, node:http takes too, with the same fields", async () => {
  const seen: { url: string | undefined; raw: string[] }[] = [];
  const server = createServer((request, response) => {
    seen.push({ url: request.url, raw: request.rawHeaders });
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  try {
    const methods = fc.constantFrom("GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH");
    const plain = fc.record({ method: methods, target, fields: fc.array(field, { maxLength: 6 }) });
    for (const message of fc.sample(plain, 60)) {
      const text = write({ ...message, fields: [...message.fields, ["Connection", "close"]] });
      const bytes = latin1(text);
      const ours = read(bytes, []);
      assert.equal(ours.result, bytes.length, text);
      seen.length = 0;
      await new Promise<void>((resolve, reject) => {
        const socket = connect(port, "127.0.0.1", () => socket.write(text, "latin1"));
        socket.on("error", reject);
        socket.on("close", () => resolve());
        socket.resume();
      });
      assert.equal(seen[0]?.url, message.target, text);
      assert.deepEqual(seen[0]?.raw, ours.fields.flat(), text);
    }
  } finally {
    server.close();
  }
});
