import { fail, ok, type Result } from "@ha/base";
import type { ConfigHost } from "../config/host.ts";
import { join } from "../config/reading.ts";
import { type Certificate, parseCertificate } from "../sample/certificate.ts";
import { ocspFault } from "./ocsp-response.ts";
import { isCertificate, isPrivateKey, type PemBlock, pemBlocks, pemFile } from "./pem.ts";

/** What may be loaded beside a certificate: `ssl-load-extra-files`. HAProxy configuration manual §3.1. */
export interface ExtraFiles {
  /** Of bundle, sctl, ocsp, issuer, key; `all`, `none`. */
  readonly kinds: ReadonlySet<string>;
  /** `ssl-load-extra-del-ext`: `site.key` beside `site.crt`, not `site.crt.key`. */
  readonly replaceExtension: boolean;
  /** Chains of `issuers-chain-path`: the first certificate of each signs ours. */
  readonly chains: readonly (readonly PemBlock[])[];
}

/** A certificate with all that goes with it, in memory. Its key is never shown to anybody. */
export interface CertificateMaterial {
  readonly certificate: PemBlock;
  /** What `certificate` says of itself. */
  readonly facts: Certificate;
  /** What is sent behind it. */
  readonly chain: readonly PemBlock[];
  readonly key: PemBlock;
  /** Who signed it, where that is known: in the chain, or in `.issuer`. */
  readonly issuer: PemBlock | undefined;
  /** `DH PARAMETERS` of its file. */
  readonly dhParams: PemBlock | undefined;
  /** A response to clients that ask (DER); undefined: none. */
  readonly ocsp: Uint8Array | undefined;
  /** A list of signed timestamps. RFC 6962 §3.3. */
  readonly sctl: Uint8Array | undefined;
}

/** What the reading of a certificate has found. */
export interface LoadedCertificate {
  readonly material: CertificateMaterial;
  /** HAProxy's words on what is left out. */
  readonly warnings: readonly string[];
}

/** Names for several keys of one site, in the order in which they are loaded. HAProxy configuration manual §3.1, ssl-load-extra-files. */
const BUNDLE = [".dsa", ".ecdsa", ".rsa"];
/** What stands in a folder beside certificates and is none. HAProxy configuration manual §5.1, crt. */
const COMPANIONS = [".issuer", ".ocsp", ".sctl", ".key"];

function loads({ kinds }: ExtraFiles, kind: string): boolean {
  return kinds.has("all") || kinds.has(kind);
}

/** The certificates that a `crt` names: itself, all of a folder, or the keys of a bundle. Fails with HAProxy's words. */
export function certificatePaths(
  host: ConfigHost,
  path: string,
  extra: ExtraFiles,
): Result<readonly string[], string> {
  switch (host.kindOf(path)) {
    case "file":
      return ok([path]);
    case "folder":
      return ok(
        host
          .listFolder(path)
          .filter(
            (name) =>
              !name.startsWith(".") && !COMPANIONS.some((extension) => name.endsWith(extension)),
          )
          .map((name) => join(path, name))
          .filter((inside) => host.kindOf(inside) === "file"),
      );
    case undefined: {
      const parts = loads(extra, "bundle")
        ? BUNDLE.map((extension) => path + extension).filter((part) => host.kindOf(part) === "file")
        : [];
      return parts.length > 0
        ? ok(parts)
        : fail(`unable to stat SSL certificate from file '${path}' : No such file or directory.`);
    }
  }
}

type Companion = ".key" | ".ocsp" | ".issuer" | ".sctl";
/** Files that a `crt-store` names, in place of those beside the certificate. */
export type NamedCompanions = Partial<Record<Companion, string>>;

/** Reads one certificate and what stands beside it. Fails with HAProxy's words. */
export function loadCertificate(
  host: ConfigHost,
  path: string,
  extra: ExtraFiles,
  explicit: NamedCompanions = {},
): Result<LoadedCertificate, string> {
  const file = host.readFile(path);
  const unusable = `unable to load certificate from file '${path}'.`;
  if (!file.ok) return fail(unusable);
  const blocks = pemBlocks(file.value);
  const [certificate, ...inFile] = blocks.filter(isCertificate);
  const facts = certificate?.der === undefined ? undefined : parseCertificate(certificate.der);
  if (certificate === undefined || facts === undefined) return fail(unusable);
  const chain = inFile.length > 0 ? inFile : chainOf(facts, extra.chains);

  const beside = (extension: Companion) => explicit[extension] ?? companion(path, extension, extra);
  const wants = (extension: Companion) =>
    explicit[extension] !== undefined || loads(extra, extension.slice(1));
  const own = explicit[".key"] === undefined ? blocks : [];
  const key = keyOf(host, path, own, beside(".key"), wants(".key"));
  if (!key.ok) return key;
  const wrong = host.checkKey(pemFile([certificate]), pemFile([key.value]));
  if (wrong === "certificate") return fail(unusable);
  if (wrong === "mismatch") {
    return fail(`inconsistencies between private key and certificate loaded '${path}'.`);
  }
  if (wrong === "key") {
    return fail(`unable to load private key from file '${path}'.`);
  }

  const sctl = wants(".sctl") ? optional(host, beside(".sctl")) : undefined;
  if (sctl !== undefined && !isTimestampList(sctl)) {
    return fail(` '${beside(".sctl")}' is present but cannot be read or parsed'.`);
  }
  const warnings: string[] = [];
  if (sctl !== undefined) {
    warnings.push(
      `'${beside(".sctl")}' is not sent to clients: lbproxy does not serve signed timestamps.`,
    );
  }
  const response = wants(".ocsp") ? optional(host, beside(".ocsp")) : undefined;
  let issuer = chain.find((block) => isIssuer(block, facts));
  let ocsp: Uint8Array | undefined;
  if (response !== undefined) {
    if (issuer === undefined && wants(".issuer")) {
      const file = optional(host, beside(".issuer"));
      issuer = file === undefined ? undefined : pemBlocks(file).find(isCertificate);
    }
    const signer = issuer?.der === undefined ? undefined : parseCertificate(issuer.der);
    if (signer === undefined) {
      return fail(
        ` '${beside(".ocsp")}' is present and activates OCSP but it is impossible to compute the OCSP certificate ID (maybe the issuer could not be found)'.`,
      );
    }
    const fault = ocspFault(response, { facts, issuer: signer, host });
    if (fault === undefined) ocsp = response;
    else warnings.push(`Loading: ${fault} Content will be ignored.`);
  }
  return ok({
    material: {
      certificate,
      facts,
      chain,
      key: key.value,
      issuer,
      dhParams: blocks.find(({ label }) => label === "DH PARAMETERS"),
      ocsp,
      sctl,
    },
    warnings,
  });
}

/** The path of a companion file: `site.pem.key`, or `site.key` beside `site.crt` where extensions are replaced. */
export function companion(path: string, extension: string, extra: ExtraFiles): string {
  const stem =
    extra.replaceExtension && path.endsWith(".crt") ? path.slice(0, -".crt".length) : path;
  return stem + extension;
}

function keyOf(
  host: ConfigHost,
  path: string,
  blocks: readonly PemBlock[],
  beside: string,
  mayBeBeside: boolean,
): Result<PemBlock, string> {
  const own = blocks.find(isPrivateKey);
  if (own !== undefined) return ok(own);
  if (!mayBeBeside) return fail(`No Private Key found in '${path}'.`);
  const file = optional(host, beside);
  if (file === undefined) return fail(`No Private Key found in '${beside}'.`);
  const key = pemBlocks(file).find(isPrivateKey);
  return key !== undefined
    ? ok(key)
    : fail(
        `\n  unable to load private key from file '${beside}'.\n   '${beside}' is present but cannot be read or parsed'.`,
      );
}

function optional(host: ConfigHost, path: string): Uint8Array | undefined {
  if (host.kindOf(path) !== "file") return undefined;
  const file = host.readFile(path);
  return file.ok ? file.value : undefined;
}

function chainOf(facts: Certificate, chains: readonly (readonly PemBlock[])[]) {
  return chains.find(([first]) => first !== undefined && isIssuer(first, facts)) ?? [];
}

export function isIssuer(block: PemBlock, of: Certificate): boolean {
  const facts = block.der === undefined ? undefined : parseCertificate(block.der);
  return facts !== undefined && sameBytes(facts.subjectDer, of.issuerDer);
}

export function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}

/** The chains of `issuers-chain-path`: every PEM file of the folder. */
export function loadChains(host: ConfigHost, folder: string): (readonly PemBlock[])[] {
  return host
    .listFolder(folder)
    .filter((name) => !name.startsWith("."))
    .map((name) => host.readFile(join(folder, name)))
    .map((file) => (file.ok ? pemBlocks(file.value).filter(isCertificate) : []))
    .filter((chain) => chain.length > 0);
}

/** A list length, then timestamps with a length each, all of two bytes. RFC 6962 §3.3. */
export function isTimestampList(bytes: Uint8Array): boolean {
  const two = (at: number) => ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
  if (bytes.length < 4 || two(0) !== bytes.length - 2) return false;
  let at = 2;
  while (at + 2 <= bytes.length) {
    const size = two(at);
    if (size === 0) return false;
    at += 2 + size;
  }
  return at === bytes.length;
}
