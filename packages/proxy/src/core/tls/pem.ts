import { decodeBase64 } from "../sample/converters/base64.ts";
import { encodeText, latin1 } from "../sample/sample.ts";

/** One block of a PEM file. RFC 7468. */
export interface PemBlock {
  /** `CERTIFICATE`, `EC PRIVATE KEY`, `X509 CRL` … */
  readonly label: string;
  /** From `-----BEGIN` to the last dash. */
  readonly text: string;
  /** Undefined when the lines between are no base64 (as in an encrypted key, which has headers). */
  readonly der: Uint8Array | undefined;
}

const BLOCK = /-----BEGIN ([A-Z0-9 ]+)-----\s([\s\S]*?)-----END \1-----/g;

/** All blocks of a file, in its order; text between them is skipped. */
export function pemBlocks(bytes: Uint8Array): PemBlock[] {
  const text = latin1(bytes, 0, bytes.length);
  return [...text.matchAll(BLOCK)].map(([whole, label = "", body = ""]) => {
    const lines = encodeText(body.replace(/\s+/g, ""));
    return { label, text: whole, der: decodeBase64(lines, 0, lines.length, false) };
  });
}

export function isCertificate({ label }: PemBlock): boolean {
  return label === "CERTIFICATE" || label === "X509 CERTIFICATE" || label === "TRUSTED CERTIFICATE";
}

export function isPrivateKey({ label }: PemBlock): boolean {
  return label.endsWith("PRIVATE KEY");
}

export function isRevocationList({ label }: PemBlock): boolean {
  return label === "X509 CRL";
}

/** Blocks as a file of their own. */
export function pemFile(blocks: readonly PemBlock[]): Uint8Array {
  return encodeText(blocks.map(({ text }) => `${text}\n`).join(""));
}
