import { type IpAddress, parseAddress } from "@ha/base";
import { compileRegex, type Regex } from "../condition/regex.ts";
import {
  ADDR,
  ANY,
  BIN,
  type DeclaredType,
  encodeText,
  IPV4,
  type Sample,
  SINT,
  STR,
} from "../sample/sample.ts";
import { fold, foldByte } from "./fold.ts";
import { PrefixTrie } from "./prefix-trie.ts";
import { TrieIndex } from "./trie-index.ts";

/** How patterns are compared. HAProxy configuration manual §7.1.1–§7.1.6. */
export type MatchMethod =
  | "found"
  | "bool"
  | "int"
  | "ip"
  | "bin"
  | "len"
  | "str"
  | "beg"
  | "sub"
  | "reg"
  | "end"
  | "dir"
  | "dom";

export const MATCH_METHODS: readonly MatchMethod[] = [
  "found",
  "bool",
  "int",
  "ip",
  "bin",
  "len",
  "str",
  "beg",
  "sub",
  "reg",
  "end",
  "dir",
  "dom",
];

/** What the sample is cast to before it is compared. */
export const MATCH_TYPES: Readonly<Record<MatchMethod, DeclaredType>> = {
  found: ANY,
  bool: SINT,
  int: SINT,
  ip: ADDR,
  bin: BIN,
  len: STR,
  str: STR,
  beg: STR,
  sub: STR,
  reg: STR,
  end: STR,
  dir: STR,
  dom: STR,
};

/**
 * Patterns of one method, made ready for matching. Numbers are the caller's; the lowest number (the first in the
 * file) wins, except that `ip` and `beg` prefer the longest. HAProxy's order.
 */
export interface PatternIndex {
  readonly method: MatchMethod;
  /** Takes a pattern in; text of what is wrong with it, else undefined. */
  add(pattern: string, number: number): string | undefined;
  remove(number: number): void;
  clear(): void;
  /** Number of the pattern that the sample (of the method's type) matches, or -1. */
  find(sample: Sample): number;
}

export function createPatternIndex(method: MatchMethod, ignoreCase: boolean): PatternIndex {
  switch (method) {
    case "int":
    case "len":
    case "bool":
      return new RangeIndex(method);
    case "ip":
      return new AddressIndex();
    case "str":
    case "bin":
      return new ExactIndex(method, ignoreCase);
    case "beg":
    case "end":
    case "dir":
    case "dom":
      return new TrieIndex(method, ignoreCase);
    case "reg":
      return new RegexIndex(ignoreCase);
    case "sub":
      return new SubstringIndex(ignoreCase);
    default:
      return new FoundIndex();
  }
}

/** Bytes of a hexadecimal text with an even number of digits; undefined for anything else. */
export function parseHex(text: string): Uint8Array | undefined {
  if (text.length % 2 !== 0 || !/^[0-9A-Fa-f]*$/.test(text)) return undefined;
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) {
    bytes[i] = Number.parseInt(text.slice(2 * i, 2 * i + 2), 16);
  }
  return bytes;
}

/** An address with an optional prefix length or IPv4 mask. */
export function parsePrefix(text: string): { address: IpAddress; length: number } | undefined {
  const slash = text.indexOf("/");
  const address = parseAddress(slash === -1 ? text : text.slice(0, slash));
  if (address === undefined) return undefined;
  const bits = address.family === 4 ? 32 : 128;
  if (slash === -1) return { address, length: bits };
  const mask = text.slice(slash + 1);
  if (/^\d{1,3}$/.test(mask)) {
    const length = Number(mask);
    return length <= bits ? { address, length } : undefined;
  }
  const parsed = parseAddress(mask);
  if (parsed === undefined || parsed.family !== address.family) return undefined;
  let ones = 0;
  while (ones < bits && ((parsed.bytes[ones >> 3] as number) >> (7 - (ones & 7))) & 1) ones++;
  for (let bit = ones; bit < bits; bit++) {
    if (((parsed.bytes[bit >> 3] as number) >> (7 - (bit & 7))) & 1) return undefined;
  }
  return { address, length: ones };
}

/** `found`: no patterns; a sample is enough. */
class FoundIndex implements PatternIndex {
  readonly method = "found";
  add(): undefined {
    return undefined;
  }
  remove(): void {}
  clear(): void {}
  find(): number {
    return 0;
  }
}

class RangeIndex implements PatternIndex {
  readonly method: "int" | "len" | "bool";
  readonly #exact = new Map<number, number[]>();
  readonly #ranges: { low: number; high: number; number: number }[] = [];

  constructor(method: "int" | "len" | "bool") {
    this.method = method;
  }

  add(pattern: string, number: number): string | undefined {
    if (this.method === "bool") {
      const value = /^(?:true|yes|on|1)$/i.test(pattern)
        ? 1
        : /^(?:false|no|off|0)$/i.test(pattern)
          ? 0
          : undefined;
      if (value === undefined) return `'${pattern}' is not true or false`;
      this.#ranges.push(
        value === 1
          ? { low: 1, high: Number.POSITIVE_INFINITY, number }
          : { low: 0, high: 0, number },
      );
      return undefined;
    }
    const match = /^(-?\d+)?(:)?(-?\d+)?$/.exec(pattern);
    if (match === null || (match[1] === undefined && match[3] === undefined)) {
      return `'${pattern}' is not a number or a range such as 10:20, 10: or :20`;
    }
    if (match[2] === undefined) {
      const value = Number(match[1]);
      const there = this.#exact.get(value);
      if (there === undefined) this.#exact.set(value, [number]);
      else there.push(number);
      return undefined;
    }
    this.#ranges.push({
      low: match[1] === undefined ? Number.NEGATIVE_INFINITY : Number(match[1]),
      high: match[3] === undefined ? Number.POSITIVE_INFINITY : Number(match[3]),
      number,
    });
    return undefined;
  }

  remove(number: number): void {
    for (const [value, numbers] of this.#exact) {
      const at = numbers.indexOf(number);
      if (at === -1) continue;
      if (numbers.length === 1) this.#exact.delete(value);
      else numbers.splice(at, 1);
      return;
    }
    const at = this.#ranges.findIndex((range) => range.number === number);
    if (at !== -1) this.#ranges.splice(at, 1);
  }

  clear(): void {
    this.#exact.clear();
    this.#ranges.length = 0;
  }

  find(sample: Sample): number {
    const value = this.method === "len" ? sample.end - sample.start : sample.int;
    let best = this.#exact.get(value)?.[0] ?? -1;
    for (const { low, high, number } of this.#ranges) {
      if (value >= low && value <= high) {
        if (best === -1 || number < best) best = number;
        break;
      }
    }
    return best;
  }
}

class AddressIndex implements PatternIndex {
  readonly method = "ip";
  #four = new PrefixTrie();
  #six = new PrefixTrie();
  readonly #alive = new Set<number>();
  readonly #isAlive = (number: number): boolean => this.#alive.has(number);

  add(pattern: string, number: number): string | undefined {
    const prefix = parsePrefix(pattern);
    if (prefix === undefined) return `'${pattern}' is not an IPv4 or IPv6 address or network`;
    const { address, length } = prefix;
    (address.family === 4 ? this.#four : this.#six).insert(address.bytes, length, number);
    this.#alive.add(number);
    return undefined;
  }

  remove(number: number): void {
    this.#alive.delete(number);
  }

  clear(): void {
    this.#four = new PrefixTrie();
    this.#six = new PrefixTrie();
    this.#alive.clear();
  }

  /** An IPv4 address also matches IPv6 patterns in its mapped form, and the other way round. */
  find(sample: Sample): number {
    const { bytes, start, end } = sample;
    if (sample.type === IPV4) {
      const found = this.#four.find(bytes, start, end, this.#isAlive);
      if (found !== -1) return found;
      MAPPED.set(bytes.subarray(start, end), 12);
      return this.#six.find(MAPPED, 0, 16, this.#isAlive);
    }
    const found = this.#six.find(bytes, start, end, this.#isAlive);
    if (found !== -1 || !isMapped(bytes, start)) return found;
    return this.#four.find(bytes, start + 12, end, this.#isAlive);
  }
}

/** ::ffff:0.0.0.0, whose last four bytes are written anew for each use. */
const MAPPED = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 0, 0, 0, 0);

function isMapped(bytes: Uint8Array, start: number): boolean {
  for (let i = 0; i < 12; i++) if (bytes[start + i] !== MAPPED[i]) return false;
  return true;
}

interface StoredBytes {
  readonly bytes: Uint8Array;
  readonly number: number;
}

class ExactIndex implements PatternIndex {
  readonly method: "str" | "bin";
  readonly #fold: boolean;
  readonly #byHash = new Map<number, StoredBytes[]>();
  readonly #byNumber = new Map<number, number>();

  constructor(method: "str" | "bin", ignoreCase: boolean) {
    this.method = method;
    this.#fold = ignoreCase;
  }

  add(pattern: string, number: number): string | undefined {
    const raw = this.method === "bin" ? parseHex(pattern) : encodeText(pattern);
    if (raw === undefined) return `'${pattern}' is not an even number of hexadecimal digits`;
    const bytes = this.#fold ? fold(raw) : raw;
    const hash = this.#hash(bytes, 0, bytes.length);
    const there = this.#byHash.get(hash);
    if (there === undefined) this.#byHash.set(hash, [{ bytes, number }]);
    else there.push({ bytes, number });
    this.#byNumber.set(number, hash);
    return undefined;
  }

  remove(number: number): void {
    const hash = this.#byNumber.get(number);
    if (hash === undefined) return;
    this.#byNumber.delete(number);
    const left = (this.#byHash.get(hash) ?? []).filter((stored) => stored.number !== number);
    if (left.length === 0) this.#byHash.delete(hash);
    else this.#byHash.set(hash, left);
  }

  clear(): void {
    this.#byHash.clear();
    this.#byNumber.clear();
  }

  find({ bytes, start, end }: Sample): number {
    const candidates = this.#byHash.get(this.#hash(bytes, start, end));
    if (candidates === undefined) return -1;
    for (let i = 0; i < candidates.length; i++) {
      const stored = candidates[i] as StoredBytes;
      if (this.#equals(stored.bytes, bytes, start, end)) return stored.number;
    }
    return -1;
  }

  #hash(bytes: Uint8Array, start: number, end: number): number {
    let hash = 0;
    for (let at = start; at < end; at++) {
      const byte = bytes[at] as number;
      hash = (Math.imul(hash, 31) + (this.#fold ? foldByte(byte) : byte)) | 0;
    }
    return hash;
  }

  #equals(pattern: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start !== pattern.length) return false;
    for (let i = 0; i < pattern.length; i++) {
      const byte = bytes[start + i] as number;
      if ((this.#fold ? foldByte(byte) : byte) !== pattern[i]) return false;
    }
    return true;
  }
}

class RegexIndex implements PatternIndex {
  readonly method = "reg";
  readonly #ignoreCase: boolean;
  readonly #patterns: { regex: Regex; number: number }[] = [];

  constructor(ignoreCase: boolean) {
    this.#ignoreCase = ignoreCase;
  }

  add(pattern: string, number: number): string | undefined {
    const regex = compileRegex(pattern, this.#ignoreCase);
    if (typeof regex === "string") return `regular expression '${pattern}': ${regex}`;
    this.#patterns.push({ regex, number });
    return undefined;
  }

  remove(number: number): void {
    const at = this.#patterns.findIndex((pattern) => pattern.number === number);
    if (at !== -1) this.#patterns.splice(at, 1);
  }

  clear(): void {
    this.#patterns.length = 0;
  }

  find({ bytes, start, end }: Sample): number {
    for (const { regex, number } of this.#patterns)
      if (regex.test(bytes, start, end)) return number;
    return -1;
  }
}

class SubstringIndex implements PatternIndex {
  readonly method = "sub";
  readonly #fold: boolean;
  readonly #patterns: StoredBytes[] = [];

  constructor(ignoreCase: boolean) {
    this.#fold = ignoreCase;
  }

  add(pattern: string, number: number): undefined {
    const bytes = encodeText(pattern);
    this.#patterns.push({ bytes: this.#fold ? fold(bytes) : bytes, number });
    return undefined;
  }

  remove(number: number): void {
    const at = this.#patterns.findIndex((pattern) => pattern.number === number);
    if (at !== -1) this.#patterns.splice(at, 1);
  }

  clear(): void {
    this.#patterns.length = 0;
  }

  find({ bytes, start, end }: Sample): number {
    for (const { bytes: pattern, number } of this.#patterns) {
      const last = end - pattern.length;
      for (let from = start; from <= last; from++) {
        let i = 0;
        while (i < pattern.length) {
          const byte = bytes[from + i] as number;
          if ((this.#fold ? foldByte(byte) : byte) !== pattern[i]) break;
          i++;
        }
        if (i === pattern.length) return number;
      }
    }
    return -1;
  }
}
