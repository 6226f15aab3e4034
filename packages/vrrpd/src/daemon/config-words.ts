import { formatAddress, type Prefix } from "@ha/base";
import type {
  NotifyScript,
  VirtualAddress,
  VirtualRoute,
  VirtualRule,
} from "../core/config/model.ts";

/** An address as keepalived shows it: `192.168.1.100/24 dev eth0 scope global label eth0:1 set`. observed: 2.2.7 */
export function addressWords(address: VirtualAddress, device: string, set: boolean): string {
  const { family } = address.address;
  const whole = family === 4 ? 32 : 128;
  const words = [
    formatAddress(address.address) + (address.length === whole ? "" : `/${address.length}`),
    ...(address.peer === undefined ? [] : [`peer ${prefixWords(address.peer)}`]),
    ...(address.broadcast === undefined ? [] : [`brd ${formatAddress(address.broadcast)}`]),
    `dev ${address.dev ?? device}`,
    `scope ${SCOPES[address.scope] ?? address.scope}`,
    ...(address.label === undefined ? [] : [`label ${address.label}`]),
    ...(family === 6
      ? [`preferred_lft ${address.preferred_lft === undefined ? "forever" : address.preferred_lft}`]
      : []),
    ...(address.no_track ? ["no_track"] : []),
    ...(set ? ["set"] : []),
  ];
  return words.join(" ");
}

/** `10.9.0.0/24 via inet 192.168.1.3 dev eth0 proto 18`. observed: keepalived 2.2.7 */
export function routeWords(route: VirtualRoute): string {
  const { hop } = route;
  const words = [
    route.append ? "append" : "prepend",
    ...(route.type === "unicast" ? [] : [route.type]),
    prefixWords(route.to),
    ...(route.from === undefined ? [] : [`from ${prefixWords(route.from)}`]),
    ...(hop.via === undefined
      ? []
      : [`via ${hop.via.family === 4 ? "inet" : "inet6"} ${formatAddress(hop.via)}`]),
    ...(hop.dev === undefined ? [] : [`dev ${hop.dev}`]),
    ...(route.table === undefined ? [] : [`table ${route.table}`]),
    ...(route.src === undefined ? [] : [`src ${formatAddress(route.src)}`]),
    `proto ${route.protocol}`,
    ...(route.metric === undefined ? [] : [`metric ${route.metric}`]),
    ...route.nexthops.map(
      ({ via, dev, weight }) =>
        `nexthop${via === undefined ? "" : ` via ${formatAddress(via)}`}${dev === undefined ? "" : ` dev ${dev}`}${weight === undefined ? "" : ` weight ${weight}`}`,
    ),
  ];
  return words.join(" ");
}

/** `from 192.168.1.100 priority 700 tos 0x0 protocol 18 lookup 100`. observed: keepalived 2.2.7 */
export function ruleWords(rule: VirtualRule): string {
  const words = [
    ...(rule.not ? ["not"] : []),
    ...(rule.from === undefined ? [] : [`from ${prefixWords(rule.from)}`]),
    ...(rule.to === undefined ? [] : [`to ${prefixWords(rule.to)}`]),
    `priority ${rule.priority}`,
    ...(rule.fwmark === undefined ? [] : [`fwmark 0x${rule.fwmark.toString(16)}`]),
    `tos 0x${(rule.tos ?? 0).toString(16)}`,
    ...(rule.iif === undefined ? [] : [`iif ${rule.iif}`]),
    ...(rule.oif === undefined ? [] : [`oif ${rule.oif}`]),
    `protocol ${rule.protocol ?? 18}`,
    rule.action === "table"
      ? `lookup ${rule.table ?? 254}`
      : rule.action === "goto"
        ? `goto ${rule.goto ?? 0}`
        : rule.action,
  ];
  return words.join(" ");
}

/** A command with each word in quotes, as dumps show it. */
export function commandWords(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(" ");
}

export function scriptWords({ command }: NotifyScript): string {
  const [first = "", ...rest] = command.argv;
  return commandWords([command.path ?? first, ...rest]);
}

function prefixWords({ address, length }: Prefix): string {
  const whole = address.family === 4 ? 32 : 128;
  return formatAddress(address) + (length === whole ? "" : `/${length}`);
}

const SCOPES: Readonly<Record<number, string>> = {
  0: "global",
  200: "site",
  253: "link",
  254: "host",
  255: "nowhere",
};
