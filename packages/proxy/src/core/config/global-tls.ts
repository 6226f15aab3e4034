import type { Mutable } from "./draft.ts";
import { type GlobalKeyword, ignored, keyword, text, tuning } from "./global-keyword.ts";
import type { Line } from "./line.ts";
import type { TlsDefaults } from "./model.ts";
import { forcedVersion, parseTlsVersion, refusedVersion } from "./tls-words.ts";

const doc = (doc: string) => ({ doc, source: "§3.1" });

/** Folders and defaults of TLS. HAProxy configuration manual §3.1. */
export const globalTlsKeywords: readonly GlobalKeyword[] = [
  ...(
    [
      ["ca-base", "caBase", "Folder of ca-file and crl-file names without a leading slash."],
      ["crt-base", "crtBase", "Folder of crt names without a leading slash."],
      ["key-base", "keyBase", "Folder of key names in crt-store sections."],
    ] as const
  ).map(([name, field, what]) =>
    keyword(name, `${name} <folder>`, doc(what), (line, { draft }) => {
      if (!line.atMost(1)) return;
      if (draft.global[field] !== undefined) line.alert(`'${name}' already specified. Continuing.`);
      else if (line.text(1) === "") {
        line.alert(`'global statement '${name}' expects a directory path as an argument.`);
      } else draft.global[field] = line.text(1);
    }),
  ),
  ...(["bind", "server"] as const).flatMap((side) => [
    ...(
      [
        ["ciphers", "ciphers", "Ciphers up to TLS 1.2."],
        ["ciphersuites", "ciphersuites", "Ciphers of TLS 1.3."],
        ["curves", "curves", "Curves."],
        ["sigalgs", "sigalgs", "Signature algorithms."],
        ["client-sigalgs", "clientSigalgs", "Signature algorithms of client certificates."],
      ] as const
    ).map(([word, field, what]) =>
      text(
        `ssl-default-${side}-${word}`,
        `<${word}>`,
        "an argument",
        doc(`${what} Default of ${side} lines.`),
        (g, v) => {
          g.tls[side][field] = v;
        },
      ),
    ),
    keyword(
      `ssl-default-${side}-options`,
      `ssl-default-${side}-options <option>…`,
      doc(
        `Defaults of ${side} lines: ssl-min-ver, ssl-max-ver, no-tls-tickets, force-*, no-*${side === "bind" ? ", prefer-client-ciphers, strict-sni" : ""}.`,
      ),
      (line, { draft }) => readDefaultOptions(line, side, draft.global.tls[side]),
    ),
  ]),
  keyword(
    "ssl-server-verify",
    "ssl-server-verify { none | required }",
    { ...doc("Default of `verify` on server lines."), default: "required" },
    (line, { draft }) => {
      const word = line.text(1);
      if (word === "none" || word === "required") draft.global.tls.server.verify = word;
      else if (word === "") line.alert("'ssl-server-verify' expects an argument (none|required).");
      else line.alert(`'ssl-server-verify' expects 'none' or 'required' (got '${word}').`);
    },
  ),
  keyword(
    "ssl-dh-param-file",
    "ssl-dh-param-file <file>",
    doc("Diffie-Hellman parameters."),
    (line, { draft, host }) => {
      const file = host.readFile(line.text(1));
      if (line.text(1) === "")
        line.alert("'ssl-dh-param-file' expects a file path as an argument.");
      else if (!file.ok) {
        line.alert(
          `'ssl-dh-param-file': unable to load DH parameters from file <${line.text(1)}>.`,
        );
      } else draft.global.tls.dhParamFile = line.text(1);
    },
  ),
  keyword(
    "ssl-load-extra-files",
    "ssl-load-extra-files <type>…",
    {
      ...doc("What is loaded beside a certificate: bundle, sctl, ocsp, issuer, key; none, all."),
      default: "all",
    },
    (line, { draft }) => {
      const known = ["none", "all", "bundle", "sctl", "ocsp", "issuer", "key"];
      const types = line.from(1).map((word) => word.text);
      const bad = types.find((type) => !known.includes(type));
      if (types.length === 0) line.alert("'ssl-load-extra-files' requires an argument.");
      else if (bad !== undefined) {
        line.alert(`'ssl-load-extra-files' unrecognized option '${bad}'.`);
      } else draft.global.tls.loadExtraFiles = new Set(types);
    },
  ),
  keyword(
    "ssl-skip-self-issued-ca",
    "ssl-skip-self-issued-ca",
    doc("Leaves a self-issued CA out of a sent chain."),
    (line, { draft }) => {
      if (line.atMost(0)) draft.global.tls.skipSelfIssuedCa = true;
    },
  ),
  keyword(
    "ssl-load-extra-del-ext",
    "ssl-load-extra-del-ext",
    doc("Looks for site.key beside site.crt, in place of site.crt.key."),
    (line, { draft }) => {
      if (line.atMost(0)) draft.global.tls.replaceExtension = true;
    },
  ),
  keyword(
    "issuers-chain-path",
    "issuers-chain-path <folder>",
    doc("Chains that complete certificates without one, by their issuer."),
    (line, { draft, host }) => {
      const folder = line.text(1);
      if (draft.global.tls.issuersChainPath !== undefined) {
        line.alert("'issuers-chain-path' already specified. Continuing.");
      } else if (folder === "" || host.kindOf(folder) === undefined) {
        line.alert(
          "global statement 'issuers-chain-path' expects a directory path as an argument.\n",
        );
      } else draft.global.tls.issuersChainPath = folder;
    },
  ),
  tuning("ssl-mode-async", "", "Asynchronous engines."),
  ignored("ssl-engine", "<name> [algo <list>]", "OpenSSL engines."),
  ignored("ssl-propquery", "<query>", "OpenSSL property query."),
  ignored("ssl-provider", "<name>", "OpenSSL providers."),
  ignored("ssl-provider-path", "<path>", "OpenSSL providers."),
  ignored("ssl-security-level", "<0..5>", "OpenSSL security level."),
  ignored("ssl-passphrase-cmd", "<command> [<args>…]", "Command that prints passphrases of keys."),
  ignored("ocsp-update.disable", "{ on | off }", "OCSP updates."),
  ignored("ocsp-update.httpproxy", "<address>", "OCSP updates."),
  ignored("ocsp-update.maxdelay", "<number>", "OCSP updates."),
  ignored("ocsp-update.mindelay", "<number>", "OCSP updates."),
  ignored("ocsp-update.mode", "{ on | off }", "OCSP updates."),
];

function readDefaultOptions(
  line: Line,
  side: "bind" | "server",
  target: Mutable<TlsDefaults>,
): void {
  const statement = `ssl-default-${side}-options`;
  if (line.text(1) === "") {
    line.alert(`global statement '${statement}' expects an option as an argument.`);
    return;
  }
  for (let i = 1; line.text(i) !== ""; i++) {
    const word = line.text(i);
    const forced = forcedVersion(word);
    const refused = refusedVersion(word);
    if (word === "ssl-min-ver" || word === "ssl-max-ver") {
      const version = parseTlsVersion(line.text(++i));
      if (version === undefined) {
        line.alert(
          `'${line.text(i)}' : unknown ssl/tls version on global statement '${statement}'.`,
        );
      } else if (word === "ssl-min-ver") target.minVersion = version;
      else target.maxVersion = version;
    } else if (forced !== undefined) {
      target.minVersion = forced;
      target.maxVersion = forced;
    } else if (word === "no-tls-tickets") {
      target.tickets = false;
    } else if (word === "tls-tickets") {
      target.tickets = true;
    } else if (side === "bind" && word === "prefer-client-ciphers") {
      target.preferClientCiphers = true;
    } else if (side === "bind" && word === "no-prefer-client-ciphers") {
      target.preferClientCiphers = false;
    } else if (side === "bind" && (word === "strict-sni" || word === "no-strict-sni")) {
      target.strictSni = word === "strict-sni";
    } else if (refused !== undefined) {
      target.refusedVersions = new Set([...target.refusedVersions, refused]);
    } else if (!["no-renegotiate", "renegotiate"].includes(word)) {
      line.alert(`unknown option '${word}' on global statement '${statement}'.`);
      return;
    }
  }
}
