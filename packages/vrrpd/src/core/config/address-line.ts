import {
  type Diagnostics,
  type IpAddress,
  parseAddress,
  parseInteger,
  type Statement,
} from "@ha/base";
import type { ConfigHost } from "./host.ts";
import type { VirtualAddress } from "./model.ts";
import { isInterfaceName } from "./schemas.ts";
import { Words } from "./words.ts";

export interface LineContext {
  readonly host: ConfigHost;
  readonly diagnostics: Diagnostics;
  /** Takes the name of an interface that must exist, and where it is written. */
  readonly needInterface: (name: string, at: Statement["words"][0]["at"], what: string) => void;
  /** Static entries know `track_group`. */
  readonly fixed: boolean;
}

/**
 * One line of `virtual_ipaddress` and its kin, the words of `ip address add`. Undefined when the address is dropped:
 * a wrong address, or a word without its value; a word that is not known is left out alone.
 * keepalived.conf(5), virtual_ipaddress; observed: keepalived 2.2.7
 */
export function readAddressLine(
  { words: line }: Statement,
  context: LineContext,
): VirtualAddress | undefined {
  const { diagnostics } = context;
  const [first] = line;
  const drop = (message: string, at = first.at): undefined => {
    diagnostics.error("config/bad-address", at, `${message}; the address is ignored`);
    return undefined;
  };
  const slash = first.text.indexOf("/");
  const written = slash === -1 ? first.text : first.text.slice(0, slash);
  const address = parseAddress(written);
  if (address === undefined) return drop(`'${first.text}' is not an IP address`);
  const full = address.family === 4 ? 32 : 128;
  const length = prefixLength(first.text, slash, full, context, first.at);

  const read: Writable = {};
  const words = new Words(line.slice(1));
  for (let word = words.take(); word !== undefined; word = words.take()) {
    const { text, at } = word;
    if (FLAGS.has(text)) {
      read[FLAG_KEYS[text] ?? "home"] = true;
      continue;
    }
    if (!VALUES.has(text) || (text === "track_group" && !context.fixed)) {
      unknown(text, at);
      continue;
    }
    const value = words.take();
    if (value === undefined) return drop(`${text} lacks its value`, at);
    const problem = setValue(read, text, value.text, { address, context, at: value.at });
    if (problem !== undefined) return drop(problem, value.at);
  }
  function unknown(text: string, at: typeof first.at): void {
    diagnostics.error("config/unknown-word", at, `'${text}' is not a word of an address line`);
  }

  if (read.peer !== undefined && slash !== -1) {
    diagnostics.warning(
      "config/corrected",
      first.at,
      "the prefix length is ignored, since a peer is given",
    );
  }
  const host = address.family === 6 && length === full;
  return {
    address,
    length: read.peer === undefined ? length : full,
    ...(read.dev === undefined ? {} : { dev: read.dev }),
    ...broadcastOf(read, address, length),
    scope: read.scope ?? 0,
    ...(read.label === undefined ? {} : { label: read.label }),
    ...(read.peer === undefined ? {} : { peer: { address: read.peer, length: full } }),
    home: read.home ?? false,
    nodad: address.family === 6,
    mngtmpaddr: read.mngtmpaddr ?? false,
    noprefixroute: read.noprefixroute ?? false,
    autojoin: read.autojoin ?? false,
    no_track: read.no_track ?? false,
    use_vmac: read.use_vmac ?? false,
    ...preferred(read.preferred_lft, host),
    ...(read.track_group === undefined ? {} : { track_group: read.track_group }),
    at: first.at,
  };
}

interface Writable {
  dev?: string;
  brd?: IpAddress | "+" | "-";
  scope?: number;
  label?: string;
  peer?: IpAddress;
  preferred_lft?: number | "forever";
  track_group?: string;
  home?: boolean;
  nodad?: boolean;
  mngtmpaddr?: boolean;
  noprefixroute?: boolean;
  autojoin?: boolean;
  no_track?: boolean;
  use_vmac?: boolean;
}

const FLAG_KEYS: Readonly<
  Record<
    string,
    "home" | "nodad" | "mngtmpaddr" | "noprefixroute" | "autojoin" | "no_track" | "use_vmac"
  >
> = {
  home: "home",
  "-nodad": "nodad",
  mngtmpaddr: "mngtmpaddr",
  noprefixroute: "noprefixroute",
  autojoin: "autojoin",
  no_track: "no_track",
  use_vmac: "use_vmac",
};
const FLAGS = new Set(Object.keys(FLAG_KEYS));
const VALUES = new Set([
  "dev",
  "brd",
  "broadcast",
  "scope",
  "label",
  "peer",
  "preferred_lft",
  "track_group",
]);

/** Stores the value; says what is wrong when that costs the whole address. */
function setValue(
  read: Writable,
  word: string,
  value: string,
  {
    address,
    context,
    at,
  }: { address: IpAddress; context: LineContext; at: Statement["words"][0]["at"] },
): string | undefined {
  const { diagnostics, host } = context;
  const complain = (message: string): undefined => {
    diagnostics.error("config/bad-value", at, message);
    return undefined;
  };
  switch (word) {
    case "dev":
      if (read.dev !== undefined) return "dev is written twice";
      if (!isInterfaceName(value)) complain(`'${value}' cannot be the name of an interface`);
      read.dev = value;
      context.needInterface(value, at, "address");
      return undefined;
    case "brd":
    case "broadcast": {
      if (address.family === 6) return "an IPv6 address has no broadcast";
      if (value === "+" || value === "-") {
        read.brd = value;
        return undefined;
      }
      const found = parseAddress(value);
      if (found?.family !== 4) return `'${value}' is not a broadcast address`;
      read.brd = found;
      return undefined;
    }
    case "scope": {
      const scope = parseScope(value, host);
      if (scope === undefined) return complain(`'${value}' is not a scope`);
      if (address.family === 6) return complain("an IPv6 address takes no scope");
      read.scope = scope;
      return undefined;
    }
    case "label":
      if (address.family === 6) return complain("an IPv6 address takes no label");
      if (value.length > 15) return `the label '${value}' is longer than 15 characters`;
      read.label = value;
      return undefined;
    case "peer": {
      const found = parseAddress(value);
      if (found === undefined)
        return complain(`'${value}' is not an address (of a peer, without /length)`);
      if (found.family !== address.family) {
        return complain("the peer must be of the family of the address");
      }
      read.peer = found;
      return undefined;
    }
    case "preferred_lft": {
      const number = parseInteger(value);
      if (value === "forever") read.preferred_lft = "forever";
      else if (number === undefined || number < 0 || number > 4_294_967_295) {
        return complain("preferred_lft must be a number of seconds or forever");
      } else read.preferred_lft = number;
      return undefined;
    }
    default:
      read.track_group = value;
      return undefined;
  }
}

const SCOPES: Readonly<Record<string, number>> = {
  global: 0,
  site: 200,
  link: 253,
  host: 254,
  nowhere: 255,
};

/** A name of rt_scopes or a number. */
export function parseScope(text: string, host: ConfigHost): number | undefined {
  if (Object.hasOwn(SCOPES, text)) return SCOPES[text];
  return byteOf(text) ?? host.routingNumber("scopes", text);
}

function byteOf(text: string): number | undefined {
  const number = parseInteger(text);
  return number !== undefined && number >= 0 && number <= 255 ? number : undefined;
}

function prefixLength(
  text: string,
  slash: number,
  full: number,
  { diagnostics }: LineContext,
  at: Statement["words"][0]["at"],
): number {
  if (slash === -1 || slash === text.length - 1) return full;
  const written = text.slice(slash + 1);
  const length = parseInteger(written);
  if (length !== undefined && length >= 0 && length <= full) return length;
  diagnostics.warning(
    "config/corrected",
    at,
    `'/${written}' is not a prefix length from 0 to ${full}; goes on with /${full}`,
  );
  return full;
}

function broadcastOf(
  { brd }: Writable,
  address: IpAddress,
  length: number,
): { broadcast: IpAddress } | Record<never, never> {
  if (brd === undefined) return {};
  if (typeof brd !== "string") return { broadcast: brd };
  const bytes = address.bytes.map((byte, i) => {
    const hostBits = Math.min(8, Math.max(0, (i + 1) * 8 - length));
    const mask = (1 << hostBits) - 1;
    return brd === "+" ? byte | mask : byte & ~mask;
  });
  return { broadcast: { family: 4, bytes } };
}

function preferred(
  written: number | "forever" | undefined,
  host: boolean,
): { preferred_lft: number } | Record<never, never> {
  if (written === "forever") return {};
  if (written !== undefined) return { preferred_lft: written };
  return host ? { preferred_lft: 0 } : {};
}
