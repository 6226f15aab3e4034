/** What stands behind the address of a stats page. */
export interface StatsQuery {
  readonly format: "html" | "csv" | "json" | "json-schema" | "typed";
  readonly up: boolean;
  readonly noMaint: boolean;
  readonly noRefresh: boolean;
  /** `?scope=`, at most 20 characters. */
  readonly part: string;
  /** `;st=`: how the order went that led here. */
  readonly result: string | undefined;
}

/** Reads `;csv;norefresh?scope=web`. Words that nobody knows mean nothing. HAProxy management guide §9. */
export function readStatsQuery(rest: string): StatsQuery {
  const [words = "", query = ""] = rest.split("?", 2);
  const known = new Set(words.split(";").slice(1));
  const result = [...known].find((word) => word.startsWith("st="))?.slice(3);
  const scope = query
    .split("&")
    .find((parameter) => parameter.startsWith("scope="))
    ?.slice(6);
  const format = (["csv", "json", "json-schema", "typed"] as const).find((word) => known.has(word));
  return {
    format: format ?? "html",
    up: known.has("up"),
    noMaint: known.has("no-maint"),
    noRefresh: known.has("norefresh"),
    part: decode(scope ?? "").slice(0, 20),
    result,
  };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll("+", " "));
  } catch {
    return text;
  }
}
