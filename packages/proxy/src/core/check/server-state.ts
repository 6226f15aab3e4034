import { formatAddress } from "@ha/base";
import type { SocketAddress } from "../config/address-model.ts";
import type { Server } from "../config/server-model.ts";
import type { ServerHealth } from "../server/health-model.ts";
import { CHECK_STATUSES, type CheckResult } from "./check-status.ts";

/** One server as `show servers state` prints it and a state file keeps it. HAProxy management guide §9.3. */
export interface ServerStateRow {
  readonly backendId: number;
  readonly backend: string;
  readonly serverId: number;
  readonly server: string;
  /** `-` for none. */
  readonly address: string;
  /** 0 stopped, 1 starting, 2 running, 3 stopping. */
  readonly operational: number;
  /** Bits: 1 forced maintenance, 2 inherited, 4 by configuration, 8 forced drain, 16 inherited drain. */
  readonly admin: number;
  readonly userWeight: number;
  readonly initialWeight: number;
  readonly secondsSinceChange: number;
  readonly checkStatus: number;
  /** 0 unknown, 1 neutral, 2 failed, 3 passed, 4 conditionally passed. */
  readonly checkResult: number;
  readonly checkHealth: number;
  /** Bits: 1 under way, 2 configured, 4 enabled, 8 paused. */
  readonly checkState: number;
  /** The same, with 16. */
  readonly agentState: number;
  readonly backendIdForced: boolean;
  readonly serverIdForced: boolean;
  readonly fqdn: string;
  readonly port: number;
  readonly srvRecord: string;
  readonly usesTls: boolean;
  readonly checkPort: number;
  readonly checkAddress: string;
  readonly agentAddress: string;
  readonly agentPort: number;
}

const COLUMNS =
  "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port";

/** The text of `show servers state`: version, names of columns, a line a server. Without the empty line at the end. */
export function formatServerStates(rows: readonly ServerStateRow[]): string {
  const lines = rows.map((row) =>
    [
      row.backendId,
      row.backend,
      row.serverId,
      row.server,
      row.address,
      row.operational,
      row.admin,
      row.userWeight,
      row.initialWeight,
      row.secondsSinceChange,
      row.checkStatus,
      row.checkResult,
      row.checkHealth,
      row.checkState,
      row.agentState,
      row.backendIdForced ? 1 : 0,
      row.serverIdForced ? 1 : 0,
      row.fqdn,
      row.port,
      row.srvRecord,
      row.usesTls ? 1 : 0,
      row.checkPort,
      row.checkAddress,
      row.agentAddress,
      row.agentPort,
    ].join(" "),
  );
  return `1\n# ${COLUMNS}\n${lines.map((line) => `${line}\n`).join("")}`;
}

/**
 * Reads a state file. A line that is not understood is left out and told of: the start goes on without it, as in
 * HAProxy. A file of another version gives nothing.
 */
export function parseServerStates(text: string): {
  readonly rows: readonly ServerStateRow[];
  readonly problems: readonly { readonly line: number; readonly message: string }[];
} {
  const rows: ServerStateRow[] = [];
  const problems: { line: number; message: string }[] = [];
  const lines = text.split("\n");
  if (lines[0]?.trim() !== "1") {
    return { rows, problems: [{ line: 1, message: "the version is not 1: the file is not used" }] };
  }
  lines.forEach((line, i) => {
    if (i === 0 || line.trim() === "" || line.startsWith("#")) return;
    const row = parseRow(line.trim().split(/ +/));
    if (typeof row === "string") problems.push({ line: i + 1, message: row });
    else rows.push(row);
  });
  return { rows, problems };
}

function parseRow(fields: readonly string[]): ServerStateRow | string {
  // Files of older versions end after the port.
  if (fields.length < 19) return `${fields.length} fields where 19 to 25 are expected`;
  let wrong: string | undefined;
  const number = (index: number, high: number): number => {
    const text = fields[index] ?? "0";
    const value = /^\d{1,15}$/.test(text) ? Number(text) : -1;
    if (value < 0 || value > high)
      wrong ??= `'${text}' is no number from 0 to ${high} for field ${index + 1}`;
    return value;
  };
  const name = (index: number): string => fields[index] ?? "-";
  const row: ServerStateRow = {
    backendId: number(0, 2 ** 31),
    backend: name(1),
    serverId: number(2, 2 ** 31),
    server: name(3),
    address: name(4),
    operational: number(5, 3),
    admin: number(6, 0x7f),
    userWeight: number(7, 256),
    initialWeight: number(8, 256),
    secondsSinceChange: number(9, 2 ** 40),
    checkStatus: number(10, 255),
    checkResult: number(11, 4),
    checkHealth: number(12, 2 ** 31),
    checkState: number(13, 255),
    agentState: number(14, 255),
    backendIdForced: number(15, 1) === 1,
    serverIdForced: number(16, 1) === 1,
    fqdn: name(17),
    port: number(18, 65_535),
    srvRecord: name(19),
    usesTls: fields[20] === undefined ? false : number(20, 1) === 1,
    checkPort: fields[21] === undefined ? 0 : number(21, 65_535),
    checkAddress: name(22),
    agentAddress: name(23),
    agentPort: fields[24] === undefined ? 0 : number(24, 65_535),
  };
  return wrong ?? row;
}

export const ADMIN_FORCED_MAINT = 0x01;
export const ADMIN_INHERITED_MAINT = 0x02;
export const ADMIN_CONFIGURED_MAINT = 0x04;
export const ADMIN_FORCED_DRAIN = 0x08;
export const ADMIN_INHERITED_DRAIN = 0x10;

const OPERATIONAL = ["stopped", "starting", "running", "stopping"] as const;
const RESULTS = ["unknown", "neutral", "fail", "pass", "condpass"] as const;

/** A server's row of `show servers state`. `now` in microseconds of the clock that `health.changedAt` is of. */
export function serverStateRow(input: {
  readonly backend: { readonly id: number; readonly name: string };
  readonly server: Server;
  /** Where it is now: `set server addr` may have changed it. */
  readonly address: SocketAddress;
  readonly health: ServerHealth;
  readonly check: CheckResult;
  readonly now: number;
}): ServerStateRow {
  const { backend, server, address, health, check, now } = input;
  const configured = server.disabled && health.admin === "maint" ? ADMIN_CONFIGURED_MAINT : 0;
  const admin =
    (health.admin === "maint" ? ADMIN_FORCED_MAINT | configured : 0) |
    (health.admin === "drain" ? ADMIN_FORCED_DRAIN : 0) |
    (health.inheritedMaint ? ADMIN_INHERITED_MAINT : 0) |
    (health.inheritedDrain ? ADMIN_INHERITED_DRAIN : 0);
  const checkAddress = server.check?.address;
  const agentAddress = server.agent?.address;
  const checkPort = server.check?.port ?? 0;
  const entry = CHECK_STATUSES[check.status];
  return {
    backendId: backend.id,
    backend: backend.name,
    serverId: server.id,
    server: server.name,
    address: addressText(address),
    operational: OPERATIONAL.indexOf(health.operational),
    admin,
    userWeight: health.weight,
    initialWeight: server.weight,
    secondsSinceChange: Math.max(0, Math.floor((now - health.changedAt) / 1_000_000)),
    checkStatus: entry.number,
    checkResult: RESULTS.indexOf(entry.result),
    checkHealth:
      health.admin === "maint" && server.check === undefined
        ? 0
        : Math.min(health.health, server.check === undefined ? server.health.rise : health.health),
    checkState:
      server.check === undefined
        ? 0
        : 2 | (health.checksEnabled ? 4 : 0) | (health.admin === "maint" ? 8 : 0),
    agentState: server.agent === undefined ? 0 : 16 | 2 | (health.agentEnabled ? 4 : 0),
    backendIdForced: false,
    serverIdForced: false,
    fqdn: address.kind === "inet" ? (address.host ?? "-") : "-",
    port: address.kind === "inet" ? address.port : 0,
    srvRecord: "-",
    usesTls: server.tls !== undefined,
    checkPort,
    checkAddress: checkAddress === undefined ? "-" : addressText(checkAddress),
    agentAddress: agentAddress === undefined ? "-" : addressText(agentAddress),
    agentPort: server.agent?.port ?? 0,
  };
}

function addressText(address: SocketAddress): string {
  switch (address.kind) {
    case "inet":
      return address.address === undefined ? "-" : formatAddress(address.address);
    case "unix":
      return address.path;
    case "abstract":
      return `abns@${address.name}`;
    default:
      return "-";
  }
}

/**
 * A server's health as a state file has it, put over the one of the configuration: what an administrator set stays
 * set, what the checks knew goes on. Undefined where the row does not fit (an unknown state).
 * Differs from HAProxy: of the address only its change by name is taken over by the caller, see `addressOf`.
 */
export function restoreHealth(
  row: ServerStateRow,
  server: Server,
  fresh: ServerHealth,
  now: ServerHealth["changedAt"],
): ServerHealth {
  const most = server.health.rise + server.health.fall - 1;
  const checked = server.check !== undefined;
  // Maintenance that an older configuration ordered ends with it; the administrator's own stays.
  const wasConfigured = (row.admin & ADMIN_CONFIGURED_MAINT) !== 0;
  const forced = (row.admin & ADMIN_FORCED_MAINT) !== 0 && !(wasConfigured && !server.disabled);
  const admin =
    forced || fresh.admin === "maint"
      ? "maint"
      : (row.admin & ADMIN_FORCED_DRAIN) !== 0
        ? "drain"
        : fresh.admin;
  const hasState = checked || server.agent !== undefined || server.track !== undefined;
  const operational = hasState
    ? (OPERATIONAL[row.operational] ?? fresh.operational)
    : fresh.operational;
  const health = checked
    ? operational === "stopped"
      ? Math.min(row.checkHealth, server.health.rise - 1)
      : Math.max(server.health.rise, Math.min(row.checkHealth, most))
    : fresh.health;
  // A weight that the file itself changed since wins over the one that was set at run time.
  const weight = row.initialWeight === server.weight ? row.userWeight : server.weight;
  const changedAt = (now - row.secondsSinceChange * 1_000_000) as ServerHealth["changedAt"];
  return { ...fresh, operational, admin, health, weight, changedAt };
}
