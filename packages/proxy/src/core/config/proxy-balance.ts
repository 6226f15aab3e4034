import type { Mutable, ProxyDraft } from "./draft.ts";
import type { Line } from "./line.ts";
import { keyword, type ProxyKeyword } from "./proxy-keyword.ts";
import type { HashType, PersistenceCookie } from "./proxy-model.ts";
import { leadingNumber, parseTime, parseWhole } from "./values.ts";

const backend = { side: "backend" } as const;

/** How a server is chosen and kept. HAProxy configuration manual §4.2. */
export const balanceKeywords: readonly ProxyKeyword[] = [
  keyword(
    "balance",
    "balance <algorithm> [<arguments>]",
    { doc: "How a server is chosen.", ...backend, default: "random(2)" },
    (line, proxy) => {
      if (line.text(1) === "") return;
      const wrong = wrongBalance(line);
      if (wrong !== undefined) line.alert(wrong);
      else {
        proxy.balance = [...line.from(1)];
        proxy.balanceAt = line.at;
      }
    },
  ),
  keyword(
    "hash-type",
    "hash-type { map-based | consistent } [<function>] [avalanche]",
    { doc: "How a hash becomes a server.", ...backend, default: "map-based" },
    (line, proxy) => {
      const [method, fn, modifier] = [line.text(1), line.text(2), line.text(3)];
      if (method === "avalanche") {
        line.alert(
          "experimental feature 'hash-type avalanche' is not supported anymore, please use 'hash-type map-based sdbm avalanche' instead.",
        );
        return;
      }
      if (method !== "map-based" && method !== "consistent") {
        line.alert("'hash-type' only supports 'consistent' and 'map-based'.");
        return;
      }
      const functions: readonly HashType["function"][] = ["sdbm", "djb2", "wt6", "crc32", "none"];
      const found = fn === "" ? "sdbm" : functions.find((name) => name === fn);
      if (found === undefined) {
        line.alert("'hash-type' only supports 'sdbm', 'djb2', 'crc32', or 'wt6' hash functions.");
      } else if (modifier !== "" && modifier !== "avalanche") {
        line.alert("'hash-type' only supports 'avalanche' as a modifier for hash functions.");
      } else {
        proxy.hashType = {
          method,
          function: found,
          // Without a function the consistent method always mixes once more.
          avalanche: modifier === "avalanche" || (fn === "" && method === "consistent"),
        };
      }
    },
  ),
  keyword(
    "hash-balance-factor",
    "hash-balance-factor <percent>",
    { doc: "How far over the average a server may go.", ...backend, default: "0" },
    (line, proxy) => {
      const factor = leadingNumber(line.text(1));
      if (line.text(1) === "") line.alert("'hash-balance-factor' expects an integer argument.");
      else if (factor !== 0 && factor <= 100)
        line.alert("'hash-balance-factor' must be 0 or greater than 100.");
      else proxy.hashBalanceFactor = factor;
    },
  ),
  keyword(
    "hash-preserve-affinity",
    "hash-preserve-affinity { always | maxconn | maxqueue }",
    { doc: "When a hashed server that is full is left.", ...backend, default: "always" },
    (line) => {
      const mode = line.text(1);
      if (mode === "maxconn" || mode === "maxqueue")
        line.warn(
          `'hash-preserve-affinity ${mode}' is not supported by lbproxy: it does as with 'always'.`,
          undefined,
          "config/ignored",
        );
      else if (mode !== "always") line.alert(`'hash-preserve-affinity': unknown mode '${mode}'`);
    },
  ),
  keyword(
    "http-reuse",
    "http-reuse { never | safe | aggressive | always }",
    {
      doc: "How far server connections are shared by clients.",
      ...backend,
      readAnyway: true,
      default: "safe",
    },
    (line, proxy) => {
      const mode = line.text(1);
      if (mode === "never" || mode === "safe" || mode === "aggressive" || mode === "always") {
        if (line.atMost(1)) proxy.httpReuse = mode;
      } else line.alert("'http-reuse' only supports 'never', 'safe', 'aggressive', 'always'.");
    },
  ),
  keyword(
    "retry-on",
    "retry-on <condition>…",
    {
      doc: "After which failures a request is sent again.",
      inDefaults: "yes",
      default: "conn-failure",
    },
    readRetryOn,
  ),
  keyword(
    "cookie",
    "cookie <name> [ rewrite | insert | prefix ] [ indirect ] [ nocache ] …",
    { doc: "Persistence by a cookie.", ...backend },
    readCookie,
  ),
  keyword(
    "dynamic-cookie-key",
    "dynamic-cookie-key <text>",
    { doc: "Secret of dynamic cookies.", ...backend },
    (line, proxy) => {
      if (line.text(1) === "") line.alert("'dynamic-cookie-key' expects <secret_key> as argument.");
      else proxy.dynamicCookieKey = line.text(1);
    },
  ),
  keyword(
    "persist",
    "persist rdp-cookie[(<name>)]",
    { doc: "Persistence by the cookie of the remote desktop protocol.", ...backend },
    (line, proxy) => {
      const match = /^rdp-cookie(?:\(([^)]+)\))?$/.exec(line.text(1));
      if (line.text(1) === "") line.alert("missing persist method.");
      else if (match === null) line.alert("unknown persist method.");
      else proxy.persistRdpCookie = match[1] ?? "msts";
    },
  ),
  keyword(
    "http-send-name-header",
    "http-send-name-header [<header>]",
    { doc: "Tells the server its name.", ...backend },
    (line, proxy) => {
      if (line.text(1) === "") line.alert("'http-send-name-header' requires a header string.");
      else proxy.sendNameHeader = line.text(1);
    },
  ),
  keyword(
    "max-keep-alive-queue",
    "max-keep-alive-queue <number>",
    {
      doc: "Queue length from which keep-alive is given up for another server.",
      ...backend,
      default: "0",
    },
    (line, proxy) => {
      const value = parseWhole(line.text(1));
      if (line.text(1) === "")
        line.alert("'max-keep-alive-queue' expects expects an integer value (or -1 to disable).");
      else if (value === undefined) {
        line.alert(
          `'max-keep-alive-queue' : unexpected character '${/[^0-9]/.exec(line.text(1))?.[0] ?? ""}' in integer value '${line.text(1)}'`,
        );
      } else proxy.maxKeepAliveQueue = value;
    },
  ),
  keyword(
    "max-session-srv-conns",
    "max-session-srv-conns <number>",
    { doc: "Server connections kept for one client connection.", ...backend, status: "tuning" },
    () => {},
  ),
  keyword(
    "load-server-state-from-file",
    "load-server-state-from-file { global | local | none }",
    { doc: "Where the state of servers is read from at start.", ...backend, default: "none" },
    (line, proxy) => {
      const from = line.text(1);
      if (from === "global" || from === "local" || from === "none") {
        proxy.serverStateFile = { ...proxy.serverStateFile, from };
      } else
        line.alert(
          `'load-server-state-from-file' expects 'global', 'local' or 'none'. Got '${from}'`,
        );
    },
  ),
  keyword(
    "server-state-file-name",
    "server-state-file-name [ <file> | use-backend-name ]",
    { doc: "Name of this backend's state file.", ...backend, inDefaults: "no" },
    (line, proxy) => {
      const word = line.text(1);
      proxy.serverStateFile = {
        ...proxy.serverStateFile,
        name: word === "" || word === "use-backend-name" ? proxy.name : word,
      };
    },
  ),
];

const PLAIN_ALGORITHMS = [
  "roundrobin",
  "static-rr",
  "first",
  "leastconn",
  "source",
  "sticky",
  "log-hash",
];

/** HAProxy's message, or undefined. What is an expression is judged where expressions are. */
function wrongBalance(line: Line): string | undefined {
  const [word, next] = [line.text(1), line.text(2)];
  if (PLAIN_ALGORITHMS.includes(word)) return undefined;
  if (word === "uri") {
    for (let i = 2; line.text(i) !== ""; i++) {
      const option = line.text(i);
      if (option === "len" || option === "depth") {
        if ((parseWhole(line.text(i + 1)) ?? 0) <= 0) {
          return `balance uri : '${option}' expects a positive integer (got '${line.text(i + 1)}').`;
        }
        i++;
      } else if (option !== "whole" && option !== "path-only") {
        return `balance uri only accepts parameters 'len', 'depth', 'path-only', and 'whole' (got '${option}').`;
      }
    }
    return undefined;
  }
  if (word === "url_param") {
    if (next === "") return "balance url_param requires an URL parameter name.";
    if (line.text(3) !== "" && line.text(3) !== "check_post") {
      return "balance url_param only accepts check_post modifier.";
    }
    return undefined;
  }
  if (word === "hash")
    return next === "" ? "balance hash requires a sample expression." : undefined;
  if (word.startsWith("random")) {
    const match = /^random(?:\((.*)\))?$/.exec(word);
    const draws = match?.[1];
    if (match === null) return "balance random : missing closing parenthesis.";
    if (draws === undefined || draws === "") return undefined;
    const bad = /[^0-9]/.exec(draws);
    if (bad !== null) return `balance random : unexpected character '${bad[0]}' after argument.`;
    return Number(draws) < 1 ? "balance random : number of draws must be at least 1." : undefined;
  }
  if (word.startsWith("hdr(")) {
    return /^hdr\([^)]+\)$/.test(word)
      ? undefined
      : "balance hdr requires an http header field name.";
  }
  if (word.startsWith("rdp-cookie")) {
    return /^rdp-cookie(\([^)]+\))?$/.test(word)
      ? undefined
      : "balance rdp-cookie : missing cookie name.";
  }
  return "balance only supports 'roundrobin', 'static-rr', 'leastconn', 'source', 'uri', 'url_param', 'hdr(name)' and 'rdp-cookie(name)' options.";
}

const RETRY_CONDITIONS = [
  "conn-failure",
  "empty-response",
  "junk-response",
  "response-timeout",
  "0rtt-rejected",
  "all-retryable-errors",
  "receiving-timeout",
  "401",
  "403",
  "404",
  "408",
  "421",
  "425",
  "429",
  "500",
  "501",
  "502",
  "503",
  "504",
];

function readRetryOn(line: Line, proxy: ProxyDraft): void {
  if (proxy.section !== "defaults" && !proxy.isBackend) {
    line.alert("'retry-on' only available in backend or listen section");
    return;
  }
  const words = line.from(1).map(({ text }) => text);
  if (words.length === 0) {
    line.alert("'retry-on' needs at least one keyword to specify when to retry");
    return;
  }
  if (words[0] === "none") {
    if (words.length > 1) line.alert("'retry-on' 'none' keyworld only usable alone");
    else proxy.retryOn = [];
    return;
  }
  const bad = words.find((word) => !RETRY_CONDITIONS.includes(word));
  if (bad !== undefined) line.alert(`'retry-on': unknown keyword '${bad}'`);
  else proxy.retryOn = words;
}

function readCookie(line: Line, proxy: ProxyDraft): void {
  if (line.text(1) === "") {
    line.alert("'cookie' expects <cookie_name> as argument.");
    return;
  }
  const cookie: Mutable<PersistenceCookie> = {
    name: line.text(1),
    mode: "passive",
    indirect: false,
    nocache: false,
    postonly: false,
    preserve: false,
    httponly: false,
    secure: false,
    dynamic: false,
    domain: undefined,
    maxidle: undefined,
    maxlife: undefined,
    attributes: [],
  };
  let modes = 0;
  for (let i = 2; line.text(i) !== ""; i++) {
    const word = line.text(i);
    switch (word) {
      case "rewrite":
      case "insert":
      case "prefix":
        cookie.mode = word;
        modes++;
        break;
      case "indirect":
      case "nocache":
      case "postonly":
      case "preserve":
      case "httponly":
      case "secure":
      case "dynamic":
        cookie[word] = true;
        break;
      case "domain": {
        const domain = line.text(++i);
        if (domain === "") return void line.alertTight("'domain' expects <domain> as argument.");
        if (!domain.startsWith(".") || !domain.slice(1).includes(".")) {
          line.warnTight(
            `domain '${domain}' contains no embedded dots or does not start with a dot. RFC forbids it, this configuration may not work properly.`,
          );
        }
        cookie.domain = cookie.domain === undefined ? domain : `${cookie.domain}; domain=${domain}`;
        break;
      }
      case "maxidle":
      case "maxlife": {
        const text = line.text(++i);
        const time = parseTime(text, { unit: 1_000_000 });
        if (text === "")
          return void line.alertTight(`'${word}' expects <idletime> in seconds as argument.`);
        if (time.kind === "overflow")
          return void line.alertTight(
            `timer overflow in argument '${text}' to <${word}>, maximum value is 2147483647 s (~68 years).`,
          );
        if (time.kind === "bad")
          return void line.alertTight(
            `unexpected character '${time.character}' in argument to <${word}>.`,
          );
        cookie[word] = time.value;
        break;
      }
      case "attr": {
        const attribute = line.text(++i);
        if (attribute === "") return void line.alertTight("'attr' expects <value> as argument.");
        const bad = [...attribute].find((c) => c === ";" || c < " ");
        if (bad !== undefined) {
          return void line.alertTight(`character '${bad}' is not permitted in attribute value.`);
        }
        cookie.attributes.push(attribute);
        break;
      }
      default:
        return void line.alert(
          "'cookie' supports 'rewrite', 'insert', 'prefix', 'indirect', 'nocache', 'postonly', 'domain', 'maxidle', 'dynamic', 'maxlife' and 'attr' options.",
        );
    }
  }
  if (modes > 1) line.alert("cookie 'rewrite', 'insert' and 'prefix' modes are incompatible.");
  else if (cookie.mode === "rewrite" && cookie.indirect) {
    line.alert("cookie 'rewrite' and 'indirect' modes are incompatible.");
  } else proxy.cookie = cookie;
}
