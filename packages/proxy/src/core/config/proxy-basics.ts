import { readBind } from "./bind.ts";
import type { ProxyDraft } from "./draft.ts";
import type { Line } from "./line.ts";
import { keyword, nameOf, type ProxyKeyword, removed } from "./proxy-keyword.ts";
import { readServer } from "./server.ts";
import { readSource } from "./source-address.ts";
import { readStickTable } from "./stick-table.ts";
import { leadingNumber, parseTime, parseWhole } from "./values.ts";

const frontend = { side: "frontend" } as const;
const backend = { side: "backend" } as const;

/** What a proxy is: mode, sockets, servers, limits, names. HAProxy configuration manual §4.2. */
export const basicKeywords: readonly ProxyKeyword[] = [
  keyword(
    "mode",
    "mode { tcp | http | log }",
    { doc: "What is spoken.", default: "tcp" },
    (line, proxy, { draft }) => {
      const mode = line.text(1);
      if (!line.atMost(1)) return;
      if (mode === "health") {
        line.alert(
          "'mode health' doesn't exist anymore. Please use 'http-request return status 200' instead.",
          undefined,
          "config/removed",
        );
      } else if (mode === "tcp" || mode === "http" || mode === "log" || mode === "haterm") {
        proxy.mode = mode;
        if (mode === "log" || mode === "haterm")
          draft.later.push({ at: line.at, feature: `'mode ${mode}'` });
      } else if (mode === "spop") {
        line.alert(
          "'mode spop' is not supported: SPOE is not served by lbproxy.",
          undefined,
          "config/not-served",
        );
      } else line.alert(`unknown proxy mode '${mode}'.`);
    },
  ),
  keyword(
    "bind",
    "bind [<address>]:<port>[,…] [<word>…]",
    { doc: "Where clients connect.", ...frontend, inDefaults: "no" },
    (line, proxy, reading) =>
      readBind(
        line,
        reading,
        {
          label: `'bind ${line.text(1)}' in section 'frontend'`,
          unknownLabel: `'bind ${line.text(1)}' in section 'frontend':`,
          skip: 1,
          expects:
            "'bind' expects {<path>|[addr1]:port1[-end1]}{,[addr]:port[-end]}... as arguments.",
        },
        (bind) => proxy.binds.push(bind),
      ),
  ),
  ...(["server", "server-template", "default-server"] as const).map((name) =>
    keyword(
      name,
      name === "server"
        ? "server <name> <address>[:<port>] [<word>…]"
        : name === "default-server"
          ? "default-server [<word>…]"
          : "server-template <prefix> <count> <address>[:<port>] [<word>…]",
      {
        doc:
          name === "server"
            ? "A server."
            : name === "default-server"
              ? "Words for every server line after it."
              : "Several servers of one kind.",
      },
      (line, proxy, reading) => {
        if (proxy.section === "defaults" && name !== "default-server") {
          reading.findings.alertPlace(
            "config/not-in-defaults",
            line.at,
            `'${name}' not allowed in 'defaults' section.`,
          );
        } else if (proxy.section !== "defaults" && !proxy.isBackend) {
          reading.findings.alertPlace(
            "config/no-capability",
            line.at,
            `parsing [${line.at.file}:${line.at.line}] : '${name}' not allowed because ${nameOf(proxy)} has no backend capability.`,
          );
        } else readServer(line, reading, proxy);
      },
    ),
  ),
  keyword(
    "maxconn",
    "maxconn <number>",
    {
      doc: "Concurrent connections of the frontend.",
      ...frontend,
      instead: "Maybe you want 'fullconn' instead ?",
    },
    (line, proxy) => {
      const value = whole(line);
      if (value !== undefined) proxy.maxconn = value === 0 ? undefined : value;
    },
  ),
  keyword(
    "backlog",
    "backlog <number>",
    { doc: "Connections waiting in the kernel.", ...frontend },
    (line, proxy) => {
      const value = whole(line);
      if (value !== undefined) proxy.backlog = value;
    },
  ),
  keyword(
    "fullconn",
    "fullconn <number>",
    {
      doc: "Load at which a dynamic maxconn is reached.",
      ...backend,
      instead: "Maybe you want 'maxconn' instead ?",
    },
    (line, proxy) => {
      const value = whole(line);
      if (value !== undefined) proxy.fullconn = value;
    },
  ),
  keyword(
    "rate-limit",
    "rate-limit sessions <number>",
    { doc: "New sessions a second.", ...frontend },
    (line, proxy) => {
      if (line.text(1) !== "sessions") {
        line.alert(`'rate-limit' only supports 'sessions' (got '${line.text(1)}')`);
        return;
      }
      const value = parseWhole(line.text(2));
      if (line.text(2) === "")
        line.alert("'rate-limit sessions' expects expects an integer value (in sessions/second)");
      else if (value === undefined || value < 0) {
        line.alert(
          `'rate-limit sessions': unexpected character '${/\D/.exec(line.text(2))?.[0] ?? ""}' in integer value '${line.text(2)}'`,
        );
      } else proxy.rateLimitSessions = value;
    },
  ),
  keyword(
    "retries",
    "retries <number>",
    { doc: "Tries beyond the first to connect.", ...backend, default: "3" },
    (line, proxy) => {
      if (line.text(1) === "")
        line.alert("'retries' expects an integer argument (dispatch counts for one).");
      else proxy.retries = number(line, 1);
    },
  ),
  keyword(
    "id",
    "id <number>",
    { doc: "The proxy's number.", inDefaults: "no" },
    (line, proxy, { draft }) => {
      const id = parseWhole(line.text(1)) ?? 0;
      if (line.text(1) === "") line.alert("'id' expects an integer argument.");
      else if (id <= 0) line.alertTight("custom id has to be > 0.");
      else {
        const other = draft.proxies.find(
          (another) => another !== proxy && another.explicitId && another.id === id,
        );
        if (other !== undefined) {
          line.alertTight(
            `custom id ${id} for ${nameOf(proxy)} was already used by ${nameOf(other)} declared at ${other.at.file}:${other.at.line}.`,
          );
        }
        proxy.id = id;
        proxy.explicitId = true;
      }
    },
  ),
  keyword(
    "guid",
    "guid <text>",
    {
      doc: "A name that stays the same over reloads, which nothing here reads.",
      inDefaults: "no",
      status: "tuning",
    },
    (line) => {
      if (line.text(1) === "") line.alert("'guid' expects an argument.");
    },
  ),
  keyword(
    "description",
    "description <text>",
    { doc: "Text for the stats page.", inDefaults: "no" },
    (line, proxy) => {
      if (line.text(1) === "") line.alertTight("'description' expects a string argument.");
      else
        proxy.description = line
          .from(1)
          .map(({ text }) => text)
          .join(" ");
    },
  ),
  keyword("disabled", "disabled", { doc: "Is read and not started." }, (line, proxy) => {
    if (line.atMost(0)) proxy.disabled = true;
  }),
  keyword("enabled", "enabled", { doc: "Undoes disabled." }, (line, proxy) => {
    if (line.atMost(0)) proxy.disabled = false;
  }),
  keyword(
    "default_backend",
    "default_backend <backend>",
    { doc: "Where requests go that no use_backend took.", readAnyway: true, ...frontend },
    (line, proxy) => {
      if (line.text(1) === "") line.alert("'default_backend' expects a backend name.");
      else if (line.atMost(1)) proxy.defaultBackend = { name: line.text(1), at: line.atWord(1) };
    },
  ),
  keyword(
    "monitor-uri",
    "monitor-uri <uri>",
    { doc: "Answers 200 to that target itself.", ...frontend },
    (line, proxy) => {
      if (line.text(1) === "") line.alert("'monitor-uri' expects an URI.");
      else if (line.atMost(1)) proxy.monitorUri = line.text(1);
    },
  ),
  keyword(
    "capture",
    "capture { cookie <name> | { request | response } header <name> } len <length>",
    { doc: "Keeps a header or cookie for logs.", ...frontend, inDefaults: "no" },
    readCapture,
  ),
  keyword(
    "declare",
    "declare capture { request | response } len <length>",
    { doc: "A slot for http-request capture.", ...frontend, inDefaults: "no" },
    (line, proxy) => {
      const side = line.text(2);
      if (line.text(1) !== "capture")
        line.alert(`unknown declaration type '${line.text(1)}' (supports 'capture')`);
      else if (side !== "request" && side !== "response") {
        line.alert("'declare capture' requires a direction ('request' or 'response')");
      } else if (line.text(3) !== "len" || leadingNumber(line.text(4)) <= 0) {
        line.alert("'declare capture' requires a capture length");
      } else
        proxy.declaredCaptures.push({ at: line.at, side, length: leadingNumber(line.text(4)) });
    },
  ),
  keyword(
    "stick-table",
    "stick-table type <type> [len <n>] size <n> [expire <time>] [store <data>,…] …",
    { doc: "A table of keys and counters.", inDefaults: "no" },
    (line, proxy, { draft }) => {
      const table = readStickTable(line, proxy.name, 1);
      if (table === undefined) return;
      const before = draft.stickTables.get(table.name);
      if (before !== undefined) {
        line.alert(
          `stick-table name '${proxy.name}' conflicts with table declared in ${nameOf(proxy)} at ${before.at.file}:${before.at.line}.`,
        );
        return;
      }
      proxy.stickTable = table;
      draft.stickTables.set(table.name, table);
      if (table.peers !== undefined)
        draft.later.push({ at: line.at, feature: "a stick table shared by peers" });
    },
  ),
  keyword(
    "source",
    "source <address>[:<port>] [usesrc …] [interface <name>]",
    { doc: "Which local address connections come from.", ...backend },
    (line, proxy, reading) => {
      if (line.text(1) === "") {
        line.alert(
          "'source' expects <addr>[:<port>], and optionally 'usesrc' <addr>, and 'interface' <name>.",
        );
        return;
      }
      const next = readSource(line, reading, 1, (source) => {
        proxy.source = source;
      });
      if (typeof next === "string") line.alert(next);
      else if (line.text(next) !== "") {
        line.alert("'source' only supports optional keywords 'interface' and 'usesrc'.");
      }
    },
  ),
  keyword(
    "email-alert",
    "email-alert { from <addr> | to <addr> | mailers <name> | level <level> | myhostname <name> }",
    { doc: "Mails about servers.", status: "later" },
    readEmailAlert,
  ),
  keyword(
    "filter",
    "filter <name> [<args>…]",
    {
      doc: "A filter: compression, cache, trace, bwlim-in, bwlim-out.",
      inDefaults: "no",
      status: "later",
    },
    readFilter,
  ),
  keyword(
    "compression",
    "compression { algo <a>… | type <mime>… | offload | direction <d> | minsize-req <n> | minsize-res <n> }",
    { doc: "Compresses answers.", status: "later" },
    readCompression,
  ),
  keyword(
    "use-fcgi-app",
    "use-fcgi-app <name>",
    { doc: "Not served: FastCGI.", ...backend, status: "not served" },
    (line) =>
      line.alert(
        "'use-fcgi-app' is not supported: FastCGI is not served by lbproxy.",
        undefined,
        "config/not-served",
      ),
  ),
  keyword(
    "quic-initial",
    "quic-initial <action>",
    { doc: "Not served: QUIC.", ...frontend, status: "not served" },
    (line) =>
      line.alert(
        "'quic-initial' is not supported: QUIC is not served by lbproxy.",
        undefined,
        "config/not-served",
      ),
  ),
  ...keepAliveKeywords(),
  ...removedKeywords(),
];

function readCapture(line: Line, proxy: ProxyDraft): void {
  const side = line.text(1);
  if (side === "cookie") {
    if (line.text(2) === "" || line.text(3) !== "len" || line.text(4) === "") {
      line.alert("'capture cookie' expects 'cookie' <cookie_name> 'len' <len>.");
      return;
    }
    proxy.captureCookie = {
      name: line.text(2).replace(/=.*/s, ""),
      length: leadingNumber(line.text(4)),
      exact: line.text(2).includes("="),
    };
    return;
  }
  if (side !== "request" && side !== "response") {
    line.alert("'capture' expects 'cookie' or 'request header' or 'response header'.");
    return;
  }
  if (
    line.text(2) !== "header" ||
    line.text(3) === "" ||
    line.text(4) !== "len" ||
    line.text(5) === ""
  ) {
    line.alert(`'capture ${side}' expects 'header' <header_name> 'len' <len>.`);
    return;
  }
  proxy.captures.push({ at: line.at, side, header: line.text(3), length: number(line, 5) });
}

function readEmailAlert(
  line: Line,
  proxy: ProxyDraft,
  { draft }: Parameters<ProxyKeyword["read"]>[2],
): void {
  const [what, value] = [line.text(1), line.text(2)];
  const alert = proxy.emailAlert ?? {
    from: undefined,
    to: undefined,
    mailers: undefined,
    level: 1,
    myhostname: undefined,
  };
  if (
    what !== "from" &&
    what !== "to" &&
    what !== "mailers" &&
    what !== "level" &&
    what !== "myhostname"
  ) {
    line.alert(`email-alert: unknown argument '${what}'.`);
    return;
  }
  if (value === "") {
    line.alert(`missing argument after '${what}'.`);
    return;
  }
  if (what === "level") {
    const level = ["emerg", "alert", "crit", "err", "warning", "notice", "info", "debug"].indexOf(
      value,
    );
    if (level === -1) line.alert(`unknown log level '${value}' after 'level'`);
    else proxy.emailAlert = { ...alert, level };
  } else proxy.emailAlert = { ...alert, [what]: value };
  draft.later.push({ at: line.at, feature: "'email-alert'" });
}

const FILTERS = ["bwlim-in", "bwlim-out", "cache", "compression", "comp-req", "comp-res", "trace"];

function readFilter(
  line: Line,
  proxy: ProxyDraft,
  { draft }: Parameters<ProxyKeyword["read"]>[2],
): void {
  const name = line.text(1);
  if (name === "")
    line.alert(
      `parsing [${line.at.file}:${line.at.line}] : missing argument for 'filter' in ${nameOf(proxy)}.`,
    );
  else if (["spoe", "fcgi-app", "opentracing"].includes(name)) {
    line.alert(
      `'filter ${name}' is not supported: it is not served by lbproxy.`,
      undefined,
      "config/not-served",
    );
  } else if (!FILTERS.includes(name)) {
    line.alert(
      `'filter' : unknown keyword '${name}'. Registered keywords :${FILTERS.map((known) => `\n    ${known}`).join("")}`,
    );
  } else {
    proxy.filters.push({ at: line.at, words: line.from(1) });
    draft.later.push({ at: line.at, feature: `'filter ${name}'` });
  }
}

const ALGORITHMS = ["identity", "deflate", "raw-deflate", "gzip"];

function readCompression(
  line: Line,
  proxy: ProxyDraft,
  { draft }: Parameters<ProxyKeyword["read"]>[2],
): void {
  proxy.compression ??= {
    algorithms: { request: [], response: [] },
    types: { request: [], response: [] },
    direction: "response",
    offload: false,
    minSizeBytes: { request: 0, response: 0 },
  };
  const before = proxy.compression;
  const what = line.text(1);
  const values = line.from(2).map(({ text }) => text);
  switch (what) {
    case "algo":
    case "algo-req":
    case "algo-res": {
      const bad = values.find((value) => !ALGORITHMS.includes(value));
      if (values.length === 0)
        line.alert(
          `parsing [${line.at.file}:${line.at.line}] : 'compression' expects <algorithm>.`,
        );
      else if (bad !== undefined)
        line.alert(`'compression' : '${bad}' is not a supported algorithm.`);
      else {
        const side = what === "algo-req" ? "request" : "response";
        proxy.compression = {
          ...before,
          algorithms: { ...before.algorithms, [side]: [...before.algorithms[side], ...values] },
        };
      }
      break;
    }
    case "type":
    case "type-req":
    case "type-res": {
      const side = what === "type-req" ? "request" : "response";
      if (values.length === 0) line.alert("'compression' expects <type>.");
      else
        proxy.compression = {
          ...before,
          types: { ...before.types, [side]: [...before.types[side], ...values] },
        };
      break;
    }
    case "offload":
      if (proxy.section === "defaults")
        line.warn("'compression' : 'offload' ignored in 'defaults' section.");
      else proxy.compression = { ...before, offload: true };
      break;
    case "direction": {
      const direction = values[0];
      if (direction === "request" || direction === "response" || direction === "both") {
        proxy.compression = { ...before, direction };
      } else line.alert("'compression' : 'direction' expects 'request', 'response', or 'both'.");
      break;
    }
    case "minsize-req":
    case "minsize-res": {
      const side = what === "minsize-req" ? "request" : "response";
      proxy.compression = {
        ...before,
        minSizeBytes: { ...before.minSizeBytes, [side]: leadingNumber(values[0] ?? "") },
      };
      break;
    }
    default:
      line.alert("'compression' expects 'algo', 'type' or 'offload'");
      return;
  }
  draft.later.push({ at: line.at, feature: "compression" });
}

/** `clitcpka-cnt` and its five relatives. */
function keepAliveKeywords(): readonly ProxyKeyword[] {
  return (["clitcpka", "srvtcpka"] as const).flatMap((name) => {
    const side = name === "clitcpka" ? frontend : backend;
    return [
      keyword(
        `${name}-cnt`,
        `${name}-cnt <number>`,
        { doc: "Probes until a dead connection is closed.", ...side },
        (line, proxy) => {
          const count = whole(line);
          if (count !== undefined) proxy.options[name] = { ...proxy.options[name], count };
        },
      ),
      ...(["idle", "intvl"] as const).map((what) =>
        keyword(
          `${name}-${what}`,
          `${name}-${what} <time>`,
          {
            doc: what === "idle" ? "Silence until the first probe." : "Time between probes.",
            ...side,
          },
          (line, proxy) => {
            const time = parseTime(line.text(1), { unit: 1_000_000 });
            if (time.kind !== "ok")
              line.alert(`'${name}-${what}' expects a time but got '${line.text(1)}'.`);
            else {
              proxy.options[name] = {
                ...proxy.options[name],
                [what === "idle" ? "idle" : "interval"]: time.value,
              };
            }
          },
        ),
      ),
    ];
  });
}

/** What files of old still have. HAProxy's words, each naming the successor. */
function removedKeywords(): readonly ProxyKeyword[] {
  const old = (name: string, successor: string): ProxyKeyword =>
    removed(
      name,
      `The '${name}' directive is not supported anymore since HAProxy 2.1. Use ${successor} instead.`,
    );
  const timeout = (name: string, successor: string): ProxyKeyword =>
    removed(
      name,
      `the '${name}' directive is not supported anymore since HAProxy 2.1. Use 'timeout ${successor}'.`,
    );
  const replace =
    "'http-request replace-path', 'http-request replace-uri' or 'http-request replace-header'";
  return [
    timeout("clitimeout", "client"),
    timeout("srvtimeout", "server"),
    timeout("contimeout", "connect"),
    removed(
      "block",
      "The 'block' directive is not supported anymore since HAProxy 2.1. Use 'http-request deny' which uses the exact same syntax.",
    ),
    old("reqadd", "'http-request add-header'"),
    ...["reqrep", "reqirep"].map((name) => old(name, replace)),
    ...["reqdel", "reqidel"].map((name) => old(name, "'http-request del-header'")),
    ...["reqdeny", "reqideny"].map((name) => old(name, "'http-request deny'")),
    ...["reqallow", "reqiallow", "reqpass", "reqipass"].map((name) =>
      old(name, "'http-request allow'"),
    ),
    ...["reqtarpit", "reqitarpit"].map((name) => old(name, "'http-request tarpit'")),
    ...["reqsetbe", "reqisetbe"].map((name) => old(name, "'use_backend' with 'acl' rules")),
    old("rspadd", "'http-response add-header'"),
    ...["rsprep", "rspirep"].map((name) => old(name, "'http-response replace-header'")),
    ...["rspdel", "rspidel"].map((name) => old(name, "'http-response del-header'")),
    ...["rspdeny", "rspideny"].map((name) => old(name, "'http-response deny'")),
    removed(
      "redispatch",
      "The 'redispatch' directive is not supported anymore since HAProxy 2.1. Use 'option redispatch'.",
    ),
    removed(
      "redisp",
      "The 'redisp' directive is not supported anymore since HAProxy 2.1. Use 'option redispatch'.",
    ),
    removed(
      "appsession",
      "'appsession' is not supported anymore since HAProxy 1.6. Use 'stick-table' with 'stick store-response' and 'stick match' instead.",
    ),
    removed(
      "monitor-net",
      "'monitor-net' is not supported anymore since HAProxy 2.4. Use 'http-request return status 200 if { src <net> }' instead.",
    ),
    tight("grace", "the 'grace' keyword is not supported any more since HAProxy version 2.5."),
    removed(
      "bind-process",
      "'bind-process' is not supported anymore since HAProxy 2.7. Use 'thread' on 'bind' lines instead.",
    ),
    removed(
      "dispatch",
      "'dispatch' is not supported anymore since HAProxy 3.3. Use a 'server' line instead.",
    ),
    removed(
      "transparent",
      "'transparent' is not supported anymore since HAProxy 3.3. Use 'server <name> 0.0.0.0' instead.",
    ),
  ];
}

/** As `removed`, in HAProxy's tighter spelling. */
function tight(name: string, message: string): ProxyKeyword {
  return keyword(name, name, { doc: message, status: "removed" }, (line) =>
    line.alertTight(message, undefined, "config/removed"),
  );
}

/** One whole number, as HAProxy's `maxconn` of a proxy: no argument is an error, text is not. */
function whole(line: Line): number | undefined {
  if (line.text(1) === "") {
    line.alert(`'${line.name}' expects an integer argument.`);
    return undefined;
  }
  if (!line.atMost(1)) return undefined;
  return number(line, 1);
}

/** HAProxy takes text for 0 in silence; we take it for 0 and say so. */
function number(line: Line, i: number): number {
  const word = line.text(i);
  const value = parseWhole(word);
  if (value === undefined) {
    line.warn(
      `'${line.name}' : '${word}' is not a number, ${leadingNumber(word)} is used as HAProxy does.`,
    );
  }
  return value ?? leadingNumber(word);
}
