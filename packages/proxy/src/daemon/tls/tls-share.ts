/**
 * What the first thread has made of the configuration's certificates, as the numbers by which every thread of the
 * process knows them. Contexts and sets stand in native memory: what is replaced there at run time holds for all.
 */
export interface TlsShare {
  /** `TlsContextSet.id` of each `bind … ssl`, by `placeKey(frontend's number, bind's number)`. */
  readonly binds: ReadonlyMap<string, number>;
  /** Client context of each `server … ssl`, by `placeKey(proxy's number, server's number)`. */
  readonly servers: Map<string, number>;
}

export const NO_TLS: TlsShare = { binds: new Map(), servers: new Map() };

/** `proxy` is the number in `numberProxies`, `place` that of the bind or server within it. */
export function placeKey(proxy: number, place: number): string {
  return `${proxy}/${place}`;
}
