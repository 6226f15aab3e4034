import type { ProxyDraft } from "./draft.ts";
import type { Line } from "./line.ts";
import type { AclLine, RuleLine, Ruleset } from "./proxy-model.ts";

/**
 * What the parser asks of the side that knows rules, samples and formats. A line is compiled where it stands, since
 * it sees the ACLs above it alone; what needs the whole file (names of tables, backends) is looked up by `finish`.
 */
export interface LineCompiler {
  readonly acl: (line: Line, proxy: ProxyDraft, acl: AclLine) => void;
  readonly rule: (line: Line, proxy: ProxyDraft, ruleset: Ruleset, rule: RuleLine) => void;
}

/** Takes every line unread. */
export const noCompiler: LineCompiler = { acl: () => {}, rule: () => {} };
