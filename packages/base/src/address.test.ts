import assert from "node:assert/strict";
import { isIP } from "node:net";
import { test } from "node:test";
import fc from "fast-check";
import { compareAddresses, formatAddress, ip, parseAddress, prefixContains } from "./address.ts";

test("an address that is written can be read back, in either family", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    // Runs of zeros are what `::` is about, and chance alone rarely makes them.
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 0xff), { minLength: 16, maxLength: 16 })
      .map((list) => Uint8Array.from(list)),
  );
  fc.assert(
    fc.property(bytes, (value) => {
      const family = value.length === 4 ? 4 : 6;
      const text = formatAddress({ family, bytes: value });
      assert.equal(isIP(text), family);
      assert.deepEqual(parseAddress(text), { family, bytes: value });
    }),
  );
});

test("what Node does not take for an address we do not take either", () => {
  const near = fc.string({ unit: fc.constantFrom(..."0123456789abcdefg.:%/"), maxLength: 24 });
  fc.assert(
    fc.property(near, (text) => {
      assert.equal(parseAddress(text) !== undefined, isIP(text) !== 0 && !text.includes("%"));
    }),
    { numRuns: 2_000 },
  );
});

test("addresses sort by their bytes", () => {
  assert.ok(compareAddresses(ip("10.0.0.2"), ip("10.0.0.10")) < 0);
  assert.ok(compareAddresses(ip("fe80::2"), ip("fe80::1")) > 0);
});

test("a prefix contains exactly the addresses that share its leading bits", () => {
  const prefix = { address: ip("192.0.2.128"), length: 25 };
  assert.ok(prefixContains(prefix, ip("192.0.2.255")));
  assert.ok(!prefixContains(prefix, ip("192.0.2.127")));
  assert.ok(!prefixContains(prefix, ip("2001:db8::1")));
  assert.ok(prefixContains({ address: ip("::"), length: 0 }, ip("2001:db8::1")));
});
