import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { parseCertificate } from "./certificate.ts";
import { createTestWorld, format, testContext, testTls, testTransaction } from "./testing/index.ts";

const skip = spawnSync("openssl", ["version"]).status === 0 ? false : "openssl is not installed";

/** DER of a self-signed certificate. */
function certificate(kind: readonly string[]): Uint8Array {
  const folder = mkdtempSync(join(tmpdir(), "ha-cert-"));
  const file = join(folder, "c.der");
  const made = spawnSync(
    "openssl",
    [
      "req",
      "-x509",
      "-newkey",
      ...kind,
      "-nodes",
      "-keyout",
      join(folder, "k"),
      "-outform",
      "DER",
      "-out",
      file,
      "-days",
      "10",
      "-set_serial",
      "0x00abcdef12",
      "-subj",
      "/C=FR/O=Some, Org/OU=one/OU=two/CN=client.example",
    ],
    { encoding: "utf8" },
  );
  assert.equal(made.status, 0, made.stderr);
  const bytes = new Uint8Array(readFileSync(file));
  rmSync(folder, { recursive: true });
  return bytes;
}

test("a certificate's fields are those that openssl put into it", { skip }, () => {
  const der = certificate(["rsa:2048"]);
  const transaction = testTransaction("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  transaction.session.tls = testTls({ peerCertificate: der });
  const context = testContext(createTestWorld());
  const value = (expression: string): string => format(`%[${expression}]`, transaction, context);
  assert.equal(value("ssl_c_s_dn"), "/C=FR/O=Some, Org/OU=one/OU=two/CN=client.example");
  assert.equal(value("ssl_c_s_dn(cn)"), "client.example");
  assert.equal(value("ssl_c_s_dn(OU,2)"), "two");
  assert.equal(value("ssl_c_s_dn(OU,-1)"), "two");
  assert.equal(value("ssl_c_s_dn(OU,3)"), "");
  assert.equal(
    value("ssl_c_i_dn(,,rfc2253)"),
    "CN=client.example,OU=two,OU=one,O=Some\\, Org,C=FR",
  );
  assert.equal(value("ssl_c_serial,hex"), "ABCDEF12");
  assert.equal(value("ssl_c_version"), "3");
  assert.equal(value("ssl_c_sig_alg"), "RSA-SHA256");
  assert.equal(value("ssl_c_key_alg"), "rsaEncryption");
  const { validTo } = new X509Certificate(der);
  const [, month, day, , year] = /^(\w+) +(\d+) ([\d:]+) (\d+)/.exec(validTo) ?? [];
  assert.ok(month !== undefined && year !== undefined);
  assert.match(
    value("ssl_c_notafter"),
    new RegExp(`^${year.slice(2)}\\d\\d${day?.padStart(2, "0")}\\d{6}Z$`),
  );
});

test("an elliptic key has its names, and no bytes make the reader throw", { skip }, () => {
  const der = certificate(["ec", "-pkeyopt", "ec_paramgen_curve:P-256"]);
  assert.equal(parseCertificate(der)?.keyAlgorithm, "id-ecPublicKey");
  assert.equal(parseCertificate(der)?.signatureAlgorithm, "ecdsa-with-SHA256");
  fc.assert(
    fc.property(
      fc.nat(der.length - 1),
      fc.integer({ min: 0, max: 255 }),
      fc.nat(der.length),
      (at, byte, cut) => {
        const broken = der.slice(0, cut);
        if (at < cut) broken[at] = byte;
        parseCertificate(broken);
      },
    ),
  );
});
