import assert from "node:assert/strict";
import { test } from "node:test";
import { fail, ok } from "@ha/base";
import type { TlsVersion } from "./tls-model.ts";
import { parseIgnoredErrors, versionRange } from "./tls-words.ts";

const range = (min?: TlsVersion, max?: TlsVersion, ...refused: TlsVersion[]) => {
  const found = versionRange(min, max, new Set(refused));
  return found === undefined ? undefined : `${found.min} ${found.max} ${found.hole ?? ""}`.trim();
};

// Observed: haproxy 2.6.12.
test("TLS 1.2 is the least, unless a line says otherwise", () => {
  assert.equal(range(), "TLSv1.2 TLSv1.3");
  assert.equal(range("TLSv1.0"), "TLSv1.0 TLSv1.3");
  assert.equal(range(undefined, "TLSv1.1"), "TLSv1.1 TLSv1.1");
  assert.equal(range("SSLv3"), "TLSv1.0 TLSv1.3");
});

test("refused versions narrow the range, and may leave nothing", () => {
  assert.equal(range(undefined, undefined, "TLSv1.3"), "TLSv1.2 TLSv1.2");
  assert.equal(range(undefined, undefined, "TLSv1.2"), "TLSv1.3 TLSv1.3");
  assert.equal(range(undefined, undefined, "TLSv1.2", "TLSv1.3"), undefined);
  assert.equal(range("SSLv3", "SSLv3"), undefined);
  assert.equal(range("TLSv1.3", "TLSv1.2"), undefined);
});

test("a version refused between two others is told of", () => {
  assert.equal(range("TLSv1.1", undefined, "TLSv1.2"), "TLSv1.1 TLSv1.3 TLSv1.2");
});

test("errors to ignore are numbers or OpenSSL's names", () => {
  assert.deepEqual(parseIgnoredErrors("all"), ok("all"));
  assert.deepEqual(parseIgnoredErrors("10,X509_V_ERR_CERT_REVOKED"), ok([10, 23]));
  assert.deepEqual(
    parseIgnoredErrors("foo"),
    fail("ID '0' out of range (1..94) in error IDs list 'foo'"),
  );
});
