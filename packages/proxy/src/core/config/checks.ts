import { checkReferences } from "./checks-references.ts";
import { checkBackendServers } from "./checks-servers.ts";
import type { ConfigDraft, ProxyDraft } from "./draft.ts";
import { collectLater } from "./later.ts";
import type { Config } from "./model.ts";
import { warnUnusedCheckRules } from "./proxy-checks.ts";
import { nameOf } from "./proxy-keyword.ts";
import { join, type Reading } from "./reading.ts";
import type { LogTarget } from "./section-model.ts";
import { numberServers } from "./server.ts";

/**
 * What concerns more than one line: references, modes, time limits, names. In HAProxy's order, proxy by proxy, so
 * that both reports read alike. With `parsedCleanly` false, what may only follow from an earlier error is not said.
 */
export function checkConfig(
  reading: Reading,
  { parsedCleanly }: { readonly parsedCleanly: boolean },
): Config {
  const { draft } = reading;
  numberProxies(draft);
  for (const proxy of draft.proxies) {
    numberServers(proxy);
    takeGlobalLogs(proxy, draft.global.logTargets);
    takeErrorSections(proxy, reading);
    boundCookieCapture(proxy, reading);
  }
  for (const proxy of draft.proxies) {
    if (parsedCleanly) warnWithoutBind(proxy, reading);
    if (proxy.disabled) continue;
    if (parsedCleanly) warnNeedsHttp(proxy, reading);
    checkReferences(proxy, reading);
    if (parsedCleanly) {
      warnLogFormat(proxy, reading);
      warnTimeouts(proxy, reading);
      warnWithoutLog(proxy, reading);
      warnHttpRules(proxy, reading);
    }
    checkBackendServers(proxy, reading, parsedCleanly);
    checkExternal(proxy, reading);
    if (parsedCleanly) {
      warnUnusedCheckRules(proxy, (message) =>
        reading.findings.warnPlain("config/unused", proxy.at, message),
      );
      warnIncomplete(proxy, reading);
    }
  }
  for (const say of reading.afterParsing) say();
  checkSections(reading, parsedCleanly);
  collectLater(draft);
  const { proxies, ...rest } = draft;
  return {
    ...rest,
    frontends: proxies.filter(({ isFrontend }) => isFrontend),
    backends: proxies.filter(({ isBackend }) => isBackend),
  };
}

/** Ids that the file does not give are the lowest free ones, in order. */
function numberProxies({ proxies, global }: ConfigDraft): void {
  const used = new Set(proxies.filter(({ explicitId }) => explicitId).map(({ id }) => id));
  // The frontend of stats sockets, GLOBAL, takes the first number; observed: haproxy 2.6.12.
  let next = global.stats.sockets.length > 0 ? 2 : 1;
  for (const proxy of proxies) {
    if (!proxy.explicitId) {
      while (used.has(next)) next++;
      proxy.id = next;
      used.add(next);
    }
    let listener = 1;
    const taken = new Set(proxy.binds.map(({ id }) => id));
    proxy.binds = proxy.binds.map((bind) => {
      if (bind.id !== 0) return bind;
      while (taken.has(listener)) listener++;
      taken.add(listener);
      return { ...bind, id: listener };
    });
  }
}

function takeGlobalLogs(proxy: ProxyDraft, targets: readonly LogTarget[]): void {
  if (proxy.logGlobal) proxy.logTargets = [...targets, ...proxy.logTargets];
}

function takeErrorSections(proxy: ProxyDraft, { draft, findings }: Reading): void {
  for (const { at, name, statuses } of proxy.errorSections) {
    const section = draft.httpErrors.get(name);
    if (section === undefined) {
      findings.alertPlain(
        "config/unknown-reference",
        at,
        `proxy '${proxy.name}': unknown http-errors section '${name}' (at ${at.file}:${at.line}).`,
      );
      continue;
    }
    for (const [status, page] of section.pages) {
      if (statuses.length === 0 || statuses.includes(status)) proxy.errorPages.set(status, page);
    }
  }
}

/** `tune.http.cookielen` bounds what `capture cookie` keeps. Observed: haproxy 2.6.12. */
function boundCookieCapture(proxy: ProxyDraft, { draft, findings }: Reading): void {
  const capture = proxy.captureCookie;
  const most = Number(draft.global.tune.get("tune.http.cookielen") ?? 63);
  if (!proxy.isFrontend || capture === undefined || capture.length <= most) return;
  findings.warnPlain(
    "config/capture-length",
    proxy.at,
    `truncating capture length to ${most} bytes for ${nameOf(proxy)}.`,
  );
  proxy.captureCookie = { ...capture, length: most };
}

function warnWithoutBind(proxy: ProxyDraft, { findings }: Reading): void {
  if (!proxy.isFrontend || proxy.binds.length > 0) return;
  findings.warnPlain(
    "config/no-bind",
    proxy.at,
    `${nameOf(proxy)} has no 'bind' directive. Please declare it as a backend if this was intended.`,
  );
}

const LAYER7_BALANCE = /^(uri|url_param|hdr\()/;

function warnNeedsHttp(proxy: ProxyDraft, { findings }: Reading): void {
  if (proxy.mode === "http") return;
  const ignored = (what: string): void =>
    findings.warnPlain(
      "config/needs-http",
      proxy.at,
      `${what} will be ignored for ${nameOf(proxy)} (needs 'mode http').`,
    );
  if (proxy.isBackend && proxy.cookie !== undefined) {
    ignored("cookie");
  }
  if (proxy.isFrontend && proxy.monitorUri !== undefined) ignored("monitor-uri");
  if (proxy.isBackend && LAYER7_BALANCE.test(proxy.balance[0]?.text ?? "")) {
    findings.warnPlain(
      "config/needs-http",
      proxy.at,
      `Layer 7 hash not possible for ${nameOf(proxy)} (needs 'mode http'). Falling back to round robin.`,
    );
    proxy.balance = [{ text: "roundrobin", at: proxy.balanceAt ?? proxy.at }];
  }
}

/** An HTTP log format in a proxy that sees no HTTP becomes the TCP one, with a warning where it was asked for here. */
function warnLogFormat(proxy: ProxyDraft, { findings }: Reading): void {
  const { kind } = proxy.logFormat;
  if (
    proxy.mode === "http" ||
    (kind !== "httplog" && kind !== "httpslog" && kind !== "httplog clf")
  )
    return;
  const at = proxy.logFormatSource?.at ?? proxy.at;
  findings.put(
    "warning",
    "parsing",
    "config/needs-http",
    at,
    `'option ${kind === "httpslog" ? "httpslog" : "httplog"}' not usable with ${nameOf(proxy)} (needs 'mode http'). Falling back to 'option tcplog'.`,
  );
  proxy.logFormat = { kind: "tcplog" };
}

function warnTimeouts(proxy: ProxyDraft, { findings }: Reading): void {
  const { timeouts } = proxy;
  const client = proxy.isFrontend && timeouts.client === undefined;
  const server =
    proxy.isBackend &&
    proxy.servers.length > 0 &&
    (timeouts.connect === undefined ||
      (timeouts.server === undefined && (proxy.mode === "http" || timeouts.tunnel === undefined)));
  if (!client && !server) return;
  findings.warnPlain(
    "config/missing-timeouts",
    proxy.at,
    `missing timeouts for ${nameOf(proxy)}.\n   | While not properly invalid, you will certainly encounter various problems\n   | with such a configuration. To fix this, please ensure that all following\n   | timeouts are set to a non-zero value: 'client', 'connect', 'server'.`,
  );
}

function warnWithoutLog(proxy: ProxyDraft, { findings }: Reading): void {
  const source = proxy.logFormatSource;
  if (!proxy.isFrontend || source === undefined || !source.own || proxy.logTargets.length > 0)
    return;
  findings.warnPlain(
    "config/unused",
    source.at,
    `log format ignored for ${nameOf(proxy)} since it has no log address.`,
  );
}

function warnHttpRules(proxy: ProxyDraft, { findings }: Reading): void {
  if (proxy.mode === "http") return;
  const warn = (what: string, verb: string): void =>
    findings.warnPlain(
      "config/needs-http",
      proxy.at,
      `${what} ignored for ${nameOf(proxy)} as ${verb} HTTP mode.`,
    );
  const { rules, options } = proxy;
  // What came with the defaults section was not asked for here.
  if (proxy.stats !== undefined && proxy.ownStats) warn("'stats' statement", "it requires");
  if (rules["http-request"].length > 0) warn("'http-request' rules", "they require");
  if (rules["http-response"].length > 0) warn("'http-response' rules", "they require");
  if (rules["http-after-response"].length > 0) warn("'http-after-response' rules", "they require");
  if (rules.redirect.length > 0) warn("'redirect' rules", "they require");
  if (options.forwardfor !== undefined && proxy.ownForwarding)
    warn("'option forwardfor'", "it requires");
  if (options.originalto !== undefined && proxy.ownForwarding)
    warn("'option originalto'", "it requires");
}

function checkExternal(proxy: ProxyDraft, { findings, draft }: Reading): void {
  if (proxy.check.kind !== "external-check") {
    for (const what of ["path", "command"] as const) {
      if (proxy.externalCheck[what] !== undefined && proxy.section !== "defaults") {
        findings.warnPlain(
          "config/unused",
          proxy.at,
          `'external-check ${what}' will be ignored for ${nameOf(proxy)} (requires 'option external-check').`,
        );
      }
    }
    return;
  }
  const say = (missing: string): void =>
    findings.alertPlain(
      "config/external-check",
      proxy.check.at,
      `Proxy '${proxy.name}' : 'option external-check' unable to find required '${missing}'.`,
    );
  if (!draft.global.externalCheck) say("global.external-check");
  if (proxy.externalCheck.command === undefined) say("external-check command");
  if (!draft.global.insecureForkWanted) {
    findings.warnPlain(
      "config/external-check",
      proxy.check.at,
      `Proxy '${proxy.name}' : 'insecure-fork-wanted' not enabled in the global section, 'option external-check' will likely fail.`,
    );
  }
}

/** Settings that need others beside them. */
function warnIncomplete(proxy: ProxyDraft, reading: Reading): void {
  const { findings, draft } = reading;
  warnStateFile(proxy, reading);
  const alert = proxy.emailAlert;
  if (
    alert !== undefined &&
    (alert.from === undefined || alert.to === undefined || alert.mailers === undefined)
  ) {
    findings.warnPlain(
      "config/unused",
      proxy.at,
      `'email-alert' will be ignored for ${nameOf(proxy)} (the presence any of 'email-alert from', 'email-alert level' 'email-alert mailers', 'email-alert myhostname', or 'email-alert to' requires each of 'email-alert from', 'email-alert mailers' and 'email-alert to' to be present).`,
    );
  } else if (alert?.mailers !== undefined && !draft.mailers.has(alert.mailers)) {
    findings.alertPlain(
      "config/unknown-reference",
      proxy.at,
      `Proxy '${proxy.name}': unable to find mailers '${alert.mailers}'.`,
    );
  }
  if (
    proxy.serverStateFile.from === "global" &&
    draft.global.serverStateFile === undefined &&
    proxy.isBackend
  ) {
    findings.warnPlain(
      "config/unused",
      proxy.at,
      `backend '${proxy.name}' configured to load server state file from global section 'server-state-file' directive. Unfortunately, 'server-state-file' is not set!`,
    );
  }
}

/** A state file of the backend's own that cannot be read is worth a word; the start goes on without it. */
function warnStateFile(proxy: ProxyDraft, { findings, draft, host }: Reading): void {
  const { from, name } = proxy.serverStateFile;
  if (from !== "local" || !proxy.isBackend) return;
  const path = name ?? proxy.name;
  const base = draft.global.serverStateBase;
  const file = host.readFile(path.startsWith("/") || base === undefined ? path : join(base, path));
  if (!file.ok) {
    findings.warnPlain(
      "config/state-file",
      proxy.at,
      `Proxy '${proxy.name}': Can't open server state file '${path}': ${file.error}.`,
    );
  }
}

/** Sections that must be whole, and name each other's parts. */
function checkSections({ draft, findings, host }: Reading, parsedCleanly: boolean): void {
  const { serverStateFile, serverStateBase } = draft.global;
  if (parsedCleanly && serverStateFile !== undefined) {
    const path =
      serverStateFile.startsWith("/") || serverStateBase === undefined
        ? serverStateFile
        : join(serverStateBase, serverStateFile);
    const file = host.readFile(path);
    if (!file.ok) {
      findings.warnPlain(
        "config/state-file",
        undefined,
        `config: Can't open global server state file '${path}': ${file.error}`,
      );
    }
  }
  for (const mailers of draft.mailers.values()) {
    const used = draft.proxies.some(({ emailAlert }) => emailAlert?.mailers === mailers.name);
    if (parsedCleanly && !used) {
      findings.warnPlain(
        "config/unused",
        mailers.at,
        `Removing incomplete section 'mailers ${mailers.name}'.`,
      );
    }
  }
  for (const list of draft.userlists.values()) {
    for (const [user, { groups }] of list.users) {
      for (const group of groups) {
        if (list.groups.has(group)) continue;
        findings.alertPlain(
          "config/unknown-reference",
          list.at,
          `userlist '${list.name}': no such group '${group}' specified in user '${user}'`,
        );
      }
    }
    for (const [group, users] of list.groups) {
      for (const user of users) {
        if (list.users.has(user)) continue;
        findings.alertPlain(
          "config/unknown-reference",
          list.at,
          `userlist '${list.name}': no such user '${user}' specified in group '${group}'`,
        );
      }
    }
  }
  for (const cache of draft.caches.values()) {
    const half = cache.totalMaxSizeMegabytes * 524_288;
    if (cache.totalMaxSizeMegabytes === 0) {
      findings.alertPlain(
        "config/bad-value",
        cache.at,
        `Size not specified for cache '${cache.name}'`,
      );
    } else if (cache.maxObjectSizeBytes > half) {
      findings.alertPlain(
        "config/bad-value",
        cache.at,
        `"max-object-size" is limited to an half of "total-max-size" => ${half}`,
      );
    }
  }
  for (const peers of draft.peers.values()) {
    const local = draft.global.localpeer ?? host.hostname;
    if (!parsedCleanly || peers.disabled || peers.peers.some(({ name }) => name === local))
      continue;
    findings.warnPlain(
      "config/no-local-peer",
      peers.at,
      `Removing incomplete section 'peers ${peers.name}' (no peer named '${local}').`,
    );
  }
}
