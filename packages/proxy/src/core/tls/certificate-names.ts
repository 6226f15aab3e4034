import type { Certificate } from "../sample/certificate.ts";
import { latin1 } from "../sample/sample.ts";

/** For which names a certificate is shown. */
export interface ServedNames {
  /** Lower case: `www.example.com`, or `*.example.com` for any one label in front. */
  readonly names: readonly string[];
  /** Names that a wildcard of the same line does not stand for. */
  readonly excluded: readonly string[];
}

/**
 * The names of the filters, or the certificate's own where there are none: its DNS names and common names. Filters that
 * only exclude leave no name. HAProxy configuration manual §5.1, crt-list; observed: haproxy 2.6.12.
 */
export function servedNames(filters: readonly string[], facts: Certificate): ServedNames {
  const names = new Set<string>();
  const excluded = new Set<string>();
  for (const filter of filters.length > 0 ? filters : ownNames(facts)) {
    const negated = filter.startsWith("!");
    const name = (negated ? filter.slice(1) : filter).toLowerCase();
    // `*` and `!*` stand for nothing: they only keep the certificate's own names away. A star stands for a whole label.
    if (name === "" || (name.startsWith("*") && (name[1] !== "." || name.length === 2))) continue;
    (negated ? excluded : names).add(name);
  }
  return { names: [...names], excluded: [...excluded] };
}

function ownNames({ alternatives, subject }: Certificate): string[] {
  return [
    ...alternatives.filter(({ kind }) => kind === "DNS"),
    ...subject.filter(({ type }) => type === "CN"),
  ].map(({ value }) => latin1(value, 0, value.length));
}
