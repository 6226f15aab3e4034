import { type Prefix, parseAddress } from "@ha/base";
import type { ProxyDraft } from "./draft.ts";
import type { KeywordEntry } from "./keyword.ts";
import { indexByName, warnIgnored } from "./keyword.ts";
import { didYouMean, type Line } from "./line.ts";
import { counts } from "./proxy-keyword.ts";
import { setLogFormat } from "./proxy-logs.ts";
import type { CheckMethod, ForwardedFor, ProxyOptions } from "./proxy-model.ts";
import type { Reading } from "./reading.ts";
import { parseWhole } from "./values.ts";

/** One `option`. */
interface Option extends KeywordEntry {
  readonly side: "frontend" | "backend" | "both";
  /** `no option` may stand; else the message says that negation is not supported. */
  readonly negatable: boolean;
  /** Arguments beyond this many are an error; -1: `read` looks itself. */
  readonly arguments: number;
  /** Absent: the name goes into the set of options that are on. */
  readonly read?: (line: Line, proxy: ProxyDraft, reading: Reading, negated: boolean) => void;
}

const switched = (
  name: string,
  side: Option["side"],
  doc: string,
  status: Option["status"] = "works",
): Option => ({
  name,
  syntax: `[no] option ${name}`,
  side,
  doc,
  source: "§4.2",
  status,
  negatable: true,
  arguments: 0,
});

const special = (
  name: string,
  syntax: string,
  side: Option["side"],
  doc: string,
  args: number,
  read: NonNullable<Option["read"]>,
  { negatable = false, status = "works" as Option["status"] } = {},
): Option => ({
  name,
  syntax: `option ${name} ${syntax}`.trim(),
  side,
  doc,
  source: "§4.2",
  status,
  negatable,
  arguments: args,
  read,
});

/** HAProxy configuration manual §4.2, every `option`. */
export const proxyOptions: readonly Option[] = [
  switched("abortonclose", "both", "A client that leaves takes its queued request along."),
  switched(
    "accept-unsafe-violations-in-http-request",
    "frontend",
    "Takes requests that break the rules of HTTP.",
  ),
  switched(
    "accept-unsafe-violations-in-http-response",
    "backend",
    "Takes answers that break the rules of HTTP.",
  ),
  switched("allbackups", "backend", "All backup servers share the load, not the first alone."),
  switched("checkcache", "backend", "Refuses answers that are cacheable and set a cookie."),
  switched("clitcpka", "frontend", "TCP keep-alive towards clients."),
  switched("contstats", "frontend", "Counts bytes while a transfer goes on, every five seconds."),
  switched("disable-h2-upgrade", "frontend", "No HTTP/2 from a preface in clear text."),
  switched("dontlog-normal", "frontend", "Logs no successful sessions."),
  switched("dontlognull", "frontend", "Logs no connections without data."),
  switched(
    "h1-case-adjust-bogus-client",
    "frontend",
    "Header case as h1-case-adjust says, towards clients.",
  ),
  switched(
    "h1-case-adjust-bogus-server",
    "backend",
    "Header case as h1-case-adjust says, towards servers.",
  ),
  switched(
    "http-buffer-request",
    "both",
    "Waits for the body (or a full buffer) before it goes on.",
  ),
  switched("http-drop-request-trailers", "backend", "Drops trailers of requests."),
  switched("http-drop-response-trailers", "frontend", "Drops trailers of answers."),
  switched(
    "http-ignore-probes",
    "frontend",
    "No 408 and no log for connections without a request.",
  ),
  switched("http-no-delay", "both", "Small segments are never delayed here.", "tuning"),
  switched(
    "http-pretend-keepalive",
    "backend",
    "Says keep-alive to servers even when it will close.",
  ),
  switched("http-use-htx", "both", "The only representation there is.", "tuning"),
  switched(
    "http-use-proxy-header",
    "frontend",
    "Proxy-Connection instead of Connection from clients.",
    "ignored",
  ),
  switched(
    "idle-close-on-response",
    "frontend",
    "At a soft stop idle clients are closed with their next answer.",
  ),
  switched(
    "independent-streams",
    "both",
    "What is sent does not put off the timeout of what is received.",
    "ignored",
  ),
  switched("log-health-checks", "backend", "Logs each change of a check's result."),
  switched("log-separate-errors", "frontend", "Errors are logged one level up."),
  switched("logasap", "frontend", "Logs as soon as what the format needs is known."),
  switched("nolinger", "both", "Closes with RST.", "works"),
  switched("persist", "backend", "Persistence even to servers that are down."),
  switched("prefer-last-server", "backend", "The server of the last request, where it can be."),
  switched("set-dumpable", "both", "A global keyword in newer files.", "tuning"),
  switched("socket-stats", "frontend", "Counters for each listener.", "ignored"),
  switched("splice-auto", "both", "splice(2) where it pays.", "tuning"),
  switched("splice-request", "both", "splice(2) for requests.", "tuning"),
  switched("splice-response", "both", "splice(2) for answers.", "tuning"),
  switched("srvtcpka", "backend", "TCP keep-alive towards servers."),
  switched("tcp-smart-accept", "frontend", "Delays an ACK that the answer can carry.", "tuning"),
  switched("tcp-smart-connect", "backend", "Delays an ACK that the request can carry.", "tuning"),
  switched("use-small-buffers", "both", "Small buffers for queued requests.", "tuning"),
  special(
    "tcpka",
    "",
    "both",
    "TCP keep-alive on both sides.",
    0,
    (_line, proxy, _reading, negated) => {
      for (const name of ["clitcpka", "srvtcpka"]) {
        if (negated) proxy.options.on.delete(name);
        else proxy.options.on.add(name);
      }
    },
    { negatable: true },
  ),
  special("httpclose", "", "both", "Closes after each answer.", 0, connectionMode("httpclose"), {
    negatable: true,
  }),
  special(
    "http-server-close",
    "",
    "both",
    "Closes the server side after each answer.",
    0,
    connectionMode("http-server-close"),
    { negatable: true },
  ),
  special(
    "http-keep-alive",
    "",
    "both",
    "Keeps both sides (the default).",
    0,
    connectionMode("http-keep-alive"),
    { negatable: true },
  ),
  special("httplog", "[clf]", "both", "The HTTP log format.", 1, (line, proxy) => {
    const clf = line.text(2) === "clf";
    if (line.text(2) !== "" && !clf) {
      line.alert(`keyword '${line.text(1)}' only supports option 'clf'.`);
      return;
    }
    setLogFormat(line, proxy, `option httplog${clf ? " clf" : ""}`, {
      kind: clf ? "httplog clf" : "httplog",
    });
  }),
  special("httpslog", "", "both", "The HTTPS log format.", 0, (line, proxy) =>
    setLogFormat(line, proxy, "option httpslog", { kind: "httpslog" }),
  ),
  special("tcplog", "[clf]", "both", "The TCP log format.", 1, (line, proxy) =>
    setLogFormat(line, proxy, "option tcplog", { kind: "tcplog" }),
  ),
  special(
    "forwardfor",
    "[ except <network> ] [ header <name> ] [ if-none ]",
    "both",
    "Adds X-Forwarded-For with the client's address.",
    -1,
    (line, proxy) => {
      const read = readForwarded(line, "forwardfor", "X-Forwarded-For", true);
      if (read === undefined) return;
      proxy.options.forwardfor = read;
      proxy.ownForwarding = true;
    },
    { negatable: false },
  ),
  special(
    "originalto",
    "[ except <network> ] [ header <name> ]",
    "both",
    "Adds X-Original-To with the address it came to.",
    -1,
    (line, proxy) => {
      const read = readForwarded(line, "originalto", "X-Original-To", false);
      if (read === undefined) return;
      proxy.options.originalto = read;
      proxy.ownForwarding = true;
    },
  ),
  special(
    "forwarded",
    "[ proto ] [ host … ] [ by … ] [ for … ]",
    "both",
    "Adds Forwarded (RFC 7239).",
    -1,
    (line, proxy, _reading, negated) => {
      proxy.options.forwarded = negated ? undefined : line.from(2);
    },
    { negatable: true },
  ),
  special(
    "http-restrict-req-hdr-names",
    "{ preserve | delete | reject }",
    "both",
    "What happens to header names other than of letters, digits and hyphens.",
    1,
    (line, proxy) => {
      const mode = line.text(2);
      if (mode === "preserve" || mode === "delete" || mode === "reject") {
        proxy.options.restrictRequestHeaderNames = mode;
      } else {
        line.alert(
          `'option http-restrict-req-hdr-names' expects 'preserve', 'reject' or 'delete' as argument.`,
        );
      }
    },
  ),
  special(
    "redispatch",
    "[<interval>]",
    "backend",
    "A retry may go to another server.",
    -1,
    (line, proxy, _reading, negated) => {
      const word = line.text(2);
      const interval = parseWhole(word);
      if (negated) proxy.options.redispatch = undefined;
      else if (word === "") proxy.options.redispatch = -1;
      else if (interval === undefined) {
        line.alert(
          `'redispatch' expects either 0, a positive or negative integer, but got '${word}'.`,
        );
      } else proxy.options.redispatch = interval === 0 ? undefined : interval;
    },
    { negatable: true },
  ),
  ...checkOptions(),
];

const byName = indexByName(proxyOptions);

/** Names that HAProxy has taken out, with its words. */
const GONE: ReadonlyMap<string, string> = new Map([
  [
    "forceclose",
    "option 'forceclose' is not supported any more since HAProxy 2.0, please just remove it, or use 'option httpclose' if absolutely needed.",
  ],
  [
    "http-tunnel",
    "option 'http-tunnel' is not supported any more since HAProxy 2.1, please just remove it, it shouldn't be needed.",
  ],
  [
    "http_proxy",
    "option 'http_proxy' is not supported any more since HAProxy 2.5. Use 'http-request set-dst' with a 'do-resolve' rule instead.",
  ],
  [
    "transparent",
    "option 'transparent' is not supported any more since HAProxy 3.3. Use 'server <name> 0.0.0.0' instead.",
  ],
]);

/** Spellings of older versions that HAProxy still takes. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["accept-invalid-http-request", "accept-unsafe-violations-in-http-request"],
  ["accept-invalid-http-response", "accept-unsafe-violations-in-http-response"],
]);

/** Reads `option NAME …`. `prefix` is the word before it: `no`, `default`, or nothing. */
export function readOption(
  line: Line,
  proxy: ProxyDraft,
  reading: Reading,
  prefix: "no" | "default" | undefined,
): void {
  const name = line.text(1);
  if (name === "") {
    line.alertTight("'option' expects an option name.");
    return;
  }
  const gone = GONE.get(name);
  if (gone !== undefined) {
    if (prefix === undefined) line.alertTight(gone, undefined, "config/removed");
    return;
  }
  const option = byName.get(ALIASES.get(name) ?? name);
  if (option === undefined) {
    line.alert(
      `unknown option '${name}'${didYouMean(name, byName.keys()) || "."}`,
      undefined,
      "config/unknown-option",
    );
    return;
  }
  if (prefix !== undefined && !option.negatable) {
    line.alertTight(`negation/default is not supported for option '${name}'.`);
    return;
  }
  if (!counts(line, proxy, option.side, name)) return;
  if (option.arguments >= 0 && !line.atMost(option.arguments, `option ${name}`, 2)) return;
  if (prefix === undefined) warnIgnored(option, line, " in 'option'");
  const negated = prefix === "no";
  if (option.read !== undefined) option.read(line, proxy, reading, negated);
  else if (prefix !== undefined) proxy.options.on.delete(option.name);
  else proxy.options.on.add(option.name);
}

function connectionMode(mode: ProxyOptions["connectionMode"]): NonNullable<Option["read"]> {
  return (_line, proxy, _reading, negated) => {
    if (!negated) proxy.options.connectionMode = mode;
    else if (proxy.options.connectionMode === mode)
      proxy.options.connectionMode = "http-keep-alive";
  };
}

function readForwarded(
  line: Line,
  name: string,
  header: string,
  ifNoneKnown: boolean,
): ForwardedFor | undefined {
  let wanted = header;
  let except: Prefix | undefined;
  let ifNone = false;
  for (let i = 2; line.text(i) !== ""; i++) {
    const word = line.text(i);
    if (word === "except") {
      except = parseNetwork(line.text(++i));
      if (except === undefined) {
        return void line.alert(`'option ${name} except' expects <address>[/mask] as argument.`);
      }
    } else if (word === "header") {
      wanted = line.text(++i);
      if (wanted === "")
        return void line.alert(`'option ${name} header' expects <header_name> as argument.`);
    } else if (word === "if-none" && ifNoneKnown) {
      ifNone = true;
    } else {
      return void line.alert(
        `'option ${name}' only supports optional values: 'except'${ifNoneKnown ? ", 'header' and 'if-none'" : " and 'header'"}.`,
      );
    }
  }
  return { header: wanted, except, ifNone };
}

/** `192.0.2.0/24`, `192.0.2.0/255.255.255.0`, an address alone. */
export function parseNetwork(text: string): Prefix | undefined {
  const [host, mask] = text.split("/");
  const address = parseAddress(host ?? "");
  if (address === undefined) return undefined;
  const bits = address.bytes.length * 8;
  if (mask === undefined) return { address, length: bits };
  const length = parseWhole(mask);
  if (length !== undefined) return length >= 0 && length <= bits ? { address, length } : undefined;
  const dotted = parseAddress(mask);
  if (dotted === undefined || dotted.family !== address.family) return undefined;
  const ones = Array.from(dotted.bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
  return /^1*0*$/.test(ones)
    ? { address, length: ones.indexOf("0") === -1 ? bits : ones.indexOf("0") }
    : undefined;
}

/** The options that choose how servers are checked. */
function checkOptions(): readonly Option[] {
  const method = (
    kind: CheckMethod["kind"],
    syntax: string,
    doc: string,
    args: number,
    wrong: (line: Line) => string | undefined = () => undefined,
    status: Option["status"] = "works",
  ): Option =>
    special(
      kind,
      syntax,
      "backend",
      doc,
      args,
      (line, proxy) => {
        const message = wrong(line);
        if (message !== undefined) line.alert(message);
        else {
          proxy.check = { at: line.at, kind, args: line.from(2).map(({ text }) => text) };
        }
      },
      { status },
    );
  return [
    method("httpchk", "[[<method>] <uri> [<version>]]", "Checks by an HTTP request.", 3, (line) => {
      const version = line.text(4);
      return /^HTTP\/\d\.\d[\r\n]/.test(version) || /^HTTP\/\d\.\d\\r/.test(version)
        ? "'option httpchk' : hiding headers or body at the end of the version string is not supported any more. Please, use 'http-check send' directive instead."
        : undefined;
    }),
    method("tcp-check", "", "Checks by tcp-check rules.", 0),
    method("smtpchk", "[<hello> <domain>]", "Checks by an SMTP greeting.", 2),
    method(
      "mysql-check",
      "[ user <name> [{ post-41 | pre-41 }] ]",
      "Checks by a MySQL handshake.",
      -1,
      (line) => {
        const [word, user, version] = [line.text(2), line.text(3), line.text(4)];
        if (word === "") return undefined;
        if (word !== "user")
          return `'option mysql-check' only supports optional values: 'user' (got '${word}').`;
        if (user === "") return "'option mysql-check user' expects <username> as argument.";
        if (version !== "" && version !== "post-41" && version !== "pre-41") {
          return `keyword 'post-41' and 'pre-41' are the only supported options (got '${version}').`;
        }
        return undefined;
      },
    ),
    method("pgsql-check", "user <name>", "Checks by a PostgreSQL start.", -1, (line) =>
      line.text(2) !== "user" || line.text(3) === ""
        ? "'option pgsql-check' expects 'user <username>' as argument."
        : undefined,
    ),
    method("redis-check", "", "Checks by a Redis PING.", 0),
    method("ldap-check", "", "Checks by an LDAP bind.", 0),
    method("ssl-hello-chk", "", "Checks by a TLS ClientHello.", 0),
    method("external-check", "", "Checks by a program.", 0),
    special(
      "spop-check",
      "",
      "backend",
      "Checks an SPOE agent.",
      0,
      (line) =>
        void line.alert(
          "'option spop-check' is not supported: SPOE is not served by lbproxy.",
          undefined,
          "config/not-served",
        ),
      { status: "not served" },
    ),
  ];
}
