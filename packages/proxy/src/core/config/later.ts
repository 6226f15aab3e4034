import type { Position } from "@ha/base";
import type { ConfigDraft, ProxyDraft } from "./draft.ts";

/**
 * What `-c` checks and a start refuses, because it does not work yet: an entry goes when its feature comes. Single
 * keywords that come later say so in their own entry (`status: "later"`), actions and fetches where they are compiled.
 */
const LATER: readonly {
  readonly feature: string;
  readonly uses: (proxy: ProxyDraft) => readonly Position[];
}[] = [];

const SECTIONS = ["peers", "mailers", "caches"] as const;

/** Adds to `draft.later` what the finished configuration uses of it. */
export function collectLater(draft: ConfigDraft): void {
  for (const { feature, uses } of LATER) {
    for (const proxy of draft.proxies) {
      if (proxy.disabled) continue;
      for (const at of uses(proxy)) draft.later.push({ at, feature });
    }
  }
  for (const { at, tls } of draft.global.stats.sockets) {
    if (tls !== undefined) draft.later.push({ at, feature: "TLS on a stats socket" });
  }
  for (const kind of SECTIONS) {
    for (const { at } of draft[kind].values()) {
      draft.later.push({ at, feature: `the section '${kind === "caches" ? "cache" : kind}'` });
    }
  }
  // One word a line and feature: defaults and templates repeat themselves.
  const said = new Set<string>();
  draft.later = draft.later.filter(({ at, feature }) => {
    const key = `${at.file}\n${at.line}\n${feature}`;
    return !said.has(key) && said.add(key) !== undefined;
  });
}
