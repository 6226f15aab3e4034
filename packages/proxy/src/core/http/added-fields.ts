import { formatAddress, prefixContains } from "@ha/base";
import type { ForwardedFor } from "../config/proxy-model.ts";
import type { Endpoint, Transaction } from "../transaction.ts";
import { writeDecimal } from "./bytes.ts";
import { fieldName } from "./head.ts";

/** Adds fields to a request before it goes out. False when there is no room: 500. */
export type FieldAdder = (transaction: Transaction) => boolean;

/** `option forwardfor`. HAProxy configuration manual §4.2. */
export function forwardedFor(option: ForwardedFor): FieldAdder {
  return addressField(option, (transaction) => transaction.session.source);
}

/** `option originalto`: the address that the client came to. */
export function originalTo(option: ForwardedFor): FieldAdder {
  return addressField(option, (transaction) => transaction.session.destination);
}

/** A field with fixed or made bytes, set anew (`unique-id-header`, `send-name-header`). */
export function bytesField(
  header: string,
  bytesOf: (transaction: Transaction) => Uint8Array | undefined,
): FieldAdder {
  const name = fieldName(header);
  return (transaction) => {
    const value = bytesOf(transaction);
    if (value === undefined) return true;
    const { scratch, request, bytes } = transaction;
    if (!scratch.reserve(value.length)) return false;
    const start = scratch.used;
    bytes.set(value, start);
    scratch.used = start + value.length;
    return request.setField(name, start, start + value.length);
  };
}

/** Each in turn; undefined when there is none. */
export function allOf(adders: readonly (FieldAdder | undefined)[]): FieldAdder | undefined {
  const present = adders.filter((adder) => adder !== undefined);
  const [first, ...more] = present;
  if (first === undefined) return undefined;
  if (more.length === 0) return first;
  return (transaction) => present.every((adder) => adder(transaction));
}

function addressField(
  { header, except, ifNone }: ForwardedFor,
  endpointOf: (transaction: Transaction) => Endpoint,
): FieldAdder {
  const name = fieldName(header);
  return (transaction) => {
    const { scratch, request } = transaction;
    if (ifNone && request.find(name) >= 0) return true;
    const endpoint = endpointOf(transaction);
    if (endpoint.family === 0) return true;
    if (except !== undefined && isWithin(endpoint, except)) return true;
    if (!scratch.reserve(LONGEST)) return false;
    const start = scratch.used;
    scratch.used = writeEndpoint(transaction.bytes, start, endpoint);
    return request.addField(name, start, scratch.used);
  };
}

/** Bytes of the longest text of an address. */
const LONGEST = 45;

function isWithin(endpoint: Endpoint, except: NonNullable<ForwardedFor["except"]>): boolean {
  const family = endpoint.family === 4 ? 4 : 6;
  const bytes = endpoint.address.slice(0, family === 4 ? 4 : 16);
  return prefixContains(except, { family, bytes });
}

/** Writes the address as text; gives the end. */
function writeEndpoint(out: Uint8Array, at: number, endpoint: Endpoint): number {
  if (endpoint.family === 4) {
    let end = at;
    for (let i = 0; i < 4; i++) {
      if (i > 0) out[end++] = 0x2e;
      end = writeDecimal(out, end, endpoint.address[i] as number);
    }
    return end;
  }
  const text = formatAddress({ family: 6, bytes: endpoint.address.slice(0, 16) });
  for (let i = 0; i < text.length; i++) out[at + i] = text.charCodeAt(i);
  return at + text.length;
}
