import { parseTicketKeys } from "../tls/ticket-keys.ts";
import type { BindDraft, BindWord } from "./bind-words.ts";
import { baseFile, checkCertificate, checkList, checkPemFile } from "./tls-files.ts";
import {
  forcedVersion,
  parseAlpn,
  parseIgnoredErrors,
  parseTlsVersion,
  refusedVersion,
  VERSION_WORDS,
} from "./tls-words.ts";

const SOURCE = "§5.1";

const plain = (
  name: string,
  doc: string,
  read: (bind: BindDraft) => void,
  status: BindWord["status"] = "works",
): BindWord => ({
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
  read: BindWord["read"],
  status: BindWord["status"] = "works",
): BindWord => ({
  name,
  syntax: `${name} <value>`,
  doc,
  source: SOURCE,
  status,
  missing,
  read,
});

/** TLS on a `bind` line. HAProxy configuration manual §5.1. */
export const bindTlsWords: readonly BindWord[] = [
  plain("ssl", "TLS on this listener.", (b) => {
    b.ssl = true;
  }),
  valued(
    "crt",
    "missing certificate location",
    "A certificate with its key: a file, a folder, or @store/alias.",
    certificate("certificates"),
  ),
  valued(
    "default-crt",
    "missing certificate location",
    "A certificate for clients whose name matches none.",
    certificate("defaultCertificates"),
  ),
  valued(
    "crt-list",
    "missing certificate location",
    "A file of certificates with filters.",
    (b, v, { reading, line }) => {
      const path = baseFile(reading, undefined, v, line.at);
      const found = checkList(reading, path, line);
      if (!found.ok) return found.error;
      b.settings.certificateLists.push({
        text: v,
        path,
        at: line.at,
        order: b.settings.certificates.length + b.settings.certificateLists.length,
      });
      b.settings.certificateCount += found.value;
      return undefined;
    },
  ),
  valued(
    "ca-file",
    "missing CAfile path",
    "Authorities of client certificates.",
    (b, v, { reading, line }) => {
      b.settings.caFile = baseFile(reading, reading.draft.global.caBase, v, line.at);
      return checkPemFile(reading, b.settings.caFile, "ca-file");
    },
  ),
  valued(
    "ca-verify-file",
    "missing CAfile path",
    "Authorities for verifying alone, not named to clients.",
    (b, v, { reading, line }) => {
      b.settings.caVerifyFile = baseFile(reading, reading.draft.global.caBase, v, line.at);
      return checkPemFile(reading, b.settings.caVerifyFile, "ca-verify-file");
    },
  ),
  valued(
    "crl-file",
    "missing CRLfile path",
    "Revoked client certificates.",
    (b, v, { reading, line }) => {
      b.settings.crlFile = baseFile(reading, reading.draft.global.caBase, v, line.at);
      return checkPemFile(reading, b.settings.crlFile, "crl-file");
    },
  ),
  valued(
    "ca-ignore-err",
    "missing error IDs list",
    "Errors of authorities that do not end the handshake.",
    (b, v) => {
      const errors = parseIgnoredErrors(v);
      if (!errors.ok) return `'ca-ignore-err' : ${errors.error}`;
      b.settings.caIgnoreErrors = errors.value;
      return undefined;
    },
  ),
  valued(
    "crt-ignore-err",
    "missing error IDs list",
    "Errors of client certificates that do not end the handshake.",
    (b, v) => {
      const errors = parseIgnoredErrors(v);
      if (!errors.ok) return `'crt-ignore-err' : ${errors.error}`;
      b.settings.crtIgnoreErrors = errors.value;
      return undefined;
    },
  ),
  valued(
    "verify",
    "missing verify method",
    "Client certificates: none, optional, required.",
    (b, v) => {
      if (v !== "none" && v !== "optional" && v !== "required") {
        return `'verify' : unknown verify method '${v}', only 'none', 'optional', and 'required' are supported`;
      }
      b.settings.verify = v;
      return undefined;
    },
  ),
  valued(
    "alpn",
    "missing the comma-delimited ALPN protocol suite",
    "Protocols offered.",
    (b, v) => {
      const names = parseAlpn(v);
      if (names === undefined) return "'alpn' : empty or too long protocol name";
      b.settings.alpn = names;
      return undefined;
    },
  ),
  plain("no-alpn", "Offers no protocol.", (b) => {
    b.settings.alpn = [];
  }),
  valued(
    "npn",
    "missing the comma-delimited NPN protocol suite",
    "Gone from TLS libraries.",
    (b, v) => {
      b.settings.npn = parseAlpn(v);
    },
    "ignored",
  ),
  valued("ciphers", "missing cipher suite", "Ciphers up to TLS 1.2.", (b, v) => {
    b.settings.ciphers = v;
  }),
  valued("ciphersuites", "missing cipher suite", "Ciphers of TLS 1.3.", (b, v) => {
    b.settings.ciphersuites = v;
  }),
  valued("curves", "missing curve suite", "Curves.", (b, v) => {
    b.settings.curves = v;
  }),
  valued("ecdhe", "missing named curve", "One curve.", (b, v) => {
    b.settings.ecdhe = v;
  }),
  valued("sigalgs", "missing signature algorithm list", "Signature algorithms.", (b, v) => {
    b.settings.sigalgs = v;
  }),
  valued(
    "client-sigalgs",
    "missing signature algorithm list",
    "Signature algorithms of client certificates.",
    (b, v) => {
      b.settings.clientSigalgs = v;
    },
  ),
  ...(["ssl-min-ver", "ssl-max-ver"] as const).map((name) =>
    valued(
      name,
      "missing version",
      `${name === "ssl-min-ver" ? "Oldest" : "Newest"} TLS version.`,
      (b, v) => {
        const version = parseTlsVersion(v);
        if (version === undefined) return `'${v}' : unknown ssl/tls version`;
        if (name === "ssl-min-ver") b.settings.minVersion = version;
        else b.settings.maxVersion = version;
        return undefined;
      },
    ),
  ),
  ...VERSION_WORDS.map((name) =>
    plain(
      name,
      name.startsWith("force")
        ? "That TLS version alone."
        : "Not that TLS version; better use ssl-min-ver.",
      (b) => {
        const forced = forcedVersion(name);
        const refused = refusedVersion(name);
        if (forced !== undefined) {
          b.settings.minVersion = forced;
          b.settings.maxVersion = forced;
        }
        if (refused !== undefined) b.refusedVersions.add(refused);
      },
    ),
  ),
  plain("strict-sni", "Refuses clients whose name matches no certificate.", (b) => {
    b.settings.strictSni = true;
  }),
  plain("no-strict-sni", "Undoes strict-sni.", (b) => {
    b.settings.strictSni = false;
  }),
  plain("no-tls-tickets", "No session tickets.", (b) => {
    b.settings.tickets = false;
  }),
  plain("tls-tickets", "Session tickets.", (b) => {
    b.settings.tickets = true;
  }),
  valued(
    "tls-ticket-keys",
    "missing TLS ticket keys file path",
    "Keys of session tickets, shared by hosts.",
    (b, v, { reading, line }) => {
      b.settings.ticketKeysFile = baseFile(reading, undefined, v, line.at);
      const file = reading.host.readFile(b.settings.ticketKeysFile);
      if (!file.ok) return `'${v}' : unable to load ssl tickets keys file`;
      const keys = parseTicketKeys(file.value, v);
      return keys.ok ? undefined : keys.error;
    },
  ),
  plain("prefer-client-ciphers", "The client's order of ciphers.", (b) => {
    b.settings.preferClientCiphers = true;
  }),
  plain("no-prefer-client-ciphers", "Our order of ciphers.", (b) => {
    b.settings.preferClientCiphers = false;
  }),
  plain(
    "allow-0rtt",
    "Early data: not accepted.",
    (b) => {
      b.settings.earlyData = true;
    },
    "ignored",
  ),
  plain(
    "generate-certificates",
    "Makes certificates for names that match none.",
    (b) => {
      b.settings.generateCertificates = true;
    },
    "later",
  ),
  valued(
    "ca-sign-file",
    "missing CAfile path",
    "Authority of generated certificates.",
    (b, v, { reading, line }) => {
      b.settings.caSignFile = baseFile(reading, reading.draft.global.caBase, v, line.at);
    },
    "later",
  ),
  valued(
    "ca-sign-pass",
    "missing CAkey password",
    "Passphrase of that authority's key.",
    (b, v) => {
      b.settings.caSignPass = v;
    },
    "later",
  ),
  plain("no-ca-names", "Names no authorities to clients.", (b) => {
    b.settings.noCaNames = true;
  }),
  plain("no-renegotiate", "No renegotiation (the default).", (b) => {
    b.settings.noRenegotiate = true;
  }),
  plain(
    "renegotiate",
    "Permits renegotiation: it is refused always.",
    (b) => {
      b.settings.noRenegotiate = false;
    },
    "ignored",
  ),
  valued("ocsp-update", "missing value", "OCSP updates.", () => {}, "ignored"),
  plain("ktls", "Kernel TLS.", () => {}, "tuning"),
  valued("ech", "missing value", "Encrypted ClientHello.", () => {}, "later"),
];

function certificate(list: "certificates" | "defaultCertificates"): BindWord["read"] {
  return (b, v, { reading, line }) => {
    const path = baseFile(reading, reading.draft.global.crtBase, v, line.at);
    const found = checkCertificate(reading, v, path);
    if (!found.ok) return found.error;
    b.settings[list].push({
      text: v,
      path,
      at: line.at,
      order: b.settings.certificates.length + b.settings.certificateLists.length,
    });
    b.settings.certificateCount += found.value;
    return undefined;
  };
}
