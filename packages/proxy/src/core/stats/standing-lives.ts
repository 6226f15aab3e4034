import { type Micros, micros } from "@ha/base";
import { NOT_CHECKED } from "../check/check-status.ts";
import type { Server } from "../config/server-model.ts";
import { initialHealth } from "../server/health.ts";
import type { HealthSettings } from "../server/health-model.ts";
import type { ProxyState } from "../server/proxy-state.ts";
import type { BackendLife, ServerLife, ServerLives } from "./server-life.ts";

/** What the health machine needs of a server's line. */
export function healthSettings(server: Server): HealthSettings {
  const { health } = server;
  return {
    rise: health.rise,
    fall: health.fall,
    inter: health.inter,
    fastinter: health.fastinter,
    downinter: health.downinter,
    observe: health.observe,
    errorLimit: health.errorLimit,
    onError: health.onError,
    onMarkedDown: health.onMarkedDown,
    onMarkedUp: health.onMarkedUp,
    initState: health.initState,
    slowstart: server.slowstart,
    checked: server.check !== undefined,
    agent: server.agent !== undefined,
    agentRise: 1,
    agentFall: 1,
    disabled: server.disabled,
    initialWeight: server.weight,
  };
}

/** A server's life before anything happened to it. */
export function firstLife(server: Server, backend: string, at: Micros): ServerLife {
  const settings = healthSettings(server);
  const { track } = server;
  return {
    state: initialHealth(settings, at),
    settings,
    check: settings.checked ? NOT_CHECKED : undefined,
    agent: settings.agent ? NOT_CHECKED : undefined,
    address: server.address,
    checkPort: 0,
    tracks: track === undefined ? undefined : `${track.backend ?? backend}/${track.server}`,
  };
}

/** Lives of a process as it starts. */
export function standingLives(proxies: readonly ProxyState[], at: Micros): ServerLives {
  const lives = proxies.map(({ backend }) =>
    (backend?.servers ?? []).map((server) => firstLife(server, backend?.name ?? "", at)),
  );
  const backend: BackendLife = {
    changedAt: at,
    timesDown: 0,
    downtime: micros(0),
    isDown: false,
  };
  return {
    server: (proxy, server) => {
      const life = lives[proxy]?.[server];
      if (life === undefined) throw new RangeError(`no server ${proxy}/${server}`);
      return life;
    },
    backend: () => backend,
  };
}
