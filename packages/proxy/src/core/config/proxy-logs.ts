import type { ProxyDraft } from "./draft.ts";
import type { Line } from "./line.ts";
import { readLogTarget } from "./log-target.ts";
import { keyword, nameOf, type ProxyKeyword } from "./proxy-keyword.ts";
import type { LogFormat } from "./proxy-model.ts";
import type { Reading } from "./reading.ts";
import type { Token } from "./token.ts";

/** Logs of a proxy. HAProxy configuration manual §4.2 and §8. */
export const logKeywords: readonly ProxyKeyword[] = [
  keyword(
    "log",
    "log { global | <address> [len <n>] [format <f>] [sample …] <facility> [<level> [<minlevel>]] }",
    { doc: "Where logs go. `no log` forgets those above." },
    (line, proxy, reading) => {
      if (line.text(1) === "global" && line.text(2) === "") {
        proxy.logGlobal = true;
        return;
      }
      const target = readLogTarget(line, reading, true);
      if (target !== undefined) proxy.logTargets.push(target);
    },
  ),
  keyword(
    "log-tag",
    "log-tag <text>",
    { doc: "Program name in this proxy's log lines." },
    (line, proxy) => {
      if (line.text(1) === "") line.alert("'log-tag' expects a tag for use in syslog.");
      else if (line.atMost(1)) proxy.logTag = line.text(1);
    },
  ),
  format("log-format", "Log lines of its own making.", (line, proxy, token) =>
    setLogFormat(line, proxy, "log-format", { kind: "custom", format: token }),
  ),
  format("log-format-sd", "Structured data of RFC 5424 lines.", (line, proxy, token) => {
    if (ignoredInBackend(line, proxy, "log-format-sd")) return;
    proxy.logFormatSd = token;
  }),
  format("error-log-format", "Log lines of failed connections.", (line, proxy, token) => {
    if (ignoredInBackend(line, proxy, "error-log-format")) return;
    proxy.errorLogFormat = token;
  }),
  format("unique-id-format", "What identifies a request.", (_line, proxy, token) => {
    proxy.uniqueIdFormat = token;
  }),
  keyword(
    "unique-id-header",
    "unique-id-header <name>",
    { doc: "Header that carries the identifier." },
    (line, proxy) => {
      if (line.text(1) === "") line.alert("unique-id-header expects an argument.");
      else proxy.uniqueIdHeader = line.text(1);
    },
  ),
  keyword(
    "log-steps",
    "log-steps { <step>[,…] | all }",
    { doc: "At which steps lines are logged.", side: "frontend", status: "later" },
    (line, proxy, reading) => {
      if (line.text(1) === "") line.alert("'log-steps' expects a list of log steps.");
      else {
        proxy.logSteps = line.text(1);
        reading.draft.later.push({ at: line.at, feature: "'log-steps'" });
      }
    },
  ),
];

function format(
  name: string,
  doc: string,
  set: (line: Line, proxy: ProxyDraft, token: Token) => void,
): ProxyKeyword {
  return keyword(name, `${name} <format>`, { doc }, (line, proxy) => {
    const token = line.words[1];
    if (token === undefined || token.text === "") {
      line.alert(`${name} expects an argument.`);
    } else if (line.text(2) !== "") {
      line.alert(`${name} expects only one argument, don't forget to escape spaces!`);
    } else set(line, proxy, token);
  });
}

function ignoredInBackend(line: Line, proxy: ProxyDraft, name: string): boolean {
  if (proxy.section === "defaults" || proxy.isFrontend) return false;
  line.warn(
    `backend '${proxy.name}' : '${name}' directive is ignored in backends.`,
    undefined,
    "config/no-capability",
  );
  return true;
}

/** Chooses the log format; warns where one choice of a section overrides another. */
export function setLogFormat(line: Line, proxy: ProxyDraft, name: string, value: LogFormat): void {
  if (ignoredInBackend(line, proxy, name)) return;
  const before = proxy.logFormatSource;
  const inherited = before !== undefined && before.own === false;
  if (before !== undefined && !inherited && before.name !== name) {
    line.warnTight(
      `'${name}' overrides previous '${before.name}' in ${proxy.section === "defaults" ? "'defaults' section" : nameOf(proxy)}.`,
    );
  }
  proxy.logFormat = value;
  proxy.logFormatSource = { name, at: line.at, own: true };
}

export function readNoLog(line: Line, proxy: ProxyDraft, _reading: Reading): void {
  if (line.text(1) !== "") {
    line.alert("log : 'no log' does not expect arguments");
    return;
  }
  proxy.logTargets = [];
  proxy.logGlobal = false;
}
