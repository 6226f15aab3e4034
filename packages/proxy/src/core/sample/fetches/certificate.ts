import type { Transaction } from "../../transaction.ts";
import { type Certificate, type NamePart, parseCertificate } from "../certificate.ts";
import { refuse } from "../compile-context.ts";
import type { FetchKeyword } from "../fetch-keyword.ts";
import { BIN, encodeText, latin1, type Sample, SINT, STR, setBytes, setInt } from "../sample.ts";
import { type Family, plain } from "./declare.ts";

const SOURCE = "HAProxy configuration manual §7.3.4";

/** Whose certificate a family of names is about. */
interface Whose {
  readonly prefix: string;
  readonly who: string;
  readonly family: Family;
  readonly of: (transaction: Transaction) => Uint8Array | undefined;
}

const WHOSE: readonly Whose[] = [
  {
    prefix: "ssl_c",
    who: "the client's certificate",
    family: { layer: "session", source: SOURCE },
    of: ({ session: { tls } }) => tls?.peerCertificate,
  },
  {
    prefix: "ssl_f",
    who: "the certificate shown to the client",
    family: { layer: "session", source: SOURCE },
    of: ({ session: { tls } }) => tls?.ownCertificate,
  },
  {
    prefix: "ssl_s",
    who: "the server's certificate",
    family: { layer: "server", source: SOURCE },
    of: ({ serverTls }) => serverTls?.peerCertificate,
  },
];

/** What certificates say; no sample without one. */
export const CERTIFICATE_FETCHES: readonly FetchKeyword[] = WHOSE.flatMap((whose) => [
  field(whose, "version", SINT, "Version", (certificate, sample) =>
    setInt(sample, certificate.version),
  ),
  field(whose, "serial", BIN, "Serial number", ({ serial }, sample) => {
    const first = serial.findIndex((byte, i) => byte !== 0 || i === serial.length - 1);
    return setBytes(sample, BIN, serial.slice(Math.max(0, first)));
  }),
  field(whose, "notbefore", STR, "Start of validity, YYMMDDhhmmssZ,", ({ notBefore }, sample) =>
    setBytes(sample, STR, encodeText(notBefore)),
  ),
  field(whose, "notafter", STR, "End of validity, YYMMDDhhmmssZ,", ({ notAfter }, sample) =>
    setBytes(sample, STR, encodeText(notAfter)),
  ),
  field(
    whose,
    "sig_alg",
    STR,
    "Algorithm of the signature (RSA-SHA256)",
    ({ signatureAlgorithm }, sample) => setBytes(sample, STR, encodeText(signatureAlgorithm)),
  ),
  field(whose, "key_alg", STR, "Algorithm of the key (rsaEncryption)", ({ keyAlgorithm }, sample) =>
    setBytes(sample, STR, encodeText(keyAlgorithm)),
  ),
  plain(whose.family, `${whose.prefix}_der`, BIN, `DER of ${whose.who}.`, () => (t, sample) => {
    const der = whose.of(t);
    return der !== undefined && setBytes(sample, BIN, der);
  }),
  plain(
    whose.family,
    `${whose.prefix}_sha1`,
    BIN,
    `SHA-1 of ${whose.who}.`,
    ({ world }) =>
      (t, sample) => {
        const der = whose.of(t);
        const digest = der === undefined ? undefined : world.ports.digests.hash("sha1", der);
        return digest !== undefined && setBytes(sample, BIN, digest);
      },
  ),
  name(whose, "s_dn", "Subject", ({ subject }) => subject),
  name(whose, "i_dn", "Issuer", ({ issuer }) => issuer),
]);

/** One reading of each certificate, as long as its connection lives. */
function reader(whose: Whose): (transaction: Transaction) => Certificate | undefined {
  const known = new WeakMap<Uint8Array, Certificate>();
  return (transaction) => {
    const der = whose.of(transaction);
    if (der === undefined) return undefined;
    const parsed = known.get(der) ?? parseCertificate(der);
    if (parsed !== undefined) known.set(der, parsed);
    return parsed;
  };
}

function field(
  whose: Whose,
  keyword: string,
  type: typeof SINT | typeof STR | typeof BIN,
  doc: string,
  give: (certificate: Certificate, sample: Sample) => boolean,
): FetchKeyword {
  return plain(whose.family, `${whose.prefix}_${keyword}`, type, `${doc} of ${whose.who}.`, () => {
    const certificateOf = reader(whose);
    return (transaction, sample) => {
      const certificate = certificateOf(transaction);
      return certificate !== undefined && give(certificate, sample);
    };
  });
}

function name(
  whose: Whose,
  suffix: string,
  what: string,
  of: (certificate: Certificate) => readonly NamePart[],
): FetchKeyword {
  const keyword = `${whose.prefix}_${suffix}`;
  return {
    name: keyword,
    syntax: `${keyword}([<entry>[,<occ>[,<format>]]])`,
    doc: `${what} of ${whose.who}: all of it (/C=FR/CN=x, or by RFC 2253 with <format> rfc2253), or the value of <entry> number <occ> (negative from the end).`,
    ...whose.family,
    type: STR,
    arity: [0, 3],
    compile: ([entry, occurrence, format], context, token) => {
      const wanted = entry?.text ?? "";
      const number =
        occurrence === undefined || occurrence.text === "" ? 1 : Number(occurrence.text);
      if (!Number.isInteger(number))
        return refuse(context, token, `occurrence '${occurrence?.text}' is not an integer`);
      if (format !== undefined && format.text !== "rfc2253")
        return refuse(context, token, `format '${format.text}' is not rfc2253`);
      const certificateOf = reader(whose);
      return (transaction, sample) => {
        const certificate = certificateOf(transaction);
        if (certificate === undefined) return false;
        const parts = of(certificate);
        if (wanted === "") {
          const text = format === undefined ? oneLine(parts) : rfc2253(parts);
          return text !== "" && setBytes(sample, STR, encodeText(text));
        }
        const found = parts.filter(({ type }) => type.toLowerCase() === wanted.toLowerCase());
        const part = found.at(number > 0 ? number - 1 : number);
        return part !== undefined && setBytes(sample, STR, part.value);
      };
    },
  };
}

function oneLine(parts: readonly NamePart[]): string {
  return parts.map(({ type, value }) => `/${type}=${latin1(value, 0, value.length)}`).join("");
}

/** Most specific first, special characters escaped. RFC 2253 §2. */
function rfc2253(parts: readonly NamePart[]): string {
  return parts
    .toReversed()
    .map(
      ({ type, value }) =>
        `${type}=${latin1(value, 0, value.length).replace(/[,+"\\<>;]|^[ #]| $/g, "\\$&")}`,
    )
    .join(",");
}
