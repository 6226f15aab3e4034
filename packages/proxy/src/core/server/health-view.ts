import type { Micros } from "@ha/base";
import type { HealthSettings, ServerHealth } from "./health-model.ts";
import { bumpVersion, type Servers, WEIGHT_SCALE } from "./servers.ts";

/** Whether persistence and checks may use it: up and not in maintenance. */
export function isUsable(state: ServerHealth): boolean {
  return state.operational !== "stopped" && !inMaintenance(state);
}

export function inMaintenance(state: ServerHealth): boolean {
  return state.admin === "maint" || state.inheritedMaint;
}

export function isDraining(state: ServerHealth): boolean {
  return state.admin === "drain" || state.inheritedDrain || state.operational === "stopping";
}

/** What balancing uses, in 16ths of the user's weight; grows with slowstart from its first step. */
export function effectiveWeight(
  state: ServerHealth,
  settings: HealthSettings,
  now: Micros,
): number {
  if (isDraining(state)) return 0;
  const full = state.weight * WEIGHT_SCALE;
  if (state.operational !== "starting" || settings.slowstart <= 0) return full;
  const share = Math.min(1, Math.max(0, (now - state.changedAt) / settings.slowstart));
  return Math.max(state.weight > 0 ? 1 : 0, Math.floor(full * share));
}

/** Per mille of `maxconn` in force: slowstart holds it down as it does the weight. */
export function limitScale(state: ServerHealth, settings: HealthSettings, now: Micros): number {
  if (state.operational !== "starting" || settings.slowstart <= 0) return 1000;
  return Math.min(
    1000,
    Math.max(1, Math.floor((1000 * (now - state.changedAt)) / settings.slowstart)),
  );
}

/**
 * `show stat`'s word for the server: "UP", "UP 2/3" (going down), "DOWN", "DOWN 1/2" (going up), "NOLB", "NOLB 2/3", "DRAIN",
 * "MAINT", "MAINT (via …)" is the caller's, "no check". Observed: haproxy 2.6.
 */
export function statusText(state: ServerHealth, settings: HealthSettings): string {
  const { rise, fall } = settings;
  if (inMaintenance(state)) return "MAINT";
  if (!settings.checked && !settings.agent)
    return state.operational === "stopped" ? "DOWN" : isDraining(state) ? "DRAIN" : "no check";
  if (settings.agent && state.agentEnabled && state.agentHealth < settings.agentRise)
    return "DOWN (agent)";
  const up = state.health >= rise;
  if (state.operational === "stopped" || !up) {
    return state.health > 0 ? `DOWN ${state.health}/${rise}` : "DOWN";
  }
  const count = state.health - rise + 1;
  const full = count === fall;
  const word = state.operational === "stopping" ? "NOLB" : isDraining(state) ? "DRAIN" : "UP";
  return full || word === "DRAIN" ? word : `${word} ${count}/${fall}`;
}

/** How long until the next check: quicker while the state is changing, as set while down. §5.2, fastinter, downinter. */
export function checkInterval(state: ServerHealth, settings: HealthSettings): Micros {
  const { rise, fall, inter, fastinter, downinter } = settings;
  if (state.health > 0 && state.health < rise + fall - 1) return fastinter ?? inter;
  if (state.health === 0) return downinter ?? inter;
  return inter;
}

/** Writes the state into the columns that balancing and persistence read. */
export function publishHealth(
  servers: Servers,
  server: number,
  state: ServerHealth,
  settings: HealthSettings,
  now: Micros,
): void {
  Atomics.store(servers.usable, server, isUsable(state) ? 1 : 0);
  Atomics.store(servers.weight, server, effectiveWeight(state, settings, now));
  Atomics.store(servers.userWeight, server, isDraining(state) ? 0 : state.weight);
  Atomics.store(servers.limitScale, server, limitScale(state, settings, now));
  bumpVersion(servers);
}
