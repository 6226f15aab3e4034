import type { ConfigHost } from "../config/host.ts";
import type { Certificate } from "../sample/certificate.ts";
import { formatOid } from "../sample/object-identifier.ts";
import { asn1Time, timeText } from "./certificate-text.ts";
import { DER_CONTEXT, type DerElement, derChildren, derText, readDer } from "./der.ts";
import { hex } from "./hex.ts";

/** For whom a response speaks: SHA-1 of the issuer's name and key, and the serial number. RFC 6960 §4.1.1. */
export interface OcspCertificateId {
  readonly nameHash: Uint8Array;
  readonly keyHash: Uint8Array;
  readonly serial: Uint8Array;
}

/** One response for one certificate, as far as stapling needs it. RFC 6960 §4.2.1. */
export interface OcspResponse {
  readonly id: OcspCertificateId;
  readonly hashAlgorithm: string;
  readonly status: "good" | "revoked" | "unknown";
  readonly revokedAt: string | undefined;
  readonly producedAt: string;
  readonly thisUpdate: string;
  readonly nextUpdate: string | undefined;
  /** Attributes of the responder's name, or its key's hash. */
  readonly responder: string;
  readonly signatureAlgorithm: string;
}

/** Why bytes are no response that can be used. In HAProxy's words, which are also those of `set ssl ocsp-response`. */
export type OcspError =
  | "Unable to parse OCSP response."
  | "OCSP response status not successful."
  | "OCSP response: missing or bad response."
  | "OCSP response ignored because contains more than one single response.";

export function parseOcspResponse(der: Uint8Array): OcspResponse | OcspError {
  const outer = readDer(der, 0, der.length);
  const [status, holder] = (outer === undefined ? undefined : derChildren(der, outer)) ?? [];
  if (outer === undefined || status === undefined) return "Unable to parse OCSP response.";
  if (der[status.start] !== 0) return "OCSP response status not successful.";
  const bytes = holder === undefined ? undefined : readDer(der, holder.start, holder.end);
  const [, octets] = (bytes === undefined ? undefined : derChildren(der, bytes)) ?? [];
  const basic = octets === undefined ? undefined : readDer(der, octets.start, octets.end);
  const [data, algorithm] = (basic === undefined ? undefined : derChildren(der, basic)) ?? [];
  const parts = data === undefined ? undefined : derChildren(der, data);
  if (parts === undefined || algorithm === undefined) {
    return "OCSP response: missing or bad response.";
  }
  // [0] is the version, then the responder: [1] by name, [2] by key.
  const fields = parts[0]?.tag === DER_CONTEXT ? parts.slice(1) : parts;
  const [responder, produced, responses] = fields;
  if (responder === undefined || produced === undefined || responses === undefined) {
    return "OCSP response: missing or bad response.";
  }
  const singles = derChildren(der, responses) ?? [];
  const [single] = singles;
  if (singles.length !== 1 || single === undefined) {
    return "OCSP response ignored because contains more than one single response.";
  }
  const [id, state, thisUpdate, ...later] = derChildren(der, single) ?? [];
  if (id === undefined || state === undefined || thisUpdate === undefined) {
    return "OCSP response: missing or bad response.";
  }
  const [hash, nameHash, keyHash, serial] = derChildren(der, id) ?? [];
  if (
    hash === undefined ||
    nameHash === undefined ||
    keyHash === undefined ||
    serial === undefined
  ) {
    return "OCSP response: missing or bad response.";
  }
  const next = later.find(({ tag }) => tag === DER_CONTEXT);
  const nextTime = next === undefined ? undefined : readDer(der, next.start, next.end);
  const revocation = (state.tag & 0x1f) === 1 ? derChildren(der, state)?.[0] : undefined;
  return {
    id: {
      nameHash: der.slice(nameHash.start, nameHash.end),
      keyHash: der.slice(keyHash.start, keyHash.end),
      serial: der.slice(serial.start, serial.end),
    },
    hashAlgorithm: oidOf(der, hash),
    status: (["good", "revoked", "unknown"] as const)[state.tag & 0x1f] ?? "unknown",
    revokedAt: revocation === undefined ? undefined : derText(der, revocation),
    producedAt: derText(der, produced),
    thisUpdate: derText(der, thisUpdate),
    nextUpdate: nextTime === undefined ? undefined : derText(der, nextTime),
    responder: responderText(der, responder),
    signatureAlgorithm: oidOf(der, algorithm),
  };
}

/** Whose certificate a response must be for. */
export interface OcspSubject {
  readonly facts: Certificate;
  readonly issuer: Certificate;
  readonly host: Pick<ConfigHost, "digest" | "now">;
}

export function certificateId({ facts, issuer, host }: OcspSubject): OcspCertificateId {
  return {
    nameHash: host.digest("sha1", facts.issuerDer),
    keyHash: host.digest("sha1", issuer.keyBits),
    serial: facts.serial,
  };
}

/** What is wrong with a response for this certificate now, in HAProxy's words. */
export function ocspFault(der: Uint8Array, subject: OcspSubject): string | undefined {
  const response = parseOcspResponse(der);
  if (typeof response === "string") return response;
  const fault = ocspTimeFault(response, subject.host.now());
  if (fault !== undefined) return fault;
  return idKey(response.id) === idKey(certificateId(subject))
    ? undefined
    : "OCSP single response: Certificate ID does not match certificate and issuer.";
}

/** What is wrong with it at a time, seconds since 1970. */
export function ocspTimeFault(response: OcspResponse, now: number): string | undefined {
  if (response.status === "unknown") return "OCSP single response: certificate status is unknown.";
  const next = response.nextUpdate === undefined ? undefined : asn1Time(response.nextUpdate);
  if (next === undefined) return "OCSP single response: missing nextupdate field.";
  const from = asn1Time(response.thisUpdate);
  // Clocks differ: HAProxy allows five minutes.
  if (from === undefined || from > now + SKEW || next <= now) {
    return "OCSP single response: no longer valid.";
  }
  return undefined;
}

const SKEW = 300;

/** DER of the identity in hexadecimal: the response's name in commands. */
export function idKey({ nameHash, keyHash, serial }: OcspCertificateId): string {
  const body = `300906052b0e03021a05000414${hex(nameHash)}0414${hex(keyHash)}02${byte(serial.length)}${hex(serial)}`;
  return `30${byte(body.length / 2)}${body}`;
}

function byte(value: number): string {
  return value.toString(16).padStart(2, "0");
}

/** As `openssl ocsp -text` begins, up to the signature. */
export function ocspText(response: OcspResponse): string {
  const upper = (bytes: Uint8Array) => hex(bytes).toUpperCase();
  const lines = [
    "OCSP Response Data:",
    "    OCSP Response Status: successful (0x0)",
    "    Response Type: Basic OCSP Response",
    "    Version: 1 (0x0)",
    `    Responder Id: ${response.responder}`,
    `    Produced At: ${timeText(response.producedAt)}`,
    "    Responses:",
    "    Certificate ID:",
    `      Hash Algorithm: ${response.hashAlgorithm}`,
    `      Issuer Name Hash: ${upper(response.id.nameHash)}`,
    `      Issuer Key Hash: ${upper(response.id.keyHash)}`,
    `      Serial Number: ${upper(response.id.serial)}`,
    `    Cert Status: ${response.status}`,
  ];
  if (response.revokedAt !== undefined) {
    lines.push(`    Revocation Time: ${timeText(response.revokedAt)}`);
  }
  lines.push(`    This Update: ${timeText(response.thisUpdate)}`);
  if (response.nextUpdate !== undefined) {
    lines.push(`    Next Update: ${timeText(response.nextUpdate)}`);
  }
  lines.push(" ", `    Signature Algorithm: ${response.signatureAlgorithm}`);
  return `${lines.join("\n")}\n`;
}

function responderText(der: Uint8Array, responder: DerElement): string {
  const inside = readDer(der, responder.start, responder.end);
  if (inside === undefined) return "";
  if (responder.tag === DER_CONTEXT + 2) {
    return hex(der.subarray(inside.start, inside.end)).toUpperCase();
  }
  const parts = (derChildren(der, inside) ?? []).flatMap((set) => derChildren(der, set) ?? []);
  return parts
    .map((attribute) => {
      const [type, value] = derChildren(der, attribute) ?? [];
      if (type === undefined || value === undefined) return "";
      return `${formatOid(der, type.start, type.end)} = ${derText(der, value)}`;
    })
    .join(", ");
}

function oidOf(der: Uint8Array, algorithm: DerElement): string {
  const [oid] = derChildren(der, algorithm) ?? [];
  if (oid === undefined) return "";
  const name = formatOid(der, oid.start, oid.end);
  return name === "1.3.14.3.2.26" ? "sha1" : name;
}
