import type { Mutable, ProxyDraft } from "./draft.ts";
import { warnTrailing } from "./global-keyword.ts";
import type { KeywordEntry } from "./keyword.ts";
import type { Line } from "./line.ts";
import type { Ruleset, StatsPage } from "./proxy-model.ts";
import { parseTime } from "./values.ts";

const entry = (name: string, syntax: string, doc: string, fallback?: string): KeywordEntry => ({
  name: `stats ${name}`,
  syntax: `stats ${name} ${syntax}`.trim(),
  doc,
  source: "§4.2",
  status: "works",
  ...(fallback === undefined ? {} : { default: fallback }),
});

/** `stats …` in a proxy. HAProxy configuration manual §4.2, stats. */
export const statsKeywords: readonly KeywordEntry[] = [
  entry("enable", "", "Turns the page on; so does every other stats keyword."),
  entry("uri", "<prefix>", "Where the page is.", "/haproxy?stats"),
  entry("realm", "<text>", "Asked for with the password.", "HAProxy Statistics"),
  entry("auth", "<user>:<password>", "Who may see it; may be repeated."),
  entry("refresh", "<time>", "Reloads itself that often."),
  entry("hide-version", "", "Does not tell the version."),
  entry("show-node", "[<name>]", "Shows the host's name."),
  entry("show-desc", "[<text>]", "Shows a description."),
  entry("show-legends", "", "Shows more in tool tips."),
  entry("show-modules", "", "Shows more columns."),
  entry("scope", "{ <name> | . }", "Shows that proxy alone; may be repeated."),
  entry("admin", "{ if | unless } <condition>", "Permits changes from the page."),
  entry(
    "http-request",
    "{ allow | deny | auth [realm <realm>] } [<condition>]",
    "Rules for the page.",
  ),
];

export function readStats(line: Line, proxy: ProxyDraft): void {
  const word = line.text(1);
  proxy.stats ??= emptyStats();
  const { stats } = proxy;
  stats.enabled = true;
  proxy.ownStats = true;
  const addStatsRule = (ruleset: Ruleset): void => {
    const rule = { at: line.at, words: line.from(2) };
    proxy.rules[ruleset].push(rule);
  };
  const rest = (i: number): string =>
    line
      .from(i)
      .map(({ text }) => text)
      .join(" ");
  switch (word) {
    case "enable":
      return;
    case "hide-version":
      stats.hideVersion = true;
      return;
    case "show-legends":
      stats.showLegends = true;
      return;
    case "show-modules":
      stats.showModules = true;
      return;
    case "show-node":
      if (line.text(2) !== "" && !/^[A-Za-z0-9._-]+$/.test(line.text(2))) {
        line.alertTight(
          "'show-node' invalid node name - should be a string with digits(0-9), letters(A-Z, a-z), hyphen(-) or underscode(_).",
        );
      } else stats.showNode = line.text(2);
      return;
    case "show-desc":
      stats.showDescription = rest(2);
      return;
    case "uri":
      if (line.text(2) === "") line.alert("'uri' needs an URI prefix.");
      else stats.uri = line.text(2);
      return;
    case "realm":
      if (line.text(2) === "") line.alert("'realm' needs an realm name.");
      else stats.realm = line.text(2);
      return;
    case "refresh": {
      const time = parseTime(line.text(2), { unit: 1_000_000 });
      if (time.kind === "overflow") {
        line.alert(
          `timer overflow in argument '${line.text(2)}' to stats refresh interval, maximum value is 2147483647 ms (~24.8 days).`,
        );
      } else if (time.kind === "bad") {
        line.alertTight(
          `unexpected character '${time.character}' in argument to stats refresh interval.`,
        );
      } else {
        if (time.trailing !== undefined) warnTrailing(line, line.text(2), time.trailing);
        stats.refresh = time.value;
      }
      return;
    }
    case "auth": {
      if (line.text(2) === "") {
        line.alert("'auth' needs a user:password account.");
        return;
      }
      const colon = line.text(2).indexOf(":");
      stats.auth.push({
        user: colon === -1 ? line.text(2) : line.text(2).slice(0, colon),
        password: colon === -1 ? "" : line.text(2).slice(colon + 1),
      });
      return;
    }
    case "scope":
      if (line.text(2) === "") line.alert("'scope' needs a proxy name.");
      else stats.scope.push(line.text(2));
      return;
    case "admin":
      if (proxy.section === "defaults") {
        line.alert("'stats admin' not allowed in 'defaults' section.");
      } else if (line.text(2) !== "if" && line.text(2) !== "unless") {
        line.alert("'stats admin' requires either 'if' or 'unless' followed by a condition.");
      } else addStatsRule("stats admin");
      return;
    case "http-request":
      if (proxy.section === "defaults") {
        line.alert("'stats http-request' not allowed in 'defaults' section.");
      } else addStatsRule("stats http-request");
      return;
    default:
      line.alertTight(
        `unknown stats parameter '${word}', expects 'admin', 'uri', 'realm', 'auth', 'scope', 'enable', 'hide-version', 'show-node', 'show-desc' or 'show-legends'.`,
      );
  }
}

function emptyStats(): Mutable<StatsPage> {
  return {
    enabled: true,
    uri: "/haproxy?stats",
    realm: "HAProxy Statistics",
    auth: [],
    refresh: undefined,
    hideVersion: false,
    showNode: undefined,
    showDescription: undefined,
    showLegends: false,
    showModules: false,
    scope: [],
  };
}
