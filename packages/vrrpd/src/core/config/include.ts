export type IncludeCheck = "readable" | "match" | "wildcard_match" | "brace_match";
/** What makes a missing include an error. keepalived.conf(5), include_check */
export type IncludeChecks = ReadonlySet<IncludeCheck>;

export const everyIncludeCheck: readonly IncludeCheck[] = [
  "readable",
  "match",
  "wildcard_match",
  "brace_match",
];

const variants: Readonly<Record<string, readonly IncludeCheck[]>> = {
  include: [],
  includer: ["readable"],
  includem: ["match"],
  includew: ["wildcard_match", "match"],
  includeb: ["brace_match"],
  includea: everyIncludeCheck,
};

/** The pattern of an include line, which is all the rest of it, and the checks its keyword adds. */
export function includeOf(
  text: string,
): { readonly pattern: string; readonly extra: readonly IncludeCheck[] } | undefined {
  const match = /^(include[rmwba]?)\s+(.+)$/.exec(text);
  if (match === null) return undefined;
  return { pattern: match[2] ?? "", extra: variants[match[1] ?? ""] ?? [] };
}

/** `include_check [[+-]WORD] …`: without sign the words replace what was in force, without words all are on. */
export function readIncludeChecks(
  text: string,
  before: IncludeChecks,
  unknown: (word: string) => void,
): IncludeChecks {
  const words = text.split(/\s+/).slice(1);
  if (words.length === 0) return new Set(everyIncludeCheck);
  const signed = /^[+-]/.test(words[0] ?? "");
  const checks = new Set(signed ? before : []);
  for (const word of words) {
    const remove = word.startsWith("-");
    const name = word.replace(/^[+-]/, "");
    const check = everyIncludeCheck.find((candidate) => candidate === name);
    if (check === undefined) unknown(word);
    else if (remove) checks.delete(check);
    else checks.add(check);
  }
  return checks;
}
