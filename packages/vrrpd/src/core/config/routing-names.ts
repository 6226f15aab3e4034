import type { RoutingNames } from "./host.ts";

const FILES: Readonly<Record<RoutingNames, string>> = {
  tables: "rt_tables",
  protocols: "rt_protos",
  realms: "rt_realms",
  scopes: "rt_scopes",
  groups: "group",
  dsfield: "rt_dsfield",
};

/** Where iproute2 keeps its own names. */
export const IPROUTE_USR = ["/usr/lib/iproute2", "/usr/share/iproute2"];
/** Where the host's are, which count more. */
export const IPROUTE_ETC = "/etc/iproute2";

/** Numbers of iproute2's names, from these folders; a later one counts more. Each file is read once. */
export function routingNumbers(
  readFile: (path: string) => string | undefined,
  folders: readonly string[],
): (table: RoutingNames, name: string) => number | undefined {
  const known = new Map<RoutingNames, Map<string, number>>();
  return (table, name) => {
    let numbers = known.get(table);
    if (numbers === undefined) {
      numbers = new Map();
      for (const folder of folders) {
        for (const line of (readFile(`${folder}/${FILES[table]}`) ?? "").split("\n")) {
          const match = /^\s*(0x[0-9a-fA-F]+|\d+)\s+(\S+)/.exec(line);
          if (match?.[2] !== undefined) numbers.set(match[2], Number(match[1]));
        }
      }
      known.set(table, numbers);
    }
    return numbers.get(name);
  };
}
