import type { Transaction } from "../../transaction.ts";
import { type Certificate, type NamePart, parseCertificate } from "../certificate.ts";
import { refuse } from "../compile-context.ts";
import type { FetchKeyword } from "../fetch-keyword.ts";
import { BIN, encodeText, latin1, type Sample, SINT, STR, setBytes, setInt } from "../sample.ts";
import { type Family, plain } from "./declare.ts";

const CLIENT: Family = { layer: "session", source: "HAProxy configuration manual §7.3.4" };

/** What the client's certificate says; no sample without one. */
export const CERTIFICATE_FETCHES: readonly FetchKeyword[] = [
  field("ssl_c_version", SINT, "Version of the client's certificate.", (certificate, sample) =>
    setInt(sample, certificate.version),
  ),
  field("ssl_c_serial", BIN, "Serial number of the client's certificate.", ({ serial }, sample) => {
    const first = serial.findIndex((byte, i) => byte !== 0 || i === serial.length - 1);
    return setBytes(sample, BIN, serial.slice(Math.max(0, first)));
  }),
  field("ssl_c_notbefore", STR, "Start of its validity, YYMMDDhhmmssZ.", ({ notBefore }, sample) =>
    setBytes(sample, STR, encodeText(notBefore)),
  ),
  field("ssl_c_notafter", STR, "End of its validity, YYMMDDhhmmssZ.", ({ notAfter }, sample) =>
    setBytes(sample, STR, encodeText(notAfter)),
  ),
  field(
    "ssl_c_sig_alg",
    STR,
    "Algorithm of its signature: RSA-SHA256.",
    ({ signatureAlgorithm }, sample) => setBytes(sample, STR, encodeText(signatureAlgorithm)),
  ),
  field("ssl_c_key_alg", STR, "Algorithm of its key: rsaEncryption.", ({ keyAlgorithm }, sample) =>
    setBytes(sample, STR, encodeText(keyAlgorithm)),
  ),
  name("ssl_c_s_dn", "Subject", ({ subject }) => subject),
  name("ssl_c_i_dn", "Issuer", ({ issuer }) => issuer),
];

/** One reading of each certificate, as long as its connection lives. */
function reader(): (transaction: Transaction) => Certificate | undefined {
  const known = new WeakMap<Uint8Array, Certificate>();
  return ({ session: { tls } }) => {
    const der = tls?.clientCertificate;
    if (der === undefined) return undefined;
    const parsed = known.get(der) ?? parseCertificate(der);
    if (parsed !== undefined) known.set(der, parsed);
    return parsed;
  };
}

function field(
  keyword: string,
  type: typeof SINT | typeof STR | typeof BIN,
  doc: string,
  give: (certificate: Certificate, sample: Sample) => boolean,
): FetchKeyword {
  return plain(CLIENT, keyword, type, doc, () => {
    const certificateOf = reader();
    return (transaction, sample) => {
      const certificate = certificateOf(transaction);
      return certificate !== undefined && give(certificate, sample);
    };
  });
}

function name(
  keyword: string,
  what: string,
  of: (certificate: Certificate) => readonly NamePart[],
): FetchKeyword {
  return {
    name: keyword,
    syntax: `${keyword}([<entry>[,<occ>[,<format>]]])`,
    doc: `${what} of the client's certificate: all of it (/C=FR/CN=x, or by RFC 2253 with <format> rfc2253), or the value of <entry> number <occ> (negative from the end).`,
    ...CLIENT,
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
      const certificateOf = reader();
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
