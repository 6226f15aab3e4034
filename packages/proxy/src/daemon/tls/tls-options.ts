import { createHash } from "node:crypto";
import type { TlsClientOptions, TlsServerOptions, TlsVersionName } from "@ha/linux/tls";
import type { Config } from "../../core/config/model.ts";
import type { TlsClient, TlsListener, TlsVersion } from "../../core/config/tls-model.ts";

/** Files that a line names, read before rights are given up. */
export interface BindFiles {
  readonly ca: Uint8Array | undefined;
  readonly crl: Uint8Array | undefined;
  readonly caNames: Uint8Array | undefined;
  readonly ticketKeys: readonly Uint8Array[] | undefined;
}

/** What all certificates of a `bind` line share; the certificate's own parts are added to it. */
export type BindOptions = Omit<TlsServerOptions, "pem" | "key" | "chain" | "ocsp">;

/**
 * @param name Of the bind within the configuration: sessions of one are not resumed at another whose rules for
 *   certificates differ.
 * @param ignored X509 error numbers of `ca-ignore-err` and `crt-ignore-err`.
 */
export function bindOptions(
  { global }: Config,
  tls: TlsListener,
  files: BindFiles,
  ignored: Pick<TlsServerOptions, "ignoreCaErrors" | "ignoreCertificateErrors">,
): BindOptions {
  const number = (name: string) => {
    const value = global.tune.get(name);
    return typeof value === "number" ? value : undefined;
  };
  return {
    minVersion: versionOf(tls.minVersion),
    maxVersion: versionOf(tls.maxVersion),
    ciphers: tls.ciphers,
    ciphersuites: tls.ciphersuites,
    curves: tls.curves ?? tls.ecdhe,
    sigalgs: tls.sigalgs,
    clientSigalgs: tls.clientSigalgs,
    alpn: tls.alpn,
    verify: tls.verify,
    ca: files.ca,
    crl: files.crl,
    caNames: tls.noCaNames ? new Uint8Array(0) : files.caNames,
    ...ignored,
    preferClientCiphers: tls.preferClientCiphers,
    tickets: tls.tickets,
    ticketKeys: files.ticketKeys,
    cache: number("tune.ssl.cachesize") !== 0,
    sessionContext: sessionContext(tls, files),
    captureHello:
      number("tune.ssl.capture-buffer-size") ?? number("tune.ssl.capture-cipherlist-size") ?? 0,
    // Shorter at the start of a stream only is not told apart: what is asked for there holds always.
    maxRecord: number("tune.ssl.hard-maxrecord") ?? number("tune.ssl.maxrecord"),
  };
}

/** A session may only be resumed where the same clients are let in. */
function sessionContext(tls: TlsListener, files: BindFiles): Uint8Array {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([tls.verify, tls.caIgnoreErrors, tls.crtIgnoreErrors]));
  for (const part of [files.ca, files.crl]) {
    hash.update(Uint8Array.of(part === undefined ? 0 : 1));
    if (part !== undefined) hash.update(part);
  }
  return hash.digest();
}

/** Files that a server line names. */
export interface ServerFiles {
  readonly ca: Uint8Array | undefined;
  readonly crl: Uint8Array | undefined;
  readonly certificate: Uint8Array | undefined;
  readonly key: Uint8Array | undefined;
}

export function serverOptions(tls: TlsClient, files: ServerFiles): TlsClientOptions {
  return {
    minVersion: versionOf(tls.minVersion),
    maxVersion: versionOf(tls.maxVersion),
    ciphers: tls.ciphers,
    ciphersuites: tls.ciphersuites,
    curves: tls.curves,
    sigalgs: tls.sigalgs,
    alpn: tls.alpn,
    tickets: tls.tickets,
    verify: tls.verify,
    ca: files.ca,
    crl: files.crl,
    pem: files.certificate,
    key: files.key,
  };
}

/** SSLv3 is in no OpenSSL that we meet: the oldest it has stands for it. */
function versionOf(version: TlsVersion | undefined): TlsVersionName | undefined {
  return version === "SSLv3" ? "TLSv1.0" : version;
}
