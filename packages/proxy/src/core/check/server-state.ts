import type { Micros } from "@ha/base";
import { formatAddress } from "@ha/base";
import type { SocketAddress } from "../config/address-model.ts";
import type { Server } from "../config/server-model.ts";
import type { ServerState } from "../config/server-state-file.ts";
import type { ServerHealth } from "../server/health-model.ts";
import { CHECK_STATUSES, type CheckResult } from "./check-status.ts";

/** Bits of `srv_admin_state`. HAProxy management guide §9.3, show servers state */
export const ADMIN_FORCED_MAINT = 0x01;
export const ADMIN_INHERITED_MAINT = 0x02;
export const ADMIN_CONFIGURED_MAINT = 0x04;
export const ADMIN_FORCED_DRAIN = 0x08;
export const ADMIN_INHERITED_DRAIN = 0x10;
/** Its name has no address. */
export const ADMIN_UNRESOLVED = 0x20;

const OPERATIONAL = ["stopped", "starting", "running", "stopping"] as const;
const RESULTS = ["unknown", "neutral", "fail", "pass", "condpass"] as const;

/** A server's row of `show servers state`; `writeServerStates` makes the text. `now` is of the clock of `health.changedAt`. */
export function serverStateOf(input: {
  readonly backend: { readonly id: number; readonly name: string };
  readonly server: Server;
  /** Where it is now: `set server addr` may have changed it. */
  readonly address: SocketAddress;
  readonly health: ServerHealth;
  readonly check: CheckResult;
  readonly now: Micros;
}): ServerState {
  const { backend, server, address, health, check, now } = input;
  const configured = server.disabled && health.admin === "maint" ? ADMIN_CONFIGURED_MAINT : 0;
  const isUnresolved = address.kind === "inet" && address.address === undefined;
  const admin =
    (health.admin === "maint"
      ? isUnresolved
        ? ADMIN_UNRESOLVED
        : ADMIN_FORCED_MAINT | configured
      : 0) |
    (health.admin === "drain" ? ADMIN_FORCED_DRAIN : 0) |
    (health.inheritedMaint ? ADMIN_INHERITED_MAINT : 0) |
    (health.inheritedDrain ? ADMIN_INHERITED_DRAIN : 0);
  const entry = CHECK_STATUSES[check.status];
  const isPaused = health.admin === "maint" || health.inheritedMaint;
  return {
    backendId: backend.id,
    backendName: backend.name,
    serverId: server.id,
    serverName: server.name,
    address: address.kind === "inet" ? address.address : undefined,
    // In maintenance nothing is known of it. Observed: haproxy 2.6.12.
    operationalState: isPaused ? 0 : OPERATIONAL.indexOf(health.operational),
    adminState: admin,
    userWeight: health.weight,
    initialWeight: server.weight,
    secondsSinceChange: Math.max(0, Math.floor((now - health.changedAt) / 1_000_000)),
    checkStatus: entry.number,
    checkResult: RESULTS.indexOf(entry.result),
    checkHealth: isPaused ? 0 : server.check === undefined ? server.health.rise : health.health,
    checkState:
      server.check === undefined ? 0 : 2 | (health.checksEnabled ? 4 : 0) | (isPaused ? 8 : 0),
    agentState: server.agent === undefined ? 0 : 16 | 2 | (health.agentEnabled ? 4 : 0),
    forcedBackendId: false,
    forcedServerId: false,
    fqdn: address.kind === "inet" ? address.host : undefined,
    port: address.kind === "inet" ? address.port : 0,
    srvRecord: undefined,
    useSsl: server.tls !== undefined,
    checkPort: server.check?.port ?? 0,
    checkAddress: textOfAddress(server.check?.address),
    agentAddress: textOfAddress(server.agent?.address),
    agentPort: server.agent?.port ?? 0,
  };
}

function textOfAddress(address: SocketAddress | undefined): string | undefined {
  return address?.kind === "inet" && address.address !== undefined
    ? formatAddress(address.address)
    : undefined;
}
/**
 * A server's health as a state file has it, put over the one of the configuration: what an administrator set stays
 * set, what the checks knew goes on.
 */
export function restoreHealth(
  row: ServerState,
  server: Server,
  fresh: ServerHealth,
  now: Micros,
): ServerHealth {
  const most = server.health.rise + server.health.fall - 1;
  const checked = server.check !== undefined;
  // Maintenance that an older configuration ordered ends with it; the administrator's own stays.
  const wasConfigured = (row.adminState & ADMIN_CONFIGURED_MAINT) !== 0;
  const forced =
    (row.adminState & ADMIN_FORCED_MAINT) !== 0 && !(wasConfigured && !server.disabled);
  const admin =
    forced || fresh.admin === "maint"
      ? "maint"
      : (row.adminState & ADMIN_FORCED_DRAIN) !== 0
        ? "drain"
        : fresh.admin;
  const hasState = checked || server.agent !== undefined || server.track !== undefined;
  const operational = hasState
    ? (OPERATIONAL[row.operationalState] ?? fresh.operational)
    : fresh.operational;
  const health = checked
    ? operational === "stopped"
      ? Math.min(row.checkHealth, server.health.rise - 1)
      : Math.max(server.health.rise, Math.min(row.checkHealth, most))
    : fresh.health;
  // A weight that the file itself changed since wins over the one that was set at run time.
  const weight = row.initialWeight === server.weight ? row.userWeight : server.weight;
  const changedAt = (now - row.secondsSinceChange * 1_000_000) as Micros;
  return { ...fresh, operational, admin, health, weight, changedAt };
}
