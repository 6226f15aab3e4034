import assert from "node:assert/strict";
import { test } from "node:test";
import { centiseconds, ip, readAddress, seconds } from "@ha/base";
import fc from "fast-check";
import { type Advert, decodeAdvert, type Envelope, encodeAdvert, type WireForm } from "./advert.ts";

const forms: readonly WireForm[] = [
  { version: 2, family: 4, checksumAsV2: false },
  { version: 3, family: 4, checksumAsV2: false },
  { version: 3, family: 4, checksumAsV2: true },
  { version: 3, family: 6, checksumAsV2: false },
];

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

function adverts({ version, family }: WireForm): fc.Arbitrary<Advert> {
  const address = bytesOf(family === 4 ? 4 : 16).map((bytes) => readAddress(bytes, 0, family));
  return fc.record(
    {
      vrid: fc.integer({ min: 0, max: 255 }),
      priority: fc.integer({ min: 0, max: 255 }),
      interval:
        version === 2
          ? fc.integer({ min: 1, max: 255 }).map(seconds)
          : fc.integer({ min: 1, max: 4095 }).map(centiseconds),
      addresses: fc.array(address, { maxLength: 20 }),
      authType: version === 2 ? fc.integer({ min: 0, max: 2 }) : fc.constant(0),
      authData: bytesOf(version === 2 ? 8 : 0),
    },
    { noNullPrototype: true },
  );
}

function envelope({ family }: WireForm): Envelope {
  return family === 4
    ? { from: ip("192.0.2.1"), to: ip("224.0.0.18") }
    : { from: ip("fe80::1"), to: ip("ff02::12") };
}

for (const form of forms) {
  const name = `version ${form.version}, IPv${form.family}${form.checksumAsV2 ? ", plain checksum" : ""}`;
  const between = envelope(form);

  test(`${name}: decoding an encoded advert gives it back, whatever padding follows`, () => {
    fc.assert(
      fc.property(adverts(form), fc.uint8Array({ maxLength: 46 }), (advert, padding) => {
        const bytes = Uint8Array.from([...encodeAdvert(advert, form, between), ...padding]);
        assert.deepEqual(decodeAdvert(bytes, form, between), { ok: true, value: advert });
      }),
    );
  });

  test(`${name}: no bytes make the decoder throw`, () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 300 }),
        fc.integer({ min: 0, max: 255 }),
        (bytes, first) => {
          decodeAdvert(bytes, form, between);
          // Random bytes rarely get past the first one.
          const likely = Uint8Array.from([(form.version << 4) | 1, first, ...bytes]);
          decodeAdvert(likely, form, between);
        },
      ),
    );
  });

  test(`${name}: every flip of a single bit is refused`, () => {
    fc.assert(
      fc.property(adverts(form), (advert) => {
        const bytes = encodeAdvert(advert, form, between);
        for (let bit = 0; bit < bytes.length * 8; bit++) {
          const flipped = bytes.slice();
          flipped[bit >> 3] = (flipped[bit >> 3] as number) ^ (1 << (bit & 7));
          assert.equal(decodeAdvert(flipped, form, between).ok, false, `bit ${bit}`);
        }
      }),
      { numRuns: 30 },
    );
  });

  test(`${name}: every cut is refused`, () => {
    fc.assert(
      fc.property(adverts(form), (advert) => {
        const bytes = encodeAdvert(advert, form, between);
        for (let length = 0; length < bytes.length; length++) {
          const { ok } = decodeAdvert(bytes.subarray(0, length), form, between);
          assert.equal(ok, false, `${length} bytes`);
        }
      }),
      { numRuns: 30 },
    );
  });
}

test("an interval of nothing is refused, since it would make a backup take over at once", () => {
  const form: WireForm = { version: 3, family: 4, checksumAsV2: false };
  const advert: Advert = {
    vrid: 51,
    priority: 100,
    interval: seconds(0),
    addresses: [],
    authType: 0,
    authData: new Uint8Array(0),
  };
  const bytes = encodeAdvert(advert, form, envelope(form));
  assert.deepEqual(decodeAdvert(bytes, form, envelope(form)), { ok: false, error: "bad-interval" });
});

test("a sum by the pseudo header is wrong without it, and the other way round", () => {
  const withHeader: WireForm = { version: 3, family: 4, checksumAsV2: false };
  const without: WireForm = { ...withHeader, checksumAsV2: true };
  fc.assert(
    fc.property(adverts(withHeader), (advert) => {
      const between = envelope(withHeader);
      const refused = { ok: false, error: "bad-checksum" };
      assert.deepEqual(
        decodeAdvert(encodeAdvert(advert, withHeader, between), without, between),
        refused,
      );
      assert.deepEqual(
        decodeAdvert(encodeAdvert(advert, without, between), withHeader, between),
        refused,
      );
    }),
  );
});
