import assert from "node:assert/strict";
import { test } from "node:test";
import type { Certificate } from "../sample/certificate.ts";
import { encodeText } from "../sample/sample.ts";
import { servedNames } from "./certificate-names.ts";

const none = new Uint8Array(0);
const facts: Certificate = {
  version: 3,
  serial: none,
  issuer: [],
  subject: [{ type: "CN", value: encodeText("Common.test") }],
  issuerDer: none,
  subjectDer: none,
  notBefore: "",
  notAfter: "",
  signatureAlgorithm: "",
  keyAlgorithm: "",
  keyBits: none,
  keySize: 0,
  alternatives: [
    { kind: "DNS", value: encodeText("WWW.a.test") },
    { kind: "IP Address", value: Uint8Array.of(127, 0, 0, 1) },
    { kind: "DNS", value: encodeText("*.a.test") },
  ],
};

test("without filters a certificate stands for its DNS names and its common name, in lower case", () => {
  assert.deepEqual(servedNames([], facts), {
    names: ["www.a.test", "*.a.test", "common.test"],
    excluded: [],
  });
});

test("filters take the place of the certificate's own names", () => {
  assert.deepEqual(servedNames(["*.B.test", "!no.b.test", "x.test"], facts), {
    names: ["*.b.test", "x.test"],
    excluded: ["no.b.test"],
  });
});

test("filters that only exclude leave no name, and a lone star stands for nothing", () => {
  assert.deepEqual(servedNames(["!x.test"], facts), { names: [], excluded: ["x.test"] });
  assert.deepEqual(servedNames(["!*"], facts), { names: [], excluded: [] });
  assert.deepEqual(servedNames(["*", "*foo"], facts), { names: [], excluded: [] });
});
