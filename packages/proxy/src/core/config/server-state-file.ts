import { type IpAddress, parseAddress } from "@ha/base";

/**
 * One server in a state file, as `show servers state` writes it. HAProxy management guide, show servers state;
 * HAProxy configuration manual §3.1, server-state-file. Names are those of the file's columns.
 */
export interface ServerState {
  readonly backendId: number;
  readonly backendName: string;
  readonly serverId: number;
  readonly serverName: string;
  /** Undefined where the file has `-`: not known then. */
  readonly address: IpAddress | undefined;
  /** 0 stopped, 1 starting, 2 running, 3 stopping. */
  readonly operationalState: number;
  /** Bits: 1 forced maintenance, 2 inherited, 4 by configuration, 8 forced drain, 16 inherited drain, 32 by DNS. */
  readonly adminState: number;
  readonly userWeight: number;
  readonly initialWeight: number;
  readonly secondsSinceChange: number;
  readonly checkStatus: number;
  readonly checkResult: number;
  readonly checkHealth: number;
  readonly checkState: number;
  readonly agentState: number;
  readonly forcedBackendId: boolean;
  readonly forcedServerId: boolean;
  readonly fqdn: string | undefined;
  readonly port: number;
  readonly srvRecord: string | undefined;
  readonly useSsl: boolean;
  readonly checkPort: number;
  readonly checkAddress: string | undefined;
  readonly agentAddress: string | undefined;
  readonly agentPort: number;
}

const COLUMNS =
  "be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port srv_check_addr srv_agent_addr srv_agent_port";
const COLUMN_COUNT = COLUMNS.split(" ").length;
/** The oldest files that HAProxy reads end with `srv_port`. */
const LEAST_COLUMNS = 19;

/** The whole text, with its two lines of head. `format` writes an address; undefined is `-`. */
export function writeServerStates(
  states: readonly ServerState[],
  format: (address: IpAddress) => string,
): string {
  const rows = states.map((state) =>
    [
      state.backendId,
      state.backendName,
      state.serverId,
      state.serverName,
      state.address === undefined ? "-" : format(state.address),
      state.operationalState,
      state.adminState,
      state.userWeight,
      state.initialWeight,
      state.secondsSinceChange,
      state.checkStatus,
      state.checkResult,
      state.checkHealth,
      state.checkState,
      state.agentState,
      Number(state.forcedBackendId),
      Number(state.forcedServerId),
      state.fqdn ?? "-",
      state.port,
      state.srvRecord ?? "-",
      Number(state.useSsl),
      state.checkPort,
      state.checkAddress ?? "-",
      state.agentAddress ?? "-",
      state.agentPort,
    ].join(" "),
  );
  return `1\n# ${COLUMNS}\n${rows.map((row) => `${row}\n`).join("")}`;
}

/** What a state file holds; lines that are none are counted and left out. Undefined when the version is not 1. */
export function readServerStates(
  text: string,
): { readonly states: readonly ServerState[]; readonly badLines: number } | undefined {
  const [version, ...lines] = text.split("\n");
  if (version?.trim() !== "1") return undefined;
  const states: ServerState[] = [];
  let badLines = 0;
  for (const line of lines) {
    if (line.startsWith("#") || line.trim() === "") continue;
    const state = readRow(line.trim().split(/ +/));
    if (state === undefined) badLines++;
    else states.push(state);
  }
  return { states, badLines };
}

function readRow(cells: readonly string[]): ServerState | undefined {
  if (cells.length < LEAST_COLUMNS || cells.length > COLUMN_COUNT) return undefined;
  let good = true;
  const number = (i: number, fallback = 0): number => {
    const cell = cells[i];
    if (cell === undefined) return fallback;
    if (!/^-?\d{1,15}$/.test(cell)) good = false;
    return Number(cell);
  };
  const text = (i: number): string | undefined => {
    const cell = cells[i];
    return cell === undefined || cell === "-" ? undefined : cell;
  };
  const state: ServerState = {
    backendId: number(0),
    backendName: cells[1] ?? "",
    serverId: number(2),
    serverName: cells[3] ?? "",
    address: parseAddress(cells[4] ?? ""),
    operationalState: number(5),
    adminState: number(6),
    userWeight: number(7),
    initialWeight: number(8),
    secondsSinceChange: number(9),
    checkStatus: number(10),
    checkResult: number(11),
    checkHealth: number(12),
    checkState: number(13),
    agentState: number(14),
    forcedBackendId: number(15) !== 0,
    forcedServerId: number(16) !== 0,
    fqdn: text(17),
    port: number(18),
    srvRecord: text(19),
    useSsl: number(20) !== 0,
    checkPort: number(21),
    checkAddress: text(22),
    agentAddress: text(23),
    agentPort: number(24),
  };
  const inRange =
    state.operationalState >= 0 &&
    state.operationalState <= 3 &&
    state.userWeight >= 0 &&
    state.userWeight <= 256 &&
    state.port >= 0 &&
    state.port <= 65_535;
  return good && inRange ? state : undefined;
}
