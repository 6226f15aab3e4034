import {
  DER_CONTEXT,
  DER_OCTETS,
  DER_SEQUENCE,
  type DerElement,
  derChildren,
  derText,
  readDer,
} from "../tls/der.ts";
import { formatOid } from "./object-identifier.ts";

/** What samples, the choice by name and `show ssl cert` tell of an X.509 certificate. RFC 5280 §4.1. */
export interface Certificate {
  /** 1 to 3. */
  readonly version: number;
  /** The number's bytes, most significant first. */
  readonly serial: Uint8Array;
  readonly issuer: readonly NamePart[];
  readonly subject: readonly NamePart[];
  /** DER of both names, to be compared and hashed. */
  readonly issuerDer: Uint8Array;
  readonly subjectDer: Uint8Array;
  /** `YYMMDDhhmmssZ`, or with four digits of year from 2050 on. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** OpenSSL's short names: RSA-SHA256, rsaEncryption. */
  readonly signatureAlgorithm: string;
  readonly keyAlgorithm: string;
  /** The key's bits as they stand in the certificate: what an OCSP request hashes. */
  readonly keyBits: Uint8Array;
  /** RSA: bits of the modulus. Elliptic curves: of the field. 0 for others. */
  readonly keySize: number;
  /** Names of `subjectAltName`, in order. RFC 5280 §4.2.1.6. */
  readonly alternatives: readonly AlternativeName[];
}

/** One attribute of a name, in the order of the certificate. */
export interface NamePart {
  /** CN, O, OU, C …, or dotted numbers. */
  readonly type: string;
  readonly value: Uint8Array;
}

export interface AlternativeName {
  readonly kind: "DNS" | "IP Address" | "email" | "URI" | "other";
  readonly value: Uint8Array;
}

/** Reads DER. Undefined when the bytes are no certificate; lengths are checked, nothing is thrown. */
export function parseCertificate(der: Uint8Array): Certificate | undefined {
  const outer = readDer(der, 0, der.length);
  if (outer?.tag !== DER_SEQUENCE) return undefined;
  const body = readDer(der, outer.start, outer.end);
  if (body?.tag !== DER_SEQUENCE) return undefined;
  const parts = derChildren(der, body);
  if (parts === undefined) return undefined;
  const [first] = parts;
  const hasVersion = first?.tag === DER_CONTEXT;
  const [serial, , issuer, validity, subject, key, ...rest] = hasVersion ? parts.slice(1) : parts;
  const algorithm = readDer(der, body.end, outer.end);
  if (
    first === undefined ||
    serial === undefined ||
    issuer === undefined ||
    validity === undefined ||
    subject === undefined ||
    key === undefined ||
    algorithm === undefined
  )
    return undefined;
  const dates = derChildren(der, validity);
  const [from, to] = dates ?? [];
  if (from === undefined || to === undefined) return undefined;
  const version = hasVersion ? readDer(der, first.start, first.end) : undefined;
  const [keyKind, keyValue] = derChildren(der, key) ?? [];
  const keyAlgorithm = keyKind === undefined ? "" : algorithmName(der, keyKind);
  // The first byte of a bit string counts the bits that are not used.
  const keyBits =
    keyValue === undefined ? new Uint8Array(0) : der.slice(keyValue.start + 1, keyValue.end);
  return {
    version: version === undefined ? 1 : (der[version.end - 1] ?? 0) + 1,
    serial: der.slice(serial.start, serial.end),
    issuer: nameParts(der, issuer),
    subject: nameParts(der, subject),
    issuerDer: der.slice(issuer.from, issuer.end),
    subjectDer: der.slice(subject.from, subject.end),
    notBefore: derText(der, from),
    notAfter: derText(der, to),
    signatureAlgorithm: algorithmName(der, algorithm),
    keyAlgorithm,
    keyBits,
    keySize: keySizeOf(der, keyAlgorithm, keyKind, keyBits),
    alternatives: alternativesOf(der, rest),
  };
}

const EXTENSIONS = DER_CONTEXT + 3;
const SUBJECT_ALT_NAME = "2.5.29.17";

function alternativesOf(der: Uint8Array, rest: readonly DerElement[]): AlternativeName[] {
  const extensions = rest.find(({ tag }) => tag === EXTENSIONS);
  const list =
    extensions === undefined ? undefined : readDer(der, extensions.start, extensions.end);
  for (const extension of (list === undefined ? undefined : derChildren(der, list)) ?? []) {
    const parts = derChildren(der, extension);
    const [id] = parts ?? [];
    const value = parts?.at(-1);
    if (id === undefined || value?.tag !== DER_OCTETS) continue;
    if (formatOid(der, id.start, id.end) !== SUBJECT_ALT_NAME) continue;
    const names = readDer(der, value.start, value.end);
    return (names === undefined ? [] : (derChildren(der, names) ?? [])).map(
      ({ tag, start, end }) => ({
        kind: ALTERNATIVES.get(tag & 0x1f) ?? "other",
        value: der.slice(start, end),
      }),
    );
  }
  return [];
}

/** By the number of the choice. RFC 5280 §4.2.1.6. */
const ALTERNATIVES = new Map<number, AlternativeName["kind"]>([
  [1, "email"],
  [2, "DNS"],
  [6, "URI"],
  [7, "IP Address"],
]);

/** Bits of the curves that certificates use. RFC 5480 §2.1.1.1. */
const CURVES: Readonly<Record<string, number>> = {
  "1.2.840.10045.3.1.1": 192,
  "1.3.132.0.33": 224,
  "1.2.840.10045.3.1.7": 256,
  "1.3.132.0.10": 256,
  "1.3.132.0.34": 384,
  "1.3.132.0.35": 521,
};

function keySizeOf(
  der: Uint8Array,
  algorithm: string,
  kind: DerElement | undefined,
  bits: Uint8Array,
): number {
  if (algorithm === "rsaEncryption" || algorithm === "RSASSA-PSS") {
    const sequence = readDer(bits, 0, bits.length);
    const modulus =
      sequence === undefined ? undefined : readDer(bits, sequence.start, sequence.end);
    if (modulus === undefined) return 0;
    let { start } = modulus;
    while (start < modulus.end && bits[start] === 0) start++;
    return (modulus.end - start) * 8 - Math.clz32(bits[start] ?? 0) + 24;
  }
  const curve = kind === undefined ? undefined : derChildren(der, kind)?.[1];
  if (algorithm !== "id-ecPublicKey" || curve === undefined) return 0;
  return CURVES[formatOid(der, curve.start, curve.end)] ?? 0;
}

function nameParts(der: Uint8Array, name: DerElement): NamePart[] {
  const parts: NamePart[] = [];
  for (const set of derChildren(der, name) ?? []) {
    for (const attribute of derChildren(der, set) ?? []) {
      const [type, value] = derChildren(der, attribute) ?? [];
      if (type === undefined || value === undefined) continue;
      parts.push({
        type: formatOid(der, type.start, type.end),
        value: der.slice(value.start, value.end),
      });
    }
  }
  return parts;
}

function algorithmName(der: Uint8Array, algorithm: DerElement): string {
  const [oid] = derChildren(der, algorithm) ?? [];
  return oid === undefined ? "" : formatOid(der, oid.start, oid.end);
}
