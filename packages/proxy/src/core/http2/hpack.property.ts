import { strict as assert } from "node:assert";
import { once } from "node:events";
import * as http2 from "node:http2";
import { Duplex } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { fieldName } from "../http/head.ts";
import {
  FLAG_END_HEADERS,
  FLAG_END_STREAM,
  FRAME_HEADERS,
  FRAME_SETTINGS,
  PREFACE,
  writeFrameHeader,
} from "./frame.ts";
import { EVENT_BROKEN, EVENT_HEADERS, EVENT_NONE, FrameReader } from "./frame-reader.ts";
import { createHpackWork, HPACK_FIELD, HpackDecoder } from "./hpack-decoder.ts";
import { writeField, writeStatus } from "./hpack-encoder.ts";

const LIMITS = { frameSize: 16_384, blockSize: 16_384, continuations: 16 };
const latin1 = (text: string) => Uint8Array.from(text, (char) => char.charCodeAt(0));
const textOf = (bytes: Uint8Array, start: number, end: number) =>
  String.fromCharCode(...bytes.subarray(start, end));

const nameChar = fc.constantFrom(..."!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz");
const name = fc.string({ unit: nameChar, minLength: 1, maxLength: 20 }).map((text) => `x${text}`);
// nghttp2 takes what is visible, blanks inside, and bytes above 127.
const value = fc
  .array(
    fc.integer({ min: 0x20, max: 0xff }).filter((code) => code !== 0x7f),
    { maxLength: 60 },
  )
  .map((codes) => String.fromCharCode(...codes).trim());
const known = fc.constantFrom("accept", "user-agent", "referer", "via", "etag", "accept-language");
const fields = fc.array(fc.tuple(fc.oneof(name, known), value), { maxLength: 12 });

/** The two ends of a pipe; what one writes the other reads. */
function pipe(): [Duplex, Duplex] {
  const make = (): Duplex =>
    new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        other.get(this)?.push(chunk);
        done();
      },
      final(done) {
        other.get(this)?.push(null);
        done();
      },
    });
  const ends: [Duplex, Duplex] = [make(), make()];
  const other = new Map<Duplex, Duplex>([
    [ends[0], ends[1]],
    [ends[1], ends[0]],
  ]);
  return ends;
}

/** Every header block that comes, decoded. */
function blockReader() {
  const reader = new FrameReader(LIMITS);
  const decoder = new HpackDecoder(4_096, createHpackWork());
  const blocks: [string, string][][] = [];
  let skip = PREFACE.length;
  return {
    blocks,
    take(chunk: Uint8Array): void {
      let at = Math.min(skip, chunk.length);
      skip -= at;
      while (at < chunk.length) {
        at = reader.take(chunk, at, chunk.length);
        assert.notEqual(reader.event, EVENT_BROKEN);
        if (reader.event === EVENT_NONE) break;
        if (reader.event !== EVENT_HEADERS) continue;
        decoder.begin(reader.source, reader.start, reader.end);
        const block: [string, string][] = [];
        let result = decoder.next();
        for (; result === HPACK_FIELD; result = decoder.next()) {
          const found = textOf(decoder.names, decoder.nameStart, decoder.nameEnd);
          assert.equal(decoder.hash, fieldName(found).hash);
          block.push([found, textOf(decoder.values, decoder.valueStart, decoder.valueEnd)]);
        }
        assert.equal(result, 0, "the block is whole");
        blocks.push(block);
      }
    },
  };
}

test("every request of Node's client is read as it was sent, its table in step, however it is split", async () => {
  const [near, far] = pipe();
  const seen = blockReader();
  let cut = 1;
  far.on("data", (chunk: Buffer) => {
    for (let at = 0; at < chunk.length; at += cut) seen.take(chunk.subarray(at, at + cut));
  });
  const session = http2.connect("http://peer.test", { createConnection: () => near });
  session.on("error", () => {});
  await fc.assert(
    fc.asyncProperty(fields, fc.integer({ min: 1, max: 400 }), async (list, size) => {
      cut = size;
      const headers: http2.OutgoingHttpHeaders = { ":path": "/a" };
      for (const [key, text] of list) headers[key] = text;
      const before = seen.blocks.length;
      const request = session.request(headers, { endStream: true });
      request.on("error", () => {});
      while (seen.blocks.length === before) await new Promise((resolve) => setImmediate(resolve));
      request.close();
      const got = Object.fromEntries(seen.blocks.at(-1) ?? []);
      for (const [key, text] of Object.entries(headers)) {
        assert.equal(got[key], text, key);
      }
    }),
    { numRuns: 300, includeErrorInReport: true },
  );
  session.destroy();
  far.destroy();
});

test("every response of ours is read by Node's client as it was written", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 200, max: 599 }), fields, async (status, list) => {
      const [near, far] = pipe();
      const session = http2.connect("http://peer.test", { createConnection: () => near });
      session.on("error", () => {});
      const request = session.request({ ":path": "/" }, { endStream: true });
      const answered = once(request, "response");
      const seen = blockReader();
      far.on("data", (chunk: Buffer) => seen.take(chunk));
      while (seen.blocks.length === 0) await new Promise((resolve) => setImmediate(resolve));
      const out = new Uint8Array(65_536);
      let at = writeFrameHeader(out, 0, 0, FRAME_SETTINGS, 0, 0);
      const head = at;
      at = writeStatus(out, at + 9, status);
      const unique = new Map(list);
      for (const [key, text] of unique) {
        // In capitals: they must come as small letters.
        const bytes = latin1(key.toUpperCase() + text);
        const { hash } = fieldName(key);
        at = writeField(out, at, bytes, 0, key.length, hash, key.length, bytes.length);
      }
      writeFrameHeader(
        out,
        head,
        at - head - 9,
        FRAME_HEADERS,
        FLAG_END_HEADERS | FLAG_END_STREAM,
        1,
      );
      far.write(out.subarray(0, at));
      const [got] = (await answered) as [http2.IncomingHttpHeaders];
      assert.equal(got[":status"], status);
      for (const [key, text] of unique) assert.equal(got[key], text, key);
      session.destroy();
      far.destroy();
    }),
    { numRuns: 100, includeErrorInReport: true },
  );
});

test("no bytes make the decoder throw, and what it takes stays within its room", () => {
  const work = createHpackWork();
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 80 }), { maxLength: 6 }), (blocks) => {
      const decoder = new HpackDecoder(256, work);
      for (const block of blocks) {
        decoder.begin(block, 0, block.length);
        let result = decoder.next();
        let count = 0;
        for (; result === HPACK_FIELD; result = decoder.next()) {
          count++;
          assert.ok(decoder.nameEnd <= decoder.names.length);
          assert.ok(decoder.valueEnd <= decoder.values.length);
        }
        assert.ok(count <= block.length);
        if (result < 0) return;
      }
    }),
    { numRuns: 3_000 },
  );
});

test("a table that we want smaller or larger is the default one until the peer says that it changed", () => {
  const long = "v".repeat(2_000);
  const kept = (value: string) => [0x40, 1, 0x78, 0x7f, ...lengthOf(value), ...latin1(value)];
  for (const wanted of [1_024, 4_096, 65_536]) {
    const decoder = new HpackDecoder(wanted, createHpackWork());
    const block = Uint8Array.from([...kept(`${long}a`), ...kept(`${long}b`), ...kept(`${long}c`)]);
    decoder.begin(block, 0, block.length);
    let result = decoder.next();
    while (result === HPACK_FIELD) result = decoder.next();
    // Two entries fit in 4,096 bytes, three do not: the first one is gone.
    decoder.begin(Uint8Array.of(0xbf), 0, 1);
    assert.equal(decoder.next(), HPACK_FIELD, String(wanted));
    assert.equal(decoder.values[decoder.valueEnd - 1], 0x62);
    decoder.begin(Uint8Array.of(0xc0), 0, 1);
    assert.equal(decoder.next(), -1, String(wanted));
  }
});

function lengthOf(value: string): number[] {
  const rest = value.length - 127;
  return [(rest & 127) | 128, rest >> 7];
}
