import { type Certificate, type NamePart, parseCertificate } from "../sample/certificate.ts";
import { formatOid } from "../sample/object-identifier.ts";
import { latin1 } from "../sample/sample.ts";
import { DER_SEQUENCE, type DerElement, derChildren, derText, readDer } from "./der.ts";
import { hex } from "./hex.ts";

const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** `YYMMDDhhmmssZ` or `YYYYMMDDhhmmssZ` in its parts. RFC 5280 §4.1.2.5. */
function timeParts(text: string): readonly number[] | undefined {
  const digits = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (digits === null) return undefined;
  const [year = 0, ...rest] = digits.slice(1).map(Number);
  const short = (digits[1] ?? "").length === 2;
  return [short ? (year < 50 ? 2000 : 1900) + year : year, ...rest];
}

/** `Nov 25 00:36:28 2026 GMT`, as OpenSSL writes times; the text itself when it is none. */
export function timeText(text: string): string {
  const parts = timeParts(text);
  if (parts === undefined) return text;
  const [year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0] = parts;
  const two = (value: number) => String(value).padStart(2, "0");
  return `${MONTHS[month - 1] ?? "Bad"} ${String(day).padStart(2, " ")} ${two(hour)}:${two(minute)}:${two(second)} ${year} GMT`;
}

/** Seconds since 1970; undefined when the text is no time. */
export function asn1Time(text: string): number | undefined {
  const parts = timeParts(text);
  if (parts === undefined) return undefined;
  const [year = 1970, month = 1, day = 1, hour = 0, minute = 0, second = 0] = parts;
  return daysSince1970(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
}

/** Days of the Gregorian calendar: years begin in March, so that the leap day comes last. */
function daysSince1970(year: number, month: number, day: number): number {
  const from = month > 2 ? year : year - 1;
  const months = (month + 9) % 12;
  const inYear = Math.floor((153 * months + 2) / 5) + day - 1;
  return (
    from * 365 +
    Math.floor(from / 4) -
    Math.floor(from / 100) +
    Math.floor(from / 400) +
    inYear -
    719_468
  );
}

/** `/C=FR/CN=x`, as OpenSSL's one-line form. */
export function nameText(parts: readonly NamePart[]): string {
  return parts.map(({ type, value }) => `/${type}=${latin1(value, 0, value.length)}`).join("");
}

/** Without the zero that only keeps a number from being negative. */
function serialText({ serial }: Certificate): string {
  const from = serial.length > 1 && serial[0] === 0 ? 1 : 0;
  return hex(serial.subarray(from)).toUpperCase();
}

/** `RSA2048`, `EC256`. */
function algorithmText({ keyAlgorithm, keySize }: Certificate): string {
  switch (keyAlgorithm) {
    case "id-ecPublicKey":
      return `EC${keySize}`;
    case "rsaEncryption":
    case "RSASSA-PSS":
      return `RSA${keySize}`;
    default:
      return keyAlgorithm;
  }
}

/** The lines of `show ssl cert` and `show ssl ca-file` about one certificate. Observed: haproxy 2.6.12. */
export function certificateText(
  der: Uint8Array,
  sha1: (bytes: Uint8Array) => Uint8Array,
  chain?: readonly Uint8Array[],
): string {
  const facts = parseCertificate(der);
  if (facts === undefined) return "";
  const names = facts.alternatives.map(
    ({ kind, value }) => `${kind}:${alternativeText(kind, value)}`,
  );
  const lines = [
    `Serial: ${serialText(facts)}`,
    `notBefore: ${timeText(facts.notBefore)}`,
    `notAfter: ${timeText(facts.notAfter)}`,
    `Subject Alternative Name: ${names.join(", ")}`,
    `Algorithm: ${algorithmText(facts)}`,
    `SHA1 FingerPrint: ${hex(sha1(der)).toUpperCase()}`,
    `Subject: ${nameText(facts.subject)}`,
    `Issuer: ${nameText(facts.issuer)}`,
  ];
  for (const link of chain ?? []) {
    const above = parseCertificate(link);
    if (above === undefined) continue;
    lines.push(
      `Chain Subject: ${nameText(above.subject)}`,
      `Chain Issuer: ${nameText(above.issuer)}`,
    );
  }
  return `${lines.join("\n")}\n`;
}

function alternativeText(kind: string, value: Uint8Array): string {
  if (kind !== "IP Address") return latin1(value, 0, value.length);
  if (value.length === 4) return value.join(".");
  const groups: string[] = [];
  for (let at = 0; at + 1 < value.length; at += 2) {
    groups.push((((value[at] ?? 0) << 8) | (value[at + 1] ?? 0)).toString(16).toUpperCase());
  }
  return groups.join(":");
}

/** The lines of `show ssl crl-file` about one list; undefined when the bytes are none. RFC 5280 §5.1. */
export function revocationListText(der: Uint8Array): string | undefined {
  const outer = readDer(der, 0, der.length);
  const [body] = (outer === undefined ? undefined : derChildren(der, outer)) ?? [];
  const parts = body?.tag === DER_SEQUENCE ? derChildren(der, body) : undefined;
  if (parts === undefined) return undefined;
  const versioned = parts[0]?.tag === 0x02;
  const [algorithm, issuer, from, ...rest] = versioned ? parts.slice(1) : parts;
  if (algorithm === undefined || issuer === undefined || from === undefined) return undefined;
  const next = rest[0] !== undefined && isTime(rest[0]) ? rest[0] : undefined;
  const revoked = rest.find(({ tag }) => tag === DER_SEQUENCE);
  const [oid] = derChildren(der, algorithm) ?? [];
  const lines = [
    `Version ${versioned ? (der[parts[0]?.start ?? 0] ?? 0) + 1 : 1}`,
    `Signature Algorithm: ${oid === undefined ? "" : longName(formatOid(der, oid.start, oid.end))}`,
    `Issuer: ${nameText(attributes(der, issuer))}`,
    `Last Update: ${timeText(derText(der, from))}`,
    `Next Update: ${next === undefined ? "NONE" : timeText(derText(der, next))}`,
  ];
  const entries = revoked === undefined ? [] : (derChildren(der, revoked) ?? []);
  if (entries.length === 0) lines.push("No Revoked Certificates.");
  else lines.push("Revoked Certificates:");
  for (const entry of entries) {
    const [serial, at] = derChildren(der, entry) ?? [];
    if (serial === undefined || at === undefined) continue;
    lines.push(
      `    Serial Number: ${hex(der.subarray(serial.start, serial.end)).toUpperCase()}`,
      `        Revocation Date: ${timeText(derText(der, at))}`,
    );
  }
  return `${lines.join("\n")}\n`;
}

function isTime({ tag }: DerElement): boolean {
  return tag === 0x17 || tag === 0x18;
}

/** `openssl x509 -text` has other names than its short ones. */
function longName(short: string): string {
  return short.startsWith("RSA-") ? `${short.slice(4).toLowerCase()}WithRSAEncryption` : short;
}

function attributes(der: Uint8Array, name: DerElement): NamePart[] {
  return (derChildren(der, name) ?? [])
    .flatMap((set) => derChildren(der, set) ?? [])
    .flatMap((attribute) => {
      const [type, value] = derChildren(der, attribute) ?? [];
      if (type === undefined || value === undefined) return [];
      return [
        {
          type: formatOid(der, type.start, type.end),
          value: der.slice(value.start, value.end),
        },
      ];
    });
}
