import { test } from "node:test";
import fc from "fast-check";
import { parseCertificate } from "../sample/certificate.ts";
import { revocationListText } from "./certificate-text.ts";
import { parseOcspResponse } from "./ocsp-response.ts";
import { pemBlocks } from "./pem.ts";

/** Bytes that look like DER: nested elements with true and false lengths. */
const der: fc.Arbitrary<Uint8Array> = fc.oneof(
  fc.uint8Array({ maxLength: 64 }),
  fc
    .array(fc.tuple(fc.constantFrom(0x30, 0x02, 0x04, 0x06, 0xa0, 0xa3, 0x17), fc.nat(80)), {
      minLength: 1,
      maxLength: 40,
    })
    .map((pairs) => Uint8Array.from(pairs.flat())),
);

test("no bytes make the readers of certificates, revocation lists and OCSP responses throw", () => {
  fc.assert(
    fc.property(der, (bytes) => {
      parseCertificate(bytes);
      revocationListText(bytes);
      parseOcspResponse(bytes);
      pemBlocks(bytes);
    }),
    { numRuns: 2_000 },
  );
});
