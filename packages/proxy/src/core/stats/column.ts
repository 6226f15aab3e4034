import type { ObjectType } from "./row.ts";

/** One column of `show stat`. */
export interface Column<Name extends string = string> {
  readonly name: Name;
  /** Origin, nature and scope, as `typed` output has them: a letter each. HAProxy management guide §9.3. */
  readonly tag: string;
  /** Of a backend, where it differs. */
  readonly backendTag: string | undefined;
  readonly type: "str" | "u32" | "s32" | "u64";
  /** In words: `show stat desc`. */
  readonly doc: string;
}

/** The tag of a column for one kind of object. */
export function tagOf(column: Column, object: ObjectType): string {
  return object === "backend" ? (column.backendTag ?? column.tag) : column.tag;
}

function column<Name extends string>(
  name: Name,
  tag: string,
  type: Column["type"],
  doc: string,
  backendTag?: string,
): Column<Name> {
  return { name, tag, backendTag, type, doc };
}

/**
 * Columns in HAProxy 2.6's order, which readers by position rely on; later ones go by name. Observed: haproxy
 * 2.6.12, `show stat typed`.
 */
export const COLUMNS = [
  column("pxname", "KNS", "str", "Proxy"),
  column("svname", "KNS", "str", "FRONTEND, BACKEND, or the server's or listener's name"),
  column("qcur", "MGP", "u32", "Requests that wait now"),
  column("qmax", "MMP", "u32", "Most that waited at once"),
  column("scur", "MGP", "u32", "Sessions now"),
  column("smax", "MMP", "u32", "Most sessions at once"),
  column("slim", "CLP", "u32", "Limit of sessions: maxconn, or a backend's fullconn"),
  column("stot", "MCP", "u64", "Sessions in all"),
  column("bin", "MCP", "u64", "Bytes from clients"),
  column("bout", "MCP", "u64", "Bytes to clients"),
  column("dreq", "MCP", "u64", "Requests denied by rules"),
  column("dresp", "MCP", "u64", "Responses denied by rules"),
  column("ereq", "MCP", "u64", "Requests that were broken or did not come whole"),
  column("econ", "MCP", "u64", "Failed connections to servers"),
  column("eresp", "MCP", "u64", "Broken or missing responses"),
  column("wretr", "MCP", "u64", "Tries again on the same server"),
  column("wredis", "MCP", "u64", "Requests sent to another server after a failure"),
  column("status", "SGP", "str", "State: OPEN, FULL, STOP; UP, DOWN, NOLB, MAINT, DRAIN, no check"),
  column("weight", "MaP", "u32", "Weight in force"),
  column("act", "SGP", "u32", "Usable active servers; of a server: whether it is active", "MGP"),
  column("bck", "SGP", "u32", "Usable backup servers; of a server: whether it is a backup", "MGP"),
  column("chkfail", "MCP", "u64", "Checks that failed while the server was up"),
  column("chkdown", "MCP", "u64", "Transitions to DOWN"),
  column("lastchg", "MAP", "u32", "Seconds since the last change of state"),
  column("downtime", "MCP", "u32", "Seconds spent down"),
  column("qlimit", "CGS", "u32", "maxqueue of the server"),
  column("pid", "KGP", "u32", "Process number, always 1"),
  column("iid", "KGS", "u32", "Number of the proxy"),
  column("sid", "KGS", "u32", "Number of the server or listener in its proxy"),
  column("throttle", "MaP", "u32", "Percent of the weight reached in slowstart"),
  column("lbtot", "MCP", "u64", "Times that balancing chose it"),
  column("tracked", "CNS", "str", "Server whose state this one follows"),
  column("type", "CGS", "u32", "0 frontend, 1 backend, 2 server, 3 listener"),
  column("rate", "MRP", "u32", "New sessions in the last second", "MGP"),
  column("rate_lim", "CLP", "u32", "Limit of new sessions a second"),
  column("rate_max", "MMP", "u32", "Most new sessions in a second", "MGP"),
  column("check_status", "MOP", "str", "How the last check ended"),
  column("check_code", "MOP", "u32", "Status code of the last check"),
  column("check_duration", "MDP", "u64", "Milliseconds that the last check took"),
  column("hrsp_1xx", "MCP", "u64", "Responses with 1xx"),
  column("hrsp_2xx", "MCP", "u64", "Responses with 2xx"),
  column("hrsp_3xx", "MCP", "u64", "Responses with 3xx"),
  column("hrsp_4xx", "MCP", "u64", "Responses with 4xx"),
  column("hrsp_5xx", "MCP", "u64", "Responses with 5xx"),
  column("hrsp_other", "MCP", "u64", "Responses with any other status"),
  column("hanafail", "MCP", "u64", "Failed health analyses"),
  column("req_rate", "MRP", "u32", "Requests in the last second"),
  column("req_rate_max", "MMP", "u32", "Most requests in a second"),
  column("req_tot", "MCP", "u64", "Requests in all"),
  column("cli_abrt", "MCP", "u64", "Transfers ended by the client"),
  column("srv_abrt", "MCP", "u64", "Transfers ended by the server"),
  column("comp_in", "MCP", "u64", "Bytes given to compression"),
  column("comp_out", "MCP", "u64", "Bytes that compression made"),
  column("comp_byp", "MCP", "u64", "Bytes that went past compression"),
  column("comp_rsp", "MCP", "u64", "Responses compressed"),
  column("lastsess", "MAP", "s32", "Seconds since the last session; -1 for none"),
  column("last_chk", "MOP", "str", "What the last check got"),
  column("last_agt", "MOP", "str", "What the agent said last"),
  column("qtime", "MaP", "u32", "Milliseconds in queues, average of the last 1024"),
  column("ctime", "MaP", "u32", "Milliseconds to connect, average of the last 1024"),
  column(
    "rtime",
    "MaP",
    "u32",
    "Milliseconds to the response, average of the last 1024 (0 in TCP)",
  ),
  column("ttime", "MaP", "u32", "Milliseconds in all, average of the last 1024"),
  column("agent_status", "MOP", "str", "How the last agent check ended"),
  column("agent_code", "MOP", "u32", "Code of the last agent check"),
  column("agent_duration", "MDP", "u64", "Milliseconds that the last agent check took"),
  column("check_desc", "MOP", "str", "The last check in words"),
  column("agent_desc", "MOP", "str", "The last agent check in words"),
  column("check_rise", "CGS", "u32", "rise"),
  column("check_fall", "CGS", "u32", "fall"),
  column("check_health", "CGS", "u32", "Health of the checks, 0 to rise+fall-1"),
  column("agent_rise", "CGS", "u32", "rise of the agent"),
  column("agent_fall", "CGS", "u32", "fall of the agent"),
  column("agent_health", "CGS", "u32", "Health of the agent"),
  column("addr", "CGS", "str", "Address and port"),
  column("cookie", "CNS", "str", "Cookie value of the server, or the backend's cookie name"),
  column("mode", "CGS", "str", "Mode of the proxy"),
  column("algo", "CGS", "str", "Balancing"),
  column("conn_rate", "MRP", "u32", "Connections in the last second"),
  column("conn_rate_max", "MMP", "u32", "Most connections in a second"),
  column("conn_tot", "MCP", "u64", "Connections in all"),
  column("intercepted", "MCP", "u64", "Requests answered by the proxy itself"),
  column("dcon", "MCP", "u64", "Connections refused by rules"),
  column("dses", "MCP", "u64", "Sessions refused by rules"),
  column("wrew", "MCP", "u64", "Header rewrites that failed"),
  column("connect", "MCP", "u64", "Connections opened"),
  column("reuse", "MCP", "u64", "Connections used again"),
  column("cache_lookups", "MCP", "u64", "Requests looked up in the cache"),
  column("cache_hits", "MCP", "u64", "Requests answered from the cache"),
  column("srv_icur", "MGP", "u32", "Idle connections now"),
  column("src_ilim", "CLP", "u32", "Limit of idle connections"),
  column("qtime_max", "MMP", "u32", "Longest time in queues, milliseconds"),
  column("ctime_max", "MMP", "u32", "Longest time to connect, milliseconds"),
  column("rtime_max", "MMP", "u32", "Longest time to a response, milliseconds"),
  column("ttime_max", "MMP", "u32", "Longest time in all, milliseconds"),
  column("eint", "MCP", "u64", "Errors of our own"),
  column("idle_conn_cur", "MGP", "u32", "Idle connections that may not be shared"),
  column("safe_conn_cur", "MGP", "u32", "Idle connections that may be shared"),
  column("used_conn_cur", "MGP", "u32", "Connections in use"),
  column("need_conn_est", "MGP", "u32", "Connections likely to be needed"),
  column("uweight", "MaP", "u32", "Weight as configured"),
  column("agg_server_status", "MGP", "u32", "Servers by state"),
  column("agg_server_check_status", "MGP", "u32", "Servers by state, by its old name"),
  column("agg_check_status", "MGP", "u32", "Servers by the end of their last check"),
] satisfies readonly Column[];

/** After a column named `-`: counters of single protocols, in HAProxy 2.6's order. A listener and a server have the first three alone. */
export const MODULE_COLUMNS = [
  column("ssl_sess", "MCP", "u64", "TLS sessions"),
  column("ssl_reused_sess", "MCP", "u64", "TLS sessions resumed"),
  column("ssl_failed_handshake", "MCP", "u64", "TLS handshakes that failed"),
  column("h2_headers_rcvd", "MCP", "u64", "HEADERS frames received"),
  column("h2_data_rcvd", "MCP", "u64", "DATA frames received"),
  column("h2_settings_rcvd", "MCP", "u64", "SETTINGS frames received"),
  column("h2_rst_stream_rcvd", "MCP", "u64", "RST_STREAM frames received"),
  column("h2_goaway_rcvd", "MCP", "u64", "GOAWAY frames received"),
  column("h2_detected_conn_protocol_errors", "MCP", "u64", "Connections that broke the protocol"),
  column("h2_detected_strm_protocol_errors", "MCP", "u64", "Streams that broke the protocol"),
  column("h2_rst_stream_resp", "MCP", "u64", "RST_STREAM frames sent on errors"),
  column("h2_goaway_resp", "MCP", "u64", "GOAWAY frames sent on errors"),
  column("h2_open_connections", "MGP", "u64", "Connections now"),
  column("h2_backend_open_streams", "MGP", "u64", "Streams now"),
  column("h2_total_connections", "MCP", "u64", "Connections in all"),
  column("h2_backend_total_streams", "MCP", "u64", "Streams in all"),
  column("h1_open_connections", "MGP", "u64", "Connections now"),
  column("h1_open_streams", "MGP", "u64", "Streams now"),
  column("h1_total_connections", "MCP", "u64", "Connections in all"),
  column("h1_total_streams", "MCP", "u64", "Streams in all"),
  column("h1_bytes_in", "MCP", "u64", "Bytes received"),
  column("h1_bytes_out", "MCP", "u64", "Bytes sent"),
  column("h1_spliced_bytes_in", "MCP", "u64", "Bytes received through pipes"),
  column("h1_spliced_bytes_out", "MCP", "u64", "Bytes sent through pipes"),
] satisfies readonly Column[];

export type ColumnName = (typeof COLUMNS)[number]["name"] | (typeof MODULE_COLUMNS)[number]["name"];

/** All that have a number and a value: `-` stands between the two kinds in CSV alone, and takes no number. */
export const ALL_COLUMNS: readonly Column<ColumnName>[] = [...COLUMNS, ...MODULE_COLUMNS];
