import type { Position } from "@ha/base";
import type { Token } from "./token.ts";

export type TlsVersion = "SSLv3" | "TLSv1.0" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

/** What `bind … ssl`, `server … ssl`, `ssl-default-bind-options` and `ssl-default-server-options` share. */
export interface TlsCommon {
  /** Undefined: OpenSSL's default, at least TLSv1.2. */
  readonly minVersion: TlsVersion | undefined;
  readonly maxVersion: TlsVersion | undefined;
  /** TLS up to 1.2, OpenSSL's syntax. */
  readonly ciphers: string | undefined;
  /** TLS 1.3. */
  readonly ciphersuites: string | undefined;
  readonly curves: string | undefined;
  readonly sigalgs: string | undefined;
  readonly clientSigalgs: string | undefined;
  /** Protocol names in order of preference, `["h2", "http/1.1"]`. Undefined: the default of the mode. */
  readonly alpn: readonly string[] | undefined;
  readonly npn: readonly string[] | undefined;
  readonly caFile: string | undefined;
  readonly crlFile: string | undefined;
  readonly tickets: boolean;
}

/** TLS towards clients: `bind … ssl`. HAProxy configuration manual §5.1. */
export interface TlsListener extends TlsCommon {
  /** Each `crt`: a file, a folder, or `@store/alias`, with the base folder applied. */
  readonly certificates: readonly CertificateUse[];
  readonly certificateLists: readonly CertificateUse[];
  /** Certificates that all of them came to when the file was read. */
  readonly certificateCount: number;
  readonly verify: "none" | "optional" | "required";
  readonly caVerifyFile: string | undefined;
  /** X509 error numbers that do not end the handshake; "all" for every one. */
  readonly caIgnoreErrors: "all" | readonly number[];
  readonly crtIgnoreErrors: "all" | readonly number[];
  readonly strictSni: boolean;
  readonly defaultCertificates: readonly CertificateUse[];
  readonly preferClientCiphers: boolean;
  readonly preferServerCiphers: boolean;
  readonly earlyData: boolean;
  readonly ecdhe: string | undefined;
  readonly generateCertificates: boolean;
  readonly caSignFile: string | undefined;
  readonly caSignPass: string | undefined;
  readonly ticketKeysFile: string | undefined;
  readonly noCaNames: boolean;
  readonly noRenegotiate: boolean;
}

export interface CertificateUse {
  /** As written. */
  readonly text: string;
  /** With the base folder in front. */
  readonly path: string;
  readonly at: Position;
  /** Its place among all `crt` and `crt-list` of the line: the first one serves clients without a name. */
  readonly order: number;
}

/** TLS towards a server: `server … ssl`. HAProxy configuration manual §5.2. */
export interface TlsClient extends TlsCommon {
  readonly verify: "none" | "required";
  readonly verifyHost: string | undefined;
  /** The expression after `sni`, to be compiled. */
  readonly sni: Token | undefined;
  /** `sni-auto`: the request's host where `sni` is absent. */
  readonly sniAuto: boolean;
  readonly certificate: CertificateUse | undefined;
  readonly reuseSessions: boolean;
  readonly earlyData: boolean;
  readonly renegotiate: boolean;
}
