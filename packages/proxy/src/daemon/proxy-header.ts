import { formatAddress } from "@ha/base";
import type { SendProxy } from "../core/config/server-model.ts";
import type { Endpoint, Transaction } from "../core/transaction.ts";

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

const TLV_AUTHORITY = 0x02;
const TLV_CRC32C = 0x03;
const TLV_UNIQUE_ID = 0x05;

/** What is sent before the first byte to a server with `send-proxy…`. proxy-protocol.txt §2 */
export function proxyHeader(options: SendProxy, transaction: Transaction): Uint8Array {
  const { source, destination } = transaction.session;
  return options.version === 1
    ? version1(source, destination)
    : version2(options, source, destination, transaction);
}

function version1(source: Endpoint, destination: Endpoint): Uint8Array {
  if (source.family === 0 || source.family !== destination.family) return text("PROXY UNKNOWN\r\n");
  return text(
    `PROXY TCP${source.family} ${addressText(source)} ${addressText(destination)} ${source.port} ${destination.port}\r\n`,
  );
}

function version2(
  options: SendProxy,
  source: Endpoint,
  destination: Endpoint,
  transaction: Transaction,
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
  const { tls } = transaction.session;
  if (options.options.has("authority") && tls !== undefined && tls.sni !== "") {
    tlv(TLV_AUTHORITY, text(tls.sni));
  }
  if (options.options.has("unique-id") && transaction.uniqueId !== undefined) {
    tlv(TLV_UNIQUE_ID, transaction.uniqueId);
  }
  let checksumAt = -1;
  if (options.options.has("crc32c")) {
    checksumAt = parts.length + 3;
    tlv(TLV_CRC32C, [0, 0, 0, 0]);
  }
  const bytes = Uint8Array.from(parts);
  const view = new DataView(bytes.buffer);
  view.setUint16(14, bytes.length - 16);
  if (checksumAt >= 0) view.setUint32(checksumAt, crc32c(bytes));
  return bytes;
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
