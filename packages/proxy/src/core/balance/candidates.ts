import { canTake, type Servers } from "../server/servers.ts";

/**
 * The servers that may be chosen now: active ones that are up and have weight; when there are none, the first
 * backup server, or with `option allbackups` all of them. HAProxy configuration manual §4.2, option allbackups.
 */
export function candidates(servers: Servers, allBackups: boolean): number[] {
  const able: number[] = [];
  for (let server = 0; server < servers.count; server++)
    if (canTake(servers, server)) able.push(server);
  const active = able.filter((server) => servers.backup[server] === 0);
  if (active.length > 0) return active;
  return allBackups ? able : able.slice(0, 1);
}

/** Gives what `build` made of the servers, made anew only when their version changed. For one thread. */
export function derived<T>(servers: Servers, build: () => T): () => T {
  let version = Number.NaN;
  let value: T | undefined;
  return () => {
    const now = Atomics.load(servers.version, 0);
    if (value === undefined || now !== version) {
      version = now;
      value = build();
    }
    return value;
  };
}
