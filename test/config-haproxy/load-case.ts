import {
  checkRules,
  formatFinding,
  type LoadedConfig,
  memoryConfigHost,
  readConfig,
  resolveInMemory,
} from "@ha/proxy/core";

const FILES = { "/etc/passwd": "root:x:0:0\n", "/etc/ssl/site.pem": "a certificate and its key" };

/** Reads a configuration against a machine made of tables. */
export function loadText(name: string, text: string): LoadedConfig {
  const pending = readConfig([{ name, text }], {
    host: memoryConfigHost(FILES),
    environment: new Map([["HOME", "/root"]]),
    commandLine: { maxconn: undefined, ignoreUnresolved: false },
    noServerVerify: false,
    diagnosticMode: false,
    version: "3.5-dev5",
    features: new Map([
      ["OPENSSL", true],
      ["THREAD", true],
      ["LUA", false],
    ]),
    enabled: new Set(["POLL"]),
    sslLibrary: "OpenSSL 3.0.17",
    checkRules,
  });
  resolveInMemory(pending.names);
  return pending.finish();
}

/** `[ALERT] …` a finding, as lines. */
export function findingsOf(loaded: LoadedConfig): string[] {
  const level = { error: "[ALERT]", warning: "[WARNING]", note: "[NOTICE]" } as const;
  return loaded.findings.list.flatMap((finding) =>
    `${level[finding.severity]} ${formatFinding(finding)}`.split("\n"),
  );
}
