import { formatSocketAddress } from "./address.ts";
import type { Config } from "./model.ts";
import type { Backend, Frontend } from "./proxy-model.ts";

/** What a reload from one configuration to another means, in names that an operator knows. All lists are sorted. */
export interface ReloadPlan {
  /** Listening sockets: kept ones are handed over, opened ones are bound anew, closed ones end with the old process. */
  readonly sockets: Change;
  /** `changed` also names proxies of which only a server changed. */
  readonly proxies: Change;
  /** `backend/server`. */
  readonly servers: Change;
  /** Names of global settings that differ. */
  readonly global: readonly string[];
  /** Nothing at all differs. */
  readonly isEmpty: boolean;
}

export interface Change {
  readonly added: readonly string[];
  readonly removed: readonly string[];
  readonly changed: readonly string[];
  readonly kept: readonly string[];
}

/** Compares two configurations by what they mean: where a line stands counts for nothing. */
export function planReload(before: Config, after: Config): ReloadPlan {
  const sockets = compare(socketsOf(before), socketsOf(after));
  const proxies = compare(proxiesOf(before), proxiesOf(after));
  const servers = compare(serversOf(before), serversOf(after));
  const global = changedKeys(before.global, after.global);
  const isEmpty =
    global.length === 0 &&
    [sockets, proxies, servers].every(
      ({ added, removed, changed }) => added.length + removed.length + changed.length === 0,
    );
  return { sockets, proxies, servers, global, isEmpty };
}

function socketsOf({ frontends, global }: Config): Map<string, string> {
  const binds = [
    ...frontends.filter(({ disabled }) => !disabled).flatMap(({ binds }) => binds),
    ...global.stats.sockets,
  ];
  return new Map(binds.map((bind) => [formatSocketAddress(bind.address), meaningOf(bind)]));
}

function proxiesOf({ frontends, backends }: Config): Map<string, string> {
  const all = new Set<Frontend | Backend>([...frontends, ...backends]);
  return new Map([...all].map((proxy) => [proxy.name, meaningOf(proxy)]));
}

function serversOf({ backends }: Config): Map<string, string> {
  return new Map(
    backends.flatMap(({ name, servers }) =>
      servers.map((server) => [`${name}/${server.name}`, meaningOf(server)] as const),
    ),
  );
}

function changedKeys(before: object, after: object): string[] {
  const [old, now] = [new Map(Object.entries(before)), new Map(Object.entries(after))];
  return [...new Set([...old.keys(), ...now.keys()])]
    .filter((key) => meaningOf(old.get(key)) !== meaningOf(now.get(key)))
    .sort();
}

function compare(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): Change {
  const both = [...after.keys()].filter((name) => before.has(name)).sort();
  return {
    added: [...after.keys()].filter((name) => !before.has(name)).sort(),
    removed: [...before.keys()].filter((name) => !after.has(name)).sort(),
    changed: both.filter((name) => before.get(name) !== after.get(name)),
    kept: both.filter((name) => before.get(name) === after.get(name)),
  };
}

/** Every place in a file is left out; maps, sets and bytes become lists. */
function meaningOf(value: unknown): string {
  return (
    JSON.stringify(value, (key, inner: unknown) => {
      if (PLACES.has(key)) return undefined;
      if (inner instanceof Map || inner instanceof Set) return [...inner];
      if (inner instanceof Uint8Array) return [...inner];
      return inner;
    }) ?? ""
  );
}

/** Keys that tell where something stood in the file, not what it means. */
const PLACES: ReadonlySet<string> = new Set([
  "at",
  "balanceAt",
  "checkRulesAt",
  "firstRuleAt",
  "finalAt",
  "logFormatSource",
]);
