import type { Position } from "@ha/base";
import type { ProxyDraft } from "./draft.ts";
import { NEGATION_REFUSED } from "./global.ts";
import { indexByName, type KeywordEntry, warnIgnored } from "./keyword.ts";
import { didYouMean, type Line } from "./line.ts";
import { balanceKeywords } from "./proxy-balance.ts";
import { basicKeywords } from "./proxy-basics.ts";
import { checkKeywords } from "./proxy-checks.ts";
import { errorKeywords } from "./proxy-errors.ts";
import { counts, type ProxyKeyword } from "./proxy-keyword.ts";
import { logKeywords, readNoLog } from "./proxy-logs.ts";
import type { ProxyRules, Ruleset } from "./proxy-model.ts";
import { proxyOptions, readOption } from "./proxy-options.ts";
import { ruleKeywords } from "./proxy-rules.ts";
import { readStats, statsKeywords } from "./proxy-stats.ts";
import { readTimeout, timeoutKeywords } from "./proxy-timeouts.ts";
import type { Reading } from "./reading.ts";
import { copyWords, emptyServerWords } from "./server.ts";

/** All keywords of proxies but the families of `option`, `stats` and `timeout`. */
export const proxyKeywords: readonly ProxyKeyword[] = [
  ...basicKeywords,
  ...balanceKeywords,
  ...ruleKeywords,
  ...logKeywords,
  ...errorKeywords,
  ...checkKeywords,
];

const byName = indexByName(proxyKeywords);
const FAMILIES = ["option", "stats", "timeout"];
const NAMES = [
  ...proxyKeywords.filter(({ status }) => status !== "removed").map(({ name }) => name),
  ...FAMILIES,
];

/** For the reference page. */
export const proxyReference: readonly KeywordEntry[] = [
  ...proxyKeywords,
  ...proxyOptions,
  ...timeoutKeywords,
  ...statsKeywords,
];

/** Reads one line of a proxy or defaults section. `prefix` is `no` or `default` when it stood before. */
export function readProxyLine(
  line: Line,
  proxy: ProxyDraft,
  reading: Reading,
  prefix: "no" | "default" | undefined,
): void {
  if (prefix !== undefined && line.name !== "option" && line.name !== "log") {
    line.alertTight(NEGATION_REFUSED);
    return;
  }
  switch (line.name) {
    case "option":
      readOption(line, proxy, reading, prefix);
      return;
    case "timeout":
      readTimeout(line, proxy);
      return;
    case "stats":
      readStats(line, proxy);
      return;
    case "log":
      if (prefix === "no") {
        readNoLog(line, proxy, reading);
        return;
      }
  }
  const keyword = byName.get(line.name);
  if (keyword === undefined) {
    line.alert(
      `unknown keyword '${line.name}' in '${proxy.section}' section${didYouMean(line.name, NAMES)}`,
      undefined,
      "config/unknown-keyword",
    );
    return;
  }
  if (keyword.status === "removed") {
    keyword.read(line, proxy, reading);
    return;
  }
  if (proxy.section === "defaults" && !allowedInDefaults(keyword, proxy, line)) return;
  const counting = counts(line, proxy, keyword.side, keyword.name, keyword.instead);
  if (counting || keyword.readAnyway === true) {
    warnIgnored(keyword, line);
    keyword.read(line, proxy, reading);
  }
}

/** Server lines tell it in their own form. */
const OWN_MESSAGE = new Set(["server", "server-template", "default-server"]);

function allowedInDefaults(keyword: ProxyKeyword, proxy: ProxyDraft, line: Line): boolean {
  if (keyword.inDefaults === "yes" || OWN_MESSAGE.has(keyword.name)) return true;
  if (keyword.inDefaults === "named" && proxy.name !== "") return true;
  const code = "config/not-in-defaults";
  if (keyword.inDefaults === "named") {
    line.alert(`'${keyword.name}' not allowed in anonymous 'defaults' section.`, undefined, code);
  } else if (keyword.name === "stick-table") {
    line.alert("'stick-table' is not supported in 'defaults' section.", undefined, code);
  } else if (keyword.name === "id" || keyword.name === "description") {
    line.alertTight(`'${keyword.name}' not allowed in 'defaults' section.`, undefined, code);
  } else {
    const name = keyword.name === "capture" ? `capture ${line.text(1)}`.trim() : keyword.name;
    line.alert(`'${name}' not allowed in 'defaults' section.`, undefined, code);
  }
  return false;
}

const RULESETS: readonly Ruleset[] = [
  "tcp-request connection",
  "tcp-request session",
  "tcp-request content",
  "tcp-response content",
  "http-request",
  "http-response",
  "http-after-response",
  "redirect",
  "use_backend",
  "use-server",
  "stick",
  "force-persist",
  "force-be-switch",
  "ignore-persist",
  "monitor fail",
  "stats admin",
  "stats http-request",
];

/** HAProxy 3.5's algorithm where no `balance` stands. */
const DEFAULT_BALANCE = "random(2)";

function mapRules(copy: (ruleset: Ruleset) => ProxyRules[Ruleset]): ProxyDraft["rules"] {
  const entries = RULESETS.map((ruleset) => [ruleset, [...copy(ruleset)]] as const);
  return Object.fromEntries(entries) as ProxyDraft["rules"];
}

/** What a proxy is when neither it nor its defaults say anything. */
export function emptyProxy(
  section: ProxyDraft["section"],
  name: string,
  at: Position,
  reading: Reading,
): ProxyDraft {
  return {
    section,
    isFrontend: section === "frontend" || section === "listen",
    isBackend: section === "backend" || section === "listen",
    at,
    name,
    kind: section === "defaults" ? "listen" : section,
    id: 0,
    mode: "tcp",
    disabled: false,
    description: undefined,
    options: {
      on: new Set(),
      connectionMode: "http-keep-alive",
      forwardfor: undefined,
      originalto: undefined,
      forwarded: undefined,
      redispatch: undefined,
      restrictRequestHeaderNames: "preserve",
      clitcpka: { count: undefined, idle: undefined, interval: undefined },
      srvtcpka: { count: undefined, idle: undefined, interval: undefined },
    },
    timeouts: {},
    logTargets: [],
    logTag: undefined,
    errorPages: new Map(),
    stats: undefined,
    stickTable: undefined,
    compression: undefined,
    rules: mapRules(() => []),
    acls: [],
    inspectDelay: undefined,
    responseInspectDelay: undefined,
    filters: [],
    emailAlert: undefined,
    binds: [],
    maxconn: undefined,
    backlog: undefined,
    rateLimitSessions: 0,
    defaultBackend: undefined,
    monitorUri: undefined,
    captures: [],
    declaredCaptures: [],
    captureCookie: undefined,
    logFormat: { kind: "none" },
    errorLogFormat: undefined,
    logFormatSd: undefined,
    uniqueIdFormat: undefined,
    uniqueIdHeader: undefined,
    grace: undefined,
    logSteps: undefined,
    servers: [],
    balance: [{ text: DEFAULT_BALANCE, at }],
    hashType: { method: "map-based", function: "sdbm", avalanche: false },
    hashBalanceFactor: 0,
    retries: 3,
    retryOn: ["conn-failure"],
    fullconn: undefined,
    httpReuse: "safe",
    maxKeepAliveQueue: -1,
    cookie: undefined,
    dynamicCookieKey: undefined,
    persistRdpCookie: undefined,
    source: undefined,
    check: { at: undefined, kind: "connect", args: [] },
    httpCheck: [],
    tcpCheck: [],
    externalCheck: { command: undefined, path: undefined },
    sendNameHeader: undefined,
    serverStateFile: { from: "none", name: undefined },
    templates: 0,
    defaults: emptyServerWords(reading.draft.global),
    logGlobal: false,
    logFormatSource: undefined,
    ownTimeouts: new Set(),
    errorSections: [],
    firstRuleAt: new Map(),
    finalAt: new Map(),
    balanceAt: undefined,
    checkRulesAt: new Map(),
    explicitId: false,
    ownStats: false,
    ownForwarding: false,
    defaultsName: "",
  };
}

/** A proxy that starts from a defaults section: every setting is copied, so that neither changes the other. */
export function fromDefaults(
  defaults: ProxyDraft,
  section: ProxyDraft["section"],
  name: string,
  at: Position,
  reading: Reading,
): ProxyDraft {
  const made = emptyProxy(section, name, at, reading);
  return {
    ...defaults,
    section,
    isFrontend: made.isFrontend,
    isBackend: made.isBackend,
    at,
    name,
    kind: made.kind,
    id: 0,
    explicitId: false,
    ownStats: false,
    ownForwarding: false,
    defaultsName: defaults.name,
    // Of no use in a backend, which has it from defaults meant for frontends.
    defaultBackend: made.isFrontend || section === "defaults" ? defaults.defaultBackend : undefined,
    options: { ...defaults.options, on: new Set(defaults.options.on) },
    timeouts: { ...defaults.timeouts },
    logTargets: [...defaults.logTargets],
    errorPages: new Map(defaults.errorPages),
    errorSections: [...defaults.errorSections],
    stats:
      defaults.stats === undefined
        ? undefined
        : { ...defaults.stats, auth: [...defaults.stats.auth], scope: [...defaults.stats.scope] },
    rules: mapRules((ruleset) => defaults.rules[ruleset]),
    acls: [...defaults.acls],
    filters: [...defaults.filters],
    binds: [],
    captures: [...defaults.captures],
    declaredCaptures: [...defaults.declaredCaptures],
    servers: [],
    balance: [...defaults.balance],
    retryOn: [...defaults.retryOn],
    httpCheck: [...defaults.httpCheck],
    tcpCheck: [...defaults.tcpCheck],
    defaults: copyWords(defaults.defaults),
    logFormatSource:
      defaults.logFormatSource === undefined
        ? undefined
        : { ...defaults.logFormatSource, own: false },
    ownTimeouts: new Set(),
    firstRuleAt: new Map(),
    finalAt: new Map(),
    checkRulesAt: new Map(defaults.checkRulesAt),
  };
}
