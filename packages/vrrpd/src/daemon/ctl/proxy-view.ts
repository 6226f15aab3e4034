import type { ProxyReport } from "../proxy/proxy-report.ts";
import { age } from "./status-view.ts";
import type { Paint } from "./text-table.ts";

/** A line for each proxy: name, state, process, connections. */
export function proxyRows(
  proxies: readonly ProxyReport[],
  now: number,
  paint: Paint,
): readonly string[][] {
  return proxies.map(({ name, up, why, pid, since, restarts, heldSockets, status }) => [
    name,
    up ? paint.good("up") : paint.bad(why),
    pid === undefined ? "no process" : `pid ${pid}, ${age(now - (since ?? now))}`,
    restarts === 0 ? "" : `${restarts} restarts`,
    heldSockets === 0 ? "" : `${heldSockets} sockets held`,
    status === undefined ? "" : `${status.sessions} connections, ${status.requests} requests`,
  ]);
}

/** A line for each server of their backends. */
export function backendRows(proxies: readonly ProxyReport[], paint: Paint): readonly string[][] {
  const all = proxies.flatMap(({ name, status }) =>
    (status?.backends ?? []).flatMap((backend) =>
      backend.servers.map((server) => {
        const isUp = /^(UP|no check|DRAIN)/.test(server.status);
        return [
          `${name}/${backend.name}/${server.name}`,
          isUp ? paint.good(server.status) : paint.bad(server.status),
          `weight ${server.weight}`,
          `${server.sessions} connections`,
          server.check,
        ];
      }),
    ),
  );
  return all.length <= SHOWN ? all : [...all.slice(0, SHOWN), [`and ${all.length - SHOWN} more`]];
}

const SHOWN = 60;
