import { formatAddress } from "@ha/base";
import type { SendProxy } from "../core/config/server-model.ts";
import { compileLogFormat, PLAIN_TEXT } from "../core/log/log-format.ts";
import { uniqueIdOf } from "../core/log/unique-id.ts";
import { writeToBytes } from "../core/rule/template-room.ts";
import { parseCertificate } from "../core/sample/certificate.ts";
import type { CompileContext } from "../core/sample/compile-context.ts";
import type { Endpoint, Session, TlsFacts, Transaction } from "../core/transaction.ts";

/** The twelve bytes that a version 2 header begins with. HAProxy, proxy-protocol.txt §2.2 */
export const PROXY_SIGNATURE = Uint8Array.of(
  0x0d,
  0x0a,
  0x0d,
  0x0a,
  0x00,
  0x0d,
  0x0a,
  0x51,
  0x55,
  0x49,
  0x54,
  0x0a,
);

const TLV_ALPN = 0x01;
const TLV_AUTHORITY = 0x02;
const TLV_CRC32C = 0x03;
const TLV_UNIQUE_ID = 0x05;
const TLV_SSL = 0x20;
const TLV_SSL_VERSION = 0x21;
const TLV_SSL_CN = 0x22;
const TLV_SSL_CIPHER = 0x23;
const CLIENT_SSL = 1;
/** The client showed a certificate on this connection, and in this session. */
const CLIENT_CERTIFICATE = 2 | 4;

/** Makes what is sent before the first byte to a server with `send-proxy…`. */
export type ProxyHeader = (transaction: Transaction) => Uint8Array;

/** Compiles it. proxy-protocol.txt §2; order of the TLVs: observed, haproxy 2.6.12. */
export function compileProxyHeader(options: SendProxy, context: CompileContext): ProxyHeader {
  if (options.version === 1) return ({ session }) => version1(session.source, session.destination);
  const { world } = context;
  const own = options.tlvs.flatMap(({ type, format }) => {
    const template = compileLogFormat(format, context, PLAIN_TEXT);
    return template === undefined ? [] : [{ type, template }];
  });
  return (transaction) => {
    const tlvs: Tlv[] = own.map(({ type, template }) => ({
      type,
      value: writeToBytes(template, transaction, world).slice(),
    }));
    const uniqueId = options.options.has("unique-id") ? uniqueIdOf(transaction, world) : undefined;
    return version2(options.options, transaction.session, uniqueId, tlvs);
  };
}

interface Tlv {
  readonly type: number;
  readonly value: ArrayLike<number>;
}

function version1(source: Endpoint, destination: Endpoint): Uint8Array {
  if (source.family === 0 || source.family !== destination.family) return text("PROXY UNKNOWN\r\n");
  return text(
    `PROXY TCP${source.family} ${addressText(source)} ${addressText(destination)} ${source.port} ${destination.port}\r\n`,
  );
}

function version2(
  options: SendProxy["options"],
  { source, destination, tls }: Session,
  uniqueId: Uint8Array | undefined,
  own: readonly Tlv[],
): Uint8Array {
  const known = source.family !== 0 && source.family === destination.family;
  const size = source.family === 4 ? 4 : 16;
  const parts: number[] = [...PROXY_SIGNATURE, 0x21];
  if (known) {
    parts.push(source.family === 4 ? 0x11 : 0x21, 0, 0);
    parts.push(...source.address.subarray(0, size), ...destination.address.subarray(0, size));
    parts.push(source.port >> 8, source.port & 255, destination.port >> 8, destination.port & 255);
  } else parts.push(0, 0, 0);
  const tlv = (type: number, value: ArrayLike<number>) =>
    parts.push(type, value.length >> 8, value.length & 255, ...Array.from(value));
  for (const { type, value } of own) tlv(type, value);
  let checksumAt = -1;
  if (options.has("crc32c")) {
    checksumAt = parts.length + 3;
    tlv(TLV_CRC32C, [0, 0, 0, 0]);
  }
  if (tls !== undefined && tls.alpn !== "") tlv(TLV_ALPN, text(tls.alpn));
  if (uniqueId !== undefined) tlv(TLV_UNIQUE_ID, uniqueId);
  if (options.has("authority") && tls !== undefined && tls.sni !== "") {
    tlv(TLV_AUTHORITY, text(tls.sni));
  }
  if (options.has("ssl")) tlv(TLV_SSL, tlsFacts(options, tls));
  const bytes = Uint8Array.from(parts);
  const view = new DataView(bytes.buffer);
  view.setUint16(14, bytes.length - 16);
  if (checksumAt >= 0) view.setUint32(checksumAt, crc32c(bytes));
  return bytes;
}

/** Client's bits, result of verifying, and what else is known, each as a TLV of its own. proxy-protocol.txt §2.2.6 */
function tlsFacts(options: SendProxy["options"], tls: TlsFacts | undefined): number[] {
  if (tls === undefined) return [0, 0, 0, 0, 0];
  const { peerCertificate: der, verifyResult } = tls;
  const client = CLIENT_SSL | (der === undefined ? 0 : CLIENT_CERTIFICATE);
  const parts = [client, 24, 16, 8, 0].map((shift, i) =>
    i === 0 ? client : (verifyResult >>> shift) & 255,
  );
  const add = (type: number, value: ArrayLike<number>) =>
    parts.push(type, value.length >> 8, value.length & 255, ...Array.from(value));
  add(TLV_SSL_VERSION, text(tls.version));
  const name = options.has("cert-cn") && der !== undefined ? parseCertificate(der) : undefined;
  const common = name?.subject.findLast(({ type }) => type === "CN");
  if (common !== undefined) add(TLV_SSL_CN, common.value);
  if (options.has("ssl-cipher")) add(TLV_SSL_CIPHER, text(tls.cipher));
  return parts;
}

/** CRC-32C (Castagnoli). RFC 9260 appendix A. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}

function addressText(endpoint: Endpoint): string {
  const family = endpoint.family === 4 ? 4 : 6;
  return formatAddress({ family, bytes: endpoint.address.slice(0, family === 4 ? 4 : 16) });
}

function text(value: string): Uint8Array {
  return new TextEncoder().encode(value);
}
