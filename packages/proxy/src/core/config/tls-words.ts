import type { TlsVersion } from "./tls-model.ts";

/** TLS versions by their spelling in `ssl-min-ver`. */
const VERSIONS: readonly TlsVersion[] = ["SSLv3", "TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3"];

export function parseTlsVersion(text: string): TlsVersion | undefined {
  return VERSIONS.find((version) => version === text);
}

/** `force-tlsv12` and the like: the version, or undefined when the word is none of them. */
export function forcedVersion(word: string): TlsVersion | undefined {
  return FORCED.get(word);
}

/** `no-tlsv11` and the like. */
export function refusedVersion(word: string): TlsVersion | undefined {
  return REFUSED.get(word);
}

const SUFFIXES: readonly (readonly [string, TlsVersion])[] = [
  ["sslv3", "SSLv3"],
  ["tlsv10", "TLSv1.0"],
  ["tlsv11", "TLSv1.1"],
  ["tlsv12", "TLSv1.2"],
  ["tlsv13", "TLSv1.3"],
];
const FORCED = new Map(SUFFIXES.map(([suffix, version]) => [`force-${suffix}`, version]));
const REFUSED = new Map(SUFFIXES.map(([suffix, version]) => [`no-${suffix}`, version]));

export const VERSION_WORDS: readonly string[] = [...FORCED.keys(), ...REFUSED.keys()];

/** The range that is left when some versions are refused: HAProxy takes the longest run from the top. */
export function rangeWithout(refused: ReadonlySet<TlsVersion>): {
  readonly min: TlsVersion | undefined;
  readonly max: TlsVersion | undefined;
} {
  const allowed = VERSIONS.filter((version) => !refused.has(version));
  const max = allowed.at(-1);
  if (max === undefined) return { min: undefined, max: undefined };
  let first = VERSIONS.indexOf(max);
  while (first > 0 && !refused.has(VERSIONS[first - 1] as TlsVersion)) first--;
  return { min: VERSIONS[first], max };
}

/** `h2,http/1.1`: undefined when a name is empty or too long. */
export function parseAlpn(text: string): string[] | undefined {
  const names = text.split(",");
  return names.every((name) => name.length > 0 && name.length < 256) ? names : undefined;
}

/** `all`, or numbers and X509_V_ERR names. */
export function parseIgnoredErrors(text: string): "all" | string[] | undefined {
  if (text === "all") return "all";
  const names = text.split(",");
  return names.every((name) => /^(\d+|X509_V_ERR_[A-Z0-9_]+)$/.test(name)) ? names : undefined;
}
