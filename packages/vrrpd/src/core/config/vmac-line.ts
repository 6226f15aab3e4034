import {
  type IpAddress,
  type Prefix,
  parseAddress,
  parseInteger,
  parseMac,
  type Token,
} from "@ha/base";
import type { BuildContext } from "./build-context.ts";
import type { Ipvlan, Vmac } from "./model.ts";
import { isInterfaceName } from "./schemas.ts";
import { Words } from "./words.ts";

export interface WrittenVmac {
  readonly name?: Token;
  readonly mac?: Uint8Array;
  readonly macAt?: Token;
  readonly netlink_notify_msg: boolean;
  readonly group?: number;
}

/** The words after `use_vmac`. Wrong ones are complained about and left out. keepalived.conf(5), use_vmac */
export function readVmac(
  args: readonly Token[],
  context: BuildContext,
  { instance, vrid }: { readonly instance: string; readonly vrid: number },
): WrittenVmac {
  const { diagnostics, vmacNames } = context;
  const words = new Words(args);
  const read: { name?: Token; mac?: Uint8Array; macAt?: Token; group?: number } = {};
  let notify = false;
  for (let word = words.take(); word !== undefined; word = words.take()) {
    if (word.text === "netlink_notify_msg") notify = true;
    else if (word.text === "group") {
      const group = readGroup(words.take(), word, context);
      if (group !== undefined) read.group = group;
    } else if (/^[0-9a-fA-F]{1,2}(:[0-9a-fA-F]{1,2}){4,5}$/.test(word.text)) {
      const full =
        word.text.split(":").length === 6 ? word.text : `${word.text}:${vrid.toString(16)}`;
      const mac = parseMac(full);
      if (mac === undefined || ((mac[0] ?? 0) & 1) !== 0) {
        diagnostics.error(
          "config/bad-value",
          word.at,
          `${word.text} is a multicast MAC; it is ignored`,
        );
      } else {
        read.mac = mac;
        read.macAt = word;
      }
    } else {
      const token = word.text === "name" ? (words.take() ?? word) : word;
      if (read.name !== undefined) {
        diagnostics.error(
          "config/bad-value",
          token.at,
          `'${token.text}' is neither a MAC nor the name, which is ${read.name.text}`,
          "write: use_vmac [[name] <interface>] [<MAC>] [netlink_notify_msg] [group <n>]",
        );
      } else if (!isInterfaceName(token.text) || token.text.includes(":")) {
        diagnostics.error(
          "config/bad-value",
          token.at,
          `'${token.text}' cannot be the name of a macvlan (at most 15 characters)`,
        );
      } else if (isTaken(token.text, context)) {
        diagnostics.error(
          "config/bad-value",
          token.at,
          `interface ${token.text} exists and is no virtual MAC; the name is ignored`,
        );
      } else if (vmacNames.has(token.text)) {
        diagnostics.error(
          "config/duplicate",
          token.at,
          `(${vmacNames.get(token.text)}) already uses the macvlan ${token.text}; the name is ignored`,
        );
      } else {
        vmacNames.set(token.text, instance);
        read.name = token;
      }
    }
  }
  return { ...read, netlink_notify_msg: notify };
}

/** The words after `use_ipvlan`. keepalived.conf(5), use_ipvlan */
export function readIpvlan(
  args: readonly Token[],
  context: BuildContext,
): {
  readonly name?: string;
  readonly address?: Prefix;
  readonly mode: Ipvlan["mode"];
  readonly group?: number;
} {
  const { diagnostics } = context;
  const words = new Words(args);
  const read: { name?: string; address?: Prefix; group?: number } = {};
  let mode: Ipvlan["mode"] | undefined;
  const again = (word: Token, what: string): void => {
    diagnostics.error(
      "config/bad-value",
      word.at,
      `the ${what} is given already; '${word.text}' is ignored`,
    );
  };
  for (let word = words.take(); word !== undefined; word = words.take()) {
    const { text } = word;
    if (text === "bridge" || text === "private" || text === "vepa") {
      if (mode !== undefined) again(word, "mode");
      else mode = text;
      continue;
    }
    if (text === "group") {
      const group = readGroup(words.take(), word, context);
      if (group !== undefined) read.group = group;
      continue;
    }
    const address = readAddress(text);
    if (address !== undefined) {
      if (read.address !== undefined) again(word, "address");
      else read.address = address;
      continue;
    }
    const token = text === "name" ? (words.take() ?? word) : word;
    if (read.name !== undefined) again(token, "name");
    else if (!isInterfaceName(token.text)) {
      diagnostics.error(
        "config/bad-value",
        token.at,
        `'${token.text}' cannot be the name of an ipvlan`,
      );
    } else read.name = token.text;
  }
  return { ...read, mode: mode ?? "bridge" };
}

/** 00:00:5e:00:01:VRID, 02 in place of 01 for IPv6. RFC 9568 §7.3 */
export function virtualMac(family: 4 | 6, vrid: number): Uint8Array {
  return Uint8Array.of(0x00, 0x00, 0x5e, 0x00, family === 4 ? 0x01 : 0x02, vrid);
}

/** keepalived's names: vrrp.51, vrrp6.51. */
export function defaultVmacName(prefix: string, family: 4 | 6, vrid: number): string {
  return `${prefix}${family === 4 ? "" : "6"}.${vrid}`.slice(0, 15);
}

export function finishVmac(
  written: WrittenVmac,
  prefix: string,
  router: { readonly family: 4 | 6; readonly vrid: number },
): Vmac {
  return {
    name: written.name?.text ?? defaultVmacName(prefix, router.family, router.vrid),
    mac: written.mac ?? virtualMac(router.family, router.vrid),
    netlink_notify_msg: written.netlink_notify_msg,
    ...(written.group === undefined ? {} : { group: written.group }),
  };
}

/** An interface has the name that is no macvlan of a former run. */
export function isTaken(name: string, { host }: BuildContext): boolean {
  if (!host.checksWorld) return false;
  const found = host.findInterface(name);
  return found !== undefined && found.virtualMac === false;
}

function readGroup(
  value: Token | undefined,
  word: Token,
  context: BuildContext,
): number | undefined {
  const number = value === undefined ? undefined : parseInteger(value.text);
  const group =
    number !== undefined && number >= 0
      ? number
      : value === undefined
        ? undefined
        : context.host.routingNumber("groups", value.text);
  if (group === undefined) {
    context.diagnostics.error(
      "config/bad-value",
      (value ?? word).at,
      "group needs a number or a name",
    );
  }
  return group;
}

function readAddress(text: string): Prefix | undefined {
  const [written = "", lengthText] = text.split("/");
  const address: IpAddress | undefined = parseAddress(written);
  if (address === undefined) return undefined;
  const full = address.family === 4 ? 32 : 128;
  const length = lengthText === undefined ? full : parseInteger(lengthText);
  if (length === undefined || length < 0 || length > full) return undefined;
  return { address, length };
}
