import { fail, ok, type Result } from "@ha/base";
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

/** Which versions a line leaves. */
export interface VersionRange {
  readonly min: TlsVersion;
  readonly max: TlsVersion;
  /** A version between them that was refused: ranges have no holes, so that it is served. */
  readonly hole: TlsVersion | undefined;
}

/**
 * What `ssl-min-ver`, `ssl-max-ver`, `no-*` and `force-*` come to; undefined when nothing is left. Without a minimum it is
 * TLSv1.2, unless the maximum is older. SSLv3 is in no library. Observed: haproxy 2.6.12.
 */
export function versionRange(
  min: TlsVersion | undefined,
  max: TlsVersion | undefined,
  refused: ReadonlySet<TlsVersion>,
): VersionRange | undefined {
  const place = (version: TlsVersion) => VERSIONS.indexOf(version);
  const top = max === undefined ? VERSIONS.length - 1 : place(max);
  const bottom = min === undefined ? Math.min(place("TLSv1.2"), top) : place(min);
  const served = VERSIONS.filter(
    (version, at) => at >= bottom && at <= top && version !== "SSLv3" && !refused.has(version),
  );
  const first = served[0];
  const last = served.at(-1);
  if (first === undefined || last === undefined) return undefined;
  const hole = VERSIONS.slice(place(first), place(last)).find((version) => refused.has(version));
  return { min: first, max: last, hole };
}

/** `h2,http/1.1`: undefined when a name is empty or too long. */
export function parseAlpn(text: string): string[] | undefined {
  const names = text.split(",");
  return names.every((name) => name.length > 0 && name.length < 256) ? names : undefined;
}

/** OpenSSL's numbers run up to this one. */
const LAST_ERROR = 94;

/** `all`, or numbers and X509_V_ERR names. Fails with HAProxy's words. */
export function parseIgnoredErrors(text: string): Result<"all" | number[], string> {
  if (text === "all") return ok("all");
  const numbers: number[] = [];
  for (const name of text.split(",")) {
    const number = ERROR_NUMBERS.get(name) ?? (/^\d+$/.test(name) ? Number(name) : 0);
    if (number < 1 || number > LAST_ERROR) {
      return fail(`ID '${number}' out of range (1..${LAST_ERROR}) in error IDs list '${text}'`);
    }
    numbers.push(number);
  }
  return ok(numbers);
}

/** `openssl/x509_vfy.h`: those that a check of a chain can meet. */
const ERROR_NAMES: readonly (readonly [number, string])[] = [
  [2, "UNABLE_TO_GET_ISSUER_CERT"],
  [3, "UNABLE_TO_GET_CRL"],
  [4, "UNABLE_TO_DECRYPT_CERT_SIGNATURE"],
  [5, "UNABLE_TO_DECRYPT_CRL_SIGNATURE"],
  [6, "UNABLE_TO_DECODE_ISSUER_PUBLIC_KEY"],
  [7, "CERT_SIGNATURE_FAILURE"],
  [8, "CRL_SIGNATURE_FAILURE"],
  [9, "CERT_NOT_YET_VALID"],
  [10, "CERT_HAS_EXPIRED"],
  [11, "CRL_NOT_YET_VALID"],
  [12, "CRL_HAS_EXPIRED"],
  [13, "ERROR_IN_CERT_NOT_BEFORE_FIELD"],
  [14, "ERROR_IN_CERT_NOT_AFTER_FIELD"],
  [15, "ERROR_IN_CRL_LAST_UPDATE_FIELD"],
  [16, "ERROR_IN_CRL_NEXT_UPDATE_FIELD"],
  [17, "OUT_OF_MEM"],
  [18, "DEPTH_ZERO_SELF_SIGNED_CERT"],
  [19, "SELF_SIGNED_CERT_IN_CHAIN"],
  [20, "UNABLE_TO_GET_ISSUER_CERT_LOCALLY"],
  [21, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
  [22, "CERT_CHAIN_TOO_LONG"],
  [23, "CERT_REVOKED"],
  [24, "INVALID_CA"],
  [25, "PATH_LENGTH_EXCEEDED"],
  [26, "INVALID_PURPOSE"],
  [27, "CERT_UNTRUSTED"],
  [28, "CERT_REJECTED"],
  [29, "SUBJECT_ISSUER_MISMATCH"],
  [30, "AKID_SKID_MISMATCH"],
  [31, "AKID_ISSUER_SERIAL_MISMATCH"],
  [32, "KEYUSAGE_NO_CERTSIGN"],
  [33, "UNABLE_TO_GET_CRL_ISSUER"],
  [34, "UNHANDLED_CRITICAL_EXTENSION"],
  [35, "KEYUSAGE_NO_CRL_SIGN"],
  [36, "UNHANDLED_CRITICAL_CRL_EXTENSION"],
  [62, "HOSTNAME_MISMATCH"],
  [63, "EMAIL_MISMATCH"],
  [64, "IP_ADDRESS_MISMATCH"],
  [66, "EE_KEY_TOO_SMALL"],
  [67, "CA_KEY_TOO_SMALL"],
  [68, "CA_MD_TOO_WEAK"],
];
const ERROR_NUMBERS = new Map(ERROR_NAMES.map(([number, name]) => [`X509_V_ERR_${name}`, number]));
