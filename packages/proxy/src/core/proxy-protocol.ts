import { parseAddress } from "@ha/base";
import type { Endpoint } from "./transaction.ts";

/** What reading a PROXY header gives in place of the bytes it took. */
export const PROXY_INCOMPLETE = -1;
export const PROXY_INVALID = -2;

/** The facts that a PROXY header brings. */
export interface ProxyFacts {
  readonly source: Endpoint;
  readonly destination: Endpoint;
  proxyTlvs: Map<number, Uint8Array> | undefined;
}

/** Longest version 1 line, with its end. HAProxy, proxy-protocol.txt §2.1 */
const LINE_LIMIT = 107;
const SIGNATURE = [0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a];
const WORD = [0x50, 0x52, 0x4f, 0x58, 0x59, 0x20]; // "PROXY "

/**
 * Reads the PROXY protocol header, version 1 or 2, that must stand at `start`. Gives the bytes it took, and writes
 * the addresses it names (none for LOCAL and UNKNOWN: the connection's own stay). HAProxy, proxy-protocol.txt
 */
export function readProxyHeader(
  bytes: Uint8Array,
  start: number,
  end: number,
  facts: ProxyFacts,
): number {
  const size = end - start;
  if (size === 0) return PROXY_INCOMPLETE;
  if (bytes[start] === SIGNATURE[0]) return readVersion2(bytes, start, end, facts);
  for (let i = 0; i < Math.min(size, WORD.length); i++) {
    if (bytes[start + i] !== WORD[i]) return PROXY_INVALID;
  }
  return readVersion1(bytes, start, end, facts);
}

function readVersion1(bytes: Uint8Array, start: number, end: number, facts: ProxyFacts): number {
  const limit = Math.min(end, start + LINE_LIMIT);
  let at = start;
  while (at < limit && bytes[at] !== 0x0a) at++;
  if (at === limit) return limit - start === LINE_LIMIT ? PROXY_INVALID : PROXY_INCOMPLETE;
  if (bytes[at - 1] !== 0x0d) return PROXY_INVALID;
  const line = String.fromCharCode(...bytes.subarray(start, at - 1));
  const taken = at + 1 - start;
  const words = line.split(" ");
  if (words[1] === "UNKNOWN") return taken;
  const family = words[1] === "TCP4" ? 4 : words[1] === "TCP6" ? 6 : 0;
  if (family === 0 || words.length !== 6) return PROXY_INVALID;
  const [from, to] = [parseAddress(words[2] as string), parseAddress(words[3] as string)];
  const [fromPort, toPort] = [port(words[4] as string), port(words[5] as string)];
  if (from?.family !== family || to?.family !== family) return PROXY_INVALID;
  if (fromPort === undefined || toPort === undefined) return PROXY_INVALID;
  write(facts.source, family, from.bytes, 0, fromPort);
  write(facts.destination, family, to.bytes, 0, toPort);
  return taken;
}

function port(text: string): number | undefined {
  if (!/^(0|[1-9]\d{0,4})$/.test(text)) return undefined;
  const value = Number(text);
  return value <= 65_535 ? value : undefined;
}

function readVersion2(bytes: Uint8Array, start: number, end: number, facts: ProxyFacts): number {
  for (let i = 0; i < SIGNATURE.length; i++) {
    if (start + i >= end) return PROXY_INCOMPLETE;
    if (bytes[start + i] !== SIGNATURE[i]) return PROXY_INVALID;
  }
  if (start + 16 > end) return PROXY_INCOMPLETE;
  const command = bytes[start + 12] as number;
  const kind = bytes[start + 13] as number;
  const length = ((bytes[start + 14] as number) << 8) | (bytes[start + 15] as number);
  if (command >> 4 !== 2 || (command & 0x0f) > 1) return PROXY_INVALID;
  const body = start + 16;
  if (body + length > end) return PROXY_INCOMPLETE;
  if ((command & 0x0f) === 0) return 16 + length; // LOCAL: a health check of the other proxy
  const family = kind === 0x11 ? 4 : kind === 0x21 ? 6 : 0;
  if (family === 0) return 16 + length;
  const size = family === 4 ? 4 : 16;
  if (length < size * 2 + 4) return PROXY_INVALID;
  const ports = body + size * 2;
  const word = (at: number) => ((bytes[at] as number) << 8) | (bytes[at + 1] as number);
  if (!readTlvs(bytes, ports + 4, body + length, facts)) return PROXY_INVALID;
  write(facts.source, family, bytes, body, word(ports));
  write(facts.destination, family, bytes, body + size, word(ports + 2));
  return 16 + length;
}

function readTlvs(bytes: Uint8Array, start: number, end: number, facts: ProxyFacts): boolean {
  for (let at = start; at < end; ) {
    if (at + 3 > end) return false;
    const size = ((bytes[at + 1] as number) << 8) | (bytes[at + 2] as number);
    if (at + 3 + size > end) return false;
    facts.proxyTlvs ??= new Map();
    facts.proxyTlvs.set(bytes[at] as number, bytes.slice(at + 3, at + 3 + size));
    at += 3 + size;
  }
  return true;
}

function write(
  endpoint: Endpoint,
  family: 4 | 6,
  bytes: Uint8Array,
  at: number,
  portNumber: number,
): void {
  endpoint.family = family;
  endpoint.port = portNumber;
  for (let i = 0; i < (family === 4 ? 4 : 16); i++) endpoint.address[i] = bytes[at + i] as number;
}
