import { readBind } from "./bind.ts";
import { readTime } from "./global-keyword.ts";
import type { KeywordEntry } from "./keyword.ts";
import type { Line } from "./line.ts";
import type { Reading } from "./reading.ts";
import { parseWhole } from "./values.ts";

/** `stats …` in the global section. HAProxy configuration manual §3.1. */
export const globalStatsKeywords: readonly KeywordEntry[] = [
  {
    name: "stats socket",
    syntax:
      "stats socket <address> [level <l>] [mode <m>] [user <u>] [group <g>] [expose-fd listeners] …",
    doc: "A socket for the runtime API; the words of `bind`.",
    source: "§3.1",
    status: "works",
  },
  {
    name: "stats timeout",
    syntax: "stats timeout <time>",
    doc: "Silence after which a stats socket's client is closed.",
    source: "§3.1",
    status: "works",
    default: "10s",
  },
  {
    name: "stats maxconn",
    syntax: "stats maxconn <number>",
    doc: "Clients of stats sockets at once.",
    source: "§3.1",
    status: "works",
    default: "10",
  },
];

export function readGlobalStats(line: Line, reading: Reading): void {
  const { stats } = reading.draft.global;
  switch (line.text(1)) {
    case "socket":
      readBind(
        line,
        reading,
        {
          label: "'stats socket'",
          unknownLabel: "'stats socket' :",
          skip: 2,
          expects: "'stats socket' in global section expects an address or a path to a UNIX socket",
        },
        (bind) => stats.sockets.push(bind),
      );
      return;
    case "timeout": {
      const value = readTime(
        line,
        2,
        "stats timeout",
        (bad) => `'stats timeout' : unexpected character '${bad}'`,
      );
      if (value !== undefined) stats.timeout = value;
      return;
    }
    case "maxconn": {
      const value = parseWhole(line.text(2));
      if (value === undefined || value <= 0) line.alert("'stats maxconn' expects a positive value");
      else stats.maxconn = value;
      return;
    }
    case "bind-process":
      line.alert(
        "'stats bind-process' is not supported any more since HAProxy 2.7. Please remove it, or use 'thread' on the 'stats socket' line.",
      );
      return;
    default:
      line.alert(
        `'stats' only supports 'socket', 'maxconn', 'bind-process' and 'timeout' (got '${line.text(1)}')`,
      );
  }
}
