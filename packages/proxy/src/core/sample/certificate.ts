import { formatOid } from "./object-identifier.ts";

/** What samples tell of an X.509 certificate. RFC 5280 §4.1. */
export interface Certificate {
  /** 1 to 3. */
  readonly version: number;
  /** The number's bytes, most significant first. */
  readonly serial: Uint8Array;
  readonly issuer: readonly NamePart[];
  readonly subject: readonly NamePart[];
  /** `YYMMDDhhmmssZ`, or with four digits of year from 2050 on. */
  readonly notBefore: string;
  readonly notAfter: string;
  /** OpenSSL's short names: RSA-SHA256, rsaEncryption. */
  readonly signatureAlgorithm: string;
  readonly keyAlgorithm: string;
}

/** One attribute of a name, in the order of the certificate. */
export interface NamePart {
  /** CN, O, OU, C …, or dotted numbers. */
  readonly type: string;
  readonly value: Uint8Array;
}

/** Reads DER. Undefined when the bytes are no certificate; lengths are checked, nothing is thrown. */
export function parseCertificate(der: Uint8Array): Certificate | undefined {
  const outer = read(der, 0, der.length);
  if (outer?.tag !== SEQUENCE) return undefined;
  const body = read(der, outer.start, outer.end);
  if (body?.tag !== SEQUENCE) return undefined;
  const parts = children(der, body);
  if (parts === undefined) return undefined;
  const [first] = parts;
  const hasVersion = first?.tag === VERSION;
  const [serial, , issuer, validity, subject, key] = hasVersion ? parts.slice(1) : parts;
  const algorithm = read(der, body.end, outer.end);
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
  const dates = children(der, validity);
  const [from, to] = dates ?? [];
  if (from === undefined || to === undefined) return undefined;
  const version = hasVersion ? read(der, first.start, first.end) : undefined;
  const keyParts = children(der, key);
  return {
    version: version === undefined ? 1 : (der[version.end - 1] ?? 0) + 1,
    serial: der.slice(serial.start, serial.end),
    issuer: nameParts(der, issuer),
    subject: nameParts(der, subject),
    notBefore: text(der, from),
    notAfter: text(der, to),
    signatureAlgorithm: algorithmName(der, algorithm),
    keyAlgorithm: keyParts?.[0] === undefined ? "" : algorithmName(der, keyParts[0]),
  };
}

const SEQUENCE = 0x30;
const VERSION = 0xa0;

interface Element {
  readonly tag: number;
  readonly start: number;
  readonly end: number;
}

function read(der: Uint8Array, at: number, limit: number): Element | undefined {
  if (at + 2 > limit) return undefined;
  const tag = der[at] as number;
  let length = der[at + 1] as number;
  let start = at + 2;
  if (length >= 0x80) {
    const size = length & 0x7f;
    if (size === 0 || size > 4 || start + size > limit) return undefined;
    length = 0;
    for (let i = 0; i < size; i++) length = length * 256 + (der[start + i] as number);
    start += size;
  }
  return start + length > limit ? undefined : { tag, start, end: start + length };
}

function children(der: Uint8Array, parent: Element): Element[] | undefined {
  const list: Element[] = [];
  for (let at = parent.start; at < parent.end; ) {
    const element = read(der, at, parent.end);
    if (element === undefined) return undefined;
    list.push(element);
    at = element.end;
  }
  return list;
}

function nameParts(der: Uint8Array, name: Element): NamePart[] {
  const parts: NamePart[] = [];
  for (const set of children(der, name) ?? []) {
    for (const attribute of children(der, set) ?? []) {
      const [type, value] = children(der, attribute) ?? [];
      if (type === undefined || value === undefined) continue;
      parts.push({
        type: formatOid(der, type.start, type.end),
        value: der.slice(value.start, value.end),
      });
    }
  }
  return parts;
}

function algorithmName(der: Uint8Array, algorithm: Element): string {
  const [oid] = children(der, algorithm) ?? [];
  return oid === undefined ? "" : formatOid(der, oid.start, oid.end);
}

function text(der: Uint8Array, { start, end }: Element): string {
  return String.fromCharCode(...der.subarray(start, end));
}
