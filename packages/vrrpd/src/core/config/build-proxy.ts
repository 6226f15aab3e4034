import { micros, type Statement, seconds } from "@ha/base";
import { readBlock } from "./block.ts";
import { type BuildContext, findScriptUser } from "./build-context.ts";
import type { ScriptUser } from "./model.ts";
import { hasHealthLine, type ProxyProgram } from "./proxy-model.ts";
import { proxyTable } from "./proxy-table.ts";

/** `proxy NAME { … }`. One that cannot be started is an error, and is not there. */
export function buildProxy(statement: Statement, context: BuildContext): ProxyProgram | undefined {
  const { diagnostics, host } = context;
  const [keyword, name] = statement.words;
  if (name === undefined) return undefined;
  const end = statement.end ?? keyword.at;
  // The name becomes part of the names of sockets.
  if (!/^[\w.-]{1,40}$/.test(name.text) || name.text.startsWith(".")) {
    diagnostics.error(
      "config/bad-value",
      name.at,
      `proxy ${name.text}: the name must be letters, digits, '_', '-' and '.', at most 40`,
    );
    return undefined;
  }
  const block = readBlock(proxyTable, statement.body ?? [], diagnostics, {
    at: keyword.at,
    name: name.text,
  });
  const config = block.all("config").flatMap(({ value }) => value);
  const args = block.get("args");
  if (config.length === 0 && args === undefined) {
    diagnostics.error(
      "config/no-proxy-config",
      end,
      `proxy ${name.text} has neither config nor args; it is ignored`,
      "write: config /etc/haproxy/haproxy.cfg",
    );
    return undefined;
  }
  if (host.checksWorld) {
    for (const written of block.all("config")) {
      for (const token of written.statement.words.slice(1)) {
        if (host.fileProblem(token.text, "read") === undefined) continue;
        if (host.fileProblem(token.text, "folder") === undefined) continue;
        diagnostics.warning(
          "config/missing-file",
          token.at,
          `proxy ${name.text}: ${token.text} cannot be read now; a start would fail`,
        );
      }
    }
  }
  const [program] = block.get("program") ?? [];
  const programAt = block.positionOf("program");
  if (program !== undefined && host.checksWorld) {
    const found = host.findScript(program, host.ownUser);
    if (found.problem !== undefined) {
      diagnostics.error(
        "config/not-found",
        programAt,
        `proxy ${name.text}: ${program} ${found.problem === "missing" ? "is not there" : `is ${found.problem.replaceAll("-", " ")}`}`,
      );
      return undefined;
    }
  }
  const lbproxy = hasHealthLine(program === undefined ? {} : { program });
  if (!lbproxy) {
    for (const keyword of ["process_name", "heartbeat_timeout", "down_without_servers"] as const) {
      if (!block.has(keyword)) continue;
      diagnostics.warning(
        "config/no-effect",
        block.positionOf(keyword),
        `${keyword} has no effect for ${program}, which tells nothing but READY and its end`,
      );
    }
  } else if (block.has("stats_socket")) {
    diagnostics.warning(
      "config/no-effect",
      block.positionOf("stats_socket"),
      "stats_socket has no effect for lbproxy, which gives its sockets by its own line",
    );
  }
  const hold = block.take("restart_before_failover") ?? seconds(0);
  const statsSocket = block.get("stats_socket")?.[0];
  if (!lbproxy && hold > 0 && statsSocket === undefined) {
    diagnostics.warning(
      "config/trap",
      block.positionOf("restart_before_failover"),
      `proxy ${name.text}: without stats_socket vrrpd cannot hold the listening sockets: clients are refused until ${program} is back`,
      "write stats_socket <path>, and 'stats socket <path> expose-fd listeners' in the proxy's file",
    );
  }
  const user = userOf(block.written("user")?.statement, context);
  if (user === "missing") return undefined;
  const backends = block.take("down_without_servers") ?? ["any"];
  const processName = block.get("process_name");
  const nofile = block.get("limit_nofile");
  const core = block.get("limit_core");
  const limit = block.take("restart_limit") ?? { deaths: 10, within: 60 };
  const first = block.take("restart_delay") ?? seconds(0);
  return {
    name: name.text,
    at: keyword.at,
    config,
    ...(program === undefined ? {} : { program }),
    ...(args === undefined ? {} : { args }),
    ...(processName === undefined ? {} : { process_name: processName }),
    ...(user === undefined ? {} : { user }),
    ...(nofile === undefined ? {} : { limit_nofile: nofile }),
    ...(core === undefined ? {} : { limit_core: core }),
    start_timeout: block.take("start_timeout") ?? seconds(30),
    heartbeat_timeout: block.take("heartbeat_timeout") ?? seconds(0.9),
    restart_delay: first,
    restart_delay_max: micros(Math.max(first, block.take("restart_delay_max") ?? seconds(30))),
    restart_limit: { deaths: limit.deaths, within: seconds(limit.within) },
    restart_before_failover: hold,
    ...(statsSocket === undefined ? {} : { stats_socket: statsSocket }),
    down_without_servers:
      backends[0] === "any" ? "any" : backends[0] === "none" ? "none" : backends,
    reload: block.take("reload") ?? "on_change",
    drain: block.take("drain") ?? true,
    drain_timeout: block.take("drain_timeout") ?? seconds(30),
    stop_timeout: block.take("stop_timeout") ?? seconds(5),
  };
}

function userOf(
  statement: Statement | undefined,
  { host, diagnostics }: BuildContext,
): ScriptUser | undefined | "missing" {
  const [, user, group] = statement?.words ?? [];
  if (user === undefined) return undefined;
  const found = findScriptUser(host, user, group, true);
  if (!("problem" in found)) return found;
  diagnostics.error("config/script-user", found.at, found.problem);
  return "missing";
}
