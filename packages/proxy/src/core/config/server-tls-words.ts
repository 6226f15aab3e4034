import type { ServerWord, ServerWords } from "./server-word.ts";
import { baseFile, checkCertificate, checkPemFile } from "./tls-files.ts";
import type { TlsClient } from "./tls-model.ts";
import {
  forcedVersion,
  parseAlpn,
  parseTlsVersion,
  refusedVersion,
  VERSION_WORDS,
} from "./tls-words.ts";

const SOURCE = "§5.2";

const tls = (words: ServerWords, change: Partial<TlsClient>): void => {
  const { server } = words;
  if (server.tls !== undefined) server.tls = { ...server.tls, ...change };
};

const check = (
  words: ServerWords,
  change: Partial<NonNullable<ServerWords["server"]["check"]>>,
): void => {
  const { server } = words;
  server.check = {
    port: 0,
    address: undefined,
    ssl: undefined,
    sni: undefined,
    alpn: undefined,
    protocol: undefined,
    sendProxy: false,
    viaSocks4: false,
    ...server.check,
    ...change,
  };
};

const plain = (
  name: string,
  doc: string,
  read: (words: ServerWords) => void,
  status: ServerWord["status"] = "works",
): ServerWord => ({
  name,
  syntax: name,
  doc,
  source: SOURCE,
  status,
  read,
});

const valued = (
  name: string,
  missing: string,
  doc: string,
  read: ServerWord["read"],
  status: ServerWord["status"] = "works",
): ServerWord => ({
  name,
  syntax: `${name} <value>`,
  doc,
  source: SOURCE,
  status,
  missing: `'${name}' : ${missing}`,
  read,
});

/**
 * TLS on a `server` line. HAProxy configuration manual §5.2. Settings are kept whether or not `ssl` stands; the
 * reader drops them at the end where it does not.
 */
export const serverTlsWords: readonly ServerWord[] = [
  plain("ssl", "TLS towards the server.", (w) => {
    w.ssl = true;
  }),
  plain("no-ssl", "Undoes ssl.", (w) => {
    w.ssl = false;
  }),
  valued(
    "verify",
    "missing verify method.",
    "The server's certificate: none, required.",
    (w, v) => {
      if (v !== "none" && v !== "required") {
        return `'verify' : unknown verify method '${v}', only 'none' and 'required' are supported.`;
      }
      w.verifySet = true;
      tls(w, { verify: v });
      return undefined;
    },
  ),
  valued(
    "verifyhost",
    "missing hostname to verify against.",
    "Name its certificate must have.",
    (w, verifyHost) => tls(w, { verifyHost }),
  ),
  valued(
    "ca-file",
    "missing CAfile path.",
    "Authorities of its certificate.",
    (w, v, { reading, line }) => {
      const caFile = baseFile(reading, reading.draft.global.caBase, v, line.at);
      tls(w, { caFile });
      return checkPemFile(reading, caFile, "ca-file");
    },
  ),
  valued(
    "crl-file",
    "missing CRLfile path.",
    "Revoked certificates.",
    (w, v, { reading, line }) => {
      const crlFile = baseFile(reading, reading.draft.global.caBase, v, line.at);
      tls(w, { crlFile });
      return checkPemFile(reading, crlFile, "crl-file");
    },
  ),
  valued(
    "crt",
    "missing certificate file path.",
    "Our certificate towards it.",
    (w, v, { reading, line }) => {
      const path = baseFile(reading, reading.draft.global.crtBase, v, line.at);
      tls(w, { certificate: { text: v, path, at: line.at, order: 0 } });
      const found = checkCertificate(reading, v, path);
      return found.ok ? undefined : found.error;
    },
  ),
  valued(
    "sni",
    "missing sni expression.",
    "Name asked for, from the request.",
    (w, _v, { line, index }) => {
      tls(w, { sni: line.words[index + 1] });
    },
  ),
  plain(
    "sni-auto",
    "The request's host as name, where sni is absent: not done.",
    (w) => tls(w, { sniAuto: true }),
    "ignored",
  ),
  plain("no-sni-auto", "Undoes sni-auto.", (w) => tls(w, { sniAuto: false })),
  valued(
    "alpn",
    "missing the comma-delimited ALPN protocol suite.",
    "Protocols offered.",
    (w, v) => {
      const alpn = parseAlpn(v);
      if (alpn === undefined) return "'alpn' : empty or too long protocol name";
      tls(w, { alpn });
      return undefined;
    },
  ),
  valued(
    "npn",
    "missing the comma-delimited NPN protocol suite.",
    "Gone from TLS libraries.",
    () => {},
    "ignored",
  ),
  valued("ciphers", "missing cipher suite.", "Ciphers up to TLS 1.2.", (w, v, { reading }) => {
    tls(w, { ciphers: v });
    return reading.host.takesTlsList("ciphers", v)
      ? undefined
      : `unable to set SSL cipher list to '${v}'.`;
  }),
  valued("ciphersuites", "missing cipher suite.", "Ciphers of TLS 1.3.", (w, ciphersuites) =>
    tls(w, { ciphersuites }),
  ),
  valued("curves", "missing curve suite.", "Curves.", (w, curves) => tls(w, { curves })),
  valued("sigalgs", "missing signature algorithm list.", "Signature algorithms.", (w, sigalgs) =>
    tls(w, { sigalgs }),
  ),
  valued(
    "client-sigalgs",
    "missing signature algorithm list.",
    "Signature algorithms of our certificate.",
    (w, clientSigalgs) => tls(w, { clientSigalgs }),
  ),
  ...(["ssl-min-ver", "ssl-max-ver"] as const).map((name) =>
    valued(
      name,
      "missing version.",
      `${name === "ssl-min-ver" ? "Oldest" : "Newest"} TLS version.`,
      (w, v) => {
        const version = parseTlsVersion(v);
        if (version === undefined) return `'${v}' : unknown ssl/tls version`;
        tls(w, name === "ssl-min-ver" ? { minVersion: version } : { maxVersion: version });
        return undefined;
      },
    ),
  ),
  ...VERSION_WORDS.map((name) =>
    plain(
      name,
      name.startsWith("force") ? "That TLS version alone." : "Not that TLS version.",
      (w) => {
        const forced = forcedVersion(name);
        const refused = refusedVersion(name);
        if (forced !== undefined) tls(w, { minVersion: forced, maxVersion: forced });
        if (refused !== undefined) w.refusedVersions.add(refused);
      },
    ),
  ),
  plain("ssl-reuse", "Resumes TLS sessions (the default).", (w) => tls(w, { reuseSessions: true })),
  plain("no-ssl-reuse", "No resumption.", (w) => tls(w, { reuseSessions: false })),
  plain("tls-tickets", "Session tickets.", (w) => tls(w, { tickets: true })),
  plain("no-tls-tickets", "No session tickets.", (w) => tls(w, { tickets: false })),
  plain("allow-0rtt", "Early data: not sent.", (w) => tls(w, { earlyData: true }), "ignored"),
  plain(
    "renegotiate",
    "Permits renegotiation: never done.",
    (w) => tls(w, { renegotiate: true }),
    "ignored",
  ),
  plain("no-renegotiate", "No renegotiation.", (w) => tls(w, { renegotiate: false })),
  plain("no-verifyhost", "Undoes verifyhost.", (w) => tls(w, { verifyHost: undefined })),
  plain("ktls", "Kernel TLS.", () => {}, "tuning"),
  plain("check-ssl", "TLS in checks.", (w) => check(w, { ssl: true })),
  plain("no-check-ssl", "Undoes check-ssl.", (w) => check(w, { ssl: false })),
  valued("check-sni", "missing SNI.", "Name asked for in checks.", (w, sni) => check(w, { sni })),
  plain("check-sni-auto", "Name in checks as in sni-auto.", () => {}, "ignored"),
  plain("no-check-sni-auto", "Undoes check-sni-auto.", () => {}),
  valued("check-alpn", "Missing value.", "Protocols offered in checks.", (w, alpn) =>
    check(w, { alpn }),
  ),
];
