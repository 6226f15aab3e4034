import { xxh64 } from "../../hash/xxhash.ts";
import { hex } from "../../tls/hex.ts";
import type { TlsFacts, Transaction } from "../../transaction.ts";
import type { FetchKeyword } from "../fetch-keyword.ts";
import {
  BIN,
  BOOL,
  type DeclaredType,
  encodeText,
  type Sample,
  SINT,
  STR,
  setBool,
  setBytes,
  setInt,
} from "../sample.ts";
import { type Family, flag, plain } from "./declare.ts";

const CLIENT: Family = { layer: "session", source: "HAProxy configuration manual §7.3.4" };
const SERVER: Family = { ...CLIENT, layer: "server" };

/** One side of the traffic: its prefix, and what TLS knows there. */
interface Side {
  readonly prefix: "ssl_fc" | "ssl_bc";
  readonly who: string;
  readonly family: Family;
  readonly of: (transaction: Transaction) => TlsFacts | undefined;
}

const CLIENT_SIDE: Side = {
  prefix: "ssl_fc",
  who: "with the client",
  family: CLIENT,
  of: ({ session }) => session.tls,
};
const SERVER_SIDE: Side = {
  prefix: "ssl_bc",
  who: "with the server",
  family: SERVER,
  of: ({ serverTls }) => serverTls,
};

/** TLS of connections, by what the TLS layer reports; no sample in clear text. HAProxy configuration manual §7.3.4. */
export const TLS_FETCHES: readonly FetchKeyword[] = [
  flag(CLIENT, "ssl_fc", "Whether the client speaks TLS.", (t) => t.session.tls !== undefined),
  flag(
    SERVER,
    "ssl_bc",
    "Whether the connection to the server is TLS.",
    (t) => t.serverTls !== undefined,
  ),
  ...[CLIENT_SIDE, SERVER_SIDE].flatMap(bothSides),
  text(CLIENT_SIDE, "sni", "Server name that the client asked for.", (tls) => tls.sni),
  bool(
    CLIENT_SIDE,
    "has_sni",
    "Whether the client asked for a server name.",
    (tls) => tls.sni !== "",
  ),
  bool(
    CLIENT_SIDE,
    "has_crt",
    "Whether the client showed a certificate in this very connection.",
    (tls) => tls.peerCertificate !== undefined && !tls.resumed,
  ),
  bool(
    CLIENT_SIDE,
    "has_early",
    "Whether early data was sent: never, it is not accepted.",
    () => false,
  ),
  number(
    CLIENT_SIDE,
    "protocol_hello_id",
    "Version field of the client hello.",
    (tls) => tls.hello.version,
  ),
  list(
    "cipherlist_bin",
    BIN,
    "Ciphers of the client hello, two bytes each",
    (hello) => hello.ciphers,
  ),
  list("cipherlist_hex", STR, "Ciphers of the client hello, in hexadecimal", (hello) =>
    encodeText(hex(hello.ciphers).toUpperCase()),
  ),
  list("cipherlist_str", STR, "Names of the ciphers of the client hello", (hello) =>
    encodeText(hello.cipherNames),
  ),
  list(
    "extlist_bin",
    BIN,
    "Extensions of the client hello, two bytes each",
    (hello) => hello.extensions,
  ),
  list("eclist_bin", BIN, "Curves of the client hello, two bytes each", (hello) => hello.curves),
  list("ecformats_bin", BIN, "Point formats of the client hello", (hello) => hello.formats),
  plain(
    CLIENT,
    "ssl_fc_cipherlist_xxh",
    SINT,
    "XXH64 of the ciphers of the client hello. Needs tune.ssl.capture-buffer-size.",
    () => (t, sample) => {
      const ciphers = t.session.tls?.hello.ciphers;
      if (ciphers === undefined || ciphers.length === 0) return false;
      return setInt(sample, Number(BigInt.asIntN(64, xxh64(ciphers, 0, ciphers.length, 0n))));
    },
  ),
  plain(
    CLIENT,
    "ssl_c_used",
    BOOL,
    "Whether the client showed a certificate, in this session or the one resumed.",
    () => (t, sample) => {
      const { tls } = t.session;
      return tls !== undefined && setBool(sample, tls.peerCertificate !== undefined);
    },
  ),
  certificateNumber(
    "ssl_c_verify",
    "OpenSSL's number for the check; 0 is good.",
    (tls) => tls.verifyResult,
  ),
  certificateNumber(
    "ssl_c_err",
    "First error of the check at depth 0; 0 for none.",
    (tls) => tls.certificateError,
  ),
  certificateNumber(
    "ssl_c_ca_err",
    "First error of the check above depth 0; 0 for none.",
    (tls) => tls.caError,
  ),
  certificateNumber("ssl_c_ca_err_depth", "Depth of that error.", (tls) => tls.caErrorDepth),
  chain("ssl_c_chain_der", CLIENT_SIDE, "the client"),
  chain("ssl_s_chain_der", SERVER_SIDE, "the server"),
  ...["fc", "bc"].flatMap((side) =>
    connectionError(side === "fc" ? CLIENT_SIDE : SERVER_SIDE, side),
  ),
  ...unreported(),
];

function bothSides(side: Side): FetchKeyword[] {
  return [
    text(side, "protocol", `TLS version ${side.who}: TLSv1.3.`, (tls) => tls.version),
    text(side, "cipher", `Name of the cipher ${side.who}.`, (tls) => tls.cipher),
    text(side, "alpn", `Protocol agreed ${side.who} by ALPN.`, (tls) => tls.alpn),
    number(side, "alg_keysize", `Bits of the cipher's keys ${side.who}.`, (tls) => tls.cipherBits),
    number(
      side,
      "use_keysize",
      `Bits of the keys ${side.who} that count.`,
      (tls) => tls.cipherBitsUsed,
    ),
    bool(side, "is_resumed", `Whether the session ${side.who} was resumed.`, (tls) => tls.resumed),
    binary(side, "session_id", `Id of the session ${side.who}.`, (tls) => tls.sessionId),
    binary(
      side,
      "session_key",
      `Master secret of the session ${side.who}.`,
      (tls) => tls.sessionKey,
    ),
    binary(
      side,
      "client_random",
      `Random bytes of the client ${side.who}.`,
      (tls) => tls.clientRandom,
    ),
    binary(
      side,
      "server_random",
      `Random bytes of the server ${side.who}.`,
      (tls) => tls.serverRandom,
    ),
    // The first Finished message of the handshake, as HAProxy has it on both sides. RFC 5929 §3.
    binary(side, "unique_id", `Channel binding ${side.who}.`, (tls) =>
      tls.resumed ? tls.finished : tls.peerFinished,
    ),
    number(
      side,
      "err",
      `Error of the handshake ${side.who}; 0 when it went well.`,
      (tls) => tls.error,
    ),
    text(side, "err_str", `That error in OpenSSL's words.`, (tls) => tls.errorText),
    text(side, "npn", `Protocol agreed by NPN: never, no library has it.`, () => ""),
  ];
}

function text(side: Side, name: string, doc: string, read: (tls: TlsFacts) => string) {
  return plain(side.family, `${side.prefix}_${name}`, STR, doc, () => (t, sample) => {
    const tls = side.of(t);
    const found = tls === undefined ? "" : read(tls);
    return found !== "" && setBytes(sample, STR, encodeText(found));
  });
}

function number(side: Side, name: string, doc: string, read: (tls: TlsFacts) => number) {
  return plain(side.family, `${side.prefix}_${name}`, SINT, doc, () => (t, sample) => {
    const tls = side.of(t);
    return tls !== undefined && setInt(sample, read(tls));
  });
}

function bool(side: Side, name: string, doc: string, read: (tls: TlsFacts) => boolean) {
  return plain(side.family, `${side.prefix}_${name}`, BOOL, doc, () => (t, sample) => {
    const tls = side.of(t);
    return setBool(sample, tls !== undefined && read(tls));
  });
}

function binary(side: Side, name: string, doc: string, read: (tls: TlsFacts) => Uint8Array) {
  return plain(side.family, `${side.prefix}_${name}`, BIN, doc, () => (t, sample) => {
    const tls = side.of(t);
    const bytes = tls === undefined ? undefined : read(tls);
    return bytes !== undefined && bytes.length > 0 && setBytes(sample, BIN, bytes);
  });
}

/** Lists that are kept of the client hello. `<filter>` 1 leaves out values that mean nothing (GREASE, RFC 8701). */
function list(
  name: string,
  type: typeof BIN | typeof STR,
  doc: string,
  read: (hello: TlsFacts["hello"]) => Uint8Array,
): FetchKeyword {
  return {
    name: `ssl_fc_${name}`,
    syntax: `ssl_fc_${name}([<filter>])`,
    doc: `${doc}; <filter> 1 leaves out GREASE. Needs tune.ssl.capture-buffer-size.`,
    ...CLIENT,
    type,
    arity: [0, 1],
    compile: ([filter]) => {
      const plainOnly = filter?.text === "1";
      return (t, sample: Sample) => {
        const hello = t.session.tls?.hello;
        if (hello === undefined) return false;
        const bytes = read(plainOnly ? withoutGrease(hello) : hello);
        return bytes.length > 0 && setBytes(sample, type, bytes);
      };
    },
  };
}

function withoutGrease(hello: TlsFacts["hello"]): TlsFacts["hello"] {
  return {
    ...hello,
    ciphers: meaningful(hello.ciphers),
    extensions: meaningful(hello.extensions),
    curves: meaningful(hello.curves),
  };
}

/** Without 0x0a0a, 0x1a1a … RFC 8701 §2. */
function meaningful(pairs: Uint8Array): Uint8Array {
  const kept: number[] = [];
  for (let at = 0; at + 1 < pairs.length; at += 2) {
    const [high = 0, low = 0] = [pairs[at], pairs[at + 1]];
    if (high !== low || (high & 0x0f) !== 0x0a) kept.push(high, low);
  }
  return Uint8Array.from(kept);
}

function certificateNumber(name: string, doc: string, read: (tls: TlsFacts) => number) {
  return plain(CLIENT, name, SINT, `Client certificate: ${doc}`, () => (t, sample) => {
    const { tls } = t.session;
    return tls !== undefined && setInt(sample, read(tls));
  });
}

function chain(name: string, side: Side, who: string): FetchKeyword {
  return plain(
    side.family,
    name,
    BIN,
    `Chain of ${who} as it was sent, DER one after the other.`,
    () => (t, sample) => {
      const der = side.of(t)?.peerChain;
      return der !== undefined && setBytes(sample, BIN, der);
    },
  );
}

/** `fc_err`: 0 in clear text as well. */
function connectionError(side: Side, prefix: string): FetchKeyword[] {
  return [
    plain(
      side.family,
      `${prefix}_err`,
      SINT,
      `Error of the connection's handshakes ${side.who}; 0 when they went well.`,
      () => (t, sample) => setInt(sample, side.of(t)?.error ?? 0),
    ),
    plain(side.family, `${prefix}_err_str`, STR, "That error in words.", () => (t, sample) => {
      const words = side.of(t)?.errorText ?? "";
      return words !== "" && setBytes(sample, STR, encodeText(words));
    }),
  ];
}

/** Names of the manual whose data the kernel does not report here. */
function unreported(): FetchKeyword[] {
  const names: [string, DeclaredType][] = [
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
    ...CLIENT,
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
