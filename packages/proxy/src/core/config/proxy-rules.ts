import type { ProxyDraft } from "./draft.ts";
import { readTime } from "./global-keyword.ts";
import type { Line } from "./line.ts";
import { keyword, nameOf, type ProxyKeyword } from "./proxy-keyword.ts";
import type { Ruleset } from "./proxy-model.ts";

const frontend = { side: "frontend" } as const;
const backend = { side: "backend" } as const;
const CONDITION = "[{ if | unless } <condition>]";

/** Rules and conditions. HAProxy configuration manual §4.2 and §7. */
export const ruleKeywords: readonly ProxyKeyword[] = [
  keyword(
    "acl",
    "acl <name> <criterion> [<flags>] [<pattern>…]",
    { doc: "A named condition.", inDefaults: "named" },
    (line, proxy) => {
      const name = line.text(1);
      const bad = /[^A-Za-z0-9_:.-]/.exec(name);
      if (name === "") line.alert("error detected while parsing ACL '' : missing ACL name.");
      else if (bad !== null)
        line.alert(`character '${bad[0]}' is not permitted in acl name '${name}'.`);
      else if (name.toLowerCase() === "or") {
        line.alert(
          `acl name '${name}' will never match. 'or' is used to express a disjunctive condition.`,
        );
      } else {
        const acl = { at: line.at, name, words: line.from(2) };
        proxy.acls.push(acl);
      }
    },
  ),
  ...(["http-request", "http-response", "http-after-response"] as const).map((name) =>
    keyword(
      name,
      `${name} <action> ${CONDITION}`,
      {
        doc: `Rules on ${name === "http-request" ? "requests" : name === "http-response" ? "answers of servers" : "all answers, our own too"}.`,
        inDefaults: "named",
      },
      (line, proxy) => {
        const final = proxy.finalAt.get(name);
        if (final !== undefined) {
          line.warnTight(
            `previous '${name}' action is final and has no condition attached, further entries are NOOP.`,
          );
        }
        if (name === "http-request") warnMisplaced(line, proxy, "http-request");
        addRule(line, proxy, name, 1);
        if (isFinal(line)) proxy.finalAt.set(name, line.at);
        else proxy.finalAt.delete(name);
      },
    ),
  ),
  keyword(
    "tcp-request",
    `tcp-request { connection | session | content } <action> ${CONDITION}; tcp-request inspect-delay <time>`,
    { doc: "Rules on connections, sessions and their first bytes." },
    readTcpRequest,
  ),
  keyword(
    "tcp-response",
    `tcp-response content <action> ${CONDITION}; tcp-response inspect-delay <time>`,
    { doc: "Rules on what servers send." },
    readTcpResponse,
  ),
  keyword(
    "redirect",
    `redirect { location | prefix | scheme } <to> [code <code>] [<option>…] ${CONDITION}`,
    { doc: "Answers by a redirect, after http-request rules.", inDefaults: "no" },
    (line, proxy) => {
      warnMisplaced(line, proxy, "redirect");
      addRule(line, proxy, "redirect", 1);
    },
  ),
  keyword(
    "use_backend",
    `use_backend <backend> ${CONDITION}`,
    { doc: "Which backend serves.", ...frontend, readAnyway: true, inDefaults: "no" },
    (line, proxy) => {
      if (line.text(1) === "") {
        line.alert("'use_backend' expects a backend name.");
        return;
      }
      const next = line.text(2);
      if (next !== "" && next !== "if" && next !== "unless") {
        line.alert(
          `unexpected keyword '${next}' after switching rule, only 'if' and 'unless' are allowed.`,
        );
        return;
      }
      warnMisplaced(line, proxy, "use_backend");
      addRule(line, proxy, "use_backend", 1);
    },
  ),
  keyword(
    "use-server",
    "use-server <server> { if | unless } <condition>",
    { doc: "Which server serves.", ...backend, readAnyway: true, inDefaults: "no" },
    (line, proxy) => {
      if (line.text(1) === "") line.alert("'use-server' expects a server name.");
      else if (line.text(2) !== "if" && line.text(2) !== "unless") {
        line.alert("'use-server' requires either 'if' or 'unless' followed by a condition.");
      } else {
        warnMisplaced(line, proxy, "use-server");
        addRule(line, proxy, "use-server", 1);
      }
    },
  ),
  keyword(
    "stick",
    "stick { on | match | store-request | store-response } <expression> [table <name>] [<condition>]",
    { doc: "Persistence by a stick table.", ...backend, inDefaults: "no" },
    (line, proxy) => {
      if (!["on", "match", "store-request", "store-response"].includes(line.text(1))) {
        line.alert("'stick' expects 'on', 'match', or 'store'.");
      } else if (line.text(2) === "") line.alert("'stick' expects a fetch method.");
      else addRule(line, proxy, "stick", 1);
    },
  ),
  ...(["force-persist", "ignore-persist", "force-be-switch"] as const).map((name) =>
    keyword(
      name,
      `${name} { if | unless } <condition>`,
      {
        doc:
          name === "force-persist"
            ? "Persistence even to a server that is down."
            : name === "ignore-persist"
              ? "No persistence."
              : "Switches even to a backend that is not published.",
        side: name === "force-be-switch" ? "frontend" : "backend",
        readAnyway: true,
        inDefaults: "no",
      },
      (line, proxy) => {
        if (line.text(1) !== "if" && line.text(1) !== "unless") {
          line.alert(`'${name}' requires either 'if' or 'unless' followed by a condition.`);
        } else addRule(line, proxy, name, 1);
      },
    ),
  ),
  keyword(
    "monitor",
    "monitor fail { if | unless } <condition>",
    { doc: "When monitor-uri answers 503.", ...frontend, inDefaults: "no" },
    (line, proxy) => {
      if (line.text(1) !== "fail") {
        line.alert("'monitor' only supports 'fail'.");
        return;
      }
      warnMisplaced(line, proxy, "monitor fail");
      if (line.text(2) !== "if" && line.text(2) !== "unless") {
        line.alert("'monitor fail' requires either 'if' or 'unless' followed by a condition.");
      } else addRule(line, proxy, "monitor fail", 2);
    },
  ),
];

/** The kinds of rules in the order they run; each warns when it stands after one that runs later. */
const ORDER = [
  { kind: "tcp-request connection", called: "tcp-request", article: "a" },
  { kind: "tcp-request session", called: "tcp-request", article: "a" },
  { kind: "tcp-request content", called: "tcp-request", article: "a" },
  { kind: "monitor fail", called: "monitor fail", article: "a" },
  { kind: "http-request", called: "http-request", article: "an" },
  { kind: "redirect", called: "redirect", article: "a" },
  { kind: "use_backend", called: "use_backend", article: "a" },
  { kind: "use-server", called: "use-server", article: "a" },
] as const;

function warnMisplaced(line: Line, proxy: ProxyDraft, kind: (typeof ORDER)[number]["kind"]): void {
  const place = ORDER.findIndex((entry) => entry.kind === kind);
  const own = ORDER[place];
  const later = ORDER.slice(place + 1).find((entry) => proxy.firstRuleAt.has(entry.kind));
  if (own !== undefined && later !== undefined) {
    line.warn(
      `a '${own.called}' rule placed after ${later.article} '${later.kind}' rule will still be processed before.`,
      undefined,
      "config/rule-order",
    );
  }
  if (!proxy.firstRuleAt.has(kind)) proxy.firstRuleAt.set(kind, line.at);
}

function addRule(line: Line, proxy: ProxyDraft, ruleset: Ruleset, from: number): void {
  const rule = { at: line.at, words: line.from(from) };
  proxy.rules[ruleset].push(rule);
}

/** Actions after which nothing of the ruleset runs, when no condition stands. */
const FINAL_ACTIONS = new Set(["allow", "deny", "tarpit", "reject", "return", "redirect", "auth"]);

function isFinal(line: Line): boolean {
  return (
    FINAL_ACTIONS.has(line.text(1)) &&
    !line.words.some(({ text }) => text === "if" || text === "unless")
  );
}

function readTcpRequest(line: Line, proxy: ProxyDraft): void {
  const layer = line.text(1);
  if (layer === "") {
    line.alert(`missing argument for 'tcp-request' in ${nameOf(proxy)}`);
    return;
  }
  if (
    layer !== "inspect-delay" &&
    layer !== "connection" &&
    layer !== "session" &&
    layer !== "content"
  ) {
    line.alert(
      `'tcp-request' expects 'inspect-delay', 'connection', or 'content' in ${nameOf(proxy)} (got '${layer}')`,
    );
    return;
  }
  if (proxy.section === "defaults" && proxy.name === "") {
    line.alert(`tcp-request ${layer} is not allowed in anonymous 'defaults' sections`);
    return;
  }
  if (layer === "inspect-delay") {
    const delay = readInspectDelay(line, proxy);
    if (delay !== undefined) proxy.inspectDelay = delay;
    return;
  }
  if (layer !== "content" && proxy.section !== "defaults" && !proxy.isFrontend) {
    line.alert(
      `tcp-request ${layer} is not allowed because backend ${proxy.name} is not a frontend`,
    );
    return;
  }
  const kind = `tcp-request ${layer}` as const;
  warnMisplaced(line, proxy, kind);
  addRule(line, proxy, kind, 2);
}

function readTcpResponse(line: Line, proxy: ProxyDraft): void {
  const layer = line.text(1);
  if (layer === "") {
    line.alert(`missing argument for 'tcp-response' in ${nameOf(proxy)}`);
  } else if (layer !== "content" && layer !== "inspect-delay") {
    line.alert(
      `'tcp-response' expects 'inspect-delay' or 'content' in ${nameOf(proxy)} (got '${layer}')`,
    );
  } else if (
    (proxy.section === "defaults" && proxy.name === "") ||
    (proxy.section !== "defaults" && !proxy.isBackend)
  ) {
    line.alert(
      `tcp-response ${layer} is only allowed in 'backend' sections or 'defaults' section with a name`,
    );
  } else if (layer === "inspect-delay") {
    const delay = readInspectDelay(line, proxy);
    if (delay !== undefined) proxy.responseInspectDelay = delay;
  } else addRule(line, proxy, "tcp-response content", 2);
}

function readInspectDelay(line: Line, proxy: ProxyDraft): ReturnType<typeof readTime> {
  const start = `'${line.name} inspect-delay' expects a positive delay in milliseconds, in ${nameOf(proxy)}`;
  if (line.text(2) === "") {
    line.alert(start);
    return undefined;
  }
  return readTime(
    line,
    2,
    `${line.name} inspect-delay`,
    (bad) => `${start} (unexpected character '${bad}')`,
  );
}
