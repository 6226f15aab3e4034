import { type IpAddress, parseAddress } from "@ha/base";
import type { RouteEncap } from "./model.ts";
import { parseNumber } from "./route-words.ts";

/** Words that may follow `encap ip` and `encap ip6`, each with a value. ip-route(8) */
export const ENCAP_WORDS: ReadonlySet<string> = new Set([
  "id",
  "dst",
  "src",
  "tos",
  "ttl",
  "tc",
  "hoplimit",
  "flags",
]);

/** `encap ip` or `encap ip6` with its options; what is wrong in words otherwise. */
export function readIpEncap(
  type: "ip" | "ip6",
  options: ReadonlyMap<string, string>,
): RouteEncap | string {
  const id = options.get("id");
  if (id === undefined && !options.has("dst")) return `encap ${type} needs id or dst`;
  if (id !== undefined && !/^(0x[0-9a-fA-F]{1,16}|\d{1,19})$/.test(id)) {
    return `'${id}' is not the id of a tunnel`;
  }
  const ends: { destination?: IpAddress; source?: IpAddress } = {};
  for (const [word, key] of [
    ["dst", "destination"],
    ["src", "source"],
  ] as const) {
    const text = options.get(word);
    if (text === undefined) continue;
    const address = parseAddress(text);
    if (address?.family !== (type === "ip" ? 4 : 6)) {
      return `'${text}' is not an IPv${type === "ip" ? 4 : 6} address`;
    }
    ends[key] = address;
  }
  const numbers: { ttl?: number; tos?: number; flags?: number } = {};
  for (const [word, key, max] of [
    ["ttl", "ttl", 255],
    ["hoplimit", "ttl", 255],
    ["tos", "tos", 255],
    ["tc", "tos", 255],
    ["flags", "flags", 0xffff],
  ] as const) {
    const text = options.get(word);
    if (text === undefined) continue;
    const value = parseNumber(text, max);
    if (value === undefined) return `${word} must be a number from 0 to ${max}`;
    numbers[key] = value;
  }
  return { type, ...(id === undefined ? {} : { id: BigInt(id) }), ...ends, ...numbers };
}

/** `encap mpls 100/200`. */
export function readMplsEncap(text: string): RouteEncap | string {
  const labels = text.split("/").map((part) => parseNumber(part, 0xf_ffff));
  const known = labels.filter((label) => label !== undefined);
  return known.length === labels.length
    ? { type: "mpls", labels: known }
    : `'${text}' is no stack of MPLS labels (0 to 1048575, with / between them)`;
}

/** `encap ila 2001:db8:1:2`. */
export function readIlaEncap(text: string): RouteEncap | string {
  if (!/^[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){3}$/.test(text)) {
    return `'${text}' is no ILA locator (four groups of hexadecimal digits)`;
  }
  const hex = text
    .split(":")
    .map((group) => group.padStart(4, "0"))
    .join("");
  return { type: "ila", locator: BigInt(`0x${hex}`) };
}
