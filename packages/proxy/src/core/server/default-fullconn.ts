import type { ProxyState } from "./proxy-state.ts";
import { BACKEND_FULLCONN } from "./servers.ts";

/**
 * A backend without `fullconn` has a tenth of what the frontends together may send it. HAProxy configuration manual
 * §4.2, fullconn; observed: haproxy 2.6.12.
 *
 * @param maxconn Of the process: the limit of a frontend that has none.
 */
export function setDefaultFullconns(proxies: readonly ProxyState[], maxconn: number): void {
  for (const { backend, servers } of proxies) {
    if (backend === undefined || backend.fullconn !== undefined) continue;
    let sum = 0;
    for (const { frontend } of proxies) {
      if (frontend === undefined || !reaches(frontend, backend.name)) continue;
      sum += frontend.maxconn ?? maxconn;
    }
    if (sum > 0) servers.backend[BACKEND_FULLCONN] = Math.floor((sum + 9) / 10);
  }
}

function reaches(
  { name, defaultBackend, rules }: NonNullable<ProxyState["frontend"]>,
  backend: string,
): boolean {
  if (name === backend || defaultBackend?.name === backend) return true;
  return rules.use_backend.some(({ words }) => {
    const target = words[0]?.text ?? "";
    return target === backend || target.includes("%");
  });
}
