import type { TlsRate } from "../server/tls-activity.ts";
/** What the process knows of itself: the fields of `show info`. HAProxy management guide §9.3, show info. */
export interface ProcessFigures {
  readonly version: string;
  readonly releaseDate: string;
  readonly threads: number;
  readonly pid: number;
  readonly uptimeSeconds: number;
  /** Seconds since 1970. */
  readonly startedAt: number;
  readonly memoryLimitBytes: number;
  readonly poolBytes: number;
  readonly descriptorLimit: number;
  readonly maxconn: number;
  readonly hardMaxconn: number;
  readonly connections: number;
  readonly connectionsTotal: number;
  readonly requestsTotal: number;
  readonly connectionRate: number;
  readonly connectionRateLimit: number;
  readonly connectionRateMax: number;
  readonly sessionRate: number;
  readonly sessionRateLimit: number;
  readonly sessionRateMax: number;
  readonly tasks: number;
  readonly idlePercent: number;
  readonly node: string;
  readonly description: string | undefined;
  readonly isStopping: boolean;
  readonly jobs: number;
  readonly listeners: number;
  readonly droppedLogs: number;
  readonly bytesOut: number;
  readonly bytesOutRate: number;
  readonly maxSslConnections: number;
  readonly sslRateLimit: number;
  readonly tls: TlsFigures;
  readonly compressionRateLimit: number;
  readonly maxPipes: number;
}

/** TLS of the process. */
export interface TlsFigures {
  readonly open: number;
  readonly total: number;
  readonly handshakes: TlsRate;
  readonly clientKeys: TlsRate;
  readonly serverKeys: TlsRate;
  readonly cacheLookups: number;
  readonly cacheMisses: number;
}

/** Of the last second's handshakes with clients, those that made no new keys. */
function resumedPercent({ handshakes, clientKeys }: TlsFigures): number {
  if (handshakes.now === 0) return 0;
  return Math.max(0, Math.floor(((handshakes.now - clientKeys.now) * 100) / handshakes.now));
}

/** One field. `position` is HAProxy 2.6's, whose numbers 45 and 46 (zlib) are not used without zlib. */
export interface InfoField {
  readonly position: number;
  readonly name: string;
  readonly tag: string;
  readonly type: "str" | "u32" | "u64";
  readonly value: number | string;
  readonly doc: string;
}

/** All fields, in order. A description that nobody set is left out. */
export function infoFields(figures: ProcessFigures): readonly InfoField[] {
  const megabytes = (bytes: number) => Math.floor(bytes / 2 ** 20);
  return (
    [
      [0, "Name", "POS", "str", "HAProxy", "Product; programs look for this very word"],
      [1, "Version", "POS", "str", figures.version, "Version"],
      [2, "Release_date", "POS", "str", figures.releaseDate, "Date of the release"],
      [3, "Nbthread", "CGS", "u32", figures.threads, "Threads"],
      [4, "Nbproc", "CGS", "u32", 1, "Processes, always 1"],
      [5, "Process_num", "KGP", "u32", 1, "Number of this process, always 1"],
      [6, "Pid", "SGP", "u32", figures.pid, "Process id"],
      [7, "Uptime", "MDP", "str", uptimeText(figures.uptimeSeconds), "Time since start"],
      [8, "Uptime_sec", "MDP", "u32", Math.floor(figures.uptimeSeconds), "Seconds since start"],
      [9, "Memmax_MB", "CLP", "u32", megabytes(figures.memoryLimitBytes), "Limit of memory (-m)"],
      [10, "PoolAlloc_MB", "MGP", "u32", megabytes(figures.poolBytes), "Buffers held"],
      [11, "PoolUsed_MB", "MGP", "u32", megabytes(figures.poolBytes), "Buffers held"],
      [12, "PoolFailed", "MCP", "u32", 0, "Failed allocations"],
      [13, "Ulimit-n", "CLP", "u32", figures.descriptorLimit, "Limit of open files"],
      [14, "Maxsock", "CLP", "u32", figures.descriptorLimit, "Limit of sockets"],
      [15, "Maxconn", "CLP", "u32", figures.maxconn, "Limit of connections in force"],
      [16, "Hard_maxconn", "CLP", "u32", figures.hardMaxconn, "Limit of connections at start"],
      [17, "CurrConns", "MGP", "u32", figures.connections, "Client connections now"],
      [18, "CumConns", "MCP", "u32", figures.connectionsTotal, "Client connections in all"],
      [19, "CumReq", "MCP", "u32", figures.requestsTotal, "Requests in all"],
      [20, "MaxSslConns", "MMP", "u32", figures.maxSslConnections, "Limit of TLS connections"],
      [21, "CurrSslConns", "MGP", "u32", figures.tls.open, "TLS connections now"],
      [22, "CumSslConns", "MCP", "u32", figures.tls.total, "TLS connections in all"],
      [23, "Maxpipes", "CLP", "u32", figures.maxPipes, "Limit of pipes"],
      [24, "PipesUsed", "MGP", "u32", 0, "Pipes in use"],
      [25, "PipesFree", "MGP", "u32", 0, "Pipes kept"],
      [26, "ConnRate", "MRP", "u32", figures.connectionRate, "Connections in the last second"],
      [27, "ConnRateLimit", "CLP", "u32", figures.connectionRateLimit, "maxconnrate"],
      [28, "MaxConnRate", "MMP", "u32", figures.connectionRateMax, "Most connections in a second"],
      [29, "SessRate", "MRP", "u32", figures.sessionRate, "Sessions in the last second"],
      [30, "SessRateLimit", "CLP", "u32", figures.sessionRateLimit, "maxsessrate"],
      [31, "MaxSessRate", "MRP", "u32", figures.sessionRateMax, "Most sessions in a second"],
      [
        32,
        "SslRate",
        "MRP",
        "u32",
        figures.tls.handshakes.now,
        "TLS connections in the last second",
      ],
      [33, "SslRateLimit", "CLP", "u32", figures.sslRateLimit, "maxsslrate"],
      [
        34,
        "MaxSslRate",
        "MMP",
        "u32",
        figures.tls.handshakes.most,
        "Most TLS connections in a second",
      ],
      [
        35,
        "SslFrontendKeyRate",
        "MGP",
        "u32",
        figures.tls.clientKeys.now,
        "TLS keys in the last second, clients",
      ],
      [
        36,
        "SslFrontendMaxKeyRate",
        "MMP",
        "u32",
        figures.tls.clientKeys.most,
        "Most TLS keys in a second, clients",
      ],
      [
        37,
        "SslFrontendSessionReuse_pct",
        "MGP",
        "u32",
        resumedPercent(figures.tls),
        "Percent of TLS sessions resumed",
      ],
      [
        38,
        "SslBackendKeyRate",
        "MRP",
        "u32",
        figures.tls.serverKeys.now,
        "TLS keys in the last second, servers",
      ],
      [
        39,
        "SslBackendMaxKeyRate",
        "MMP",
        "u32",
        figures.tls.serverKeys.most,
        "Most TLS keys in a second, servers",
      ],
      [
        40,
        "SslCacheLookups",
        "MCP",
        "u32",
        figures.tls.cacheLookups,
        "Look-ups in the TLS session cache",
      ],
      [41, "SslCacheMisses", "MCP", "u32", figures.tls.cacheMisses, "Of these, in vain"],
      [42, "CompressBpsIn", "MRP", "u32", 0, "Bytes a second into compression"],
      [43, "CompressBpsOut", "MRP", "u32", 0, "Bytes a second out of compression"],
      [44, "CompressBpsRateLim", "CLP", "u32", figures.compressionRateLimit, "maxcomprate"],
      [47, "Tasks", "MGP", "u32", figures.tasks, "Sessions, checks and timers"],
      [48, "Run_queue", "MGP", "u32", 0, "Tasks that wait to run"],
      [
        49,
        "Idle_pct",
        "MaP",
        "u32",
        figures.idlePercent,
        "Percent of the last second not spent working",
      ],
      [50, "node", "COS", "str", figures.node, "Name of the node"],
      [51, "description", "COS", "str", figures.description ?? "", "Description of the node"],
      [52, "Stopping", "MGP", "u32", figures.isStopping ? 1 : 0, "1 while it stops softly"],
      [53, "Jobs", "MGP", "u32", figures.jobs, "Listeners and connections"],
      [54, "Unstoppable Jobs", "MGP", "u32", 0, "Of these, those that do not end"],
      [55, "Listeners", "MGP", "u32", figures.listeners, "Listening sockets"],
      [56, "ActivePeers", "MGP", "u32", 0, "Peers that exchange tables"],
      [57, "ConnectedPeers", "MGP", "u32", 0, "Peers that are connected"],
      [58, "DroppedLogs", "MGP", "u32", figures.droppedLogs, "Log lines nobody took"],
      [59, "BusyPolling", "MGP", "u32", 0, "1 with busy-polling"],
      [60, "FailedResolutions", "MGP", "u32", 0, "Names that could not be resolved"],
      [61, "TotalBytesOut", "MGP", "u64", figures.bytesOut, "Bytes sent to clients"],
      [62, "TotalSplicdedBytesOut", "MGP", "u64", 0, "Of these, through pipes"],
      [63, "BytesOutRate", "MRP", "u64", figures.bytesOutRate, "Bytes sent in the last second"],
      [64, "DebugCommandsIssued", "MGP", "u32", 0, "Debug commands given"],
      [65, "CumRecvLogs", "MCP", "u32", 0, "Log lines received"],
      [66, "Build info", "POS", "str", figures.version, "Version"],
      [67, "Memmax_bytes", "CLP", "u32", figures.memoryLimitBytes, "Limit of memory"],
      [68, "PoolAlloc_bytes", "MGP", "u64", figures.poolBytes, "Buffers held"],
      [69, "PoolUsed_bytes", "MGP", "u64", figures.poolBytes, "Buffers held"],
      [70, "Start_time_sec", "MDP", "u32", figures.startedAt, "Start, in seconds since 1970"],
      [71, "Tainted", "SGP", "str", "0", "Experimental features in use"],
    ] as const
  )
    .filter(([, name]) => name !== "description" || figures.description !== undefined)
    .map(([position, name, tag, type, value, doc]) => ({ position, name, tag, type, value, doc }));
}

/** `0d 0h00m05s`. */
export function uptimeText(seconds: number): string {
  const whole = Math.floor(seconds);
  const two = (value: number) => String(value).padStart(2, "0");
  const days = Math.floor(whole / 86_400);
  const hours = Math.floor((whole % 86_400) / 3600);
  return `${days}d ${hours}h${two(Math.floor((whole % 3600) / 60))}m${two(whole % 60)}s`;
}
