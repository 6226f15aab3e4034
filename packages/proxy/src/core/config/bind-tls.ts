import type { BindDraft } from "./bind-words.ts";
import type { Line } from "./line.ts";
import type { Reading } from "./reading.ts";
import type { TlsListener } from "./tls-model.ts";
import { versionRange } from "./tls-words.ts";

/**
 * What only counts when the whole `bind` line is read: the range of versions, and the checks that HAProxy makes of TLS
 * settings when all is read. Observed: haproxy 2.6.12.
 */
export function finishTls(draft: BindDraft, line: Line, reading: Reading): void {
  if (!draft.ssl) return;
  const { settings } = draft;
  draft.tls = settings;
  const owner = `Proxy '${reading.proxy?.name ?? "GLOBAL"}'`;
  const bind = `bind '${draft.text}' at [${line.at.file}:${line.at.line}]`;
  const { findings } = reading;
  const alert = (code: "config/bad-value" | "config/no-certificate", message: string) =>
    reading.afterParsing.push(() => findings.alertPlain(code, line.at, `${owner}: ${message}`));
  const warn = (message: string) =>
    findings.warnPlain("config/tls", line.at, `${owner}: ${message}`);

  const explicit = settings.minVersion !== undefined || settings.maxVersion !== undefined;
  if (explicit && draft.refusedVersions.size > 0) {
    warn(
      `no-sslv3/no-tlsv1x are ignored for ${bind}. Use only 'ssl-min-ver' and 'ssl-max-ver' to fix.`,
    );
    draft.refusedVersions.clear();
  }
  const range = versionRange(settings.minVersion, settings.maxVersion, draft.refusedVersions);
  if (range === undefined) {
    alert("config/bad-value", `all SSL/TLS versions are disabled for ${bind}.`);
  } else {
    if (settings.minVersion === undefined && range.min !== "TLSv1.2" && range.min !== "TLSv1.3") {
      warn(
        `Ambiguous configuration for ${bind}: the ssl-min-ver value is not configured and the ssl-max-ver value is lower than the default ssl-min-ver value (TLSv1.2). Setting the ssl-min-ver to ${range.min}. Use 'ssl-min-ver' to fix this.`,
      );
    }
    if (range.hole !== undefined) {
      warn(
        `SSL/TLS versions range not contiguous for ${bind}. Hole find for ${range.hole}. Use only 'ssl-min-ver' and 'ssl-max-ver' to fix.`,
      );
    }
    settings.minVersion = range.min;
    settings.maxVersion = range.max;
  }
  if (settings.certificateCount === 0 && !settings.generateCertificates) {
    if (settings.strictSni) {
      warn(`no SSL certificate specified for ${bind}, ssl connections will fail (use 'crt').`);
    } else {
      alert("config/no-certificate", `no SSL certificate specified for ${bind} (use 'crt').`);
    }
    return;
  }
  if (settings.generateCertificates && settings.caSignFile === undefined) {
    findings.alertPlain(
      "config/bad-value",
      line.at,
      `${owner}: cannot enable certificate generation, no CA certificate File configured at [${line.at.file}:${line.at.line}].`,
    );
  }
  for (const fault of settingFaults(settings, reading))
    alert("config/bad-value", `${fault} for ${bind}.`);
}

/** What OpenSSL would refuse of the settings of a line or of one certificate, in HAProxy's words. */
export function settingFaults(
  settings: Pick<
    TlsListener,
    "verify" | "caFile" | "caVerifyFile" | "ciphers" | "ciphersuites" | "curves" | "ecdhe"
  >,
  { host }: Pick<Reading, "host">,
): string[] {
  const { ciphers, ciphersuites, curves, ecdhe } = settings;
  const faults: string[] = [];
  if (
    settings.verify !== "none" &&
    settings.caFile === undefined &&
    settings.caVerifyFile === undefined
  ) {
    faults.push("verify is enabled but no CA file specified");
  }
  if (ciphers !== undefined && !host.takesTlsList("ciphers", ciphers)) {
    faults.push(`unable to set SSL cipher list to '${ciphers}'`);
  }
  if (ciphersuites !== undefined && !host.takesTlsList("ciphersuites", ciphersuites)) {
    faults.push(`unable to set TLS 1.3 cipher suites to '${ciphersuites}'`);
  }
  if (curves !== undefined && !host.takesTlsList("curves", curves)) {
    faults.push(`unable to set SSL curves list to '${curves}'`);
  }
  if (ecdhe !== undefined && !host.takesTlsList("curves", ecdhe)) {
    faults.push(`unable to set elliptic named curve to '${ecdhe}'`);
  }
  return faults;
}
