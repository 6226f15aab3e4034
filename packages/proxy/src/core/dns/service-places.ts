import { formatAddress, type IpAddress } from "@ha/base";
import type { DnsRecord } from "./dns-message.ts";

/** Where a server is, as an answer says: of a service (SRV) with port and weight, of a name with its address alone. */
export interface Place {
  readonly address: IpAddress;
  /** Undefined: the port that the server's line has. */
  readonly port: number | undefined;
  /** 0–255, a 256th of the record's (observed: haproxy 2.6.12); undefined: the weight that the line has. */
  readonly weight: number | undefined;
  /** Host name of a service's target. */
  readonly host: string | undefined;
}

/** What of a server's line says which addresses it wants. */
export interface PlacePreference {
  readonly prefer: "ipv4" | "ipv6";
  readonly allowDuplicates: boolean;
  readonly ignoreWeight: boolean;
  /** Whether an address is in one of `resolve-net`. */
  isPreferred(address: IpAddress): boolean;
}

/** The places that a service's records name, each with the addresses that came beside them. RFC 2782; HAProxy configuration manual §5.3 */
export function placesOfService(records: readonly DnsRecord[]): Place[] {
  return records.flatMap((record): Place[] => {
    if (record.type !== "service") return [];
    const { target, port, weight } = record;
    const found = records.find((other) => other.type === "address" && other.name === target);
    if (found?.type !== "address") return [];
    return [{ address: found.address, port, weight: weight >> 8, host: target }];
  });
}

/** The addresses of a name. */
export function placesOfName(records: readonly DnsRecord[]): Place[] {
  return records.flatMap((record): Place[] =>
    record.type === "address"
      ? [{ address: record.address, port: undefined, weight: undefined, host: undefined }]
      : [],
  );
}

/**
 * Shares places out among the servers that wait for one name, and disturbs none whose place is still there: each keeps
 * its own; those without take what is left, wanted networks first, then the wanted family. Undefined: none is left.
 *
 * @param current Place of each server, as `keyOf` has it; undefined where it has none.
 */
export function shareOut(
  places: readonly Place[],
  current: readonly (string | undefined)[],
  { prefer, allowDuplicates, isPreferred }: PlacePreference,
): (Place | undefined)[] {
  const family = prefer === "ipv4" ? 4 : 6;
  const rank = ({ address }: Place): number =>
    (isPreferred(address) ? 0 : 2) + (address.family === family ? 0 : 1);
  const ordered = [...places].sort((a, b) => rank(a) - rank(b));
  const free = new Map<string, Place>();
  for (const place of ordered) if (!free.has(keyOf(place))) free.set(keyOf(place), place);
  const all = [...free.values()];
  const given = current.map((key): Place | undefined => {
    const place = key === undefined ? undefined : free.get(key);
    if (key !== undefined && !allowDuplicates) free.delete(key);
    return place;
  });
  return given.map((place) => {
    if (place !== undefined) return place;
    if (allowDuplicates) return all[0];
    const [next] = free;
    if (next === undefined) return undefined;
    free.delete(next[0]);
    return next[1];
  });
}

/** Tells places apart. */
export function keyOf({ address, port }: Pick<Place, "address" | "port">): string {
  return `${formatAddress(address)} ${port ?? ""}`;
}
