import type { ProxyDraft } from "./draft.ts";
import { readTime } from "./global-keyword.ts";
import type { KeywordEntry } from "./keyword.ts";
import type { Line } from "./line.ts";
import { nameOf } from "./proxy-keyword.ts";
import type { Timeouts } from "./proxy-model.ts";

interface TimeoutEntry extends KeywordEntry {
  readonly key: keyof Timeouts;
  readonly side: "frontend" | "backend" | "both";
}

const entry = (key: keyof Timeouts, side: TimeoutEntry["side"], doc: string): TimeoutEntry => ({
  name: `timeout ${key}`,
  key,
  side,
  syntax: `timeout ${key} <time>`,
  doc,
  source: "§4.2",
  status: "works",
  default: "infinite",
});

/** HAProxy configuration manual §4.2, timeout. */
export const timeoutKeywords: readonly TimeoutEntry[] = [
  entry(
    "check",
    "backend",
    "For a check once connected; connect holds as well when shorter. Unset: inter.",
  ),
  entry("client", "frontend", "Silence of the client while data is expected or sent."),
  entry("client-fin", "frontend", "Silence of a client that is half closed."),
  entry("client-hs", "frontend", "Handshakes with the client."),
  entry("connect", "backend", "For a connection to a server to be there."),
  entry(
    "http-keep-alive",
    "both",
    "For the next request on a kept connection. Unset: http-request.",
  ),
  entry(
    "http-request",
    "both",
    "From a request's first byte to the end of its head. Unset: client.",
  ),
  entry("queue", "backend", "For a place at a server. Unset: connect."),
  entry("server", "backend", "Silence of the server while data is expected or sent."),
  entry("server-fin", "backend", "Silence of a server that is half closed."),
  entry("tarpit", "both", "How long a tarpit holds. Unset: connect."),
  entry(
    "tunnel",
    "backend",
    "Silence in both directions of a tunnel. Replaces client and server there.",
  ),
];

const byKey = new Map<string, TimeoutEntry>(
  timeoutKeywords.map((keyword) => [keyword.key, keyword]),
);

const LIST =
  "'client', 'server', 'connect', 'check', 'queue', 'http-keep-alive', 'http-request', 'tunnel', 'tarpit', 'client-fin', 'client-hs' and 'server-fin'";

export function readTimeout(line: Line, proxy: ProxyDraft): void {
  const key = line.text(1);
  const keyword = byKey.get(key);
  if (keyword === undefined) {
    const successor = OLD.get(key);
    if (successor !== undefined) {
      line.alert(
        `the 'timeout ${key}' directive is not supported anymore since HAProxy 2.1. Use 'timeout ${successor}'.`,
        undefined,
        "config/removed",
      );
    } else
      line.alert(`'timeout' supports ${LIST} (got '${key}')`, undefined, "config/unknown-keyword");
    return;
  }
  const name = `timeout ${key}`;
  if (line.text(2) === "") {
    line.alert(`'${name}' expects an integer value (in milliseconds)`);
    return;
  }
  const value = readTime(line, 2, name, (bad) => `unexpected character '${bad}' in '${name}'`);
  if (value === undefined) return;
  if (line.text(3) !== "") {
    line.alert(
      `'${name}' : unexpected extra argument '${line.text(3)}' after value '${line.text(2)}'.`,
    );
    return;
  }
  const { side } = keyword;
  const counts =
    proxy.section === "defaults" ||
    side === "both" ||
    (side === "frontend" ? proxy.isFrontend : proxy.isBackend);
  if (!counts) {
    line.warn(
      `'${name}' will be ignored because ${nameOf(proxy)} has no ${side} capability`,
      undefined,
      "config/no-capability",
    );
  } else if (proxy.ownTimeouts.has(key)) {
    line.warn(`overwriting '${name}' which was already specified`);
  }
  proxy.ownTimeouts.add(key);
  // Zero is "never", as absent is.
  if (value === 0) delete proxy.timeouts[keyword.key];
  else proxy.timeouts[keyword.key] = value;
}

const OLD: ReadonlyMap<string, string> = new Map([
  ["clitimeout", "client"],
  ["srvtimeout", "server"],
  ["contimeout", "connect"],
]);
