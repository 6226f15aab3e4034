import {
  type IpAddress,
  type Position,
  type Prefix,
  parseAddress,
  parseInteger,
  type Token,
} from "@ha/base";
import type { LineContext } from "./address-line.ts";

/** Thrown inside a line reader to give the line up; never leaves it. */
export class Dropped extends Error {
  readonly at: Position | undefined;
  readonly hint: string | undefined;
  constructor(message: string, at: Position | undefined, hint?: string) {
    super(message);
    this.at = at;
    this.hint = hint;
  }
}

/** A word that keepalived cannot do without: it stops reading the file there. */
export class Missing extends Error {
  readonly at: Position | undefined;
  constructor(word: string, at: Position | undefined) {
    super(`${word} lacks its value; keepalived stops reading here`);
    this.at = at;
  }
}

/**
 * `default`, `all`, `any` or an address with optional length. A length that is wrong is corrected to the full one,
 * with a complaint. Undefined when it is none.
 */
export function readPrefix(
  text: string,
  family: 4 | 6,
  { diagnostics }: LineContext,
  at: Position,
): Prefix | undefined {
  if (text === "default" || text === "all" || text === "any") {
    const bytes = new Uint8Array(family === 4 ? 4 : 16);
    return { address: { family, bytes }, length: 0 };
  }
  const [written = "", lengthText] = text.split(/\/(.*)/s);
  const address = parseAddress(written);
  if (address === undefined) return undefined;
  const full = address.family === 4 ? 32 : 128;
  if (lengthText === undefined || lengthText === "") return { address, length: full };
  const length = parseInteger(lengthText);
  if (length !== undefined && length >= 0 && length <= full) return { address, length };
  diagnostics.warning(
    "config/corrected",
    at,
    `'/${lengthText}' is not a prefix length from 0 to ${full}; goes on with /${full}`,
  );
  return { address, length: full };
}

/**
 * `inet` or `inet6` before another word: keepalived takes that word for a part of it, so that the destination is missing or a
 * condition lost. Here it means what `ip` means. observed: keepalived 2.2.7
 */
export function warnOfFamily({ text, at }: Token, { diagnostics }: LineContext): void {
  diagnostics.warning(
    "config/corrected",
    at,
    `keepalived swallows the word after ${text}`,
    "leave it out: the addresses say the family",
  );
}

/** Decimal, octal or hexadecimal, as strtoul(3) with base 0. */
export function parseNumber(text: string, max: number): number | undefined {
  const value = /^0[xX][0-9a-fA-F]+$/.test(text)
    ? Number(text)
    : /^0[0-7]+$/.test(text)
      ? Number.parseInt(text, 8)
      : /^\+?\d{1,15}$/.test(text)
        ? Number(text)
        : undefined;
  return value !== undefined && value <= max ? value : undefined;
}

/** `[from/]to`, numbers or names of rt_realms, in the kernel's 32 bits. */
export function readRealms(text: string, { host }: LineContext): number | undefined {
  const parts = text.split("/");
  if (parts.length > 2) return undefined;
  const numbers = parts.map(
    (part) => parseNumber(part, 0xffff) ?? host.routingNumber("realms", part),
  );
  const [first, second] = numbers;
  if (first === undefined || (parts.length === 2 && second === undefined)) return undefined;
  return parts.length === 1 ? first : first * 0x10000 + (second ?? 0);
}

export function readTable(text: string, { host }: LineContext): number | undefined {
  const named: Readonly<Record<string, number>> = { local: 255, main: 254, default: 253 };
  if (Object.hasOwn(named, text)) return named[text];
  return parseNumber(text, 0xffff_ffff) ?? host.routingNumber("tables", text);
}

export function readProtocol(text: string, { host }: LineContext): number | undefined {
  return parseNumber(text, 255) ?? PROTOCOLS[text] ?? host.routingNumber("protocols", text);
}

/** Of linux/rtnetlink.h, which rt_protos repeats. */
const PROTOCOLS: Readonly<Record<string, number>> = {
  redirect: 1,
  kernel: 2,
  boot: 3,
  static: 4,
  gated: 8,
  ra: 9,
  mrt: 10,
  zebra: 11,
  bird: 12,
  dnrouted: 13,
  xorp: 14,
  ntk: 15,
  dhcp: 16,
  mrouted: 17,
  keepalived: 18,
  babel: 42,
  bgp: 186,
  isis: 187,
  ospf: 188,
  rip: 189,
  eigrp: 192,
};

export const KEEPALIVED_PROTOCOL = 18;

export function familyOf(
  ...addresses: readonly (IpAddress | undefined)[]
): 4 | 6 | "mixed" | undefined {
  let family: 4 | 6 | undefined;
  for (const address of addresses) {
    if (address === undefined) continue;
    if (family !== undefined && address.family !== family) return "mixed";
    family = address.family;
  }
  return family;
}
