import type { TlsFacts } from "../../transaction.ts";
import type { Fetch, FetchKeyword } from "../fetch-keyword.ts";
import {
  BIN,
  BOOL,
  type DeclaredType,
  encodeText,
  SINT,
  STR,
  setBytes,
  setInt,
} from "../sample.ts";
import { type Family, flag, plain } from "./declare.ts";

const CLIENT: Family = { layer: "session", source: "HAProxy configuration manual §7.3.4" };
const SERVER: Family = { ...CLIENT, layer: "server" };

/**
 * TLS of the client's connection, by what the TLS layer reports; no sample in clear text. Names that need more than
 * it reports are known, and find nothing.
 */
export const TLS_FETCHES: readonly FetchKeyword[] = [
  flag(CLIENT, "ssl_fc", "Whether the client speaks TLS.", (t) => t.session.tls !== undefined),
  text("ssl_fc_protocol", "TLS version: TLSv1.3.", (tls) => tls.version),
  text("ssl_fc_cipher", "Cipher's name.", (tls) => tls.cipher),
  text("ssl_fc_alpn", "Protocol agreed by ALPN.", (tls) => tls.alpn),
  text("ssl_fc_sni", "Server name that the client asked for.", (tls) => tls.sni),
  value(
    "ssl_fc_use_keysize",
    SINT,
    "Bits of the key in use.",
    (tls) => (_t, sample) => setInt(sample, tls.cipherBits),
  ),
  value(
    "ssl_fc_alg_keysize",
    SINT,
    "Bits of the cipher's keys.",
    (tls) => (_t, sample) => setInt(sample, tls.cipherBits),
  ),
  value(
    "ssl_fc_session_id",
    BIN,
    "Session's id.",
    (tls) => (_t, sample) => setBytes(sample, BIN, tls.sessionId),
  ),
  flag(
    CLIENT,
    "ssl_fc_is_resumed",
    "Whether the session was resumed.",
    (t) => t.session.tls?.resumed ?? false,
  ),
  flag(
    CLIENT,
    "ssl_fc_has_sni",
    "Whether the client asked for a server name.",
    (t) => (t.session.tls?.sni ?? "") !== "",
  ),
  flag(
    CLIENT,
    "ssl_fc_has_crt",
    "Whether the client showed a certificate.",
    (t) => t.session.tls?.clientCertificate !== undefined,
  ),
  flag(
    CLIENT,
    "ssl_c_used",
    "Whether the client showed a certificate, in this session or the one resumed.",
    (t) => t.session.tls?.clientCertificate !== undefined,
  ),
  flag(
    CLIENT,
    "ssl_fc_has_early",
    "Whether early data was sent: never, it is not accepted.",
    () => false,
  ),
  value(
    "ssl_c_verify",
    SINT,
    "OpenSSL's number for the client certificate's check; 0 is good.",
    (tls) => (_t, sample) => setInt(sample, tls.verifyResult),
  ),
  value(
    "ssl_c_err",
    SINT,
    "As ssl_c_verify, at depth 0.",
    (tls) => (_t, sample) => setInt(sample, tls.verifyResult),
  ),
  value(
    "ssl_c_der",
    BIN,
    "Client certificate, DER.",
    (tls) => (_t, sample) =>
      tls.clientCertificate !== undefined && setBytes(sample, BIN, tls.clientCertificate),
  ),
  plain(
    CLIENT,
    "ssl_c_sha1",
    BIN,
    "SHA-1 of the client certificate.",
    ({ world }) =>
      (t, sample) => {
        const certificate = t.session.tls?.clientCertificate;
        const digest =
          certificate === undefined ? undefined : world.ports.digests.hash("sha1", certificate);
        return digest !== undefined && setBytes(sample, BIN, digest);
      },
  ),
  value(
    "fc_err",
    SINT,
    "Error of the client connection's handshake; 0 when it went well.",
    () => (_t, sample) => setInt(sample, 0),
    true,
  ),
  value(
    "ssl_fc_err",
    SINT,
    "Error of the TLS handshake; 0 when it went well.",
    () => (_t, sample) => setInt(sample, 0),
  ),
  value(
    "ssl_c_ca_err",
    SINT,
    "Error of the check above depth 0; 0 when there was none.",
    () => (_t, sample) => setInt(sample, 0),
  ),
  value(
    "ssl_c_ca_err_depth",
    SINT,
    "Depth of that error.",
    () => (_t, sample) => setInt(sample, 0),
  ),
  flag(SERVER, "ssl_bc", "Whether the connection to the server is TLS.", () => false),
  ...unreported(),
];

function value(
  name: string,
  type: DeclaredType,
  doc: string,
  make: (tls: TlsFacts) => Fetch,
  always = false,
): FetchKeyword {
  return plain(CLIENT, name, type, doc, () => (t, sample) => {
    const { tls } = t.session;
    if (tls === undefined) return always && setInt(sample, 0);
    return make(tls)(t, sample);
  });
}

function text(name: string, doc: string, read: (tls: TlsFacts) => string): FetchKeyword {
  return plain(CLIENT, name, STR, doc, () => (t, sample) => {
    const { tls } = t.session;
    const found = tls === undefined ? "" : read(tls);
    return found !== "" && setBytes(sample, STR, encodeText(found));
  });
}

/** Names of the manual whose data the TLS layer does not report. */
function unreported(): FetchKeyword[] {
  const certificate = (side: string): [string, DeclaredType][] => [
    [`ssl_${side}_i_dn`, STR],
    [`ssl_${side}_s_dn`, STR],
    [`ssl_${side}_serial`, BIN],
    [`ssl_${side}_notafter`, STR],
    [`ssl_${side}_notbefore`, STR],
    [`ssl_${side}_key_alg`, STR],
    [`ssl_${side}_sig_alg`, STR],
    [`ssl_${side}_version`, SINT],
    [`ssl_${side}_chain_der`, BIN],
  ];
  const names: [string, DeclaredType][] = [
    ["ssl_c_chain_der", BIN],
    ...certificate("f"),
    ...certificate("s"),
    ["ssl_f_der", BIN],
    ["ssl_f_sha1", BIN],
    ["ssl_s_der", BIN],
    ["ssl_s_sha1", BIN],
    ["ssl_fc_npn", STR],
    ["ssl_fc_unique_id", BIN],
    ["ssl_fc_session_key", BIN],
    ["ssl_fc_client_random", BIN],
    ["ssl_fc_server_random", BIN],
    ["ssl_fc_cipherlist_bin", BIN],
    ["ssl_fc_cipherlist_hex", STR],
    ["ssl_fc_cipherlist_str", STR],
    ["ssl_fc_cipherlist_xxh", SINT],
    ["ssl_fc_protocol_hello_id", SINT],
    ["ssl_fc_extlist_bin", BIN],
    ["ssl_fc_eclist_bin", BIN],
    ["ssl_fc_ecformats_bin", BIN],
    ["ssl_fc_err_str", STR],
    ["fc_err_str", STR],
    ["ssl_bc_alg_keysize", SINT],
    ["ssl_bc_use_keysize", SINT],
    ["ssl_bc_alpn", STR],
    ["ssl_bc_cipher", STR],
    ["ssl_bc_protocol", STR],
    ["ssl_bc_session_id", BIN],
    ["ssl_bc_is_resumed", BOOL],
    ["ssl_bc_err", SINT],
    ["ssl_bc_err_str", STR],
    ["bc_err", SINT],
    ["bc_err_str", STR],
    ["fc_rtt", SINT],
    ["fc_rttvar", SINT],
    ["fc_unacked", SINT],
    ["fc_sacked", SINT],
    ["fc_retrans", SINT],
    ["fc_fackets", SINT],
    ["fc_lost", SINT],
    ["fc_reordering", SINT],
  ];
  return names.map(([name, type]) => ({
    name,
    syntax: `${name}([…])`,
    doc: "Known, but not reported here: finds no sample. A warning says so.",
    ...(name.includes("_bc") || name.startsWith("bc_") || name.startsWith("ssl_s_")
      ? SERVER
      : CLIENT),
    type,
    arity: [0, 3],
    compile: (_args, { diagnostics }, token) => {
      diagnostics.warning(
        "config/rule",
        token.at,
        `'${name}' is not supported: it never finds a value`,
      );
      return () => false;
    },
  }));
}
