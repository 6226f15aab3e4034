import { fail, ok, type Result } from "@ha/base";
import type { ConfigHost } from "../config/host.ts";
import { join } from "../config/reading.ts";
import { isCertificate, isRevocationList, type PemBlock, pemBlocks } from "./pem.ts";

/** Where systems keep the authorities that they trust, the first that exists. */
const SYSTEM_FILES = [
  "/etc/ssl/certs/ca-certificates.crt",
  "/etc/pki/tls/certs/ca-bundle.crt",
  "/etc/ssl/ca-bundle.pem",
  "/etc/ssl/cert.pem",
];
/** What counts in a folder of authorities. HAProxy configuration manual §5.1, ca-file. */
const EXTENSIONS = [".pem", ".crt", ".cer", ".crl"];

/**
 * Certificates and revocation lists of a `ca-file` or `crl-file`: a file, a folder, or `@system-ca`. Fails with the reason, in
 * HAProxy's words.
 */
export function loadAuthorities(
  host: ConfigHost,
  path: string,
): Result<readonly PemBlock[], string> {
  const blocks: PemBlock[] = [];
  if (host.kindOf(path) === "folder") {
    for (const name of host.listFolder(path)) {
      if (!EXTENSIONS.some((extension) => name.endsWith(extension))) continue;
      const file = host.readFile(join(path, name));
      if (file.ok) blocks.push(...authoritiesOf(file.value));
    }
  } else {
    const name =
      path === "@system-ca"
        ? (SYSTEM_FILES.find((file) => host.kindOf(file) === "file") ?? path)
        : path;
    const file = host.readFile(name);
    if (!file.ok) return file;
    blocks.push(...authoritiesOf(file.value));
  }
  return blocks.length > 0 ? ok(blocks) : fail("no certificate or crl found");
}

/** Blocks that are certificates or revocation lists; others are skipped. */
export function authoritiesOf(bytes: Uint8Array): PemBlock[] {
  return pemBlocks(bytes).filter(
    (block) => block.der !== undefined && (isCertificate(block) || isRevocationList(block)),
  );
}
