import { strict as assert } from "node:assert";
import { test } from "node:test";
import fc from "fast-check";
import { writeFrameHeader } from "./frame.ts";
import {
  EVENT_BROKEN,
  EVENT_CONTINUATION,
  EVENT_DATA,
  EVENT_GOAWAY,
  EVENT_HEADERS,
  EVENT_NONE,
  EVENT_PING,
  EVENT_PRIORITY,
  EVENT_RESET,
  EVENT_SETTINGS,
  EVENT_STREAM_BROKEN,
  EVENT_UNKNOWN,
  EVENT_WINDOW,
  FrameReader,
} from "./frame-reader.ts";

const LIMITS = { frameSize: 200, blockSize: 300, continuations: 3 };

const frame = fc
  .record({
    type: fc.oneof(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 255 })),
    flags: fc.oneof(fc.constantFrom(0, 1, 4, 5, 8, 0x20, 0x2d), fc.integer({ min: 0, max: 255 })),
    stream: fc.constantFrom(0, 1, 3, 5),
    payload: fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc.uint8Array({ minLength: 4, maxLength: 4 }),
      fc.uint8Array({ minLength: 8, maxLength: 8 }),
      fc.uint8Array({ minLength: 100, maxLength: 220 }),
    ),
  })
  .map(({ type, flags, stream, payload }) => {
    const bytes = new Uint8Array(9 + payload.length);
    writeFrameHeader(bytes, 0, payload.length, type, flags, stream);
    bytes.set(payload, 9);
    return bytes;
  });

const stream = fc
  .array(frame, { maxLength: 12 })
  .map((frames) => Uint8Array.from(frames.flatMap((f) => [...f])));

/** What came, pieces of DATA put together. */
function read(bytes: Uint8Array, cuts: readonly number[]): string[] {
  const reader = new FrameReader(LIMITS);
  const seen: string[] = [];
  let data = "";
  let flow = 0;
  let from = 0;
  for (const end of [...cuts, bytes.length]) {
    // A copy of its own for each range: what was gathered must not be the range's.
    const range = bytes.slice(from, end);
    let at = 0;
    for (;;) {
      const before = at;
      at = reader.take(range, at, range.length);
      assert.ok(at >= before && at <= range.length);
      const hex = () =>
        Buffer.from(reader.source.subarray(reader.start, reader.end)).toString("hex");
      switch (reader.event) {
        case EVENT_NONE:
          break;
        case EVENT_DATA:
          data += hex();
          flow += reader.flow;
          if (!reader.isLast) break;
          seen.push(`data ${reader.stream} ${data} ${flow} ${reader.endStream}`);
          data = "";
          flow = 0;
          break;
        case EVENT_HEADERS:
          seen.push(`headers ${reader.stream} ${hex()} ${reader.endStream} ${reader.dependsOn}`);
          break;
        case EVENT_CONTINUATION:
          seen.push(`more ${reader.stream}`);
          break;
        case EVENT_SETTINGS:
          seen.push(`settings ${hex()} ${reader.isAck}`);
          break;
        case EVENT_PING:
          seen.push(`ping ${hex()} ${reader.isAck}`);
          break;
        case EVENT_RESET:
          seen.push(`reset ${reader.stream} ${reader.code}`);
          break;
        case EVENT_PRIORITY:
          seen.push(`priority ${reader.stream} ${reader.dependsOn}`);
          break;
        case EVENT_GOAWAY:
          seen.push(`goaway ${reader.lastStream} ${reader.code}`);
          break;
        case EVENT_WINDOW:
          seen.push(`window ${reader.stream} ${reader.increment}`);
          break;
        case EVENT_UNKNOWN:
          seen.push(`unknown ${reader.type}`);
          break;
        case EVENT_STREAM_BROKEN:
          seen.push(`stream broken ${reader.stream} ${reader.code}`);
          break;
        case EVENT_BROKEN:
          return [...seen, `broken ${reader.code}`];
        default:
          assert.fail(`event ${reader.event}`);
      }
      if (reader.event === EVENT_NONE) break;
    }
    from = end;
  }
  return seen;
}

test("frames are read alike however their bytes are split", () => {
  fc.assert(
    fc.property(stream, fc.array(fc.nat(), { maxLength: 8 }), (bytes, picks) => {
      const cuts = [...new Set(picks.map((pick) => pick % (bytes.length + 1)))].sort(
        (a, b) => a - b,
      );
      assert.deepEqual(read(bytes, cuts), read(bytes, []));
    }),
    { numRuns: 2_000 },
  );
});

test("byte by byte, frames are read as in one piece", () => {
  fc.assert(
    fc.property(stream, (bytes) => {
      assert.deepEqual(
        read(
          bytes,
          Array.from(bytes, (_, at) => at),
        ),
        read(bytes, []),
      );
    }),
    { numRuns: 200 },
  );
});

test("no bytes make the reader throw", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void read(bytes, [])));
});
